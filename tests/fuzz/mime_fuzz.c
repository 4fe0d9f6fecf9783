/* mime_fuzz.c - properties of the reader of MIME parts.
 *
 * The input is a body; its first octet says which encoding it begins with and where the rest is
 * cut. What comes out does not depend on cuts, and is never longer than what went in.
 */
#include "proto/mime.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 15 };

struct gathered {
    size_t len;
    char text[ROOM];
};
static struct gathered whole, pieces;

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static void gather(void *context, struct mx_span piece) {
    struct gathered *self = context;
    must(piece.len > 0 && self->len + piece.len <= ROOM);
    memcpy(self->text + self->len, piece.ptr, piece.len);
    self->len += piece.len;
}

static void read_in(struct mx_span text, size_t step, enum mx_mime_encoding encoding,
                    struct gathered *to) {
    struct mx_mime mime = {.encoding = (uint8_t)encoding};
    struct mx_mime_out out = {gather, to};
    to->len = 0;
    while (text.len > 0) {
        size_t len = step < text.len ? step : text.len;
        mx_mime_put(&mime, (struct mx_span){text.ptr, len}, &out);
        text = mx_span_skip(text, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > ROOM)
        return 0;
    struct mx_span text = {(const char *)data + 1, size - 1};
    enum mx_mime_encoding encoding = (enum mx_mime_encoding)(data[0] % 3);
    read_in(text, text.len + 1, encoding, &whole);
    read_in(text, data[0] / 3 % 40 + 1u, encoding, &pieces);
    must(whole.len <= text.len);
    must(whole.len == pieces.len && memcmp(whole.text, pieces.text, whole.len) == 0);
    return 0;
}
