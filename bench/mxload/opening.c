/* opening.c - the beginning of a session: greeting, hello, STARTTLS, AUTH. RFC 5321, 3207, 4954. */
#include "bench/mxload/client_impl.h"
#include "bench/mxload/secure.h"

static void say_hello(struct mx_load *load, struct mx_client *self) {
    mx_client_say(load, self, MX_STAGE_HELLO, self->is_helo ? load->kit->helo : load->kit->hello,
                  1);
}

void mx_opening_banner(struct mx_load *load, struct mx_client *self, int code,
                       struct mx_span text) {
    if (mx_answer_is_good(code))
        say_hello(load, self);
    else
        mx_client_unwanted(load, self, code, text);
}

static void say_auth(struct mx_load *load, struct mx_client *self, uint8_t step) {
    self->auth_step = step;
    mx_client_say(load, self, MX_STAGE_AUTH, load->kit->auth[step], 1);
}

void mx_opening_hello(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    const struct mx_plan *plan = load->plan;
    bool may_helo = code >= 500 && !self->is_helo && !plan->is_lmtp;
    if (!mx_answer_is_good(code) && may_helo) {
        self->is_helo = true;
        say_hello(load, self);
    } else if (!mx_answer_is_good(code)) {
        mx_client_unwanted(load, self, code, text);
    } else if (plan->is_starttls && !self->is_secure) {
        mx_client_say(load, self, MX_STAGE_STARTTLS, MX_SPAN("STARTTLS\r\n"), 1);
    } else if (plan->auth != NULL) {
        say_auth(load, self, 0);
    } else {
        mx_client_ready(load, self);
    }
}

void mx_opening_starttls(struct mx_load *load, struct mx_client *self, int code,
                         struct mx_span text) {
    if (mx_answer_is_good(code))
        mx_secure_begin(load, self);
    else
        mx_client_unwanted(load, self, code, text);
}

void mx_opening_auth(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    uint8_t next = (uint8_t)(self->auth_step + 1);
    if (mx_answer_is_good(code))
        mx_client_ready(load, self);
    else if (code >= 300 && code < 400 && next < MX_MAIL_AUTH && load->kit->auth[next].len > 0)
        say_auth(load, self, next);
    else if (code >= 400)
        mx_client_unwanted(load, self, code, text);
    else
        mx_client_drop(load, self, "the reply to AUTH is no answer to it");
}

void mx_client_secured(struct mx_load *load, struct mx_client *self) {
    if (load->plan->is_tls) {
        mx_client_expect(load, self, MX_STAGE_BANNER, 1);
        return;
    }
    self->is_helo = false; /* nothing of what was said in clear counts */
    say_hello(load, self);
}
