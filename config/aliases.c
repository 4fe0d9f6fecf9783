#include "config/aliases.h"

#include "config/lines.h"
#include "config/strmap.h"
#include "config/text.h"
#include "proto/path.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* So many aliases outside of our domains are named. */
enum { FOREIGN_MAX = 10 };

/* The text keeps its lines, but each alias is put into the form it is looked up by, flush with its
 * colon: "local@domain:" or "@domain:". A row's value is the offset of its alias. */
struct mx_aliases {
    struct mx_strmap map;
    struct mx_lines lines;
};

struct reader {
    struct mx_aliases *aliases;
    const struct mx_conf *conf;
    struct mx_lines_reader lines;
    uint32_t foreign;
    struct mx_span known_domain; /* the last one that is ours: mostly it is the next one, too */
};

/* ---- pieces of a line ---- */

/* Where a character stands that is neither quoted nor escaped; text.len: nowhere. */
static size_t find_octet(struct mx_span text, char wanted) {
    bool is_quoted = false;
    for (size_t at = 0; at < text.len; at++) {
        if (text.ptr[at] == wanted && !is_quoted)
            return at;
        if (text.ptr[at] == '"')
            is_quoted = !is_quoted;
        at += text.ptr[at] == '\\';
    }
    return text.len;
}

/* The next target; false: there are no more. */
static bool take_target(struct mx_span *targets, struct mx_span *target) {
    if (targets->len == 0)
        return false;
    size_t len = find_octet(*targets, ',');
    *target = mx_text_trim((struct mx_span){targets->ptr, len});
    *targets = mx_span_skip(*targets, len < targets->len ? len + 1 : len);
    return true;
}

static bool is_domain(struct mx_span text) {
    return text.len > 0 && text.ptr[0] == '@';
}

/* "@domain" or an address in the form it is looked up by; `to` has room for text. 0: neither. */
static size_t normal_form(struct mx_span text, char *to) {
    if (!is_domain(text))
        return mx_lines_address(text, to);
    if (!mx_text_is_host(mx_span_skip(text, 1)))
        return 0;
    for (size_t i = 0; i < text.len; i++)
        to[i] = mx_ascii_lower(text.ptr[i]);
    return text.len;
}

static struct mx_span domain_of(struct mx_span address) {
    const char *at = memrchr(address.ptr, '@', address.len);
    assert(at != NULL);
    return mx_span_skip(address, (size_t)(at - address.ptr) + 1);
}

/* ---- rows ---- */

/* The offset of an alias in normal form; false: it is not there. */
static bool find(const struct mx_aliases *self, struct mx_span name, uint32_t *at) {
    struct mx_strmap_walk walk = mx_strmap_walk(&self->map, mx_strmap_hash(&self->map, name));
    const struct mx_lines *lines = &self->lines;
    while (mx_strmap_next(&self->map, &walk, at)) {
        bool is_inside = name.len < lines->len - *at && lines->text[*at + name.len] == ':';
        if (is_inside && memcmp(lines->text + *at, name.ptr, name.len) == 0)
            return true;
    }
    return false;
}

/* What stands behind the colon; false: it is no alias. */
static bool find_targets(const struct mx_aliases *self, struct mx_span name,
                         struct mx_span *targets) {
    uint32_t at;
    if (!find(self, name, &at))
        return false;
    *targets = mx_text_trim(mx_lines_at(&self->lines, at + name.len + 1));
    return true;
}

/* ---- reading ---- */

static size_t column_of(const struct reader *self, size_t line_at, struct mx_span piece) {
    return (size_t)(piece.ptr - self->aliases->lines.text) - line_at;
}

static void warn_of_foreign(struct reader *self, struct mx_span name) {
    struct mx_span domain = domain_of(name);
    char quoted[64];
    if (mx_span_equal(domain, self->known_domain))
        return;
    if (mx_conf_is_local(self->conf, domain))
        self->known_domain = domain;
    else if (self->foreign++ < FOREIGN_MAX)
        mx_lines_complain(&self->lines, 0, true,
                          "'%s' is none of our domains: its aliases are not used",
                          mx_text_quote(domain, quoted, sizeof quoted));
}

/* One target. The brackets of a literal go: what is looked up has none. */
static void check_target(struct reader *self, size_t line_at, struct mx_span target,
                         bool wants_domain) {
    struct mx_path path;
    char form[MX_ALIAS_ADDRESS_MAX], quoted[64];
    bool is_good = target.len <= sizeof form && is_domain(target) == wants_domain &&
                   normal_form(target, form) > 0;
    if (!is_good) {
        mx_lines_complain(&self->lines, column_of(self, line_at, target), false,
                          wants_domain ? "'%s' is no @domain: a domain stands for one other domain"
                                       : "'%s' is no address user@domain",
                          mx_text_quote(target, quoted, sizeof quoted));
        return;
    }
    if (wants_domain || mx_path_parse(target, true, &path) < 0 || !path.is_literal)
        return;
    char *text = self->aliases->lines.text + (target.ptr - self->aliases->lines.text);
    size_t domain_at = (size_t)(path.domain.ptr - target.ptr);
    memmove(text + domain_at - 1, text + domain_at, path.domain.len);
    memset(text + domain_at - 1 + path.domain.len, ' ', 2);
}

