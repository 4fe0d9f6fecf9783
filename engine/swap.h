/* swap.h - how a reload reaches the workers: in three steps, each taken by all of them before the
 * next one begins, so that a connection that is handed over finds its listener wherever it comes.
 *
 *     INSTALL  new rules stand behind the addresses that stay; new addresses have their place,
 * those that go are not armed again. Then the main thread shuts these down. ARM      new addresses
 * accept RETIRE   nobody can come from an address that has gone any more: its place is free, and
 * the main thread closes the sockets
 *
 * Running sessions keep the rules they began with.
 */
#pragma once
#include "engine/limits.h"
#include "engine/log.h"
#include "engine/ring.h"
#include "engine/rules.h"

struct mx_worker;

enum mx_swap_step { MX_SWAP_INSTALL, MX_SWAP_ARM, MX_SWAP_RETIRE, MX_SWAP_STEPS };

/* A change of one place of the listeners' tables. */
struct mx_swap_place {
    struct mx_service *service; /* who is reached there; NULL: nobody, or it goes */
    const int *fds;             /* of each worker */
    sa_family_t family;
    bool is_new, is_going;
};

/* Written by the main thread before INSTALL, constant until RETIRE has been taken by all. */
struct mx_swap {
    struct mx_swap_place places[MX_LISTENERS_MAX];
    uint32_t count;
    enum mx_log_severity severity; /* log.level */
    uint32_t drain_timeout_ms;
};

/* A step of the n-th reload as a number that grows: what the messages carry. */
static inline uint32_t mx_swap_number(uint32_t reload, enum mx_swap_step step) {
    return reload * MX_SWAP_STEPS + (uint32_t)step;
}

/* The message has come (worker's thread): take the step, once. */
void mx_swap_on_message(struct mx_worker *self, const struct io_uring_cqe *cqe);

/* End of a turn: say when nobody can come from the addresses that go. */
void mx_swap_watch(struct mx_worker *self);
