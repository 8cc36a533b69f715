#!/usr/bin/env bash
# deploy/up and deploy/down from an empty folder, end to end: the demo's certificate is held against
# the sandbox's own ledger, kills are survived, nothing is left running.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# --- what is refused ---------------------------------------------------------------------------

refuses 'an unknown option is refused' '--help' --fast
refuses 'a channel that there is not is refused' 'sms or call' --dir "$dir" --channel fax
refuses 'an audience that is not there is refused' 'cannot be read' --dir "$dir" --audience "$work/no"
mkdir "$work/other" && touch "$work/other/thesis"
refuses 'a folder of somebody else is left alone' 'has not made' --dir "$work/other"
[ "$(ls -A "$work/other")" = thesis ] || fail 'something was written there'
[ ! -e "$dir" ] || fail 'a refused command line made a folder'

mkdir "$work/demo"
"$root/deploy/demo/generate" "$work/demo"
for file in students.csv opt-outs.txt; do
    cmp "$work/demo/$file" "$root/deploy/demo/$file" || fail "$file is not what generate writes"
done
pass 'the students are those that generate writes'

# --- the demo ----------------------------------------------------------------------------------

first=$(up --port 0)
pass "the first deploy/up ends ($(jq .seconds <<<"$first") s)"
holds 'the object has the keys that scripts rely on, and no others' 'keys_unsorted == ["url",
    "tenant", "key_file", "operator_key_file", "telehub", "sandbox_url", "ledger_url", "database",
    "certificate", "ledger_agrees", "seconds"]' "$first"
certificate=$(jq .certificate <<<"$first")
holds '40 rows were rejected, with row, column and reason' '.rejected_total == 40
    and (.rejected | length) == 40 and .rejected[0].row == 101 and .rejected[0].column == "phone"
    and all(.rejected[]; .reason | length > 0)' "$(<"$dir/demo/upload.json")"
holds_demo "$certificate"
holds 'the ledger agrees, says telehub' '.ledger_agrees' "$first"

url=$(jq -r .url <<<"$first")
telehub=$(jq -r .telehub <<<"$first")
campaign=$(jq -r .campaign <<<"$certificate")
export TELEHUB_DIR=$dir

curl -fsS "$(jq -r .ledger_url <<<"$first")" >"$work/ledger"
delivered=$(jq -s 'map(select(.final == "delivered")) | length' "$work/ledger")
[ "$delivered" = "$(jq .reached <<<"$certificate")" ] ||
    fail "the ledger has $delivered deliveries, the certificate $(jq .reached <<<"$certificate")"
pass 'the ledger delivered to as many as were reached'
jq -r .to "$work/ledger" | sort >"$work/to"
if sort "$root/deploy/demo/opt-outs.txt" | comm -12 - "$work/to" | grep .; then
    fail 'these had opted out'
fi
pass 'nobody who opted out is in the ledger'
# Brothers and sisters share 40 numbers: two messages to those, one to all others.
twice=$(uniq -d "$work/to" | wc -l)
thrice=$(uniq -c "$work/to" | awk '$1 > 2' | wc -l)
if [ "$twice" -gt 40 ] || [ "$thrice" -gt 0 ]; then
    fail "$twice numbers got two messages, $thrice got more"
fi
pass 'no number got more messages than it has people'

for outcome in reached unreached suppressed; do
    rows=$("$telehub" recipients "$campaign" --outcome "$outcome" --csv | tail -n +2 | wc -l)
    wanted=$(jq --arg set "$outcome" '.[$set] | if type == "object" then add else . end' \
        <<<"$certificate")
    [ "$rows" = "$wanted" ] || fail "$outcome lists $rows recipients, the certificate says $wanted"
done
pass 'the lists of recipients are as long as the certificate says'

status=$(curl -s -o "$work/body" -w '%{http_code}' "$url/api/v1/campaigns")
[ "$status" = 401 ] || fail "without a key the API answers $status"
status=$(curl -s -o "$work/body" -w '%{http_code}' "$url/api/v1/campaigns" \
    -H "Authorization: Bearer $(<"$(jq -r .key_file <<<"$first")")")
[ "$status" = 200 ] || fail "with the key the API answers $status"
pass 'the API wants the key, and takes it'

metrics() {
    curl -fsS "$url/metrics" \
        -H "Authorization: Bearer $(<"$(jq -r .operator_key_file <<<"$first")")" >"$work/metrics" ||
        fail 'the operator gets no figures'
}

# The first of these figures that is there and not 0, or not there at all; nothing if all is still.
restless() {
    local figure
    for figure in telehub_dispatch_in_flight telehub_lag_records telehub_view_lag_records \
        telehub_in_doubt telehub_dead_letters_unsettled telehub_lane_circuit; do
        awk -v name="$figure" 'index($1, name) == 1 { n += $2; seen = 1 } END { exit !seen || n }' \
            "$work/metrics" || { grep "^$figure" "$work/metrics" || echo "no $figure"; return; }
    done
}

# The last records are read a moment after the certificate is final.
for ((i = 0; i < 100; i++)); do
    metrics
    [ -n "$(restless)" ] || break
    sleep 0.1
