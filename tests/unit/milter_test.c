/* milter_test.c - packets of mail filters: what is written, and what is read, also when it is cut
 * at every octet or has every octet changed, behind a page that nobody can touch.
 */
#include "proto/milter.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

#define ROWS(table)   (sizeof(table) / sizeof *(table))
#define TEXT(literal) ((struct mx_span){(literal), sizeof(literal) - 1})

static void check(const struct mx_milter_out *out, struct mx_span wanted, const char *what) {
    cr_expect(!out->is_full, "%s", what);
    cr_expect(mx_span_equal((struct mx_span){out->ptr, out->len}, wanted), "%s: %u octets", what,
              out->len);
}

Test(milter, written) {
    char room[256];
    struct mx_milter_out out = {.ptr = room, .cap = sizeof room};
    const struct mx_milter_options options = {6, 0x11, 0x1ff7ff};
    mx_milter_put_options(&out, &options);
    check(&out, TEXT("\0\0\0\x0dO\0\0\0\6\0\0\0\x11\0\x1f\xf7\xff"), "options");
    out.len = 0;
    mx_milter_put(&out, MX_MILTER_END_OF_MESSAGE);
    check(&out, TEXT("\0\0\0\1E"), "end");
    out.len = 0;
    const struct mx_span texts[] = {TEXT("<a@b>"), TEXT("SIZE=1\0X")};
    mx_milter_put_texts(&out, MX_MILTER_MAIL, texts, 2);
    check(&out, TEXT("\0\0\0\x0eM<a@b>\0SIZE=1\0"), "texts");
    out.len = 0;
    const struct mx_milter_macro macros[] = {
        {"j",   TEXT("mx")},
        {"{x}", TEXT("")  },
        {"i",   TEXT("1") }
    };
    mx_milter_put_macros(&out, MX_MILTER_CONNECT, macros, 3);
    check(&out,
          TEXT("\0\0\0\x0b"
               "DCj\0mx\0i\0001\0"),
          "macros");
    out.len = 0;
    mx_milter_put_octets(&out, MX_MILTER_BODY, TEXT("a\0b"));
    check(&out, TEXT("\0\0\0\4Ba\0b"), "octets");
}

Test(milter, clients) {
    static const struct {
        const char *ip;
        struct mx_span wanted;
    } rows[] = {
        {"192.0.2.1",   TEXT("\0\0\0\x10"
                           "Ch\0004\0\x19"
                           "192.0.2.1\0")      },
        {"2001:db8::1", TEXT("\0\0\0\x12"
                             "Ch\0006\0\x19"
                             "2001:db8::1\0")},
        {"",            TEXT("\0\0\0\4Ch\0U")                       },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char room[64];
        struct mx_milter_out out = {.ptr = room, .cap = sizeof room};
        struct mx_ip ip = {0};
        bool is_ip = mx_ip_parse(mx_span_of(rows[i].ip), &ip);
        cr_expect_eq(is_ip, rows[i].ip[0] != '\0');
        mx_milter_put_connect(&out, TEXT("h"), &ip, 25);
        check(&out, rows[i].wanted, rows[i].ip);
    }
}

/* Nothing is written in part, and nothing behind what did not fit. */
Test(milter, no_room) {
    const struct mx_span texts[] = {TEXT("abc"), TEXT("")};
    for (uint32_t cap = 0; cap < 10; cap++) {
        struct guard guard = guard_map();
        struct mx_milter_out out = {.ptr = guard.end - cap, .cap = cap};
        mx_milter_put_texts(&out, MX_MILTER_HEADER, texts, 2);
        cr_expect(out.is_full && out.len == 0, "%u", cap);
        mx_milter_put(&out, MX_MILTER_QUIT);
        cr_expect_eq(out.len, 0U, "%u", cap);
    }
    struct guard guard = guard_map();
    struct mx_milter_out out = {.ptr = guard.end - 10, .cap = 10};
    mx_milter_put_texts(&out, MX_MILTER_HEADER, texts, 2);
    check(&out, TEXT("\0\0\0\6Labc\0\0"), "just enough");
}

Test(milter, who_wants_what) {
    static const struct {
        uint32_t protocol;
        enum mx_milter_command command;
        bool is_wanted, is_answered;
    } rows[] = {
        {0,                             MX_MILTER_CONNECT,        true,  true },
        {MX_MILTER_NO_CONNECT,          MX_MILTER_CONNECT,        false, true },
        {MX_MILTER_QUIET_CONNECT,       MX_MILTER_CONNECT,        true,  false},
        {MX_MILTER_NO_HELO,             MX_MILTER_HELO,           false, true },
        {MX_MILTER_QUIET_MAIL,          MX_MILTER_MAIL,           true,  false},
        {MX_MILTER_QUIET_RCPT,          MX_MILTER_RCPT,           true,  false},
        {MX_MILTER_NO_DATA,             MX_MILTER_DATA,           false, true },
        {MX_MILTER_NO_HEADERS,          MX_MILTER_HEADER,         false, true },
        {MX_MILTER_QUIET_END_OF_HEADER, MX_MILTER_END_OF_HEADER,  true,  false},
        {MX_MILTER_NO_BODY,             MX_MILTER_BODY,           false, true },
        {UINT32_MAX,                    MX_MILTER_END_OF_MESSAGE, true,  true },
        {0,                             MX_MILTER_MACROS,         true,  false},
        {0,                             MX_MILTER_ABORT,          true,  false},
        {UINT32_MAX,                    MX_MILTER_NEGOTIATE,      true,  true },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        cr_expect_eq(mx_milter_is_wanted(rows[i].protocol, rows[i].command), rows[i].is_wanted,
                     "%zu", i);
        cr_expect_eq(mx_milter_is_answered(rows[i].protocol, rows[i].command), rows[i].is_answered,
                     "%zu", i);
    }
}

