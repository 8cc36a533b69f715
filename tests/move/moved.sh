#!/usr/bin/env bash
# An installation moves and is looked at: a finished campaign and one that is paused half-way are
# copied to another database with another number of partitions, after most of the log was dropped that
# an archive has. What runs on the copy calls nobody, and then, resumed, each remaining person once.
# Replayed, from the log and from an archive (killed on the way), the views are the same rows, and
# nobody is called. With --kafka the copy lies in Kafka, and another one, in a database again, is made
# of that; there it is Kafka that drops most of what it had.
#
#   tests/move/moved.sh [PEOPLE [SEED [--kafka]]]      300 people in each campaign by default
set -euo pipefail
. "$(dirname "$0")/../chaos/lib.sh"

people=${1:-300} seed=${2:-1} kafka=${3:-}
[[ $people =~ ^[0-9]+$ && $seed =~ ^[0-9]+$ ]] || { sed -n '2,10p' "$0" >&2; exit 2; }

# refuses WORDS COMMAND...: exit status 1, and those words on stderr.
refuses() {
    local words=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" -eq 1 ] || fail "$*: exit status $status: $(<"$work/err")"
    grep -qF -e "$words" "$work/err" || fail "$* does not say \"$words\": $(<"$work/err")"
    say "refused: $(tail -n 1 "$work/err")"
}

# database NAME: a new one in the private cluster; prints its conninfo.
database() {
    cluster_psql "$dir/postgres" postgres -q -c "CREATE DATABASE $1 OWNER telehub" >&2
    printf '%s\n' "$first" | sed "s/dbname=[^ ]*/dbname=$1/"
}

sql_in() { cluster_psql "$dir/postgres" "$1" -qAt -c "$2"; }

# rows DATABASE: every row of every table of its views, as one sum each.
rows() {
    local table
    for table in progress sends attempts campaigns commands audiences audience_parts releases \
        opt_outs lanes dead_letters dead_letter_ends campaign_counters campaign_costs; do
        sql_in "$1" "SELECT '$table', count(*), md5(coalesce(string_agg(t::text, chr(10)
            ORDER BY t::text COLLATE \"C\"), '')) FROM views.$table t"
    done
}

stop() { service_stop "$dir/run/telehub.pid" "$owner" telehub 2>>"$work/up.log"; }

# start ROLE...: on the log that TELEHUB_LOG and TELEHUB_DATABASE name.
start() {
    service_start "$dir/run/telehub.pid" "$owner" "$dir/log/telehub.log" \
        env TELEHUB_DIR="$dir" TELEHUB_DATABASE="${TELEHUB_DATABASE:-$first}" TELEHUB_LOG="${TELEHUB_LOG:-}" \
        TELEHUB_ARCHIVE="${TELEHUB_ARCHIVE:-}" \
        "$dir/bin/telehub" run "$@"
}

await_ready() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        curl -fs -o "$work/ready" "$url/health/ready" && return 0
        nap 0.1
    done
    fail "telehub does not get ready: $(tail -n 5 "$dir/log/telehub.log")"
}

await_quiet() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        telehub top --json >"$work/top" && jq -e '.campaign.behind + .retry.behind
            + .dispatch.behind + .views_behind == 0' "$work/top" >/dev/null && nap 1.5 && return 0
        nap 0.1
    done
    fail "it does not get quiet: $(<"$work/top")"
}

# copy_quietly FILE LOG-COPY-ARGUMENT...: what it says goes to FILE. Prices come in for a while after
# the last report; while they do, the copy is refused.
copy_quietly() {
    local file=$1 tries
    shift
    for ((tries = 0; tries < 8; tries++)); do
        if telehub log copy "$@" --json >"$file" 2>"$work/err"; then
            jq -e '.source_sums == .target_sums and .records > 0 and .idempotency_keys > 0' "$file" \
                >/dev/null || fail "the copy is not equal: $(<"$file")"
            say "copied: $(jq -c '{records, bytes, idempotency_keys}' "$file")"
            return 0
        fi
        grep -qF 'is not quiet' "$work/err" || fail "log copy: $(<"$work/err")"
        say "$(tail -n 1 "$work/err")"
        start
        await_ready
        nap 4
        stop
    done
    fail "it does not get quiet"
}

