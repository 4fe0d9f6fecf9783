/* ask.h - questions to the DNS for tools, which have the time to wait: no thread, no cache. */
#pragma once
#include "config/conf.h"
#include "proto/dns.h"

struct mx_dns_asker;

/* As for mx_dns_new. */
MX_MUST_CHECK int mx_dns_asker_new(struct mx_dns_asker **self, const struct mx_conf_dns *conf);
void mx_dns_asker_free(struct mx_dns_asker *self);

/* Ask and wait, for dns.deadline at most. *answer borrows from room; its status is MX_DNS_TIMEOUT
 * when nobody answered, MX_DNS_BUSY when the name is none that can be asked. */
void mx_dns_asker_ask(struct mx_dns_asker *self, enum mx_dns_type type, struct mx_span name,
                      struct mx_span room, struct mx_dns_answer *answer);