static void check_targets(struct reader *self, size_t line_at, struct mx_span targets,
                          bool wants_domain) {
    struct mx_span target;
    uint32_t count = 0;
    while (take_target(&targets, &target)) {
        check_target(self, line_at, target, wants_domain);
        count++;
    }
    if (count == 0 || (wants_domain && count > 1))
        mx_lines_complain(&self->lines, column_of(self, line_at, targets), false,
                          count == 0 ? "it stands for nothing"
                                     : "a domain stands for one other domain");
}

static void read_line(void *context, size_t at, struct mx_span line) {
    struct reader *self = context;
    struct mx_aliases *aliases = self->aliases;
    char form[MX_ALIAS_ADDRESS_MAX], quoted[64];
    uint32_t first;
    size_t colon = find_octet(line, ':');
    struct mx_span name = mx_text_trim((struct mx_span){line.ptr, colon});
    if (colon == line.len) {
        mx_lines_complain(&self->lines, 0, false,
                          "a line must be alias@domain: target or @alias.domain: @domain");
        return;
    }
    size_t form_len = name.len <= sizeof form ? normal_form(name, form) : 0;
    if (form_len == 0) {
        mx_lines_complain(&self->lines, column_of(self, at, name), false,
                          "'%s' is neither an address nor @domain",
                          mx_text_quote(name, quoted, sizeof quoted));
        return;
    }
    check_targets(self, at, mx_text_trim(mx_span_skip(line, colon + 1)), is_domain(name));
    struct mx_span key = {form, form_len};
    if (find(aliases, key, &first)) {
        mx_lines_complain(&self->lines, column_of(self, at, name), false,
                          "'%s' is already in line %u", mx_text_quote(key, quoted, sizeof quoted),
                          mx_lines_number(&aliases->lines, first));
        return;
    }
    char *text = aliases->lines.text + at + colon - form_len;
    memcpy(text, form, form_len);
    mx_strmap_put(&aliases->map, mx_strmap_hash(&aliases->map, key),
                  (uint32_t)(at + colon - form_len));
    warn_of_foreign(self, (struct mx_span){text, form_len});
}

static int read_all(struct reader *self, const char *path) {
    struct mx_aliases *aliases = self->aliases;
    self->lines.file = mx_report_file(self->lines.report, path);
    int err = mx_strmap_new(&aliases->map, mx_lines_count(&aliases->lines));
    if (err == 0)
        err = mx_lines_each(&aliases->lines, &self->lines, read_line, self);
    if (self->foreign > FOREIGN_MAX)
        mx_lines_complain(&self->lines, 0, true, "so are %u more before this line",
                          self->foreign - FOREIGN_MAX);
    return err;
}

/* The lines are given. */
static int aliases_new(struct mx_lines *lines, const char *path, const struct mx_conf *conf,
                       struct mx_conf_report *report, struct mx_aliases **aliases) {
    struct reader reader = {.conf = conf, .lines = {.report = report}};
    *aliases = calloc(1, sizeof **aliases);
    if (*aliases == NULL) {
        mx_lines_free(lines);
        return -ENOMEM;
    }
    (*aliases)->lines = *lines;
    reader.aliases = *aliases;
    int err = read_all(&reader, path);
    if (err < 0) {
        mx_aliases_free(*aliases);
        *aliases = NULL;
    }
    return err;
}

void mx_aliases_free(struct mx_aliases *aliases) {
    if (aliases == NULL)
        return;
    mx_lines_free(&aliases->lines);
    mx_strmap_free(&aliases->map);
    free(aliases);
}

int mx_aliases_parse(struct mx_span text, const char *path, const struct mx_conf *conf,
                     struct mx_conf_report *report, struct mx_aliases **aliases) {
    struct mx_lines lines;
    *aliases = NULL;
    int err = mx_lines_copy(&lines, text);
    return err < 0 ? err : aliases_new(&lines, path, conf, report, aliases);
}

int mx_aliases_load(const char *path, const struct mx_conf *conf, struct mx_conf_report *report,
                    struct mx_aliases **aliases) {
    struct mx_lines lines;
    mode_t mode = 0;
    *aliases = NULL;
    int err = mx_lines_load(&lines, path, &mode);
    return err < 0 ? err : aliases_new(&lines, path, conf, report, aliases);
}

