#!/usr/bin/env bash
# scripts/check-layers.sh [TREE] - the direction of #include between the folders:
#   proto -> proto          config -> config proto          tls -> tls proto
#   engine -> all of these  bench -> bench proto tls, the headers of libmx_io, config/{users,aliases}.h
#   tests -> anything
# liburing, libyaml, c-ares, hiredis, jansson and wolfSSL are each seen by a few files only; sinks and hooks do
# not know connections.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$scripts/..}"
# shellcheck source-path=SCRIPTDIR source=sources.sh
. "$scripts/sources.sh"

# Which quoted includes a file may have, and which of the three libraries.
# shellcheck disable=SC2016
awk_program='
function refuse(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
function matches(name, pattern) { return name ~ ("^(" pattern ")") }
FNR == 1 {
    sub(/^\.\//, "", FILENAME)
    folder = FILENAME
    sub(/\/.*/, "", folder)
}
!/^[ \t]*#[ \t]*include[ \t]*["<]/ { next }
{
    is_quoted = /^[^"<]*"/
    name = $0
    sub(/^[^"<]*["<]/, "", name)
    sub(/[">].*/, "", name)
}
folder == "tests" { next }
is_quoted && !matches(name, "(proto|config|tls|engine|bench)/") {
    refuse("\"" name "\": write the path from the top of the project"); next
}
is_quoted && !matches(name, allowed[folder]) {
    refuse(folder "/ may not include " name); next
}
name ~ /^engine\/conn[a-z_]*\.h$/ && FILENAME ~ /^engine\/(sink|policy)\// {
    refuse("a sink or a hook may not know connections (engine/conn*.h)")
}
name ~ /^liburing/ && FILENAME !~ /^engine\/(ring[a-z_]*|buf)\.[ch]$/ {
    refuse("liburing belongs to engine/ring*.[ch] and engine/buf.[ch]")
}
name == "yaml.h" && FILENAME != "config/yaml.c" { refuse("libyaml belongs to config/yaml.c") }
name ~ /^hiredis/ && FILENAME !~ /^engine\/redis\// { refuse("hiredis belongs to engine/redis/") }
name ~ /^ares/ && FILENAME !~ /^engine\/dns\// { refuse("c-ares belongs to engine/dns/") }
name ~ /^jansson/ && FILENAME !~ /^engine\/scan\// { refuse("jansson belongs to engine/scan/") }
name ~ /^wolfssl/ && FILENAME !~ /^(tls\/[a-z_]*|bench\/tls_loop)\.c$/ { refuse("wolfSSL belongs to tls/*.c") }
BEGIN {
    allowed["proto"] = "proto/"
    allowed["config"] = "(config|proto)/"
    allowed["tls"] = "(tls|proto)/"
    allowed["engine"] = "(engine|config|tls|proto)/"
    allowed["bench"] = "(bench|proto|tls)/|engine/(ring|ring_compat|buf|pool|buddy|timer|spool/format)\\.h$|config/(users|aliases)\\.h$"
}
END { exit bad }'

if ! awk "$awk_program" "${files[@]}"; then
    echo "check-layers: see the layers in docs/ARCHITECTURE.md" >&2
    exit 1
fi
echo "check-layers: ${#files[@]} files include in the right direction"