Test(milter, options_read) {
    static const struct {
        const char *name;
        char command;
        struct mx_span data;
        int result;
    } rows[] = {
        {"good",        'O', TEXT("\0\0\0\6\0\0\0\x11\0\0\0\1"),              0         },
        {"old",         'O', TEXT("\0\0\0\2\0\0\0\x11\0\0\0\1"),              0         },
        {"with macros", 'O', TEXT("\0\0\0\6\0\0\0\x11\0\0\0\1\0\0\0\0i j\0"), 0         },
        {"too old",     'O', TEXT("\0\0\0\1\0\0\0\x11\0\0\0\1"),              MX_ESYNTAX},
        {"too new",     'O', TEXT("\0\0\0\7\0\0\0\x11\0\0\0\1"),              MX_ESYNTAX},
        {"short",       'O', TEXT("\0\0\0\6\0\0\0\x11\0\0\0"),                MX_ESYNTAX},
        {"another",     'c', TEXT("\0\0\0\6\0\0\0\x11\0\0\0\1"),              MX_ESYNTAX},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_milter_options options;
        const struct mx_milter_packet packet = {rows[i].command, rows[i].data};
        cr_expect_eq(mx_milter_read_options(&packet, &options), rows[i].result, "%s", rows[i].name);
        if (rows[i].result == 0)
            cr_expect(options.actions == 0x11 && options.protocol == 1, "%s", rows[i].name);
    }
}

static const struct {
    struct mx_span packet;
    int result;
    enum mx_milter_reply_kind kind;
    uint32_t index;
    const char *name, *value;
} replies[] = {
    {TEXT("\0\0\0\1c"),                  0,          MX_MILTER_REPLY_CONTINUE,   0, "",  ""  },
    {TEXT("\0\0\0\1a"),                  0,          MX_MILTER_REPLY_ACCEPT,     0, "",  ""  },
    {TEXT("\0\0\0\1r"),                  0,          MX_MILTER_REPLY_REJECT,     0, "",  ""  },
    {TEXT("\0\0\0\1t"),                  0,          MX_MILTER_REPLY_TEMPFAIL,   0, "",  ""  },
    {TEXT("\0\0\0\1f"),                  0,          MX_MILTER_REPLY_TEMPFAIL,   0, "",  ""  },
    {TEXT("\0\0\0\1d"),                  0,          MX_MILTER_REPLY_DISCARD,    0, "",  ""  },
    {TEXT("\0\0\0\1s"),                  0,          MX_MILTER_REPLY_SKIP,       0, "",  ""  },
    {TEXT("\0\0\0\1p"),                  0,          MX_MILTER_REPLY_PROGRESS,   0, "",  ""  },
    {TEXT("\0\0\0\1"
          "4"),
     0,                                              MX_MILTER_REPLY_SHUTDOWN,   0, "",  ""  },
    {TEXT("\0\0\0\5hA\0b\0"),            0,          MX_MILTER_REPLY_ADD,        0, "A", "b" },
    {TEXT("\0\0\0\4hA\0\0"),             0,          MX_MILTER_REPLY_ADD,        0, "A", ""  },
    {TEXT("\0\0\0\x0ai\0\0\0\1A\0bc\0"), 0,          MX_MILTER_REPLY_INSERT,     1, "A", "bc"},
    {TEXT("\0\0\0\x08m\0\0\0\2A\0\0"),   0,          MX_MILTER_REPLY_CHANGE,     2, "A", ""  },
    {TEXT("\0\0\0\4e<>\0"),              0,          MX_MILTER_REPLY_UNOFFERED,  0, "",  ""  },
    {TEXT("\0\0\0\3bxy"),                0,          MX_MILTER_REPLY_UNOFFERED,  0, "",  ""  },
    {TEXT("\0\0\0\3q!\0"),               0,          MX_MILTER_REPLY_QUARANTINE, 0, "",  ""  },
    {TEXT("\0\0\0\1z"),                  MX_ESYNTAX, MX_MILTER_REPLY_CONTINUE,   0, "",  ""  },
    {TEXT("\0\0\0\1h"),                  MX_ESYNTAX, MX_MILTER_REPLY_ADD,        0, "",  ""  },
    {TEXT("\0\0\0\4hA\0b"),              MX_ESYNTAX, MX_MILTER_REPLY_ADD,        0, "",  ""  },
    {TEXT("\0\0\0\4h\0b\0"),             MX_ESYNTAX, MX_MILTER_REPLY_ADD,        0, "",  ""  },
    {TEXT("\0\0\0\6hA\0b\0c"),           MX_ESYNTAX, MX_MILTER_REPLY_ADD,        0, "",  ""  },
    {TEXT("\0\0\0\4i\0\0\0"),            MX_ESYNTAX, MX_MILTER_REPLY_INSERT,     0, "",  ""  },
    {TEXT("\0\0\0\4y550"),               MX_ESYNTAX, MX_MILTER_REPLY_TEXT,       0, "",  ""  },
};

