# cost.sh - CPU and memory of an installation's processes. Sourced by benchmarks/run.
#
# shellcheck shell=bash disable=SC2034,SC2154 # what is set is for the parts; dir is of tests/chaos/lib.sh

ticks_per_s=$(getconf CLK_TCK)

# ticks PID: of the process and of its children that have ended.
ticks() {
    local stat fields
    stat=$(<"/proc/$1/stat") && read -r -a fields <<<"${stat##*) }"
    echo $((fields[11] + fields[12] + fields[13] + fields[14]))
}

# postgres_pids: of all its processes.
postgres_pids() {
    local postmaster
    postmaster=$(cluster_pid "$dir/postgres")
    echo "$postmaster $(<"/proc/$postmaster/task/$postmaster/children")"
}

# ticks_postgres: its backends come and go; those that ended are counted by the postmaster.
ticks_postgres() {
    local pid sum=0
    # shellcheck disable=SC2013 # they are words of one line
    for pid in $(postgres_pids); do
        sum=$((sum + $(ticks "$pid" 2>/dev/null || echo 0)))
    done
    echo "$sum"
}

kafka_pid() { service_pid "$dir/run/kafka.pid" "$owner"; }

# ticks_kafka: 0 where the log does not lie in it.
ticks_kafka() {
    local pid
    if pid=$(kafka_pid); then ticks "$pid"; else echo 0; fi
}

# cost_begin: from here on. cost_end: sets telehub_ticks, postgres_ticks, kafka_ticks and sandbox_ticks
# since then.
cost_begin() {
    kafka_0=$(ticks_kafka)
    telehub_0=$(ticks "$(telehub_pid)") postgres_0=$(ticks_postgres) sandbox_0=$(ticks "$(sandbox_pid)")
}

cost_end() {
    telehub_ticks=$(($(ticks "$(telehub_pid)") - telehub_0))
    postgres_ticks=$(($(ticks_postgres) - postgres_0))
    kafka_ticks=$(($(ticks_kafka) - kafka_0))
    sandbox_ticks=$(($(ticks "$(sandbox_pid)") - sandbox_0))
}

# cpu_us TICKS N: CPU µs of each of N.
cpu_us() { jq -n "$1 * 1000000 / $ticks_per_s / $2 * 10 | round / 10"; }

# peak_mb PID: the most that was ever resident.
peak_mb() { awk '$1 == "VmHWM:" { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }

# memory_mb PID...: what is resident now, shared memory once.
memory_mb() {
    local pid
    for pid in "$@"; do
        awk '$1 == "Pss:" { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null || true
    done | awk '{ n += $1 } END { printf "%.1f", n / 1024 }'
}
