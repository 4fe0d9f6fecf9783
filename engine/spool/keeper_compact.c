/* keeper_compact.c - which segments are compacted, and when: of those of which little is waited for
 * the one that makes most free, some time after it was full, so that mail that is only late is not
 * copied. When a disk is full, at once, and also of which more is waited for.
 *
 * How much of a segment is waited for is guessed by its recipients. A guess that was wrong costs a
 * look through the segment; the next one comes after twice the time, or when half is waited for.
 */
#include "engine/spool/keeper_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_AGAIN_MS = 1000 };

struct guess {
    uint64_t waiting, rcpts; /* recipients */
    uint32_t final;
};

static struct guess guess_of(const struct mx_spool_keeper *self,
                             const struct mx_spool_segment *row) {
    struct guess guess = {.rcpts = mx_spool_segment_rcpts(row),
                          .final = mx_spool_acks_final(&self->acks, row->core, row->epoch)};
    if (guess.final < row->rcpt_count)
        guess.waiting = row->rcpt_count - guess.final;
    return guess;
}

static uint64_t octets_waiting(const struct mx_spool_segment *row, const struct guess *guess) {
    if (guess->waiting == 0)
        return 0;
    if (guess->waiting >= guess->rcpts)
        return row->file_octets;
    return (uint64_t)((double)row->file_octets * (double)guess->waiting / (double)guess->rcpts);
}

/* Octets of the file that may stay. */
static uint64_t most_octets(const struct mx_spool_keeper *self,
                            const struct mx_spool_segment *row) {
    bool is_wanted = self->is_full[row->dir];
    uint32_t percent = self->conf.compact_below;
    if (is_wanted && percent < MX_SPOOL_COMPACT_WANTED)
        percent = MX_SPOOL_COMPACT_WANTED;
    uint64_t share = row->file_octets / 100 * percent;
    uint64_t gain = row->file_octets - MX_SPOOL_COMPACT_GAIN;
    return share < gain ? share : gain;
}

static bool is_due(struct mx_spool_keeper *self, struct mx_spool_segment *row,
                   const struct guess *guess, uint64_t now_ms) {
    if (row->look_ms == 0) {
        row->look_ms = now_ms + self->conf.compact_after_ms;
        row->looked_final = UINT32_MAX;
    }
    if (self->is_full[row->dir] && row->looked_final != guess->final)
        return true;
    /* a look was in vain, but now much less is waited for */
    bool is_new = row->looks > 0 && row->looked_final < row->rcpt_count &&
                  2 * guess->waiting <= row->rcpt_count - row->looked_final;
    return is_new || now_ms >= row->look_ms;
}

static bool is_candidate(struct mx_spool_keeper *self, struct mx_spool_segment *row,
                         const struct guess *guess, uint64_t now_ms) {
    if (row->state != MX_SPOOL_SEGMENT_SEALED || !mx_spool_keeper_is_usable(self, row->dir) ||
        row->file_octets <= MX_SPOOL_COMPACT_GAIN || !is_due(self, row, guess, now_ms))
        return false;
    if (guess->waiting == 0) /* else it will be freed */
        return mx_spool_keeper_is_pinned(self, row) || mx_spool_store_is_needed(self->store, row);
    return octets_waiting(row, guess) <= most_octets(self, row);
}

static struct mx_spool_segment *pick(struct mx_spool_keeper *self, uint64_t now_ms) {
    struct mx_spool_segment *best = NULL;
    uint64_t best_gain = 0;
    for (uint32_t i = 0; i < self->store->count; i++) {
        struct mx_spool_segment *row = &self->store->segments[i];
        struct guess guess = guess_of(self, row);
        if (!is_candidate(self, row, &guess, now_ms))
            continue;
        uint64_t gain = row->file_octets - octets_waiting(row, &guess);
        if (gain > best_gain) {
            best = row;
            best_gain = gain;
        }
    }
    return best;
}

static bool is_waited(void *context, const struct mx_spool_segment *segment,
                      const struct mx_spool_record *record) {
    const struct mx_spool_keeper *self = context;
    return mx_spool_acks_count(&self->acks, segment, record->rcpt_base, record->rcpt_count,
                               MX_SPOOL_RCPT_FINAL) < record->rcpt_count;
}

