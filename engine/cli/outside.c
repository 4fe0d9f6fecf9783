#include "engine/cli/outside.h"

#include <stdarg.h>

void mx_outside_tell(struct mx_outside *self, enum mx_finding finding, const char *what,
                     const struct mx_ip *ip, const char *format, ...) {
    static const char *const words[MX_FINDING_COUNT] = {
        [MX_FINDING_OK] = "ok",           [MX_FINDING_WARN] = "warning",
        [MX_FINDING_UNKNOWN] = "unknown", [MX_FINDING_BAD] = "BAD",
        [MX_FINDING_SKIPPED] = "skipped",
    };
    char text[2 * MX_OUTSIDE_TEXT], address[MX_IP_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t address_len = ip != NULL ? mx_ip_text(ip, address) : 0;
    for (size_t i = 0; len > 0 && text[i] != '\0'; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e)
            text[i] = '?';
    }
    self->findings[finding]++;
    fprintf(self->stream, "%-8s %-14s %-15.*s %s\n", words[finding], what, (int)address_len,
            address_len > 0 ? address : "", len > 0 ? text : "");
}

void mx_outside_run(struct mx_outside *self) {
    mx_outside_look_up(self);
    for (uint32_t i = 0; i < self->address_count; i++)
        mx_outside_talk(self, &self->addresses[i]);
}
