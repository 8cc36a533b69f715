#!/usr/bin/env bash
# kill -9 of `telehub run` at random moments of campaigns, restarted each time by deploy/up: nobody is
# skipped, nobody is called twice, and who may have been called is listed.
#
#   tests/chaos/kill_run.sh [--log postgres|kafka] [KILLS [SEED [--controls]]]
#
# 25 kills by default; a few in tests/run. --log kafka: the log lies in Kafka, and each fifth kill is one
# of Kafka's only node, without which telehub has to wait.
# Moments are drawn over the provider's own count of executions, so that they fall where the work is.
# The provider answers after 5 to 200 ms (--controls: to 1,500, so that at a pace many are in flight as
# well), drops some answers, throttles some requests, and repeats, delays and reorders callbacks.
# --controls: the campaigns have a pace; around the kills it is changed, and they are paused and resumed;
# the last one and each eighth are cancelled. By the ledger no 60 seconds hold more calls than the pace
# allowed in them, and views that are built anew from the log equal the live ones.
#
# Any number of kills: every few campaigns the installation is thrown away and made anew, and what is
# checked is one campaign's. Several may run at a time; with --controls nothing depends on speed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

chaos_log "$@"
shift "$options_n"
kills=${1:-25} seed=${2:-1} controls=${3:-}
[[ $kills =~ ^[0-9]+$ && $kills -gt 0 && $seed =~ ^[0-9]+$ && $controls =~ ^(--controls)?$ ]] ||
    { sed -n '2,8p' "$0" >&2; exit 2; }
kills_per_campaign=$([ -n "$controls" ] && echo 20 || echo 6)
campaigns_per_installation=5
people=10000 # of one campaign
rate_min=$([ "$log" = kafka ] && echo 100 || echo 1000)
paces=(2000 3000 4000 6000 12000 max) # sends in 60 s
look_ahead_us=5000000             # how far ahead of its time a release may be made,
way_us=3000000                    # and how long after it a call may reach the provider

all_in_flight=() all_rates=() all_recoveries=()

installation_begin() {
    chaos_up
    chaos_settings
    sandbox '{"seed":"'"$seed"'","latency_ms":"5-'"$([ -n "$controls" ] && echo 1500 || echo 200)"'","late_ms":"1000-2000","callback_retries":"20",
        "rates":"undelivered=1,drop_after=0.3,http_500_after=0.2,http_429=0.3,dup_callback=3,late_callback=1,reorder_callback=3"}'
}

# --- controls --------------------------------------------------------------------------------------

# control VERB [JSON]: by the API; a command that was accepted is durable, whatever we kill next. Sets
# commanded, its id.
control() {
    local answer
    answer=$(curl -fsS -m 60 -X POST -H "Authorization: Bearer $(<"$key_file")" \
        -H "Idempotency-Key: $1-$campaign-$RANDOM$RANDOM" \
        ${2:+-H 'Content-Type: application/json' -d "$2"} \
        "$url/api/v1/campaigns/$campaign/$1") || fail "$1 was refused"
    commanded=$(jq -er .command <<<"$answer")
}

