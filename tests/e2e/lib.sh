# lib.sh - an installation for the time of a test, and checks that say what they hold. Sourced by the
# tests of deploy/up.
#
# shellcheck shell=bash disable=SC2034 # the tests read what is set

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Not below TMPDIR: the user telehub must be able to enter, and sockets need a short path.
work=$(mktemp -d /tmp/telehub-up.XXXXXX)
chmod 0711 "$work"
dir=$work/hub
cleanup() {
    local status=$? made
    if [ "$status" -ne 0 ] && [ -d "$dir/log" ]; then
        tail -n 30 "$dir"/log/* >&2 || true
    fi
    for made in "$work"/*/.telehub; do
        [ ! -e "$made" ] || "$root/deploy/down" --dir "${made%/*}" || true
    done
    rm -rf "$work"
}
trap cleanup EXIT

checks=0
pass() { checks=$((checks + 1)); printf '%6.1f s  %s\n' "$(since "$test_began")" "$1"; }
fail() { printf 'FAILED: %s\n' "$1"; exit 1; }
since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }'; }
test_began=$EPOCHREALTIME

# holds SENTENCE JQ-EXPRESSION JSON
holds() {
    jq -e "$2" <<<"$3" >/dev/null || fail "$1: $2 is not true of $(jq -c . <<<"$3")"
    pass "$1"
}

# refuses SENTENCE WORDS ARGUMENT...: exit status 1, nothing on stdout, those words on stderr.
refuses() {
    local sentence=$1 words=$2 status=0 out
    shift 2
    out=$("$root/deploy/up" "$@" 2>"$work/stderr") || status=$?
    [ "$status" -eq 1 ] || fail "$sentence: exit status $status"
    [ -z "$out" ] || fail "$sentence: stdout holds $out"
    grep -qF -e "$words" "$work/stderr" || fail "$sentence: stderr is $(<"$work/stderr")"
    pass "$sentence"
}

# Processes that were started from the folder; those that ended and wait for init have no words.
ours() {
    local process
    for process in /proc/[0-9]*; do
        if [ "$process" != "/proc/$$" ] && grep -qsF "$dir/" "$process/cmdline"; then
            tr '\0' ' ' <"$process/cmdline"
            echo
        fi
    done
}

up() { "$root/deploy/up" --dir "$dir" --json "$@"; }

# holds_demo CERTIFICATE: it is that of the demo's 10,000.
holds_demo() {
    holds 'the certificate is final' '.final' "$1"
    holds 'the audience are the 10,000' '.audience == 10000' "$1"
    holds 'its sets partition the audience' '.audience == .reached + .accepted_no_report + .in_doubt
        + .unsent + ([.unreached[], .suppressed[]] | add)' "$1"
    holds 'nobody is left over' '.unsent == 0 and .in_doubt == 0 and .accepted_no_report == 0' "$1"
    holds 'most are reached, some are not' '.reached > 9000 and (.unreached | length) > 1' "$1"
    holds 'the 40 rows that stand there twice are contacted once' '.suppressed.duplicate == 40' "$1"
    holds 'who opted out is suppressed' '.suppressed.opted_out == 20' "$1"
    holds 'it cost something' '[.cost[].amount | tonumber] | add > 0' "$1"
}
