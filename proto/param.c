#include "proto/param.h"

bool mx_param_take(struct mx_span *in, struct mx_param *param) {
    size_t begin = 0;
    while (begin < in->len && in->ptr[begin] == ' ')
        begin++;
    *in = mx_span_skip(*in, begin);
    if (in->len == 0)
        return false;
    const char *space = memchr(in->ptr, ' ', in->len);
    struct mx_span word = {in->ptr, space != NULL ? (size_t)(space - in->ptr) : in->len};
    *in = mx_span_skip(*in, word.len);
    /* From the second octet: a leading '=' is part of the key, which therefore is never empty and
     * never one we know. */
    const char *equals = memchr(word.ptr + 1, '=', word.len - 1);
    param->has_value = equals != NULL;
    size_t key_len = param->has_value ? (size_t)(equals - word.ptr) : word.len;
    param->key = (struct mx_span){word.ptr, key_len};
    param->value = mx_span_skip(word, key_len + param->has_value);
    return true;
}

bool mx_param_u64(struct mx_span text, uint64_t *number) {
    enum { DIGITS_MAX = 20 };
    if (text.len == 0 || text.len > DIGITS_MAX)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, digit, &sum))
            return false;
    }
    *number = sum;
    return true;
}
