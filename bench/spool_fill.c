/* spool_fill.c - a spool with very many small messages, to see what many cost: `bench/spool_scale`
 * uses it.
 *
 *     bench-spool_fill DIR MESSAGES [CORES] [SEGMENT_MIB]
 *
 * Sealed segments as the server leaves them: a message has 64 octets of content and one recipient.
 * Every second one is delivered, says acks/fill.log.
 */
#include "engine/spool/format.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONTENT = 64, RECORDS_OF_A_BATCH = 2048, RUN = 1, ACKS = 4096 };

static const uint8_t uuid[16] = {0x6b, 0x0f, 0x1c, 0x52, 0x93, 0xd4, 0x4f, 0x0e,
                                 0xa1, 0xc7, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab};

struct filler {
    char *image;
    uint64_t size; /* of a segment, octets */
    uint64_t left; /* messages of this core */
    uint32_t core, number;
    uint64_t lsn;
    /* the segment being made */
    uint64_t offset;
    uint32_t seed, seq, messages;
    int log;
};

static uint64_t epoch_of(const struct filler *self) {
    return RUN * MX_SPOOL_EPOCHS + self->number;
}

static char *put(char *at, const void *ptr, size_t len) {
    memcpy(at, ptr, len);
    return at + len;
}

static char *put_tlv(char *at, enum mx_spool_envelope type, const char *text) {
    struct mx_spool_tlv tlv = {.type = (uint16_t)type, .len = (uint32_t)strlen(text)};
    return put(put(at, &tlv, sizeof tlv), text, tlv.len);
}

/* Returns its size with padding. */
static uint32_t put_message(struct filler *self, char *at) {
    struct mx_spool_record record = {
        .magic = MX_SPOOL_RECORD_MAGIC,
        .type = MX_SPOOL_MSG,
        .version = MX_SPOOL_VERSION,
        .lsn = self->lsn,
        .message_lsn = self->lsn,
        .content_octets = CONTENT,
        .total_octets = CONTENT,
        .first_epoch = epoch_of(self),
        .rcpt_base = self->messages++,
        .rcpt_count = 1,
        .received_ns = INT64_C(1700000000000000000),
        .origin_core = self->core,
    };
    self->lsn++;
    char *end = at + sizeof record + CONTENT;
    memset(at + sizeof record, 'x', CONTENT);
    end = put_tlv(end, MX_SPOOL_ENV_SENDER, "a@example.org");
    end = put_tlv(end, MX_SPOOL_ENV_RCPT, "bob@example.com");
    record.len_octets = (uint32_t)(end - at);
    record.envelope_octets = record.len_octets - (uint32_t)sizeof record - CONTENT;
    uint32_t size = (uint32_t)mx_spool_round(record.len_octets, MX_SPOOL_ALIGN);
    memset(end, 0, size - record.len_octets);
    memcpy(at, &record, sizeof record);
    record.crc = mx_crc32c(self->seed, (struct mx_span){at, size});
    memcpy(at, &record, sizeof record);
    return size;
}

static void put_batch(struct filler *self) {
    char *at = self->image + self->offset;
    struct mx_spool_batch batch = {
        .magic = MX_SPOOL_BATCH_MAGIC,
        .epoch = epoch_of(self),
        .first_lsn = self->lsn,
        .seq = self->seq++,
        .used_octets = sizeof batch,
    };
    for (; batch.record_count < RECORDS_OF_A_BATCH && self->left > 0; batch.record_count++) {
        batch.used_octets += put_message(self, at + batch.used_octets);
        self->left--;
    }
    batch.len_octets = (uint32_t)mx_spool_round(batch.used_octets, MX_SPOOL_BLOCK);
    memset(at + batch.used_octets, 0, batch.len_octets - batch.used_octets);
    batch.crc = mx_crc32c(self->seed, (struct mx_span){(const char *)&batch, sizeof batch});
    memcpy(at, &batch, sizeof batch);
    self->offset += batch.len_octets;
}

static void put_twice(char *block, const void *content, size_t len) {
    memset(block, 0, MX_SPOOL_BLOCK);
    memcpy(block, content, len);
    memcpy(block + MX_SPOOL_COPY_AT, content, len);
}

static void put_header(struct filler *self) {
    struct mx_spool_header header = {
        .magic = MX_SPOOL_HEADER_MAGIC,
        .version = MX_SPOOL_VERSION,
        .core = self->core,
        .epoch = epoch_of(self),
        .size_octets = self->size,
        .base_lsn = self->lsn,
        .prev_epoch = self->number > 0 ? epoch_of(self) - 1 : 0,
        .prev_sealed_lsn = self->number > 0 ? self->lsn - 1 : 0,
    };
    memcpy(header.uuid, uuid, sizeof uuid);
    header.crc = mx_crc32c(0, (struct mx_span){(const char *)&header, sizeof header});
    put_twice(self->image, &header, sizeof header);
}

static void put_footer(struct filler *self) {
    struct mx_spool_footer footer = {
        .magic = MX_SPOOL_FOOTER_MAGIC,
        .version = MX_SPOOL_VERSION,
        .core = self->core,
        .message_count = self->messages,
        .epoch = epoch_of(self),
        .end_offset = self->offset,
        .last_lsn = self->lsn - 1,
        .oldest_epoch = epoch_of(self),
        .content_octets = (uint64_t)self->messages * CONTENT,
        .rcpt_count = self->messages,
    };
    memcpy(footer.uuid, uuid, sizeof uuid);
    footer.crc = mx_crc32c(0, (struct mx_span){(const char *)&footer, sizeof footer});
    put_twice(self->image + self->size - MX_SPOOL_BLOCK, &footer, sizeof footer);
}

