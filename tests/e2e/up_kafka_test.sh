#!/usr/bin/env bash
# deploy/up --log kafka from an empty folder, end to end: the demo's certificate is held against the
# sandbox's own ledger, kills are survived, and no log changes its place by mistake. Where Apache
# Kafka cannot be fetched that is said, and the exit status is 77.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# nothing_left SENTENCE
nothing_left() {
    [ -z "$(ours)" ] || fail "still running: $(ours)"
    pass "$1"
}

# --- no Kafka to be had ------------------------------------------------------------------------

refuses 'a log that there is not is refused' 'postgres or kafka' --dir "$dir" --log redis
mkdir "$work/bin" "$work/cache"
printf '#!/bin/sh\necho "there is no network"\nexit 1\n' >"$work/bin/mvn"
chmod 0755 "$work/bin/mvn"
PATH=$work/bin:$PATH XDG_CACHE_HOME=$work/cache \
    refuses 'Kafka that cannot be fetched is named' 'KAFKA_BROKERS' --dir "$dir" --log kafka
grep -q 'mvn cannot fetch Apache Kafka [0-9]' "$work/stderr" || fail "it says $(<"$work/stderr")"
KAFKA_HOME=$work refuses 'a KAFKA_HOME without Kafka is named' "KAFKA_HOME=$work" --dir "$dir" --log kafka
KAFKA_BROKERS=127.0.0.1:1 refuses 'brokers that do not answer are named' '127.0.0.1:1' --dir "$dir" \
    --log kafka
KAFKA_BROKERS=somewhere refuses 'what names no broker is refused' 'HOST:PORT' --dir "$dir" --log kafka
nothing_left 'nothing was left running'
# What has no log yet may still have one of the other kind.
[ ! -e "$dir/kafka/.made" ] || fail 'a node was made'

"$root/tests/kafka/broker" fetch >"$work/jars" || exit

# --- the demo ----------------------------------------------------------------------------------

first=$(up --port 0 --log kafka 2>"$work/stderr") || fail "$(<"$work/stderr")"
pass "the first deploy/up --log kafka ends ($(jq .seconds <<<"$first") s)"
grep -q 'warning: .*replication 1' "$work/stderr" || fail 'it does not warn of replication 1'
pass 'it warns that there is one copy'
certificate=$(jq .certificate <<<"$first")
holds_demo "$certificate"
holds 'the ledger agrees, says telehub' '.ledger_agrees' "$first"
telehub=$(jq -r .telehub <<<"$first")
campaign=$(jq -r .campaign <<<"$certificate")
export TELEHUB_DIR=$dir

curl -fsS "$(jq -r .ledger_url <<<"$first")" >"$work/ledger"
delivered=$(jq -s 'map(select(.final == "delivered")) | length' "$work/ledger")
[ "$delivered" = "$(jq .reached <<<"$certificate")" ] ||
    fail "the ledger has $delivered deliveries, the certificate $(jq .reached <<<"$certificate")"
pass 'the ledger delivered to as many as were reached'
from_log=$("$telehub" certificate "$campaign" --from-log --json)
holds 'the certificate counted from the log is the same' \
    "del(.cost) == ($certificate | del(.cost))" "$from_log"
doctor=$("$telehub" doctor --json) || fail "the doctor finds what is bad: $doctor"
holds 'the doctor looks at Kafka, finds nothing bad, and minds the one copy' '.ok
    and any(.checks[]; .check == "log" and (.sentence | contains("32 partitions")))
    and any(.checks[]; .check == "kafka replicas" and .finding == "warning")' "$doctor"

# --- again -------------------------------------------------------------------------------------

second=$(up)
holds 'the second run finds it, and gives the same certificate' \
    "(.certificate | del(.cost)) == ($certificate | del(.cost)) and .ledger_agrees" "$second"
refuses 'a log does not change its place by an option' 'telehub log copy' --dir "$dir" --log postgres
read -r telehub_pid _ <"$dir/run/telehub.pid"
read -r kafka_pid _ <"$dir/run/kafka.pid"
kill -s KILL "$kafka_pid" "$telehub_pid"
third=$(up --log kafka)
holds 'telehub and Kafka, killed, are started again and know what they knew' \
    "(.certificate | del(.cost)) == ($certificate | del(.cost)) and .ledger_agrees" "$third"
executions=$(curl -fsS "$(jq -r .sandbox_url <<<"$third")/ledger/summary" | jq .executions)
[ "$executions" = "$(wc -l <"$work/ledger")" ] || fail 'something was sent again'
pass 'nothing was sent again'

# --- a Kafka of somebody else's ----------------------------------------------------------------

read -r port _ <"$dir/kafka/ports"
printf 'phone\n+919855500000\n+919855500011\n' >"$work/two.csv"
given=$(KAFKA_BROKERS=127.0.0.1:1,127.0.0.1:$port/given. KAFKA_REPLICATION=1 \
    "$root/deploy/up" --dir "$work/given" --port 0 --json --log kafka --audience "$work/two.csv")
holds 'with KAFKA_BROKERS another installation uses the same node' \
    '.certificate | .final and .audience == 2 and .reached == 1' "$given"
[ ! -e "$work/given/kafka" ] || fail 'it made a node of its own'
"$root/deploy/down" --dir "$work/given"
mkdir "$work/plain"
"$root/deploy/up" --dir "$work/plain" --port 0 --json --no-demo >"$work/out"
refuses 'nor does one in Postgres' 'telehub log copy' --dir "$work/plain" --log kafka
[ ! -e "$work/plain/kafka" ] || fail 'a node was made there'
"$root/deploy/down" --dir "$work/plain"

# --- down --------------------------------------------------------------------------------------

"$root/deploy/down" --dir "$dir"
nothing_left 'deploy/down leaves no process'
last=$(up --no-demo)
holds 'it is up again, on the same log' '.certificate == null' "$last"
"$root/deploy/down" --dir "$dir"
nothing_left 'and down again'

echo "$checks checks passed"
