/* lookups.c - bench-lookups [ROWS [FOLDER]]: what a users file and an aliases file of so many rows
 * (a million) cost: time to load, memory, and a look-up as RCPT and verifyIdentity do it. The files
 * are written to FOLDER (TMPDIR, /tmp) and removed.
 *
 * A users line is as the converter takes it over from James (PBKDF2-SHA512), an alias has one
 * target. Look-ups are of names in random order, so that each misses the caches; the least of
 * several rounds counts, since a machine is only ever slowed down by others.
 */
#include "config/aliases.h"
#include "config/users.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 7, KEYS = 1 << 19, KEY_MAX = 48, ALIAS_LIMIT = 10 };

static const char hash[] =
    "{PBKDF2-SHA512-1000-512}xw2MotJNPFnB2TqUd9lUC9+LtnjYa6LohBKU24reLwclIDu4FXCcXPxcobnvc1V"
    "XYNYYCTsLUhWs3yxgHSuVwQ==";

static double now_s(void) {
    struct timespec time;
    int err = clock_gettime(CLOCK_MONOTONIC, &time);
    assert(err == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    exit(1);
}

/* Resident octets of this process. */
static double resident(void) {
    unsigned long size, pages;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%lu %lu", &size, &pages) != 2)
        fail("/proc/self/statm");
    if (fclose(file) != 0)
        fail("/proc/self/statm");
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* ---- files ---- */

static void write_file(const char *path, uint32_t rows, bool is_users) {
    FILE *file = fopen(path, "we");
    if (file == NULL || fchmod(fileno(file), S_IRUSR | S_IWUSR) < 0)
        fail(path);
    for (uint32_t i = 0; i < rows; i++) {
        if (is_users)
            fprintf(file, "user.%u@example.com:%s\n", i, hash);
        else
            fprintf(file, "alias.%u@example.com: user.%u@example.com\n", i, i);
    }
    if (fclose(file) != 0)
        fail(path);
}

/* ---- keys ---- */

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

struct keys {
    char *texts;
    struct mx_span *rows;
};

/* "<name>.NUMBER@example.com", numbers below `rows` in random order. */
static struct keys keys_new(const char *name, uint32_t rows) {
    struct keys keys = {calloc(KEYS, KEY_MAX), calloc(KEYS, sizeof *keys.rows)};
    uint64_t state = UINT64_C(88172645463325252);
    if (keys.texts == NULL || keys.rows == NULL)
        fail("keys");
    for (uint32_t i = 0; i < KEYS; i++) {
        char *text = keys.texts + (size_t)i * KEY_MAX;
        int len = snprintf(text, KEY_MAX, "%s.%u@Example.com", name,
                           (unsigned)(next_random(&state) % rows));
        assert(len > 0 && len < KEY_MAX);
        keys.rows[i] = (struct mx_span){text, (size_t)len};
    }
    return keys;
}

static void keys_free(struct keys *keys) {
    free(keys->texts);
    free(keys->rows);
}

/* ---- look-ups ---- */

struct files {
    struct mx_users *users;
    struct mx_aliases *aliases;
};

typedef bool lookup_fn(const struct files *files, struct mx_span key);

static bool find_user(const struct files *files, struct mx_span key) {
    return mx_users_find(files->users, key, NULL);
}

static bool has_alias(const struct files *files, struct mx_span key) {
    return mx_aliases_has(files->aliases, key);
}

static bool is_user(void *context, struct mx_span target) {
    const struct files *files = context;
    return !mx_users_find(files->users, target, NULL);
}

/* anyMappingValid: what the alias stands for, and whether that is a user. */
static bool follow_alias(const struct files *files, struct mx_span key) {
    return mx_aliases_follow(files->aliases, key, ALIAS_LIMIT, is_user, (void *)(uintptr_t)files) ==
           0;
}

/* verifyIdentity: an alias of the one who is logged in. */
static bool leads_to(const struct files *files, struct mx_span key) {
    return !mx_aliases_lead_to(files->aliases, ALIAS_LIMIT, key, MX_SPAN("bob@example.com"));
}

static void measure(const char *what, const struct files *files, lookup_fn *lookup,
                    const char *name, uint32_t rows, bool wanted) {
    struct keys keys = keys_new(name, rows);
    double least = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t found = 0;
        double begin = now_s();
        for (uint32_t i = 0; i < KEYS; i++)
            found += lookup(files, keys.rows[i]);
        double took = now_s() - begin;
        if (found != (wanted ? KEYS : 0)) {
            fprintf(stderr, "%s: %u of %d found\n", what, found, KEYS);
            /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
            exit(1);
        }
        least = round == 0 || took < least ? took : least;
    }
    printf("%-44s %8.0f ns\n", what, least / KEYS * 1e9);
    keys_free(&keys);
}

/* ---- main ---- */

static void load(struct files *files, const char *users_path, const char *aliases_path) {
    static const struct mx_span domains[] = {MX_SPAN("example.com")};
    const struct mx_conf conf = {.domains = domains, .domain_count = 1};
    struct mx_conf_report report = {0};
    double memory = resident(), begin = now_s();
    if (mx_users_load(users_path, &report, &files->users) < 0)
        fail(users_path);
    double between = resident(), middle = now_s();
    if (mx_aliases_load(aliases_path, &conf, &report, &files->aliases) < 0)
        fail(aliases_path);
    double end = now_s();
    printf("%-44s %8.2f s  %8.0f MiB\n", "users: load", middle - begin,
           (between - memory) / (1 << 20));
    printf("%-44s %8.2f s  %8.0f MiB\n", "aliases: load", end - middle,
           (resident() - between) / (1 << 20));
    mx_conf_report_free(&report);
}

static void put_path(char path[PATH_MAX], const char *folder, const char *name) {
    int len = snprintf(path, PATH_MAX, "%s/bench-lookups.%d.%s", folder, (int)getpid(), name);
    if (len < 0 || len >= PATH_MAX)
        fail(folder);
}

int main(int argc, char **argv) {
    char users_path[PATH_MAX], aliases_path[PATH_MAX];
    struct files files = {0};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    const char *folder = argc > 2 ? argv[2] : getenv("TMPDIR");
    long rows = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    if (rows < 1 || rows > 10000000 || argc > 3) {
        fputs("usage: bench-lookups [ROWS [FOLDER]]\n", stderr);
        return 64;
    }
    folder = folder != NULL ? folder : "/tmp";
    put_path(users_path, folder, "users");
    put_path(aliases_path, folder, "aliases");
    write_file(users_path, (uint32_t)rows, true);
    write_file(aliases_path, (uint32_t)rows, false);
    load(&files, users_path, aliases_path);
    if (unlink(users_path) < 0 || unlink(aliases_path) < 0)
        fail("unlink");
    uint32_t count = (uint32_t)rows;
    measure("user that is there", &files, find_user, "User", count, true);
    measure("user that is not", &files, find_user, "nobody", count, false);
    measure("alias that is there", &files, has_alias, "Alias", count, true);
    measure("alias that is not", &files, has_alias, "nobody", count, false);
    measure("alias, its target, and that it is a user", &files, follow_alias, "alias", count, true);
    measure("alias of whom (verifyIdentity)", &files, leads_to, "alias", count, true);
    mx_aliases_free(files.aliases);
    mx_users_free(files.users);
    return 0;
}
