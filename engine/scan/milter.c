/* milter.c - a conversation with a mail filter: packets one after the other, each waited for when
 * the filter answers it.
 */
#include "proto/milter.h"

#include "engine/policy/header.h"
#include "engine/scan/scan_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* ---- what is said ---- */

/* The header in one piece, lines ending in LF: that is how filters know it. */
static int new_header(struct mx_talk *talk, const struct mx_fulltext *text) {
    struct mx_fulltext_cursor cursor;
    talk->header = malloc(text->header_octets + 1);
    if (talk->header == NULL)
        return -ENOMEM;
    mx_fulltext_cursor_begin(&cursor, text, 0);
    uint32_t len = mx_fulltext_cursor_read(&cursor, talk->header, text->header_octets), to = 0;
    for (uint32_t at = 0; at < len; at++) {
        bool is_cr = talk->header[at] == '\r' && at + 1 < len && talk->header[at + 1] == '\n';
        if (!is_cr)
            talk->header[to++] = talk->header[at];
    }
    talk->header_octets = to;
    return 0;
}

static void free_header(struct mx_talk *talk) {
    free(talk->header);
    talk->header = NULL;
    talk->header_octets = 0;
}

static int begin(struct mx_scan *self, struct mx_talk *talk) {
    const struct mx_scan_question *question = talk->question;
    (void)self;
    talk->stage = question->is_fresh ? MX_MILTER_STAGE_NEGOTIATE : MX_MILTER_STAGE_REQUEST;
    talk->at = 0;
    talk->awaits_reply = talk->is_body_skipped = talk->has_hidden_received = false;
    free_header(talk);
    if (question->text == NULL)
        return 0;
    mx_fulltext_cursor_begin(&talk->text, question->text, question->text->header_octets);
    return new_header(talk, question->text);
}

static struct mx_milter_out out_of(struct mx_talk *talk) {
    return (struct mx_milter_out){.ptr = talk->out + talk->out_end,
                                  .cap = MX_SCAN_OUT - talk->out_end};
}

/* A packet was put there. False: it did not fit, and comes when what stands before it is sent. */
static bool keep(struct mx_talk *talk, const struct mx_milter_out *out,
                 enum mx_milter_command command) {
    if (out->is_full)
        return false;
    talk->out_end += out->len;
    talk->awaited = (char)command;
    talk->awaits_reply = mx_milter_is_answered(talk->protocol, command);
    return true;
}

static bool put_options(struct mx_talk *talk) {
    uint32_t quarantine = talk->question->offers_quarantine ? MX_MILTER_QUARANTINE : 0;
    const struct mx_milter_options offer = {
        MX_MILTER_VERSION, MX_MILTER_ACTIONS_OFFERED | quarantine, MX_MILTER_PROTOCOL_OFFERED};
    struct mx_milter_out out = out_of(talk);
    mx_milter_put_options(&out, &offer);
    talk->stage = MX_MILTER_STAGE_REQUEST;
    return keep(talk, &out, MX_MILTER_NEGOTIATE);
}

/* The next packet of the request, or of none that the filter wants to hear. */
static bool put_request(struct mx_talk *talk) {
    const struct mx_scan_question *question = talk->question;
    struct mx_span rest = {question->request + talk->at, question->request_octets - talk->at};
    struct mx_span before = rest;
    struct mx_milter_packet packet;
    if (rest.len == 0) {
        talk->stage = question->text != NULL ? MX_MILTER_STAGE_HEADER : MX_MILTER_STAGE_DONE;
        talk->at = 0;
        return true;
    }
    int err = mx_milter_take(&rest, &packet);
    assert(err == 0); /* our own hook has written it */
    bool is_macros = packet.command == MX_MILTER_MACROS;
    char subject = is_macros ? packet.data.ptr[0] : packet.command;
    uint32_t octets = (uint32_t)(before.len - rest.len);
    struct mx_milter_out out = out_of(talk);
    if (mx_milter_is_wanted(talk->protocol, (enum mx_milter_command)subject)) {
        mx_milter_put_octets(&out, (enum mx_milter_command)packet.command, packet.data);
        if (!keep(talk, &out, (enum mx_milter_command)packet.command))
            return false;
    }
    talk->at += octets;
    return true;
}

static bool is_hidden(struct mx_talk *talk, struct mx_span name) {
    if (!talk->question->hides_received || talk->has_hidden_received ||
        !mx_span_equal_nocase(name, MX_SPAN("Received")))
        return false;
    talk->has_hidden_received = true;
    return true;
}

