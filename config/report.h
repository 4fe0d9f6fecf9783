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

/* A problem in another file than the configuration: mx_report_file names it (the path is copied),
 * mx_report_add_in adds to it. Its rows come behind those of the configuration. */
uint32_t mx_report_file(struct mx_conf_report *self, const char *path);
void mx_report_add_in(struct mx_conf_report *self, uint32_t file, uint32_t line, uint32_t column,
                      bool is_warning, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
