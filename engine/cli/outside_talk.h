/* outside_talk.h - one SMTP conversation of mxring check --public: lines, replies, TLS. Blocks;
 * each wait ends with outside->timeout_ms, all of it with so many of them.
 */
#pragma once
#include "engine/cli/outside.h"
#include "tls/client.h"

enum {
    MX_OUTSIDE_WAITS_MAX = 6, /* timeouts that a conversation may take altogether */
    MX_OUTSIDE_REPLY_LINES = 100,
    MX_OUTSIDE_SEALED = 32768,
};

struct mx_outside_talk {
    struct mx_outside *outside;
    const struct mx_ip *ip;
    struct mx_ip own_ip; /* of this end */
    char own_text[MX_IP_TEXT_MAX + 1];
    int fd;
    int64_t end_ms;
    bool is_silent;  /* it was time that ran out */
    bool offers_tls; /* in the last reply to EHLO */
    bool is_secure;
    const char *problem;           /* why it is over */
    char reply[MX_OUTSIDE_TEXT];   /* text of the last line of a reply, cut */
    char heard[MX_TLS_RECORD_MAX]; /* plain text that was not read yet */
    size_t heard_len;
    struct mx_tls_context *context;
    struct mx_tls tls;
    char cipher_text[MX_OUTSIDE_SEALED]; /* received, not opened yet */
    size_t cipher_len;
    char sealed[MX_OUTSIDE_SEALED];
};

void mx_outside_talk_init(struct mx_outside_talk *self, struct mx_outside *outside,
                          const struct mx_ip *ip);
void mx_outside_talk_end(struct mx_outside_talk *self);

/* False: problem says why. */
bool mx_outside_connect(struct mx_outside_talk *self);
bool mx_outside_secure(struct mx_outside_talk *self, struct mx_tls_facts *facts);

/* The code of the next reply, 200..599; 0: there is none, problem says why. */
int mx_outside_reply(struct mx_outside_talk *self);
/* ... to a command. */
int mx_outside_command(struct mx_outside_talk *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
