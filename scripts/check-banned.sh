#!/usr/bin/env bash
# scripts/check-banned.sh [TREE] - functions that the project does not use (strcpy, atoi, ...), and
# allocation outside of functions with the word new or free in their name, as mx_conn_new or
# free_rows (config/, engine/cli/ and tests/ may).
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$scripts/..}"
# shellcheck source-path=SCRIPTDIR source=sources.sh
. "$scripts/sources.sh"

# shellcheck disable=SC2016
awk_program='
function refuse(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
# The line without comments and without the content of literals. Comments may span lines.
function code_of(text,    out, at, mark) {
    out = ""
    while (text != "") {
        if (in_comment) {
            at = index(text, "*/")
            if (!at) return out
            text = substr(text, at + 2)
            in_comment = 0
            continue
        }
        if (!match(text, /\/\*|\/\/|["\047]/)) return out text
        mark = substr(text, RSTART, RLENGTH)
        out = out substr(text, 1, RSTART - 1)
        text = substr(text, RSTART + RLENGTH)
        if (mark == "//") return out
        if (mark == "/*") {
            out = out " "
            in_comment = 1
            continue
        }
        while (text != "" && substr(text, 1, 1) != mark)
            text = substr(text, substr(text, 1, 1) == "\\" ? 3 : 2)
        text = substr(text, 2)
        out = out mark mark
    }
    return out
}
# Which of these words stands alone in the line? With is_call: followed by "(" and no member.
function find_word(code, words, is_call,    pattern, before) {
    pattern = "(" words ")" (is_call ? "[ \t]*\\(" : "")
    while (match(code, pattern)) {
        before = substr(code, 1, RSTART - 1)
        found = substr(code, RSTART, RLENGTH)
        code = substr(code, RSTART + RLENGTH)
        if (before ~ /[A-Za-z0-9_]$/ || (!is_call && code ~ /^[A-Za-z0-9_]/)) continue
        if (is_call && before ~ /(\.|->)$/) continue
        sub(/[ \t]*\($/, "", found)
        return found
    }
    return ""
}
FNR == 1 {
    sub(/^\.\//, "", FILENAME)
    in_comment = 0
    in_function = ""
    may_allocate = FILENAME ~ /^(config|engine\/cli|tests)\//
}
{
    code = code_of($0)
    if (code ~ /^[ \t]*#[ \t]*include/) next
    # clang-format puts definitions, and nothing else with "(", at the left margin.
    if (code ~ /^[A-Za-z_].*\(/ && code !~ /^(typedef|struct [a-z_]* \{)/) {
        in_function = code
        sub(/[ \t]*\(.*/, "", in_function)
        sub(/.*[^A-Za-z0-9_]/, "", in_function)
    }
    word = find_word(code, "strcpy|strcat|sprintf|strtok|atoi|gets|alloca|localtime|gethostbyname", 0)
    if (word) refuse(word " is banned")
    if (may_allocate || in_function ~ /(^|_)(new|free)(_|$)/) next
    word = find_word(code, "malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|strndup", 1)
    if (word) refuse(word "() outside of a function named new or free: " in_function)
}
END { exit bad }'

awk "$awk_program" "${files[@]}"
echo "check-banned: ${#files[@]} files are free of banned functions"
