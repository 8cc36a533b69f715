#!/usr/bin/env bash
# After kills, and with callbacks that were repeated, late and out of order, views built anew from the
# beginning equal the live ones, in all rows and columns; a single corrupted row is found; and views
# that were filled by other rules are named until they are made anew.
#
#   tests/chaos/rebuild.sh [PEOPLE [SEED]]      10,000 people by default; 3,000 in tests/run
set -euo pipefail
. "$(dirname "$0")/lib.sh"

people=${1:-10000} seed=${2:-1}
[[ $people =~ ^[0-9]+$ && $seed =~ ^[0-9]+$ ]] || { sed -n '2,6p' "$0" >&2; exit 2; }

chaos_begin rebuild "$seed"
chaos_up
chaos_settings
sandbox '{"seed":"'"$seed"'","latency_ms":"5-100","late_ms":"500-1000","callback_retries":"20",
    "rates":"undelivered=3,failed=1,http_429=1,drop_after=1,dup_callback=20,late_callback=5,reorder_callback=20"}'
campaign_begin 0 "$people"
for ((i = 1; i <= 3; i++)); do
    until_executions $((people * i / 4))
    kill_run
    chaos_up
done
campaign_await completed 120
ledger_settle 60
campaign_settle 60
check_partition "$people"

say "views, verified against a second generation"
telehub view verify --json >"$work/verify" || fail "view verify: $(<"$work/verify")"
say "$(<"$work/verify")"

say "one row is corrupted"
gen=$(sql "SELECT gen FROM views.generation WHERE state = 'current'")
sql "UPDATE view_g$gen.attempts SET provider_id = 'SM00' WHERE (send, n) =
     (SELECT send, n FROM view_g$gen.attempts ORDER BY send, n OFFSET $((RANDOM % people)) LIMIT 1)"
if telehub view verify --json >"$work/verify"; then
    fail "view verify did not find a corrupted row: $(<"$work/verify")"
fi
say "found: $(<"$work/verify")"

# rules FINDING: what the doctor finds of the rules by which the views were filled.
rules() {
    telehub doctor --json >"$work/doctor" || true # other checks may find this machine bad
    [ "$(jq -r '.checks[] | select(.check == "views") | .finding' "$work/doctor")" = "$1" ] ||
        fail "the doctor finds the views' rules not $1: $(<"$work/doctor")"
}

say "the views were filled by other rules"
rules ok
sql "UPDATE views.generation SET fold_version = 0 WHERE state = 'current'"
rules warning
grep -q ' id=views.other_rules ' "$dir/log/telehub.log" && fail "views of the same rules were warned of"
telehub_restart
grep ' level=warn id=views.other_rules ' "$dir/log/telehub.log" | grep -q 'telehub view rebuild' ||
    fail "nothing is said of views that were filled by other rules"

telehub view rebuild >&2 || fail "view rebuild"
rules ok
telehub view verify --json >"$work/verify" || fail "view verify after a rebuild: $(<"$work/verify")"
echo "passed: $people people, seed $seed: rebuilt views equal the live ones, a corrupted row is found"
