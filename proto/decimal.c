#include "proto/decimal.h"

#include <errno.h>

enum { WHOLE_MAX = 2000000 };

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

int mx_decimal_parse(struct mx_span text, int32_t *thousandths) {
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    int32_t number = 0, scale = 100;
    size_t at = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
    size_t first = at;
    for (; at < text.len && is_digit(text.ptr[at]); at++) {
        number = number * 10 + (text.ptr[at] - '0');
        if (number > WHOLE_MAX)
            return -ERANGE;
    }
    if (at == first)
        return MX_ESYNTAX;
    number *= 1000;
    if (at < text.len && text.ptr[at] == '.') {
        first = ++at;
        for (; at < text.len && is_digit(text.ptr[at]); at++) {
            number += (text.ptr[at] - '0') * scale;
            scale /= 10;
        }
        if (at == first)
            return MX_ESYNTAX;
    }
    if (at < text.len)
        return MX_ESYNTAX;
    *thousandths = is_negative ? -number : number;
    return 0;
}

size_t mx_decimal_text(int32_t thousandths, char text[MX_DECIMAL_TEXT_MAX]) {
    uint32_t number = thousandths < 0 ? 0U - (uint32_t)thousandths : (uint32_t)thousandths;
    char digits[10];
    size_t count = 0, len = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 || count < 4);
    if (thousandths < 0)
        text[len++] = '-';
    for (size_t i = count; i > 3; i--)
        text[len++] = digits[i - 1];
    text[len++] = '.';
    text[len++] = digits[2];
    if (digits[1] != '0' || digits[0] != '0')
        text[len++] = digits[1];
    if (digits[0] != '0')
        text[len++] = digits[0];
    text[len] = '\0';
    return len;
}
