/* service.h - one configured server (an entry of smtpservers / lmtpservers) as the workers see it:
 * its rules, and its counts over all workers.
 */
#pragma once
#include "config/conf.h"
#include "engine/iptable.h"
#include "engine/policy/auth.h"
#include "engine/policy/policy.h"
#include "engine/sink/sink.h"
#include "proto/session.h"

#include <stdatomic.h>

struct mx_rules;
struct mx_tally;
struct mx_tls_slot;

struct mx_service {
    const struct mx_conf *conf;
    const struct mx_conf_server *server;
    struct mx_session_conf session_conf;
    struct mx_chain chain;
    struct mx_auth_source auth;
    struct mx_rules *rules; /* of which it is one; set by the caller, as are the next two */
    struct mx_tally *tally;
    struct mx_iptable *iptable; /* NULL: no connectionLimitPerIP can be set */
    struct mx_tls_slot *tls;    /* NULL: none; likewise */
    uint32_t sink;              /* of the worker's sinks: 0, unless the caller sets another */
};

/* Fill the rules from a server's configuration. accepts_all: the benchmark preset (mxring sink). 0
 * or -ENOMEM. */
MX_MUST_CHECK int mx_service_init(struct mx_service *self, const struct mx_conf *conf,
                                  uint32_t server_index, bool accepts_all);
void mx_service_deinit(struct mx_service *self);

/* What its sessions must know of where their mail goes. */
void mx_service_set_sink(struct mx_service *self, const struct mx_sink_class *sink_class);

/* Which limit a connection does not fit under any more. */
enum mx_service_full {
    MX_FULL_NOT,
    MX_FULL_PROCESS, /* maxConnections; not mx_service_enter's business */
    MX_FULL_PROXY,   /* proxyFrom; likewise */
    MX_FULL_SERVICE, /* connectionLimit */
    MX_FULL_ADDRESS, /* connectionLimitPerIP */
};

/* Count one more, unless there are limit already (0: no limit); never too many, and never a wrong
 * refusal, whoever counts at the same time. */
MX_MUST_CHECK bool mx_service_count(_Atomic uint32_t *count, uint32_t limit);

/* Is the address one of proxyFrom's, or is everybody welcome? */
bool mx_service_admits(const struct mx_service *self, const struct mx_ip *peer);

/* Count a connection in, or say MX_FULL_SERVICE: then nothing is counted. */
MX_MUST_CHECK enum mx_service_full mx_service_enter(struct mx_service *self);
void mx_service_leave(struct mx_service *self);

/* The same for connectionLimitPerIP: MX_FULL_ADDRESS. */
MX_MUST_CHECK enum mx_service_full mx_service_enter_address(struct mx_service *self,
                                                            const struct mx_ip *address);
void mx_service_leave_address(struct mx_service *self, const struct mx_ip *address);

/* session->peer is known, or another one: what follows from it. */
void mx_service_know_client(const struct mx_service *self, struct mx_session *session);
