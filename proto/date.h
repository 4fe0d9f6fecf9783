/* date.h - the Gregorian calendar, and moments as RFC 3339 writes them.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

struct mx_date {
    unsigned year, month, day; /* month 0..11, day 1..31 */
};

/* The date of a day number, 0 = 1970-01-01. */
struct mx_date mx_date_of(unsigned days);

/* The day number of a date from 1970 on; days beyond a month's last count into the next one. */
unsigned mx_date_days(struct mx_date date);

enum { MX_MOMENT_TEXT = 20 }; /* octets of "2026-11-25T10:00:00Z" */

/* Seconds since the epoch, 0..253402300799, in UTC. */
void mx_moment_text(int64_t time_s, char text[MX_MOMENT_TEXT]);

/* "2026-11-25T10:00:00Z", with a fraction (dropped) and an offset instead of Z too; years 1970 to
 * 9999. 0 and *time_s, or MX_ESYNTAX. RFC 3339 5.6. */
MX_MUST_CHECK int mx_moment_parse(struct mx_span text, int64_t *time_s);
