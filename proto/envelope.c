#include "proto/envelope.h"

#include <assert.h>

/* The block: sender, AUTH=, each with padding, recipient records, scratch text. A record is this
 * head, the address and padding. The padding keeps every record, and thereby `used`, on a multiple
 * of four. */
struct record_head {
    uint32_t address_len;
    int32_t result;
    uint16_t orcpt_len;
    uint8_t notify;
    uint8_t padding;
};

/* No address comes near: a command line has at most 1 MiB. Keeps all sums far from overflow. */
enum { ADDRESS_MAX = 1 << 24 };

static uint32_t padded(uint32_t len) {
    return (len + 3) & ~UINT32_C(3);
}

static uint32_t address_len(struct mx_span local, struct mx_span domain) {
    assert(local.len <= ADDRESS_MAX && domain.len <= ADDRESS_MAX);
    return (uint32_t)(local.len + (domain.len > 0) + domain.len);
}

static void put_address(char *at, struct mx_span local, struct mx_span domain) {
    if (local.len > 0)
        memcpy(at, local.ptr, local.len);
    if (domain.len == 0)
        return;
    at += local.len;
    *at++ = '@';
    for (size_t i = 0; i < domain.len; i++)
        at[i] = mx_ascii_lower(domain.ptr[i]);
}

static struct record_head head_at(const struct mx_envelope *self, uint32_t at) {
    struct record_head head;
    assert(at >= self->rcpts_at && at < self->rcpts_end);
    memcpy(&head, self->base + at, sizeof head);
    return head;
}

static uint32_t record_len(struct record_head head) {
    return (uint32_t)sizeof head + padded(head.address_len) + padded(head.orcpt_len);
}

uint32_t mx_envelope_need(struct mx_span local, struct mx_span domain) {
    return record_len((struct record_head){.address_len = address_len(local, domain)});
}

struct mx_span mx_envelope_auth(const struct mx_envelope *self) {
    if (self->auth_len == 0)
        return (struct mx_span){0};
    return (struct mx_span){self->base + padded(self->sender_len), self->auth_len};
}

uint32_t mx_envelope_need_text(struct mx_span text) {
    assert(text.len <= ADDRESS_MAX);
    return padded((uint32_t)text.len);
}

int mx_envelope_set_sender(struct mx_envelope *self, struct mx_span local, struct mx_span domain) {
    assert(self->rcpt_count == 0);
    uint32_t len = address_len(local, domain);
    if (self->cap < padded(len))
        return MX_ENOROOM;
    put_address(self->base, local, domain);
    self->sender_len = len;
    self->rcpts_at = self->rcpts_end = self->used = padded(len);
    self->has_sender = true;
    return 0;
}

int mx_envelope_set_auth(struct mx_envelope *self, struct mx_span auth) {
    assert(self->has_sender && self->rcpt_count == 0 && self->auth_len == 0);
    assert(auth.len <= UINT16_MAX);
    uint32_t need = mx_envelope_need_text(auth);
    if (self->cap - self->used < need)
        return MX_ENOROOM;
    if (auth.len > 0)
        memcpy(self->base + self->used, auth.ptr, auth.len);
    self->auth_len = (uint16_t)auth.len;
    self->rcpts_at = self->rcpts_end = self->used = self->used + need;
    return 0;
}

/* ---- what MAIL rarely says ---- */

static uint32_t extras_at(const struct mx_envelope *self) {
    return padded(self->sender_len) + padded(self->auth_len);
}

bool mx_envelope_extras(const struct mx_envelope *self, struct mx_extras *extras) {
    *extras = (struct mx_extras){0};
    if (self->has_extras)
        memcpy(extras, self->base + extras_at(self), sizeof *extras);
    return self->has_extras;
}

struct mx_span mx_envelope_envid(const struct mx_envelope *self) {
    struct mx_extras extras;
    if (!mx_envelope_extras(self, &extras) || extras.envid_len == 0)
        return (struct mx_span){0};
    return (struct mx_span){self->base + extras_at(self) + sizeof extras, extras.envid_len};
}

