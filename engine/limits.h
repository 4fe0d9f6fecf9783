/* limits.h - every bound of the engine that is not a configuration row. */
#pragma once

enum {
    MX_WORKERS_MAX = 1024,

    /* places for listening addresses: a reload may replace all that a configuration can have */
    MX_LISTENERS_MAX = 512,
    /* configurations that were replaced and are still used by old sessions */
    MX_RULES_OLD_MAX = 32,

    /* connections of the process, whatever maxConnections and RLIMIT_NOFILE say */
    MX_CONNECTIONS_MAX = 1000000,
    /* ... and with the slots that are kept beyond them: IORING_MAX_FIXED_FILES of the kernel */
    MX_SLOTS_MAX = 1 << 20,
    /* descriptors kept for the process itself beside rings and listening sockets */
    MX_DESCRIPTORS_OWN = 64,

    /* completion queue of a worker (entries); the submission queue has an eighth of it */
    MX_CQ_ENTRIES = 16384,

    /* slots kept beyond maxConnections, so that the refused get their 421: as many as the queues
       of the listeners can hold, since one multishot accept may empty them all; at least ... */
    MX_CONN_RESERVE = 64,
    /* accepting has stopped, for want of descriptors or memory too: when it is tried again (ms) */
    MX_ACCEPT_RETRY_MS = 250,

    /* one reply buffer to begin with; it doubles up to engine.maxUnsent (octets) */
    MX_OUT_FIRST = 4096,
    /* the sink was not ready a moment ago: content is received one buffer at a time, so that what
       cannot be stored yet stays in the sockets (ms) */
    MX_SINK_SLOW_MS = 1000,
    /* input kept for a connection that waits for something: above it, recv is paused (octets) */
    MX_BACKLOG_QUOTA = 16384,
    /* ... and this is the most that may still arrive before the pause takes effect (octets) */
    MX_BACKLOG_MAX = 2 << 20,
    /* ... when three quarters of the session memory are used: the rest is for replies (octets) */
    MX_BACKLOG_TIGHT = 1024,

    /* an envelope is at most the largest block of session memory; when half of that memory is used
       ... */
    MX_ENVELOPE_USUAL = 65536,
    /* ... and when three quarters are (octets) */
    MX_ENVELOPE_TIGHT = 16384,

    /* receive buffers above this are filled one at a time: a burst of a multishot receive, 32 of
       them, would not leave room in MX_BACKLOG_MAX for what came before it (octets) */
    MX_RECV_BURST_BUFFER = 32768,

    /* close after a refusal: input is read and dropped, so that the reply is not lost to a reset
       (ms) */
    MX_LINGER_MS = 1000,
    MX_LINGER_QUIET_MS = 250,
    /* a closing connection whose client does not take the last reply is cut off (ms) */
    MX_CLOSE_MS = 10000,
    /* so many look-ups in a row that nobody answered: the log says that the DNS is silent */
    MX_DNS_SILENT = 8,

    /* so many questions in a row without an answer: the log says that Redis is gone */
    MX_REDIS_SILENT = 4,

    /* behind drainTimeout: time for the last 421 to be taken (ms) */
    MX_DRAIN_END_MS = 1000,

    /* proxyRequired: how long the header of a proxy may take; less when connectionTimeout is (ms)
     */
    MX_PROXY_HEADER_MS = 10000,

    /* minDataRate is looked at in windows of this length (ms) */
    MX_RATE_WINDOW_MS = 60000,
    /* longest time between two looks at a connection's clocks (ms) */
    MX_TIMER_CHECK_MS = 10000,

    /* header of a message, as long as a hook wants to see it whole; with a window of content it
       fits into what a sink that is ready takes (octets) */
    MX_HEADER_MAX = 80 << 10,
    /* attributes that hooks give one message, all together (octets) */
    MX_NOTES_MAX = 16 << 10,

    /* lines about limits that a worker writes in a second; the rest is only counted */
    MX_LOG_LIMITS_PER_S = 20,

    /* CPU time of a turn that handshakes may take (microseconds); one step is always made. Who has
       something to do meanwhile waits so long, whether it had come before or not */
    MX_HANDSHAKE_TURN_US = 50,
    /* handshakes of a worker that wait for their share; whoever comes then is refused */
    MX_HANDSHAKES_MAX = 1024,
    /* certificates are looked at for changes so often (s) */
    MX_CERTIFICATE_WATCH_S = 2,

    /* longest sleep of a worker with nothing to do (ms) */
    MX_SLEEP_MAX_MS = 60000,

    /* batchWait */
    MX_BATCH_MIN_CONNS = 8,   /* connections active in a window before it waits at all */
    MX_BATCH_MAX_EVENTS = 32, /* most completions it waits for */
    MX_BATCH_WINDOW_MS = 8,   /* connections with input within it are active */
    /* ... auto */
    MX_BATCH_AUTO_US = 150,   /* longest wait (microseconds) */
    MX_BATCH_SAMPLE = 64,     /* receives a window needs to be compared */
    MX_BATCH_PROBE_MIN = 16,  /* windows between two probes: after a change ... */
    MX_BATCH_PROBE_MAX = 128, /* ... and when nothing changes any more */
    MX_BATCH_CHANGE = 1075,   /* begin to wait when it saves 5 % (of 1024) ... */
    MX_BATCH_STAY = 1034,     /* ... and stop when it saves less than 1 % */

    /* a new connection moves when its worker has this many more than the emptiest one */
    MX_HAND_OVER_MIN = 2,
};
