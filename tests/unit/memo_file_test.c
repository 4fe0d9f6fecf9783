/* memo_file_test.c - facts that outlive their process: by another clock, in another table, from a
 * file that is cut or changed at every octet.
 */
#include "engine/policy/memo_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FACTS = 40, TEXT_MAX = 32, FILE_MAX = 1 << 16 };

static char folder[64], path[96];

static void begin(void) {
    snprintf(folder, sizeof folder, "/tmp/mxring-memo-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/policy", folder);
}

static void end(void) {
    unlink(path);
    cr_expect_eq(rmdir(folder), 0, "nothing else was left behind");
}

TestSuite(memo_file, .init = begin, .fini = end);

struct look {
    uint64_t keep_ms, first, second;
    bool is_new, has_change;
};

static uint64_t on_fact(void *context, struct mx_memo_fact *fact, bool is_new) {
    struct look *self = context;
    self->is_new = is_new;
    if (self->has_change) {
        fact->first = self->first;
        fact->second = self->second;
    }
    self->first = fact->first;
    self->second = fact->second;
    return self->keep_ms;
}

/* Fact number i: known for i + 1 seconds, seen i seconds ago. */
static void put(struct mx_memo *memo, unsigned i, uint64_t now_ms) {
    char text[TEXT_MAX];
    struct look look = {(i + 1) * UINT64_C(1000), now_ms - i * UINT64_C(1000), i, false, true};
    snprintf(text, sizeof text, "fact %u", i);
    mx_memo_update(memo, mx_memo_key(memo, MX_MEMO_GREYLIST, mx_span_of(text)), now_ms, on_fact,
                   &look);
}

/* False: it is not known. Looking forgets it. */
static bool take(struct mx_memo *memo, unsigned i, uint64_t now_ms, struct look *look) {
    char text[TEXT_MAX];
    *look = (struct look){.keep_ms = 0};
    snprintf(text, sizeof text, "fact %u", i);
    mx_memo_update(memo, mx_memo_key(memo, MX_MEMO_GREYLIST, mx_span_of(text)), now_ms, on_fact,
                   look);
    return !look->is_new;
}

static struct mx_memo *filled(uint64_t now_ms) {
    struct mx_memo *memo = mx_memo_new(1 << 20);
    cr_assert_not_null(memo);
    for (unsigned i = 0; i < FACTS; i++)
        put(memo, i, now_ms);
    return memo;
}

static struct mx_memo_result save(struct mx_memo *memo, struct mx_memo_moment moment) {
    struct mx_memo_result result;
    cr_assert_eq(mx_memo_save(memo, path, &moment, 0, &result), 0);
    return result;
}

/* Another process, whose clock began at another time; so much later by the wall clock. */
Test(memo_file, another_clock) {
    static const struct {
        const char *name;
        uint64_t now_ms, later_ms;
    } rows[] = {
        {"the same machine",   1000000,                0   },
        {"a moment later",     1005500,                5500},
        {"behind a reboot",    10,                     5500},
        {"on another machine", UINT64_C(900000000000), 5500},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct mx_memo_moment old = {1000000, UINT64_C(1700000000000)};
        struct mx_memo_moment new = {rows[r].now_ms, old.wall_ms + rows[r].later_ms};
        struct mx_memo *memo = filled(old.now_ms), *other = mx_memo_new(1 << 16);
        cr_expect_eq(save(memo, old).facts, (uint64_t)FACTS);
        struct mx_memo_result result;
        cr_assert_eq(mx_memo_load(other, path, &new, &result), 0);
        cr_expect(!result.is_damaged);
        uint64_t over = rows[r].later_ms / 1000;
        cr_expect_eq(result.facts, FACTS - over, "%s: %lu", rows[r].name, result.facts);
        for (unsigned i = 0; i < FACTS; i++) {
            struct look look;
            bool is_known = take(other, i, new.now_ms, &look);
            cr_expect_eq(is_known, i >= over, "%s: %u", rows[r].name, i);
            if (!is_known)
                continue;
            cr_expect_eq(look.second, i);
            cr_expect_eq(new.now_ms - look.first, i * UINT64_C(1000) + rows[r].later_ms,
                         "%s: its age", rows[r].name);
        }
        mx_memo_free(memo);
        mx_memo_free(other);
    }
}

/* A clock that was wrong by years must not keep anybody for years. */
Test(memo_file, a_clock_that_jumps) {
    struct mx_memo_moment old = {1000000, UINT64_C(1700000000000)};
    struct mx_memo *memo = filled(old.now_ms), *other = mx_memo_new(1 << 16);
    save(memo, old);
    struct mx_memo_result result;
    struct mx_memo_moment past = {1000000, UINT64_C(1600000000000)}, zero = {1000000, 0};
    cr_assert_eq(mx_memo_load(other, path, &past, &result), 0);
    cr_expect_eq(result.facts, 0U);
    cr_assert_eq(mx_memo_load(other, path, &zero, &result), 0);
    cr_expect_eq(result.facts, 0U);
    mx_memo_free(memo);
    mx_memo_free(other);
}

