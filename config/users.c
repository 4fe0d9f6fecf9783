#include "config/users.h"

#include "config/password.h"
#include "config/report.h"
#include "config/strmap.h"
#include "config/text.h"
#include "proto/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is said about one file: so many errors, then reading it ends; so many weak hashes. */
enum { ERRORS_MAX = 100, WEAK_MAX = 10 };

/* The text keeps its lines as they were, but each login is put into the form it is looked up by,
 * flush with its colon. A row's value is the offset of its login. */
struct mx_users {
    struct mx_strmap map;
    char *text; /* a mapping of its own */
    size_t len, mapped;
    struct mx_span first;
    bool is_without_scram; /* somebody cannot be served */
};

struct reader {
    struct mx_users *users;
    struct mx_conf_report *report;
    uint32_t file;   /* of the report */
    uint32_t line;   /* number, 1-based */
    uint32_t errors; /* of this file */
    uint32_t weak;   /* entries with a weakness */
};

/* ---- lines ---- */

__attribute__((format(printf, 3, 4))) static void complain(struct reader *self, bool is_warning,
                                                           const char *format, ...) {
    char text[320];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    self->errors += !is_warning;
    mx_report_add_in(self->report, self->file, self->line, 1, is_warning, "%s",
                     len < 0 ? "" : text);
}

static uint32_t count_lines(struct mx_span text) {
    uint32_t count = 1;
    while (text.len > 0) {
        const char *lf = memchr(text.ptr, '\n', text.len);
        if (lf == NULL)
            break;
        text = mx_span_skip(text, (size_t)(lf - text.ptr) + 1);
        count++;
    }
    return count;
}

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

/* The form that MAIL and RCPT give an address: local@domain, without the brackets of a literal. It
 * is written to `to`, which has room for the login. Returns its length; 0: no address. */
static size_t normal_form(struct mx_span login, char *to) {
    struct mx_path path;
    if (mx_path_parse(login, true, &path) < 0 || path.local.len == 0 || path.domain.len == 0)
        return 0;
    size_t len = 0;
    for (size_t i = 0; i < path.local.len; i++)
        to[len++] = mx_ascii_lower(path.local.ptr[i]);
    to[len++] = '@';
    for (size_t i = 0; i < path.domain.len; i++)
        to[len++] = mx_ascii_lower(path.domain.ptr[i]);
    return len;
}

static struct mx_span login_at(const struct mx_users *self, uint32_t at, size_t len) {
    bool is_inside = len < self->len - at && self->text[at + len] == ':';
    return is_inside ? (struct mx_span){self->text + at, len} : (struct mx_span){0};
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

static struct mx_span line_at(const struct mx_users *self, size_t at) {
    const char *lf = memchr(self->text + at, '\n', self->len - at);
    size_t len = lf != NULL ? (size_t)(lf - self->text) - at : self->len - at;
    struct mx_span line = {self->text + at, len};
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Number of the line that holds an offset: only for messages. */
static uint32_t line_of(const struct mx_users *self, uint32_t at) {
    return count_lines((struct mx_span){self->text, at});
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
        complain(self, false, "'%s' is already in line %u", quoted, line_of(users, at));
        return;
    }
    if (mx_password_parse(entry, &password, &why) < 0) {
        complain(self, false, "'%s': %s", quoted, why);
        return;
    }
    if (password.weakness != NULL && self->weak++ < WEAK_MAX)
        complain(self, true, "'%s': %s", quoted, password.weakness);
    if (users->map.count == 0)
        users->first = entry;
    users->is_without_scram = users->is_without_scram || !mx_password_can_scram(&password);
    mx_strmap_put(&users->map, hash, (uint32_t)(login.ptr - users->text));
}

static void read_line(struct reader *self, size_t at) {
    char form[MX_LOGIN_MAX];
    char *text = self->users->text + at;
    struct mx_span line = line_at(self->users, at);
    if (line.len == 0 || line.ptr[0] == '#' || mx_text_trim(line).len == 0)
        return;
    if (line.len > MX_PASSWORD_LINE_MAX) {
        complain(self, false, "longer than %d octets", MX_PASSWORD_LINE_MAX);
        return;
    }
    size_t len = login_len(line);
    if (len == line.len) {
        complain(self, false, "a line must be user@domain:HASH");
        return;
    }
    size_t form_len = len <= MX_LOGIN_MAX ? normal_form((struct mx_span){text, len}, form) : 0;
    if (form_len == 0) {
        complain(self, false, "the name before the colon must be an address of at most %d octets",
                 MX_LOGIN_MAX);
        return;
    }
    text += len - form_len; /* a literal's brackets are gone */
    memcpy(text, form, form_len);
    add_entry(self, (struct mx_span){text, form_len}, mx_span_skip(line, len + 1));
}

static int read_lines(struct reader *self) {
    struct mx_users *users = self->users;
    size_t at = 0;
    while (at < users->len && self->errors < ERRORS_MAX) {
        const char *lf = memchr(users->text + at, '\n', users->len - at);
        self->line++;
        read_line(self, at);
        at = lf != NULL ? (size_t)(lf - users->text) + 1 : users->len;
    }
    if (self->errors == ERRORS_MAX)
        complain(self, false, "so many errors: what follows is not looked at");
    if (self->weak > WEAK_MAX)
        complain(self, true, "weak hashes in %u more lines before this one", self->weak - WEAK_MAX);
    return self->errors > 0 ? MX_ECONFIG : 0;
}

/* ---- memory ---- */

static char *map_text(size_t octets) {
    void *text = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED)
        return NULL;
    if (madvise(text, octets, MADV_DONTDUMP) < 0 || madvise(text, octets, MADV_HUGEPAGE) < 0) {
        /* a kernel without huge pages: slower, not wrong */
    }
    return text;
}

