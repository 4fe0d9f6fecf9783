#include "bench/mxload/histogram.h"

#include <assert.h>

enum { LINEAR = 1 << MX_HISTOGRAM_BITS };

static unsigned cell_of(uint64_t value) {
    if (value < LINEAR)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - MX_HISTOGRAM_BITS;
    return (shift << MX_HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

/* The largest value of a cell. */
static uint64_t top_of(unsigned cell) {
    if (cell < 2 * LINEAR)
        return cell;
    unsigned shift = (cell >> MX_HISTOGRAM_BITS) - 1;
    uint64_t mantissa = LINEAR + (cell & (LINEAR - 1));
    return ((mantissa + 1) << shift) - 1;
}

void mx_histogram_record(struct mx_histogram *self, uint64_t value_ns) {
    if (value_ns > MX_HISTOGRAM_MAX_NS)
        value_ns = MX_HISTOGRAM_MAX_NS;
    self->count++;
    self->sum_ns += value_ns;
    if (value_ns > self->max_ns)
        self->max_ns = value_ns;
    self->cells[cell_of(value_ns)]++;
}

void mx_histogram_merge(struct mx_histogram *self, const struct mx_histogram *other) {
    self->count += other->count;
    self->sum_ns += other->sum_ns;
    if (other->max_ns > self->max_ns)
        self->max_ns = other->max_ns;
    for (unsigned i = 0; i < MX_HISTOGRAM_CELLS; i++)
        self->cells[i] += other->cells[i];
}

uint64_t mx_histogram_percentile(const struct mx_histogram *self, double percent) {
    assert(percent > 0 && percent <= 100);
    /* The rank is rounded up, but 99.9 % of 1000 is 999 although 0.999 * 1000 is a little more. */
    double exact = percent / 100.0 * (double)self->count;
    uint64_t rank = (uint64_t)exact;
    if (exact - (double)rank > 1e-6 || rank == 0)
        rank++;
    uint64_t seen = 0;
    for (unsigned i = 0; i < MX_HISTOGRAM_CELLS && self->count > 0; i++) {
        seen += self->cells[i];
        if (seen >= rank)
            return top_of(i) < self->max_ns ? top_of(i) : self->max_ns;
    }
    return self->max_ns;
}