Test(memo_file, nothing_there) {
    struct mx_memo *memo = mx_memo_new(1 << 16);
    struct mx_memo_moment moment = {1, 2};
    struct mx_memo_result result;
    cr_expect_eq(mx_memo_load(memo, path, &moment, &result), 0);
    cr_expect(result.facts == 0 && !result.is_damaged);
    cr_expect_eq(mx_memo_save(memo, "/nowhere/at/all", &moment, 0, &result), -ENOENT);
    cr_expect_eq(mx_memo_load(memo, folder, &moment, &result), -EISDIR);
    mx_memo_free(memo);
}

Test(memo_file, only_its_owner_reads_it) {
    struct mx_memo *memo = filled(1000000);
    struct mx_memo_moment moment = {1000000, UINT64_C(1700000000000)};
    struct stat stat_of;
    save(memo, moment);
    cr_assert_eq(stat(path, &stat_of), 0);
    cr_expect_eq(stat_of.st_mode & 0777, 0600U);
    mx_memo_free(memo);
}

/* The same again is not written. */
Test(memo_file, unchanged) {
    struct mx_memo *memo = filled(1000000);
    struct mx_memo_moment moment = {1000000, UINT64_C(1700000000000)};
    struct mx_memo_result first = save(memo, moment), second;
    struct stat before, after;
    cr_assert_eq(stat(path, &before), 0);
    cr_assert_eq(mx_memo_save(memo, path, &moment, first.crc, &second), 0);
    cr_assert_eq(stat(path, &after), 0);
    cr_expect_eq(before.st_ino, after.st_ino);
    put(memo, FACTS, moment.now_ms);
    cr_assert_eq(mx_memo_save(memo, path, &moment, first.crc, &second), 0);
    cr_assert_eq(stat(path, &after), 0);
    cr_expect_neq(before.st_ino, after.st_ino);
    mx_memo_free(memo);
}

/* ---- damage ---- */

static size_t read_file(char *text) {
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, text, FILE_MAX);
    close(fd);
    cr_assert(len > 0 && len < FILE_MAX);
    return (size_t)len;
}

static void write_file(const char *text, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
}

/* What is taken is sound, and that something is missing is said. */
static void expect_damage(struct mx_memo *memo, const struct mx_memo_moment *moment,
                          const char *what, size_t at) {
    struct mx_memo_result result;
    cr_assert_eq(mx_memo_load(memo, path, moment, &result), 0);
    cr_expect(result.is_damaged, "%s at %zu", what, at);
    cr_expect(result.facts == 0 || result.facts == FACTS, "%s at %zu", what, at);
    for (unsigned i = 0; i < FACTS; i++) {
        struct look look;
        if (!take(memo, i, moment->now_ms, &look))
            continue;
        cr_expect_eq(look.second, i, "%s at %zu: fact %u", what, at, i);
        cr_expect_eq(look.first, moment->now_ms - i * UINT64_C(1000));
    }
}

Test(memo_file, cut_and_changed_everywhere) {
    static char text[FILE_MAX];
    struct mx_memo_moment moment = {1000000, UINT64_C(1700000000000)};
    struct mx_memo *memo = filled(moment.now_ms), *other = mx_memo_new(1 << 16);
    save(memo, moment);
    size_t len = read_file(text);
    for (size_t at = 0; at < len; at++) {
        write_file(text, at);
        expect_damage(other, &moment, "cut", at);
        text[at] ^= 0x20;
        write_file(text, len);
        expect_damage(other, &moment, "changed", at);
        text[at] ^= 0x20;
    }
    mx_memo_free(memo);
    mx_memo_free(other);
}

/* More than one block, more than the smaller table holds. */
Test(memo_file, many) {
    enum { MANY = 5000 };
    struct mx_memo_moment moment = {100000000, UINT64_C(1700000000000)};
    struct mx_memo *memo = mx_memo_new(4 << 20), *small = mx_memo_new(1 << 14),
                   *same = mx_memo_new(4 << 20);
    for (unsigned i = 0; i < MANY; i++)
        put(memo, i, moment.now_ms);
    struct mx_memo_result saved = save(memo, moment), loaded;
    cr_expect_gt(saved.facts, MANY - 50U, "hardly any was displaced: %lu", saved.facts);
    cr_assert_eq(mx_memo_load(same, path, &moment, &loaded), 0);
    cr_expect(loaded.facts == saved.facts && !loaded.is_damaged && loaded.octets == saved.octets);
    cr_expect_eq(save(same, moment).facts, saved.facts);
    cr_assert_eq(mx_memo_load(small, path, &moment, &loaded), 0);
    cr_expect_lt(save(small, moment).facts, 500U, "as many as there is room for");
    mx_memo_free(memo);
    mx_memo_free(small);
    mx_memo_free(same);
}