# drop_archived DIR: three days later nearly all of the log is in the archive in DIR only, what the
# slots' states are made of included.
drop_archived() {
    TELEHUB_ARCHIVE=$1 telehub archive --verify >&2
    TELEHUB_ARCHIVE=$1 TELEHUB_LOG_RETENTION=all=1 LD_PRELOAD=$later LATER_DAYS=3 \
        telehub log retention --apply --json >"$work/retained" || fail "log retention"
    jq -e '[.partitions[] | select(.upto > .start)] | length > 10 and ([.[].topic]
        | contains(["campaign.audience", "send.events", "dispatch.attempts", "send.outcomes"]))' \
        "$work/retained" >/dev/null || fail "too little was dropped: $(<"$work/retained")"
    say "dropped: $(jq '[.partitions[] | .upto - .start] | add' "$work/retained") offsets"
    TELEHUB_ARCHIVE=$1 telehub view verify >&2 || fail "view verify on what was left, and the archive"
}

# has_sums_of FILE: the copy that was made last holds what the one before held.
has_sums_of() {
    [ "$(jq -c .target_sums "$work/copied")" = "$(jq -c .target_sums "$1")" ] ||
        fail "the copies differ: $(<"$1") $(<"$work/copied")"
}

# drop_meanwhile DIR: while it runs. The audience of the campaign that is paused stays; the other one
# is read where it is.
drop_meanwhile() {
    TELEHUB_ARCHIVE=$1 start gateway materialize
    await_ready
    drop_archived "$1"
    jq -e 'any(.partitions[]; .topic == "campaign.audience"
        and .held == "a campaign that has not ended needs what follows")' "$work/retained" \
        >/dev/null || fail "an audience that is in use may be dropped: $(<"$work/retained")"
    mv "$1" "$1.away"
    local status
    status=$(curl -s -o "$work/body" -w '%{http_code}' -H "Authorization: Bearer $(<"$key_file")" \
        "$url/api/v1/campaigns/$finished/recipients")
    [ "$status" = 503 ] || fail "an audience that nobody can read is answered $status: $(<"$work/body")"
    mv "$1.away" "$1"
    telehub recipients "$finished" --csv >"$work/recipients" || fail "whose audience was dropped"
    [ "$(grep -c '+917' "$work/recipients")" = "$people" ] ||
        fail "of $people recipients there are left: $(<"$work/recipients")"
    say "the audience that was dropped is still read"
    stop
}

# calls_nobody SENTENCE: for two seconds, and none since calls were counted.
calls_nobody() {
    local before=$executions
    nap 2
    get_count
    [ "$executions" = "$before" ] || fail "$1: $((executions - before)) were called"
    say "$1: nobody was called"
}

chaos_begin moved "$seed"
if [ -n "$kafka" ]; then
    "$root/tests/kafka/broker" start "$work/kafka" >&2 || exit $?
    trap 'status=$?; "$root/tests/kafka/broker" stop "$work/kafka" >&2 || true; chaos_end "$status"' EXIT
    # shellcheck source=/dev/null
    . "$work/kafka/env"
fi
chaos_up
first=$(sed -n 's/^TELEHUB_DATABASE=//p' "$dir/telehub.conf") # where the log lies before it moves
echo TELEHUB_SLOT_SNAPSHOT=4kB >>"$dir/telehub.conf" # so that there are some
chaos_settings
later=$(build_program tests/move later).so
sandbox '{"seed":"'"$seed"'","latency_ms":"1-20","late_ms":"50-200","callback_retries":"20","rates":""}'

campaign_begin 0 "$people"
campaign_await completed 120
ledger_settle 60
campaign_settle 60
finished=$campaign finished_certificate=$certificate

campaign_begin 100000 "$people" 1200
until_executions $((people + people / 5))
paused=$campaign
telehub campaign pause "$paused" >&2
campaign_await paused 60
ledger_settle 60
await_quiet
get_count
before=$executions
[ "$before" -lt $((2 * people)) ] || fail "nobody is left of the paused campaign"
say "one campaign is done, of the other $((2 * people - before)) people are left"

