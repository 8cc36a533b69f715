# idle.sh - what an installation costs that has nothing to do, and how soon it then sends. Sourced by
# benchmarks/run.
#
# shellcheck shell=bash disable=SC2154 # tests/chaos/lib.sh sets what is shared

idle_s=30

part_idle() {
    local began answer
    chaos_up
    sandbox '{"latency_ms":"5-5","rates":"","price_delay_ms":"0"}'
    nap 10 # what starting leaves to do
    began=$(now_ms)
    cost_begin
    nap "$idle_s"
    cost_end
    result "idle, CPU of the whole installation" "$(jq -n \
        "($telehub_ticks + $postgres_ticks + $sandbox_ticks) * 100000 / $ticks_per_s /
        ($(now_ms) - $began) * 100 | round / 100")" "% of a core" "" "" less
    answer=$("$(build_program benchmarks idle_latency)" "$port" "$key_file" "$sandbox_port" 60 250)
    result "idle, from the POST of one send to the provider, p50" "$(field p50_ms <<<"$answer")" ms \
        "" "" less
    result "idle, from the POST of one send to the provider, p99" "$(field p99_ms <<<"$answer")" ms \
        "" "" less
    result "idle, from the POST of one send to its answer, p50" \
        "$(field answer_p50_ms <<<"$answer")" ms "" "" less
    installation_end
}