done
[ -z "$(restless)" ] || fail "this is not 0, though nothing goes on: $(restless)"
for processor in campaign retry dispatch materialize; do
    grep -q "^telehub_slot_open{processor=\"$processor\",slot=\"1\"} 1$" "$work/metrics" ||
        fail "by its figures $processor does not work"
done
for figure in telehub_commit_seconds_count telehub_batch_inputs_sum telehub_inputs_total \
    telehub_dispatch_window telehub_view_events_total; do
    awk -v name="$figure" 'index($1, name "{") == 1 { n += $2 } END { exit n <= 0 }' \
        "$work/metrics" || fail "$figure is not above 0"
done
pass 'the figures say what every processor did, and that nothing waits'
holds 'telehub top says the same' '.live == 0 and .in_doubt == 0 and .dead_letters == 0
    and .retry.open == 2 and .dispatch.behind == 0' "$("$telehub" top --json)"

doctor=$("$telehub" doctor --json) || fail "the doctor finds what is bad: $doctor"
holds 'the doctor finds nothing bad' '.ok and (.checks | length) > 20
    and all(.checks[]; .finding != "bad" and (.sentence | length) > 0)' "$doctor"
chmod 0755 "$dir/secrets"
if doctor=$("$telehub" doctor --json); then
    fail 'the doctor does not mind that everybody can read the secrets'
fi
chmod 0700 "$dir/secrets"
holds 'the doctor says what is wrong with one thing' \
    '[.checks[] | select(.finding == "bad") | .check] == ["secrets"]' "$doctor"

# --- the archive -------------------------------------------------------------------------------

holds 'what the log holds is archived' '.records > 1000 and .segments > 10' "$("$telehub" archive --json)"
holds 'and every byte of it is right' '.records > 1000' "$("$telehub" archive verify --json)"
holds 'the doctor says where the archive is, how far it reaches, and that its files are there' \
    '[.checks[] | select(.check | startswith("archive"))] | length == 4
        and all(.[]; .finding != "bad") and (.[0].sentence | startswith("lies in "))' \
    "$("$telehub" doctor --json || true)"
holds 'for analysts, too' '.events > 1000 and .left_out == 0' \
    "$("$telehub" archive --format avro --to "$work/avro" --json)"
holds 'nothing of the log may be dropped unless a setting says so' \
    '.applied == false and .partitions == []' "$("$telehub" log retention --json)"
holds 'and then nothing that is young' \
    '(.partitions | length) > 10 and all(.partitions[]; .start == 0 and .upto == 0)' \
    "$(TELEHUB_LOG_RETENTION=all=1 "$telehub" log retention --apply --json)"

"$root/tests/e2e/analyst_test.sh" "$(jq -r .database <<<"$first")"
pass "the README's queries run as the analyst"

# --- again -------------------------------------------------------------------------------------

again=$EPOCHREALTIME
second=$(up)
took=$(since "$again")
holds 'the second run gives the same certificate' \
    "(.certificate | del(.cost)) == ($certificate | del(.cost)) and .ledger_agrees" "$second"
pass "the second run took $took s (2 s are promised, on a machine that does nothing else)"
executions=$(curl -fsS "$(jq -r .sandbox_url <<<"$second")/ledger/summary" | jq .executions)
[ "$executions" = "$(wc -l <"$work/ledger")" ] || fail 'the second run sent something'
pass 'the second run sent nothing'

read -r pid _ <"$dir/run/telehub.pid"
kill -s KILL "$pid" "$(head -n 1 "$dir/postgres/data/postmaster.pid")"
third=$(up)
holds 'telehub and Postgres, killed, are started again and know what they knew' \
    "(.certificate | del(.cost)) == ($certificate | del(.cost)) and .ledger_agrees" "$third"
read -r pid_now _ <"$dir/run/telehub.pid"
[ "$pid" != "$pid_now" ] || fail 'the pid file still names the one that was killed'
curl -fsS -o "$work/body" "$url/health/ready" || fail 'it is not ready'
pass 'it is ready, at the same address'

# --- another campaign, by call -----------------------------------------------------------------

# The sandbox does what the last digits say: 00 answers, 20 is busy, 11 is no number. The fifth is no
# number to us either.
cat >"$work/calls.csv" <<'CSV'
phone,lang
+919855500000,hi
097555 00000,en
+919855500020,hi
+919855500011,en
12345,en
CSV
chmod 0600 "$work/calls.csv" # deploy/up reads it, not the user who runs everything
calls=$(up --audience "$work/calls.csv" --channel call)
holds 'a campaign of calls reaches those who answer' \
    '.certificate | .final and .audience == 4 and .reached == 2
        and .unreached == {"busy": 1, "invalid_number": 1} and .in_doubt == 0' "$calls"
holds 'the ledger agrees with it, too' .ledger_agrees "$calls"

# --- down --------------------------------------------------------------------------------------

"$root/deploy/down" --dir "$dir"
[ -z "$(ours)" ] || fail "still running: $(ours)"
pass 'deploy/down leaves no process'
"$root/deploy/down" --dir "$dir"
pass 'deploy/down may be repeated'
last=$(up --no-demo)
holds 'with --no-demo nothing is certified' '.certificate == null and .ledger_agrees == null' "$last"
"$root/deploy/down" --dir "$dir"
[ -z "$(ours)" ] || fail "still running: $(ours)"
pass 'it was up again, and is down again'

echo "$checks checks passed"