static bool go_on(void *context) {
    return mx_spool_keeper_serve(context);
}

/* ---- what came of it ---- */

static void tell(struct mx_spool_keeper *self, const struct mx_spool_segment *before,
                 const struct mx_spool_segment *now) {
    char name[MX_SPOOL_NAME_MAX], text[128];
    mx_spool_segment_name(name, now->core, now->number, "");
    int len =
        snprintf(text, sizeof text, "%u of %u messages stay, %llu of %llu octets",
                 now->message_count, before->message_count, (unsigned long long)now->file_octets,
                 (unsigned long long)before->file_octets);
    assert(len > 0 && (size_t)len < sizeof text);
    mx_spool_keeper_say(self, MX_SEVERITY_INFO, "spool_compacted", name, text);
    self->counters.compacted++;
    self->counters.compact_freed += before->file_octets - now->file_octets;
}

/* When it is looked at again. */
static void note_look(struct mx_spool_keeper *self, struct mx_spool_segment *row, uint32_t final,
                      bool was_vain) {
    uint64_t wait_ms = self->conf.compact_after_ms;
    wait_ms = wait_ms > LOOK_AGAIN_MS ? wait_ms : LOOK_AGAIN_MS;
    row->looked_final = final;
    row->looks = was_vain ? row->looks + (row->looks < MX_SPOOL_LOOKS_MAX) : 0;
    row->look_ms = mx_spool_keeper_now_ms() + (wait_ms << row->looks);
}

static void note_error(struct mx_spool_keeper *self, const struct mx_spool_segment *row, int err) {
    char name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(name, row->core, row->number, "");
    if (err == MX_ESYNTAX)
        mx_spool_keeper_say(self, MX_SEVERITY_WARN, "spool_compact", name,
                            "something is damaged: it stays as it is");
    else if (err == -ENOSPC || err == -EDQUOT)
        self->compact_ms = mx_spool_keeper_now_ms() + MX_SPOOL_RETRY_MS;
    else if (err != -EFBIG && err != -ECANCELED)
        mx_spool_keeper_dir_failed(self, row->dir, err);
}

/* What is read of an ack log that its writer has not synced yet may be lost: it is synced first.
 * The list changes while the workers are served. */
bool mx_spool_keeper_compact(struct mx_spool_keeper *self) {
    uint64_t now_ms = mx_spool_keeper_now_ms();
    if (self->conf.compact_below == 0 || now_ms < self->compact_ms || self->store->is_partial)
        return false;
    struct mx_spool_segment *row = pick(self, now_ms);
    if (row == NULL)
        return false;
    const struct mx_spool_segment before = *row;
    struct mx_spool_segment now = *row;
    bool is_wanted = self->is_full[row->dir];
    uint32_t final = guess_of(self, row).final;
    int err = mx_spool_acks_sync(&self->acks);
    if (err < 0) {
        mx_spool_keeper_dir_failed(self, 0, err);
        return false;
    }
    self->compact.is_waited = is_waited;
    self->compact.go_on = go_on;
    self->compact.context = self;
    self->compact.keeps_open = mx_spool_keeper_is_pinned(self, &before);
    err = mx_spool_compact(&self->compact, &now, most_octets(self, &before));
    row = mx_spool_keeper_find(self, before.dir, before.core, before.number);
    assert(row != NULL);
    bool is_done = now.compactions != before.compactions;
    if (is_done) {
        *row = now;
        tell(self, &before, &now);
    }
    self->counters.compact_looks++;
    self->counters.compact_read += self->compact.read_octets;
    note_look(self, row, final, !is_done);
    self->compact_ms = mx_spool_keeper_now_ms();
    if (!is_wanted)
        self->compact_ms += self->compact.read_octets * 1000 / MX_SPOOL_COMPACT_RATE;
    if (err < 0)
        note_error(self, row, err);
    return is_wanted && err != -ECANCELED && self->compact_ms <= mx_spool_keeper_now_ms();
}