uint32_t mx_envelope_need_extras(struct mx_span envid) {
    return (uint32_t)sizeof(struct mx_extras) + mx_envelope_need_text(envid);
}

int mx_envelope_set_extras(struct mx_envelope *self, const struct mx_extras *extras,
                           struct mx_span envid) {
    struct mx_extras copy = *extras;
    assert(self->has_sender && self->rcpt_count == 0 && !self->has_extras);
    assert(envid.len <= UINT16_MAX && self->used == extras_at(self));
    uint32_t need = mx_envelope_need_extras(envid);
    if (self->cap - self->used < need)
        return MX_ENOROOM;
    copy.envid_len = (uint16_t)envid.len;
    memcpy(self->base + self->used, &copy, sizeof copy);
    if (envid.len > 0)
        memcpy(self->base + self->used + sizeof copy, envid.ptr, envid.len);
    self->has_extras = true;
    self->rcpts_at = self->rcpts_end = self->used = self->used + need;
    return 0;
}

/* ---- recipients ---- */

int mx_envelope_add_rcpt_with(struct mx_envelope *self, struct mx_span local, struct mx_span domain,
                              uint8_t notify, struct mx_span orcpt) {
    assert(orcpt.len <= UINT16_MAX);
    struct record_head head = {.address_len = address_len(local, domain),
                               .orcpt_len = (uint16_t)orcpt.len,
                               .notify = notify};
    if (self->cap - self->rcpts_end < record_len(head))
        return MX_ENOROOM;
    char *at = self->base + self->rcpts_end;
    memcpy(at, &head, sizeof head);
    put_address(at + sizeof head, local, domain);
    if (orcpt.len > 0)
        memcpy(at + sizeof head + padded(head.address_len), orcpt.ptr, orcpt.len);
    self->rcpts_end += record_len(head);
    self->used = self->rcpts_end;
    self->rcpt_count++;
    return 0;
}

int mx_envelope_add_rcpt(struct mx_envelope *self, struct mx_span local, struct mx_span domain) {
    return mx_envelope_add_rcpt_with(self, local, domain, 0, (struct mx_span){0});
}

bool mx_envelope_rcpt_next(const struct mx_envelope *self, uint32_t *cursor, struct mx_rcpt *rcpt) {
    assert(*cursor <= self->rcpts_end);
    if (*cursor == self->rcpts_end)
        return false;
    struct record_head head = head_at(self, *cursor);
    rcpt->address = (struct mx_span){self->base + *cursor + sizeof head, head.address_len};
    rcpt->orcpt = (struct mx_span){0};
    if (head.orcpt_len > 0)
        rcpt->orcpt =
            (struct mx_span){rcpt->address.ptr + padded(head.address_len), head.orcpt_len};
    rcpt->notify = head.notify;
    rcpt->result = head.result;
    *cursor += record_len(head);
    return true;
}

void mx_envelope_rcpt_result(struct mx_envelope *self, uint32_t cursor, int result) {
    struct record_head head = head_at(self, cursor);
    head.result = result;
    memcpy(self->base + cursor, &head, sizeof head);
}

void mx_envelope_drop_rcpt(struct mx_envelope *self, uint32_t record_at) {
    assert(self->rcpt_count > 0);
    assert(record_at + record_len(head_at(self, record_at)) == self->rcpts_end);
    self->rcpts_end = self->used = record_at;
    self->rcpt_count--;
}

char *mx_envelope_scratch(struct mx_envelope *self, uint32_t len) {
    assert(len <= ADDRESS_MAX);
    if (self->base == NULL || self->cap - self->rcpts_end < len)
        return NULL;
    self->used = self->rcpts_end + len;
    return self->base + self->rcpts_end;
}

void mx_envelope_reset(struct mx_envelope *self) {
    *self = (struct mx_envelope){.base = self->base, .cap = self->cap};
}
