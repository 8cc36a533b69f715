# query.sh - the API's queries at 1,000 a second over SENDS sends. Sourced by benchmarks/run.
#
# shellcheck shell=bash disable=SC2154 # tests/chaos/lib.sh and its siblings set what is shared

query_s=10
query_first_s=2

# query_paths SENDS: what is asked for: of ten requests four about a send, the others about a campaign.
query_paths() {
    sql "SELECT CASE k % 10 WHEN 0 THEN '/api/v1/campaigns?limit=20'
            WHEN 1 THEN '/api/v1/campaigns/' || campaign
            WHEN 2 THEN '/api/v1/campaigns/' || campaign || '/progress'
            WHEN 3 THEN '/api/v1/campaigns/' || campaign || '/progress'
            WHEN 4 THEN '/api/v1/campaigns/' || campaign || '/certificate'
            WHEN 5 THEN '/api/v1/campaigns/' || campaign || '/certificate'
            ELSE '/api/v1/sends/' || send END
         FROM (SELECT row_number() OVER () AS k, send, campaign FROM views.sends
               WHERE random() < 25000.0 / $1 LIMIT 20000) s ORDER BY md5(send::text)"
}

# query_ask SECONDS: per_s a second; sets answer.
query_ask() {
    answer=$("$(build_program benchmarks get_paths)" "$port" "$key_file" "$work/paths" "$per_s" "$1") ||
        fail "queries: $answer"
}

part_query() {
    local answer kind p99 per_s=1000 n=$((1000 * query_s)) of="$sends sends"
    fill_needs_room "$sends"
    chaos_up
    views_fill "$sends"
    query_paths "$sends" >"$work/paths"
    # Nobody was connected to Postgres yet and nothing was planned: a figure of its own.
    query_ask "$query_first_s"
    result "queries, p99 of the first $query_first_s s after a start" "$(field p99_ms <<<"$answer")" ms \
        "" "" less "$of"
    cost_begin
    query_ask "$query_s"
    cost_end
    result "queries, asked for at $per_s/s" "$(field per_s <<<"$answer")" "requests/s" "" "" more "$of"
    result "queries, p50" "$(field p50_ms <<<"$answer")" ms "" "" less "$of"
    result "queries, p99" "$(field p99_ms <<<"$answer")" ms "" "" less "$of"
    while read -r kind p99; do
        result "queries, p99 of $kind" "$p99" ms "" "" less "$of"
    done < <(jq -r '.kinds | sort_by(.path)[] | "\(.path) \(.p99_ms)"' <<<"$answer")
    result "queries, telehub" "$(cpu_us "$telehub_ticks" "$n")" "CPU us/request" "" "" less "$of"
    result "queries, postgres" "$(cpu_us "$postgres_ticks" "$n")" "CPU us/request" "" "" less "$of"
    installation_end
}
