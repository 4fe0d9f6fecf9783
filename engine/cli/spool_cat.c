/* spool_cat.c - mxring spool cat: the content of a message, or its envelope as JSON. */
#include "engine/cli/json.h"
#include "engine/cli/spool.h"
#include "proto/envelope.h"
#include "proto/ip.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- envelope ---- */

static const struct {
    enum mx_spool_flag flag;
    const char *name;
} flags[] = {
    {MX_SPOOL_8BIT,    "8bit"    },
    {MX_SPOOL_NUL,     "nul"     },
    {MX_SPOOL_BARE_CR, "bareCR"  },
    {MX_SPOOL_BINARY,  "binary"  },
    {MX_SPOOL_UTF8,    "smtputf8"},
    {MX_SPOOL_LMTP,    "lmtp"    },
    {MX_SPOOL_TLS,     "tls"     },
    {MX_SPOOL_AUTH,    "auth"    },
    {MX_SPOOL_MOVED,   "moved"   },
};

/* How the value of a type is written; recipients and attributes have their own lists. */
enum form { FORM_TEXT, FORM_NUMBER, FORM_HEX, FORM_PEER, FORM_BODY };

static const struct {
    enum mx_spool_envelope type;
    enum form form;
    const char *name;
} fields[] = {
    {MX_SPOOL_ENV_SENDER,         FORM_TEXT,   "sender"       },
    {MX_SPOOL_ENV_LISTENER,       FORM_TEXT,   "listener"     },
    {MX_SPOOL_ENV_PEER,           FORM_PEER,   "peer"         },
    {MX_SPOOL_ENV_HELO,           FORM_TEXT,   "helo"         },
    {MX_SPOOL_ENV_SIZE,           FORM_NUMBER, "declaredSize" },
    {MX_SPOOL_ENV_BODY,           FORM_BODY,   "body"         },
    {MX_SPOOL_ENV_RET,            FORM_TEXT,   "ret"          },
    {MX_SPOOL_ENV_ENVID,          FORM_TEXT,   "envid"        },
    {MX_SPOOL_ENV_PRIORITY,       FORM_TEXT,   "priority"     },
    {MX_SPOOL_ENV_HOLD_UNTIL,     FORM_NUMBER, "holdUntil"    },
    {MX_SPOOL_ENV_REQUIRE_TLS,    FORM_NUMBER, "requireTls"   },
    {MX_SPOOL_ENV_SESSION,        FORM_HEX,    "session"      },
    {MX_SPOOL_ENV_AUTH_USER,      FORM_TEXT,   "authUser"     },
    {MX_SPOOL_ENV_AUTH_MECHANISM, FORM_TEXT,   "authMechanism"},
    {MX_SPOOL_ENV_AUTH_PARAM,     FORM_TEXT,   "authParameter"},
    {MX_SPOOL_ENV_TLS_VERSION,    FORM_TEXT,   "tlsVersion"   },
    {MX_SPOOL_ENV_TLS_CIPHER,     FORM_TEXT,   "tlsCipher"    },
    {MX_SPOOL_ENV_TLS_SNI,        FORM_TEXT,   "tlsServerName"},
    {MX_SPOOL_ENV_TLS_SUBJECT,    FORM_TEXT,   "tlsSubject"   },
};

static void print_body(uint64_t type) {
    static const char *const names[] = {[MX_BODY_7BIT] = "7BIT",
                                        [MX_BODY_8BITMIME] = "8BITMIME",
                                        [MX_BODY_BINARYMIME] = "BINARYMIME"};
    const char *name = type < sizeof names / sizeof *names ? names[type] : NULL;
    mx_json_text(stdout, mx_span_of(name ? name : "unknown"));
}

static void print_value(const struct mx_spool_item *item, enum form form) {
    char text[MX_IP_TEXT_MAX];
    uint64_t number = 0;
    bool is_number = mx_spool_item_number(item, &number);
    bool is_peer = form == FORM_PEER && item->value.len == 16;
    if (is_peer) {
        struct mx_ip ip = mx_ip_of_v6((const uint8_t *)item->value.ptr);
        mx_json_text(stdout, (struct mx_span){text, mx_ip_text(&ip, text)});
    } else if (form == FORM_NUMBER && is_number) {
        printf("%" PRIu64, number);
    } else if (form == FORM_HEX && is_number) {
        printf("\"%08" PRIx64 "\"", number);
    } else if (form == FORM_BODY && is_number) {
        print_body(number);
    } else {
        mx_json_text(stdout, item->value);
    }
}

