/* client_impl.h - what client.c and opening.c share. Nobody else includes this. */
#pragma once
#include "bench/mxload/load.h"

/* Say a text and wait for so many replies, in that stage. */
void mx_client_say(struct mx_load *load, struct mx_client *self, enum mx_stage stage,
                   struct mx_span text, uint32_t answers);

/* Wait for so many replies, in that stage, from now on. */
void mx_client_expect(struct mx_load *load, struct mx_client *self, enum mx_stage stage,
                      uint32_t answers);

/* The server does not want this session: it is closed, and its message is refused. */
void mx_client_unwanted(struct mx_load *load, struct mx_client *self, int code,
                        struct mx_span text);

/* The session is ready for messages. */
void mx_client_ready(struct mx_load *load, struct mx_client *self);

/* Hearing, for a reply each: opening.c */
typedef void mx_answer_fn(struct mx_load *load, struct mx_client *self, int code,
                          struct mx_span text);
mx_answer_fn mx_opening_banner, mx_opening_hello, mx_opening_starttls, mx_opening_auth;

static inline bool mx_answer_is_good(int code) {
    return code >= 200 && code < 300;
}
