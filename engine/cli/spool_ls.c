/* spool_ls.c - mxring spool ls and stat. */
#include "engine/cli/json.h"
#include "engine/cli/spool.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

struct list {
    struct mx_cli_spool spool;
    bool is_json, is_all;
};

static int print(void *context, struct mx_spool_segment *segment,
                 const struct mx_spool_record *record, uint64_t offset) {
    struct list *self = context;
    char id_text[MX_SPOOL_ID_TEXT], time[MX_CLI_TIME_MAX];
    uint32_t pending;
    (void)offset;
    const char *state = mx_cli_spool_state(&self->spool, segment, record, &pending);
    if (pending == 0 && !self->is_all)
        return 0;
    struct mx_spool_id id = mx_spool_id_of(&self->spool.store, record);
    mx_spool_id_format(&id, id_text);
    mx_cli_time_format(record->received_ns, time);
    if (self->is_json)
        printf("{\"id\":\"%s\",\"state\":\"%s\",\"size\":%" PRIu64
               ",\"recipients\":%u,\"pending\":%u,\"received\":\"%s\",\"authenticated\":%s"
               ",\"tls\":%s}\n",
               id_text, state, record->total_octets, record->rcpt_count, pending, time,
               record->flags & MX_SPOOL_AUTH ? "true" : "false",
               record->flags & MX_SPOOL_TLS ? "true" : "false");
    else
        printf("%s %s %" PRIu64 " %u %s\n", id_text, state, record->total_octets,
               record->rcpt_count, time);
    return ferror(stdout) ? -EIO : 0; /* nobody reads it any more */
}

static int usage_ls(FILE *to) {
    fputs("usage: mxring spool ls [--json] [--all] DIR\n\n"
          "One line a message: id state size recipients received-time. States: queued, deferred\n"
          "(every recipient left was tried), with --all also done (kept until its segment is\n"
          "used again).\n",
          to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

int mx_cli_spool_ls(int argc, char **argv) {
    static const struct option names[] = {
        {"json", no_argument, NULL, 'j'},
        {"all",  no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL,   0,           NULL, 0  },
    };
    struct list self = {0};
    optind = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        if (o != 'j' && o != 'a')
            return usage_ls(o == 'h' ? stdout : stderr);
        self.is_json = self.is_json || o == 'j';
        self.is_all = self.is_all || o == 'a';
    }
    if (optind + 1 != argc)
        return usage_ls(stderr);
    int code = mx_cli_spool_open(&self.spool, argv[0], argv[optind]);
    if (code != MX_EXIT_OK)
        return code;
    int err = mx_cli_spool_each(&self.spool, false, print, &self);
    code = err < 0 && !ferror(stdout) ? mx_cli_spool_fail(&self.spool, argv[optind], err)
                                      : mx_cli_spool_flush(&self.spool);
    mx_cli_spool_close(&self.spool);
    return code;
}

/* ---- stat ---- */

struct sums {
    uint32_t segments[MX_SPOOL_SEGMENT_DAMAGED + 1], compacted;
    uint64_t messages, recipients, final, content, disk;
    int64_t oldest_ns;
};

static void add(struct sums *sums, const struct mx_cli_spool *spool,
                const struct mx_spool_segment *segment) {
    sums->segments[segment->state]++;
    sums->compacted += segment->compactions > 0;
    sums->disk += segment->file_octets;
    sums->messages += segment->message_count;
    sums->recipients += segment->rcpt_count;
    sums->content += segment->content_octets;
    sums->final += mx_spool_acks_final(&spool->acks, segment->core, segment->epoch);
    bool has_mail = segment->message_count > 0 && segment->created_ns > 0;
    if (has_mail && (sums->oldest_ns == 0 || segment->created_ns < sums->oldest_ns))
        sums->oldest_ns = segment->created_ns;
}

static void print_text(const struct mx_cli_spool *spool, const struct sums *sums, const char *uuid,
                       const char *oldest) {
    printf("spool       %s\nuuid        %s\nstarts      %u\nserver      %s\n", spool->path, uuid,
           spool->store.run, spool->store.is_running ? "running" : "stopped");
    printf("segments    %u sealed (%u compacted), %u open, %u damaged, %u free\n",
           sums->segments[MX_SPOOL_SEGMENT_SEALED], sums->compacted,
           sums->segments[MX_SPOOL_SEGMENT_OPEN], sums->segments[MX_SPOOL_SEGMENT_DAMAGED],
           sums->segments[MX_SPOOL_SEGMENT_FREE]);
    printf("messages    %" PRIu64 "\nrecipients  %" PRIu64 ", of which %" PRIu64 " are done\n",
           sums->messages, sums->recipients, sums->final);
    printf("content     %" PRIu64 " octets\non disk     %" PRIu64 " octets\noldest      %s\n",
           sums->content, sums->disk, oldest);
}

static void print_json(const struct mx_cli_spool *spool, const struct sums *sums, const char *uuid,
                       const char *oldest) {
    fputs("{\"spool\":", stdout);
    mx_json_text(stdout, mx_span_of(spool->path));
    printf(",\"uuid\":\"%s\",\"starts\":%u,\"running\":%s,", uuid, spool->store.run,
           spool->store.is_running ? "true" : "false");
    printf("\"segments\":{\"sealed\":%u,\"compacted\":%u,\"open\":%u,\"damaged\":%u,\"free\":%u},",
           sums->segments[MX_SPOOL_SEGMENT_SEALED], sums->compacted,
           sums->segments[MX_SPOOL_SEGMENT_OPEN], sums->segments[MX_SPOOL_SEGMENT_DAMAGED],
           sums->segments[MX_SPOOL_SEGMENT_FREE]);
    printf("\"messages\":%" PRIu64 ",\"recipients\":%" PRIu64 ",\"done\":%" PRIu64 ",",
           sums->messages, sums->recipients, sums->final);
    printf("\"content\":%" PRIu64 ",\"disk\":%" PRIu64 ",\"oldest\":%s%s%s}\n", sums->content,
           sums->disk, sums->oldest_ns ? "\"" : "", sums->oldest_ns ? oldest : "null",
           sums->oldest_ns ? "\"" : "");
}

static int usage_stat(FILE *to) {
    fputs("usage: mxring spool stat [--json] DIR\n", to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

int mx_cli_spool_stat(int argc, char **argv) {
    static const struct option names[] = {
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL,   0,           NULL, 0  },
    };
    struct mx_cli_spool spool;
    struct sums sums = {0};
    char uuid[MX_SPOOL_UUID_TEXT], oldest[MX_CLI_TIME_MAX] = "-";
    bool is_json = false;
    optind = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        if (o != 'j')
            return usage_stat(o == 'h' ? stdout : stderr);
        is_json = true;
    }
    if (optind + 1 != argc)
        return usage_stat(stderr);
    int code = mx_cli_spool_open(&spool, argv[0], argv[optind]);
    if (code != MX_EXIT_OK)
        return code;
    for (uint32_t i = 0; i < spool.store.count; i++)
        add(&sums, &spool, &spool.store.segments[i]);
    mx_spool_uuid_format(spool.store.uuid, uuid);
    if (sums.oldest_ns > 0)
        mx_cli_time_format(sums.oldest_ns, oldest);
    (is_json ? print_json : print_text)(&spool, &sums, uuid, oldest);
    code = mx_cli_spool_flush(&spool);
    mx_cli_spool_close(&spool);
    return code;
}
