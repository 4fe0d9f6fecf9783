/* sink.c - a sink that keeps everything, takes its time, fails, and minds how it is called. */
#include "engine/sink/sink.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct sim_sink *state_of(struct mx_sink *self) {
    size_t at = (size_t)(self - &sim.engine_sinks[0][0]);
    return &sim.sinks[at / SIM_SERVICES][at % SIM_SERVICES];
}

/* The token is the number of the message plus one. */
static struct sim_message *message_of(const struct mx_sink_message *message, uint32_t *index) {
    SIM_CHECK(message->token >= 1 && message->token <= sim.message_count, "token", message->token,
              sim.message_count);
    *index = (uint32_t)message->token - 1;
    return &sim.messages[*index];
}

static void record_envelope(struct sim_message *m, const struct mx_envelope *envelope) {
    struct mx_span sender = mx_envelope_sender(envelope);
    m->envelope = (struct sim_bytes){0};
    sim_put(&m->envelope, sender.ptr, sender.len);
    sim_put(&m->envelope, "\n", 1);
    struct mx_rcpt rcpt;
    for (uint32_t at = envelope->rcpts_at; mx_envelope_rcpt_next(envelope, &at, &rcpt);) {
        sim_put(&m->envelope, rcpt.address.ptr, rcpt.address.len);
        sim_put(&m->envelope, "\n", 1);
    }
}

/* Recipients are named r<message>.<number>. */
static uint32_t index_of(const struct mx_envelope *envelope) {
    struct mx_rcpt rcpt;
    uint32_t at = envelope->rcpts_at;
    char text[16] = "";
    bool is_there = mx_envelope_rcpt_next(envelope, &at, &rcpt);
    SIM_CHECK(is_there && rcpt.address.len > 3 && rcpt.address.ptr[0] == 'r', "recipient",
              envelope->rcpt_count, 0);
    memcpy(text, rcpt.address.ptr + 1, rcpt.address.len < 16 ? rcpt.address.len - 1 : 15);
    return (uint32_t)strtoul(text, NULL, 10);
}

void sim_sink_discard(const struct mx_envelope *envelope) {
    uint32_t index = index_of(envelope);
    struct sim_message *m = &sim.messages[index];
    SIM_CHECK(m->stage == SIM_OPEN, "discarding a message that is not open", index, m->stage);
    sim_note("discarded: message", index, 0, 0);
    record_envelope(m, envelope);
    m->is_discarded = true;
}

static int sink_open(struct mx_sink *self, struct mx_sink_message *message) {
    (void)self;
    uint32_t index = index_of(&message->session->envelope);
    SIM_CHECK(index < sim.message_count, "message", index, sim.message_count);
    struct sim_message *m = &sim.messages[index];
    SIM_CHECK(m->stage == SIM_UNSEEN, "opened twice", index, m->stage);
    sim_note("sink open: message", index, 0, 0);
    if (sim_fault(SIM_F_SINK_OPEN_ENOSPC))
        m->open_result = -ENOSPC;
    else if (sim_fault(SIM_F_SINK_OPEN_EIO))
        m->open_result = -EIO;
    m->stage = m->open_result < 0 ? SIM_ENDED : SIM_OPEN;
    message->token = index + 1;
    return m->open_result;
}

static bool sink_is_ready(struct mx_sink *self) {
    struct sim_sink *state = state_of(self);
    if (!state->is_blocked && sim_fault(SIM_F_SINK_NOT_READY)) {
        state->is_blocked = true;
        bool is_slow = sim_fault(SIM_F_SINK_SLOW);
        state->ready_us = sim.now_us + 1 + sim_below(is_slow ? 90000000 : 20000);
    }
    return !state->is_blocked;
}

/* The Received line, and not what a hook has put into one piece with it. */
static uint32_t trace_octets(struct mx_span text) {
    size_t end = 0;
    do {
        const char *lf = memchr(text.ptr + end, '\n', text.len - end);
        end = lf != NULL ? (size_t)(lf - text.ptr) + 1 : text.len;
    } while (end < text.len && text.ptr[end] == ' ');
    return (uint32_t)end;
}

static int sink_write(struct mx_sink *self, struct mx_sink_message *message,
                      const struct mx_span *slices, uint32_t count) {
    uint32_t index;
    struct sim_message *m = message_of(message, &index);
    const struct mx_service *service =
        &sim.services[(size_t)(self - &sim.engine_sinks[0][0]) % SIM_SERVICES];
    SIM_CHECK(m->stage == SIM_OPEN, "write to a message that is not open", index, m->stage);
    SIM_CHECK(count > 0 && count <= MX_BODY_SLICES + 1, "slices", index, count);
    if (service->session_conf.needs_trace && m->trace_octets == 0) {
        SIM_CHECK(slices[0].len > 10 && memcmp(slices[0].ptr, "Received: ", 10) == 0,
                  "no Received line", index, slices[0].len);
        m->trace_octets = trace_octets(slices[0]);
    }
    for (uint32_t i = 0; i < count; i++)
        sim_put(&m->stored, slices[i].ptr, slices[i].len);
    if (sim_fault(SIM_F_SINK_WRITE_ENOSPC))
        m->write_result = -ENOSPC;
    else if (sim_fault(SIM_F_SINK_WRITE_EIO))
        m->write_result = -EIO;
    m->write_fail_end = m->stored.end - m->trace_octets;
    if (m->write_result < 0)
        m->stage = SIM_FAILED;
    sim_note("sink write: message, octets, result", index, m->stored.end, m->write_result);
    return m->write_result;
}

