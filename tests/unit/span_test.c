/* span_test.c - spans may be empty, and then without a pointer. */
#include "proto/session.h"

#include <criterion/criterion.h>

/* NULL + 0 is undefined in C; clang's UndefinedBehaviorSanitizer sees it, gcc's does not. */
Test(span, skip_nothing_of_nothing) {
    struct mx_span rest = mx_span_skip((struct mx_span){0}, 0);
    cr_expect_null(rest.ptr);
    cr_expect_eq(rest.len, (size_t)0);
}

Test(span, skip) {
    struct mx_span text = MX_SPAN("abc");
    cr_expect_str_eq(mx_span_skip(text, 0).ptr, "abc");
    cr_expect_eq(mx_span_skip(text, 0).len, (size_t)3);
    cr_expect_str_eq(mx_span_skip(text, 2).ptr, "c");
    cr_expect_eq(mx_span_skip(text, 3).len, (size_t)0);
}

/* A driver that has nothing yet steps with such a span. */
Test(span, step_on_nothing) {
    static const struct mx_session_conf conf = {.hello_name = MX_SPAN("mx.test"),
                                                .max_line_octets = 1000};
    struct mx_session_shared shared = {0};
    struct mx_session session;
    char room[MX_OUT_ROOM_MIN];
    struct mx_out out = {room, 0, sizeof room};
    struct mx_span in = {0};
    mx_session_init(&session, &conf, &shared, 1);
    cr_expect_eq(mx_session_step(&session, &in, &out), MX_ACTION_INPUT);
    mx_session_farewell(&session, MX_FAREWELL_SHUTDOWN, &out);
    cr_expect_eq(mx_session_step(&session, &in, &out), MX_ACTION_CLOSE);
}
