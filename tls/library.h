/* library.h - the TLS library as a whole: which one it is, its start, and the memory it may take.
 *
 * wolfSSL is seen by tls/ alone; none of its structs and headers leave this folder.
 */
#pragma once
#include "proto/err.h"

#include <stdbool.h>
#include <stdint.h>

struct mx_tls_library {
    const char *version;  /* of the library that runs, "5.9.2" */
    bool is_accelerated;  /* it was built with assembly for AES, SHA-2 and big numbers */
    uint32_t kept_octets; /* most that it keeps of a thread's handshakes, to make others faster */
};

/* What is linked. Works before mx_tls_library_init. */
struct mx_tls_library mx_tls_library_info(void);

/* Once a process, before threads start. 0 or MX_ETLS. */
MX_MUST_CHECK int mx_tls_library_init(void);

/* What the calling thread may have allocated through the library at a time, octets; 0: no bound.
 * Beyond it the library gets no memory, and the one session that asked for it fails. */
void mx_tls_memory_bound(uint64_t octets);

/* What the calling thread has allocated for sessions and not freed, octets. Contexts do not count:
 * one thread makes them, and any may be the last to hold them. */
int64_t mx_tls_memory_used(void);

/* A thread that used the library ends. */
void mx_tls_thread_end(void);
