#include "proto/date.h"

#include <assert.h>

enum { DAYS_BEFORE_1970 = 719468, ERA_DAYS = 146097, DAY_S = 86400 };

/* Years are taken to begin on 1 March, so that the leap day is a year's last day; 400 such years
 * have always the same number of days. */
struct mx_date mx_date_of(unsigned days) {
    days += DAYS_BEFORE_1970;
    unsigned era = days / ERA_DAYS, day_of_era = days % ERA_DAYS;
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    /* 153 days for each five months from March on: 31, 30, 31, 30, 31. */
    unsigned month = (5 * day_of_year + 2) / 153;
    return (struct mx_date){
        .year = era * 400 + year_of_era + (month >= 10),
        .month = (month + 2) % 12,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
    };
}

unsigned mx_date_days(struct mx_date date) {
    unsigned month = (date.month + 10) % 12; /* from March on */
    unsigned year = date.year - (month >= 10);
    unsigned era = year / 400, year_of_era = year % 400;
    unsigned day_of_year = (153 * month + 2) / 5 + date.day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    assert(date.year >= 1970);
    return era * ERA_DAYS + day_of_era - DAYS_BEFORE_1970;
}

static char *put(char *at, unsigned number, unsigned digits) {
    for (unsigned i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + digits;
}

static char *put_char(char *at, char c) {
    *at = c;
    return at + 1;
}

void mx_moment_text(int64_t time_s, char text[MX_MOMENT_TEXT]) {
    assert(time_s >= 0 && time_s <= INT64_C(253402300799));
    struct mx_date date = mx_date_of((unsigned)(time_s / DAY_S));
    unsigned seconds = (unsigned)(time_s % DAY_S);
    char *at = put(text, date.year, 4);
    at = put(put_char(at, '-'), date.month + 1, 2);
    at = put(put_char(at, '-'), date.day, 2);
    at = put(put_char(at, 'T'), seconds / 3600, 2);
    at = put(put_char(at, ':'), seconds / 60 % 60, 2);
    at = put(put_char(at, ':'), seconds % 60, 2);
    put_char(at, 'Z');
}

/* Take so many digits; false: there are none, or the number is outside. */
static bool take(struct mx_span *text, unsigned digits, unsigned min, unsigned max,
                 unsigned *number) {
    *number = 0;
    if (text->len < digits)
        return false;
    for (unsigned i = 0; i < digits; i++) {
        unsigned digit = (unsigned char)text->ptr[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        *number = *number * 10 + digit;
    }
    *text = mx_span_skip(*text, digits);
    return *number >= min && *number <= max;
}

static bool take_char(struct mx_span *text, char c) {
    if (text->len == 0 || mx_ascii_upper(text->ptr[0]) != c)
        return false;
    *text = mx_span_skip(*text, 1);
    return true;
}

static bool take_date(struct mx_span *text, struct mx_date *date) {
    bool is_good = take(text, 4, 1970, 9999, &date->year) && take_char(text, '-') &&
                   take(text, 2, 1, 12, &date->month) && take_char(text, '-') &&
                   take(text, 2, 1, 31, &date->day);
    if (!is_good)
        return false;
    date->month--;                                         /* from 0 */
    struct mx_date same = mx_date_of(mx_date_days(*date)); /* no 31 April */
    return same.month == date->month && same.day == date->day;
}

static void skip_fraction(struct mx_span *text) {
    if (text->len < 2 || text->ptr[0] != '.' || text->ptr[1] < '0' || text->ptr[1] > '9')
        return;
    *text = mx_span_skip(*text, 1);
    while (text->len > 0 && text->ptr[0] >= '0' && text->ptr[0] <= '9')
        *text = mx_span_skip(*text, 1);
}

/* Seconds east of UTC. */
static bool take_offset(struct mx_span *text, int64_t *offset_s) {
    unsigned hours, minutes;
    *offset_s = 0;
    if (take_char(text, 'Z'))
        return true;
    bool is_west = text->len > 0 && text->ptr[0] == '-';
    if (!take_char(text, is_west ? '-' : '+') || !take(text, 2, 0, 23, &hours) ||
        !take_char(text, ':') || !take(text, 2, 0, 59, &minutes))
        return false;
    *offset_s = (is_west ? -1 : 1) * (int64_t)(hours * 3600 + minutes * 60);
    return true;
}

int mx_moment_parse(struct mx_span text, int64_t *time_s) {
    struct mx_date date;
    unsigned hour, minute, second;
    int64_t offset_s;
    bool is_good = take_date(&text, &date) && take_char(&text, 'T') &&
                   take(&text, 2, 0, 23, &hour) && take_char(&text, ':') &&
                   take(&text, 2, 0, 59, &minute) && take_char(&text, ':') &&
                   take(&text, 2, 0, 60, &second);
    if (!is_good)
        return MX_ESYNTAX;
    skip_fraction(&text);
    if (!take_offset(&text, &offset_s) || text.len > 0)
        return MX_ESYNTAX;
    int64_t of_day = (int64_t)hour * 3600 + (int64_t)minute * 60 + (int64_t)second;
    *time_s = (int64_t)mx_date_days(date) * DAY_S + of_day - offset_s;
    return 0;
}
