/* endpoint_test.c - where services listen, as operators write it. */
#include "proto/endpoint.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

Test(endpoint, texts) {
    static const struct {
        const char *text;
        int result;
        const char *read; /* back again */
    } rows[] = {
        {"127.0.0.1:11332",       0,              "127.0.0.1 11332"},
        {"localhost:1",           0,              "127.0.0.1 1"    },
        {"inet:192.0.2.1:8891",   0,              "192.0.2.1 8891" },
        {"[::1]:65535",           0,              "::1 65535"      },
        {"[2001:db8::1]:8",       0,              "2001:db8::1 8"  },
        {"unix:/run/a.sock",      0,              "/run/a.sock"    },
        {"local:/run/a:b",        0,              "/run/a:b"       },
        {"UNIX:/x",               0,              "/x"             },
        {"unix:run/a.sock",       MX_ESYNTAX,     ""               },
        {"unix:",                 MX_ESYNTAX,     ""               },
        {"127.0.0.1",             -EDESTADDRREQ,  ""               },
        {"127.0.0.1:",            -EDESTADDRREQ,  ""               },
        {"[::1]",                 -EDESTADDRREQ,  ""               },
        {"::1:25",                MX_ESYNTAX,     ""               },
        {"127.0.0.1:0",           -ERANGE,        ""               },
        {"127.0.0.1:65536",       -ERANGE,        ""               },
        {"127.0.0.1:99999999999", -ERANGE,        ""               },
        {"127.0.0.1:2x",          MX_ESYNTAX,     ""               },
        {"rspamd:11332",          -EADDRNOTAVAIL, ""               },
        {"256.0.0.1:25",          -EADDRNOTAVAIL, ""               },
        {":25",                   MX_ESYNTAX,     ""               },
        {"a b:25",                MX_ESYNTAX,     ""               },
        {"",                      MX_ESYNTAX,     ""               },
        {"inet:",                 MX_ESYNTAX,     ""               },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_endpoint endpoint;
        char ip[MX_IP_TEXT_MAX], read[256] = "";
        int err = mx_endpoint_parse(mx_span_of(rows[i].text), &endpoint);
        cr_expect_eq(err, rows[i].result, "%s: %d", rows[i].text, err);
        cr_expect_gt(strlen(mx_endpoint_error(err)), 0U);
        if (err < 0)
            continue;
        mx_ip_text(&endpoint.ip, ip);
        if (endpoint.ip.family != 0)
            snprintf(read, sizeof read, "%s %u", ip, endpoint.port);
        else
            snprintf(read, sizeof read, "%s", endpoint.path);
        cr_expect_str_eq(read, rows[i].read);
    }
}

Test(endpoint, longest_path) {
    struct mx_endpoint endpoint;
    char text[MX_ENDPOINT_PATH_MAX + 7];
    memset(text, 'x', sizeof text);
    memcpy(text, "unix:/", 6);
    cr_expect_eq(mx_endpoint_parse((struct mx_span){text, sizeof text - 2}, &endpoint), 0);
    cr_expect_eq(strlen(endpoint.path), (size_t)MX_ENDPOINT_PATH_MAX);
    cr_expect_eq(mx_endpoint_parse((struct mx_span){text, sizeof text - 1}, &endpoint),
                 -ENAMETOOLONG);
    text[20] = '\0';
    cr_expect_eq(mx_endpoint_parse((struct mx_span){text, 60}, &endpoint), MX_ESYNTAX);
}
