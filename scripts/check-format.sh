#!/usr/bin/env bash
# scripts/check-format.sh [TREE] - every .c and .h of the project is as clang-format writes it,
# and not longer than 500 lines.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$scripts/..}"
# shellcheck source-path=SCRIPTDIR source=sources.sh
. "$scripts/sources.sh"

format=$(command -v clang-format-14 || command -v clang-format) || {
    echo "check-format: clang-format-14 is not installed" >&2
    exit 1
}
long=$(wc -l "${files[@]}" | awk '$1 > 500 && $2 != "total" { print $2 ": " $1 " lines" }')
if [ -n "$long" ]; then
    echo "check-format: longer than 500 lines: $long" >&2
    exit 1
fi
printf '%s\0' "${files[@]}" |
    xargs -0 -n 16 -P "$(nproc)" "$format" --style=file --dry-run -Werror || {
    echo "check-format: repair with: clang-format-14 -i FILE" >&2
    exit 1
}
echo "check-format: ${#files[@]} files are well formatted"
