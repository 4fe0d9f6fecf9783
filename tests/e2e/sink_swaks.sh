#!/usr/bin/env bash
# swaks against mxring sink: SMTP and LMTP, one command at a time and pipelined.
set -euo pipefail
MXRING=${MXRING:-$(dirname "$0")/../../build/mxring}
command -v swaks >/dev/null || {
    echo "skipped: swaks is not installed" >&2
    exit 77
}
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# start ARGUMENT... - a sink on a port of the kernel's choice; sets server and address
start() {
    : >"$work/err" # before anybody can read what the last one said
    "$MXRING" sink --workers 1 "$@" 127.0.0.1:0 >"$work/out" 2>"$work/err" &
    server=$!
    address=
    for _ in $(seq 200); do
        address=$(sed -n 's/.*event=listening.* addr=\([0-9.:]*\).*/\1/p' "$work/err")
        [ -z "$address" ] || return 0
        sleep 0.05
    done
    echo "the sink does not listen:" >&2
    cat "$work/err" >&2
    exit 1
}

# stop MESSAGES RECIPIENTS - what its summary must say
stop() {
    kill -TERM "$server"
    wait "$server"
    server=
    grep -q "^{\"messages\":$1,\"recipients\":$2," "$work/out" || {
        echo "wanted $1 messages for $2 recipients, got:" >&2
        cat "$work/out" >&2
        exit 1
    }
}

# mail ARGUMENT... - one message; every reply must be 2xx or 3xx (swaks says so by its status)
mail() {
    swaks --server "$address" --from a@example.org --helo client.example --timeout 20s \
        "$@" >"$work/swaks" || {
        echo "swaks $* failed:" >&2
        cat "$work/swaks" >&2
        exit 1
    }
}

start
mail --to bob@example.com
mail --to bob@example.com,alice@example.com,carol@example.com
mail --to bob@example.com --pipeline
mail --to bob@example.com,alice@example.com --pipeline
mail --to bob@example.com --protocol SMTP
grep -q '250 2.6.0' "$work/swaks"
mail --to bob@example.com --body $'.\n..\n.dot\n'
printf 'x%.0s' $(seq 100000) >"$work/large"
mail --to bob@example.com --attach "@$work/large"
stop 7 10

start --lmtp
mail --protocol LMTP --to bob@example.com
mail --protocol LMTP --to bob@example.com,alice@example.com
[ "$(grep -c '250 2.6.0' "$work/swaks")" = 2 ] # one for each recipient
mail --protocol LMTP --to bob@example.com,alice@example.com --pipeline
stop 3 5

# a refusal reaches swaks as such: 24 is its status for a refused recipient
start --hard-reject RCPT
status=0
swaks --server "$address" --from a@example.org --to bob@example.com --timeout 20s \
    >"$work/swaks" || status=$?
[ "$status" = 24 ] && grep -q '500 5.3.0 Error: command failed' "$work/swaks" || {
    echo "status $status:" >&2
    cat "$work/swaks" >&2
    exit 1
}
stop 0 0
echo "swaks: all as it should be"
