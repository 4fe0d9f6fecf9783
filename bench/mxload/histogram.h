/* histogram.h - how often each duration was seen: a log-linear histogram.
 *
 * Below 128 ns each value has a cell of its own; above, each power of two is cut into 128 cells, so
 * that a value is known to 1/128 of itself. Longer than an hour counts as an hour. Pure.
 */
#pragma once
#include <stdint.h>

#define MX_HISTOGRAM_MAX_NS 3600000000000u

enum {
    MX_HISTOGRAM_BITS = 7,                            /* 1/128: under one per cent */
    MX_HISTOGRAM_CELLS = (42 - MX_HISTOGRAM_BITS + 1) /* 2^42 ns is more than an hour */
                         << MX_HISTOGRAM_BITS,
};

struct mx_histogram {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns; /* exact, as are sum and count */
    uint64_t cells[MX_HISTOGRAM_CELLS];
};

/* A zeroed struct is an empty histogram. */
void mx_histogram_record(struct mx_histogram *self, uint64_t value_ns);

/* Add what the other one has seen. */
void mx_histogram_merge(struct mx_histogram *self, const struct mx_histogram *other);

/* The smallest recorded value that at least `percent` (0..100] of all are not above; wrong by at
 * most 1/128 upwards, never above the maximum. 0 when nothing was recorded. */
uint64_t mx_histogram_percentile(const struct mx_histogram *self, double percent);
