#!/usr/bin/env bash
# The scripts of the repository: wrong words, calls from elsewhere, machines that lack a package.
# What they would run is replaced by programs of ours in PATH; nothing is installed or built.
set -euo pipefail
top=${MX_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# want STATUS REASON COMMAND...: its exit status, and a line of its output (a pattern).
want() {
    local status=0
    ("${@:3}") >"$work/out" 2>&1 </dev/null || status=$?
    if [ "$status" != "$1" ] || ! grep -qE -- "$2" "$work/out"; then
        echo "status $status instead of $1, or not said: $2: ${*:3}"
        sed 's/^/    /' "$work/out"
        failures=$((failures + 1))
    fi
}

# ---- wrong words
want 2 'scripts/run: unknown argument: x' "$top/scripts/run" x
want 2 'scripts/run: unknown argument: x' "$top/scripts/run" --config FILE x
want 2 'scripts/run: --config needs a file' "$top/scripts/run" --config
want 2 'scripts/run: --config needs a file' "$top/scripts/run" --config ''
want 2 'scripts/build: --preset needs a name' "$top/scripts/build" --preset
want 2 'scripts/build: unknown argument: x' "$top/scripts/build" x
want 2 'scripts/wolfssl: unknown argument: x' "$top/scripts/wolfssl" x
want 2 'usage: scripts/wolfssl-or-system' "$top/scripts/wolfssl-or-system" x
want 0 'x86|AES' "$top/scripts/wolfssl" --loss
want 2 'scripts/test: unknown group: x' "$top/scripts/test" unit x
want 2 'no such group: x' "$top/scripts/install-packages" build x
want 2 'no such group: x' "$top/scripts/install-packages" x
want 2 'no such group: \.\*' "$top/scripts/install-packages" '.*'

# ---- called by a relative path from elsewhere; on a kernel with 32 random bits scripts/test starts
# itself again through setarch
relative() { # SCRIPT ARGUMENT...
    cd "$work/here"
    PATH=$work/bin:$PATH MX_NO_ASLR='' "$(realpath --relative-to=. "$top")/$1" "${@:2}"
}
mkdir -p "$work/here" "$work/bin"
for script in run build test; do
    want 0 "^scripts/$script" relative "scripts/$script" --help
done
cat >"$work/bin/cat" <<'END'
#!/bin/sh
[ "$*" = /proc/sys/vm/mmap_rnd_bits ] && echo 32 || exec /bin/cat "$@"
END
cat >"$work/bin/setarch" <<'END'
#!/bin/sh
[ "$*" = "-R true" ] || { [ -x "$2" ] && echo "again: $*"; }
END
chmod +x "$work/bin/"*
want 0 '^again: -R /.*/scripts/test unit$' relative scripts/test unit
rm "$work/bin/"*

# ---- packages: nothing is there, and postfix cannot be had
for program in sudo debconf-set-selections; do ln -s /bin/true "$work/bin/$program"; done
printf '#!/bin/sh\necho 0\n' >"$work/bin/id"
cat >"$work/bin/dpkg-query" <<'END'
#!/bin/sh
[ -z "$HAVE" ] || printf '%s installed\n' $HAVE
END
cat >"$work/bin/apt-get" <<'END'
#!/bin/sh
echo "apt-get $*"
case " $* " in *" $BROKEN "*) echo "E: unmet dependencies" >&2; exit 100 ;; esac
END
chmod +x "$work/bin/id" "$work/bin/dpkg-query" "$work/bin/apt-get"
install() { # HAVE BROKEN GROUP...
    PATH=$work/bin:$PATH HAVE=$1 BROKEN=$2 "$top/scripts/install-packages" "${@:3}"
}
want 0 'postfix cannot be installed.*' install '' postfix build test
want 0 '^apt-get .*--no-remove .*gcc.*swaks$' install '' postfix build test
want 0 'going on without it' install '' postfix test
want 100 'unmet dependencies' install '' swaks test
want 0 '^apt-get .*--no-remove postfix$' install '' '-' test
all=$(awk '/^[a-z]/ && $2 != "postfix" { print $2 }' "$top/scripts/packages")
want 0 'postfix cannot be installed' install "$all" postfix build test
nothing_to_do() { [ -z "$(install "$all postfix" - build test 2>&1)" ] && echo nothing; }
want 0 '^nothing$' nothing_to_do

# ---- wolfSSL: the sources cannot be had; in a tree of its own, where none is built
mkdir -p "$work/tree"
cp -r "$top/scripts" "$work/tree"
printf '#!/bin/sh\necho "E: no network" >&2\nexit 100\n' >"$work/bin/apt-get"
pinned() { PATH=$work/bin:$PATH HAVE=$all BROKEN=- "$work/tree/scripts/$1" "${@:2}"; }
want 1 "no suite of Debian's archive gives wolfSSL" pinned wolfssl
want 1 'sid: E: no network' pinned wolfssl
want 0 'WARNING: going on with .*libwolfssl-dev' pinned wolfssl-or-system pinned
rm "$work/bin/"*

# ---- CMake: tests without libcriterion are refused, not left out
mkdir "$work/pc"
IFS=: read -ra folders < <(pkg-config --variable=pc_path pkg-config)
for folder in "${folders[@]}"; do
    [ ! -d "$folder" ] || find "$folder" -name '*.pc' ! -name criterion.pc -exec ln -sf -t "$work/pc" {} +
done
configure() { PKG_CONFIG_LIBDIR=$work/pc cmake -S "$top" -B "$work/build" -G Ninja "$@"; }
want 1 'the tests need libcriterion-dev' configure
want 0 'Build files have been written' configure -DMX_TESTS=OFF
want 0 'Build files have been written' configure -DMX_TESTS=ON -DMX_SANITIZE=thread
want 0 'Build files have been written' configure -DMX_TESTS=OFF
mkdir -p "$work/wolfssl/include/wolfssl" "$work/wolfssl/lib"
want 1 'no wolfSSL with headers in' configure -DMX_TESTS=OFF -DWOLFSSL_ROOT="$work/wolfssl"

# ---- docs/HACKING.md: the files it names exist
while read -r kind name; do
    if [ ! -e "$top/tests/$kind/${name}_test.c" ] && [ ! -e "$top/tests/$kind/${name}_fuzz.c" ]; then
        echo "docs/HACKING.md: there is no test $kind-$name"
        failures=$((failures + 1))
    fi
done < <(grep -oE 'tests/(fuzz|unit)-[a-z_]+' "$top/docs/HACKING.md" | sed 's|tests/||; s/-/ /')
while read -r folder; do
    if [ ! -e "$top/$folder" ]; then
        echo "docs/HACKING.md: there is no $folder"
        failures=$((failures + 1))
    fi
done < <(grep -oE '(tests/fuzz/corpus/[a-z_]+|scripts/[a-z-]+)\b' "$top/docs/HACKING.md" | sort -u)
while read -r preset; do
    if ! grep -q -- "cmake --build --preset $preset\b\|scripts/test $preset\b" "$top/docs/HACKING.md"; then
        echo "docs/HACKING.md: none of its commands makes build/$preset"
        failures=$((failures + 1))
    fi
done < <(grep -oE 'build/([a-z]+/)?tests/' "$top/docs/HACKING.md" | cut -d/ -f2 | sort -u)

[ "$failures" -eq 0 ] || exit 1
echo "scripts: all as they should be"
