/* server_dns.c - the resolver of a server: made, started, watched, summed up. */
#include "engine/dns/dns.h"
#include "engine/server.h"

#include <errno.h>

int mx_server_new_dns(struct mx_server *self) {
    if (self->accepts_all)
        return 0;
    int err = mx_dns_new(&self->fleet.dns, &self->conf->dns);
    if (err == -EINVAL)
        return mx_server_fail(self, MX_EXIT_CONFIG, "dns: c-ares cannot use its servers", err);
    return err < 0 ? mx_server_fail(self, MX_EXIT_SYSTEM, "dns", err) : 0;
}

int mx_server_start_dns(struct mx_server *self) {
    int err = self->fleet.dns != NULL ? mx_dns_start(self->fleet.dns, self->features) : 0;
    return err < 0 ? mx_server_fail(self, MX_EXIT_SYSTEM, "the resolver's thread", err) : 0;
}

void mx_server_watch_dns(struct mx_server *self) {
    if (self->fleet.dns == NULL)
        return;
    uint64_t unanswered = mx_dns_counters(self->fleet.dns).unanswered;
    if (!self->is_dns_silent && unanswered >= MX_DNS_SILENT) {
        self->is_dns_silent = true;
        mx_log_event(&self->log, MX_SEVERITY_WARN, "dns", "state",
                     "silent: no name server answers; hooks that ask go by their onFailure");
    } else if (self->is_dns_silent && unanswered == 0) {
        self->is_dns_silent = false;
        mx_log_event(&self->log, MX_SEVERITY_INFO, "dns", "state", "answers again");
    }
}

void mx_server_log_dns(struct mx_server *self, enum mx_log_severity severity) {
    struct mx_log_line line;
    if (self->fleet.dns == NULL)
        return;
    struct mx_dns_counters sums = mx_dns_counters(self->fleet.dns);
    mx_log_begin(&line, &self->log, severity, "dns");
#define PUT(name, unit, help) mx_log_u64(&line, #name, sums.name);
    MX_DNS_COUNTERS(PUT)
#undef PUT
    mx_log_end(&line);
}
