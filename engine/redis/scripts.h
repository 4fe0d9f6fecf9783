/* scripts.h - the programs that Redis runs (Lua): each is done as a whole, by the server's clock,
 * so that gateways need not agree on the time. Private to redis/.
 */
#pragma once
#include "engine/redis/redis.h"

struct mx_redis_text {
    const char *name; /* in its keys */
    const char *text;
    char sha1[41]; /* of the text: what EVALSHA calls it; set by mx_redis_name_scripts */
};

extern struct mx_redis_text mx_redis_scripts[MX_REDIS_SCRIPT_COUNT];

/* Before the first question. */
void mx_redis_name_scripts(void);
