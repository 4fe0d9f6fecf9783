/* milter_fuzz.c - properties of the reader of mail filters' packets, and of what it makes of them.
 *
 * Packets are taken off the front until there are no more. Cut by one octet, the last one is only
 * begun. What a reply says lies in its packet; a header field made of it is one field: CRLF at its
 * end and nowhere a line that is not folded; a reply line is printable and of 4xx or 5xx.
 */
#include "proto/change.h"
#include "proto/milter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static void check_inside(struct mx_span text, struct mx_span packet) {
    must(text.len == 0 ||
         (text.ptr >= packet.ptr && text.ptr + text.len <= packet.ptr + packet.len));
    must(text.len == 0 || memchr(text.ptr, 0, text.len) == NULL);
}

static void check_field(const struct mx_milter_reply *reply) {
    static char room[2 * MX_MILTER_PACKET_MAX + 4096];
    struct mx_changes changes = {.ptr = room, .cap = sizeof room};
    struct mx_change change;
    uint32_t at = 0;
    int err = mx_changes_put(&changes, MX_CHANGE_INSERT, reply->index, reply->name, reply->value);
    must(err == 0 || err == MX_ESYNTAX || err == MX_ENOROOM);
    if (err < 0)
        return;
    must(mx_changes_next(&changes, &at, &change) && at == changes.len);
    must(change.index == reply->index && mx_span_equal(change.name, reply->name));
    const char *text = change.whole.ptr;
    size_t len = change.whole.len;
    must(len >= 4 && text[len - 2] == '\r' && text[len - 1] == '\n');
    for (size_t i = 0; i < len; i++) {
        must(text[i] != '\0');
        must(text[i] != '\r' || text[i + 1] == '\n');
        must(text[i] != '\n' || (i > 0 && text[i - 1] == '\r'));
        must(text[i] != '\n' || i + 1 == len || text[i + 1] == ' ' || text[i + 1] == '\t');
    }
}

static void check_line(const struct mx_milter_reply *reply) {
    char line[200];
    size_t len = mx_milter_reply_line(reply->text, line, sizeof line);
    must(len <= sizeof line && (len == 0 || len >= 3));
    for (size_t i = 0; i < len; i++)
        must(line[i] >= 0x20 && line[i] < 0x7f);
    must(len == 0 || line[0] == '4' || line[0] == '5');
    must(len <= 3 || line[3] == ' ');
}

static void check_packet(const struct mx_milter_packet *packet) {
    struct mx_milter_options options;
    struct mx_milter_reply reply;
    int err = mx_milter_read_options(packet, &options);
    must(err == 0 || err == MX_ESYNTAX);
    err = mx_milter_read_reply(packet, &reply);
    must(err == 0 || err == MX_ESYNTAX);
    if (err < 0)
        return;
    check_inside(reply.name, packet->data);
    check_inside(reply.value, packet->data);
    check_inside(reply.text, packet->data);
    if (reply.name.len > 0)
        check_field(&reply);
    check_line(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size > 0 ? size : 1);
    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct mx_span in = {copy, size}, before = in;
    struct mx_milter_packet packet;
    int err;
    while ((err = mx_milter_take(&in, &packet)) == 0) {
        struct mx_span cut = {before.ptr, before.len - in.len - 1};
        must(in.len < before.len);
        must(mx_milter_take(&cut, &packet) == MX_EPARTIAL);
        must(mx_milter_take(&before, &packet) == 0 && before.len == in.len);
        check_packet(&packet);
        before = in;
    }
    must(err == MX_EPARTIAL || err == MX_ESYNTAX);
    must(mx_span_equal(in, before));
    free(copy);
    return 0;
}
