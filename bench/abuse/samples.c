#include "bench/abuse/samples.h"

#include <stdlib.h>

void samples_add(struct samples *self, uint64_t ns) {
    if (self->count < SAMPLES_MAX)
        self->ns[self->count++] = ns;
}

static int compare_ns(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

double samples_quantile_us(struct samples *self, double share) {
    size_t at = (size_t)((double)self->count * share);
    qsort(self->ns, self->count, sizeof *self->ns, compare_ns);
    return self->count == 0 ? 0 : (double)self->ns[at < self->count ? at : at - 1] * 1e-3;
}
