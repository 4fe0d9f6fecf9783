#include "engine/redis/scripts.h"

#include <nettle/sha1.h>

/* Other gateways of another version have other scripts under other names: the same keys must mean
 * the same to all of them. A new meaning is a new name. */

#define NOW                                                                                        \
    "local time = redis.call('TIME')\n"                                                            \
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"

/* A token bucket (hook_rate_limit.c): "at" is when it was looked at last, "left" what is in it, in
 * thousandths. */
static const char rate[] =
    NOW "local most, period = ARGV[1] * 1000, tonumber(ARGV[2])\n"
        "local row = redis.call('HMGET', KEYS[1], 'at', 'left')\n"
        "local at, left = tonumber(row[1]), tonumber(row[2])\n"
        "if not at or not left then at, left = now, most end\n"
        "local age = math.max(0, math.min(now - at, period))\n"
        "local more = math.floor(most * age / period)\n"
        "if more > 0 then at = now end\n"
        "left = math.min(left + more, most)\n"
        "local taken = 0\n"
        "if left >= 1000 then left, taken = left - 1000, 1 end\n"
        "redis.call('HSET', KEYS[1], 'at', string.format('%.0f', at), 'left', "
        "string.format('%.0f', left))\n"
        "redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
        "return taken\n";

/* A triplet (hook_greylist.c): "first" is when it was seen first, "known" whether it came again. */
static const char greylist[] =
    NOW "local row = redis.call('HMGET', KEYS[1], 'first', 'known')\n"
        "local first = tonumber(row[1])\n"
        "if not first then\n"
        "  redis.call('HSET', KEYS[1], 'first', string.format('%.0f', now), 'known', '0')\n"
        "  redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
        "  return 0\n"
        "end\n"
        "if row[2] ~= '1' and now - first < tonumber(ARGV[1]) then return 1 end\n"
        "redis.call('HSET', KEYS[1], 'known', '1')\n"
        "redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
        "return 2\n";

struct mx_redis_text mx_redis_scripts[MX_REDIS_SCRIPT_COUNT] = {
    [MX_REDIS_RATE] = {"rate",     rate,     ""},
    [MX_REDIS_GREYLIST] = {"greylist", greylist, ""},
};

void mx_redis_name_scripts(void) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < MX_REDIS_SCRIPT_COUNT; i++) {
        struct mx_redis_text *script = &mx_redis_scripts[i];
        uint8_t digest[SHA1_DIGEST_SIZE];
        struct sha1_ctx context;
        sha1_init(&context);
        sha1_update(&context, strlen(script->text), (const uint8_t *)script->text);
        sha1_digest(&context, sizeof digest, digest);
        for (size_t k = 0; k < sizeof digest; k++) {
            script->sha1[2 * k] = hex[digest[k] >> 4];
            script->sha1[2 * k + 1] = hex[digest[k] & 15];
        }
    }
}
