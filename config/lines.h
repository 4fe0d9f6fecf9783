/* lines.h - the text of a large file of lines (users, aliases) in memory of its own, read once.
 *
 * "#" in front makes a line a comment. The lines are changed in place by those who put the names in
 * them into the form they are looked up by. Private to config/.
 */
#pragma once
#include "config/report.h"

#include <sys/types.h>

/* Largest file: 2 GiB. */
#define MX_LINES_OCTETS_MAX (INT64_C(2) << 30)

/* Of one file so many errors are said, then reading it ends. */
enum { MX_LINES_ERRORS_MAX = 100 };

struct mx_lines {
    char *text;
    size_t len, mapped;
};

/* Read a file. 0 and *mode; -errno: it cannot be read (-EINVAL: no regular file, -EFBIG: too large,
 * -ESTALE: it grew while it was read). Free with mx_lines_free. */
MX_MUST_CHECK int mx_lines_load(struct mx_lines *self, const char *path, mode_t *mode);

/* The same of text in memory. 0 or -ENOMEM. */
MX_MUST_CHECK int mx_lines_copy(struct mx_lines *self, struct mx_span text);

/* {0} is allowed. */
void mx_lines_free(struct mx_lines *self);

/* How many there are, the last one without an end included; at least 1. */
uint32_t mx_lines_count(const struct mx_lines *self);

/* The rest of a line that begins at an offset, without its end. */
struct mx_span mx_lines_at(const struct mx_lines *self, size_t at);

/* Number of the line that holds an offset, 1-based. Reads all before it: only for messages. */
uint32_t mx_lines_number(const struct mx_lines *self, size_t at);

/* Put an address into the form it is looked up by: local@domain in lower case, without the brackets
 * of a literal; as MAIL and RCPT give it but for the case. `to` has room for text. Returns the
 * length; 0: it is no address. */
size_t mx_lines_address(struct mx_span text, char *to);

/* Reading: what is complained of, and where. */
struct mx_lines_reader {
    struct mx_conf_report *report;
    uint32_t file;   /* of the report: mx_report_file */
    uint32_t line;   /* number, 1-based */
    uint32_t errors; /* of this file */
};

/* A problem of the current line, at an octet of it (0-based). */
__attribute__((format(printf, 4, 5))) void mx_lines_complain(struct mx_lines_reader *self,
                                                             size_t column, bool is_warning,
                                                             const char *format, ...);

/* Call `read` for each line that is neither empty nor a comment, with its offset, until there are
 * too many errors. 0 or MX_ECONFIG. */
typedef void mx_lines_fn(void *context, size_t at, struct mx_span line);
MX_MUST_CHECK int mx_lines_each(const struct mx_lines *self, struct mx_lines_reader *reader,
                                mx_lines_fn *read, void *context);
