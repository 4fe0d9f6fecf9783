#include "engine/conn_log.h"

#include "engine/limits.h"
#include "engine/worker.h"

#include <errno.h>
#include <string.h>

static void begin(struct mx_log_line *line, struct mx_worker *worker, const struct mx_conn *conn,
                  enum mx_log_severity severity, const char *event) {
    char id[8], ip[MX_IP_TEXT_MAX];
    mx_log_begin(line, &worker->log, severity, event);
    for (unsigned i = 0; i < sizeof id; i++)
        id[i] = "0123456789abcdef"[conn->session.id >> (28 - 4 * i) & 15];
    mx_log_text(line, "id", (struct mx_span){id, sizeof id});
    if (conn->session.peer.family != 0)
        mx_log_text(line, "peer", (struct mx_span){ip, mx_ip_text(&conn->session.peer, ip)});
}

void mx_conn_log_open(struct mx_worker *worker, const struct mx_conn *conn) {
    struct mx_log_line line;
    if (!mx_log_wants(&worker->log, MX_SEVERITY_DEBUG))
        return;
    begin(&line, worker, conn, MX_SEVERITY_DEBUG, "connect");
    mx_log_str(&line, "server", conn->service->server->name);
    mx_log_end(&line);
}

void mx_conn_log_client(struct mx_worker *worker, const struct mx_conn *conn) {
    struct mx_log_line line;
    if (!mx_log_wants(&worker->log, MX_SEVERITY_DEBUG))
        return;
    begin(&line, worker, conn, MX_SEVERITY_DEBUG, "client");
    mx_log_str(&line, "server", conn->service->server->name);
    mx_log_end(&line);
}

void mx_conn_log_close(struct mx_worker *worker, const struct mx_conn *conn) {
    struct mx_log_line line;
    if (!mx_log_wants(&worker->log, MX_SEVERITY_DEBUG))
        return;
    begin(&line, worker, conn, MX_SEVERITY_DEBUG, "disconnect");
    mx_log_u64(&line, "transactions", conn->session.transaction_count);
    mx_log_u64(&line, "errors", conn->session.error_count);
    mx_log_end(&line);
}

void mx_conn_log_message(struct mx_worker *worker, const struct mx_conn *conn, int result) {
    const struct mx_session *session = &conn->session;
    struct mx_log_line line;
    if (!mx_log_wants(&worker->log, MX_SEVERITY_DEBUG))
        return;
    begin(&line, worker, conn, MX_SEVERITY_DEBUG, "message");
    mx_log_text(&line, "from", mx_envelope_sender(&session->envelope));
    if (session->is_authenticated)
        mx_log_text(&line, "user", mx_login_name(session->login));
    mx_log_u64(&line, "recipients", session->envelope.rcpt_count);
    mx_log_u64(&line, "octets", session->stored_octets);
    const char *own = mx_err_text(result);
    mx_log_str(&line, "result", result == 0 ? "ok" : own != NULL ? own : strerrordesc_np(-result));
    mx_log_end(&line);
}

/* A flood of refusals must not become a flood of lines. */
static bool may_say(struct mx_worker *worker) {
    if (worker->now_ms - worker->limits_logged_ms >= 1000) {
        worker->limits_logged_ms = worker->now_ms;
        worker->limits_logged = 0;
    }
    if (worker->limits_logged < MX_LOG_LIMITS_PER_S) {
        worker->limits_logged++;
        return true;
    }
    worker->counters.log_suppressed++;
    return false;
}

void mx_conn_log_limit(struct mx_worker *worker, const struct mx_conn *conn, const char *limit) {
    struct mx_log_line line;
    if (!mx_log_wants(&worker->log, MX_SEVERITY_INFO) || !may_say(worker))
        return;
    begin(&line, worker, conn, MX_SEVERITY_INFO, "limit");
    mx_log_str(&line, "row", limit);
    mx_log_str(&line, "server", conn->service->server->name);
    mx_log_end(&line);
}

void mx_conn_log_auth(struct mx_worker *worker, const struct mx_conn *conn, int result) {
    const struct mx_login *login = conn->session.login;
    enum mx_log_severity severity = result == 0 ? MX_SEVERITY_DEBUG : MX_SEVERITY_INFO;
    struct mx_log_line line;
    if (login->auth->ask == MX_AUTH_SALT && result == 0)
        return;
    if (!mx_log_wants(&worker->log, severity) || (result < 0 && !may_say(worker)))
        return;
    begin(&line, worker, conn, severity, "auth");
    mx_log_text(&line, "user", mx_login_name(login));
    mx_log_text(&line, "mechanism", mx_sasl_name((enum mx_sasl_mechanism)login->auth->mechanism));
    mx_log_str(&line, "result",
               result == 0         ? "ok"
               : result == -EACCES ? "failed"
                                   : strerrordesc_np(-result));
    mx_log_str(&line, "server", conn->service->server->name);
    mx_log_end(&line);
}

void mx_conn_log_refusal(struct mx_worker *worker, const struct mx_conn *conn) {
    const struct mx_session *session = &conn->session;
    struct mx_span text = worker->shared.refusal.text;
    struct mx_log_line line;
    if (!mx_log_wants(&worker->log, MX_SEVERITY_INFO) || !may_say(worker))
        return;
    begin(&line, worker, conn, MX_SEVERITY_INFO, "refused");
    mx_log_str(&line, "hook", mx_policy_last_hook(&worker->policy));
    mx_log_str(&line, "point", mx_hook_point_name((enum mx_hook_point)session->hook));
    mx_log_text(&line, "reply", text);
    mx_log_str(&line, "server", conn->service->server->name);
    mx_log_end(&line);
}

void mx_conn_log_tls(struct mx_worker *worker, const struct mx_conn *conn) {
    const struct mx_session_tls *tls = conn->session.tls;
    struct mx_log_line line;
    if (!mx_log_wants(&worker->log, MX_SEVERITY_DEBUG))
        return;
    begin(&line, worker, conn, MX_SEVERITY_DEBUG, "tls");
    mx_log_text(&line, "version", tls->version);
    mx_log_text(&line, "cipher", tls->cipher);
    mx_log_str(&line, "resumed", tls->is_resumed ? "yes" : "no");
    if (tls->sni.len > 0)
        mx_log_text(&line, "sni", tls->sni);
    if (tls->client_subject.len > 0)
        mx_log_text(&line, "client", tls->client_subject);
    mx_log_end(&line);
}

void mx_conn_log_tls_failed(struct mx_worker *worker, const struct mx_conn *conn,
                            const char *reason) {
    struct mx_log_line line;
    if (!mx_log_wants(&worker->log, MX_SEVERITY_INFO) || !may_say(worker))
        return;
    begin(&line, worker, conn, MX_SEVERITY_INFO, "tls");
    mx_log_str(&line, "result", "failed");
    mx_log_str(&line, "reason", reason);
    mx_log_str(&line, "server", conn->service->server->name);
    mx_log_end(&line);
}
