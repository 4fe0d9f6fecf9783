/* memo.h - what hooks remember of clients, senders and recipients beyond a connection: a bounded
 * table of small facts, shared by all workers.
 *
 * A fact has a key of 128 bits, which nobody can compute without the table's secret, a time when it
 * is forgotten, and two numbers. When a place for a new fact is wanted, the one of its bucket that
 * would be forgotten first goes. The memory is reserved at start and touched as it is used.
 */
#pragma once
#include "proto/err.h"
#include "proto/ip.h"
#include "proto/span.h"

struct mx_memo;

struct mx_memo_key {
    uint64_t words[2];
};

struct mx_memo_fact {
    uint64_t words[2]; /* private: the key */
    uint64_t until_ms; /* private: forgotten then */
    uint64_t first;    /* a moment, of the same clock as now_ms */
    uint64_t second;   /* a number */
};

/* For so many octets. NULL: out of memory. */
struct mx_memo *mx_memo_new(size_t octets);
void mx_memo_free(struct mx_memo *self);

/* Who remembers. In the files of servers that were: a number keeps its meaning. */
enum mx_memo_space { MX_MEMO_SPAM_TRAP = 1, MX_MEMO_GREYLIST = 2, MX_MEMO_RATE_LIMIT = 3 };

/* The key of a text in a space of its own. */
struct mx_memo_key mx_memo_key(const struct mx_memo *self, enum mx_memo_space space,
                               struct mx_span text);

/* Look at a fact and change it, alone: fn is called with the fact, zeroed when it is_new, and
 * returns how long it is remembered from now on (ms); 0: it is forgotten. fn neither waits nor
 * comes back here. */
typedef uint64_t mx_memo_fn(void *context, struct mx_memo_fact *fact, bool is_new);
void mx_memo_update(struct mx_memo *self, struct mx_memo_key key, uint64_t now_ms, mx_memo_fn *fn,
                    void *context);

/* ---- for a file of it (memo_file.h) ---- */

enum { MX_MEMO_SECRET = 32 };

const uint8_t *mx_memo_secret(const struct mx_memo *self);
/* Before any key is made. */
void mx_memo_set_secret(struct mx_memo *self, const uint8_t secret[MX_MEMO_SECRET]);

/* Copy facts that are not over, from *cursor on (0: the first), at least one bucket's. Returns how
 * many; 0: there are no more. Any thread. */
size_t mx_memo_read(struct mx_memo *self, uint64_t *cursor, uint64_t now_ms,
                    struct mx_memo_fact *facts, size_t room);

/* Take a fact whose clock began so much earlier (modulo 2^64). False: it is over. */
bool mx_memo_put(struct mx_memo *self, const struct mx_memo_fact *fact, uint64_t later_ms,
                 uint64_t now_ms);