uint32_t mx_aliases_count(const struct mx_aliases *aliases) {
    return aliases != NULL ? aliases->map.count : 0;
}

/* ---- look-ups ---- */

struct address {
    char text[MX_ALIAS_ADDRESS_MAX];
    size_t len;
};

/* In lower case. False: it is too long to be in the file, or not local@domain. */
static bool lower(struct mx_span text, struct address *address) {
    bool has_parts = text.len > 1 && text.ptr[0] != '@' && memchr(text.ptr, '@', text.len);
    if (!has_parts || text.len > sizeof address->text)
        return false;
    for (size_t i = 0; i < text.len; i++)
        address->text[i] = mx_ascii_lower(text.ptr[i]);
    address->len = text.len;
    return true;
}

static struct mx_span span_of(const struct address *address) {
    return (struct mx_span){address->text, address->len};
}

/* The part of an address from its last '@' on. */
static struct mx_span at_domain(struct mx_span address) {
    struct mx_span domain = domain_of(address);
    return (struct mx_span){domain.ptr - 1, domain.len + 1};
}

bool mx_aliases_has(const struct mx_aliases *aliases, struct mx_span address) {
    struct address key;
    uint32_t at;
    if (aliases == NULL || !lower(address, &key))
        return false;
    return find(aliases, span_of(&key), &at) || find(aliases, at_domain(span_of(&key)), &at);
}

struct walk {
    const struct mx_aliases *aliases;
    mx_alias_fn *tell;
    void *context;
    uint32_t limit, lookups;
    bool is_enough;
};

static int follow(struct walk *self, struct mx_span address, uint32_t depth);

static void tell(struct walk *self, struct mx_span target) {
    self->is_enough = !self->tell(self->context, target);
}

/* A target: the end, or looked up again. */
static int follow_target(struct walk *self, struct mx_span address, struct mx_span target,
                         uint32_t depth) {
    struct address next;
    bool is_there = lower(target, &next);
    assert(is_there);
    if (self->limit > 0 && !mx_span_equal(span_of(&next), address))
        return follow(self, span_of(&next), depth + 1);
    tell(self, span_of(&next));
    return 0;
}

/* local@domain becomes local@target. */
static int follow_domain(struct walk *self, struct mx_span address, struct mx_span target,
                         uint32_t depth) {
    struct address next;
    struct mx_span domain = at_domain(address);
    size_t local_len = address.len - domain.len;
    if (mx_span_equal(domain, target) || local_len + target.len > sizeof next.text)
        return MX_ELIMIT;
    memcpy(next.text, address.ptr, local_len);
    for (size_t i = 0; i < target.len; i++)
        next.text[local_len + i] = mx_ascii_lower(target.ptr[i]);
    next.len = local_len + target.len;
    return follow_target(self, address, span_of(&next), depth);
}

/* The address is in lower case; depth: how often it was rewritten. */
static int follow(struct walk *self, struct mx_span address, uint32_t depth) {
    struct mx_span targets, target;
    int err = 0;
    if (++self->lookups > MX_ALIAS_LOOKUPS_MAX)
        return MX_ELIMIT;
    bool is_alias = find_targets(self->aliases, address, &targets);
    bool is_of_domain = !is_alias && find_targets(self->aliases, at_domain(address), &targets);
    if (!is_alias && !is_of_domain) {
        if (depth > 0)
            tell(self, address);
        return 0;
    }
    if (depth > 0 && depth >= self->limit)
        return MX_ELIMIT;
    if (is_of_domain)
        return follow_domain(self, address, targets, depth);
    while (err == 0 && !self->is_enough && take_target(&targets, &target))
        err = follow_target(self, address, target, depth);
    return err;
}

int mx_aliases_follow(const struct mx_aliases *aliases, struct mx_span address, uint32_t limit,
                      mx_alias_fn *tell_fn, void *context) {
    struct walk walk = {.aliases = aliases, .tell = tell_fn, .context = context, .limit = limit};
    struct address key;
    assert(limit <= MX_ALIAS_DEPTH_MAX);
    if (aliases == NULL || !lower(address, &key))
        return 0;
    return follow(&walk, span_of(&key), 0);
}

static bool is_other(void *context, struct mx_span target) {
    struct mx_span *to = context;
    if (!mx_span_equal_nocase(*to, target))
        return true;
    *to = (struct mx_span){0}; /* found */
    return false;
}

bool mx_aliases_lead_to(const struct mx_aliases *aliases, uint32_t limit, struct mx_span from,
                        struct mx_span to) {
    if (mx_span_equal_nocase(from, to))
        return true;
    if (to.len == 0)
        return false;
    int err = mx_aliases_follow(aliases, from, limit, is_other, &to);
    return err == 0 && to.len == 0;
}
