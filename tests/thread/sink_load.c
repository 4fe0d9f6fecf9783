/* sink_load.c - the whole server under ThreadSanitizer: two workers, hand-over, drain, totals.
 *
 * mx_server_run in the main thread; a client thread sends messages over sixteen connections, with
 * a new connection every few messages, then SIGTERM. The ring's own synchronisation is invisible
 * to the sanitizer; what the threads share beside it is not.
 */
#include "config/conf.h"
#include "engine/server.h"
#include "tests/thread/clients.h"

static void *clients_main(void *argument) {
    (void)argument;
    run_clients();
    int idle = connect_patiently(); /* one that the drain has to end */
    kill(getpid(), SIGTERM);
    char line[256];
    ssize_t n;
    do {
        n = recv(idle, line, sizeof line, 0);
    } while (n > 0);
    close(idle);
    return NULL;
}

static struct mx_conf *make_conf(struct mx_conf_bind *bind) {
    struct mx_conf *conf = mx_conf_new();
    must(conf != NULL, "mx_conf_new");
    conf->engine.workers = 2;
    conf->engine.max_connections = 256;
    conf->durability = MX_DURABILITY_NONE;
    struct mx_conf_server *server = mx_conf_add_server(conf, false);
    must(server != NULL, "mx_conf_add_server");
    *bind = (struct mx_conf_bind){.addr_len = sizeof server_addr, .text = "127.0.0.1"};
    memcpy(&bind->addr, &server_addr, sizeof server_addr);
    server->enabled = true;
    server->binds = bind;
    server->bind_count = 1;
    server->connection_limit = 64;
    server->connection_limit_per_ip = 64; /* the table of addresses is shared by the workers */
    return conf;
}

int main(void) {
    enum { TOTAL = CLIENTS * ROUNDS * MESSAGES };
    static struct mx_totals totals;
    struct mx_conf_bind bind;
    pthread_t clients;
    pick_port();
    struct mx_conf *conf = make_conf(&bind);
    block_signals();
    must(pthread_create(&clients, NULL, clients_main, NULL) == 0, "thread");
    int code = mx_server_run(conf, true, NULL, &totals);
    pthread_join(clients, NULL);
    mx_conf_free(conf);
    printf("%lu messages, %lu recipients, %lu octets, %lu connections, %u + %u\n",
           totals.proto.messages, totals.proto.recipients, totals.proto.body_octets,
           totals.engine.connections, totals.served[0], totals.served[1]);
    must(code == MX_EXIT_OK, "exit code");
    must(totals.proto.messages == TOTAL, "messages");
    must(totals.proto.recipients == TOTAL, "recipients");
    must(totals.proto.body_octets == (uint64_t)TOTAL * BODY_OCTETS, "octets");
    must(totals.engine.connections == CLIENTS * ROUNDS + 1, "connections");
    must(totals.served[0] + totals.served[1] == CLIENTS * ROUNDS + 1, "served");
    must(totals.proto.replies_5xx == 0, "refusals");
    return 0;
}
