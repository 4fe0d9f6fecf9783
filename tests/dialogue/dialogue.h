/* dialogue.h - a dialogue file, and what plays it against a server.
 *
 * The format is described at the top of runner.c. All functions print nothing; what went wrong is
 * in the struct mx_failure they are given.
 */
#pragma once
#include "proto/span.h"

#include <limits.h>
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A buffer that grows; free(ptr) at the end. Always has a NUL behind its octets. */
struct mx_text {
    char *ptr;
    size_t len, cap; /* octets */
};

void mx_text_put(struct mx_text *self, const char *octets, size_t len);

/* The octets in printable form: CR, LF, TAB, NUL and backslash as \r \n \t \0 \\, others that are
 * not printable ASCII as \xHH. */
void mx_text_put_escaped(struct mx_text *self, const char *octets, size_t len);

enum mx_step_kind {
    MX_STEP_SEND,    /* C: and R: lines that follow one another: one write */
    MX_STEP_REPLY,   /* S: */
    MX_STEP_CLOSED,  /* E: */
    MX_STEP_WAIT,    /* W: */
    MX_STEP_CONNECT, /* N: */
    MX_STEP_TLS,     /* T: */
    MX_STEP_STORED,  /* M: */
};

struct mx_step {
    enum mx_step_kind kind;
    uint32_t line;       /* in the file, 1-based */
    struct mx_text text; /* SEND: the octets; REPLY, STORED: the pattern; CONNECT: from */
    regex_t regex;       /* REPLY, STORED: must match a whole line */
    uint32_t wait_ms;    /* WAIT: 0..60,000 */
    uint32_t number;    /* CONNECT: 1-based number of the connection to go back to; 0 = a new one */
    bool keeps_current; /* CONNECT: the current connection stays open */
};

enum mx_only { MX_ONLY_ANY, MX_ONLY_SOCKET, MX_ONLY_IN_PROCESS };

struct mx_dialogue {
    const char *path;
    bool is_lmtp;
    enum mx_only only;
    int stored_count;      /* messages that must have been stored at the end; -1 = not said */
    char config[PATH_MAX]; /* path of the configuration; "" = the default one */
    struct mx_step *steps;
    size_t count;
};

/* The first thing that went wrong. */
struct mx_failure {
    uint32_t line; /* of the file; 0 = none in particular */
    struct mx_text text;
};

/* Say what went wrong, unless something did already. Always false. */
__attribute__((format(printf, 3, 4))) bool mx_fail(struct mx_failure *failure, uint32_t line,
                                                   const char *format, ...);

/* Read a file. False: it cannot be read or is malformed, see *failure. Free in both cases. */
bool mx_dialogue_read(const char *path, struct mx_dialogue *dialogue, struct mx_failure *failure);
void mx_dialogue_free(struct mx_dialogue *dialogue);

/* The YAML used when a file names no configuration. */
const char *mx_dialogue_base(bool is_lmtp);

enum { MX_LINKS_MAX = 32 };       /* connections of one file */
enum { MX_WAIT_MS = 5000 };       /* longest wait for a reply, a start or an end of the server */
enum { MX_CLOSE_WAIT_MS = 3000 }; /* longest wait for the server to close (E:) */

enum mx_read {
    MX_READ_MORE,    /* at least one octet was appended */
    MX_READ_CLOSED,  /* the server has closed, nothing more will come */
    MX_READ_NOTHING, /* nothing came in time */
};

/* One way to reach a server. Connections are numbered from 0. Functions that return bool set
 * *failure when false. */
struct mx_driver {
    const char *name;
    bool (*begin)(struct mx_driver *self, const struct mx_dialogue *dialogue,
                  struct mx_failure *failure);
    bool (*connect)(struct mx_driver *self, unsigned link, const char *from,
                    struct mx_failure *failure);
    /* The client goes away. Half: it only says that it will send no more. */
    void (*disconnect)(struct mx_driver *self, unsigned link, bool is_half);
    bool (*send)(struct mx_driver *self, unsigned link, struct mx_span octets,
                 struct mx_failure *failure);
    /* The client's side of the handshake; what is sent and read from here on is inside. */
    bool (*start_tls)(struct mx_driver *self, unsigned link, struct mx_failure *failure);
    enum mx_read (*read)(struct mx_driver *self, unsigned link, struct mx_text *to,
                         uint32_t timeout_ms);
    void (*wait)(struct mx_driver *self, uint32_t ms);
    /* The messages stored so far, the last one at [count - 1]. NULL: the driver cannot know. */
    const struct mx_text *(*stored)(struct mx_driver *self, size_t *count);
    void (*end)(struct mx_driver *self);
};

/* Play a dialogue against a driver. The reply lines and the stored
 * messages are appended to *transcript. */
bool mx_dialogue_play(const struct mx_dialogue *dialogue, struct mx_driver *driver,
                      struct mx_text *transcript, struct mx_failure *failure);

/* proto/ in this process, on a simulated clock. cut: 0 = input whole, 1 = octet by octet, others
 * are the seed of random cuts. */
struct mx_driver *mx_inprocess_new(void);
void mx_inprocess_cut(struct mx_driver *driver, uint32_t cut);
void mx_inprocess_free(struct mx_driver *driver);

/* `PROGRAM serve` over loopback sockets; one server for files in a row that share a configuration.
 * stop: end the server that runs, if any; false: it did not end as it should. */
struct mx_driver *mx_socket_new(const char *program);
bool mx_socket_stop(struct mx_driver *driver, struct mx_failure *failure);
void mx_socket_free(struct mx_driver *driver);
