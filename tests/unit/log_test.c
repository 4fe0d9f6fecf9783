/* log_test.c - lines of the log: nothing a client says can forge one, a JSON line stays JSON also
 * when it is cut, and the queue drops whole lines and counts them.
 */
#include "engine/log.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

enum { OUT_MAX = 1 << 16 };

static char out[OUT_MAX];

/* What the queue holds, as text. */
static size_t drain(struct mx_log *log) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    size_t len = mx_log_drain(log, ends[1]);
    close(ends[1]);
    size_t got = 0;
    for (ssize_t n; (n = read(ends[0], out + got, OUT_MAX - 1 - got)) > 0;)
        got += (size_t)n;
    close(ends[0]);
    cr_assert_eq(got, len);
    out[got] = '\0';
    return got;
}

/* The text behind the time and level. */
static const char *line_of(struct mx_log *log, const char *key, struct mx_span value) {
    struct mx_log_line line;
    mx_log_begin(&line, log, MX_SEVERITY_INFO, "test");
    mx_log_text(&line, key, value);
    mx_log_end(&line);
    drain(log);
    const char *event = strstr(out, log->is_json ? "\"event\"" : "event=");
    cr_assert_not_null(event);
    return event;
}

Test(log, escaping) {
    static const struct {
        const char *name;
        struct mx_span value;
        const char *logfmt, *json;
    } cases[] = {
        {"plain",     MX_SPAN("bob"),         "event=test k=bob\n",                       "\"event\":\"test\",\"k\":\"bob\"}\n"},
        {"empty",     MX_SPAN(""),            "event=test k=\"\"\n",                      "\"event\":\"test\",\"k\":\"\"}\n"   },
        {"space",     MX_SPAN("a b"),         "event=test k=\"a b\"\n",                   "\"event\":\"test\",\"k\":\"a b\"}\n"},
        {"equals",    MX_SPAN("a=b"),         "event=test k=\"a=b\"\n",                   "\"event\":\"test\",\"k\":\"a=b\"}\n"},
        {"quote",     MX_SPAN("a\"b"),        "event=test k=\"a\\\"b\"\n",
         "\"event\":\"test\",\"k\":\"a\\\"b\"}\n"                                                                              },
        {"backslash", MX_SPAN("a\\"),         "event=test k=\"a\\\\\"\n",
         "\"event\":\"test\",\"k\":\"a\\\\\"}\n"                                                                               },
        {"line end",  MX_SPAN("a\r\nevent="), "event=test k=\"a\\u000d\\u000aevent=\"\n",
         "\"event\":\"test\",\"k\":\"a\\u000d\\u000aevent=\"}\n"                                                               },
        {"NUL, 8bit", MX_SPAN("\0\xff"),      "event=test k=\"\\u0000\\u00ff\"\n",
         "\"event\":\"test\",\"k\":\"\\u0000\\u00ff\"}\n"                                                                      },
    };
    for (unsigned is_json = 0; is_json < 2; is_json++) {
        struct mx_log log;
        cr_assert_eq(mx_log_init(&log, 65536, MX_SEVERITY_INFO, is_json), 0);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const char *expected = is_json ? cases[i].json : cases[i].logfmt;
            cr_expect_str_eq(line_of(&log, "k", cases[i].value), expected, "%s", cases[i].name);
        }
        mx_log_deinit(&log);
    }
}

Test(log, numbers_and_severity) {
    struct mx_log log;
    struct mx_log_line line;
    cr_assert_eq(mx_log_init(&log, 4096, MX_SEVERITY_WARN, false), 0);
    mx_log_begin(&line, &log, MX_SEVERITY_INFO, "not wanted");
    mx_log_u64(&line, "n", 1);
    mx_log_str(&line, "s", "x");
    mx_log_end(&line);
    cr_expect_eq(drain(&log), 0U);
    mx_log_begin(&line, &log, MX_SEVERITY_ERROR, "e");
    mx_log_u64(&line, "zero", 0);
    mx_log_u64(&line, "max", UINT64_MAX);
    mx_log_end(&line);
    drain(&log);
    cr_expect_not_null(strstr(out, " level=error event=e zero=0 max=18446744073709551615\n"));
    mx_log_deinit(&log);
}

