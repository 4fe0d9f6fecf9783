/* read_password.h - a password from the terminal, without echo, or from standard input. */
#pragma once
#include "proto/span.h"

/* Read a password of 1..size-1 octets with its NUL. From the terminal it is asked for twice; from
 * anything else it is the first line. False: *why says why not (a sentence, at most why_size). */
bool mx_cli_read_password(char *password, size_t size, char *why, size_t why_size);
