#!/usr/bin/env bash
# scripts/check-tidy.sh BUILD [FILE...] - clang-tidy over the files of BUILD/compile_commands.json,
# on every CPU. What passed is remembered in BUILD/tidy and skipped while neither the file nor any
# header nor a rule changes.
set -euo pipefail
build=${1:?usage: scripts/check-tidy.sh BUILD [FILE...]}
shift
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=sources.sh
. scripts/sources.sh
sources=("${files[@]}")

tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || {
    echo "check-tidy: clang-tidy-14 is not installed" >&2
    exit 1
}
commands=$build/compile_commands.json
if [ ! -f "$commands" ]; then
    echo "check-tidy: $commands is missing; configure $build first" >&2
    exit 1
fi

if [ $# -gt 0 ]; then
    files=("$@")
else
    mapfile -t files < <(sed -n 's/^ *"file": "\(.*\)",*$/\1/p' "$commands" | sort -u)
fi
if [ ${#files[@]} -eq 0 ]; then
    echo "check-tidy: no files in $commands" >&2
    exit 1
fi

mkdir -p "$build/tidy"
common=$({
    cat .clang-tidy tests/.clang-tidy
    { grep -o -- '-[WDf][^ "]*' "$commands" || true; } | sort -u
    for file in "${sources[@]}"; do
        case $file in *.h) cat "$file" ;; esac
    done
} | sha256sum)
todo=()
stamps=()
for file in "${files[@]}"; do
    stamp=$build/tidy/$({ echo "$common $file"; cat "$file"; } | sha256sum | cut -d ' ' -f 1)
    if [ ! -e "$stamp" ]; then
        todo+=("$file")
        stamps+=("$stamp")
    fi
done
echo "check-tidy: ${#todo[@]} of ${#files[@]} files to check"

# One file a process: "FILE\0STAMP\0" pairs. Of a finding its place is printed, not the analyzer's
# long way to it; clang-tidy-14 -p BUILD FILE shows that.
# shellcheck disable=SC2016
check_one='if out=$("$0" --quiet -p "$1" "$2" 2>&1); then
    : >"$3"
else
    grep -A 2 -E "(warning|error): " <<<"$out" || echo "$out"
    exit 1
fi'
for i in "${!todo[@]}"; do
    printf '%s\0%s\0' "${todo[i]}" "${stamps[i]}"
done | xargs -0 -r -n 2 -P "$(nproc)" bash -c "$check_one" "$tidy" "$build" || {
    echo "check-tidy: there are findings (above)" >&2
    exit 1
}
echo "check-tidy: no findings"
