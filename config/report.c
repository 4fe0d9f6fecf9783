#include "config/report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

/* Take the last warning out; false: there is none. */
static bool drop_warning(struct mx_conf_report *self) {
    for (uint32_t i = self->count; i > 0; i--) {
        struct mx_conf_problem *row = &self->rows[i - 1];
        if (!row->is_warning)
            continue;
        memmove(row, row + 1, (self->count - i) * sizeof *row);
        self->count--;
        self->warning_count--;
        return true;
    }
    return false;
}

static bool make_room(struct mx_conf_report *self, bool is_warning) {
    if (self->count < self->capacity)
        return true;
    if (self->count >= MX_REPORT_ROWS_MAX)
        return !is_warning && self->warning_count > 0 && drop_warning(self);
    uint32_t wanted = self->capacity ? self->capacity * 2 : 16;
    struct mx_conf_problem *rows = realloc(self->rows, wanted * sizeof *rows);
    if (!rows)
        return false;
    self->rows = rows;
    self->capacity = wanted < MX_REPORT_ROWS_MAX ? wanted : MX_REPORT_ROWS_MAX;
    return true;
}

static bool is_behind(const struct mx_conf_problem *row, uint32_t line, uint32_t column) {
    return row->line != line ? row->line > line : row->column > column;
}

void mx_report_add(struct mx_conf_report *self, uint32_t line, uint32_t column, bool is_warning,
                   const char *format, ...) {
    va_list args;
    assert(line > 0 && column > 0);
    self->error_count += !is_warning;
    if (!make_room(self, is_warning))
        return;
    uint32_t at = self->count;
    while (at > 0 && is_behind(&self->rows[at - 1], line, column))
        at--;
    struct mx_conf_problem *row = &self->rows[at];
    memmove(row + 1, row, (self->count - at) * sizeof *row);
    self->count++;
    self->warning_count += is_warning;
    row->line = line;
    row->column = column;
    row->is_warning = is_warning;
    va_start(args, format);
    if (vsnprintf(row->text, sizeof row->text, format, args) < 0)
        row->text[0] = '\0';
    va_end(args);
}

void mx_conf_report_print(const struct mx_conf_report *report, const char *path, FILE *stream) {
    uint32_t shown = 0;
    for (uint32_t i = 0; i < report->count; i++) {
        const struct mx_conf_problem *row = &report->rows[i];
        shown += !row->is_warning;
        fprintf(stream, "%s:%u:%u: %s%s\n", path, row->line, row->column,
                row->is_warning ? "warning: " : "", row->text);
    }
    if (report->error_count > shown)
        fprintf(stream, "%s: and %u more errors\n", path, report->error_count - shown);
}

void mx_conf_report_free(struct mx_conf_report *report) {
    free(report->rows);
    *report = (struct mx_conf_report){0};
}
