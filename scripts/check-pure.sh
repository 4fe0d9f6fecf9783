#!/usr/bin/env bash
# scripts/check-pure.sh LIBRARY - libmx_proto.a needs nothing but memory and string functions: no
# I/O, no clock, no allocation, nothing of another layer.
set -euo pipefail
library=${1:?usage: scripts/check-pure.sh LIBRARY}

# _GLOBAL_OFFSET_TABLE_, __stack_chk_fail and bcmp (for memcmp) are the compiler's own wishes.
allowed='mem[a-z]+|str[a-z]+|__assert_fail|__cpu_model|__cpu_indicator_init|__stack_chk_fail'
allowed+='|_GLOBAL_OFFSET_TABLE_|bcmp'
# Not as harmless as their prefix: these allocate, keep state or ask for the locale.
refused='strn?dup|strtok(_r)?|strerror.*|strsignal|strcoll|strxfrm|strftime|strptime|strfry|memfrob'

symbols=$(nm --undefined-only --format=just-symbols "$library" | sed '/^$/d; /:$/d' | sort -u)
defined=$(nm --defined-only --extern-only --format=just-symbols "$library" |
    sed '/^$/d; /:$/d' | sort -u)
if [ -z "$defined" ]; then
    echo "check-pure: $library defines nothing" >&2
    exit 1
fi

outside=$(comm -23 <(echo "$symbols") <(echo "$defined") | sed '/^$/d')
bad=$({ grep -vxE "$allowed" <<<"$outside" || true; grep -xE "$refused" <<<"$outside" || true; } |
    sed '/^$/d' | sort -u)
if [ -n "$bad" ]; then
    echo "check-pure: $library may not use: ${bad//$'\n'/ }" >&2
    for symbol in $bad; do
        nm --undefined-only --print-file-name "$library" | grep -w -- "$symbol" >&2 || true
    done
    exit 1
fi
echo "check-pure: $(wc -l <<<"$defined") symbols, outside needs: ${outside//$'\n'/ }"
