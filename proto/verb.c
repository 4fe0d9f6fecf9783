#include "proto/verb.h"

#include <assert.h>

/* All names but one have four letters, so that a name is one 32-bit number with the letters' case
 * bit cleared. Clearing it turns nothing but the two cases of a letter into that letter. */
enum { NAME_LEN = 4 };
#define CASE_CLEARED 0xdfdfdfdfu

static inline uint32_t word_of(const char *name) {
    uint32_t word;
    memcpy(&word, name, sizeof word);
    return word;
}

static enum mx_verb find_short(uint32_t word) {
#define MX_VERB_TRY(verb, protocols)                                                               \
    _Static_assert(sizeof #verb - 1 == NAME_LEN, "a verb of another length");                      \
    if (word == word_of(#verb))                                                                    \
        return MX_VERB_##verb;
    MX_VERB_SHORT_LIST(MX_VERB_TRY)
#undef MX_VERB_TRY
    return MX_VERB_UNKNOWN;
}

enum mx_verb mx_verb_find(struct mx_span name) {
    if (name.len == NAME_LEN)
        return find_short(word_of(name.ptr) & CASE_CLEARED);
    bool is_starttls = mx_span_equal_nocase(name, MX_SPAN("STARTTLS"));
    return is_starttls ? MX_VERB_STARTTLS : MX_VERB_UNKNOWN;
}

const char *mx_verb_name(enum mx_verb verb) {
#define MX_VERB_NAME(name, protocols) #name,
    static const char *const names[] = {MX_VERB_LIST(MX_VERB_NAME) "UNKNOWN"};
#undef MX_VERB_NAME
    assert(verb < MX_VERB_COUNT);
    return names[verb];
}

unsigned mx_verb_protocols(enum mx_verb verb) {
#define MX_VERB_PROTOCOLS(name, protocols) protocols,
    static const uint8_t rows[MX_VERB_COUNT] = {MX_VERB_LIST(MX_VERB_PROTOCOLS) 0};
#undef MX_VERB_PROTOCOLS
    assert(verb < MX_VERB_COUNT);
    return rows[verb];
}