/* A flat object of strings and numbers, and nothing else. Returns the end, or NULL. */
static const char *take_string(const char *p) {
    if (*p++ != '"')
        return NULL;
    for (; *p != '"'; p++) {
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7F)
            return NULL;
        if (*p == '\\' && p[1] == 'u') {
            if (strspn(p + 2, "0123456789abcdef") < 4)
                return NULL;
            p += 5;
        } else if (*p == '\\' && *++p != '"' && *p != '\\') {
            return NULL;
        }
    }
    return p + 1;
}

static const char *take_object(const char *p) {
    if (*p++ != '{')
        return NULL;
    for (;; p++) {
        p = take_string(p);
        if (p == NULL || *p++ != ':')
            return NULL;
        size_t digits = strspn(p, "0123456789");
        p = digits > 0 ? p + digits : take_string(p);
        if (p == NULL || (*p != ',' && *p != '}'))
            return NULL;
        if (*p == '}')
            return p + 1;
    }
}

/* At every length at which the line may be cut, with several values. */
Test(log, long_json_lines_stay_json) {
    static char value[MX_LOG_LINE_MAX];
    struct mx_log log;
    cr_assert_eq(mx_log_init(&log, 8192, MX_SEVERITY_INFO, true), 0);
    for (unsigned fill = 0; fill < 3; fill++) {
        memset(value, "a\"\x01"[fill], sizeof value);
        for (size_t len = fill == 2 ? 250 : 850; len <= sizeof value; len++) {
            struct mx_log_line line;
            mx_log_begin(&line, &log, MX_SEVERITY_INFO, "long");
            mx_log_text(&line, "first", (struct mx_span){value, len});
            mx_log_u64(&line, "number", 1234567890);
            mx_log_str(&line, "last", "some more \"text\"");
            mx_log_end(&line);
            size_t got = drain(&log);
            cr_assert_leq(got, (size_t)MX_LOG_LINE_MAX);
            const char *end = take_object(out);
            cr_assert(end != NULL && strcmp(end, "\n") == 0, "fill %u, length %zu: ...%s", fill,
                      len, out + (got > 60 ? got - 60 : 0));
        }
    }
    mx_log_deinit(&log);
}

/* Lines are queued and drained at random: what comes out is what was not dropped, in order. */
Test(log, queue_against_a_model) {
    struct rng seed = {11};
    uint64_t dropped = 0, next_out = 0, next_in = 0;
    static uint64_t kept[4096];
    unsigned kept_count = 0;
    struct mx_log log;
    struct mx_log_line line;
    cr_assert_eq(mx_log_init(&log, 4096, MX_SEVERITY_INFO, false), 0);
    log.head = log.tail = UINT32_MAX - 1000; /* the counters wrap */
    for (unsigned step = 0; step < 20000; step++) {
        if (rng_take(&seed, 20) > 0) {
            mx_log_begin(&line, &log, MX_SEVERITY_INFO, "queue");
            mx_log_u64(&line, "n", next_in++);
            mx_log_text(&line, "pad", (struct mx_span){out, rng_take(&seed, 40)});
            uint32_t room = log.capacity - (log.tail - log.head);
            mx_log_end(&line);
            bool fits = line.len <= room;
            dropped += !fits;
            cr_assert_eq(log.dropped, dropped);
            if (fits)
                kept[kept_count++ % 4096] = next_in - 1;
            continue;
        }
        drain(&log);
        char *at = out;
        for (; (at = strstr(at, " n=")) != NULL; next_out++)
            cr_assert_eq(strtoull(at += 3, NULL, 10), kept[next_out % 4096]);
        cr_assert_eq(next_out, (uint64_t)kept_count);
        cr_assert_eq(log.head, log.tail);
    }
    cr_assert_gt(dropped, 0U);
    mx_log_deinit(&log);
}