# draw_pace: sets pace.
draw_pace() { pace=${paces[$(between 0 $((${#paces[@]} - 1)))]}; }

# change_pace: to another one, which is noted.
change_pace() {
    local was=$pace
    while [ "$pace" = "$was" ]; do
        draw_pace
    done
    control pace "$(jq -cn --arg pace "$pace" '{pace: (if $pace == "max" then $pace else $pace | tonumber end)}')"
    changes+=("$commanded $pace")
}

# Nothing is started while it is paused: what the provider counts comes to a stand, and what still
# moves it was in the air. False when the campaign had ended before.
is_paused() {
    local deadline=$((SECONDS + 60)) before
    campaign_await 'paused|completed' 300
    [ "$status" = paused ] || return 1
    get_count
    first_seen=$executions
    while before=$executions; nap 1; get_count; [ "$executions" != "$before" ]; do
        [ "$SECONDS" -lt "$deadline" ] || fail "it is paused and sends all the same"
    done
    [ "$executions" -le $((first_seen + 1024)) ] ||
        fail "$((executions - first_seen)) sends while paused"
    before=$executions
    nap 1
    get_count
    [ "$executions" = "$before" ] || fail "$((executions - before)) sends after all had come to a stand"
}

# moment_us SQL: a moment of the views, µs UTC; nothing if there is none.
moment_us() {
    local gen
    gen=$(sql "SELECT gen FROM views.generation WHERE state = 'current'")
    sql "SELECT (extract(epoch FROM $1) * 1000000)::bigint FROM view_g$gen.$2"
}

# write_paces: from when until when calls of each pace may have reached the provider. A change holds
# for what is released from then on; without a limit nothing is late, and the first release after the
# change comes when all before it are used up. A change that came too late was refused.
write_paces() {
    local from=0 until pace=$first_pace change next changed
    for change in "${changes[@]}"; do
        next=${change#* }
        changed=$(moment_us decided_at "commands WHERE command = '${change% *}' AND status = 'applied'")
        [ -n "$changed" ] || continue
        until=$((changed + look_ahead_us + way_us))
        if [ "$pace" = max ]; then
            until=$(moment_us 'min(released_at)' "releases WHERE campaign = '$campaign'
                AND released_at > to_timestamp($changed::numeric / 1000000)")
            until=$((${until:-9000000000000000} + way_us))
        fi
        echo "$from $until $pace"
        from=$changed pace=$next
    done
    echo "$from 9000000000000000 $pace"
}

check_pace() {
    calls_of "$1" "$people" >"$work/calls"
    write_paces >"$work/paces"
    check_windows "$work/calls" "$work/paces"
    say "paces: $(awk '{ printf "%s%s", sep, $3; sep = ", " }' "$work/paces"); the fullest 60 s: $fullest"
}

# --- kills -----------------------------------------------------------------------------------------

# kill_at N WHAT: kill when N were executed, after WHAT; restart; note when and what was in flight.
kill_at() {
    local what=$2
    until_executions "$1"
    case $what in
    pause) control pause ;;
    pace) change_pace ;;
    esac
    if [[ $what = @(pause|pace) ]]; then
        nap "0.0$(between 0 9)"
        get_count
    fi
    if [ "$what" = kafka ]; then
        kill_kafka
    else
        kill_run
        in_flight_sum=$((in_flight_sum + in_flight))
    fi
    killed_at+=("${EPOCHREALTIME/[.,]/}")
    all_in_flight+=("$in_flight")
    [ "$what" != pace ] || what="pace=$pace"
    say "kill ${#all_in_flight[@]}: executions=$executions in_flight=$in_flight after=$what"
    chaos_up
}

# rates_at_kills: for each kill of the campaign the executions per second of the second before it, or
# of what there was of it since the kill before; the ledger has their times.
rates_at_kills() {
    local i
    for ((i = 0; i < ${#killed_at[@]}; i++)); do
        awk -F, -v from="$((i > 0 ? killed_at[i - 1] : 0))" -v to="${killed_at[i]}" '
            FNR == 1 { for (i = 1; i <= NF; i++) if ($i == "at_us") at = i; next }
            $at > from && $at <= to && $at > to - 1000000 { n++; if (!first || $at < first) first = $at }
            END { if (n >= 50) printf "%d\n", n * 1000000 / (to - first + 1) }' "$work/ledger.csv"
    done
}

# awaken: the time from a restart to the first call after it, if there is one to come.
awaken() {
    local began before=$executions looked
    began=$(now_ms) looked=$SECONDS
    while get_count; [ "$executions" -le "$before" ]; do
        if [ $((SECONDS - looked)) -ge 1 ]; then
            looked=$SECONDS
            [ "$(campaign_status)" != completed ] || return 0
            [ $(($(now_ms) - began)) -lt 120000 ] || fail "nothing is sent after the restart"
        fi
        nap 0.004
    done
    all_recoveries+=($(($(now_ms) - began)))
}

# draw_what: what happens before a kill; kafka: whose it is.
draw_what() {
    local all=(plain pause pace)
    what=plain
    if [ "$log" = kafka ] && [ $((${#all_in_flight[@]} % 5)) = 4 ]; then
        what=kafka
    elif [ -n "$controls" ]; then
        what=${all[$(between 0 2)]}
    fi
}

# kill_around MOMENT WHAT
kill_around() {
    kill_at "$1" "$2"
    if [ "$2" != pause ]; then
        awaken
        return
    fi
    is_paused || return 0
    [ "$(between 0 1)" = 0 ] || change_pace
    control resume
    if [ "$(between 0 1)" = 0 ]; then # again, before it has properly begun
        kill_run
        chaos_up
    fi
}

# --- campaigns -------------------------------------------------------------------------------------

# one_campaign NUMBER KILLS HOW: HOW is completed or cancelled.
one_campaign() {
    local number=$1 n=$2 how=$3 first=$(($1 % campaigns_per_installation * people)) base moments moment
    local what latest=$((people * 8 / 10))
    in_flight_sum=0 killed_at=() changes=() pace=max
    while [ -n "$controls" ] && [ "$pace" = max ]; do # so that some windows have a limit
        draw_pace
    done
    [ "$how" = completed ] || latest=$((people * 6 / 10))
    first_pace=$pace
    campaign_begin "$first" "$people" "$pace"
    get_count
    base=$executions
    moments=$(for ((i = 0; i < n; i++)); do
        RANDOM=$((seed + number * 1000 + i))
        between $((people / 50)) "$latest"
    done | sort -n)
    for moment in $moments; do
        draw_what
        kill_around $((base + moment)) "$what"
    done
    if [ "$how" = cancelled ]; then
        control cancel
        kill_run
        chaos_up
    fi
    campaign_await "$how|completed" 900 # at full pace it may be over before it is cancelled
    how=$status
    ledger_settle 300
    campaign_settle 300
    say "campaign $((number + 1)), $how: $certificate"
    check_partition "$people"
    check_ledger "$first" "$people" "$in_flight_sum"
    check_compare
    mapfile -t -O "${#all_rates[@]}" all_rates < <(rates_at_kills)
    if [ -n "$controls" ]; then
        check_pace "$first"
        telehub view verify --json >"$work/verify" || fail "view verify: $(<"$work/verify")"
        say "view verify: $(<"$work/verify")"
    fi
}

chaos_begin kill-run "$seed"
installation_begin
left=$kills number=0
while [ "$left" -gt 0 ]; do
    n=$((left < kills_per_campaign ? left : kills_per_campaign))
    left=$((left - n)) how=completed
    if [ -n "$controls" ] && { [ "$left" = 0 ] || [ $((number % 8)) = 7 ]; }; then
        how=cancelled
    fi
    if [ "$number" -gt 0 ] && [ $((number % campaigns_per_installation)) = 0 ]; then
        chaos_down
        installation_begin
    fi
    one_campaign "$number" "$n" "$how"
    number=$((number + 1))
done

say "in flight at the kills: ${all_in_flight[*]}"
say "sends per second in the second before: ${all_rates[*]:-}"
say "ms from being ready to the first send: ${all_recoveries[*]:-}"
middle=$(median "${all_in_flight[@]}")
rate=$(median "${all_rates[@]:-0}")
[ -n "$controls" ] || [ "$middle" -ge 20 ] || fail "the median in flight is $middle, below 20"
[ -n "$controls" ] || [ "$rate" -ge "$rate_min" ] || fail "the median rate is $rate/s, below $rate_min"
echo "passed: $kills kills on $log, seed $seed${controls:+, with controls}: $number campaigns, median in flight $middle, median $rate sends/s, nobody skipped, nobody called twice${controls:+, no pace exceeded}"
