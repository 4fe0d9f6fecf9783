/* tls_files.h - the files of a server's tls: section, read into memory. Main thread. */
#pragma once
#include "engine/tls_slot.h"

/* Read them and make a context; *not_after_s: when the first certificate ends. What is odd but
 * legal is told as a warning. NULL: problems, told. */
struct mx_tls_context *mx_tls_files_load(const struct mx_tls_slot *slot, int64_t now_s,
                                         int64_t *not_after_s, mx_tls_slot_tell_fn *tell,
                                         void *context);

/* How they look now; a file that is missing counts as a change, too. */
struct mx_tls_print mx_tls_files_print(const struct mx_tls_slot *slot);

/* engine.tlsTicketKeyFile; *text NULL: there is none. 0, -errno, or MX_ELIMIT: it has fewer than 32
 * octets. */
MX_MUST_CHECK int mx_tls_files_ticket_secret(const struct mx_conf *conf, char **text, size_t *len);

/* A file of at most max octets, with a NUL behind it; free with mx_tls_files_free. 0 or -errno. */
MX_MUST_CHECK int mx_tls_files_read(const char *path, size_t max, char **text, size_t *len);
/* Wipes it first. NULL is allowed. */
void mx_tls_files_free(char *text, size_t len);
