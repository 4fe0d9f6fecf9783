/* fault_options.h - the fault options of the command line: lists of verbs to fault rows. */
#pragma once
#include "proto/session.h"

enum {
    MX_FAULT_OPTION_HARD = 'f',
    MX_FAULT_OPTION_SOFT = 'r',
    MX_FAULT_OPTION_DISCONNECT = 'q',
    MX_FAULT_OPTION_421 = 'Q',
    MX_FAULT_OPTION_DELAY = 'W',
};

/* Enter a list like "RCPT,DATA" ("RCPT,DATA:500" for DELAY, milliseconds 1..3600000) into the rows.
 * False: a word is unknown or empty, or the number is none; said on stderr. */
bool mx_fault_options_add(struct mx_fault faults[MX_FAULT_PLACES], int option, const char *list);
