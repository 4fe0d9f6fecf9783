/* load_ring_test.c - a client's ring connects and does not accept, a worker's the other way round:
 * the kernel itself refuses what a ring is not for.
 */
#include "engine/ring.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t features;
static int listener;
static struct sockaddr_in address;

/* false: this machine cannot run the test. */
static bool begin(void) {
    if (mx_ring_probe(&features) < 0 || !(features & MX_RING_RESTRICT)) {
        fprintf(stderr, "skipped: no io_uring with restrictions here\n");
        return false;
    }
    features &= ~(uint32_t)MX_RING_DIRECT;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, len), 0);
    cr_assert_eq(listen(listener, 8), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    return true;
}

/* The result of the first completion. */
static int complete(struct mx_ring *ring) {
    struct mx_ring_wait wait = {.events = 1, .timeout_ns = 10000000000u};
    while (mx_ring_ready(ring) == 0)
        cr_assert_eq(mx_ring_turn(ring, &wait), 0);
    int result = mx_ring_cqe(ring, 0)->res;
    mx_ring_consume(ring, 1);
    return result;
}

static int try_connect(struct mx_ring *ring) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    mx_ring_connect(ring, fd, (struct sockaddr *)&address, sizeof address, 1);
    int result = complete(ring);
    close(fd);
    return result;
}

Test(load_ring, a_client_connects_and_cannot_accept) {
    if (!begin())
        return;
    cr_expect_eq(features & MX_RING_CLIENT, 0U, "nobody finds it by trying");
    struct mx_ring ring;
    cr_assert_eq(mx_ring_init(&ring, features | MX_RING_CLIENT, 0, 64), 0);
    cr_assert_eq(mx_ring_start(&ring), 0);
    cr_expect_eq(try_connect(&ring), 0);
    mx_ring_accept(&ring, listener, 1);
    cr_expect_eq(complete(&ring), -EACCES);
    mx_ring_deinit(&ring);
}

Test(load_ring, a_worker_cannot_connect) {
    if (!begin())
        return;
    struct mx_ring ring;
    cr_assert_eq(mx_ring_init(&ring, features, 0, 64), 0);
    cr_assert_eq(mx_ring_start(&ring), 0);
    ring.features |= MX_RING_CLIENT; /* too late: the kernel knows what it is for */
    cr_expect_eq(try_connect(&ring), -EACCES);
    mx_ring_deinit(&ring);
}

Test(load_ring, a_worker_that_connects_is_a_bug, .signal = SIGABRT) {
    struct mx_ring ring = {.features = MX_RING_BASE};
    mx_ring_connect(&ring, 0, (struct sockaddr *)&address, sizeof address, 1);
}
