#include "proto/endpoint.h"

#include <errno.h>

static bool take_prefix(struct mx_span *text, struct mx_span prefix) {
    if (text->len < prefix.len ||
        !mx_span_equal_nocase((struct mx_span){text->ptr, prefix.len}, prefix))
        return false;
    *text = mx_span_skip(*text, prefix.len);
    return true;
}

static int parse_path(struct mx_span path, struct mx_endpoint *endpoint) {
    if (path.len == 0 || path.ptr[0] != '/')
        return MX_ESYNTAX;
    if (path.len > MX_ENDPOINT_PATH_MAX)
        return -ENAMETOOLONG;
    if (memchr(path.ptr, 0, path.len) != NULL)
        return MX_ESYNTAX;
    memcpy(endpoint->path, path.ptr, path.len);
    return 0;
}

static int parse_port(struct mx_span text, uint32_t *port) {
    if (text.len == 0)
        return -EDESTADDRREQ;
    *port = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return MX_ESYNTAX;
        *port = *port * 10 + (uint32_t)(text.ptr[i] - '0');
        if (*port > UINT16_MAX)
            return -ERANGE;
    }
    return 0;
}

static bool is_name(struct mx_span text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = mx_ascii_lower(text.ptr[i]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_')
            return false;
    }
    return text.len > 0;
}

int mx_endpoint_parse_host(struct mx_span host, uint32_t port, struct mx_endpoint *endpoint) {
    *endpoint = (struct mx_endpoint){.port = 0};
    if (take_prefix(&host, MX_SPAN("unix:")) || take_prefix(&host, MX_SPAN("local:")))
        return parse_path(host, endpoint);
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = (struct mx_span){host.ptr + 1, host.len - 2};
    if (mx_span_equal_nocase(host, MX_SPAN("localhost")))
        host = MX_SPAN("127.0.0.1");
    if (!mx_ip_parse(host, &endpoint->ip))
        return is_name(host) ? -EADDRNOTAVAIL : MX_ESYNTAX;
    if (port == 0 || port > UINT16_MAX)
        return -ERANGE;
    endpoint->port = (uint16_t)port;
    return 0;
}

int mx_endpoint_parse(struct mx_span text, struct mx_endpoint *endpoint) {
    struct mx_span rest = text;
    uint32_t port = 0;
    if (take_prefix(&rest, MX_SPAN("unix:")) || take_prefix(&rest, MX_SPAN("local:")))
        return mx_endpoint_parse_host(text, 0, endpoint);
    take_prefix(&rest, MX_SPAN("inet:"));
    size_t at = rest.len;
    while (at > 0 && rest.ptr[at - 1] != ':' && rest.ptr[at - 1] != ']')
        at--;
    if (at == 0 || rest.ptr[at - 1] != ':')
        return rest.len > 0 ? -EDESTADDRREQ : MX_ESYNTAX;
    struct mx_span host = {rest.ptr, at - 1};
    bool is_bare_v6 = memchr(host.ptr, ':', host.len) != NULL && host.ptr[0] != '[';
    if (is_bare_v6)
        return MX_ESYNTAX;
    int err = parse_port(mx_span_skip(rest, at), &port);
    return err == 0 ? mx_endpoint_parse_host(host, port, endpoint) : err;
}

const char *mx_endpoint_error(int err) {
    switch (err) {
    case -ERANGE:
        return "has a port that is not 1..65535";
    case -ENAMETOOLONG:
        return "is a path of more than 107 octets";
    case -EDESTADDRREQ:
        return "has no port: write ADDRESS:PORT";
    case -EADDRNOTAVAIL:
        return "is a name: only numeric addresses, and localhost";
    default:
        return "is neither ADDRESS:PORT ([IPv6] in brackets) nor unix:/PATH";
    }
}
