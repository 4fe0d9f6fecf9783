/* look.c - what is there after the crash. */
#include "tests/crash/crash.h"

struct compared {
    uint32_t mail, at;
    bool is_same;
};

static int compare(void *context, struct mx_span piece) {
    struct compared *self = context;
    for (size_t i = 0; i < piece.len && self->is_same; i++)
        self->is_same = piece.ptr[i] == crash_octet(self->mail, self->at + (uint32_t)i);
    self->at += (uint32_t)piece.len;
    return 0;
}

static bool names(struct mx_span envelope, uint32_t mail) {
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(envelope);
    struct mx_spool_item item;
    char wanted[40];
    uint32_t count = 0;
    int len = snprintf(wanted, sizeof wanted, "m%u@b.example", mail);
    while (mx_spool_envelope_next(&cursor, &item) == 0) {
        if (item.type == MX_SPOOL_ENV_RCPT)
            count += mx_span_equal(item.value, (struct mx_span){wanted, (size_t)len});
    }
    return count == world.mails[mail].rcpts;
}

static void look_at(struct mx_spool_reader *reader, struct mx_spool_segment *segment,
                    const struct mx_spool_record *record, uint64_t offset) {
    struct compared compared = {(uint32_t)record->received_ns, 0, true};
    uint32_t mail = compared.mail;
    if (mail >= world.mail_count) {
        crash_violation("nobody sent it", mail);
        return;
    }
    int err = mx_spool_reader_open(reader, segment, record->lsn, offset);
    if (err == 0 && !names(reader->envelope, mail))
        crash_violation("other recipients", mail);
    if (err == 0)
        err = mx_spool_reader_content(reader, compare, &compared);
    bool is_left_out = err == MX_ESYNTAX && reader->is_left_out;
    if (is_left_out && world.mails[mail].fate == DONE)
        return;
    if (err < 0)
        crash_violation("cannot be read", mail);
    else if (!compared.is_same || compared.at != world.mails[mail].len)
        crash_violation("changed", mail);
    if (world.mails[mail].fate == REFUSED)
        crash_violation("refused, but there", mail);
    if (world.mails[mail].fate == CONSUMED)
        crash_violation("it was done with", mail);
    if (world.mails[mail].found++ > 0)
        crash_violation("twice", mail);
}

void crash_look(void) {
    struct mx_spool_reader reader;
    struct mx_spool_file file;
    int err = mx_spool_reader_new(&reader, &world.store);
    if (err == 0)
        err = mx_spool_file_new(&file);
    assert(err == 0);
    for (uint32_t i = 0; i < world.mail_count; i++)
        world.mails[i].found = 0;
    for (uint32_t i = 0; i < world.store.count; i++) {
        struct mx_spool_segment *segment = &world.store.segments[i];
        struct mx_spool_walk walk;
        struct mx_spool_record record;
        uint64_t offset;
        if (segment->state == MX_SPOOL_SEGMENT_FREE)
            continue;
        err = mx_spool_store_file(&world.store, segment, &file);
        assert(err == 0);
        mx_spool_walk_begin(&walk, &file, world.store.uuid, segment, false);
        while (mx_spool_walk_next(&walk, &record, &offset)) {
            if (record.type == MX_SPOOL_MSG)
                look_at(&reader, segment, &record, offset);
        }
    }
    for (uint32_t i = 0; i < world.mail_count; i++) {
        if (world.mails[i].fate == ACCEPTED && world.mails[i].found == 0)
            crash_violation("accepted, but lost", i);
        if (world.mails[i].fate == UNKNOWN) /* now it is known */
            world.mails[i].fate = world.mails[i].found > 0 ? ACCEPTED : REFUSED;
    }
    mx_spool_file_free(&file);
    mx_spool_reader_free(&reader);
    if (world.is_alarm)
        crash_violation("an alarm without damage", 0);
    world.is_alarm = false;
}
