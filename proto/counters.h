/* counters.h - what the protocol counts, one block per worker, written only by its owner.
 *
 * X(name, unit, help). The metrics page, the log and the documentation are generated from these
 * rows.
 */
#pragma once
#include <stdint.h>

#define MX_PROTO_COUNTERS(X)                                                                       \
    X(messages, "messages", "accepted messages (final 250)")                                       \
    X(messages_refused, "messages", "messages refused in or after their data (4xx or 5xx)")        \
    X(recipients, "recipients", "recipients of accepted messages")                                 \
    X(body_octets, "octets", "content of accepted messages, unstuffed")                            \
    X(commands, "commands", "command lines read")                                                  \
    X(replies_4xx, "replies", "temporary refusals sent")                                           \
    X(replies_5xx, "replies", "permanent refusals sent")                                           \
    X(unknown_commands, "commands", "unknown commands")                                            \
    X(line_limit, "lines", "command lines over maxLineLength")                                     \
    X(data_line_limit, "messages", "messages refused for a line over maxDataLineLength")           \
    X(size_limit, "messages", "messages refused by maxMessageSize, at MAIL or in the data")        \
    X(recipient_limit, "recipients", "recipients refused by maxRecipients or for lack of memory")  \
    X(logins, "logins", "successful logins (AUTH)")                                                \
    X(logins_failed, "logins", "failed logins (535)")                                              \
    X(auth_limit, "sessions", "sessions ended by maxAuthFailures")                                 \
    X(error_limit, "sessions", "sessions ended by maxErrors")                                      \
    X(transaction_limit, "sessions", "sessions ended by maxTransactions")                          \
    X(bare_lf_commands, "lines", "command lines that ended in a bare LF")                          \
    X(bare_lf_data, "sessions", "sessions ended by a bare LF in DATA")                             \
    X(bare_cr_data, "messages",                                                                    \
      "messages with a bare CR, sent by DATA (chunks are not looked at)")                          \
    X(nul_data, "messages", "messages with a NUL, sent by DATA (chunks are not looked at)")        \
    X(eightbit_data, "messages",                                                                   \
      "messages with octets above 0x7f, sent by DATA (chunks are not looked at)")                  \
    X(bdat_chunks, "chunks", "BDAT chunks received in full")                                       \
    X(tls_injections, "sessions", "sessions ended for octets behind STARTTLS")                     \
    X(proxy_headers, "headers", "PROXY headers read")                                              \
    X(proxy_headers_bad, "connections", "closed for a PROXY header that is bad or names nobody")

struct mx_proto_counters {
#define MX_COUNTER_FIELD(name, unit, help) uint64_t name;
    MX_PROTO_COUNTERS(MX_COUNTER_FIELD)
#undef MX_COUNTER_FIELD
};
