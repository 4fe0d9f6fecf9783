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

static bool is_behind(const struct mx_conf_problem *row, const struct mx_conf_problem *other) {
    if (row->file != other->file)
        return row->file > other->file;
    return row->line != other->line ? row->line > other->line : row->column > other->column;
}

static void add(struct mx_conf_report *self, const struct mx_conf_problem *problem) {
    assert(problem->line > 0 && problem->column > 0);
    self->error_count += !problem->is_warning;
    if (!make_room(self, problem->is_warning))
        return;
    uint32_t at = self->count;
    while (at > 0 && is_behind(&self->rows[at - 1], problem))
        at--;
    struct mx_conf_problem *row = &self->rows[at];
    memmove(row + 1, row, (self->count - at) * sizeof *row);
    self->count++;
    self->warning_count += problem->is_warning;
    *row = *problem;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): vsnprintf writes to the text */
static void put_text(struct mx_conf_problem *problem, const char *format, va_list args) {
    if (vsnprintf(problem->text, sizeof problem->text, format, args) < 0)
        problem->text[0] = '\0';
}

void mx_report_add(struct mx_conf_report *self, uint32_t line, uint32_t column, bool is_warning,
                   const char *format, ...) {
    struct mx_conf_problem problem = {.line = line, .column = column, .is_warning = is_warning};
    va_list args;
    va_start(args, format);
    put_text(&problem, format, args);
    va_end(args);
    add(self, &problem);
}

void mx_report_add_in(struct mx_conf_report *self, uint32_t file, uint32_t line, uint32_t column,
                      bool is_warning, const char *format, ...) {
    struct mx_conf_problem problem = {
        .file = file, .line = line, .column = column, .is_warning = is_warning};
    va_list args;
    assert(file <= self->file_count);
    va_start(args, format);
    put_text(&problem, format, args);
    va_end(args);
    add(self, &problem);
}

uint32_t mx_report_file(struct mx_conf_report *self, const char *path) {
    for (uint32_t i = 0; i < self->file_count; i++) {
        if (strcmp(self->files[i], path) == 0)
            return i + 1;
    }
    char *copy = self->file_count < MX_CONF_FILES_MAX ? strdup(path) : NULL;
    if (!copy)
        return 0; /* out of memory: the problems stand under the configuration's name */
    self->files[self->file_count++] = copy;
    return self->file_count;
}

const char *mx_conf_report_file(const struct mx_conf_report *report,
                                const struct mx_conf_problem *row, const char *path) {
    return row->file == 0 ? path : report->files[row->file - 1];
}

void mx_conf_report_print(const struct mx_conf_report *report, const char *path, FILE *stream) {
    uint32_t shown = 0;
    for (uint32_t i = 0; i < report->count; i++) {
        const struct mx_conf_problem *row = &report->rows[i];
        shown += !row->is_warning;
        fprintf(stream, "%s:%u:%u: %s%s\n", mx_conf_report_file(report, row, path), row->line,
                row->column, row->is_warning ? "warning: " : "", row->text);
    }
    if (report->error_count > shown)
        fprintf(stream, "%s: and %u more errors\n", path, report->error_count - shown);
}

void mx_conf_report_free(struct mx_conf_report *report) {
    for (uint32_t i = 0; i < report->file_count; i++)
        free(report->files[i]);
    free(report->rows);
    *report = (struct mx_conf_report){0};
}
