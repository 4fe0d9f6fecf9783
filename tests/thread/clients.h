/* clients.h - clients of the thread tests: sixteen threads that send messages to 127.0.0.1. */
#pragma once
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static inline void must(int is_true, const char *what) {
    if (!is_true) {
        fprintf(stderr, "thread test: %s\n", what);
        abort();
    }
}

/* A port that was free a moment ago. */
static inline void pick_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof server_addr;
    server_addr =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(bind(fd, (struct sockaddr *)&server_addr, len) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)&server_addr, &len) == 0, "getsockname");
    close(fd);
}

static inline int connect_once(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0, "socket");
    const struct timeval slow = {SLOW_S, 0};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slow, sizeof slow) == 0, "setsockopt");
    if (connect(fd, (struct sockaddr *)&server_addr, sizeof server_addr) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline int connect_patiently(void) {
    for (int i = 0; i < TRIES; i++) {
        int fd = connect_once();
        if (fd >= 0)
            return fd;
        usleep(50000);
    }
    must(0, "nobody listens");
    return -1;
}

static inline void put(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        must(n > 0, "send");
        text += n;
        len -= (size_t)n;
    }
}

/* Read until so many reply lines with a final space have come. */
static inline void take_replies(FILE *from, int count) {
    char line[1024];
    while (count > 0) {
        must(fgets(line, sizeof line, from) != NULL, "a reply is missing");
        must(line[0] == '2' || line[0] == '3', line);
        count -= line[3] == ' ';
    }
}

static inline void send_message(int fd, FILE *from, bool is_pipelined) {
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
static inline void *client_main(void *argument) {
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

/* All of them, from begin to end. */
static inline void run_clients(void) {
    pthread_t threads[CLIENTS];
    unsigned numbers[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        must(pthread_create(&threads[i], NULL, client_main, &numbers[i]) == 0, "thread");
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

/* Before any other thread starts: signals are for the thread that serves, nobody else. */
static inline void block_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    must(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0, "sigmask");
}
