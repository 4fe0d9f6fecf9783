/* users_fuzz.c - properties of the users file.
 *
 * No text crashes or leaks. A file has errors or users. Every line of a good file that is no
 * comment is a user who is found by the text before the colon in any case of letters, with an entry
 * that parses; there are as many users as such lines. What else is asked for does not read outside.
 */
#include "config/password.h"
#include "config/users.h"
#include "proto/path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

/* The login of a line as it is looked up: local@domain, here in upper case. Returns its length. */
static size_t upper_login(struct mx_span line, char login[MX_LOGIN_MAX + 1]) {
    struct mx_path path;
    for (size_t len = line.len < MX_LOGIN_MAX ? line.len : MX_LOGIN_MAX; len > 0; len--) {
        if (len == line.len || line.ptr[len] != ':' ||
            mx_path_parse((struct mx_span){line.ptr, len}, true, &path) < 0 ||
            path.domain.len == 0 || path.local.len == 0)
            continue;
        size_t at = 0;
        for (size_t i = 0; i < path.local.len; i++)
            login[at++] = mx_ascii_upper(path.local.ptr[i]);
        login[at++] = '@';
        for (size_t i = 0; i < path.domain.len; i++)
            login[at++] = mx_ascii_upper(path.domain.ptr[i]);
        return at;
    }
    return 0;
}

static bool is_blank(struct mx_span line) {
    for (size_t i = 0; i < line.len; i++) {
        if (strchr(" \t\r\n", line.ptr[i]) == NULL)
            return false;
    }
    return true;
}

static uint32_t check_lines(const struct mx_users *users, struct mx_span text) {
    uint32_t count = 0;
    while (text.len > 0) {
        const char *lf = memchr(text.ptr, '\n', text.len);
        struct mx_span line = {text.ptr, lf != NULL ? (size_t)(lf - text.ptr) : text.len};
        text = mx_span_skip(text, lf != NULL ? line.len + 1 : line.len);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0 || line.ptr[0] == '#' || is_blank(line))
            continue;
        char login[MX_LOGIN_MAX + 1];
        struct mx_span entry = {0};
        struct mx_password password;
        const char *why;
        size_t len = upper_login(line, login);
        must(len > 0 && mx_users_find(users, (struct mx_span){login, len}, &entry));
        must(mx_password_parse(entry, &password, &why) == 0);
        must(entry.len < line.len &&
             memcmp(entry.ptr, line.ptr + line.len - entry.len, entry.len) == 0);
        count++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mx_span text = {(const char *)data, size};
    struct mx_conf_report report = {0};
    struct mx_users *users = NULL;
    int err = mx_users_parse(text, "users", &report, &users);
    must(err == 0 || err == MX_ECONFIG);
    must((err == 0) == (users != NULL) && (err == 0) == (report.error_count == 0));
    mx_conf_report_free(&report);
    if (err < 0)
        return 0;
    must(check_lines(users, text) == mx_users_count(users));
    (void)mx_users_find(users, text, NULL);
    (void)mx_users_find(users, (struct mx_span){text.ptr, size / 2}, NULL);
    mx_users_free(users);
    return 0;
}
