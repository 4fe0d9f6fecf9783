/* conf_redis_test.c - the address of a Redis server, as it may be written. */
#include "config/redis.h"

#include <criterion/criterion.h>

Test(conf_redis, addresses) {
    static const struct {
        const char *text, *ip; /* NULL: none */
        uint16_t port;
    } rows[] = {
        {"127.0.0.1",              "127.0.0.1",   6379 },
        {"127.0.0.1:1",            "127.0.0.1",   1    },
        {"127.0.0.1:65535",        "127.0.0.1",   65535},
        {"::1",                    "::1",         6379 },
        {"[::1]",                  "::1",         6379 },
        {"[2001:db8::7]:6380",     "2001:db8::7", 6380 },
        {"",                       NULL,          0    },
        {":6379",                  NULL,          0    },
        {"127.0.0.1:",             NULL,          0    },
        {"127.0.0.1:0",            NULL,          0    },
        {"127.0.0.1:65536",        NULL,          0    },
        {"127.0.0.1:100000",       NULL,          0    },
        {"127.0.0.1:1x",           NULL,          0    },
        {"127.0.0.1.5",            NULL,          0    },
        {"redis.example.com",      NULL,          0    },
        {"redis.example.com:6379", NULL,          0    },
        {"[::1",                   NULL,          0    },
        {"[::1]x",                 NULL,          0    },
        {"[::1]6379",              NULL,          0    },
        {"[",                      NULL,          0    },
        {"[]:1",                   NULL,          0    },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[MX_IP_TEXT_MAX];
        struct mx_ip ip;
        uint16_t port = 0;
        bool is_address = mx_conf_redis_address(rows[i].text, &ip, &port);
        cr_assert_eq(is_address, rows[i].ip != NULL, "%s", rows[i].text);
        if (!is_address)
            continue;
        struct mx_span got = {text, mx_ip_text(&ip, text)};
        cr_expect(mx_span_equal(got, mx_span_of(rows[i].ip)), "%s", rows[i].text);
        cr_expect_eq(port, rows[i].port, "%s", rows[i].text);
    }
}
