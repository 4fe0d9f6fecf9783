#include "engine/cli/fault_options.h"

#include "config/size.h"

#include <stdio.h>

static const struct {
    const char *name;
    unsigned place;
} places[] = {
    {"CONNECT", MX_FAULT_CONNECT},
    {".",       MX_FAULT_DOT    },
    {"DOT",     MX_FAULT_DOT    },
    {"UNKNOWN", MX_VERB_UNKNOWN },
};

static bool find_place(struct mx_span word, unsigned *place) {
    enum mx_verb verb = mx_verb_find(word);
    *place = verb;
    if (verb != MX_VERB_UNKNOWN)
        return true;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (mx_span_equal_nocase(word, mx_span_of(places[i].name))) {
            *place = places[i].place;
            return true;
        }
    }
    return false;
}

static enum mx_fault_kind kind_of(int option) {
    switch (option) {
    case MX_FAULT_OPTION_HARD:
        return MX_FAULT_HARD;
    case MX_FAULT_OPTION_SOFT:
        return MX_FAULT_SOFT;
    case MX_FAULT_OPTION_DISCONNECT:
        return MX_FAULT_DISCONNECT;
    case MX_FAULT_OPTION_421:
        return MX_FAULT_DISCONNECT_421;
    default:
        return MX_FAULT_NONE;
    }
}

/* The number behind the last colon; false: there is none in range. */
static bool take_delay(struct mx_span *list, uint32_t *delay_ms) {
    const char *colon = list->len > 0 ? memrchr(list->ptr, ':', list->len) : NULL;
    int64_t value = 0;
    if (colon == NULL || mx_size_number(mx_span_of(colon + 1), &value) < 0 || value < 1 ||
        value > 3600000)
        return false;
    list->len = (size_t)(colon - list->ptr);
    *delay_ms = (uint32_t)value;
    return true;
}

bool mx_fault_options_add(struct mx_fault faults[MX_FAULT_PLACES], int option, const char *list) {
    struct mx_span rest = mx_span_of(list);
    uint32_t delay_ms = 0;
    if (option == MX_FAULT_OPTION_DELAY && !take_delay(&rest, &delay_ms)) {
        fprintf(stderr, "mxring sink: '%s': LIST:MS is wanted, MS from 1 to 3600000\n", list);
        return false;
    }
    for (bool is_more = true; is_more;) {
        const char *comma = rest.len > 0 ? memchr(rest.ptr, ',', rest.len) : NULL;
        struct mx_span word = {rest.ptr, comma != NULL ? (size_t)(comma - rest.ptr) : rest.len};
        unsigned place;
        if (!find_place(word, &place)) {
            fprintf(stderr, "mxring sink: '%.*s': not a command, CONNECT or '.'\n", (int)word.len,
                    word.ptr);
            return false;
        }
        if (option == MX_FAULT_OPTION_DELAY)
            faults[place].delay_ms = delay_ms;
        else
            faults[place].kind = (uint8_t)kind_of(option);
        is_more = comma != NULL;
        rest = mx_span_skip(rest, is_more ? word.len + 1 : word.len);
    }
    return true;
}
