/* report.h - adding to a mx_conf_report. Private to config/; print and free are in conf.h. */
#pragma once
#include "config/conf.h"

enum {
    MX_REPORT_ROWS_MAX = 1000
}; /* problems kept; errors beyond it are still counted, and take
      the places of warnings */

/* Add one problem, keeping the rows sorted by position. line and column are 1-based. An error is
 * counted even when it cannot be kept (too many, out of memory). */
void mx_report_add(struct mx_conf_report *self, uint32_t line, uint32_t column, bool is_warning,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
