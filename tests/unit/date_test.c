/* date_test.c - the calendar forth and back, and moments as RFC 3339 writes them. */
#include "proto/date.h"

#include <criterion/criterion.h>
#include <time.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

/* Against the C library, day by day up to the year 2400. */
Test(date, every_day) {
    for (unsigned day = 0; day < 157054; day++) {
        time_t time_s = (time_t)day * 86400;
        struct tm tm;
        cr_assert_not_null(gmtime_r(&time_s, &tm));
        struct mx_date date = mx_date_of(day);
        cr_assert(date.year == (unsigned)tm.tm_year + 1900 && date.month == (unsigned)tm.tm_mon &&
                      date.day == (unsigned)tm.tm_mday,
                  "day %u", day);
        cr_assert_eq(mx_date_days(date), day);
    }
}

Test(date, moments) {
    static const struct {
        const char *text;
        int err;
        int64_t time_s;
    } rows[] = {
        {"1970-01-01T00:00:00Z",        0,          0           },
        {"9999-12-31T23:59:59Z",        0,          253402300799},
        {"2026-11-25t10:00:00z",        0,          1795600800  },
        {"2026-11-25T10:00:00.123456Z", 0,          1795600800  },
        {"2026-11-25T12:00:00+02:00",   0,          1795600800  },
        {"2026-11-25T04:30:00-05:30",   0,          1795600800  },
        {"2024-02-29T00:00:00Z",        0,          1709164800  },
        {"2026-02-29T00:00:00Z",        MX_ESYNTAX, 0           },
        {"2026-04-31T00:00:00Z",        MX_ESYNTAX, 0           },
        {"1969-12-31T23:59:59Z",        MX_ESYNTAX, 0           },
        {"2026-13-01T00:00:00Z",        MX_ESYNTAX, 0           },
        {"2026-11-25T24:00:00Z",        MX_ESYNTAX, 0           },
        {"2026-11-25T10:60:00Z",        MX_ESYNTAX, 0           },
        {"2026-11-25T10:00:00",         MX_ESYNTAX, 0           },
        {"2026-11-25T10:00:00.Z",       MX_ESYNTAX, 0           },
        {"2026-11-25T10:00:00+2:00",    MX_ESYNTAX, 0           },
        {"2026-11-25T10:00:00Zx",       MX_ESYNTAX, 0           },
        {"2026-11-25 10:00:00Z",        MX_ESYNTAX, 0           },
        {"",                            MX_ESYNTAX, 0           },
    };
    char text[MX_MOMENT_TEXT];
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t time_s = 0;
        cr_expect_eq(mx_moment_parse(mx_span_of(rows[i].text), &time_s), rows[i].err, "%s",
                     rows[i].text);
        cr_expect_eq(time_s, rows[i].time_s, "%s: %ld", rows[i].text, (long)time_s);
    }
    mx_moment_text(1795600800, text);
    cr_expect(memcmp(text, "2026-11-25T10:00:00Z", sizeof text) == 0);
}