static bool put_field(struct mx_talk *talk) {
    const struct mx_header header = {.ptr = talk->header, .len = talk->header_octets};
    struct mx_header_field field;
    uint32_t at = talk->at;
    bool is_wanted = mx_milter_is_wanted(talk->protocol, MX_MILTER_HEADER);
    if (!is_wanted || !mx_header_next(&header, &at, &field)) {
        talk->stage = MX_MILTER_STAGE_HEADER_END;
        return true;
    }
    bool was_hidden = talk->has_hidden_received;
    if (is_hidden(talk, field.name)) {
        talk->at = at;
        return true;
    }
    bool has_blank = field.value.len > 0 && field.value.ptr[0] == ' ';
    if (has_blank && (talk->protocol & MX_MILTER_LEADING_SPACE) == 0)
        field.value = mx_span_skip(field.value, 1);
    const struct mx_span texts[] = {field.name, field.value};
    struct mx_milter_out out = out_of(talk);
    mx_milter_put_texts(&out, MX_MILTER_HEADER, texts, 2);
    if (!keep(talk, &out, MX_MILTER_HEADER)) {
        talk->has_hidden_received = was_hidden;
        return false;
    }
    talk->at = at;
    return true;
}

static bool put_header_end(struct mx_talk *talk) {
    struct mx_milter_out out = out_of(talk);
    if (mx_milter_is_wanted(talk->protocol, MX_MILTER_END_OF_HEADER)) {
        mx_milter_put(&out, MX_MILTER_END_OF_HEADER);
        if (!keep(talk, &out, MX_MILTER_END_OF_HEADER))
            return false;
    }
    talk->stage = MX_MILTER_STAGE_BODY;
    return true;
}

static bool put_body(struct mx_talk *talk) {
    uint32_t room = MX_SCAN_OUT - talk->out_end;
    uint32_t octets =
        talk->text.left < MX_MILTER_BODY_MAX ? (uint32_t)talk->text.left : MX_MILTER_BODY_MAX;
    bool is_wanted = mx_milter_is_wanted(talk->protocol, MX_MILTER_BODY);
    if (!is_wanted || talk->is_body_skipped || octets == 0) {
        talk->stage = MX_MILTER_STAGE_MESSAGE_END;
        return true;
    }
    if (room < MX_MILTER_HEAD + octets)
        return false;
    char *to = talk->out + talk->out_end;
    mx_milter_put_head(to, MX_MILTER_BODY, octets);
    uint32_t got = mx_fulltext_cursor_read(&talk->text, to + MX_MILTER_HEAD, octets);
    assert(got == octets);
    const struct mx_milter_out out = {.len = MX_MILTER_HEAD + octets};
    return keep(talk, &out, MX_MILTER_BODY);
}

static bool put_message_end(struct mx_talk *talk) {
    struct mx_milter_out out = out_of(talk);
    mx_milter_put(&out, MX_MILTER_END_OF_MESSAGE);
    return keep(talk, &out, MX_MILTER_END_OF_MESSAGE);
}

static int fill(struct mx_scan *self, struct mx_talk *talk) {
    static bool (*const puts[])(struct mx_talk *) = {
        [MX_MILTER_STAGE_NEGOTIATE] = put_options, [MX_MILTER_STAGE_REQUEST] = put_request,
        [MX_MILTER_STAGE_HEADER] = put_field,      [MX_MILTER_STAGE_HEADER_END] = put_header_end,
        [MX_MILTER_STAGE_BODY] = put_body,         [MX_MILTER_STAGE_MESSAGE_END] = put_message_end,
    };
    while (!talk->awaits_reply) {
        if (talk->stage == MX_MILTER_STAGE_DONE) {
            talk->question->verdict = MX_SCAN_CONTINUE;
            mx_scan_answer(self, talk, 0);
            return 0;
        }
        if (!puts[talk->stage](talk))
            return 0;
    }
    return 0;
}

/* ---- what is heard ---- */

static int take_options(struct mx_talk *talk, const struct mx_milter_packet *packet) {
    struct mx_milter_options options;
    int err = mx_milter_read_options(packet, &options);
    if (err < 0)
        return err;
    /* some ask for more than was offered: what they do of it is refused when they do it */
    talk->protocol = options.protocol & MX_MILTER_PROTOCOL_OFFERED;
    talk->awaits_reply = false;
    return 0;
}

static int take_change(struct mx_talk *talk, const struct mx_milter_reply *reply,
                       enum mx_change_kind kind) {
    struct mx_scan_question *question = talk->question;
    uint32_t index = reply->index;
    if (talk->awaited != MX_MILTER_END_OF_MESSAGE)
        return MX_ESYNTAX;
    if (kind == MX_CHANGE_REPLACE) {
        index = index > 0 ? index : 1;
        kind = reply->value.len > 0 ? kind : MX_CHANGE_REMOVE;
        /* the field that it has not heard of is not counted by it */
        if (question->hides_received && mx_span_equal_nocase(reply->name, MX_SPAN("Received")))
            index += index < UINT32_MAX;
    }
    return mx_changes_put(&question->changes, kind, index, reply->name, reply->value);
}

