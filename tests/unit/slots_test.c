/* Goal: the slots of a worker fit into what the kernel gives, whatever is configured; the reserve
 * is there first, and it never takes more than a quarter from those who are served. */
#include "engine/limits.h"
#include "engine/slots.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define NR_OPEN_OF_DOCKER UINT64_C(1073741816)

static const struct {
    const char *name;
    uint64_t wanted, backlog, descriptors;
    uint32_t connections, reserve; /* 0, 0: -EMFILE */
    const char *bound;             /* a word of it */
} cases[] = {
    {"the defaults",            65536,   200,      1048576,           65536,   328,    NULL    },
    {"few descriptors",         65536,   200,      20000,             19672,   328,    "NOFILE"},
    {"hardly any",              65536,   200,      128,               48,      80,     "NOFILE"},
    {"one",                     65536,   200,      65,                1,       64,     "NOFILE"},
    {"none",                    65536,   200,      64,                0,       0,      NULL    },
    {"less than none",          65536,   200,      0,                 0,       0,      NULL    },
    {"all there can be",        0,       200,      20000,             19672,   328,    NULL    },
    {"as many as ever",         0,       200,      NR_OPEN_OF_DOCKER, 1000000, 328,    NULL    },
    {"Docker, a long backlog",  1000000, 65535,    NR_OPEN_OF_DOCKER, 982913,  65663,  "table" },
    {"Docker, many long ones",  1000000, 16711425, NR_OPEN_OF_DOCKER, 786384,  262192, "table" },
    {"Docker, as many as ever", 0,       65535,    NR_OPEN_OF_DOCKER, 982913,  65663,  NULL    },
    {"no limit at all",         1000000, 65535,    UINT64_MAX,        982913,  65663,  "table" },
};

Test(slots, fit) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_slots slots = {0};
        int err = mx_slots_share(cases[i].wanted, cases[i].backlog, cases[i].descriptors, &slots);
        cr_expect_eq(err, cases[i].connections > 0 ? 0 : -EMFILE, "%s: %d", cases[i].name, err);
        cr_expect_eq(slots.connections, cases[i].connections, "%s: %u", cases[i].name,
                     slots.connections);
        cr_expect_eq(slots.reserve, cases[i].reserve, "%s: %u", cases[i].name, slots.reserve);
        bool is_said = cases[i].bound == NULL
                           ? slots.bound == NULL
                           : slots.bound != NULL && strstr(slots.bound, cases[i].bound) != NULL;
        cr_expect(is_said, "%s: %s", cases[i].name, slots.bound);
        uint64_t sum = (uint64_t)slots.connections + slots.reserve;
        cr_expect(sum <= cases[i].descriptors && sum <= MX_SLOTS_MAX, "%s: %lu", cases[i].name,
                  sum);
    }
}
