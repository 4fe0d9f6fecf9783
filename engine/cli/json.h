/* json.h - JSON on a stream: texts with everything escaped that must be. */
#pragma once
#include "proto/span.h"

#include <stdio.h>

/* With quotes. Octets that are no UTF-8 become U+FFFD. */
void mx_json_text(FILE *to, struct mx_span text);

/* `"key":` with a comma before it, unless it is the first of its object. */
void mx_json_key(FILE *to, const char *key, bool is_first);