static int write_all(int fd, const void *ptr, size_t len) {
    const char *octets = ptr;
    while (len > 0) {
        ssize_t n = write(fd, octets, len);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        octets += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_file(const char *path, const char *octets, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int err = write_all(fd, octets, len);
    if (close(fd) < 0 && err == 0)
        err = -errno;
    return err;
}

/* Every second recipient of the segment. */
static int write_acks(const struct filler *self) {
    static struct mx_spool_ack acks[ACKS];
    uint32_t seed = mx_crc32c(0, (struct mx_span){(const char *)uuid, sizeof uuid}), count = 0;
    int err = 0;
    for (uint32_t rcpt = 0; err == 0 && rcpt < self->messages; rcpt += 2) {
        struct mx_spool_ack *ack = &acks[count++];
        *ack = (struct mx_spool_ack){
            .magic = MX_SPOOL_ACK_MAGIC,
            .epoch = epoch_of(self),
            .message_lsn = self->lsn - self->messages + rcpt,
            .core = self->core,
            .rcpt = rcpt,
            .state = MX_SPOOL_ACK_DELIVERED,
            .origin_core = self->core,
        };
        ack->crc = mx_crc32c(seed, (struct mx_span){(const char *)ack, sizeof *ack});
        if (count < ACKS && rcpt + 2 < self->messages)
            continue;
        err = write_all(self->log, acks, count * sizeof *acks);
        count = 0;
    }
    return err;
}

static int fill_segment(struct filler *self, const char *dir) {
    char path[512];
    self->offset = MX_SPOOL_BLOCK;
    self->seq = self->messages = 0;
    self->seed = mx_spool_seed(uuid, self->core, epoch_of(self));
    put_header(self);
    while (self->left > 0 && self->offset + MX_SPOOL_BATCH_MAX <= self->size - MX_SPOOL_BLOCK)
        put_batch(self);
    memset(self->image + self->offset, 0, self->size - MX_SPOOL_BLOCK - self->offset);
    put_footer(self);
    int len = snprintf(path, sizeof path, "%s/%u/seg.%06u", dir, self->core, self->number);
    if (len < 0 || (size_t)len >= sizeof path)
        return -ENAMETOOLONG;
    int err = write_file(path, self->image, self->size);
    if (err == 0)
        err = write_acks(self);
    self->number++;
    return err;
}

static int fill_core(struct filler *self, const char *dir) {
    char path[512];
    int len = snprintf(path, sizeof path, "%s/%u", dir, self->core);
    if (len < 0 || (size_t)len >= sizeof path)
        return -ENAMETOOLONG;
    if (mkdir(path, 0700) < 0)
        return -errno;
    self->number = 0;
    self->lsn = (UINT64_C(1) * RUN) << MX_SPOOL_LSN_BITS | 1;
    int err = 0;
    while (err == 0 && self->left > 0)
        err = fill_segment(self, dir);
    return err;
}

static int write_meta(const char *dir) {
    static const char meta[] = "mxring-spool 1\nuuid 6b0f1c52-93d4-4f0e-a1c7-0123456789ab\nrun 1\n";
    char path[512];
    int len = snprintf(path, sizeof path, "%s/meta", dir);
    if (len < 0 || (size_t)len >= sizeof path)
        return -ENAMETOOLONG;
    return write_file(path, meta, sizeof meta - 1);
}

static int open_log(struct filler *self, const char *dir) {
    char path[512];
    int len = snprintf(path, sizeof path, "%s/acks", dir);
    if (len < 0 || (size_t)len + sizeof "/fill.log" > sizeof path)
        return -ENAMETOOLONG;
    if (mkdir(path, 0700) < 0)
        return -errno;
    memcpy(path + len, "/fill.log", sizeof "/fill.log");
    self->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return self->log >= 0 ? 0 : -errno;
}

static uint64_t number(const char *text, uint64_t least, uint64_t most) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "bench-spool_fill: %s: a number from %llu to %llu is wanted\n", text,
                (unsigned long long)least, (unsigned long long)most);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return value;
}

static char *new_image(uint64_t octets) {
    return malloc(octets);
}

static void free_image(struct filler *self) {
    free(self->image);
    self->image = NULL;
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 5) {
        fputs("usage: bench-spool_fill DIR MESSAGES [CORES] [SEGMENT_MIB]\n", stderr);
        return 2;
    }
    uint64_t messages = number(argv[2], 1, UINT64_C(1000000000));
    uint64_t cores = argc > 3 ? number(argv[3], 1, 1024) : 2;
    struct filler self = {.size = (argc > 4 ? number(argv[4], 4, 1024) : 64) << 20};
    self.image = new_image(self.size);
    int err = self.image != NULL ? 0 : -ENOMEM;
    if (err == 0 && mkdir(argv[1], 0700) < 0)
        err = -errno;
    if (err == 0)
        err = write_meta(argv[1]);
    if (err == 0)
        err = open_log(&self, argv[1]);
    for (; err == 0 && self.core < cores; self.core++) {
        self.left = messages / cores + (self.core < messages % cores);
        err = fill_core(&self, argv[1]);
    }
    if (self.log > 0 && close(self.log) < 0 && err == 0)
        err = -errno;
    free_image(&self);
    if (err < 0)
        fprintf(stderr, "bench-spool_fill: %s\n", strerrordesc_np(-err));
    return err < 0;
}
