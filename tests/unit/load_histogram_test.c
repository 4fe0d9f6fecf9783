/* load_histogram_test.c - percentiles against exact quantiles of the sorted values, on random data
 * of every scale; parts that are merged are the whole.
 */
#include "bench/mxload/histogram.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { COUNT = 20000 };

static uint64_t values[COUNT];
static const double percents[] = {0.001, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100};

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* At most 1 % above the exact one, never below it. */
static void check(const struct mx_histogram *histogram, unsigned count, const char *what) {
    qsort(values, count, sizeof *values, compare);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        unsigned rank = (unsigned)ceil(percents[i] / 100 * count - 1e-9);
        uint64_t exact = values[rank > 0 ? rank - 1 : 0];
        uint64_t got = mx_histogram_percentile(histogram, percents[i]);
        cr_expect(got >= exact && (double)(got - exact) <= 0.01 * (double)exact,
                  "%s: p%g of %u is %lu, exactly %lu", what, percents[i], count, (unsigned long)got,
                  (unsigned long)exact);
    }
    cr_expect_eq(histogram->max_ns, values[count - 1], "%s: max", what);
    cr_expect_eq(mx_histogram_percentile(histogram, 100), values[count - 1], "%s: p100", what);
}

/* Up to `bits` bits, each length as likely as the others when is_log. */
static uint64_t draw(struct rng *rng, unsigned bits, bool is_log) {
    unsigned n = is_log ? 1 + rng_take(rng, bits) : bits;
    uint64_t high = rng_take(rng, 0x7FFFFFFF), low = rng_take(rng, 0x7FFFFFFF);
    uint64_t value = (high << 31 | low) & ((UINT64_C(1) << n) - 1);
    return value < MX_HISTOGRAM_MAX_NS ? value : MX_HISTOGRAM_MAX_NS;
}

Test(load_histogram, percentiles_are_exact_to_one_per_cent) {
    static const unsigned counts[] = {1, 2, 3, 10, 99, 1000, COUNT};
    struct rng rng = {11};
    for (unsigned bits = 1; bits <= 42; bits++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            static struct mx_histogram histogram;
            histogram = (struct mx_histogram){0};
            for (unsigned k = 0; k < counts[i]; k++) {
                values[k] = draw(&rng, bits, bits % 2 == 0);
                mx_histogram_record(&histogram, values[k]);
            }
            check(&histogram, counts[i], bits % 2 == 0 ? "log" : "flat");
        }
    }
}

Test(load_histogram, merged_parts_are_the_whole) {
    static struct mx_histogram parts[3], sum;
    struct rng rng = {5};
    uint64_t total = 0;
    for (unsigned k = 0; k < COUNT; k++) {
        values[k] = draw(&rng, 40, true);
        total += values[k];
        mx_histogram_record(&parts[k % 3], values[k]);
    }
    for (unsigned i = 0; i < 3; i++)
        mx_histogram_merge(&sum, &parts[i]);
    cr_expect_eq(sum.count, (uint64_t)COUNT);
    cr_expect_eq(sum.sum_ns, total);
    check(&sum, COUNT, "merged");
}

/* Around each power of two: no cell is skipped or shared by values too far apart. */
Test(load_histogram, edges) {
    for (unsigned bit = 0; bit <= 41; bit++) {
        for (int off = -2; off <= 2; off++) {
            static struct mx_histogram histogram;
            histogram = (struct mx_histogram){0};
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)off;
            if (value > MX_HISTOGRAM_MAX_NS)
                continue;
            mx_histogram_record(&histogram, value);
            mx_histogram_record(&histogram, MX_HISTOGRAM_MAX_NS);
            uint64_t got = mx_histogram_percentile(&histogram, 50);
            cr_expect(got >= value && (double)(got - value) <= 0.01 * (double)value, "%lu: %lu",
                      (unsigned long)value, (unsigned long)got);
        }
    }
}

Test(load_histogram, longer_than_an_hour_is_an_hour) {
    static struct mx_histogram histogram;
    cr_expect_eq(mx_histogram_percentile(&histogram, 50), 0U, "empty");
    mx_histogram_record(&histogram, UINT64_MAX);
    cr_expect_eq(histogram.max_ns, (uint64_t)MX_HISTOGRAM_MAX_NS);
    cr_expect_eq(mx_histogram_percentile(&histogram, 50), (uint64_t)MX_HISTOGRAM_MAX_NS);
}
