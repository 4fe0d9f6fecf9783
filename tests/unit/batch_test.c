/* batch_test.c - batchWait: auto on simulated machines: it waits where that is cheaper, does not
 * where it is dearer or no different, is not fooled by single odd windows, and changes its mind
 * when the machine changes.
 */
#include "engine/batch.h"
#include "engine/limits.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

enum { AUTO = -1, CONNS = 20, RECEIVES = 1000 };

struct machine {
    uint64_t without_ns, with_ns; /* CPU per receive */
    uint32_t noise;               /* per cent, up and down, of a window */
    uint32_t odd_every;           /* one window in so many costs three times as much */
};

static struct mx_batch batch;
static uint64_t now_ms, receives, cpu_ns;
static uint32_t last[CONNS];

static void begin(int32_t setting) {
    now_ms = 1000;
    receives = cpu_ns = 0;
    memset(last, 0, sizeof last);
    mx_batch_init(&batch, setting, now_ms);
}

/* One window; returns whether it waited. */
static bool run_window(const struct machine *m, struct rng *rng, uint32_t conns) {
    for (uint32_t i = 0; i < conns; i++)
        mx_batch_note(&batch, &last[i]);
    bool waits = mx_batch_events(&batch) > 1;
    uint64_t cost = waits ? m->with_ns : m->without_ns;
    cost = cost * (100 - m->noise + rng_take(rng, 2 * m->noise + 1)) / 100;
    if (m->odd_every > 0 && rng_take(rng, m->odd_every) == 0)
        cost *= 3;
    receives += RECEIVES;
    cpu_ns += cost * RECEIVES;
    now_ms += MX_BATCH_WINDOW_MS;
    cr_assert(mx_batch_is_over(&batch, now_ms));
    mx_batch_roll(&batch, now_ms, receives, cpu_ns);
    return waits;
}

/* Windows of the last half that waited, per cent. */
static uint32_t share(const struct machine *m, uint32_t windows, struct rng *rng) {
    uint32_t waited = 0;
    for (uint32_t i = 0; i < windows; i++) {
        bool waits = run_window(m, rng, CONNS);
        waited += waits && i >= windows / 2;
    }
    return waited * 200 / windows;
}

Test(batch, finds_out_what_is_cheaper) {
    static const struct {
        const char *name;
        struct machine machine;
        uint32_t least, most; /* share of windows that wait, per cent */
    } cases[] = {
        {"dear wake-ups",  {4000, 2400, 10, 0},  90, 100},
        {"cheap wake-ups", {4000, 4500, 10, 0},  0,  7  },
        {"no difference",  {4000, 4000, 0, 0},   0,  7  },
        {"odd windows",    {4000, 4400, 10, 20}, 0,  20 },
        {"dear and odd",   {4000, 2400, 10, 20}, 80, 100},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (uint32_t seed = 1; seed <= 20; seed++) {
            struct rng rng = {seed};
            begin(AUTO);
            uint32_t got = share(&cases[i].machine, 8000, &rng);
            cr_expect(got >= cases[i].least && got <= cases[i].most, "%s, seed %u: %u %%",
                      cases[i].name, seed, got);
        }
    }
}

Test(batch, changes_its_mind) {
    const struct machine dear = {4000, 2400, 10, 0}, cheap = {4000, 4800, 10, 0};
    struct rng rng = {1};
    begin(AUTO);
    cr_expect_geq(share(&dear, 4000, &rng), 90);
    cr_expect_leq(share(&cheap, 8000, &rng), 10);
    cr_expect_geq(share(&dear, 8000, &rng), 90);
}

Test(batch, few_connections_never_wait) {
    const struct machine dear = {4000, 2400, 0, 0};
    static const int32_t settings[] = {AUTO, 0, 150};
    for (size_t s = 0; s < 3; s++) {
        struct rng rng = {1};
        begin(settings[s]);
        for (int i = 0; i < 1000 && batch.wait_us > 0; i++)
            cr_assert(!run_window(&dear, &rng, MX_BATCH_MIN_CONNS - 1));
        cr_expect_eq(mx_batch_events(&batch), 1);
    }
}

Test(batch, off_and_fixed) {
    begin(0);
    cr_expect(!mx_batch_is_over(&batch, now_ms + 100000), "off: the clock is never asked");
    const struct machine any = {4000, 9000, 0, 0};
    struct rng rng = {1};
    begin(150);
    cr_expect_eq(batch.wait_us, 150);
    for (int i = 0; i < 100; i++)
        cr_expect(run_window(&any, &rng, CONNS), "a fixed wait does not measure");
    for (uint32_t i = 0; i < CONNS; i++)
        mx_batch_note(&batch, &last[i]);
    cr_expect_eq(mx_batch_events(&batch), CONNS / 2);
    for (uint32_t i = 0; i < 1000; i++)
        mx_batch_note(&batch, &(uint32_t){0});
    cr_expect_eq(mx_batch_events(&batch), MX_BATCH_MAX_EVENTS);
}
