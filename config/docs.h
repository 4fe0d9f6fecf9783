/* docs.h - the reference of the configuration, made from the schema. */
#pragma once
#include "proto/err.h"

#include <stdio.h>

/* The example of the reference: a valid file. */
extern const char mx_conf_example[];

/* Print docs/CONFIGURATION.md. 0 or -EIO. */
MX_MUST_CHECK int mx_conf_print_reference(FILE *stream);