# --- the copy ----------------------------------------------------------------------------------

copy_to_database() {
    copy_quietly "$work/rehearsed" this "$(database rehearsed)" --partitions 7 --rehearse # from here on it is quiet
    TELEHUB_DATABASE=$(printf '%s\n' "$first" | sed 's/dbname=[^ ]*/dbname=rehearsed/') \
        refuses 'half a copy' telehub run
    drop_meanwhile "$dir/kept"
    # Held at its first transaction, killed: a half copy, which nothing opens and another run finishes.
    TELEHUB_DATABASE=$moved TELEHUB_PARTITIONS=7 telehub upgrade >&2
    refuses 'Name that with --archive' telehub log copy this "$moved"
    refuses 'there is no archive' telehub log copy this "$moved" --archive "$work"
    cluster_psql "$dir/postgres" moved -qAt -c 'BEGIN; LOCK eventlog.slot IN EXCLUSIVE MODE;
        SELECT pg_sleep(600)' >"$work/lock" 2>&1 &
    holder=$!
    while [ "$(sql_in moved "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        WHERE c.relname = 'slot' AND l.mode = 'ExclusiveLock' AND l.granted")" = 0 ]; do nap 0.05; done
    TELEHUB_DIR=$dir "$telehub_bin" log copy this "$moved" --archive "$dir/kept" >"$work/copy" 2>&1 &
    copier=$!
    while [ "$(sql_in moved 'SELECT mark FROM eventlog.meta')" != 1 ]; do
        kill -0 "$copier" 2>/dev/null || fail "the copy ended: $(<"$work/copy")"
        nap 0.05
    done
    kill -KILL "$copier"
    wait "$copier" 2>/dev/null || true
    sql_in moved "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()" >/dev/null
    wait "$holder" || true
    export TELEHUB_DATABASE=$moved
    refuses 'half a copy' telehub run
    refuses 'half a copy' telehub run materialize
    refuses 'half a copy' telehub view rebuild
    unset TELEHUB_DATABASE
    copy_quietly "$work/copied" this "$moved" --archive "$dir/kept"
    has_sums_of "$work/rehearsed"
    refuses 'was copied to' telehub run
    refuses 'was copied to' telehub run materialize
    refuses 'copied to' telehub log copy this "$(database another)"
    export TELEHUB_DATABASE=$moved
}

# The views stay where they are; they are of the old log, and say so.
copy_to_kafka() {
    copy_quietly "$work/copied" this "$moved" --partitions 8 --replication 1
    refuses 'was copied to' telehub run
    export TELEHUB_DATABASE=$first TELEHUB_LOG=$moved
    refuses 'telehub view rebuild' telehub run
    telehub view rebuild >&2
}

if [ -n "$kafka" ]; then
    moved=kafka://127.0.0.1:$KAFKA_PORT/moved.
else
    moved=$(database moved)
fi
refuses 'runs in' telehub log copy this "$moved"
stop
if [ -n "$kafka" ]; then copy_to_kafka; else copy_to_database; fi

# --- what runs on it ---------------------------------------------------------------------------

start
await_ready
await_quiet
calls_nobody "what runs on the copy"
telehub view verify >&2 || fail "view verify on the copy"
campaign=$finished
campaign_settle 60
# What it cost is known a little later, from the provider's own list.
[ "$(jq -S 'del(.cost)' <<<"$certificate")" = "$(jq -S 'del(.cost)' <<<"$finished_certificate")" ] ||
    fail "the certificate was $finished_certificate, and is $certificate"
campaign=$paused
telehub campaign resume "$campaign" >&2
campaign_await completed 120
ledger_settle 60
campaign_settle 60
check_partition "$people"
get_count
[ "$executions" = $((2 * people)) ] || fail "$executions calls, of $((2 * people)) people"
curl -fsS "$ledger_url?format=csv" | awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /^"?to"?$/) to = i; next }
    n[$to]++ { print $to; bad = 1 } END { exit bad }' >"$work/twice" ||
    fail "called twice: $(head -n 3 "$work/twice")"
