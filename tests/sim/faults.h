/* faults.h - what can go wrong in a run, and what is counted of it. */
#pragma once

/* Injected with a rate drawn by the seed. */
#define SIM_FAULTS(X)                                                                              \
    X(RECV_SHORT)                                                                                  \
    X(RECV_ENDS)                                                                                   \
    X(RECV_DELAYED)                                                                                \
    X(SEND_SHORT)                                                                                  \
    X(SEND_DELAYED)                                                                                \
    X(CANCEL_ENOENT)                                                                               \
    X(CANCEL_EALREADY)                                                                             \
    X(CANCEL_DELAYED)                                                                              \
    X(ACCEPT_ENDS)                                                                                 \
    X(ACCEPT_ECONNABORTED)                                                                         \
    X(ACCEPT_ENFILE)                                                                               \
    X(PEERNAME_DELAYED)                                                                            \
    X(PEERNAME_ENOTCONN)                                                                           \
    X(PASS_DELAYED)                                                                                \
    X(PASS_ENFILE)                                                                                 \
    X(PASS_EOVERFLOW)                                                                              \
    X(SUBMIT_PARTIAL)                                                                              \
    X(ENTER_EINTR)                                                                                 \
    X(ENTER_EAGAIN)                                                                                \
    X(EOF_WITH_BUFFER)                                                                             \
    X(TASK_WORK_LATE)                                                                              \
    X(SINK_PENDING)                                                                                \
    X(SINK_SLOW)                                                                                   \
    X(SINK_NOT_READY)                                                                              \
    X(SINK_OPEN_ENOSPC)                                                                            \
    X(SINK_OPEN_EIO)                                                                               \
    X(SINK_WRITE_ENOSPC)                                                                           \
    X(SINK_WRITE_EIO)                                                                              \
    X(SINK_COMMIT_ENOSPC)                                                                          \
    X(SINK_COMMIT_EIO)                                                                             \
    X(SINK_RCPT_EIO)                                                                               \
    X(CLOCK_JUMP)                                                                                  \
    X(WALL_CLOCK_BACK)                                                                             \
    X(DRAIN_AMID)

/* Follows from the rest. */
#define SIM_EVENTS(X)                                                                              \
    X(RECV_ENOBUFS)                                                                                \
    X(RECV_EOF)                                                                                    \
    X(RECV_ECONNRESET)                                                                             \
    X(RECV_CANCELED)                                                                               \
    X(SEND_BLOCKED)                                                                                \
    X(SEND_EPIPE)                                                                                  \
    X(SEND_ECONNRESET)                                                                             \
    X(SEND_CANCELED)                                                                               \
    X(SEND_CANCELED_HALFWAY)                                                                       \
    X(CANCEL_TOO_LATE)                                                                             \
    X(ACCEPT_TABLE_FULL)                                                                           \
    X(CQ_OVERFLOW)                                                                                 \
    X(CQ_ENDS_MULTISHOT)                                                                           \
    X(ENTER_EBUSY)                                                                                 \
    X(ENTER_ETIME)                                                                                 \
    X(BATCH_WAITED)                                                                                \
    X(PASSED)                                                                                      \
    X(CLOSED_WITH_UNREAD_INPUT)                                                                    \
    X(DIRECT_RUN)                                                                                  \
    X(NORMAL_FD_RUN)                                                                               \
    X(MEMORY_TIGHT_RUN)                                                                            \
    X(CLIENT_LOCKSTEP)                                                                             \
    X(CLIENT_PIPELINED)                                                                            \
    X(CLIENT_FLOOD)                                                                                \
    X(CLIENT_CUT_BY_RESET)                                                                         \
    X(CLIENT_CUT_BY_FIN)                                                                           \
    X(CLIENT_CUT_IN_CONTENT)                                                                       \
    X(CLIENT_BARE_LF)                                                                              \
    X(CLIENT_IDLE)                                                                                 \
    X(CLIENT_SLOW_DATA)                                                                            \
    X(CLIENT_DEAF)                                                                                 \
    X(CLIENT_ENDLESS_LINE)                                                                         \
    X(CLIENT_JUNK)                                                                                 \
    X(CLIENT_REFUSED)                                                                              \
    X(RELOAD)                                                                                      \
    X(RELOAD_MOVES)                                                                                \
    X(PROXY_HEADER)                                                                                \
    X(LOGIN)                                                                                       \
    X(LOGIN_BUSY)                                                                                  \
    X(HOOK_WAITS)                                                                                  \
    X(HOOK_ANSWERED)                                                                               \
    X(HOOK_REFUSED)                                                                                \
    X(HOOK_HEADER)                                                                                 \
    X(MESSAGE_DATA)                                                                                \
    X(MESSAGE_BDAT)                                                                                \
    X(MESSAGE_LMTP)                                                                                \
    X(MESSAGE_REFUSED)                                                                             \
    X(MESSAGE_UNANSWERED)

#define SIM_FAULT_ENUM(name) SIM_F_##name,
#define SIM_EVENT_ENUM(name) SIM_E_##name,
enum sim_fault { SIM_FAULTS(SIM_FAULT_ENUM) SIM_FAULT_COUNT };
enum sim_event { SIM_EVENTS(SIM_EVENT_ENUM) SIM_EVENT_COUNT };
#undef SIM_FAULT_ENUM
#undef SIM_EVENT_ENUM
