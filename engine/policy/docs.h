/* docs.h - the reference of the hooks, made from the registry. */
#pragma once
#include "proto/err.h"

#include <stdio.h>

/* Print docs/HANDLERS.md. 0 or -EIO. */
MX_MUST_CHECK int mx_hook_print_reference(FILE *stream);