say "resumed on the copy, each person was called once"
await_quiet
stop

# --- and back ----------------------------------------------------------------------------------

if [ -n "$kafka" ]; then
    copy_quietly "$work/rehearsed" this "$(database rehearsed)" --rehearse # 4 partitions, as back
    drop_archived "$dir/kept"
    back=$(database back)
    refuses 'Name that with --archive' telehub log copy this "$back"
    TELEHUB_ARCHIVE=$dir/kept copy_quietly "$work/copied" this "$back"
    has_sums_of "$work/rehearsed"
    export TELEHUB_DATABASE=$back TELEHUB_LOG=
    start
    await_ready
    await_quiet
    calls_nobody "what runs on the copy of the copy"
    telehub view verify >&2 || fail "view verify on the copy of the copy"
    campaign_settle 60
    check_partition "$people"
    get_count
    [ "$executions" = $((2 * people)) ] || fail "$executions calls, of $((2 * people)) people"
    stop
    echo "passed: $people people twice, seed $seed: to Kafka, resumed, and back; each was called once"
    exit 0
fi
telehub view rebuild >&2
rows moved >"$work/rows"

# --- replayed ----------------------------------------------------------------------------------

# begin_replay SOURCE TARGET DATABASE: in time, killed when a little of it is there.
begin_replay() {
    TELEHUB_DIR=$dir "$telehub_bin" replay "$1" --to "$2" --speed 5x >"$work/replay" 2>&1 &
    local replayer=$!
    until [ "$(sql_in "$3" 'SELECT count(*) FROM eventlog.batch' 2>/dev/null || echo 0)" -gt 20 ]; do
        kill -0 "$replayer" 2>/dev/null || fail "the replay ended: $(<"$work/replay")"
        nap 0.05
    done
    kill -KILL "$replayer"
    wait "$replayer" 2>/dev/null || true
}

telehub archive --to "$work/archive" >&2
for source in this "$work/archive"; do
    name=replayed_$([ "$source" = this ] && echo log || echo archive)
    replayed=$(database "$name")
    [ "$source" = this ] || begin_replay "$source" "$replayed" "$name"
    telehub replay "$source" --to "$replayed" --json >"$work/replayed" || fail "replay of $source"
    say "replayed: $(<"$work/replayed")"
    jq -e --arg source "$source" '(.resumed > 0) == ($source != "this")' "$work/replayed" >/dev/null ||
        fail "a replay that was killed begins anew: $(<"$work/replayed")"
    refuses 'name another' telehub replay "$source" --to "$replayed"
    export TELEHUB_DATABASE=$replayed
    for roles in '' gateway dispatch 'campaign retry' 'materialize dispatch'; do
        # shellcheck disable=SC2086 # roles are words
        refuses 'was replayed from' telehub run $roles
    done
    start materialize
    for ((tries = 0; tries < 300; tries++)); do
        rows "$name" >"$work/rows.replayed"
        cmp -s "$work/rows" "$work/rows.replayed" && break
        nap 0.1
    done
    calls_nobody "materialize on the replayed log"
    stop
    diff "$work/rows" "$work/rows.replayed" >&2 || fail "the views of the replayed log differ"
    telehub view verify >&2 || fail "view verify on the replayed log"
    export TELEHUB_DATABASE=$moved
done

some=$(database replayed_some)
telehub replay this --to "$some" --speed 1000000x --filter "campaign=$finished" --json \
    >"$work/replayed" || fail "a filtered replay"
TELEHUB_DATABASE=$some telehub view rebuild >&2
[ "$(sql_in replayed_some 'SELECT count(*) FROM views.sends')" = "$people" ] ||
    fail "a replay of one campaign has other sends than its own"
[ "$(sql_in replayed_some 'SELECT string_agg(campaign::text, chr(32)) FROM views.campaigns')" = \
    "$finished" ] || fail "a replay of one campaign has others"
get_count
[ "$executions" = $((2 * people)) ] || fail "a replay called somebody"

echo "passed: $people people twice, seed $seed: copied, resumed, replayed; each was called once"
