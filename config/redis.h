/* redis.h - the server that redis: names. */
#pragma once
#include "config/conf.h"

enum { MX_REDIS_PORT = 6379 };

/* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, numeric. False: it is none. */
bool mx_conf_redis_address(const char *text, struct mx_ip *ip, uint16_t *port);

struct mx_loader;

/* Is redis: sound? Problems are added. Private to config/. */
void mx_check_redis(struct mx_loader *self);
