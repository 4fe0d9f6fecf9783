/* from_fuzz.c - properties of From and Sender fields.
 *
 * The first octet says where the header is cut: however that is, the same is found. What is taken
 * off a list is an address, the list gets shorter with each, and each taken by itself is itself
 * again.
 */
#include "proto/from.h"
#include "proto/path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static struct mx_from *from_new(void) {
    struct mx_from *self = calloc(1, sizeof *self + MX_FROM_TEXT_MAX);
    must(self != NULL);
    self->keeps_text = true;
    return self;
}

/* In pieces of their own memory. */
static void scan(struct mx_from *self, struct mx_span text, size_t step) {
    while (text.len > 0) {
        size_t len = text.len < step ? text.len : step;
        char *piece = malloc(len);
        must(piece != NULL);
        memcpy(piece, text.ptr, len);
        mx_from_scan(self, (struct mx_span){piece, len});
        free(piece);
        text = mx_span_skip(text, len);
    }
}

static void check_address(struct mx_span address) {
    char room[MX_FROM_ADDRESS_MAX];
    struct mx_path path;
    struct mx_span again, list = address;
    must(address.len <= MX_FROM_ADDRESS_MAX);
    must(mx_path_parse(address, true, &path) == 0 && path.local.len > 0 && path.domain.len > 0);
    must(mx_from_take(&list, room, &again) == 0 && mx_span_equal(address, again));
}

static void check_list(struct mx_span list) {
    char room[MX_FROM_ADDRESS_MAX];
    struct mx_span address;
    for (;;) {
        size_t before = list.len;
        int err = mx_from_take(&list, room, &address);
        must(err == 0 || list.len == 0 || err == MX_ESYNTAX);
        if (err == MX_EPARTIAL)
            return;
        must(list.len < before);
        if (err == 0)
            check_address(address);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 1 << 14)
        return 0;
    struct mx_span text = {(const char *)data + 1, size - 1};
    struct mx_from *whole = from_new(), *cut = from_new();
    scan(whole, text, size);
    scan(cut, text, 1 + data[0] % 32);
    must(whole->has_from == cut->has_from && whole->has_sender == cut->has_sender);
    must(whole->is_over == cut->is_over && whole->is_cut == cut->is_cut);
    must(mx_span_equal(mx_from_text(whole), mx_from_text(cut)));
    check_list(mx_from_text(whole));
    free(whole);
    free(cut);
    return 0;
}
