#include "engine/spool/envelope.h"

/* Whose are they? */
static bool is_of_rcpt(uint16_t type) {
    return type == MX_SPOOL_ENV_RCPT || type == MX_SPOOL_ENV_NOTIFY || type == MX_SPOOL_ENV_ORCPT;
}

int mx_spool_envelope_next(struct mx_spool_envelope_cursor *self, struct mx_spool_item *item) {
    struct mx_spool_tlv tlv;
    if (self->rest.len == 0)
        return MX_EPARTIAL;
    if (self->rest.len < sizeof tlv)
        return MX_ESYNTAX;
    memcpy(&tlv, self->rest.ptr, sizeof tlv);
    if (tlv.len > self->rest.len - sizeof tlv)
        return MX_ESYNTAX;
    if (tlv.type == MX_SPOOL_ENV_RCPT)
        self->rcpt_count++;
    if (is_of_rcpt(tlv.type) && self->rcpt_count == 0)
        return MX_ESYNTAX;
    *item = (struct mx_spool_item){
        .type = tlv.type,
        .value = {self->rest.ptr + sizeof tlv, tlv.len},
        .rcpt = is_of_rcpt(tlv.type) ? self->rcpt_count - 1 : UINT32_MAX,
    };
    self->rest = mx_span_skip(self->rest, sizeof tlv + tlv.len);
    return 0;
}

bool mx_spool_envelope_is_sound(struct mx_span envelope, uint32_t rcpt_count) {
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(envelope);
    struct mx_spool_item item;
    bool has_sender = false;
    int err;
    while ((err = mx_spool_envelope_next(&cursor, &item)) == 0)
        has_sender = has_sender || item.type == MX_SPOOL_ENV_SENDER;
    return err == MX_EPARTIAL && has_sender && cursor.rcpt_count == rcpt_count;
}

bool mx_spool_item_number(const struct mx_spool_item *item, uint64_t *number) {
    if (item->value.len == 0 || item->value.len > sizeof *number)
        return false;
    *number = 0;
    memcpy(number, item->value.ptr, item->value.len);
    return true;
}
