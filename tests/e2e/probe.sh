#!/usr/bin/env bash
# mxring probe: says what the kernel can do, and its status says whether that is enough.
set -euo pipefail
MXRING=${MXRING:-$(dirname "$0")/../../build/mxring}
out=$("$MXRING" probe)
for text in "kernel Linux $(uname -r)" 'DEFER_TASKRUN' 'scanner: ' 'io_uring: usable'; do
    grep -qF "$text" <<<"$out" || {
        printf 'not in the output: %s\n%s\n' "$text" "$out" >&2
        exit 1
    }
done
grep -q '^yes multishot accept' <<<"$out"
status=0
"$MXRING" probe nonsense 2>/dev/null || status=$?
[ "$status" = 2 ]
echo "probe: usable, and says so"
