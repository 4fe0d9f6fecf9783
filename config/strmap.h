/* strmap.h - a set of texts that is built once and then only asked: for users and the like, up to
 * millions of rows.
 *
 * It knows only the hashes of the keys and one number for each; the caller has the keys and
 * compares them. One array of 8-octet slots, at most half full, linear probing. Look-ups are safe
 * on any number of threads. The hash has a random seed, so that nobody can choose names that are
 * slow.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

struct mx_strmap {
    struct mx_strmap_slot *slots;
    uint64_t seed;
    size_t octets; /* of the slots */
    uint32_t mask; /* slots - 1 */
    uint32_t count;
};

/* A walk over the rows that may have a key. */
struct mx_strmap_walk {
    uint32_t slot, tag;
};

/* Room for `rows` rows. Free with mx_strmap_free. -EFBIG: more than 2^30; -ENOMEM, or -errno when
 * there are no random numbers. */
MX_MUST_CHECK int mx_strmap_new(struct mx_strmap *self, uint32_t rows);
void mx_strmap_free(struct mx_strmap *self);

uint64_t mx_strmap_hash(const struct mx_strmap *self, struct mx_span key);

/* Add a row; there is room (see mx_strmap_new). */
void mx_strmap_put(struct mx_strmap *self, uint64_t hash, uint32_t value);

/* Begin at the rows of a hash, then take one value after the other until the caller has found its
 * key. False: there are no more. */
struct mx_strmap_walk mx_strmap_walk(const struct mx_strmap *self, uint64_t hash);
bool mx_strmap_next(const struct mx_strmap *self, struct mx_strmap_walk *walk, uint32_t *value);
