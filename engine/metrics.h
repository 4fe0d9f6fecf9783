/* metrics.h - counters of one worker: written by it alone, read by anyone with relaxed loads.
 *
 * X(name, unit, help). The protocol's own rows are in proto/counters.h.
 */
#pragma once
#include <stdint.h>
#include <stdio.h>

#define MX_ENGINE_COUNTERS(X)                                                                      \
    X(turns, "turns", "loop turns")                                                                \
    X(connections, "connections", "connections accepted")                                          \
    X(refused_max_connections, "connections", "refused with 421 by maxConnections")                \
    X(refused_connection_limit, "connections", "refused with 421 by connectionLimit")              \
    X(refused_connection_limit_per_ip, "connections", "refused with 421 by connectionLimitPerIP")  \
    X(refused_proxy_from, "connections", "refused with 421 by proxyFrom")                          \
    X(connections_handed, "connections", "given to another worker before their first octet")       \
    X(hand_over_failed, "connections", "could not be given away and stayed")                       \
    X(accept_paused, "times", "accepting stopped because the table was full")                      \
    X(accept_failed, "connections", "accept(2) errors")                                            \
    X(received, "octets", "octets received")                                                       \
    X(receives, "completions", "receive completions with data")                                    \
    X(sends, "requests", "send requests")                                                          \
    X(sent, "octets", "octets sent")                                                               \
    X(recv_starved, "times", "a receiver found no buffer and was parked")                          \
    X(recv_rearmed, "times", "receives armed again")                                               \
    X(recv_single, "times", "receives armed for one buffer only, because the sink was slow")       \
    X(recv_paused, "times", "receiving stopped so that TCP pushes back")                           \
    X(cancel_missed, "times", "a cancel found nothing and was repeated")                           \
    X(stale, "completions", "completions of connections that are gone")                            \
    X(output_blocked, "times", "a client did not read its replies")                                \
    X(sink_waits, "times", "a message waited for the sink")                                        \
    X(memory_refused, "connections", "closed because the session memory was used up")              \
    X(helper_refused, "logins", "refused with 454 because too many waited for the helpers")        \
    X(hook_timeouts, "questions", "hooks that got no answer in time: onFailure decided")           \
    X(discarded, "messages", "accepted and thrown away, as a milter said")                         \
    X(drain_killed, "sessions", "ended by drainTimeout in the middle of something")                \
    X(connection_timeouts, "sessions", "ended by connectionTimeout")                               \
    X(proxy_timeouts, "connections", "closed because no PROXY header came in time")                \
    X(lifespan_ended, "connections", "ended by MaxConnectionLifespanHandler")                      \
    X(data_timeouts, "sessions", "ended by dataTimeout")                                           \
    X(slow_data, "sessions", "ended by minDataRate")                                               \
    X(tls_handshakes, "sessions", "TLS handshakes completed")                                      \
    X(tls_resumed, "sessions", "... of them resumptions")                                          \
    X(tls_failed, "sessions", "TLS sessions and handshakes that failed")                           \
    X(tls_timeouts, "sessions", "handshakes ended by tls.handshakeTimeout")                        \
    X(tls_refused, "sessions", "handshakes refused: too many at a time, or engine.tlsMemory")      \
    X(resets, "connections", "ended by the peer with an error")                                    \
    X(batch_waits, "turns", "turns that waited for a batch")                                       \
    X(log_suppressed, "lines", "log lines about limits left out: too many in a second")            \
    X(log_dropped, "lines", "log lines dropped because the queue was full")

struct mx_engine_counters {
#define MX_COUNTER_FIELD(name, unit, help) uint64_t name;
    MX_ENGINE_COUNTERS(MX_COUNTER_FIELD)
#undef MX_COUNTER_FIELD
};
