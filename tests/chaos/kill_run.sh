#!/usr/bin/env bash
# kill -9 of `telehub run` at random moments of campaigns, restarted each time by deploy/up: nobody is
# skipped, nobody is called twice, and who may have been called is listed.
#
#   tests/chaos/kill_run.sh [KILLS [SEED [--controls]]]     25 kills by default; 6 in tests/run
#
# Moments are drawn over the provider's own count of executions, so that they fall where the work is.
# The provider answers after 5 to 200 ms, drops some answers, throttles some requests, and repeats,
# delays and reorders callbacks. --controls: the campaigns are also paused and resumed around the
# kills, and the last one is cancelled.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

kills=${1:-25} seed=${2:-1} controls=${3:-}
[[ $kills =~ ^[0-9]+$ && $kills -gt 0 && $seed =~ ^[0-9]+$ ]] || { sed -n '2,5p' "$0" >&2; exit 2; }
kills_per_campaign=6
people=12000 # of one campaign
rate_min=1000

chaos_begin kill-run "$seed"
chaos_up
chaos_settings
sandbox '{"seed":"'"$seed"'","latency_ms":"5-200","late_ms":"1000-2000","callback_retries":"20",
    "rates":"undelivered=1,drop_after=0.3,http_500_after=0.2,http_429=0.3,dup_callback=3,late_callback=1,reorder_callback=3"}'

all_in_flight=() all_kills=() all_recoveries=()

# control VERB: by the API; a command that was accepted is durable, whatever we kill next.
control() {
    curl -fsS -m 10 -X POST -H "Authorization: Bearer $(<"$key_file")" \
        -H "Idempotency-Key: $1-$campaign-$RANDOM$RANDOM" \
        "$url/api/v1/campaigns/$campaign/$1" >/dev/null || fail "$1 was refused"
}

# Nothing is started while it is paused: what the provider counts stands still.
check_paused() {
    local before
    campaign_await paused 30
    get_count
    before=$executions
    nap 0.5
    get_count
    # A request that was in the air when the pause took effect may still be counted.
    [ "$executions" -le $((before + 1024)) ] || fail "$((executions - before)) sends while paused"
    before=$executions
    nap 1
    get_count
    [ "$executions" = "$before" ] || fail "$((executions - before)) sends a second after the pause"
}

# kill_at N WHAT: kill when N were executed, after WHAT; restart; note when and what was in flight.
kill_at() {
    local what=$2
    until_executions "$1"
    if [ "$what" != plain ]; then
        control "$what"
        nap "0.0$(between 0 9)"
        get_count
    fi
    kill_run
    all_kills+=("${EPOCHREALTIME/[.,]/}")
    all_in_flight+=("$in_flight")
    in_flight_sum=$((in_flight_sum + in_flight))
    say "kill ${#all_in_flight[@]}: executions=$executions in_flight=$in_flight after=$what"
    chaos_up
}

# rates_at_kills: for each kill the executions per second of the second before it, or of what there
# was of it since the kill before; the ledger has their times.
rates_at_kills() {
    local i
    for ((i = 0; i < ${#all_kills[@]}; i++)); do
        awk -F, -v from="$((i > 0 ? all_kills[i - 1] : 0))" -v to="${all_kills[i]}" '
            FNR == 1 { for (i = 1; i <= NF; i++) if ($i == "at_us") at = i; next }
            $at > from && $at <= to && $at > to - 1000000 { n++; if (!first || $at < first) first = $at }
            END { if (n >= 50) printf "%d\n", n * 1000000 / (to - first + 1) }' "$work/ledger.csv"
    done
}

# awaken: the time from a restart to the first call after it.
awaken() {
    local began
    began=$(now_ms)
    until_executions $((executions + 1))
    all_recoveries+=($(($(now_ms) - began)))
}

# one_campaign NUMBER KILLS HOW: HOW is plain, controls or cancel.
one_campaign() {
    local number=$1 n=$2 how=$3 first=$(($1 * people)) base moments moment what i=0
    in_flight_sum=0
    campaign_begin "$first" "$people"
    get_count
    base=$executions
    moments=$(for ((i = 0; i < n; i++)); do
        RANDOM=$((seed + number * 1000 + i))
        between $((people / 50)) $((people * 9 / 10))
    done | sort -n)
    i=0
    for moment in $moments; do
        i=$((i + 1)) what=plain
        if [ "$how" != plain ] && [ $((i % 2)) = 0 ]; then
            what=pause
        fi
        kill_at $((base + moment)) "$what"
        if [ "$what" = pause ]; then
            check_paused
            control resume
            if [ $((i % 4)) = 0 ]; then # again, before it has properly begun
                kill_run
                chaos_up
            fi
        fi
        [ "$what" = pause ] || awaken
    done
    if [ "$how" = cancel ]; then
        control cancel
        kill_run
        chaos_up
        campaign_await cancelled 120
    else
        campaign_await completed 180
    fi
    say "$(campaign_status)"
    ledger_settle 60
    say "every callback is delivered"
    campaign_settle 90
    say "certificate: $certificate"
    check_partition "$people"
    check_ledger "$first" "$people" "$in_flight_sum"
    check_compare
}

left=$kills number=0
while [ "$left" -gt 0 ]; do
    n=$((left < kills_per_campaign ? left : kills_per_campaign))
    left=$((left - n)) how=plain
    if [ -n "$controls" ]; then
        how=$([ "$left" = 0 ] && echo cancel || echo controls)
    fi
    one_campaign "$number" "$n" "$how"
    number=$((number + 1))
done

say "in flight at the kills: ${all_in_flight[*]}"
mapfile -t all_rates < <(rates_at_kills)
say "sends per second in the second before: ${all_rates[*]:-}"
say "ms from being ready to the first send: ${all_recoveries[*]:-}"
middle=$(median "${all_in_flight[@]}")
rate=$(median "${all_rates[@]:-0}")
[ -n "$controls" ] || [ "$middle" -ge 20 ] || fail "the median in flight is $middle, below 20"
[ -n "$controls" ] || [ "$rate" -ge "$rate_min" ] || fail "the median rate is $rate/s, below $rate_min"
echo "passed: $kills kills, seed $seed${controls:+, with controls}: median in flight $middle, median $rate sends/s, nobody skipped, nobody called twice"
