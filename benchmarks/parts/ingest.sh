# ingest.sh - POSTs of one send each over 64 connections, each durable before it is answered.
# Sourced by benchmarks/run.
#
# shellcheck shell=bash disable=SC2154 # tests/chaos/lib.sh sets what is shared

connections=64

# bare_ingest: the better of one and of two threads; sets bare.
bare_ingest() {
    local threads program answer rate=0 bare_port
    program=$(build_program benchmarks bare_ingest)
    for threads in 1 2; do
        coproc SERVER { exec "$program" "$threads" 2>/dev/null; }
        read -r bare_port <&"${SERVER[0]}"
        answer=$("$post_sends" "$bare_port" "$key_file" 300000 --connections "$connections" --seconds 4)
        eval "exec ${SERVER[1]}>&-"
        wait "$SERVER_PID" || true
        if [ "$(field per_s <<<"$answer")" -gt "$rate" ]; then
            bare=$answer rate=$(field per_s <<<"$answer")
        fi
    done
}

# ingest WHAT: sends for some seconds, after a second that does not count.
ingest() {
    local answer peer="libmicrohttpd and jansson, nothing durable"
    "$post_sends" "$port" "$key_file" 200000 --first "$first" --connections "$connections" \
        --seconds 1 >/dev/null
    first=$((first + 200000))
    answer=$("$post_sends" "$port" "$key_file" 1000000 --first "$first" \
        --connections "$connections" --seconds 6)
    first=$((first + 1000000))
    result "ingest, $1" "$(field per_s <<<"$answer")" "requests/s" "$peer" "$(field per_s <<<"$bare")"
    result "ingest, $1, p50" "$(field p50_ms <<<"$answer")" ms "$peer" "$(field p50_ms <<<"$bare")" less
    result "ingest, $1, p99" "$(field p99_ms <<<"$answer")" ms "$peer" "$(field p99_ms <<<"$bare")" less
}

# gateway_alone: what it accepts waits in the log.
gateway_alone() {
    local began
    service_stop "$dir/run/telehub.pid" "$owner" telehub 2>>"$work/up.log"
    service_start "$dir/run/telehub.pid" "$owner" "$dir/log/gateway.log" \
        env TELEHUB_DIR="$dir" "$telehub_bin" run gateway
    began=$SECONDS
    until curl -fs -o /dev/null "$url/health/ready"; do
        [ $((SECONDS - began)) -lt 30 ] || fail "the gateway alone does not get ready"
        nap 0.1
    done
}

part_ingest() {
    local bare first=0
    chaos_up
    post_sends=$(build_program tests/chaos post_sends)
    bare_ingest
    sandbox '{"latency_ms":"5-5","rates":""}'
    ingest "all of it dispatched at once"
    gateway_alone
    ingest "durable"
    installation_end
}
