/* dns_cache_test.c - what is kept, until when, and what goes when there is no room: against a plain
 * list, on random questions.
 */
#include "engine/dns/cache.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct mx_dns_key key_of(const struct mx_dns_cache *cache, const char *name,
                                enum mx_dns_type type) {
    struct mx_span span = mx_span_of(name);
    return (struct mx_dns_key){mx_dns_cache_hash(cache, span), span, type};
}

static void keep(struct mx_dns_cache *cache, const char *name, enum mx_dns_type type,
                 const struct mx_dns_answer *answer, uint64_t until_ms) {
    struct mx_dns_key key = key_of(cache, name, type);
    mx_dns_cache_put(cache, &key, answer, until_ms);
}

static bool find(struct mx_dns_cache *cache, const char *name, enum mx_dns_type type,
                 uint64_t now_ms, struct mx_dns_answer *answer) {
    struct mx_dns_key key = key_of(cache, name, type);
    return mx_dns_cache_find(cache, &key, now_ms, answer);
}

static const struct mx_dns_answer no_such_name = {.status = MX_DNS_NXDOMAIN};
static const struct mx_dns_answer no_such_record = {.status = MX_DNS_NODATA};

Test(dns_cache, until_it_is_old) {
    struct mx_dns_cache *cache = mx_dns_cache_new(65536);
    struct mx_dns_answer found;
    const struct mx_dns_answer answer = {
        .status = MX_DNS_OK, .count = 1, .records = {"12345", 5}
    };
    keep(cache, "a.example", MX_DNS_A, &answer, 5000);
    cr_assert(find(cache, "a.example", MX_DNS_A, 4999, &found));
    cr_expect(found.status == MX_DNS_OK && found.count == 1 && found.ttl_s == 0);
    cr_expect(mx_span_equal(found.records, MX_SPAN("12345")));
    cr_expect(!find(cache, "a.example", MX_DNS_AAAA, 4999, &found), "another type");
    cr_expect(!find(cache, "b.example", MX_DNS_A, 4999, &found), "another name");
    cr_expect(!find(cache, "a.example", MX_DNS_A, 5000, &found), "too old");
    struct mx_dns_cache_use use = mx_dns_cache_use(cache);
    cr_expect(use.entries == 0 && use.octets == 0 && use.evicted == 0);
    mx_dns_cache_free(cache);
}

Test(dns_cache, what_is_not_there) {
    struct mx_dns_cache *cache = mx_dns_cache_new(65536);
    struct mx_dns_answer found;
    keep(cache, "a.example", MX_DNS_A, &no_such_record, 5000);
    cr_expect(!find(cache, "a.example", MX_DNS_MX, 1, &found), "no such record says no more");
    keep(cache, "b.example", MX_DNS_A, &no_such_name, 5000);
    cr_expect(find(cache, "b.example", MX_DNS_MX, 1, &found) && found.status == MX_DNS_NXDOMAIN,
              "a name that does not exist has no records at all");
    mx_dns_cache_free(cache);
}

Test(dns_cache, nothing_is_kept_without_room) {
    struct mx_dns_cache *cache = mx_dns_cache_new(0);
    struct mx_dns_answer found;
    keep(cache, "a.example", MX_DNS_A, &no_such_name, 5000);
    cr_expect(!find(cache, "a.example", MX_DNS_A, 1, &found));
    mx_dns_cache_free(cache);
    mx_dns_cache_free(NULL);
}

enum { NAMES = 400, STEPS = 200000, CACHE = 20000 };

/* What the cache may say of a name: what was put last, unless it is old. */
static struct {
    uint64_t until_ms;
    uint32_t value;
    bool is_known;
} model[NAMES];

Test(dns_cache, never_says_what_is_wrong) {
    struct mx_dns_cache *cache = mx_dns_cache_new(CACHE);
    struct rng rng = {4711};
    uint64_t now_ms = 1, hits = 0;
    char name[32], records[128] = {0};
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t n = rng_take(&rng, NAMES);
        struct mx_dns_answer found;
        snprintf(name, sizeof name, "host%u.example", n);
        now_ms += rng_take(&rng, 3);
        if (rng_take(&rng, 2)) {
            memcpy(records, &step, sizeof step);
            const struct mx_dns_answer answer = {
                .status = MX_DNS_OK, .count = 1, .records = {records, 4 + rng_take(&rng, 100)}
            };
            model[n].until_ms = now_ms + 1 + rng_take(&rng, 2000);
            model[n].value = step;
            model[n].is_known = true;
            keep(cache, name, MX_DNS_A, &answer, model[n].until_ms);
        } else if (find(cache, name, MX_DNS_A, now_ms, &found)) {
            cr_assert(model[n].is_known && now_ms < model[n].until_ms);
            cr_assert(memcmp(found.records.ptr, &model[n].value, 4) == 0);
            hits++;
        }
        cr_assert(mx_dns_cache_use(cache).octets <= CACHE);
    }
    cr_expect(hits > STEPS / 10 && mx_dns_cache_use(cache).evicted > STEPS / 10,
              "%zu hits, %zu evicted", (size_t)hits, (size_t)mx_dns_cache_use(cache).evicted);
    mx_dns_cache_free(cache);
}

Test(dns_cache, the_oldest_goes) {
    struct mx_dns_cache *cache = mx_dns_cache_new(4096);
    struct mx_dns_answer found;
    char name[32];
    keep(cache, "often.example", MX_DNS_A, &no_such_record, 5000);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "host%u.example", i);
        keep(cache, name, MX_DNS_A, &no_such_record, 5000);
        cr_assert(find(cache, "often.example", MX_DNS_A, 1, &found));
    }
    cr_expect(find(cache, "host999.example", MX_DNS_A, 1, &found));
    cr_expect(!find(cache, "host1.example", MX_DNS_A, 1, &found));
    mx_dns_cache_free(cache);
}
