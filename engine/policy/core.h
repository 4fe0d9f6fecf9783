/* core.h - the core handlers that decide something, as hooks behind those of handlerchain. */
#pragma once
#include "engine/policy/hook.h"

enum { MX_CORE_HOOKS_MAX = 8 };

/* Those of a server, in their order, with their options. Returns how many. */
uint32_t mx_core_hooks(const struct mx_conf *conf, const struct mx_conf_server *server,
                       const struct mx_hook_class *classes[MX_CORE_HOOKS_MAX],
                       const void *options[MX_CORE_HOOKS_MAX]);
