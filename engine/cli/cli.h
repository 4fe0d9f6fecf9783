/* cli.h - the subcommands of mxring. Each gets its own arguments, argv[0] being "mxring NAME", and
 * returns the exit status (engine/server.h). --help and -h print the usage to stdout.
 */
#pragma once

/* mxring serve -c FILE [--log-format logfmt|json]: the gateway, in the foreground. */
int mx_cli_serve(int argc, char **argv);

/* mxring sink [option]... [ADDR:PORT]...: accepts everything, stores nothing; a JSON line at the
 * end. */
int mx_cli_sink(int argc, char **argv);

/* mxring probe: what io_uring can do here. 0 usable, 78 not. */
int mx_cli_probe(int argc, char **argv);

/* mxring passwd [--hash NAME | --scram] USER: a line of the users file. */
int mx_cli_passwd(int argc, char **argv);

/* mxring check -c FILE [--dump]: exit 0 valid, 1 invalid or unreadable, 2 usage. Problems go to
 * stderr as FILE:LINE:COL: text; --dump prints the effective configuration to stdout.
 * mxring check --reference prints docs/CONFIGURATION.md. */
int mx_cli_check(int argc, char **argv);

/* mxring check --public NAME ...: a running server as others see it. 0 all is well, 1 something is
 * bad, 2 usage, 75 something could not be found out. */
int mx_cli_check_public(int argc, char **argv);

/* mxring spool ls|cat|export|verify|stat|retry|drop ... DIR: looks into a spool, whether a server
 * runs on it or not. 0 done, 1 damaged or not found, 2 usage, 74 disk, 78 another version. */
int mx_cli_spool(int argc, char **argv);
