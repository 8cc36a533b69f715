#!/usr/bin/env bash
# kill -9 of Postgres and of the gateway's process under 64 connections of POST /api/v1/sends: every
# 202 is in the log exactly once, a repeat with the same key gives the same id, and nobody is called
# twice because a client had to repeat.
#
#   tests/chaos/kill_ingest.sh [--log postgres|kafka] [KILLS [SEED]]     20 kills by default; 6 in tests/run
#
# Kills alternate: all processes of Postgres at once, as a power cut would, or, where the log lies in it,
# Kafka's only node; the gateway's process.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

chaos_log "$@"
shift "$options_n"
kills=${1:-20} seed=${2:-1}
[[ $kills =~ ^[1-9][0-9]?$ && $seed =~ ^[0-9]+$ ]] || { sed -n '2,6p' "$0" >&2; exit 2; }

chaos_begin kill-ingest "$seed"
chaos_up
chaos_settings
post_sends=$(build_program tests/chaos post_sends)
sandbox '{"seed":"'"$seed"'","latency_ms":"5-50","rates":"","callback_retries":"20"}'

# While clients ask for a second and finish what they began, one thing dies.
slice=100000
under_way=0
window_max=512 # requests that a slot of dispatch may have on their way
for ((i = 0; i < kills; i++)); do
    "$post_sends" "$port" "$key_file" "$slice" --first $((i * slice)) --connections 64 \
        --seconds 1 --patience 120 --out "$work/answers.$i" >"$work/client.$i" &
    client=$!
    nap "0.$(between 10 90)"
    if [ $((i % 2)) = 0 ] && [ "$log" = kafka ]; then
        what=Kafka
        kill_kafka
    elif [ $((i % 2)) = 0 ]; then
        what=Postgres
        cluster_kill "$dir/postgres"
    else
        what="the gateway"
        get_count
        under_way=$((under_way + in_flight + window_max))
        kill_run
    fi
    chaos_up
    wait "$client" || fail "the client says: $(<"$work/client.$i")"
    say "kill $((i + 1)), $what: $(<"$work/client.$i")"
done
cat "$work"/answers.* >"$work/told"
requests=$(wc -l <"$work/told")
# Who was not told off waited until Kafka was back: longer than the second in which requests are made.
jq -es 'all(.lost + .unavailable > 0 or .seconds > 2)' "$work"/client.* >/dev/null ||
    fail "a kill came when no request was under way"

say "the same keys again"
"$post_sends" "$port" "$key_file" "$requests" --again "$work/told" --patience 120 \
    >"$work/again" || fail "a repeat got another answer: $(<"$work/again")"
jq -e --argjson n "$requests" '.replayed == $n and .accepted == 0' "$work/again" \
    >/dev/null || fail "repeats were taken for new: $(<"$work/again")"
say "$(<"$work/again")"

say "what the log holds"
telehub log tail send.requests --all >"$work/log" || fail "telehub log tail"
jq -r '.event[] | .send' "$work/log" | sort >"$work/logged_ids"
cut -d ' ' -f 2 "$work/told" | sort >"$work/told_ids"
[ "$(sort -u "$work/told_ids" | wc -l)" = "$requests" ] || fail "two requests have one id"
cmp -s "$work/logged_ids" "$work/told_ids" || {
    diff "$work/logged_ids" "$work/told_ids" | head -n 20 >&2
    fail "the log has $(wc -l <"$work/logged_ids") sends, the clients $(wc -l <"$work/told_ids")"
}

# Whoever was in the air when the gateway's process died may never have arrived. Each of those is
# listed, and they are no more than were under way.
for ((i = 0; i < 240; i++)); do
    curl -fsS "$ledger_url?format=csv" >"$work/ledger.csv"
    awk -F, 'FNR == 1 { file++; for (i = 1; i <= NF; i++) if ($i ~ /^"?to"?$/) to = i; next }
        file == 1 { gsub(/"/, "", $to); called[$to] = 1 }
        file == 2 { split($0, word, " "); if (!(sprintf("+91900%07d", word[1]) in called)) print word[2] }
        ' "$work/ledger.csv" <(echo; cat "$work/told") | sort >"$work/not_called"
    sql "SELECT send FROM views.attempts WHERE state IN ('unknown', 'in_doubt')" | sort \
        >"$work/unknown"
    comm -23 "$work/not_called" "$work/unknown" >"$work/skipped"
    [ -s "$work/skipped" ] || break
    nap 0.5
done
[ ! -s "$work/skipped" ] ||
    fail "$(wc -l <"$work/skipped") were accepted and neither called nor listed as unknown: $(head -n 3 "$work/skipped")"
not_called=$(wc -l <"$work/not_called")
[ "$not_called" -le "$under_way" ] || fail "$not_called were not called, and $under_way were under way"
say "$((requests - not_called)) of $requests were called, $not_called are listed as unknown"
ledger_settle 60
curl -fsS "$ledger_url/summary" >"$work/summary"
jq -e '.recipients_executed_again == 0' "$work/summary" >/dev/null ||
    fail "somebody was called twice: $(<"$work/summary")"
say "ledger: $(<"$work/summary")"
echo "passed: $kills kills on $log, seed $seed: $requests accepted requests are in the log once, repeats are told the same id"