/* The text, a mapping, is given. On an error it is gone. */
static int build(struct mx_users *users, const char *path, struct mx_conf_report *report) {
    struct reader reader = {.users = users, .report = report};
    reader.file = mx_report_file(report, path);
    int err = mx_strmap_new(&users->map, count_lines((struct mx_span){users->text, users->len}));
    return err < 0 ? err : read_lines(&reader);
}

static int users_new(size_t octets, struct mx_users **users) {
    *users = calloc(1, sizeof **users);
    if (*users == NULL)
        return -ENOMEM;
    (*users)->mapped = octets;
    (*users)->text = map_text(octets);
    if ((*users)->text != NULL)
        return 0;
    free(*users);
    *users = NULL;
    return -ENOMEM;
}

void mx_users_free(struct mx_users *users) {
    if (users == NULL)
        return;
    explicit_bzero(users->text, users->len);
    munmap(users->text, users->mapped);
    mx_strmap_free(&users->map);
    free(users);
}

int mx_users_parse(struct mx_span text, const char *path, struct mx_conf_report *report,
                   struct mx_users **users) {
    int err = users_new(text.len + 1, users);
    if (err < 0)
        return err;
    if (text.len > 0)
        memcpy((*users)->text, text.ptr, text.len);
    (*users)->len = text.len;
    err = build(*users, path, report);
    if (err < 0) {
        mx_users_free(*users);
        *users = NULL;
    }
    return err;
}

/* Up to one octet more than the file had: then it has grown, and may be half written. */
static int read_text(int fd, struct mx_users *users) {
    while (users->len < users->mapped) {
        ssize_t got = read(fd, users->text + users->len, users->mapped - users->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        users->len += (size_t)got;
    }
    return -ESTALE;
}

static int read_file(int fd, const char *path, struct mx_conf_report *report,
                     struct mx_users **users) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > MX_USERS_OCTETS_MAX)
        return -EFBIG;
    int err = users_new((size_t)st.st_size + 1, users);
    if (err < 0)
        return err;
    err = read_text(fd, *users);
    if (err == 0)
        err = build(*users, path, report);
    if (err == 0 && (st.st_mode & S_IROTH))
        mx_report_add_in(report, mx_report_file(report, path), 1, 1, true,
                         "everybody on this machine may read it; chmod o-r");
    if (err < 0) {
        mx_users_free(*users);
        *users = NULL;
    }
    return err;
}

int mx_users_load(const char *path, struct mx_conf_report *report, struct mx_users **users) {
    *users = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int err = read_file(fd, path, report, users);
    close(fd);
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
        *entry = line_at(users, at + login.len + 1);
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
