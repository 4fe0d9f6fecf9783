#include "engine/conn_auth.h"

#include "engine/conn_impl.h"
#include "engine/conn_log.h"
#include "engine/helper.h"
#include "engine/policy/auth.h"
#include "engine/rules.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>

_Static_assert(sizeof(struct crypt_data) <= MX_HELPER_SCRATCH, "a helper's scratch is too small");

struct exchange {
    struct mx_helper_job job;
    uint64_t owner; /* the connection */
    struct mx_login *login;
    struct mx_rules *rules; /* held while the helper is at work */
    struct mx_auth_source source;
    int result;
    uint32_t cap; /* of this block, octets */
    struct mx_auth auth;
};

static struct exchange *exchange_of(struct mx_auth *auth) {
    return (struct exchange *)(void *)((char *)auth - offsetof(struct exchange, auth));
}

_Static_assert(sizeof(struct mx_login) <= MX_BUDDY_MIN, "a login wants a larger block");

static void free_login(struct mx_worker *worker, struct mx_login *login) {
    explicit_bzero(login, sizeof *login);
    mx_buddy_give(&worker->buddy, (char *)login, MX_BUDDY_MIN);
}

static void free_exchange(struct mx_worker *worker, struct exchange *exchange) {
    uint32_t cap = exchange->cap;
    explicit_bzero(exchange, sizeof *exchange);
    mx_buddy_give(&worker->buddy, (char *)exchange, cap);
}

/* ---- memory ---- */

/* Zeroed; NULL: there is none for newcomers. */
static void *take_block(struct mx_worker *worker, size_t octets, uint32_t *cap) {
    if (mx_buddy_is_tight(&worker->buddy))
        return NULL;
    void *block = mx_buddy_take(&worker->buddy, (uint32_t)octets, cap);
    if (block != NULL)
        memset(block, 0, octets);
    return block;
}

void mx_conn_auth_begin(struct mx_worker *worker, struct mx_conn *conn) {
    uint32_t cap = 0, login_cap = 0;
    mx_conn_auth_release(worker, conn); /* of an exchange before, in the same input */
    assert(conn->session.login == NULL);
    struct mx_login *login = take_block(worker, sizeof *login, &login_cap);
    struct exchange *exchange = take_block(worker, sizeof *exchange, &cap);
    if (exchange == NULL || login == NULL) {
        mx_buddy_give(&worker->buddy, (char *)login, login_cap);
        mx_buddy_give(&worker->buddy, (char *)exchange, cap);
        worker->counters.memory_refused++;
        mx_session_resume(&conn->session, -ENOMEM, &conn->out);
        return;
    }
    exchange->cap = cap;
    exchange->login = login;
    login->auth = &exchange->auth;
    conn->session.login = login;
    mx_session_resume(&conn->session, 0, &conn->out);
}

void mx_conn_auth_release(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_login *login = conn->session.login;
    if (login == NULL || !mx_session_is_done_with_auth(&conn->session) || login->auth == NULL)
        return;
    struct exchange *exchange = exchange_of(login->auth);
    login->auth = NULL;
    free_exchange(worker, exchange);
    if (!mx_session_is_done_with_login(&conn->session))
        return;
    free_login(worker, login);
    conn->session.login = NULL;
}

void mx_conn_auth_drop(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_login *login = conn->session.login;
    conn->session.login = NULL;
    if (login == NULL || conn->wait == MX_WAIT_AUTH) /* the helper's: freed when he answers */
        return;
    if (login->auth != NULL)
        free_exchange(worker, exchange_of(login->auth));
    free_login(worker, login);
}

/* ---- helpers ---- */

static void run_exchange(struct mx_helper_job *job, void *scratch) {
    struct exchange *self = (struct exchange *)(void *)job;
    self->result = mx_auth_run(&self->source, self->login, &self->auth, scratch);
}

static void on_answer(void *context, struct mx_helper_job *job) {
    struct mx_worker *worker = context;
    struct exchange *exchange = (struct exchange *)(void *)job;
    struct mx_conn *conn = mx_worker_find_conn(worker, exchange->owner);
    bool is_waiting = conn != NULL && conn->wait == MX_WAIT_AUTH && conn->session.login != NULL &&
                      conn->session.login->auth == &exchange->auth;
    mx_rules_release(exchange->rules, worker->index);
    if (is_waiting) {
        mx_conn_log_auth(worker, conn, exchange->result);
        mx_conn_resume(worker, conn, exchange->result);
        return;
    }
    free_login(worker, exchange->login);
    free_exchange(worker, exchange);
}

bool mx_conn_auth_ask(struct mx_worker *worker, struct mx_conn *conn) {
    struct exchange *exchange = exchange_of(conn->session.login->auth);
    exchange->job =
        (struct mx_helper_job){.run = run_exchange, .answer = on_answer, .inbox = &worker->inbox};
    exchange->owner = mx_worker_op(worker, MX_OP_NONE, conn);
    exchange->source = conn->service->auth;
    exchange->rules = conn->service->rules;
    mx_rules_hold(exchange->rules, worker->index);
    if (worker->fleet->helper != NULL &&
        mx_helper_post(worker->fleet->helper, &exchange->job) == 0) {
        conn->wait = MX_WAIT_AUTH;
        return true;
    }
    mx_rules_release(exchange->rules, worker->index);
    worker->counters.helper_refused++;
    mx_conn_log_limit(worker, conn, "engine.helperQueue");
    mx_session_resume(&conn->session, -EBUSY, &conn->out);
    return false;
}
