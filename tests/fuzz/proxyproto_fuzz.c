/* proxyproto_fuzz.c - properties of the reader of PROXY headers.
 *
 * Whatever comes behind a header does not matter; every proper piece of a good header is partial;
 * a bad one is never good with more behind it; a header that is taken is as long as its own bounds
 * say. A good version 1 header with an address reads the same when it is written anew as version 2.
 */
#include "proto/proxyproto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

/* A copy of its exact size, so that a sanitizer sees a read behind it. */
static int take(const uint8_t *data, size_t size, struct mx_proxyproto *header, size_t *taken) {
    char *copy = malloc(size > 0 ? size : 1);
    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct mx_span in = {copy, size};
    int err = mx_proxyproto_take(header, &in);
    must(in.ptr + in.len == copy + size);
    *taken = size - in.len;
    must(err == 0 || *taken == 0);
    free(copy);
    return err;
}

static void check_again(const struct mx_proxyproto *header) {
    uint8_t text[16 + 36] = "\r\n\r\n\0\r\nQUIT\n\x21";
    bool is_v6 = header->client.family == 6;
    size_t len = is_v6 ? 36 : 12, at = 16 + (is_v6 ? 32u : 8u), taken;
    struct mx_proxyproto again;
    text[13] = is_v6 ? 0x21 : 0x11;
    text[15] = (uint8_t)len;
    memcpy(text + 16, header->client.bytes, is_v6 ? 16 : 4);
    text[at] = (uint8_t)(header->port >> 8);
    text[at + 1] = (uint8_t)header->port;
    must(take(text, 16 + len, &again, &taken) == 0 && taken == 16 + len);
    must(memcmp(&again.client, &header->client, sizeof again.client) == 0);
    must(again.port == header->port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mx_proxyproto header, other;
    size_t taken, none;
    if (size / 2 > MX_PROXYPROTO_HEADER_MAX)
        return 0;
    int err = take(data, size, &header, &taken);
    must(err == 0 || err == MX_EPARTIAL || err == MX_ESYNTAX || err == MX_ELIMIT);
    must(err != MX_EPARTIAL || size < MX_PROXYPROTO_HEADER_MAX);
    if (err < 0)
        taken = size;
    for (size_t len = 0; len < taken; len += taken < 300 ? 1 : 1 + taken / 100) {
        int part = take(data, len, &other, &none);
        must(part == MX_EPARTIAL || (err != 0 && err != MX_EPARTIAL && part == err));
    }
    if (err < 0)
        return 0;
    bool is_v1 = data[0] == 'P';
    must(taken <= (is_v1 ? MX_PROXYPROTO_LINE_MAX : MX_PROXYPROTO_HEADER_MAX));
    must(take(data, taken, &other, &none) == 0 && none == taken);
    must(memcmp(&other.client, &header.client, sizeof other.client) == 0);
    must(header.client.family == 0 || header.client.family == 4 || header.client.family == 6);
    if (header.client.family != 0)
        check_again(&header);
    return 0;
}
