/* eml.h - messages from a folder or an mbox, made ready to be sent. */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum { MX_EML_COUNT_MAX = 1000000 };
#define MX_EML_OCTETS_MAX ((uint64_t)1 << 30) /* of one; all of them: four times as much */

struct mx_eml {
    struct mx_span text;     /* as it is sent, without the final dot; line ends are CRLF */
    struct mx_span headers;  /* without the doubled dots, and without the empty line */
    uint64_t content_octets; /* without the doubled dots */
    uint32_t crc;            /* of its body without stuffing, as mail.h says */
};

/* Load the files *.eml of a folder, in the order of their names, or one file of any name.
 * is_stuffed: a dot at the begin of a line is doubled. Returns how many, 1..MX_EML_COUNT_MAX, or
 * -errno (-ENOENT: none is there, -EFBIG: a bound). *emls and the texts are the caller's;
 * mx_eml_free. */
MX_MUST_CHECK int mx_eml_new(const char *path, bool is_stuffed, struct mx_eml **emls);

/* The same with the messages of an mbox, in its order; quoted lines are unquoted as of mboxrd.
 * Also MX_ESYNTAX: this is no mbox. */
MX_MUST_CHECK int mx_eml_new_mbox(const char *path, bool is_stuffed, struct mx_eml **emls);

/* NULL is ignored. */
void mx_eml_free(struct mx_eml *emls, int count);
