/* message.c - messages: random content, and the oracle: exactly once, exactly what was sent. */
#include "tests/sim/sim.h"

#include <string.h>

uint32_t sim_message_new(void) {
    SIM_CHECK(sim.message_count < SIM_MESSAGES_MAX, "too many messages", sim.message_count, 0);
    return sim.message_count++;
}

/* Lines of everything but LF; dots and CRs where they hurt. */
static void put_line(struct sim_bytes *to) {
    static const char *const parts[] = {".", "..",       "\r", "\r.", "word ",
                                        "a", "\xff\xfe", ". ", "\r\r"};
    for (uint32_t n = sim_below(6); n > 0; n--) {
        uint32_t which = sim_below(12);
        if (which < 9)
            sim_put_text(to, parts[which]);
        else if (which == 9)
            sim_put(to, "\0", 1);
        else
            sim_put(to, "The quick brown fox jumps over the lazy dog.", 1 + sim_below(44));
    }
    sim_put(to, "\r\n", 2);
}

static void put_anything(struct sim_bytes *to, uint32_t len) {
    static const char octets[] = "\r\n.\0ax\xc3";
    char block[64];
    while (len > 0) {
        uint32_t n = len < sizeof block ? len : sizeof block;
        for (uint32_t i = 0; i < n; i++)
            block[i] = octets[sim_below(sizeof octets - 1)];
        sim_put(to, block, n);
        len -= n;
    }
}

static uint32_t pick_length(void) {
    uint32_t r = sim_below(100);
    if (sim.is_flood)
        return sim_below(40000);
    if (r < 20)
        return sim_below(10);
    if (r < 85)
        return sim_below(600);
    return r < 98 ? sim_below(6000) : sim_below(70000);
}

static struct mx_span stuffed(struct mx_span content) {
    struct sim_bytes to = {0};
    bool at_begin = true;
    size_t from = 0;
    for (size_t i = 0; i < content.len; i++) {
        if (at_begin && content.ptr[i] == '.') {
            sim_put(&to, content.ptr + from, i - from);
            sim_put(&to, ".", 1);
            from = i;
        }
        at_begin = content.ptr[i] == '\n'; /* every LF has its CR */
    }
    sim_put(&to, content.ptr + from, content.len - from);
    sim_put(&to, ".\r\n", 3);
    return (struct mx_span){to.ptr, to.end};
}

void sim_message_fill(struct sim_message *self, bool is_data, struct mx_span *wire) {
    struct sim_bytes content = {0};
    uint32_t len = pick_length();
    sim_put(&content, "", 0);
    if (is_data) {
        while (content.end < len)
            put_line(&content);
    } else {
        put_anything(&content, len);
    }
    self->content = (struct mx_span){content.ptr, content.end};
    *wire = is_data ? stuffed(self->content) : self->content;
}

/* ---- the oracle --------------------------------------------------------------------------------
 */

static void check_committed(const struct sim_message *self, uint32_t index) {
    struct mx_span stored = {self->stored.ptr, self->stored.end};
    stored = mx_span_skip(stored, self->trace_octets);
    SIM_CHECK(stored.len == self->content.len, "length of a stored message", index, stored.len);
    SIM_CHECK(mx_span_equal(stored, self->content), "content of a stored message", index,
              stored.len);
    size_t sender_len = strlen(self->sender);
    SIM_CHECK(self->envelope.end > sender_len &&
                  memcmp(self->envelope.ptr, self->sender, sender_len) == 0 &&
                  self->envelope.ptr[sender_len] == '\n',
              "sender of a stored message", index, 0);
}

/* Every recipient that was answered with 250 stands in the envelope, and no other. */
static void check_rcpts(const struct sim_message *self, uint32_t index) {
    struct mx_span rcpts = {self->envelope.ptr, self->envelope.end};
    rcpts = mx_span_skip(rcpts, strlen(self->sender) + 1);
    struct mx_span expected = {self->rcpts.ptr, self->rcpts.end};
    SIM_CHECK(mx_span_equal(rcpts, expected), "recipients of a stored message", index, rcpts.len);
}

void sim_check_message(uint32_t index) {
    const struct sim_message *self = &sim.messages[index];
    SIM_CHECK(self->commit_count <= 1, "stored more than once", index, self->commit_count);
    SIM_CHECK(self->stage == SIM_UNSEEN || self->stage == SIM_ENDED, "left open at the sink", index,
              self->stage);
    if (self->commit_count > 0)
        check_committed(self, index);
    if (self->is_acknowledged) {
        SIM_CHECK(self->commit_count == !self->is_discarded, "acknowledged and not stored", index,
                  self->is_discarded);
        check_rcpts(self, index);
    }
    if (self->is_refused) {
        SIM_CHECK(self->commit_count == 0, "refused and stored", index, 0);
        sim_event(SIM_E_MESSAGE_REFUSED);
    } else if (!self->is_acknowledged && self->stage != SIM_UNSEEN) {
        sim_event(SIM_E_MESSAGE_UNANSWERED);
    }
}
