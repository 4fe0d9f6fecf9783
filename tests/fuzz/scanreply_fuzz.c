/* scanreply_fuzz.c - properties of the readers of rspamd's and spamd's answers.
 *
 * The first octet chooses. An answer that is whole stays the same whatever stands behind it; cut
 * anywhere, it is not refused before its end; what is said to lie in it does.
 */
#include "proto/scanreply.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static void check_http(struct mx_span in) {
    struct mx_http_reply whole, part;
    int err = mx_http_read(in, false, &whole), over = mx_http_read(in, true, &part);
    must(err == 0 || err == MX_EPARTIAL || err == MX_ESYNTAX);
    must(over == 0 || over == MX_ESYNTAX);
    must(err == MX_EPARTIAL || err == over);
    if (err != 0)
        return;
    must(whole.body.ptr >= in.ptr && whole.body.ptr + whole.body.len <= in.ptr + in.len);
    size_t needed = (size_t)(whole.body.ptr - in.ptr) + whole.body.len;
    for (size_t len = 0; len < needed; len++) {
        int cut = mx_http_read((struct mx_span){in.ptr, len}, false, &part);
        must(cut == MX_EPARTIAL);
    }
    must(mx_http_read((struct mx_span){in.ptr, needed}, false, &part) == 0);
    must(part.status == whole.status && mx_span_equal(part.body, whole.body));
}

static void check_spamd(struct mx_span in) {
    struct mx_spamd_reply whole, part;
    int err = mx_spamd_read(in, &whole);
    must(err == 0 || err == MX_EPARTIAL || err == MX_ESYNTAX);
    for (size_t len = 0; len < in.len && err == 0; len++) {
        int cut = mx_spamd_read((struct mx_span){in.ptr, len}, &part);
        must(cut == MX_EPARTIAL || cut == 0);
        must(cut != 0 || (part.code == whole.code && part.is_spam == whole.is_spam &&
                          part.score == whole.score && part.required == whole.required));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 4096)
        return 0;
    char *copy = malloc(size);
    must(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    const struct mx_span in = {copy, size - 1};
    if (data[0] & 1)
        check_http(in);
    else
        check_spamd(in);
    free(copy);
    return 0;
}
