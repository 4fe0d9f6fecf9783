/* reload_load.c - reloads under ThreadSanitizer: while sixteen clients send messages, the
 * configuration is written anew and SIGHUP sent, again and again; a second address comes and goes.
 */
#include "config/conf.h"
#include "engine/server.h"
#include "tests/thread/clients.h"

enum { RELOADS_MIN = 5, GAP_US = 100000 };

static char path[] = "/tmp/mxring-reload-XXXXXX";
static _Atomic bool is_over;

static void write_conf(unsigned number) {
    char fresh[sizeof path + 8];
    must(snprintf(fresh, sizeof fresh, "%s.new", path) > 0, "name");
    FILE *file = fopen(fresh, "w");
    must(file != NULL, "fopen");
    fprintf(file,
            "engine: {workers: 2, maxConnections: 256}\n"
            "log: {level: error}\n"
            "domains: [example.com, d%u.example]\n"
            "spool: {durability: none}\n"
            "smtpservers:\n"
            "  - bind: ['127.0.0.1:%u'%s]\n"
            "    connectionLimit: %u\n"
            "    connectionLimitPerIP: 64\n"
            "    verifyIdentity: disabled\n"
            "    handlerchain: []\n",
            number, ntohs(server_addr.sin_port), number % 2 ? ", '127.0.0.1:0'" : "", 64 + number);
    must(fclose(file) == 0 && rename(fresh, path) == 0, "rename");
}

static void *clients_main(void *argument) {
    (void)argument;
    run_clients();
    is_over = true;
    return NULL;
}

/* At least RELOADS_MIN, and as long as there are clients. */
static void *reloads_main(void *argument) {
    (void)argument;
    close(connect_patiently()); /* it listens, so it takes signals */
    for (unsigned i = 1; i <= RELOADS_MIN || !is_over; i++) {
        write_conf(i);
        kill(getpid(), SIGHUP);
        usleep(GAP_US);
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

int main(void) {
    enum { TOTAL = CLIENTS * ROUNDS * MESSAGES };
    static struct mx_totals totals;
    struct mx_conf_report report = {0};
    struct mx_conf *conf = NULL;
    pthread_t clients, reloads;
    int fd = mkstemp(path);
    must(fd >= 0, "mkstemp");
    close(fd);
    pick_port();
    write_conf(0);
    must(mx_conf_load(path, false, &conf, &report) == 0, "mx_conf_load");
    mx_conf_report_free(&report);
    block_signals();
    must(pthread_create(&clients, NULL, clients_main, NULL) == 0, "thread");
    must(pthread_create(&reloads, NULL, reloads_main, NULL) == 0, "thread");
    int code = mx_server_run(conf, false, NULL, &totals);
    pthread_join(clients, NULL);
    pthread_join(reloads, NULL);
    mx_conf_free(conf);
    unlink(path);
    printf("%lu messages, %lu connections\n", totals.proto.messages, totals.engine.connections);
    must(code == MX_EXIT_OK, "exit code");
    must(totals.proto.messages == TOTAL, "messages");
    must(totals.engine.connections == CLIENTS * ROUNDS + 1, "connections");
    must(totals.proto.replies_5xx == 0 && totals.proto.replies_4xx == 0, "refusals");
    return 0;
}
