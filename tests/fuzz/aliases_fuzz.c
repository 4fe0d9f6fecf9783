/* aliases_fuzz.c - properties of the aliases file.
 *
 * No text crashes or leaks. A file has errors or aliases. Every line of a good file that is no
 * comment holds an alias that is found; what it stands for ends, and each target that is told is an
 * address in lower case. Whatever is asked for, nothing is read outside, and two readings agree.
 */
#include "config/aliases.h"
#include "proto/path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mx_span domains[] = {MX_SPAN("example.com")};
static const struct mx_conf conf = {.domains = domains, .domain_count = 1};

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static bool check_target(void *context, struct mx_span target) {
    unsigned *count = context;
    struct mx_path path;
    must(target.len <= MX_ALIAS_ADDRESS_MAX);
    must(mx_path_parse(target, true, &path) == 0 && path.local.len > 0 && path.domain.len > 0);
    for (size_t i = 0; i < target.len; i++)
        must(target.ptr[i] < 'A' || target.ptr[i] > 'Z');
    return ++*count <= MX_ALIAS_LOOKUPS_MAX;
}

static void ask(const struct mx_aliases *aliases, struct mx_span address) {
    unsigned count = 0;
    for (uint32_t limit = 0; limit <= 10; limit += 5) {
        int err = mx_aliases_follow(aliases, address, limit, check_target, &count);
        must(err == 0 || err == MX_ELIMIT);
        must(err < 0 || count == 0 || mx_aliases_has(aliases, address));
    }
    must(mx_aliases_lead_to(aliases, 10, address, address));
}

static uint32_t ask_lines(const struct mx_aliases *aliases, struct mx_span text) {
    uint32_t count = 0;
    while (text.len > 0) {
        const char *lf = memchr(text.ptr, '\n', text.len);
        struct mx_span line = {text.ptr, lf != NULL ? (size_t)(lf - text.ptr) : text.len};
        text = mx_span_skip(text, lf != NULL ? line.len + 1 : line.len);
        const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
        count += colon != NULL && line.ptr[0] != '#';
        while (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
            line = mx_span_skip(line, 1);
        if (colon != NULL && colon > line.ptr)
            line.len = (size_t)(colon - line.ptr);
        ask(aliases, line);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mx_conf_report report = {0};
    struct mx_aliases *aliases = NULL;
    struct mx_span text = {(const char *)data, size};
    if (size > 1 << 16)
        return 0;
    int err = mx_aliases_parse(text, "a", &conf, &report, &aliases);
    must(err == 0 || err == MX_ECONFIG);
    must((err == 0) == (aliases != NULL) && (err == 0) == (report.error_count == 0));
    mx_conf_report_free(&report);
    if (aliases == NULL)
        return 0;
    must(mx_aliases_count(aliases) == ask_lines(aliases, text));
    mx_aliases_free(aliases);
    return 0;
}
