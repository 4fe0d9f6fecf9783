/* spool_fuzz.c - whatever stands in a segment, an envelope or an ack log: properties.
 *
 * Segment: what a walk gives lies in the segment, in order, without overlap, with rising LSNs and
 * right CRCs; a scan counts what a walk behind it gives, and a second scan says the same; a message
 * that is opened gives as many octets as it says, or an error. Envelope: its values are inside of
 * it, one behind the other. Ack log: cut anywhere and read twice, it says the same as read at once.
 *
 * Input: octet 0 chooses what it is. Segment: octet 1 whether CRCs are put right first (a fuzzer
 * does not find them), and whether it is read as one that was compacted; octets 2, 3 what is said
 * to be acknowledged and the cut; the rest stands behind the header block.
 */
#include "engine/spool/acks.h"
#include "engine/spool/block.h"
#include "engine/spool/message.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 4, BODY_MAX = 96 << 10, IMAGE_MAX = MX_SPOOL_BLOCK + BODY_MAX };

static struct mx_spool_store store;
static struct mx_spool_segment segment;
static char image[IMAGE_MAX];
static uint32_t seed;

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static char root[64];

static void tear_down(void) {
    static const char *const names[] = {"0/seg.000000", "acks/x.log"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlinkat(store.dirs[0].fd, names[i], 0);
    unlinkat(store.dirs[0].fd, "0", AT_REMOVEDIR);
    unlinkat(store.dirs[0].fd, "acks", AT_REMOVEDIR);
    rmdir(root);
}

static void set_up(void) {
    if (store.count > 0)
        return;
    const char *in = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    int len = snprintf(root, sizeof root, "%s/mxspool-fuzz-XXXXXX", in);
    must(len > 0 && mkdtemp(root) != NULL);
    must(atexit(tear_down) == 0);
    store.dirs[0] = (struct mx_spool_dir){root, open(root, O_RDONLY | O_DIRECTORY), -1};
    must(store.dirs[0].fd >= 0);
    must(mkdirat(store.dirs[0].fd, "0", 0700) == 0);
    must(mkdirat(store.dirs[0].fd, "acks", 0700) == 0);
    for (uint8_t i = 0; i < 16; i++)
        store.uuid[i] = i;
    store.node = mx_spool_node(store.uuid);
    store.run = 2;
    store.segments = &segment;
    store.count = store.capacity = 1;
    seed = mx_spool_seed(store.uuid, 0, MX_SPOOL_EPOCHS);
}

static void put_file(const char *name, const void *ptr, size_t len) {
    int fd = openat(store.dirs[0].fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, ptr, len) == (ssize_t)len);
    close(fd);
}

/* ---- segments ---- */

static void repair_records(char *at, uint32_t used) {
    struct mx_spool_record record;
    const char *why;
    for (uint32_t i = sizeof(struct mx_spool_batch); i < used;) {
        if (mx_spool_record_peek(at + i, used - i, &record, &why) < 0)
            return;
        uint32_t len = mx_spool_record_size(&record);
        record.crc = 0;
        memcpy(at + i, &record, sizeof record);
        record.crc = mx_crc32c(seed, (struct mx_span){at + i, len});
        memcpy(at + i, &record, sizeof record);
        i += len;
    }
}

static void repair(size_t octets) {
    for (size_t at = MX_SPOOL_BLOCK; at + MX_SPOOL_BLOCK <= octets; at += MX_SPOOL_BLOCK) {
        struct mx_spool_batch batch;
        memcpy(&batch, image + at, sizeof batch);
        if (batch.magic != MX_SPOOL_BATCH_MAGIC)
            continue;
        size_t room = octets - at;
        repair_records(image + at, batch.used_octets < room ? batch.used_octets : (uint32_t)room);
        batch.crc = 0;
        batch.crc = mx_crc32c(seed, (struct mx_span){(const char *)&batch, sizeof batch});
        memcpy(image + at, &batch, sizeof batch);
    }
}

static int count_octets(void *context, struct mx_span piece) {
    uint64_t *octets = context;
    *octets += piece.len;
    return 0;
}

static void check_message(struct mx_spool_reader *reader, uint64_t lsn, uint64_t offset) {
    uint64_t octets = 0;
    int err = mx_spool_reader_open(reader, &segment, lsn, offset);
    must(err == 0 || err == MX_ESYNTAX);
    if (err < 0)
        return;
    err = mx_spool_reader_content(reader, count_octets, &octets);
    must(err == MX_ESYNTAX || (err == 0 && octets == reader->record.total_octets));
    must(mx_spool_reader_content(reader, NULL, NULL) == err);
}

static void walk_over(struct mx_spool_file *file, struct mx_spool_reader *reader, bool is_light,
                      uint32_t *messages) {
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset, end = MX_SPOOL_BLOCK, lsn = 0;
    *messages = 0;
    mx_spool_walk_begin(&walk, file, store.uuid, &segment, is_light);
    while (mx_spool_walk_next(&walk, &record, &offset)) {
        uint32_t size = mx_spool_record_size(&record);
        must(offset >= end && offset % MX_SPOOL_ALIGN == 0 && offset + size <= segment.end_offset);
        must(record.lsn > lsn && record.lsn <= segment.cut_lsn);
        if (!is_light)
            must(mx_spool_record_is_sound((struct mx_span){image + offset, size}, seed));
        end = offset + size;
        lsn = record.lsn;
        if (record.type != MX_SPOOL_MSG)
            continue;
        ++*messages;
        check_message(reader, record.lsn, offset);
    }
}

