#!/usr/bin/env bash
# A provider that executes one request twice breaks its word: the simulation notices, says how to see
# it again, and finds a shorter story that goes wrong in the same way; both commands do what they say.
#
#   shrink_test.sh SIM
set -euo pipefail

sim=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*"
    tail -n 20 "$work"/* || true
    exit 1
}

# again WORD: run what the report says behind WORD; prints what it breaks, without figures.
again() {
    local arguments
    read -ra arguments < <(sed -n "s/^$1: sim //p" "$work/report")
    [ "${#arguments[@]}" -gt 0 ] || fail "the report has no command behind $1"
    if "$sim" "${arguments[@]}" >"$work/$1" 2>&1; then
        fail "sim ${arguments[*]} finds nothing"
    fi
    grep -m 1 '^BROKEN: ' "$work/$1" | tr -d '0-9'
}

if "$sim" --seeds 1-20 --jobs 2 --set executed_twice=100 >"$work/report" 2>&1; then
    fail "nobody notices that people are called twice"
fi
first=$(again again)
shorter=$(again shorter)
[[ $first == *"called twice"* ]] || fail "it is told as: $first"
[ "$first" = "$shorter" ] || fail "the shorter story breaks something else: $shorter"
read -r less more < <(sed -n 's/^the shortest story found, \([0-9]*\) lines instead of \([0-9]*\).*/\1 \2/p' "$work/report")
[ "$less" -lt "$more" ] || fail "$less lines are not fewer than $more"
echo "a story of $more lines was told in $less: $(sed -n 's/^shorter: //p' "$work/report")"
