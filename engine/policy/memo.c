#include "engine/policy/memo.h"

#include "engine/policy/digest.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { WAYS = 6, SECRET = 32, BUCKETS_MIN = 16 };

struct bucket {
    atomic_flag lock;
    struct mx_memo_fact facts[WAYS]; /* until_ms 0: free */
};

struct mx_memo {
    struct bucket *buckets;
    uint64_t mask; /* buckets - 1 */
    uint8_t secret[SECRET];
};

struct mx_memo *mx_memo_new(size_t octets) {
    uint64_t count = BUCKETS_MIN;
    while (count * 2 * sizeof(struct bucket) <= octets)
        count *= 2;
    struct mx_memo *self = malloc(sizeof *self);
    void *memory = mmap(NULL, count * sizeof(struct bucket), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bool is_good = self != NULL && memory != MAP_FAILED;
    if (is_good && getrandom(self->secret, SECRET, 0) == SECRET) {
        self->buckets = memory; /* zeros: all locks are clear, all facts free */
        self->mask = count - 1;
        return self;
    }
    free(self);
    if (memory != MAP_FAILED)
        munmap(memory, count * sizeof(struct bucket));
    return NULL;
}

void mx_memo_free(struct mx_memo *self) {
    if (self == NULL)
        return;
    munmap(self->buckets, (self->mask + 1) * sizeof(struct bucket));
    free(self);
}

struct mx_memo_key mx_memo_key(const struct mx_memo *self, uint32_t space, struct mx_span text) {
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

void mx_memo_update(struct mx_memo *self, struct mx_memo_key key, uint64_t now_ms, mx_memo_fn *fn,
                    void *context) {
    struct bucket *bucket = &self->buckets[key.words[0] & self->mask];
    bool is_new;
    /* a few dozen instructions long, and one bucket of many */
    while (atomic_flag_test_and_set_explicit(&bucket->lock, memory_order_acquire))
        continue;
    struct mx_memo_fact *fact = find(bucket, key, now_ms, &is_new);
    uint64_t keep_ms = fn(context, fact, is_new);
    fact->until_ms = keep_ms > 0 ? now_ms + keep_ms : 0;
    atomic_flag_clear_explicit(&bucket->lock, memory_order_release);
}
