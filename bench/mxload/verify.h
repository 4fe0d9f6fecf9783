/* verify.h - mxload --verify: compare what a server has stored with a ledger. */
#pragma once

/* The program; argv[1] is --verify. Returns its exit status: 0 nothing is lost, doubled or changed,
 * 1 something is, 2 usage, or something could not be read. */
int mx_verify_main(int argc, char **argv);
