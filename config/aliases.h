/* aliases.h - the aliases file: addresses that stand for others.
 *
 *     # comment
 *     alias@domain: target[, target]...    (addresses)
 *     @alias.domain: @domain               (all of a domain)
 *
 * Read once into memory, immutable, asked by any number of threads at the same time. Addresses are
 * compared without regard to the case of ASCII letters. A million aliases cost about 16 MiB beside
 * the text of the file itself.
 */
#pragma once
#include "config/conf.h"

enum {
    MX_ALIAS_ADDRESS_MAX = 512,  /* octets of an address that can be an alias or a target */
    MX_ALIAS_DEPTH_MAX = 50,     /* of aliasLimit */
    MX_ALIAS_LOOKUPS_MAX = 1000, /* that one question may take */
};

struct mx_aliases;

/* Read and check a file; what is wrong with its lines is added to the report under the name `path`,
 * also that an alias is in none of conf's domains. 0; MX_ECONFIG: there are errors in it; -errno:
 * it cannot be read (-EINVAL: no regular file, -EFBIG: larger than 2 GiB, or more than 2^30 lines;
 * -ESTALE: it grew while it was read). Free with mx_aliases_free. */
MX_MUST_CHECK int mx_aliases_load(const char *path, const struct mx_conf *conf,
                                  struct mx_conf_report *report, struct mx_aliases **aliases);

/* The same for text in memory. */
MX_MUST_CHECK int mx_aliases_parse(struct mx_span text, const char *path,
                                   const struct mx_conf *conf, struct mx_conf_report *report,
                                   struct mx_aliases **aliases);
void mx_aliases_free(struct mx_aliases *aliases);

/* Lines. NULL has none, here and below. */
uint32_t mx_aliases_count(const struct mx_aliases *aliases);

/* Is the address (local@domain) an alias, or its domain one? About 0.3 us among a million. */
bool mx_aliases_has(const struct mx_aliases *aliases, struct mx_span address);

/* Told an address, in lower case and borrowed for the call; false: that is enough. */
typedef bool mx_alias_fn(void *context, struct mx_span target);

/* Tell all that the address stands for in the end: targets are looked up again until they are no
 * alias, or their own target. So an address is rewritten at most `limit` times in a row; with 0
 * once, and what it stands for is not looked up. An address that is no alias stands for nothing. 0;
 * MX_ELIMIT: there are more in a row, or MX_ALIAS_LOOKUPS_MAX were not enough; what was told before
 * is right all the same. */
MX_MUST_CHECK int mx_aliases_follow(const struct mx_aliases *aliases, struct mx_span address,
                                    uint32_t limit, mx_alias_fn *tell, void *context);

/* Does `from` stand for `to` (any case) in the end, or are they the same? A loop is a no. */
bool mx_aliases_lead_to(const struct mx_aliases *aliases, uint32_t limit, struct mx_span from,
                        struct mx_span to);