static void print_fields(struct mx_span envelope) {
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(envelope);
    struct mx_spool_item item;
    while (mx_spool_envelope_next(&cursor, &item) == 0) {
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            if (fields[i].type != item.type)
                continue;
            mx_json_key(stdout, fields[i].name, false);
            print_value(&item, fields[i].form);
        }
    }
}

/* What hooks have noted: "name\0value". */
static void print_attributes(struct mx_span envelope) {
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(envelope);
    struct mx_spool_item item;
    const char *before = "";
    mx_json_key(stdout, "attributes", false);
    fputc('[', stdout);
    while (mx_spool_envelope_next(&cursor, &item) == 0) {
        if (item.type != MX_SPOOL_ENV_ATTRIBUTE)
            continue;
        const char *end = item.value.len > 0 ? memchr(item.value.ptr, 0, item.value.len) : NULL;
        size_t len = end != NULL ? (size_t)(end - item.value.ptr) : item.value.len;
        printf("%s{\"name\":", before);
        mx_json_text(stdout, (struct mx_span){item.value.ptr, len});
        mx_json_key(stdout, "value", false);
        mx_json_text(stdout, mx_span_skip(item.value, end != NULL ? len + 1 : len));
        fputc('}', stdout);
        before = ",";
    }
    fputc(']', stdout);
}

/* ---- recipients ---- */

/* The last word about each recipient of one message. */
struct fates {
    const struct mx_spool_segment *segment;
    uint32_t first, count;
    struct mx_spool_ack *acks;
};

static void note_fate(void *context, const struct mx_spool_ack *ack) {
    struct fates *fates = context;
    if (ack->core != fates->segment->core || ack->epoch != fates->segment->epoch ||
        ack->rcpt < fates->first || ack->rcpt - fates->first >= fates->count)
        return;
    struct mx_spool_ack *last = &fates->acks[ack->rcpt - fates->first];
    if (!mx_spool_ack_is_final(last))
        *last = *ack;
}

/* The ack logs once more, for the details. */
static int read_fates(struct mx_cli_spool *spool, const struct mx_spool_reader *reader,
                      struct fates *fates) {
    struct mx_spool_acks acks;
    *fates = (struct fates){
        .segment = reader->segment,
        .first = reader->record.rcpt_base,
        .count = reader->record.rcpt_count,
        .acks = calloc(reader->record.rcpt_count + 1, sizeof *fates->acks),
    };
    if (fates->acks == NULL)
        return -ENOMEM;
    int err = mx_spool_acks_new(&acks, &spool->store, NULL, note_fate, fates);
    if (err < 0)
        return err;
    err = mx_spool_acks_poll(&acks);
    mx_spool_acks_free(&acks);
    return err;
}

static void print_fate(const struct mx_spool_ack *ack) {
    char time[MX_CLI_TIME_MAX];
    mx_json_key(stdout, "state", false);
    mx_json_text(stdout, mx_span_of(ack->state != 0 ? mx_spool_ack_name(ack->state) : "queued"));
    if (ack->state == 0)
        return;
    mx_cli_time_format(ack->time_ns, time);
    printf(",\"attempts\":%u,\"time\":\"%s\"", ack->attempts, time);
    if (ack->status[0] != 0)
        printf(",\"status\":\"%u.%u.%u\"", ack->status[0], ack->status[1], ack->status[2]);
    if (ack->next_ns != 0) {
        mx_cli_time_format(ack->next_ns, time);
        printf(",\"next\":\"%s\"", time);
    }
}

static void print_rcpts(struct mx_span envelope, const struct fates *fates) {
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(envelope);
    struct mx_spool_item item;
    uint32_t count = 0;
    mx_json_key(stdout, "recipients", false);
    fputc('[', stdout);
    while (mx_spool_envelope_next(&cursor, &item) == 0) {
        if (item.type == MX_SPOOL_ENV_RCPT) {
            fputs(count++ > 0 ? "},{\"address\":" : "{\"address\":", stdout);
            mx_json_text(stdout, item.value);
            print_fate(&fates->acks[item.rcpt]);
        } else if (item.type == MX_SPOOL_ENV_NOTIFY || item.type == MX_SPOOL_ENV_ORCPT) {
            mx_json_key(stdout, item.type == MX_SPOOL_ENV_NOTIFY ? "notify" : "orcpt", false);
            mx_json_text(stdout, item.value);
        }
    }
    fputs(count > 0 ? "}]" : "]", stdout);
}

