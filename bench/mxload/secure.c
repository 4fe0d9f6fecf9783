#include "bench/mxload/secure.h"

#include "tls/client.h"
#include "tls/library.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PEM_MAX = 65536,
    SEALED_MIN = 4096,                          /* of a block: room for a handshake */
    SEALED_MAX = 4 * (MX_TLS_RECORD_MAX + 256), /* large messages go out in sends of this size */
};

struct mx_secure {
    struct mx_tls filter;
    struct mx_tls_resumption *resumption; /* of the last connection; NULL: none */
    struct mx_out out;                    /* sealed, from the front: */
    uint32_t lent;                        /* so many the kernel is sending */
    size_t part_at;                       /* octets of the current part that are sealed */
};

/* ---- the context ---- */

static int new_text(const char *path, struct mx_span *text) {
    char *octets = malloc(PEM_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = octets == NULL ? -ENOMEM : 0;
    if (fd < 0)
        err = -errno;
    ssize_t len = err == 0 ? read(fd, octets, PEM_MAX) : 0;
    if (err == 0 && len <= 0)
        err = len < 0 ? -errno : -ENODATA;
    if (err == 0 && len == PEM_MAX)
        err = -EFBIG;
    if (fd >= 0)
        close(fd);
    *text = (struct mx_span){octets, err == 0 ? (size_t)len : 0};
    if (err < 0)
        fprintf(stderr, "mxload: %s: %s\n", path, strerrordesc_np(-err));
    return err;
}

static void free_text(struct mx_span text) {
    free((void *)(uintptr_t)text.ptr);
}

int mx_secure_context_new(const struct mx_plan *plan, struct mx_tls_context **context) {
    struct mx_tls_certificate certificate = {0};
    struct mx_tls_params params = {
        .certificates = &certificate,
        .certificate_count = plan->tls_cert != NULL,
        .has_tls12 = plan->tls_version != MX_PLAN_TLS_13,
        .has_tls13 = plan->tls_version != MX_PLAN_TLS_12,
    };
    struct mx_tls_problem problem = {0};
    *context = NULL;
    if (!plan->is_tls && !plan->is_starttls)
        return 0;
    int err = mx_tls_library_init();
    if (err < 0)
        fputs("mxload: the TLS library does not start\n", stderr);
    if (err == 0 && plan->tls_cert != NULL)
        err = new_text(plan->tls_cert, &certificate.chain);
    if (err == 0 && plan->tls_key != NULL)
        err = new_text(plan->tls_key, &certificate.key);
    if (err == 0) {
        *context = mx_tls_client_context_new(&params, &problem);
        err = *context != NULL ? 0 : MX_ETLS;
        if (err < 0)
            fprintf(stderr, "mxload: --tls: %s\n", problem.text);
    }
    free_text(certificate.chain);
    free_text(certificate.key);
    return err;
}

/* ---- life ---- */

int mx_secure_new(struct mx_load *self) {
    if (self->shared->tls == NULL)
        return 0;
    uint64_t wanted = (uint64_t)self->kit->commands_octets + self->kit->message_octets;
    if (wanted >= MX_MAIL_INLINE) /* its body is not in there */
        wanted = SEALED_MAX;
    wanted += wanted / 16 + MX_TLS_RECORD_EXTRA;
    self->sealed_octets = (uint32_t)(wanted < SEALED_MIN   ? SEALED_MIN
                                     : wanted > SEALED_MAX ? SEALED_MAX
                                                           : wanted);
    self->secures = calloc(self->client_count, sizeof *self->secures);
    self->sealed = malloc((size_t)self->client_count * self->sealed_octets);
    self->plain = malloc(MX_TLS_RECORD_MAX);
    if (self->secures == NULL || self->sealed == NULL || self->plain == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < self->client_count; i++) {
        self->clients[i].secure = &self->secures[i];
        self->secures[i].out =
            (struct mx_out){self->sealed + (size_t)i * self->sealed_octets, 0, self->sealed_octets};
    }
    return 0;
}

void mx_secure_free(struct mx_load *self) {
    for (uint32_t i = 0; self->secures != NULL && i < self->client_count; i++) {
        mx_tls_deinit(&self->secures[i].filter);
        mx_tls_resumption_free(self->secures[i].resumption);
    }
    free(self->secures);
    free(self->sealed);
    free(self->plain);
}

void mx_secure_end(struct mx_load *self, struct mx_client *client) {
    struct mx_secure *secure = client->secure;
    if (!client->is_secure)
        return;
    client->is_secure = false;
    if (self->plan->resumes_tls) {
        struct mx_tls_resumption *fresh = mx_tls_resumption_new(&secure->filter);
        if (fresh != NULL) { /* else another try with the old one */
            mx_tls_resumption_free(secure->resumption);
            secure->resumption = fresh;
        }
    }
    mx_tls_deinit(&secure->filter);
}

/* ---- out ---- */

static void flush(struct mx_load *self, struct mx_client *client) {
    struct mx_secure *secure = client->secure;
    if (client->has_send || secure->out.len == 0 || client->stage == MX_STAGE_CLOSING)
        return;
    secure->lent = secure->out.len;
    client->has_send = true;
    client->is_zerocopy = false;
    mx_load_send_octets(self, client, (struct mx_span){secure->out.ptr, secure->lent});
}

/* As much of the parts as there is room for. False: it has failed. */
static bool seal(struct mx_client *client) {
    struct mx_secure *secure = client->secure;
    while (mx_secure_has_parts(client)) {
        struct mx_span rest = mx_span_skip(client->parts[client->part_next], secure->part_at);
        uint32_t room = mx_out_room(&secure->out), extra = mx_tls_sealed_max(&secure->filter, 0);
        if (rest.len > MX_TLS_RECORD_MAX)
            rest.len = MX_TLS_RECORD_MAX;
        bool is_full = room < extra + rest.len + MX_TLS_RECORD_EXTRA;
        if (is_full && (secure->out.len > 0 || room <= extra + MX_TLS_RECORD_EXTRA))
            break; /* when some of it is sent */
        if (is_full)
            rest.len = room - extra - MX_TLS_RECORD_EXTRA;
        if (mx_tls_seal(&secure->filter, rest, &secure->out) < 0)
            return false;
        secure->part_at += rest.len;
        if (secure->part_at == client->parts[client->part_next].len) {
            secure->part_at = 0;
            client->part_next++;
        }
    }
    return true;
}

static void fail(struct mx_load *self, struct mx_client *client) {
    self->counts.tls_failed++;
    mx_client_drop(self, client, mx_tls_error_text(&client->secure->filter));
}

void mx_secure_send(struct mx_load *self, struct mx_client *client) {
    if (client->part_next == 0)
        client->secure->part_at = 0;
    if (seal(client))
        flush(self, client);
    else
        fail(self, client);
}

/* ---- the handshake ---- */

static void opened(struct mx_load *self, struct mx_client *client) {
    struct mx_tls_facts facts;
    mx_tls_facts(&client->secure->filter, &facts);
    if (self->counts.tls_handshakes++ == 0)
        self->tls_facts = facts;
    self->counts.tls_resumed += facts.is_resumed;
    uint64_t took_ns = self->now_ns > client->said_ns ? self->now_ns - client->said_ns : 0;
    mx_histogram_record(&self->phases[facts.is_resumed ? MX_PHASE_RESUMED : MX_PHASE_TLS], took_ns);
    self->waited_ns += took_ns;
    mx_client_secured(self, client);
}

/* Go on until there is no more input: the handshake, then records. */
static void pump(struct mx_load *self, struct mx_client *client, struct mx_span *in) {
    struct mx_secure *secure = client->secure;
    int err = 0;
    while (err == 0 && client->stage != MX_STAGE_CLOSING) {
        size_t len = 0;
        if (secure->filter.state == MX_TLS_HANDSHAKE) {
            err = mx_tls_handshake(&secure->filter, in, &secure->out);
            if (err == 0)
                opened(self, client);
            continue;
        }
        err = mx_tls_open(&secure->filter, in, &secure->out, self->plain, MX_TLS_RECORD_MAX, &len);
        if (err == 0)
            mx_client_heard(self, client, (struct mx_span){self->plain, len});
    }
    if (err == MX_ETLS && client->stage != MX_STAGE_CLOSING)
        fail(self, client);
    else if (client->is_secure)
        flush(self, client); /* MX_ENOROOM: the rest when this is sent */
}

void mx_secure_begin(struct mx_load *self, struct mx_client *client) {
    struct mx_secure *secure = client->secure;
    secure->out.len = secure->lent = 0;
    secure->part_at = 0;
    client->part_next = client->part_count = 0;
    client->stage = MX_STAGE_TLS;
    client->answers = 0;
    int err = mx_tls_client_init(&secure->filter, self->shared->tls, self->plan->tls_name,
                                 self->plan->resumes_tls ? secure->resumption : NULL);
    if (err < 0) {
        mx_client_drop(self, client, "no memory for TLS");
        return;
    }
    client->is_secure = true;
    client->said_ns = self->clock_ns();
    client->deadline_ms = self->now_ms + (uint64_t)(self->plan->timeout_s * 1e3);
    struct mx_span none = {0};
    pump(self, client, &none);
}

void mx_secure_heard(struct mx_load *self, struct mx_client *client, struct mx_span in) {
    pump(self, client, &in);
}

void mx_secure_sent(struct mx_load *self, struct mx_client *client, int result) {
    struct mx_secure *secure = client->secure;
    if (result < 0)
        return; /* its reader hears what the server still said */
    secure->out.len -= secure->lent;
    memmove(secure->out.ptr, secure->out.ptr + secure->lent, secure->out.len);
    secure->lent = 0;
    bool had_parts = mx_secure_has_parts(client);
    if (!seal(client)) {
        fail(self, client);
        return;
    }
    struct mx_span none = {0};
    pump(self, client, &none); /* what found no room before */
    if (had_parts && !mx_secure_has_parts(client))
        client->said_ns = self->clock_ns();
}
