/* store_impl.h - what store.c, list.c, recover.c and keeper.c share. Nobody else includes this. */
#pragma once
#include "engine/spool/store.h"

/* Report with a formatted text; path is relative to the directory dir. */
__attribute__((format(printf, 6, 7))) void mx_spool_say(struct mx_spool_store *self,
                                                        enum mx_log_severity severity,
                                                        const char *event, uint32_t dir,
                                                        const char *path, const char *text, ...);

/* Names, headers and footers of all segments into self->segments; sorted. Needs the UUID. -errno
 * (list.c). */
MX_MUST_CHECK int mx_spool_list_new(struct mx_spool_store *self);
/* By core and epoch, again (list.c). */
void mx_spool_list_sort(struct mx_spool_store *self);
/* The UUID of the first valid header, for a spool whose meta is lost. -ENOENT: there is no segment
 * that has one; -ENODATA: there are no segments at all (list.c). */
MX_MUST_CHECK int mx_spool_list_uuid(struct mx_spool_store *self, uint8_t uuid[16]);
/* What header and footer of one segment say; dir, core and number are given. -errno: it cannot be
 * opened. Its file is left open in self->file (list.c). */
MX_MUST_CHECK int mx_spool_list_read(struct mx_spool_store *self, struct mx_spool_segment *segment);
/* Cut the segment by what the headers in its core's folders tell now (list.c). */
void mx_spool_list_cut(struct mx_spool_store *self, struct mx_spool_segment *segment);

/* Files that were being made when a server ended: they have no name yet. -errno (list.c). */
MX_MUST_CHECK int mx_spool_list_remove_unfinished(struct mx_spool_store *self);

/* Give every segment its end, for good (recover.c). */
void mx_spool_recover(struct mx_spool_store *self, const struct mx_spool_store_conf *conf);
