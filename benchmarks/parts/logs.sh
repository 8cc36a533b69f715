# logs.sh - the log in Postgres and the one in Kafka, side by side: appends, transactions, reading,
# ingest and a campaign of PEOPLE, beside what COPY into a table and Kafka's own performance tools do on
# the same server. Sourced by benchmarks/run.
#
# shellcheck shell=bash disable=SC2034,SC2154 # tests/chaos/lib.sh and its siblings set what is shared

raw_records=2000000

# raw_lines: values as the program's own, as far as they compress.
raw_lines() {
    awk -v n="$1" 'BEGIN { seed = 1
        for (i = 0; i < n; i++) {
            seed = (seed * 16807) % 2147483647
            printf "%016.0f %08x campaign=7 state=planned lane=3 pratham/41 %024d\n", seed * 40961, seed, 0
        } }'
}

# raw_postgres: rows a second of one COPY into a table without an index, and of one out of it; sets
# raw_write and raw_read, and what they are called.
raw_postgres() {
    local began
    raw_write_name="one COPY of $raw_records rows into a table" raw_read_name="the same out of it"
    raw_lines "$raw_records" >"$work/raw"
    sql 'CREATE TABLE public.raw (value text NOT NULL)'
    sql CHECKPOINT
    began=$(now_ms)
    cluster_psql "$dir/postgres" telehub -q -c 'COPY public.raw FROM STDIN' <"$work/raw"
    raw_write=$(jq -n "$raw_records * 1000 / ($(now_ms) - $began) | round")
    began=$(now_ms)
    cluster_psql "$dir/postgres" telehub -q -c 'COPY public.raw TO STDOUT' >/dev/null
    raw_read=$(jq -n "$raw_records * 1000 / ($(now_ms) - $began) | round")
    sql 'DROP TABLE public.raw'
    rm "$work/raw"
}

# raw_tool CLASS ARGUMENT...: one of the tools that come with Kafka.
raw_tool() {
    local java=() class=org.apache.kafka.tools.$1
    shift
    kafka_command "$(<"$dir/kafka/version")" "$dir/kafka/lib" "$work" "$dir/kafka"
    "${java[@]}" "$class" "$@" 2>>"$work/up.log"
}

# raw_kafka: the same of Kafka's tools, a topic of as many partitions; sets raw_txn as well.
raw_kafka() {
    local at said
    local properties=(acks=all compression.type=lz4 batch.size=100000 linger.ms=5 enable.idempotence=true)
    at=127.0.0.1:$kafka_port
    raw_write_name="ProducerPerformance, acks=all, idempotent, lz4" raw_read_name="ConsumerPerformance"
    raw_lines 1024 >"$work/raw"
    raw_tool TopicCommand --bootstrap-server "$at" --create --topic raw --partitions 32 >>"$work/up.log"
    said=$(raw_tool ProducerPerformance --topic raw --num-records "$raw_records" --throughput -1 \
        --payload-file "$work/raw" --producer-props "bootstrap.servers=$at" "${properties[@]}" | tail -n 1)
    [[ $said =~ sent,\ ([0-9]+)[.0-9]*\ records/sec ]] || fail "ProducerPerformance says: $said"
    raw_write=${BASH_REMATCH[1]}
    said=$(raw_tool ProducerPerformance --topic raw --num-records $((raw_records / 10)) --throughput -1 \
        --payload-file "$work/raw" --transactional-id raw --transaction-duration-ms 20 \
        --producer-props "bootstrap.servers=$at" "${properties[@]}" | tail -n 1)
    [[ $said =~ sent,\ ([0-9]+)[.0-9]*\ records/sec ]] || fail "ProducerPerformance says: $said"
    raw_txn=${BASH_REMATCH[1]}
    said=$(raw_tool ConsumerPerformance --bootstrap-server "$at" --topic raw --messages "$raw_records" |
        tail -n 1)
    raw_read=$(awk -F', *' '{ printf "%d", $10 }' <<<"$said")
    [ "$raw_read" -gt 0 ] || fail "ConsumerPerformance says: $said"
    raw_tool TopicCommand --bootstrap-server "$at" --delete --topic raw >>"$work/up.log"
    rm "$work/raw"
}

# beside_raw: the figures of bench_logs, each beside the raw limit it has, which was measured after it:
# whatever grows warm has done so.
beside_raw() {
    jq -c --argjson write "$raw_write" --arg write_name "$raw_write_name" --argjson read "$raw_read" \
        --arg read_name "$raw_read_name" '
        def beside($name; $value): .against = $name | .against_value = $value
            | .ratio = (.value / $value * 1000 | round / 1000);
        .name = "log, " + .name
        | if .unit != "events/s" then . elif .name | startswith("log, read") then beside($read_name; $read)
            else beside($write_name; $write) end' >>"$results"
}

# logs_bench: what the log does alone; nobody else uses the server.
logs_bench() {
    service_stop "$dir/run/telehub.pid" "$owner" telehub 2>>"$work/up.log"
    if [ "$log" = kafka ]; then
        read -r kafka_port _ <"$dir/kafka/ports"
        "$(build_program benchmarks bench_logs)" kafka "$kafka_port" 2 >"$work/bench"
        raw_kafka
        result "log, raw, transactions of 20 ms" "$raw_txn" "events/s" "without transactions" "$raw_write" \
            more kafka
    else
        "$(build_program benchmarks bench_logs)" postgres 2 >"$work/bench"
        raw_postgres
    fi
    beside_raw <"$work/bench"
    result "log, raw, written" "$raw_write" "events/s" "" "" more "$log"
    result "log, raw, read" "$raw_read" "events/s" "" "" more "$log"
}

# logs_ingest: POSTs to the gateway alone, durable before each is answered.
logs_ingest() {
    local bare first=0
    chaos_up
    post_sends=$(build_program tests/chaos post_sends)
    bare_ingest
    gateway_alone
    ingest "log in $log"
    chaos_down
}

logs_campaign() {
    local bare seconds of="log in $log, $people people"
    chaos_up
    sandbox "$provider"
    bare_campaign "$people"
    campaign_measure 0 "$people"
    result "campaign, upload to last row" "$(rate "$people")" "sends/s" \
        "a curl multi loop and libmicrohttpd, nothing durable" "$(field per_s <<<"$bare")" more "$of"
    result "campaign, all but the provider" \
        "$(cpu_us $((telehub_ticks + postgres_ticks + kafka_ticks)) "$people")" "CPU us/send" "" "" less "$of"
    result "campaign, of it telehub" "$(cpu_us "$telehub_ticks" "$people")" "CPU us/send" "" "" less "$of"
    result "campaign, of it postgres" "$(cpu_us "$postgres_ticks" "$people")" "CPU us/send" "" "" less "$of"
    result "campaign, telehub resident peak" "$telehub_peak" MB "" "" less "$of"
    if [ "$log" = kafka ]; then
        result "campaign, of it kafka" "$(cpu_us "$kafka_ticks" "$people")" "CPU us/send" "" "" less "$of"
        result "campaign, kafka resident peak" "$(peak_mb "$(kafka_pid)")" MB "" "" less "$of"
    fi
    installation_end
}

part_logs() {
    local kafka_port raw_write raw_read raw_txn raw_write_name raw_read_name
    for log in postgres kafka; do
        if [ "$log" = kafka ] && ! "$root/tests/kafka/broker" fetch >/dev/null; then
            log=postgres # for whoever comes next
            break
        fi
        say "the log in $log"
        chaos_up
        logs_bench
        chaos_down
        logs_ingest
        logs_campaign
    done
    log=postgres
}
