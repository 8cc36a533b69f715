# campaign.sh - what a campaign costs, from the upload to the last final row: of PEOPLE against the bare
# loops, and of other sizes against the smallest. Sourced by benchmarks/run.
#
# shellcheck shell=bash disable=SC2154 # tests/chaos/lib.sh and its siblings set what is shared

provider='{"latency_ms":"5-5","rates":"","price_delay_ms":"0"}'

# bare_campaign N: the better of 128 and of 256 in flight; sets bare.
bare_campaign() {
    local program in_flight answer rate=0
    program=$(build_program benchmarks bare_campaign)
    for in_flight in 128 256; do
        answer=$("$program" "$sandbox_port" AC00000000000000000000000000000001 \
            "$dir/sandbox/secret" "$1" "$in_flight")
        if [ "$(field per_s <<<"$answer")" -gt "$rate" ]; then
            bare=$answer rate=$(field per_s <<<"$answer")
        fi
    done
}

# until_shown QUERY N SECONDS: until the views count so many. False when they do not by then.
until_shown() {
    local deadline=$(($(now_ms) + $3 * 1000))
    until [ "$(sql "$1")" = "$2" ]; do
        [ "$(now_ms)" -lt "$deadline" ] || return 1
        nap 0.2
    done
}

# campaign_measure FIRST N: a campaign by a telehub that is new; sets seconds, up to the last final row,
# the ticks of all, prices included, and telehub_peak and postgres_mb, what is resident.
campaign_measure() {
    local n=$2 began patience=$((120 + $2 / 200))
    telehub_restart
    cost_begin
    get_count
    local before=$executions
    began=$(now_ms)
    campaign_begin "$1" "$n"
    # The provider is asked first, which costs no process and no Postgres.
    ledger_await $((before + n)) "$patience"
    # What an analyst would see.
    until_shown "SELECT reached FROM analytics.campaigns WHERE campaign = '$campaign'" "$n" "$patience" ||
        fail "not all are reached: $(telehub certificate "$campaign" --json)"
    seconds=$(jq -n "($(now_ms) - $began) / 1000")
    # Prices are asked for a little later, many at once; they belong to what a send costs.
    until_shown "SELECT coalesce(sum(n), 0) FROM views.campaign_costs
        WHERE campaign = '$campaign' AND NOT is_estimated" "$n" "$patience" ||
        fail "not all prices are known"
    cost_end
    telehub_peak=$(peak_mb "$(telehub_pid)")
    # shellcheck disable=SC2046 # a list of pids
    postgres_mb=$(memory_mb $(postgres_pids))
    campaign_settle "$patience"
    check_partition "$n"
}

# rate N: sends a second of what was measured.
rate() { jq -n "$1 / $seconds | round"; }

# all_mb: telehub's peak, and what Postgres has at the end.
all_mb() { jq -n "($telehub_peak + $postgres_mb) * 10 | round / 10"; }

part_campaign() {
    local bare seconds loop="a curl multi loop and libmicrohttpd, nothing durable" of="$people people"
    chaos_up
    sandbox "$provider"
    bare_campaign "$people"
    campaign_measure 0 "$people"
    result "campaign, from upload to the last final row" "$(rate "$people")" "sends/s" "$loop" \
        "$(field per_s <<<"$bare")" more "$of"
    result "campaign, whole stack" "$(cpu_us $((telehub_ticks + postgres_ticks)) "$people")" \
        "CPU us/send" "$loop" "$(field cpu_us <<<"$bare")" less "$of"
    result "campaign, telehub" "$(cpu_us "$telehub_ticks" "$people")" "CPU us/send" "" "" less "$of"
    result "campaign, postgres" "$(cpu_us "$postgres_ticks" "$people")" "CPU us/send" "" "" less "$of"
    result "campaign, sandbox" "$(cpu_us "$sandbox_ticks" "$people")" "CPU us/send" "" "" less "$of"
    result "campaign, telehub, resident peak" "$telehub_peak" MB "" "" less "$of"
    result "campaign, telehub and postgres, resident" "$(all_mb)" MB "" "" less "$of"
    installation_end
}

# --- the same per send, whatever the size? ---------------------------------------------------------

# size_results N OF: of the campaign just measured; against the one of size_base, if there is one.
size_results() {
    local n=$1 of=$2 peer=${size_base:+the same, $size_base}
    size_cpu=$(cpu_us $((telehub_ticks + postgres_ticks)) "$n") size_per_s=$(rate "$n")
    result "size, from upload to the last final row" "$size_per_s" "sends/s" "$peer" "$base_per_s" \
        more "$of"
    result "size, whole stack" "$size_cpu" "CPU us/send" "$peer" "$base_cpu" less "$of"
    result "size, telehub" "$(cpu_us "$telehub_ticks" "$n")" "CPU us/send" "" "" less "$of"
    result "size, postgres" "$(cpu_us "$postgres_ticks" "$n")" "CPU us/send" "" "" less "$of"
    result "size, telehub, resident peak" "$telehub_peak" MB "" "" less "$of"
    result "size, telehub and postgres, resident" "$(all_mb)" MB "" "" less "$of"
}

# size_base OF: what was measured last is what the next ones are compared with.
size_base() { size_base=$1 base_cpu=$size_cpu base_per_s=$size_per_s; }

# size_empty N OF: a campaign in an installation that is new.
size_empty() {
    chaos_up
    sandbox "$provider"
    campaign_measure 0 "$1"
    size_results "$1" "$2"
}

# size_filled N SENDS: a campaign where so many sends are stored, in the views and in the log, against
# the same one before they were. The log is filled with the records of that one.
size_filled() {
    local of="$1 people, $2 sends stored"
    fill_needs_room "$2"
    size_empty "$1" "$1 people, none stored"
    size_base "$1 people, none stored"
    service_stop "$dir/run/telehub.pid" "$owner" telehub 2>>"$work/up.log"
    log_fill "$2" "$1"
    views_fill "$2"
    campaign_measure "$1" "$1"
    size_results "$1" "$of"
    result "size, log and views on disk" "$(sql "SELECT pg_database_size('telehub') / 1000000")" MB \
        "" "" less "$of"
}

part_size() {
    local n seconds size_base='' base_cpu='' base_per_s='' size_cpu size_per_s
    for n in $sizes; do
        say "a campaign of $n"
        size_empty "$n" "$n people"
        installation_end
        [ -n "$size_base" ] || size_base "$n people"
    done
    say "a campaign of $people where $stored sends are stored"
    size_filled "$people" "$stored"
    installation_end
}
