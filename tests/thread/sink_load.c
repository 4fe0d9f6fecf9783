/* sink_load.c - the whole server under ThreadSanitizer: two workers, hand-over, drain, totals.
 *
 * mx_server_run in the main thread; a client thread sends messages over sixteen connections, with
 * a new connection every few messages, then SIGTERM. The ring's own synchronisation is invisible
 * to the sanitizer; what the threads share beside it is not.
 */
#include "config/conf.h"
#include "engine/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    CLIENTS = 16,
    ROUNDS = 10,   /* connections of each client, one after the other */
    MESSAGES = 20, /* of each connection */
    TRIES = 200,   /* to connect, while the server starts */
    SLOW_S = 60,   /* longest wait for a reply */
    BODY_OCTETS = 3000,
};

static struct sockaddr_in server_addr;

static void must(int is_true, const char *what) {
    if (!is_true) {
        fprintf(stderr, "sink_load: %s\n", what);
        abort();
    }
}

/* A port that was free a moment ago. */
static void pick_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof server_addr;
    server_addr =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(bind(fd, (struct sockaddr *)&server_addr, len) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)&server_addr, &len) == 0, "getsockname");
    close(fd);
}

static int connect_once(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0, "socket");
    const struct timeval slow = {SLOW_S, 0};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slow, sizeof slow) == 0, "setsockopt");
    if (connect(fd, (struct sockaddr *)&server_addr, sizeof server_addr) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_patiently(void) {
    for (int i = 0; i < TRIES; i++) {
        int fd = connect_once();
        if (fd >= 0)
            return fd;
        usleep(50000);
    }
    must(0, "nobody listens");
    return -1;
}

static void put(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        must(n > 0, "send");
        text += n;
        len -= (size_t)n;
    }
}

/* Read until so many reply lines with a final space have come. */
static void take_replies(FILE *from, int count) {
    char line[1024];
    while (count > 0) {
        must(fgets(line, sizeof line, from) != NULL, "a reply is missing");
        must(line[0] == '2' || line[0] == '3', line);
        count -= line[3] == ' ';
    }
}

static void send_message(int fd, FILE *from, bool is_pipelined) {
    static const char *const commands[] = {"MAIL FROM:<a@example.org>\r\n",
                                           "RCPT TO:<bob@example.com>\r\n", "DATA\r\n"};
    char body[BODY_OCTETS + 5];
    memset(body, 'x', BODY_OCTETS);
    memcpy(body + BODY_OCTETS - 2, "\r\n.\r\n", 5);
    for (int i = 0; i < 3; i++) {
        put(fd, commands[i], strlen(commands[i]));
        if (!is_pipelined)
            take_replies(from, 1);
    }
    if (is_pipelined)
        take_replies(from, 3);
    put(fd, body, BODY_OCTETS + 3);
    take_replies(from, 1);
}

/* One of the sixteen: connections one after the other, every third ends without QUIT. */
static void *client_main(void *argument) {
    unsigned number = *(const unsigned *)argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int fd = connect_patiently();
        FILE *from = fdopen(fd, "r");
        must(from != NULL, "fdopen");
        take_replies(from, 1);
        put(fd, "EHLO client.example\r\n", 21);
        take_replies(from, 1);
        for (int i = 0; i < MESSAGES; i++)
            send_message(fd, from, (number + round) % 2 == 0);
        if ((number + round) % 3 != 0) {
            put(fd, "QUIT\r\n", 6);
            take_replies(from, 1);
        }
        fclose(from);
    }
    return NULL;
}

static void *clients_main(void *argument) {
    (void)argument;
    pthread_t threads[CLIENTS];
    unsigned numbers[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        must(pthread_create(&threads[i], NULL, client_main, &numbers[i]) == 0, "thread");
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
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
    /* before the clients start: the signal is for the thread that serves, nobody else */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    must(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0, "sigmask");
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
