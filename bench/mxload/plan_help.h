/* plan_help.h - the text of mxload --help. */
#pragma once

#define MX_PLAN_HELP                                                                               \
    "usage: mxload [option]... [inet:]HOST[:PORT]\n"                                               \
    "\n"                                                                                           \
    "Sends generated mail to an SMTP or LMTP server and measures it. HOST is an address or\n"      \
    "localhost; the default port is 25. Options in one letter mean what they mean to\n"            \
    "smtp-source.\n"                                                                               \
    "\n"                                                                                           \
    "  -s N                sessions at the same time (default 1)\n"                                \
    "  -m N                messages (default 1; with --duration: no limit)\n"                      \
    "  -l SIZE[-SIZE]      octets of a body, K and M allowed, or a range (default 80)\n"           \
    "  -d                  do not disconnect after a message\n"                                    \
    "  -f SENDER           (default foo@HOSTNAME)    -t RECIPIENT  (default the same)\n"           \
    "  -r N[-N]            recipients of a message, a number before each name\n"                   \
    "  -N                  a number that never repeats before each recipient\n"                    \
    "  -w S, -R S          wait S seconds (at most S seconds) between two messages\n"              \
    "  -M HOSTNAME         name to say hello with    -S SUBJECT\n"                                 \
    "  -A                  go on after a refusal; without it the first one ends the run\n"         \
    "  -C N                try N times to connect    -T OCTETS     buffers of a socket\n"          \
    "  -c                  show progress, even without a terminal\n"                               \
    "  -F FILE             send this message (its lines get CRLF, its dots are doubled)\n"         \
    "  -4, -6              IPv4 or IPv6 only         -L, --lmtp    speak LMTP\n"                   \
    "\n"                                                                                           \
    "  --pipeline          MAIL, RCPT and DATA in one write\n"                                     \
    "  --bdat              BDAT instead of DATA; pipelined: the whole message in one write\n"      \
    "  --rate N[/s]        N messages a second, whatever the server does; latency counts\n"        \
    "                      from when a message was due\n"                                          \
    "  --duration S        start no message after S seconds\n"                                     \
    "  --ramp S            reach the rate (or the sessions) in S seconds\n"                        \
    "  --timeout S         for each reply (default 300)\n"                                         \
    "  --workers N         threads, one ring each (default 1)\n"                                   \
    "  --spin              workers never sleep: latencies without the time to wake up\n"           \
    "  --sources N         connect from 127.0.0.1, 127.0.0.2, ... in turn\n"                       \
    "  --eml DIR           send the .eml files of a folder in turn\n"                              \
    "  --mbox FILE         send the messages of an mbox in turn (\">From \" is unquoted)\n"        \
    "  --seed N            of sizes, recipients and waits\n"                                       \
    "  --zerocopy MODE     auto, on, off: bodies above 32 KB without a copy (default auto)\n"      \
    "  --tls               TLS from the first octet on    --starttls   by STARTTLS\n"              \
    "  --tls-resume        a session that connects again resumes its last TLS session\n"           \
    "  --tls-version V     1.2 or 1.3 only           --tls-name NAME  to ask for (SNI)\n"          \
    "  --tls-cert FILE     our certificate, PEM      --tls-key FILE   and its key\n"               \
    "  --auth USER:PASS    log in, by PLAIN          --auth-login     by LOGIN instead\n"          \
    "  --no-verify         no hash in the messages\n"                                              \
    "  --ledger FILE       one line for each message: run, sequence, fate, reply\n"                \
    "  --ledger-times      ... and when it was known (ns of CLOCK_MONOTONIC)\n"                    \
    "  --json              the result as one JSON object\n"                                        \
    "\n"                                                                                           \
    "Exit status: 0 every message was accepted, 1 some were not, 2 usage.\n"
