#include "config/conf.h"

#include "config/aliases.h"
#include "config/load.h"
#include "config/report.h"
#include "config/size.h"
#include "config/users.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct mx_conf *mx_conf_new(void) {
    struct mx_arena *arena = mx_arena_new();
    struct mx_conf *conf = arena ? mx_arena_take(arena, sizeof *conf) : NULL;
    if (!conf) {
        mx_arena_free(arena);
        return NULL;
    }
    conf->arena = arena;
    if (mx_loader_defaults(conf, MX_SECTION_TOP, conf) < 0) {
        mx_arena_free(arena);
        return NULL;
    }
    return conf;
}

void mx_conf_free(struct mx_conf *conf) {
    if (!conf)
        return;
    mx_users_free(conf->users);
    mx_aliases_free(conf->aliases);
    mx_arena_free(conf->arena);
}

struct mx_conf_server *mx_conf_add_server(struct mx_conf *conf, bool is_lmtp) {
    if (conf->server_count == MX_CONF_SERVERS_MAX)
        return NULL;
    if (!conf->servers) /* room for all at once: pointers to servers must stay valid */
        conf->servers = mx_arena_take(conf->arena, MX_CONF_SERVERS_MAX * sizeof *conf->servers);
    if (!conf->servers)
        return NULL;
    struct mx_conf_server *server = &conf->servers[conf->server_count];
    *server = (struct mx_conf_server){.is_lmtp = is_lmtp};
    if (mx_loader_defaults(conf, is_lmtp ? MX_SECTION_LMTP : MX_SECTION_SMTP, server) < 0)
        return NULL;
    conf->server_count++;
    return server;
}

/* The host and the port of "host:port" or "[host]:port". */
static int split(struct mx_span text, struct mx_span *host, struct mx_span *port,
                 bool *has_brackets) {
    const char *end =
        text.len > 0 ? memrchr(text.ptr, text.ptr[0] == '[' ? ']' : ':', text.len) : NULL;
    *has_brackets = text.len > 0 && text.ptr[0] == '[';
    if (!end)
        return *has_brackets ? MX_ESYNTAX : -EDESTADDRREQ;
    *host = (struct mx_span){text.ptr, (size_t)(end - text.ptr)};
    *port = mx_span_skip(text, host->len + 1);
    if (*has_brackets) {
        *host = mx_span_skip(*host, 1);
        if (port->len > 0 && port->ptr[0] != ':')
            return MX_ESYNTAX;
        *port = mx_span_skip(*port, port->len > 0);
    }
    return port->len > 0 ? 0 : -EDESTADDRREQ;
}

static void set_address(struct mx_conf_bind *bind, const struct mx_ip *ip, uint16_t port) {
    if (ip->family == 4) {
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&addr.sin_addr, ip->bytes, sizeof addr.sin_addr);
        memcpy(&bind->addr, &addr, sizeof addr);
        bind->addr_len = sizeof addr;
    } else {
        struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        memcpy(&addr.sin6_addr, ip->bytes, sizeof addr.sin6_addr);
        memcpy(&bind->addr, &addr, sizeof addr);
        bind->addr_len = sizeof addr;
    }
}

int mx_conf_parse_bind(struct mx_conf *conf, const char *text, struct mx_conf_bind *bind) {
    struct mx_span host, port_text;
    struct mx_ip ip;
    bool has_brackets = false;
    int64_t port = 0;
    /* "::1" alone would otherwise read as address ":" with port 1 */
    if (mx_ip_parse(mx_span_of(text), &ip))
        return -EDESTADDRREQ;
    int err = split(mx_span_of(text), &host, &port_text, &has_brackets);
    if (err < 0)
        return err;
    if (!has_brackets && mx_span_equal_nocase(host, MX_SPAN("localhost")))
        host = MX_SPAN("127.0.0.1");
    bool has_colon = host.len > 0 && memchr(host.ptr, ':', host.len);
    if (has_colon != has_brackets || !mx_ip_parse(host, &ip))
        return MX_ESYNTAX;
    err = mx_size_number(port_text, &port);
    if (err < 0 || port > UINT16_MAX)
        return -ERANGE;
    *bind = (struct mx_conf_bind){0};
    set_address(bind, &ip, (uint16_t)port);
    bind->text = mx_arena_copy(conf->arena, mx_span_of(text));
    return bind->text ? 0 : -ENOMEM;
}

/* Read up to one octet more than allowed, so that the parser sees that the file is too large. */
static int read_all(int fd, char **text, size_t *len) {
    const size_t most = MX_YAML_OCTETS_MAX + 1;
    size_t room = 0;
    for (*len = 0; *len < most;) {
        if (*len == room) {
            room = room ? room * 2 : 1 << 16;
            room = room < most ? room : most;
            char *bigger = realloc(*text, room);
            if (!bigger)
                return -ENOMEM;
            *text = bigger;
        }
        ssize_t got = read(fd, *text + *len, room - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        *len += (size_t)got;
    }
    return 0;
}

int mx_conf_parse(const char *text, size_t len, bool is_check, struct mx_conf **conf,
                  struct mx_conf_report *report) {
    return mx_loader_run((struct mx_span){text, len}, (struct mx_span){0}, is_check, conf, report);
}

int mx_conf_load(const char *path, bool is_check, struct mx_conf **conf,
                 struct mx_conf_report *report) {
    char *text = NULL;
    size_t len = 0;
    *conf = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = read_all(fd, &text, &len);
    close(fd);
    if (err == 0)
        err = mx_loader_run((struct mx_span){text, len}, mx_conf_folder(path), is_check, conf,
                            report);
    free(text);
    if (err < 0)
        return err;
    assert(*conf);
    (*conf)->path = mx_arena_copy((*conf)->arena, mx_span_of(path));
    if (!(*conf)->path) {
        mx_conf_free(*conf);
        *conf = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int compare_nocase(struct mx_span a, struct mx_span b) {
    size_t len = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < len; i++) {
        int diff =
            (unsigned char)mx_ascii_lower(a.ptr[i]) - (unsigned char)mx_ascii_lower(b.ptr[i]);
        if (diff != 0)
            return diff;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

bool mx_conf_is_local(const struct mx_conf *conf, struct mx_span domain) {
    uint32_t low = 0, high = conf->domain_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = compare_nocase(domain, conf->domains[mid]);
        if (order == 0)
            return true;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

const struct mx_conf_hook *mx_conf_find_hook(const struct mx_conf_server *server,
                                             enum mx_hook_kind kind) {
    for (uint32_t i = 0; i < server->hook_count; i++) {
        if (server->hooks[i].kind == kind)
            return &server->hooks[i];
    }
    return NULL;
}