static int take_quarantine(struct mx_talk *talk) {
    if (!talk->question->offers_quarantine)
        return -EOPNOTSUPP;
    if (talk->awaited != MX_MILTER_END_OF_MESSAGE)
        return MX_ESYNTAX;
    talk->question->is_quarantined = true;
    return 0;
}

static int take_text(struct mx_talk *talk, const struct mx_milter_reply *reply,
                     enum mx_scan_verdict *verdict) {
    struct mx_scan_question *question = talk->question;
    question->reply_len =
        (uint32_t)mx_milter_reply_line(reply->text, question->reply, sizeof question->reply);
    if (question->reply_len == 0)
        return MX_ESYNTAX;
    bool is_shutdown = memcmp(question->reply, "421", 3) == 0;
    *verdict = is_shutdown                 ? MX_SCAN_SHUTDOWN
               : question->reply[0] == '4' ? MX_SCAN_TEMPFAIL
                                           : MX_SCAN_REJECT;
    return 0;
}

static int take_skip(struct mx_talk *talk) {
    if (talk->awaited != MX_MILTER_BODY || (talk->protocol & MX_MILTER_CAN_SKIP) == 0)
        return MX_ESYNTAX;
    talk->is_body_skipped = true;
    talk->awaits_reply = false;
    return 0;
}

static int decide(struct mx_scan *self, struct mx_talk *talk, enum mx_scan_verdict verdict) {
    talk->awaits_reply = false;
    if (verdict == MX_SCAN_CONTINUE && talk->awaited != MX_MILTER_END_OF_MESSAGE)
        return 0; /* the next packet */
    talk->question->verdict = (uint8_t)verdict;
    mx_scan_answer(self, talk, 0);
    return 0;
}

static int take_reply(struct mx_scan *self, struct mx_talk *talk,
                      const struct mx_milter_packet *packet) {
    struct mx_milter_reply reply;
    enum mx_scan_verdict verdict = MX_SCAN_CONTINUE;
    int err = mx_milter_read_reply(packet, &reply);
    if (err < 0)
        return err;
    switch (reply.kind) {
    case MX_MILTER_REPLY_PROGRESS:
        return 0;
    case MX_MILTER_REPLY_ADD:
        return take_change(talk, &reply, MX_CHANGE_ADD);
    case MX_MILTER_REPLY_INSERT:
        return take_change(talk, &reply, MX_CHANGE_INSERT);
    case MX_MILTER_REPLY_CHANGE:
        return take_change(talk, &reply, MX_CHANGE_REPLACE);
    case MX_MILTER_REPLY_QUARANTINE:
        return take_quarantine(talk);
    case MX_MILTER_REPLY_UNOFFERED:
        return -EOPNOTSUPP;
    case MX_MILTER_REPLY_SKIP:
        return take_skip(talk);
    case MX_MILTER_REPLY_TEXT:
        err = take_text(talk, &reply, &verdict);
        break;
    case MX_MILTER_REPLY_CONTINUE:
        break;
    case MX_MILTER_REPLY_ACCEPT:
        verdict = MX_SCAN_ACCEPT;
        break;
    case MX_MILTER_REPLY_REJECT:
        verdict = MX_SCAN_REJECT;
        break;
    case MX_MILTER_REPLY_TEMPFAIL:
        verdict = MX_SCAN_TEMPFAIL;
        break;
    case MX_MILTER_REPLY_DISCARD:
        verdict = MX_SCAN_DISCARD;
        break;
    case MX_MILTER_REPLY_SHUTDOWN:
        verdict = MX_SCAN_SHUTDOWN;
        break;
    }
    return err < 0 ? err : decide(self, talk, verdict);
}

static int read_packet(struct mx_scan *self, struct mx_talk *talk) {
    struct mx_span in = {talk->in, talk->in_len};
    struct mx_milter_packet packet;
    if (!talk->awaits_reply)
        return MX_EPARTIAL;
    int err = mx_milter_take(&in, &packet);
    if (err < 0)
        return err;
    err = talk->awaited == MX_MILTER_NEGOTIATE ? take_options(talk, &packet)
                                               : take_reply(self, talk, &packet);
    talk->in_len = (uint32_t)in.len;
    if (in.len > 0)
        memmove(talk->in, in.ptr, in.len);
    return err;
}

const struct mx_scan_driver mx_scan_milter = {begin, fill, read_packet};