static int print_envelope(struct mx_cli_spool *spool, const struct mx_spool_reader *reader) {
    char id[MX_SPOOL_ID_TEXT], time[MX_CLI_TIME_MAX];
    const struct mx_spool_record *record = &reader->record;
    struct mx_spool_id numbers = mx_spool_id_of(&spool->store, record);
    struct fates fates;
    uint32_t pending;
    int err = read_fates(spool, reader, &fates);
    if (err < 0) {
        free(fates.acks);
        return mx_cli_spool_fail(spool, "acks", err);
    }
    mx_spool_id_format(&numbers, id);
    mx_cli_time_format(record->received_ns, time);
    printf("{\"id\":\"%s\",\"received\":\"%s\",\"size\":%" PRIu64 ",\"state\":\"%s\",\"flags\":[",
           id, time, record->total_octets,
           mx_cli_spool_state(spool, reader->segment, record, &pending));
    const char *before = "";
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if ((record->flags & flags[i].flag) == 0)
            continue;
        printf("%s\"%s\"", before, flags[i].name);
        before = ",";
    }
    fputc(']', stdout);
    print_fields(reader->envelope);
    print_attributes(reader->envelope);
    print_rcpts(reader->envelope, &fates);
    fputs("}\n", stdout);
    free(fates.acks);
    return MX_EXIT_OK;
}

/* ---- content ---- */

static int print_piece(void *context, struct mx_span piece) {
    (void)context;
    return fwrite(piece.ptr, 1, piece.len, stdout) == piece.len ? 0 : -EIO;
}

/* Nobody may take a part for the whole: first it is seen whether all of it is there. */
static int print_content(struct mx_cli_spool *spool, struct mx_spool_reader *reader,
                         const char *id) {
    int err = mx_spool_reader_content(reader, NULL, NULL);
    if (err == 0)
        err = mx_spool_reader_content(reader, print_piece, NULL);
    if (err == 0 || ferror(stdout))
        return MX_EXIT_OK; /* the caller looks whether it has arrived */
    if (err != MX_ESYNTAX)
        return mx_cli_spool_fail(spool, id, err);
    fprintf(stderr, "%s: %s: damaged: %s\n", spool->name, id, reader->why);
    return MX_EXIT_DAMAGED;
}

static int print(struct mx_cli_spool *spool, const char *id, bool is_envelope) {
    struct mx_spool_reader reader;
    int err = mx_spool_reader_new(&reader, &spool->store);
    if (err < 0)
        return mx_cli_spool_fail(spool, spool->path, err);
    int code = mx_cli_spool_find(spool, &reader, id);
    if (code == MX_EXIT_OK)
        code = is_envelope ? print_envelope(spool, &reader) : print_content(spool, &reader, id);
    if (code == MX_EXIT_OK)
        code = mx_cli_spool_flush(spool);
    mx_spool_reader_free(&reader);
    return code;
}

static int usage(FILE *to) {
    fputs("usage: mxring spool cat [--envelope] DIR ID\n\n"
          "The stored message to standard output, octet for octet; with --envelope what is known\n"
          "of it beside the content, and what became of its recipients, as JSON.\n",
          to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

int mx_cli_spool_cat(int argc, char **argv) {
    static const struct option names[] = {
        {"envelope", no_argument, NULL, 'e'},
        {"help",     no_argument, NULL, 'h'},
        {NULL,       0,           NULL, 0  },
    };
    struct mx_cli_spool spool;
    bool is_envelope = false;
    optind = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        if (o != 'e')
            return usage(o == 'h' ? stdout : stderr);
        is_envelope = true;
    }
    if (optind + 2 != argc)
        return usage(stderr);
    int code = mx_cli_spool_open(&spool, argv[0], argv[optind]);
    if (code != MX_EXIT_OK)
        return code;
    code = print(&spool, argv[optind + 1], is_envelope);
    mx_cli_spool_close(&spool);
    return code;
}
