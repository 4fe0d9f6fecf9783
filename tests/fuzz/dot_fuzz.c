/* dot_fuzz.c - property: the DATA scanner gives the same result, content, flags and position for
 * the same octets, however they are cut, however many slices there are, and in every variant. The
 * measure is the scalar reference on the whole text.
 *
 * Input: octet 0 chooses how much room for slices there is, octets 1..4 how the text is cut; the
 * text follows.
 */
#include "proto/dot.h"
#include "proto/scan.h"
#include "tests/unit/guard.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_LEN = 5, SLICES_MAX = 64 };

struct outcome {
    enum mx_dot_result result;
    struct mx_dot dot;
    size_t consumed, len; /* octets */
    char content[GUARD_LEN];
};

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static void scan_piece(struct outcome *self, mx_dot_scan_fn *scan, struct mx_span piece,
                       size_t slices_cap) {
    struct mx_span in = piece, slices[SLICES_MAX];
    do {
        size_t count = slices_cap;
        self->result = scan(&self->dot, &in, slices, &count);
        must(count <= slices_cap);
        for (size_t i = 0; i < count; i++) {
            must(slices[i].len > 0 && slices[i].len <= GUARD_LEN - self->len);
            memcpy(self->content + self->len, slices[i].ptr, slices[i].len);
            self->len += slices[i].len;
        }
    } while (self->result == MX_DOT_FULL);
    must(self->result != MX_DOT_MORE || in.len == 0);
    self->consumed += piece.len - in.len;
}

static void must_be_same(const struct outcome *a, const struct outcome *b) {
    must(a->result == b->result && a->consumed == b->consumed && a->len == b->len);
    must(memcmp(a->content, b->content, a->len) == 0);
    must(a->dot.at == b->dot.at && a->dot.has_bare_cr == b->dot.has_bare_cr);
    must(a->dot.has_nul == b->dot.has_nul && a->dot.has_8bit == b->dot.has_8bit);
}

static void scan_cut(struct outcome *self, mx_dot_scan_fn *scan, struct mx_span text,
                     const uint8_t *head) {
    static struct guard area;
    if (area.begin == NULL)
        area = guard_map();
    size_t cap = MX_DOT_SLICES_MIN + head[0] % (SLICES_MAX - MX_DOT_SLICES_MIN + 1);
    struct rng rng = {1u + head[1] + 256u * head[2] + 65536u * head[3]};
    self->result = MX_DOT_MORE;
    self->consumed = self->len = 0;
    mx_dot_init(&self->dot);
    while (text.len > 0 && self->result == MX_DOT_MORE) {
        size_t n = 1 + rng_take(&rng, head[4] + 1u);
        n = n < text.len ? n : text.len;
        struct mx_span piece = guard_put(&area, (struct mx_span){text.ptr, n}, n % 2 == 0);
        scan_piece(self, scan, piece, cap);
        text = mx_span_skip(text, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct outcome whole, cut;
    if (size < HEAD_LEN || size - HEAD_LEN > GUARD_LEN)
        return 0;
    struct mx_span text = {(const char *)data + HEAD_LEN, size - HEAD_LEN};
    whole.consumed = whole.len = 0;
    mx_dot_init(&whole.dot);
    scan_piece(&whole, mx_dot_scan_variant(MX_ISA_SCALAR), text, SLICES_MAX);
    for (int isa = 0; isa < MX_ISA_COUNT; isa++) {
        mx_dot_scan_fn *scan = mx_dot_scan_variant(isa);
        if (scan == NULL)
            continue;
        scan_cut(&cut, scan, text, data);
        must_be_same(&cut, &whole);
    }
    scan_cut(&cut, mx_dot_scan, text, data);
    must_be_same(&cut, &whole);
    return 0;
}
