/* reload.h - SIGHUP: the configuration is read again. Main thread.
 *
 * A thread of its own reads and checks the file, in peace; nothing is touched when it is bad, when
 * an address cannot be opened, or when too many old configurations are still in use. Else the
 * workers take it in the three steps of swap.h. What was replaced is freed when its last session
 * has gone.
 */
#pragma once
#include "engine/listen.h"
#include "engine/swap.h"

#include <pthread.h>

struct mx_server;

enum mx_reload_state {
    MX_RELOAD_IDLE,
    MX_RELOAD_READING,  /* the thread is at it */
    MX_RELOAD_SWAPPING, /* the workers take mx_reload.step */
};

struct mx_reload {
    enum mx_reload_state state;
    enum mx_swap_step step;
    uint32_t number;     /* reloads that have reached the workers */
    bool is_asked_again; /* SIGHUP came meanwhile */
    struct mx_rules *next, *old;
    struct mx_swap swap;
    /* the thread's, until has_read */
    const char *path;
    pthread_t thread;
    struct mx_conf *conf;
    struct mx_conf_report report;
    int err;
    _Atomic bool has_read;
};

/* SIGHUP has come. */
void mx_reload_ask(struct mx_server *self);

/* Go on, now and then; frees what is not used any more. */
void mx_reload_turn(struct mx_server *self);

/* The workers have ended: free everything but the rules that are current. */
void mx_reload_end(struct mx_server *self);
