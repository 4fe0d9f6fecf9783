#include "config/users.h"

#include "config/lines.h"
#include "config/password.h"
#include "config/strmap.h"
#include "config/text.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* So many weak hashes of one file are named. */
enum { WEAK_MAX = 10 };

/* The text keeps its lines as they were, but each login is put into the form it is looked up by,
 * flush with its colon. A row's value is the offset of its login. */
struct mx_users {
    struct mx_strmap map;
    struct mx_lines lines;
    struct mx_span first;
    bool is_without_scram; /* somebody cannot be served */
};

struct reader {
    struct mx_users *users;
    struct mx_lines_reader lines;
    uint32_t weak; /* entries with a weakness */
};

/* ---- lines ---- */

/* Where the login ends: at the first colon that is neither quoted nor escaped. */
static size_t login_len(struct mx_span line) {
    bool is_quoted = false;
    for (size_t at = 0; at < line.len; at++) {
        if (line.ptr[at] == ':' && !is_quoted)
            return at;
        if (line.ptr[at] == '"')
            is_quoted = !is_quoted;
        at += line.ptr[at] == '\\';
    }
    return line.len;
}

static struct mx_span login_at(const struct mx_users *self, uint32_t at, size_t len) {
    const struct mx_lines *lines = &self->lines;
    bool is_inside = len < lines->len - at && lines->text[at + len] == ':';
    return is_inside ? (struct mx_span){lines->text + at, len} : (struct mx_span){0};
}

/* The offset of a login in normal form; false: it is not there. */
static bool find(const struct mx_users *self, struct mx_span login, uint64_t hash, uint32_t *at) {
    struct mx_strmap_walk walk = mx_strmap_walk(&self->map, hash);
    while (mx_strmap_next(&self->map, &walk, at)) {
        if (mx_span_equal(login_at(self, *at, login.len), login))
            return true;
    }
    return false;
}

static void add_entry(struct reader *self, struct mx_span login, struct mx_span entry) {
    struct mx_users *users = self->users;
    struct mx_password password;
    const char *why;
    char quoted[64];
    uint64_t hash = mx_strmap_hash(&users->map, login);
    uint32_t at;
    mx_text_quote(login, quoted, sizeof quoted);
    if (find(users, login, hash, &at)) {
        mx_lines_complain(&self->lines, 0, false, "'%s' is already in line %u", quoted,
                          mx_lines_number(&users->lines, at));
        return;
    }
    if (mx_password_parse(entry, &password, &why) < 0) {
        mx_lines_complain(&self->lines, 0, false, "'%s': %s", quoted, why);
        return;
    }
    if (password.weakness != NULL && self->weak++ < WEAK_MAX)
        mx_lines_complain(&self->lines, 0, true, "'%s': %s", quoted, password.weakness);
    if (users->map.count == 0)
        users->first = entry;
    users->is_without_scram = users->is_without_scram || !mx_password_can_scram(&password);
    mx_strmap_put(&users->map, hash, (uint32_t)(login.ptr - users->lines.text));
}

static void read_line(void *context, size_t at, struct mx_span line) {
    struct reader *self = context;
    char form[MX_LOGIN_MAX];
    char *text = self->users->lines.text + at;
    if (line.len > MX_PASSWORD_LINE_MAX) {
        mx_lines_complain(&self->lines, 0, false, "longer than %d octets", MX_PASSWORD_LINE_MAX);
        return;
    }
    size_t len = login_len(line);
    if (len == line.len) {
        mx_lines_complain(&self->lines, 0, false, "a line must be user@domain:HASH");
        return;
    }
    size_t form_len = len <= MX_LOGIN_MAX ? mx_lines_address((struct mx_span){text, len}, form) : 0;
    if (form_len == 0) {
        mx_lines_complain(&self->lines, 0, false,
                          "the name before the colon must be an address of at most %d octets",
                          MX_LOGIN_MAX);
        return;
    }
    text += len - form_len; /* a literal's brackets are gone */
    memcpy(text, form, form_len);
    add_entry(self, (struct mx_span){text, form_len}, mx_span_skip(line, len + 1));
}

/* ---- memory ---- */

static int read_all(struct mx_users *users, const char *path, struct mx_conf_report *report) {
    struct reader self = {.users = users, .lines = {.report = report}};
    self.lines.file = mx_report_file(report, path);
    int err = mx_strmap_new(&users->map, mx_lines_count(&users->lines));
    if (err == 0)
        err = mx_lines_each(&users->lines, &self.lines, read_line, &self);
    if (self.weak > WEAK_MAX)
        mx_lines_complain(&self.lines, 0, true, "weak hashes in %u more lines before this one",
                          self.weak - WEAK_MAX);
    return err;
}

/* The lines are given. */
static int users_new(struct mx_lines *lines, const char *path, struct mx_conf_report *report,
                     struct mx_users **users) {
    *users = calloc(1, sizeof **users);
    if (*users == NULL) {
        mx_lines_free(lines);
        return -ENOMEM;
    }
    (*users)->lines = *lines;
    int err = read_all(*users, path, report);
    if (err < 0) {
        mx_users_free(*users);
        *users = NULL;
    }
    return err;
}

void mx_users_free(struct mx_users *users) {
    if (users == NULL)
        return;
    mx_lines_free(&users->lines);
    mx_strmap_free(&users->map);
    free(users);
}

int mx_users_parse(struct mx_span text, const char *path, struct mx_conf_report *report,
                   struct mx_users **users) {
    struct mx_lines lines;
    *users = NULL;
    int err = mx_lines_copy(&lines, text);
    return err < 0 ? err : users_new(&lines, path, report, users);
}

int mx_users_load(const char *path, struct mx_conf_report *report, struct mx_users **users) {
    struct mx_lines lines;
    mode_t mode = 0;
    *users = NULL;
    int err = mx_lines_load(&lines, path, &mode);
    if (err == 0)
        err = users_new(&lines, path, report, users);
    if (err == 0 && (mode & S_IROTH))
        mx_report_add_in(report, mx_report_file(report, path), 1, 1, true,
                         "everybody on this machine may read it; chmod o-r");
    return err;
}

/* ---- look-ups ---- */

bool mx_users_find(const struct mx_users *users, struct mx_span login, struct mx_span *entry) {
    char form[MX_LOGIN_MAX];
    uint32_t at;
    if (users == NULL || login.len > sizeof form)
        return false;
    for (size_t i = 0; i < login.len; i++)
        form[i] = mx_ascii_lower(login.ptr[i]);
    struct mx_span key = {form, login.len};
    if (!find(users, key, mx_strmap_hash(&users->map, key), &at))
        return false;
    if (entry != NULL)
        *entry = mx_lines_at(&users->lines, at + login.len + 1);
    return true;
}

struct mx_span mx_users_first(const struct mx_users *users) {
    return users != NULL ? users->first : (struct mx_span){0};
}

uint32_t mx_users_count(const struct mx_users *users) {
    return users != NULL ? users->map.count : 0;
}

bool mx_users_can_scram(const struct mx_users *users) {
    return users != NULL && users->map.count > 0 && !users->is_without_scram;
}
