/* docs.h - the reference of the configuration, made from the schema. */
#pragma once
#include "config/hook.h"
#include "proto/err.h"

#include <stdio.h>

/* The example of the reference: a valid file. */
extern const char mx_conf_example[];

/* Print docs/CONFIGURATION.md. 0 or -EIO. */
MX_MUST_CHECK int mx_conf_print_reference(FILE *stream);

/* Print the table of a hook's options; nothing when it has none. */
void mx_conf_print_options(FILE *stream, enum mx_hook_kind kind);
