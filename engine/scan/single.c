/* single.c - conversations of one question: the request, the message, and what is said to it. */
#include "engine/scan/scan_impl.h"
#include "proto/scanreply.h"

#include <errno.h>

int mx_scan_single_begin(struct mx_scan *self, struct mx_talk *talk) {
    (void)self;
    talk->at = 0;
    mx_fulltext_cursor_begin(&talk->text, talk->question->text, 0);
    return 0;
}

int mx_scan_single_fill(struct mx_scan *self, struct mx_talk *talk) {
    const struct mx_scan_question *question = talk->question;
    uint32_t room = MX_SCAN_OUT - talk->out_end, left = question->request_octets - talk->at;
    uint32_t octets = left < room ? left : room;
    (void)self;
    memcpy(talk->out + talk->out_end, question->request + talk->at, octets);
    talk->at += octets;
    talk->out_end += octets;
    if (talk->at == question->request_octets)
        talk->out_end += mx_fulltext_cursor_read(&talk->text, talk->out + talk->out_end,
                                                 MX_SCAN_OUT - talk->out_end);
    return 0;
}

/* ---- rspamd ---- */

static int read_rspamd(struct mx_scan *self, struct mx_talk *talk) {
    struct mx_http_reply reply;
    if (talk->in_len == 0) /* when that is all, it has not said a word */
        return MX_EPARTIAL;
    int err = mx_http_read((struct mx_span){talk->in, talk->in_len}, talk->is_in_over, &reply);
    if (err == 0 && reply.status != 200)
        err = -EPROTO;
    if (err == 0)
        err = mx_scan_rspamd_read(reply.body, talk->question);
    if (err == 0)
        mx_scan_answer(self, talk, 0);
    return err;
}

const struct mx_scan_driver mx_scan_rspamd = {mx_scan_single_begin, mx_scan_single_fill,
                                              read_rspamd};

/* ---- spamd ---- */

static int read_spamd(struct mx_scan *self, struct mx_talk *talk) {
    struct mx_scan_question *question = talk->question;
    struct mx_spamd_reply reply;
    int err = mx_spamd_read((struct mx_span){talk->in, talk->in_len}, &reply);
    if (err == 0 && reply.code != 0)
        err = -EPROTO;
    if (err < 0)
        return err;
    question->is_spam = reply.is_spam;
    question->score = reply.score;
    question->required = reply.required;
    mx_scan_answer(self, talk, 0);
    return 0;
}

const struct mx_scan_driver mx_scan_spamd = {mx_scan_single_begin, mx_scan_single_fill, read_spamd};