static void try_segment(const uint8_t *data, size_t size) {
    struct mx_spool_file file;
    struct mx_spool_reader reader;
    struct mx_spool_scan first, second;
    size_t body = size - HEAD < BODY_MAX ? size - HEAD : BODY_MAX;
    size_t octets = MX_SPOOL_BLOCK + mx_spool_round(body, MX_SPOOL_BLOCK);
    memset(image, 0, octets);
    memcpy(image + MX_SPOOL_BLOCK, data + HEAD, body);
    if (data[1] % 2 == 0)
        repair(octets);
    put_file("0/seg.000000", image, octets);
    segment = (struct mx_spool_segment){
        .state = MX_SPOOL_SEGMENT_OPEN,
        .epoch = MX_SPOOL_EPOCHS,
        .compactions = data[1] / 2 % 2,
        .base_lsn = 1,
        .acked_lsn = data[2] % 16,
        .cut_lsn = data[3] % 2 ? MX_SPOOL_NO_CUT : data[3] / 2 % 16,
    };
    must(mx_spool_file_new(&file) == 0 && mx_spool_reader_new(&reader, &store) == 0);
    must(mx_spool_store_file(&store, &segment, &file) == 0);
    struct mx_spool_segment again = segment;
    mx_spool_scan(&first, &file, store.uuid, &segment);
    mx_spool_scan(&second, &file, store.uuid, &again);
    must(segment.end_offset == again.end_offset && segment.last_lsn == again.last_lsn);
    must(segment.end_offset >= MX_SPOOL_BLOCK && segment.end_offset <= octets);
    must(first.is_damaged || segment.last_lsn >= segment.acked_lsn || segment.acked_lsn < 1);
    uint32_t full, light;
    walk_over(&file, &reader, false, &full);
    must(full == segment.message_count);
    walk_over(&file, &reader, true, &light);
    mx_spool_reader_free(&reader);
    mx_spool_file_free(&file);
}

/* ---- envelopes ---- */

static void try_envelope(const uint8_t *data, size_t size) {
    struct mx_span envelope = {(const char *)data, size};
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(envelope);
    struct mx_spool_item item;
    const char *end = envelope.ptr;
    int err;
    while ((err = mx_spool_envelope_next(&cursor, &item)) == 0) {
        must(item.value.ptr == end + sizeof(struct mx_spool_tlv));
        end = item.value.ptr + item.value.len;
        must(end <= envelope.ptr + envelope.len);
        must(item.rcpt == UINT32_MAX || item.rcpt < cursor.rcpt_count);
        uint64_t number;
        if (mx_spool_item_number(&item, &number))
            must(item.value.len == 8 || number >> 8 * item.value.len == 0);
    }
    must(err == MX_ESYNTAX || (err == MX_EPARTIAL && end == envelope.ptr + envelope.len));
    must(!mx_spool_envelope_is_sound(envelope, cursor.rcpt_count) || err == MX_EPARTIAL);
}

/* ---- ack logs ---- */

static bool all_live(void *context, uint32_t core, uint64_t epoch) {
    (void)context;
    (void)core;
    (void)epoch;
    return true;
}

static void repair_acks(struct mx_spool_ack *acks, size_t count) {
    struct mx_span uuid = {(const char *)store.uuid, sizeof store.uuid};
    for (size_t i = 0; i < count; i++) {
        if (acks[i].magic != MX_SPOOL_ACK_MAGIC)
            continue;
        acks[i].rcpt %= 4096; /* a record asks for memory up to its recipient */
        acks[i].crc = 0;
        acks[i].crc =
            mx_crc32c(mx_crc32c(0, uuid), (struct mx_span){(const char *)&acks[i], sizeof acks[i]});
    }
}

static void try_acks(const uint8_t *data, size_t size) {
    static struct mx_spool_ack acks[256];
    struct mx_spool_acks whole, parts;
    size_t octets = size - 2 < sizeof acks ? size - 2 : sizeof acks;
    memcpy(acks, data + 2, octets);
    repair_acks(acks, octets / sizeof *acks);
    must(mx_spool_acks_new(&whole, &store, all_live, NULL, NULL) == 0);
    must(mx_spool_acks_new(&parts, &store, all_live, NULL, NULL) == 0);
    put_file("acks/x.log", acks, octets * data[1] / 256);
    must(mx_spool_acks_poll(&parts) == 0);
    int fd = openat(store.dirs[0].fd, "acks/x.log", O_WRONLY);
    must(fd >= 0 && pwrite(fd, acks, octets, 0) == (ssize_t)octets);
    close(fd);
    must(mx_spool_acks_poll(&parts) == 0 && mx_spool_acks_poll(&whole) == 0);
    must(whole.records == parts.records && whole.damaged == parts.damaged);
    for (size_t i = 0; i < octets / sizeof *acks; i++) {
        must(mx_spool_acks_final(&whole, acks[i].core, acks[i].epoch) ==
             mx_spool_acks_final(&parts, acks[i].core, acks[i].epoch));
        must(mx_spool_acks_state(&whole, acks[i].core, acks[i].epoch, acks[i].rcpt) ==
             mx_spool_acks_state(&parts, acks[i].core, acks[i].epoch, acks[i].rcpt));
    }
    mx_spool_acks_free(&whole);
    mx_spool_acks_free(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    set_up();
    if (size < HEAD)
        return 0;
    if (data[0] % 4 < 2)
        try_segment(data, size);
    else if (data[0] % 4 == 2)
        try_envelope(data + 1, size - 1);
    else
        try_acks(data, size);
    return 0;
}
