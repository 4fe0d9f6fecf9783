/* server_scan.c - who speaks with scanners for a server: made, started, summed up. */
#include "engine/scan/scan.h"
#include "engine/server.h"

#include <errno.h>

int mx_server_start_scan(struct mx_server *self) {
    if (self->accepts_all)
        return 0;
    self->fleet.scan = mx_scan_new(self->conf->engine.scan_talks);
    int err = self->fleet.scan != NULL ? mx_scan_start(self->fleet.scan, self->features) : -ENOMEM;
    return err < 0 ? mx_server_fail(self, MX_EXIT_SYSTEM, "the scanners' thread", err) : 0;
}

void mx_server_log_scan(struct mx_server *self, enum mx_log_severity severity) {
    struct mx_log_line line;
    if (self->fleet.scan == NULL)
        return;
    struct mx_scan_counters sums = mx_scan_counters(self->fleet.scan);
    if (sums.questions + sums.busy + sums.too_large + sums.no_memory == 0)
        return;
    mx_log_begin(&line, &self->log, severity, "scan");
#define PUT(name, unit, help) mx_log_u64(&line, #name, sums.name);
    MX_SCAN_COUNTERS(PUT)
#undef PUT
    mx_log_end(&line);
}
