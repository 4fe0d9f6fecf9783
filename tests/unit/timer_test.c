/* timer_test.c - the wheel against a plain array of deadlines: never early, at most one tick late,
 * over several rounds, with timers moved, cleared and set again while others fire.
 */
#include "engine/timer.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

enum { COUNT = 200, ROUND_MS = MX_TIMER_TICK_MS * MX_TIMER_SLOTS };

static struct mx_timer_wheel wheel;
static struct mx_timer timers[COUNT];
static uint64_t due[COUNT]; /* 0 = not set */

static void set(unsigned i, uint64_t due_ms) {
    mx_timer_set(&wheel, &timers[i], due_ms);
    due[i] = due_ms;
}

static void clear(unsigned i) {
    mx_timer_clear(&wheel, &timers[i]);
    due[i] = 0;
}

static void begin(uint64_t now_ms) {
    memset(timers, 0, sizeof timers);
    memset(due, 0, sizeof due);
    mx_timer_init(&wheel, now_ms);
}

static uint32_t count_set(void) {
    uint32_t count = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        cr_assert_eq(mx_timer_is_set(&timers[i]), due[i] != 0, "timer %u", i);
        count += due[i] != 0;
    }
    return count;
}

/* Fire all that are due; some handlers set, move or clear. */
static void fire(uint64_t now_ms, struct rng *seed) {
    struct mx_timer *timer;
    for (unsigned fired = 0; (timer = mx_timer_expire(&wheel, now_ms)) != NULL; fired++) {
        unsigned i = (unsigned)(timer - timers);
        cr_assert_lt(fired, 10U * COUNT, "the loop does not end");
        cr_assert_neq(due[i], 0U, "timer %u was not set", i);
        cr_assert_leq(due[i], now_ms, "timer %u is early", i);
        cr_assert_not(mx_timer_is_set(timer));
        due[i] = 0;
        unsigned other = rng_take(seed, COUNT);
        if (rng_take(seed, 4) == 0)
            set(i, now_ms + 1 + rng_take(seed, 2 * ROUND_MS));
        if (rng_take(seed, 4) == 0)
            clear(other);
        else if (rng_take(seed, 4) == 0)
            set(other, now_ms + 1 + rng_take(seed, 1000));
    }
    for (unsigned i = 0; i < COUNT; i++)
        cr_assert(due[i] == 0 || due[i] + MX_TIMER_TICK_MS > now_ms, "timer %u is late: %lu at %lu",
                  i, (unsigned long)due[i], (unsigned long)now_ms);
    cr_assert_eq(wheel.count, count_set());
}

/* Nobody sleeps past the tick of the next deadline. */
static void check_next(uint64_t now_ms) {
    uint64_t next_ms = mx_timer_next_ms(&wheel, now_ms), least = UINT64_MAX;
    for (unsigned i = 0; i < COUNT; i++) {
        if (due[i] != 0 && due[i] < least)
            least = due[i];
    }
    if (least == UINT64_MAX) {
        cr_assert_eq(next_ms, UINT64_MAX);
        return;
    }
    cr_assert_gt(next_ms, 0U);
    cr_assert_lt(now_ms + next_ms, (least > now_ms ? least : now_ms) + MX_TIMER_TICK_MS + 1,
                 "at %lu: wakes in %lu, next is %lu", (unsigned long)now_ms, (unsigned long)next_ms,
                 (unsigned long)least);
}

Test(timer, random_against_a_model) {
    static const uint32_t steps[] = {1, 10, MX_TIMER_TICK_MS, 5000, ROUND_MS / 3, 3 * ROUND_MS};
    struct rng seed = {1};
    for (unsigned run = 0; run < 30; run++) {
        uint64_t now_ms = rng_take(&seed, 10000000);
        uint32_t step = steps[run % 6];
        begin(now_ms);
        for (unsigned turn = 0; turn < 1000; turn++) {
            unsigned i = rng_take(&seed, COUNT);
            uint32_t far_ms = run % 2 ? 5 * ROUND_MS : 3000;
            if (rng_take(&seed, 3) > 0)
                set(i, now_ms + rng_take(&seed, far_ms) + 1);
            else
                clear(i);
            check_next(now_ms);
            now_ms += rng_take(&seed, 2 * step);
            fire(now_ms, &seed);
        }
    }
}

/* A loop that sleeps as long as it is told fires everything in time. */
Test(timer, sleeping_as_told) {
    struct rng seed = {7};
    uint64_t now_ms = 12345, fired = 0;
    begin(now_ms);
    for (unsigned i = 0; i < COUNT; i++)
        set(i, now_ms + rng_take(&seed, 4 * ROUND_MS));
    while (wheel.count > 0) {
        uint64_t next_ms = mx_timer_next_ms(&wheel, now_ms);
        cr_assert_neq(next_ms, UINT64_MAX);
        now_ms += next_ms;
        for (struct mx_timer *timer; (timer = mx_timer_expire(&wheel, now_ms)) != NULL; fired++) {
            unsigned i = (unsigned)(timer - timers);
            cr_assert(now_ms >= due[i] && now_ms <= due[i] + MX_TIMER_TICK_MS, "%lu for %lu",
                      (unsigned long)now_ms, (unsigned long)due[i]);
        }
    }
    cr_assert_eq(fired, (uint64_t)COUNT);
    cr_assert_eq(mx_timer_next_ms(&wheel, now_ms), UINT64_MAX);
}

Test(timer, edges) {
    begin(1000);
    cr_expect_null(mx_timer_expire(&wheel, 1000));
    clear(0); /* not in the wheel: no effect */
    set(0, 1000);
    set(1, 10); /* in the past: at once */
    cr_expect_eq(mx_timer_next_ms(&wheel, 1000), 1U);
    cr_expect_not_null(mx_timer_expire(&wheel, 1000));
    cr_expect_not_null(mx_timer_expire(&wheel, 1000));
    cr_expect_null(mx_timer_expire(&wheel, 1000));
    set(2, 1001);
    cr_expect_null(mx_timer_expire(&wheel, 1000));
    cr_expect_eq(mx_timer_expire(&wheel, 1001 + MX_TIMER_TICK_MS), &timers[2]);
    set(3, 1000 + 3 * (uint64_t)ROUND_MS);
    set(4, 2000);
    cr_expect_eq(mx_timer_expire(&wheel, 2 * (uint64_t)ROUND_MS), &timers[4], "the clock jumps");
    cr_expect_null(mx_timer_expire(&wheel, 2 * (uint64_t)ROUND_MS));
    cr_expect_eq(mx_timer_expire(&wheel, 9 * (uint64_t)ROUND_MS), &timers[3]);
    cr_expect_eq(wheel.count, 0U);
}
