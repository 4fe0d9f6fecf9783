#include "engine/slots.h"

#include "engine/limits.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

int mx_slots_share(uint64_t wanted, uint64_t backlog, uint64_t descriptors,
                   struct mx_slots *slots) {
    bool is_table = descriptors > MX_SLOTS_MAX;
    uint64_t room = is_table ? MX_SLOTS_MAX : descriptors;
    bool is_any = wanted == 0;
    if (room <= MX_CONN_RESERVE)
        return -EMFILE;
    room -= MX_CONN_RESERVE;
    if (is_any || wanted > MX_CONNECTIONS_MAX)
        wanted = MX_CONNECTIONS_MAX;
    uint64_t reserve = backlog + MX_CONN_RESERVE;
    if (reserve > room / 4)
        reserve = room / 4;
    room -= reserve;
    *slots = (struct mx_slots){.connections = (uint32_t)(wanted < room ? wanted : room),
                               .reserve = (uint32_t)reserve + MX_CONN_RESERVE};
    if (!is_any && wanted > room)
        slots->bound = is_table ? "the table of direct descriptors" : "RLIMIT_NOFILE";
    return 0;
}
