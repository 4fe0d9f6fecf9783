/* micro.c - GB/s of the line scanner and the DATA scanner, by instruction set, line length and
 * buffer size, beside memcpy, memchr and memmem on the same octets. One thread, best of repeats.
 *
 * Usage: micro [--quick]. Ends in less than 20 s (2 s with --quick, which leaves out the cells in
 * memory and measures the others for a shorter time).
 */
#include "proto/dot.h"
#include "proto/scan.h"

#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

enum { ENDS_CAP = 4096, SLICES_CAP = 256, LINES_MIXED = 0 };

/* The scalar variants see no more than this much of a buffer: memory is not what limits them. */
enum { SCALAR_LEN_MAX = 8 << 20 };

struct job {
    struct mx_span in;
    char *to; /* memcpy's target, as long as in */
    enum mx_isa isa;
};

/* One pass over the octets of a job. The result only keeps the compiler from dropping the work. */
typedef size_t pass_fn(const struct job *job);

static size_t pass_memcpy(const struct job *job) {
    memcpy(job->to, job->in.ptr, job->in.len);
    return (size_t)job->to[job->in.len / 2];
}

static size_t pass_memchr(const struct job *job) {
    return memchr(job->in.ptr, '\1', job->in.len) != NULL;
}

static size_t pass_memmem(const struct job *job) {
    return memmem(job->in.ptr, job->in.len, "\r\n.\r\n", 5) != NULL;
}

static size_t pass_memchr_lines(const struct job *job) {
    struct mx_span rest = job->in;
    size_t count = 0;
    const char *lf;
    while (rest.len > 0 && (lf = memchr(rest.ptr, '\n', rest.len)) != NULL) {
        rest = mx_span_skip(rest, (size_t)(lf + 1 - rest.ptr));
        count++;
    }
    return count;
}

static size_t pass_lines(const struct job *job) {
    static uint32_t ends[ENDS_CAP];
    mx_scan_lines_fn *scan = mx_scan_lines_variant(job->isa);
    struct mx_span rest = job->in;
    size_t count = 0, n;
    do {
        n = scan(rest, ends, ENDS_CAP);
        count += n;
        if (n > 0)
            rest = mx_span_skip(rest, ends[n - 1]);
    } while (n == ENDS_CAP);
    return count;
}

static size_t pass_dots(const struct job *job) {
    static struct mx_span slices[SLICES_CAP];
    mx_dot_scan_fn *scan = mx_dot_scan_variant((int)job->isa);
    struct mx_span rest = job->in;
    struct mx_dot dot;
    size_t count = 0, n;
    enum mx_dot_result result;
    mx_dot_init(&dot);
    do {
        n = SLICES_CAP;
        result = scan(&dot, &rest, slices, &n);
        count += n;
    } while (result == MX_DOT_FULL);
    return count;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best of repeats, each of 1 MiB or more, until the budget is used up; two at least. */
static double rate_gb_s(pass_fn *pass, const struct job *job, double budget_s) {
    static volatile size_t sink;
    double begin = now_s(), best = 0;
    size_t rounds = (size_t)1 << 20 > job->in.len ? ((size_t)1 << 20) / job->in.len : 1;
    for (unsigned repeat = 0; repeat < 2 || now_s() - begin < budget_s; repeat++) {
        double start = now_s();
        for (size_t i = 0; i < rounds; i++)
            sink = pass(job);
        double rate = (double)(rounds * job->in.len) / (now_s() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    (void)sink;
    return best;
}

/* Lines of line_len octets with their CRLF; LINES_MIXED: 2..141, 72 on average, no pattern. One
 * line in stuffed_every begins with a dot (0: none). */
static void fill(char *to, size_t len, size_t line_len, unsigned stuffed_every) {
    uint32_t seed = 1;
    unsigned lines = 0;
    for (size_t at = 0; at < len; lines++) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = line_len != LINES_MIXED ? line_len : 2 + (seed >> 16) % 140;
        n = n < len - at ? n : len - at;
        memset(to + at, 'a' + (int)(lines % 26), n);
        if (stuffed_every != 0 && lines % stuffed_every == 0 && n >= 4)
            memcpy(to + at, "..", 2);
        if (n >= 2)
            memcpy(to + at + n - 2, "\r\n", 2);
        at += n;
    }
}

static const struct row {
    const char *name;
    size_t line_len;
    unsigned stuffed_every;
} rows[] = {
    {"30",             30,          0  },
    {"72",             72,          0  },
    {"200",            200,         0  },
    {"2-141 random",   LINES_MIXED, 0  },
    {"72, 1% stuffed", 72,          100},
};

static double rate_variant(pass_fn *pass, const struct job *job, int isa, double budget_s) {
    struct job variant = *job;
    variant.isa = (enum mx_isa)isa;
    if (isa == MX_ISA_SCALAR && job->in.len > SCALAR_LEN_MAX)
        variant.in.len = SCALAR_LEN_MAX;
    return rate_gb_s(pass, &variant, budget_s);
}

static void print_row(const struct row *row, const struct job *job, double budget_s) {
    const int best = (int)mx_isa_best();
    printf("%-15s %6.1f |", row->name, rate_gb_s(pass_memchr_lines, job, budget_s));
    for (int isa = 0; isa <= best; isa++)
        printf(" %6.1f", rate_variant(pass_lines, job, isa, budget_s));
    printf(" | %6.1f |", rate_gb_s(pass_memmem, job, budget_s));
    for (int isa = 0; isa <= best; isa++)
        printf(" %6.1f", rate_variant(pass_dots, job, isa, budget_s));
    puts("");
}

static void print_table(const struct job *job, double budget_s) {
    fill((char *)(uintptr_t)job->in.ptr, job->in.len, 72, 0);
    memset(job->to, 0, job->in.len); /* its pages exist before the clock runs */
    printf("\nbuffer %zu KiB, GB/s (memcpy %.1f, memchr of an absent octet %.1f)\n",
           job->in.len / 1024, rate_gb_s(pass_memcpy, job, budget_s),
           rate_gb_s(pass_memchr, job, budget_s));
    printf("%-15s %6s |", "line length", "memchr");
    for (int isa = 0; isa <= (int)mx_isa_best(); isa++)
        printf(" %6s", mx_isa_name((enum mx_isa)isa));
    printf(" | %6s |", "memmem");
    for (int isa = 0; isa <= (int)mx_isa_best(); isa++)
        printf(" %6s", mx_isa_name((enum mx_isa)isa));
    puts("");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fill((char *)(uintptr_t)job->in.ptr, job->in.len, rows[i].line_len, rows[i].stuffed_every);
        print_row(&rows[i], job, budget_s);
        (void)fflush(stdout);
    }
}

/* NULL, with errno set, if there is no memory. */
static char *map(size_t len) {
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED ? at : NULL;
}

int main(int argc, char **argv) {
    bool is_quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
    if (argc > 1 && !is_quick) {
        fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
        return 64;
    }
    static const size_t sizes[] = {(size_t)16 << 10, (size_t)1 << 20, (size_t)256 << 20};
    size_t size_count = is_quick ? 2 : 3;
    char *from = map(sizes[size_count - 1]), *to = map(sizes[size_count - 1]);
    if (from == NULL || to == NULL) {
        perror("micro: mmap");
        return 71;
    }
    printf("best instruction set here: %s; left: line ends, right: DATA\n",
           mx_isa_name(mx_isa_best()));
    for (size_t i = 0; i < size_count; i++) {
        struct job job = {
            .in = {from, sizes[i]},
              .to = to
        };
        print_table(&job, is_quick ? 0.015 : 0.06);
    }
    return 0;
}
