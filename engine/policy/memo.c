#include "engine/policy/memo.h"

#include "engine/policy/digest.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { WAYS = 6, SECRET = MX_MEMO_SECRET, BUCKETS_MIN = 16, GROUP = 256 /* buckets */ };

#define YEAR_MS UINT64_C(31536000000)

struct bucket {
    atomic_flag lock;
    struct mx_memo_fact facts[WAYS]; /* until_ms 0: free */
};

struct mx_memo {
    struct bucket *buckets;
    uint64_t mask; /* buckets - 1 */
    /* of each group of them: was one ever used? Memory that was not is not to be touched by whoever
     * reads all of them */
    _Atomic bool *used;
    uint8_t secret[SECRET];
};

struct mx_memo *mx_memo_new(size_t octets) {
    uint64_t count = BUCKETS_MIN;
    while (count * 2 * sizeof(struct bucket) <= octets)
        count *= 2;
    struct mx_memo *self = malloc(sizeof *self);
    void *memory = mmap(NULL, count * sizeof(struct bucket), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    _Atomic bool *used = calloc(count / GROUP + 1, sizeof *used);
    bool is_good = self != NULL && used != NULL && memory != MAP_FAILED;
    if (is_good && getrandom(self->secret, SECRET, 0) == SECRET) {
        self->buckets = memory; /* zeros: all locks are clear, all facts free */
        self->mask = count - 1;
        self->used = used;
        return self;
    }
    free(used);
    free(self);
    if (memory != MAP_FAILED)
        munmap(memory, count * sizeof(struct bucket));
    return NULL;
}

void mx_memo_free(struct mx_memo *self) {
    if (self == NULL)
        return;
    munmap(self->buckets, (self->mask + 1) * sizeof(struct bucket));
    free(self->used);
    free(self);
}

struct mx_memo_key mx_memo_key(const struct mx_memo *self, enum mx_memo_space space_name,
                               struct mx_span text) {
    uint32_t space = space_name;
    uint8_t digest[MX_DIGEST_SHA256], secret[SECRET + sizeof space];
    struct mx_memo_key key;
    memcpy(secret, self->secret, SECRET);
    memcpy(secret + SECRET, &space, sizeof space);
    mx_digest_hmac_sha256((struct mx_span){(const char *)secret, sizeof secret}, text, digest);
    memcpy(key.words, digest, sizeof key.words);
    return key;
}

/* The fact, or the place where it can be put: a free one, or that of the first to be forgotten. */
static struct mx_memo_fact *find(struct bucket *bucket, struct mx_memo_key key, uint64_t now_ms,
                                 bool *is_new) {
    struct mx_memo_fact *oldest = &bucket->facts[0];
    *is_new = false;
    for (unsigned i = 0; i < WAYS; i++) {
        struct mx_memo_fact *fact = &bucket->facts[i];
        bool is_over = fact->until_ms <= now_ms;
        if (!is_over && fact->words[0] == key.words[0] && fact->words[1] == key.words[1])
            return fact;
        if (is_over)
            fact->until_ms = 0;
        if (fact->until_ms < oldest->until_ms)
            oldest = fact;
    }
    *is_new = true;
    *oldest = (struct mx_memo_fact){
        .words = {key.words[0], key.words[1]}
    };
    return oldest;
}

/* A few dozen instructions long, and one bucket of many. */
static struct bucket *lock(struct mx_memo *self, uint64_t number) {
    struct bucket *bucket = &self->buckets[number];
    _Atomic bool *used = &self->used[number / GROUP];
    if (!atomic_load_explicit(used, memory_order_relaxed))
        atomic_store_explicit(used, true, memory_order_relaxed);
    while (atomic_flag_test_and_set_explicit(&bucket->lock, memory_order_acquire))
        continue;
    return bucket;
}

static void unlock(struct bucket *bucket) {
    atomic_flag_clear_explicit(&bucket->lock, memory_order_release);
}

void mx_memo_update(struct mx_memo *self, struct mx_memo_key key, uint64_t now_ms, mx_memo_fn *fn,
                    void *context) {
    struct bucket *bucket = lock(self, key.words[0] & self->mask);
    bool is_new;
    struct mx_memo_fact *fact = find(bucket, key, now_ms, &is_new);
    uint64_t keep_ms = fn(context, fact, is_new);
    fact->until_ms = keep_ms > 0 ? now_ms + keep_ms : 0;
    unlock(bucket);
}

/* ---- for a file of it ---- */

const uint8_t *mx_memo_secret(const struct mx_memo *self) {
    return self->secret;
}

void mx_memo_set_secret(struct mx_memo *self, const uint8_t secret[MX_MEMO_SECRET]) {
    memcpy(self->secret, secret, SECRET);
}

size_t mx_memo_read(struct mx_memo *self, uint64_t *cursor, uint64_t now_ms,
                    struct mx_memo_fact *facts, size_t room) {
    size_t count = 0;
    assert(room >= WAYS);
    while (*cursor <= self->mask && count + WAYS <= room) {
        if (!atomic_load_explicit(&self->used[*cursor / GROUP], memory_order_relaxed)) {
            *cursor += GROUP - *cursor % GROUP;
            continue;
        }
        struct bucket *bucket = lock(self, (*cursor)++);
        for (unsigned i = 0; i < WAYS; i++) {
            if (bucket->facts[i].until_ms > now_ms)
                facts[count++] = bucket->facts[i];
        }
        unlock(bucket);
    }
    return count;
}

bool mx_memo_put(struct mx_memo *self, const struct mx_memo_fact *fact, uint64_t later_ms,
                 uint64_t now_ms) {
    struct mx_memo_key key = {
        .words = {fact->words[0], fact->words[1]}
    };
    uint64_t left_ms = fact->until_ms - later_ms - now_ms;
    bool is_new;
    if (left_ms == 0 || left_ms > YEAR_MS) /* it is over, or somebody has moved a clock */
        return false;
    struct bucket *bucket = lock(self, key.words[0] & self->mask);
    struct mx_memo_fact *place = find(bucket, key, now_ms, &is_new);
    place->first = fact->first - later_ms;
    place->second = fact->second;
    place->until_ms = now_ms + left_ms;
    unlock(bucket);
    return true;
}
