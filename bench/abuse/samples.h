/* samples.h - times, and what most of them are below. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SAMPLES_MAX = 4000000 };

struct samples {
    size_t count;
    uint64_t ns[SAMPLES_MAX];
};

/* One more; what is over SAMPLES_MAX is left out. */
void samples_add(struct samples *self, uint64_t ns);
/* In microseconds. Sorts them. */
double samples_quantile_us(struct samples *self, double share);
