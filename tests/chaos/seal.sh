#!/usr/bin/env bash
# A part that is uploaded again around the seal: before it, at the same moment, after it, and after a
# kill -9 of everything that remembers it. Who was sealed is called, once; nobody else is. And an
# audience whose part is not the one that was counted for the seal is refused, not half called.
#
#   tests/chaos/seal.sh [SEED]
set -euo pipefail
. "$(dirname "$0")/lib.sh"

seed=${1:-1}
[[ $seed =~ ^[0-9]+$ ]] || { sed -n '2,6p' "$0" >&2; exit 2; }
rows=400 # of a part

chaos_begin seal "$seed"
chaos_up
chaos_settings
sandbox '{"seed":"'"$seed"'","latency_ms":"5-20","rates":"","callback_retries":"20"}'
bearer="Authorization: Bearer $(<"$key_file")"

# request METHOD PATH [curl's arguments]: prints the body; sets code by a file, for it runs in a
# subshell.
request() {
    local method=$1 path=$2
    shift 2
    curl -sS -m 20 -X "$method" -H "$bearer" -o "$work/body.$BASHPID" -w '%{http_code}' "$@" \
        "$url/api/v1/$path" >"$work/code"
    cat "$work/body.$BASHPID"
}

accepted() { [[ $(<"$work/code") == 2* ]] || fail "$1: $(<"$work/code") $2"; }

# new_audience: prints its id.
new_audience() {
    local body
    body=$(request POST audiences -H 'Content-Type: application/json' \
        -H "Idempotency-Key: audience-$EPOCHREALTIME" -d '{"name":"sealed"}')
    accepted "an audience" "$body"
    jq -er .id <<<"$body"
}

# put_part AUDIENCE PART FILE: prints the report.
put_part() {
    request PUT "audiences/$1/parts/$2" -H 'Content-Type: text/csv' --data-binary "@$3"
}

# sealed REPORT...: the body of the seal.
sealed() {
    printf '%s\n' "$@" | jq -cs '{parts: map({part, rows, rejected_total, sha256})}'
}

# seal AUDIENCE REPORT...
seal() {
    local audience=$1 body
    shift
    body=$(request POST "audiences/$audience/seal" -H 'Content-Type: application/json' \
        -d "$(sealed "$@")")
    accepted "the seal" "$body"
}

# create_campaign AUDIENCE: sets campaign.
create_campaign() {
    printf 'Namaste {name}, your class begins at nine.\n' >"$work/text.txt"
    campaign=$(telehub campaign create --name seal --channel sms --audience "$1" \
        --text "$work/text.txt" --pace max --json | jq -er .id) || fail "no campaign"
}

for ((i = 0; i < 6; i++)); do
    audience_write "$work/people.$i" $((i * rows)) "$rows"
done

say "each part is uploaded, one again as it was, one again with others"
audience=$(new_audience)
zero=$(put_part "$audience" 0 "$work/people.0")
accepted "part 0" "$zero"
for file in 1 2; do
    one=$(put_part "$audience" 1 "$work/people.$file")
    accepted "part 1" "$one"
done
[ "$(put_part "$audience" 0 "$work/people.0" | jq -c '{part, rows, sha256}')" = \
    "$(jq -c '{part, rows, sha256}' <<<"$zero")" ] || fail "a repeat gets another report"

say "the same bytes come again while the seal is on its way"
uploads=()
for ((i = 0; i < 8; i++)); do
    curl -sS -m 20 -o /dev/null -X PUT -H "$bearer" -H 'Content-Type: text/csv' \
        --data-binary "@$work/people.$((i % 2 * 2))" \
        "$url/api/v1/audiences/$audience/parts/$((i % 2))" &
    uploads+=($!)
done
seal "$audience" "$zero" "$one"

say "other people come after it, in the place of those who were sealed, and in front of them"
for part in 0 1 2; do # a gateway whose views lag takes them, one that knows the seal does not
    put_part "$audience" "$part" "$work/people.$((3 + part))" >"$work/after"
    [[ $(<"$work/code") == 202 || $(<"$work/code") == 409 ]] ||
        fail "a part after the seal: $(<"$work/code") $(<"$work/after")"
    say "part $part after the seal: $(<"$work/code")"
done
wait "${uploads[@]}"
create_campaign "$audience"
telehub campaign start "$campaign" >&2 || fail "the campaign does not start"
put_part "$audience" 1 "$work/people.5" >/dev/null
until_executions $((rows / 2))
kill_run
chaos_up
put_part "$audience" 0 "$work/people.4" >/dev/null
[ "$(<"$work/code")" = 409 ] || fail "a part of a sealed audience is taken: $(<"$work/code")"
campaign_await completed 60
ledger_settle 60
campaign_settle 60
check_partition $((2 * rows))

# Parts 0 and 2 of the people, each once, or listed as in doubt; of the others nobody.
telehub recipients "$campaign" --outcome in_doubt --csv >"$work/in_doubt.csv"
curl -fsS "$ledger_url?format=csv" >"$work/ledger.csv"
awk -F, -v rows="$rows" '
    FNR == 1 { file++; for (i = 1; i <= NF; i++) { gsub(/"/, "", $i); column[file, $i] = i } next }
    { to = $column[file, file == 1 ? "to" : "phone"]; gsub(/"/, "", to); who = substr(to, 5) + 0 }
    file == 1 { calls[who]++ }
    file == 2 { doubt[who] = 1 }
    END {
        for (name in calls) {
            who = name + 0
            twice += calls[name] > 1
            strangers += !(who < rows || (who >= 2 * rows && who < 3 * rows))
        }
        for (i = 0; i < rows; i++)
            skipped += (!calls[i] && !(i in doubt)) + (!calls[2 * rows + i] && !((2 * rows + i) in doubt))
        printf "%d called twice, %d skipped, %d called who were not sealed\n", twice, skipped, strangers
        exit twice || skipped || strangers
    }' "$work/ledger.csv" "$work/in_doubt.csv" >"$work/verdict" || fail "$(<"$work/verdict")"
say "$(<"$work/verdict")"
check_compare

say "others were uploaded after the part was counted, before the seal: nobody is called"
get_count
before=$executions
audience=$(new_audience)
zero=$(put_part "$audience" 0 "$work/people.3")
put_part "$audience" 0 "$work/people.4" >/dev/null
seal "$audience" "$zero"
create_campaign "$audience"
if said=$(telehub campaign start "$campaign" 2>&1); then
    fail "an audience that is not as sealed is started: $said"
fi
[[ $said == *"uploaded again"* ]] || fail "the refusal does not say why: $said"

say "the seal counts a part that nobody uploaded: nobody is called"
audience=$(new_audience)
zero=$(put_part "$audience" 0 "$work/people.3")
seal "$audience" "$zero" "$(jq -c '.part = 1' <<<"$zero")"
create_campaign "$audience"
if said=$(telehub campaign start "$campaign" 2>&1); then
    fail "an audience without its parts is started: $said"
fi
[[ $said == *missing* ]] || fail "the refusal does not say why: $said"
get_count
[ "$executions" = "$before" ] || fail "$((executions - before)) were called"
echo "passed: a part uploaded again around the seal skips nobody, and calls nobody twice, seed $seed"
