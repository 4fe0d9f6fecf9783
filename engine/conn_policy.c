#include "engine/conn_policy.h"

#include "engine/conn_impl.h"
#include "engine/conn_log.h"
#include "engine/rules.h"

#include <assert.h>
#include <errno.h>

static struct mx_policy_site site_of(struct mx_worker *worker, struct mx_conn *conn) {
    return (struct mx_policy_site){
        .host = &worker->policy,
        .chain = &conn->service->chain,
        .session = &conn->session,
        .block = &conn->policy,
        .owner = mx_worker_op(worker, MX_OP_NONE, conn),
    };
}

/* ---- before the chain ---- */

/* RFC 5321 4.2.3, RFC 1870 6.1: what cannot be stored is refused before it is sent. */
static int ask_space(struct mx_worker *worker, struct mx_conn *conn) {
    static const struct mx_span full = MX_SPAN("452 4.3.1 Insufficient system storage");
    static const struct mx_span broken = MX_SPAN("451 4.3.0 Temporary storage failure");
    struct mx_sink *sink = mx_worker_sink(worker, conn);
    if (sink->class->has_space == NULL)
        return 0;
    int err = sink->class->has_space(sink, conn->session.envelope.declared_size);
    if (err < 0)
        worker->shared.refusal = (struct mx_refusal){.text = err == -ENOSPC ? full : broken};
    return err;
}

static int write_content(struct mx_worker *worker, struct mx_conn *conn,
                         const struct mx_span *slices, uint32_t count) {
    struct mx_sink *sink = mx_worker_sink(worker, conn);
    struct mx_sink_message message = mx_conn_message(worker, conn);
    return count > 0 ? sink->class->write(sink, &message, slices, count) : 0;
}

/* The message is over before its header was: it has nothing else. */
static int end_content(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_policy_site site = site_of(worker, conn);
    struct mx_span text;
    if (!mx_chain_has_header(site.chain))
        return 0;
    int err = mx_policy_end_content(&site, &text);
    if (err == MX_EREFUSED)
        return 0; /* MESSAGE tells it */
    return err == 0 ? write_content(worker, conn, &text, text.len > 0) : err;
}

/* ---- ask ---- */

/* 0 or a refusal, or the connection waits (MX_EPENDING). */
static int judge(struct mx_worker *worker, struct mx_conn *conn, int result) {
    if (result == MX_EPENDING) {
        conn->wait = MX_WAIT_HOOK;
        mx_timer_set(&worker->wheel, &conn->timer, conn->policy->deadline_ms);
    } else if (result < 0) {
        mx_conn_log_refusal(worker, conn);
    }
    return result;
}

bool mx_conn_hook_ask(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_policy_site site = site_of(worker, conn);
    int err = 0;
    if (conn->session.hook == MX_HOOK_MAIL)
        err = ask_space(worker, conn);
    else if (conn->session.hook == MX_HOOK_MESSAGE && !conn->session.is_failed)
        err = end_content(worker, conn);
    if (err == 0)
        err = judge(worker, conn, mx_policy_ask(&site));
    if (err == MX_EPENDING)
        return false;
    mx_session_resume(&conn->session, err, &conn->out);
    return true;
}

/* A hook that was waited for has decided, or another one waits now. */
static void go_on(struct mx_worker *worker, struct mx_conn *conn, int result) {
    if (judge(worker, conn, result) == MX_EPENDING)
        return;
    mx_conn_resume(worker, conn, result);
    if (conn->state == MX_CONN_OPEN && conn->wait != MX_WAIT_HOOK)
        mx_conn_set_timer(worker, conn);
}

static void on_answer(void *context, struct mx_helper_job *job) {
    struct mx_worker *worker = context;
    struct mx_conn *conn = mx_worker_find_conn(worker, mx_policy_owner(job));
    if (conn == NULL || conn->wait != MX_WAIT_HOOK) {
        mx_policy_drop(&worker->policy, job);
        return;
    }
    struct mx_policy_site site = site_of(worker, conn);
    int result = mx_policy_answer(&site, job);
    if (result != -EALREADY)
        go_on(worker, conn, result);
}

void mx_conn_hook_on_timer(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_policy_site site = site_of(worker, conn);
    assert(conn->wait == MX_WAIT_HOOK);
    if (worker->now_ms < conn->policy->deadline_ms) {
        mx_timer_set(&worker->wheel, &conn->timer, conn->policy->deadline_ms);
        return;
    }
    worker->counters.hook_timeouts++;
    go_on(worker, conn, mx_policy_timeout(&site));
}

/* ---- content ---- */

int mx_conn_hook_content(struct mx_worker *worker, struct mx_conn *conn,
                         const struct mx_span *slices, uint32_t count) {
    struct mx_policy_site site = site_of(worker, conn);
    struct mx_span to[MX_BODY_SLICES + 1];
    uint32_t to_count = 0;
    int err = mx_policy_content(&site, slices, count, to, &to_count);
    return err == 0 ? write_content(worker, conn, to, to_count) : err;
}

/* ---- the end ---- */

void mx_conn_policy_release(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_policy_site site = site_of(worker, conn);
    if (conn->policy != NULL && !mx_session_in_transaction(&conn->session))
        mx_policy_end_transaction(&site);
}

void mx_conn_policy_end(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_policy_site site = site_of(worker, conn);
    mx_policy_end(&site);
}

/* ---- the host ---- */

static struct mx_rules *rules_of(const struct mx_chain *chain) {
    const struct mx_service *service =
        (const void *)((const char *)chain - offsetof(struct mx_service, chain));
    return service->rules;
}

static void hold(struct mx_policy_host *host, const struct mx_chain *chain) {
    const struct mx_worker *worker = host->context;
    mx_rules_hold(rules_of(chain), worker->index);
}

static void release(struct mx_policy_host *host, const struct mx_chain *chain) {
    const struct mx_worker *worker = host->context;
    mx_rules_release(rules_of(chain), worker->index);
}

void mx_conn_policy_init(struct mx_worker *worker) {
    worker->policy = (struct mx_policy_host){
        .buddy = &worker->buddy,
        .now_ms = &worker->now_ms,
        .memo = worker->fleet->memo,
        .helper = worker->fleet->helper,
        .dns = worker->fleet->dns,
        .scan = worker->fleet->scan,
        .texts = worker->texts.memory != NULL ? &worker->texts : NULL,
        .redis = worker->fleet->redis,
        .inbox = &worker->inbox,
        .answer = on_answer,
        .hold = hold,
        .release = release,
        .context = worker,
    };
}
