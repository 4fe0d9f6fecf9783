#!/usr/bin/env bash
# scripts/check-selftest.sh - the check scripts pass good trees and refuse bad ones, for the right
# reason. Each case is one file in a small tree of its own.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checks=$scripts
cases=0
failures=0

fail() {
    echo "check-selftest: $1"
    sed 's/^/    /' "$work/out"
    failures=$((failures + 1))
}

# good CHECK NAME ARGUMENT, bad CHECK NAME ARGUMENT REASON: what the script must say of ARGUMENT.
good() {
    cases=$((cases + 1))
    "$checks/$1" "$3" >"$work/out" 2>&1 || fail "$1 refused what is good: $2"
}
bad() {
    cases=$((cases + 1))
    if "$checks/$1" "$3" >"$work/out" 2>&1; then
        fail "$1 passed what is bad: $2"
    elif ! grep -qE -- "$4" "$work/out"; then
        fail "$1 refused $2, but not because of: $4"
    fi
}

# tree FILE <text: a new tree with this one file; its path is in $tree.
tree() {
    tree=$(mktemp -d -p "$work")
    mkdir -p "$tree/$(dirname "$1")"
    cat >"$tree/$1"
}

# layer good|bad FILE INCLUDE [REASON]
layer() {
    tree "$2" <<<"#include $3"
    "$1" check-layers.sh "$2 includes $3" "$tree" "${@:4}"
}
layer good proto/a.c '"proto/b.h"'
layer good proto/a.c '<string.h>'
layer bad proto/a.c '"config/conf.h"' 'proto/ may not include config/conf.h'
layer bad proto/a.h '"engine/buf.h"' 'proto/ may not include engine/buf.h'
layer bad proto/a.c '"b.h"' 'write the path'
layer bad proto/a.c '"../engine/buf.h"' 'write the path'
layer good config/a.c '"proto/b.h"'
layer bad config/a.c '"engine/buf.h"' 'config/ may not include'
layer bad config/a.c '"tls/tls.h"' 'config/ may not include'
layer good tls/a.c '"proto/b.h"'
layer bad tls/a.c '"config/conf.h"' 'tls/ may not include'
layer bad tls/a.c '"engine/buf.h"' 'tls/ may not include'
layer good engine/a.c '"tls/tls.h"'
layer good engine/cli/a.c '"config/conf.h"'
layer bad engine/a.c '"bench/x.h"' 'engine/ may not include'
layer good engine/worker.c '"engine/conn.h"'
layer bad engine/sink/a.c '"engine/conn.h"' 'may not know connections'
layer bad engine/policy/a.h '"engine/conn.h"' 'may not know connections'
layer bad engine/policy/a.c '"engine/conn_impl.h"' 'may not know connections'
layer good bench/a.c '"engine/timer.h"'
layer good bench/a.c '"proto/dot.h"'
layer good bench/a.c '"tls/client.h"'
layer good bench/a.c '"config/users.h"'
layer bad bench/a.c '"engine/worker.h"' 'bench/ may not include'
layer bad bench/a.c '"config/conf.h"' 'bench/ may not include'
layer good tests/unit/a.c '"engine/conn.h"'
layer good tests/unit/a.c '<liburing.h>'
layer good engine/ring_probe.c '<liburing.h>'
layer good engine/buf.h '<liburing.h>'
layer bad engine/worker.c '<liburing.h>' 'liburing belongs'
layer bad bench/a.c '<liburing.h>' 'liburing belongs'
layer good config/yaml.c '<yaml.h>'
layer bad config/schema.c '<yaml.h>' 'libyaml belongs'
layer good engine/dns/servers.c '<ares.h>'
layer bad engine/worker.c '<ares.h>' 'c-ares belongs'
layer good tls/tls_ctx.c '<wolfssl/ssl.h>'
layer bad tls/tls.h '<wolfssl/ssl.h>' 'wolfSSL belongs'
layer bad engine/conn.c '  <wolfssl/ssl.h>' 'wolfSSL belongs'
tree README.md <<<'no sources'
bad check-layers.sh 'a tree without sources' "$tree" 'no .c or .h files'

# banned good|bad FILE NAME TEXT [REASON]
banned() {
    tree "$2" <<<"$4"
    "$1" check-banned.sh "$3" "$tree" "${@:5}"
}
body() { printf 'int mx_a_b(char *p) {\n    %s\n}\n' "$1"; }
for word in strcpy strcat sprintf strtok atoi gets alloca localtime gethostbyname; do
    banned bad engine/a.c "a call of $word" "$(body "$word(p);")" "engine/a.c:2: $word is banned"
    banned bad tests/unit/a.c "$word in tests" "$(body "$word(p);")" "$word is banned"