static void set_rcpt_results(struct sim_message *m, struct mx_envelope *envelope) {
    struct mx_rcpt rcpt;
    m->rcpt_count = 0;
    for (uint32_t at = envelope->rcpts_at, here = at; mx_envelope_rcpt_next(envelope, &at, &rcpt);
         here = at) {
        int result = sim_fault(SIM_F_SINK_RCPT_EIO) ? sim_below(2) ? -EIO : -ENOSPC : 0;
        SIM_CHECK(m->rcpt_count < SIM_RCPTS_MAX, "recipients", m->rcpt_count, 0);
        m->rcpt_results[m->rcpt_count++] = result;
        if (result < 0)
            mx_envelope_rcpt_result(envelope, here, result);
    }
}

/* In LMTP a message of which no recipient took a copy is not stored. */
static void end_commit(struct sim_message *m, int result) {
    bool is_wanted = m->rcpt_count == 0;
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        is_wanted = is_wanted || m->rcpt_results[i] == 0;
    m->commit_result = result;
    m->commit_count += result == 0 && is_wanted;
    m->stage = SIM_ENDED;
}

static int pick_commit_result(void) {
    if (sim_fault(SIM_F_SINK_COMMIT_ENOSPC))
        return -ENOSPC;
    return sim_fault(SIM_F_SINK_COMMIT_EIO) ? -EIO : 0;
}

static int sink_commit(struct mx_sink *self, struct mx_sink_message *message) {
    struct mx_envelope *envelope = &message->session->envelope;
    uint32_t index;
    struct sim_message *m = message_of(message, &index);
    struct sim_sink *state = state_of(self);
    bool is_lmtp = (size_t)(self - &sim.engine_sinks[0][0]) % SIM_SERVICES == 1;
    SIM_CHECK(m->stage == SIM_OPEN, "commit of a message that is not open", index, m->stage);
    SIM_CHECK(!m->is_discarded, "commit of a discarded message", index, 0);
    record_envelope(m, envelope);
    int result = pick_commit_result();
    if (is_lmtp && result == 0)
        set_rcpt_results(m, envelope);
    if (sim_fault(SIM_F_SINK_PENDING)) {
        bool is_slow = sim_fault(SIM_F_SINK_SLOW);
        uint64_t due = sim.now_us + 1 + sim_below(is_slow ? 90000000 : 10000);
        SIM_CHECK(state->count < SIM_CLIENTS_MAX, "pending commits", state->count, 0);
        state->pending[state->count++] = (struct sim_pending){index, message->owner, due, result};
        m->stage = SIM_PENDING;
        sim_note("sink pending: message, result", index, result, (long)(due - sim.now_us));
        return MX_EPENDING;
    }
    end_commit(m, result);
    sim_note("sink commit: message, result", index, result, 0);
    return result;
}

static void sink_abort(struct mx_sink *self, struct mx_sink_message *message) {
    uint32_t index;
    struct sim_message *m = message_of(message, &index);
    struct sim_sink *state = state_of(self);
    sim_note("sink abort: message, stage", index, m->stage, 0);
    SIM_CHECK(m->stage == SIM_OPEN || m->stage == SIM_FAILED || m->stage == SIM_PENDING,
              "abort of a message that is not open", index, m->stage);
    for (uint32_t i = 0; i < state->count; i++) {
        if (state->pending[i].message == index)
            state->pending[i--] = state->pending[--state->count];
    }
    if (m->stage == SIM_PENDING && sim_below(2)) /* it was on the disk already: nobody knows */
        end_commit(m, 0);
    m->stage = SIM_ENDED;
}

static void finish_due(struct mx_sink *self, struct sim_sink *state) {
    for (uint32_t i = 0; i < state->count;) {
        struct sim_pending row = state->pending[i];
        if (row.due_us > sim.now_us) {
            i++;
            continue;
        }
        state->pending[i] = state->pending[--state->count];
        end_commit(&sim.messages[row.message], row.result);
        sim_note("sink done: message, result", row.message, row.result, 0);
        sim.progress_us = sim.now_us;
        self->done(self->context, row.owner, row.result);
        i = 0; /* done may have begun and ended others */
    }
}

static void sink_turn(struct mx_sink *self) {
    struct sim_sink *state = state_of(self);
    finish_due(self, state);
    if (state->is_blocked && state->ready_us <= sim.now_us) {
        state->is_blocked = false;
        sim.progress_us = sim.now_us;
        self->ready(self->context);
    }
}

uint64_t sim_sink_next_us(const struct sim_sink *self) {
    uint64_t next = self->is_blocked ? self->ready_us : SIM_NEVER;
    for (uint32_t i = 0; i < self->count; i++)
        next = self->pending[i].due_us < next ? self->pending[i].due_us : next;
    return next;
}

const struct mx_sink_class sim_sink_class = {
    .name = "simulated",
    .keeps_content = true,
    .open = sink_open,
    .is_ready = sink_is_ready,
    .write = sink_write,
    .commit = sink_commit,
    .abort = sink_abort,
    .turn = sink_turn,
};
