#include "config/redis.h"

#include "config/load.h"

static bool read_port(struct mx_span text, uint16_t *port) {
    uint32_t number = 0;
    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9)
            return false;
        number = number * 10 + digit;
    }
    *port = (uint16_t)number;
    return number > 0 && number <= UINT16_MAX;
}

/* Where the address ends: at "]", at a colon that is the only one, or with the text. */
static struct mx_span take_address(struct mx_span *text) {
    const char *colon = text->len > 0 ? memchr(text->ptr, ':', text->len) : NULL;
    struct mx_span address = *text;
    if (text->len > 0 && text->ptr[0] == '[') {
        const char *bracket = memchr(text->ptr, ']', text->len);
        size_t len = bracket != NULL ? (size_t)(bracket - text->ptr) : 1;
        address = (struct mx_span){text->ptr + 1, len - 1};
        *text = mx_span_skip(*text, len + 1 < text->len ? len + 1 : text->len);
        return address;
    }
    bool is_only = colon != NULL &&
                   memchr(colon + 1, ':', text->len - (size_t)(colon - text->ptr) - 1) == NULL;
    if (is_only)
        address.len = (size_t)(colon - text->ptr);
    *text = mx_span_skip(*text, address.len);
    return address;
}

bool mx_conf_redis_address(const char *text, struct mx_ip *ip, uint16_t *port) {
    struct mx_span rest = mx_span_of(text);
    struct mx_span address = take_address(&rest);
    *port = MX_REDIS_PORT;
    if (!mx_ip_parse(address, ip))
        return false;
    return rest.len == 0 || (rest.ptr[0] == ':' && read_port(mx_span_skip(rest, 1), port));
}

void mx_check_redis(struct mx_loader *self) {
    const struct mx_conf_redis *conf = &self->conf->redis;
    const struct mx_yaml_node *node = mx_check_place(&self->file, MX_SECTION_REDIS, "server");
    struct mx_ip ip;
    uint16_t port;
    if (conf->server != NULL && !mx_conf_redis_address(conf->server, &ip, &port))
        mx_loader_fail(self, node, "redis.server: '%s' is no address, ADDRESS or ADDRESS:PORT",
                       conf->server);
    if (conf->password.count > 1)
        mx_loader_fail(self, mx_check_place(&self->file, MX_SECTION_REDIS, "password"),
                       "redis.password: one password, not %u", conf->password.count);
    if (conf->user != NULL && conf->password.count == 0)
        mx_loader_fail(self, mx_check_place(&self->file, MX_SECTION_REDIS, "user"),
                       "redis.user needs redis.password");
}