Test(milter, replies_read) {
    struct guard guard = guard_map();
    for (size_t i = 0; i < ROWS(replies); i++) {
        struct mx_milter_packet packet;
        struct mx_milter_reply reply;
        struct mx_span in = guard_put(&guard, replies[i].packet, true);
        cr_assert_eq(mx_milter_take(&in, &packet), 0, "%zu", i);
        cr_expect_eq(in.len, 0U);
        cr_expect_eq(mx_milter_read_reply(&packet, &reply), replies[i].result, "%zu", i);
        if (replies[i].result < 0)
            continue;
        cr_expect_eq(reply.kind, replies[i].kind, "%zu", i);
        cr_expect_eq(reply.index, replies[i].index, "%zu", i);
        cr_expect(mx_span_equal(reply.name, mx_span_of(replies[i].name)), "%zu", i);
        cr_expect(mx_span_equal(reply.value, mx_span_of(replies[i].value)), "%zu", i);
    }
}

/* Cut anywhere it is only begun; whatever an octet is changed to, nothing is read behind it. */
Test(milter, cut_and_changed) {
    struct guard guard = guard_map();
    for (size_t i = 0; i < ROWS(replies); i++) {
        struct mx_milter_packet packet;
        struct mx_milter_reply reply;
        for (size_t len = 0; len < replies[i].packet.len; len++) {
            struct mx_span in =
                guard_put(&guard, (struct mx_span){replies[i].packet.ptr, len}, true);
            cr_expect_eq(mx_milter_take(&in, &packet), MX_EPARTIAL, "%zu: %zu", i, len);
            cr_expect_eq(in.len, len);
        }
        for (size_t at = 0; at < replies[i].packet.len; at++) {
            for (unsigned octet = 0; octet < 256; octet++) {
                struct mx_span in = guard_put(&guard, replies[i].packet, true);
                guard.end[(ptrdiff_t)at - (ptrdiff_t)in.len] = (char)octet;
                if (mx_milter_take(&in, &packet) == 0 && mx_milter_read_reply(&packet, &reply) == 0)
                    cr_expect(reply.kind <= MX_MILTER_REPLY_UNOFFERED);
            }
        }
    }
}

Test(milter, lengths) {
    struct mx_milter_packet packet;
    struct mx_span none = TEXT("\0\0\0\0c"), huge = TEXT("\0\2\0\1c"), most = TEXT("\0\2\0\0c");
    cr_expect_eq(mx_milter_take(&none, &packet), MX_ESYNTAX);
    cr_expect_eq(mx_milter_take(&huge, &packet), MX_ESYNTAX);
    cr_expect_eq(mx_milter_take(&most, &packet), MX_EPARTIAL);
}

Test(milter, reply_lines) {
    static const struct {
        const char *text, *line;
    } rows[] = {
        {"550 5.7.1 no",                              "550 5.7.1 no"                    },
        {"451 later",                                 "451 later"                       },
        {"550",                                       "550"                             },
        {"421 4.7.0 go",                              "421 4.7.0 go"                    },
        {"550 5.7.1 100%% sure\r\n",                  "550 5.7.1 100% sure"             },
        {"550 5% 5%",                                 "550 5% 5%"                       },
        {"550-5.7.1 one\r\n550-5.7.1 two\n550 three", "550 5.7.1 one two three"         },
        {"550 5.7.1 a\tb\x7f\xc3\xa4",                "550 5.7.1 a?b???"                },
        {"550-a\r\n451 b",                            ""                                },
        {"250 ok",                                    ""                                },
        {"55",                                        ""                                },
        {"5x0 no",                                    ""                                },
        {"550no",                                     ""                                },
        {"550 a\r\nQUIT",                             ""                                },
        {"",                                          ""                                },
        {"550 5.7.1 0123456789012345678901234567890", "550 5.7.1 0123456789012345678901"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char line[32];
        size_t len = mx_milter_reply_line(mx_span_of(rows[i].text), line, sizeof line);
        cr_expect(mx_span_equal((struct mx_span){line, len}, mx_span_of(rows[i].line)),
                  "%s: '%.*s'", rows[i].text, (int)len, line);
    }
}
