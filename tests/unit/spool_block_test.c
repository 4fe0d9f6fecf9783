/* spool_block_test.c - what is a header, a footer, a batch, a record: only what the writer can have
 * written. Lengths that cannot be are refused although the CRC is right.
 */
#include "engine/spool/block.h"
#include "tests/unit/guard_page.h"
#include "tests/unit/spool_maker.h"

#include <criterion/criterion.h>

Test(spool_block, zeros) {
    char octets[100] = {0};
    for (size_t len = 0; len < sizeof octets; len++) {
        cr_expect(mx_spool_is_zero(octets, len));
        for (size_t at = 0; at < len; at++) {
            octets[at] = 1;
            cr_expect_not(mx_spool_is_zero(octets, len));
            octets[at] = 0;
        }
    }
}

/* Each octet of the block changed, with the other copy as it was, and in both. */
Test(spool_block, copies) {
    static char block[MX_SPOOL_BLOCK], changed[MX_SPOOL_BLOCK];
    struct mx_spool_header header = {.core = 3, .epoch = 12, .size_octets = 1 << 20, .base_lsn = 7};
    struct mx_spool_header got;
    bool is_marred = true;
    cr_expect_eq(mx_spool_header_read(block, &got, NULL), MX_SPOOL_BLOCK_ZERO);
    mx_spool_header_write(block, &header);
    cr_expect_eq(mx_spool_header_read(block, &got, &is_marred), MX_SPOOL_BLOCK_VALID);
    cr_expect_not(is_marred);
    cr_expect_arr_eq(&got, &header, sizeof got);
    for (size_t at = 0; at < sizeof block; at++) {
        memcpy(changed, block, sizeof block);
        changed[at] ^= 4;
        memset(&got, 0, sizeof got);
        cr_expect_eq(mx_spool_header_read(changed, &got, &is_marred), MX_SPOOL_BLOCK_VALID);
        cr_expect(is_marred);
        cr_expect_arr_eq(&got, &header, sizeof got);
        if (at >= sizeof header)
            continue;
        changed[at + MX_SPOOL_COPY_AT] ^= 4;
        bool is_version = at >= 12 && at < 16;
        cr_expect_eq(mx_spool_header_read(changed, &got, NULL),
                     is_version ? MX_SPOOL_BLOCK_UNKNOWN : MX_SPOOL_BLOCK_DAMAGED, "octet %zu", at);
    }
    struct mx_spool_footer footer;
    cr_expect_eq(mx_spool_footer_read(block, &footer, NULL), MX_SPOOL_BLOCK_DAMAGED);
}

/* A batch at the end of readable memory, with one thing changed and signed again. */
Test(spool_block, batches) {
    static const struct {
        const char *name;
        int32_t used, len, records, lsn; /* added to what is right */
        bool is_good;
    } cases[] = {
        {"right",             0,       0,     0,  0, true },
        {"one record less",   0,       0,     -1, 0, false},
        {"one record more",   0,       0,     1,  0, false},
        {"used too little",   -32,     0,     0,  0, false},
        {"used too much",     32,      0,     0,  0, false},
        {"used not aligned",  1,       0,     0,  0, false},
        {"used is enormous",  1 << 30, 0,     0,  0, false},
        {"longer",            0,       4096,  0,  0, false},
        {"shorter",           0,       -4096, 0,  0, false},
        {"shorter by octets", 0,       -32,   0,  0, false},
        {"LSN of another",    0,       0,     0,  1, false},
    };
    struct maker maker;
    maker_begin(&maker, 0, 0, 7, 70);
    for (int i = 0; i < 5; i++)
        maker_message(&maker, "Subject: x\r\n\r\ntext\r\n");
    maker_flush(&maker);
    struct mx_spool_batch right;
    memcpy(&right, maker.image + MX_SPOOL_BLOCK, sizeof right);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_spool_batch batch = right;
        const char *why = "";
        uint32_t where = 0;
        batch.used_octets += (uint32_t)cases[i].used;
        batch.len_octets += (uint32_t)cases[i].len;
        batch.record_count += (uint32_t)cases[i].records;
        batch.first_lsn += (uint64_t)(int64_t)cases[i].lsn;
        batch.crc = 0;
        batch.crc = mx_crc32c(maker.seed, (struct mx_span){(const char *)&batch, sizeof batch});
        char *at = guard_room(MX_SPOOL_BLOCK);
        memcpy(at, maker.image + MX_SPOOL_BLOCK, MX_SPOOL_BLOCK);
        memcpy(at, &batch, sizeof batch);
        int err = mx_spool_batch_peek(at, maker.seed, &batch, &why);
        if (err == 0)
            err = mx_spool_batch_check((struct mx_span){at, batch.len_octets}, maker.seed, &batch,
                                       &why, &where);
        cr_expect_eq(err, cases[i].is_good ? 0 : MX_ESYNTAX, "%s: %s", cases[i].name, why);
        cr_expect_eq(mx_spool_batch_peek(at, maker.seed + 1, &batch, &why), MX_ESYNTAX);
    }
    free(maker.image);
}

Test(spool_block, records) {
    enum change {
        NOTHING,
        LEN,
        CONTENT,
        ENVELOPE,
        TYPE,
        VERSION,
        TOTAL,
        CHUNK,
        RCPTS,
        BASE,
        CHANGES
    };
    struct maker maker;
    maker_begin(&maker, 0, 0, 7, 70);
    uint32_t at = maker_record(&maker, &(struct maker_record){.content = MX_SPAN("text")});
    for (int change = NOTHING; change < CHANGES; change++) {
        struct mx_spool_record record, got;
        const char *why = "";
        memcpy(&record, maker.image + at, sizeof record);
        record.len_octets += change == LEN;
        record.content_octets += change == CONTENT;
        record.envelope_octets += change == ENVELOPE;
        record.type = change == TYPE ? 3 : change == CHUNK ? MX_SPOOL_CHUNK : record.type;
        record.version = change == VERSION ? 2 : record.version;
        record.total_octets -= change == TOTAL;
        record.rcpt_count = change == RCPTS ? 100 : record.rcpt_count;
        record.rcpt_base = change == BASE ? UINT32_MAX : record.rcpt_base;
        char *copy = guard_room(sizeof record);
        memcpy(copy, &record, sizeof record);
        cr_expect_eq(mx_spool_record_peek(copy, mx_spool_record_size(&record), &got, &why),
                     change == NOTHING ? 0 : MX_ESYNTAX, "%d: %s", change, why);
        cr_expect_eq(mx_spool_record_peek(copy, mx_spool_record_size(&record) - 1, &got, &why),
                     MX_ESYNTAX);
        cr_expect_eq(mx_spool_record_peek(copy, sizeof record - 1, &got, &why), MX_ESYNTAX);
    }
    free(maker.image);
}
