/* tls_end.h - a client's end of TLS on a socket, for the runner. Trusts anybody. */
#pragma once
#include "tests/dialogue/dialogue.h"

struct mx_tls_end;

/* The handshake. NULL: it fails. */
struct mx_tls_end *mx_tls_end_new(int fd);
/* NULL is ignored. Says that it ends. */
void mx_tls_end_free(struct mx_tls_end *self);

bool mx_tls_end_send(struct mx_tls_end *self, struct mx_span octets);
enum mx_read mx_tls_end_read(struct mx_tls_end *self, struct mx_text *to, uint32_t timeout_ms);