done
banned good engine/a.c 'longer names' "$(body 'snprintf(p); fgets(p); localtime_r(p); mx_atoi(p);')"
banned good engine/a.c 'a comment' "$(body '/* not strcpy( */ // nor atoi(1)')"
banned good engine/a.c 'a long comment' "$(printf '/* one\n * strcpy(a, b)\n */\nint a;\n')"
banned bad engine/a.c 'behind a comment' "$(body '/* x */ strcpy(p, p); /* y */')" ':2: strcpy'
banned good engine/a.c 'a literal' "$(body 'puts("strcpy(\"a\") /* "); puts("x"); return '"'\"'"';')"
banned bad engine/a.c 'behind literals' "$(body 'puts("/*"); f('"'\"'"'); atoi(p);')" ':2: atoi'
for call in 'malloc(1)' 'calloc(1, 1)' 'realloc(p, 1)' 'free(p)' 'free (p)' 'strdup(p)'; do
    banned bad engine/a.c "$call" "$(body "$call;")" ':2: [a-z]+\(\) outside .*mx_a_b'
done
banned good config/a.c 'malloc in config' "$(body 'malloc(1);')"
banned good engine/cli/a.c 'malloc in cli' "$(body 'malloc(1);')"
banned good engine/a.c 'a member called free' "$(body 'self->free(p); x.free(p); int free = 1;')"
banned good engine/a.c 'malloc in _new' \
    "$(printf 'struct mx_a *mx_a_new(int b,\n        int c) {\n    return malloc(1);\n}\n')"
banned good engine/a.c 'free in _free' "$(printf 'void mx_a_free(void *p) {\n    free(p);\n}\n')"
banned good engine/a.c 'calloc in new_' "$(printf 'static int new_rows(void) {\n    calloc(1, 2);\n}\n')"
banned bad engine/a.c 'malloc in renew' "$(printf 'int mx_renew(void) {\n    malloc(1);\n}\n')" ':2: malloc'
banned bad engine/a.c 'free behind _free' \
    "$(printf 'void mx_a_free(void *p) {\n    free(p);\n}\n'; body 'free(p);')" ':5: free'

# purity good|bad NAME TEXT [REASON]: the text as the only member of a library.
purity() {
    tree proto/a.c <<<"$3"
    ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O1 -fno-builtin -c "$tree/proto/a.c" -o "$tree/a.o"
    ar rcs "$tree/a.a" "$tree/a.o"
    "$1" check-pure.sh "$2" "$tree/a.a" "${@:4}"
}
pure_body() { printf '#include <%s>\nint mx_a(char *p) { %s return p[0]; }\n' "$1" "$2"; }
purity good 'memory and strings' "$(pure_body string.h 'memcpy(p, p + 9, 3); p += strlen(p);')"
purity good 'assertions' "$(pure_body assert.h 'assert(p);')"
purity good 'the kind of CPU' \
    'int mx_a(void) { __builtin_cpu_init(); return __builtin_cpu_supports("avx2") != 0; }'
purity bad 'allocation' "$(pure_body stdlib.h 'p = malloc(2);')" 'malloc'
purity bad 'hidden allocation' "$(pure_body string.h 'p = strdup(p);')" 'strdup'
purity bad 'formatting' "$(pure_body stdio.h 'snprintf(p, 2, "x");')" 'snprintf'
purity bad 'a clock' "$(pure_body time.h 'p[0] = (char)time(0);')" 'time'
purity bad 'a socket' "$(pure_body sys/socket.h 'p[0] = (char)socket(1, 1, 1);')" 'socket'
purity bad 'errno' "$(pure_body errno.h 'p[0] = (char)errno;')" '__errno_location'
purity bad 'another layer' 'int mx_conf_x(void); int mx_a(void) { return mx_conf_x(); }' 'mx_conf_x'
purity bad 'nothing defined' 'static int a;' 'defines nothing'

format() {
    tree proto/a.c <<<"$3"
    cp "$scripts/../.clang-format" "$tree"
    "$1" check-format.sh "$2" "$tree" "${@:4}"
}
format good 'well formatted' "$(printf 'int mx_a(void) {\n    return 1;\n}')"
format bad 'badly formatted' "$(printf 'int mx_a(void)\n{\n  return 1;\n}')" 'a.c:1:'

format bad '501 lines' "$(yes '/* x */' | head -501)" 'a.c: 501 lines'

# tidy good|bad NAME TEXT [REASON]: check-tidy looks at the project it lies in, so it is copied.
tidy() {
    tree proto/a.c <<<"$3"
    mkdir -p "$tree/scripts" "$tree/build" "$tree/tests"
    cp "$scripts/check-tidy.sh" "$scripts/sources.sh" "$tree/scripts"
    cp "$scripts/../.clang-tidy" "$tree"
    cp "$scripts/../tests/.clang-tidy" "$tree/tests"
    printf '[\n{\n  "directory": "%s",\n  "command": "%s",\n  "file": "%s"\n}\n]\n' \
        "$tree" "cc -std=gnu17 -c proto/a.c" "$tree/proto/a.c" >"$tree/build/compile_commands.json"
    checks=$tree/scripts
    "$1" check-tidy.sh "$2" build "${@:4}"
}
long_function() { echo 'int mx_a(int b) {'; yes '    b++;' | head -80; printf '    return b;\n}\n'; }
six_and_one='int mx_a(int a, int b, int c, int d, int e, int f, int g);
int mx_a(int a, int b, int c, int d, int e, int f, int g) { return a + b + c + d + e + f + g; }'
tidy bad 'a long function' "$(long_function)" 'function-size'
tidy bad 'seven parameters' "$six_and_one" 'function-size'
tidy bad 'a null pointer' 'int mx_a(void) { int *p = 0; return *p; }' 'NullDereference'
tidy bad 'code that does not compile' 'int mx_a(void) { return b; }' 'undeclared'
tidy good 'plain code' 'int mx_a(int b) { return b + 1; }'
good check-tidy.sh 'the same again' build
grep -q ' 0 of 1 files' "$work/out" || fail 'check-tidy did not remember what passed'
echo 'int mx_b(void) { int *p = 0; return *p; }' >>"$tree/proto/a.c"
bad check-tidy.sh 'a file changed since it passed' build 'NullDereference'

if [ "$failures" -gt 0 ]; then
    echo "check-selftest: $failures of $cases cases failed" >&2
    exit 1
fi
echo "check-selftest: $cases cases passed"
