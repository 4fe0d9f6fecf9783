#include "engine/spool/segment.h"

#include <assert.h>
#include <stdio.h>

enum { DIGITS_MIN = 6 };

void mx_spool_segment_name(char name[MX_SPOOL_NAME_MAX], uint32_t core, uint32_t number,
                           const char *ending) {
    int len = snprintf(name, MX_SPOOL_NAME_MAX, "%u/seg.%06u%s", core, number, ending);
    assert(len > 0 && len < MX_SPOOL_NAME_MAX);
}

bool mx_spool_number_parse(const char *text, uint64_t max, uint64_t *number) {
    uint64_t value = 0;
    if (text[0] == '0' && text[1] != '\0')
        return false;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return at != text && *at == '\0';
}

bool mx_spool_segment_parse(const char *name, uint32_t *number) {
    static const char prefix[] = "seg.";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *digits = name + sizeof prefix - 1;
    if (strlen(digits) < DIGITS_MIN || (digits[0] == '0' && strlen(digits) > DIGITS_MIN))
        return false;
    while (digits[0] == '0' && digits[1] != '\0')
        digits++;
    uint64_t value;
    if (!mx_spool_number_parse(digits, MX_SPOOL_NUMBER_MAX, &value))
        return false;
    *number = (uint32_t)value;
    return true;
}
