#!/usr/bin/env bash
# Fault points: at each place of a send's way `telehub run` dies, waits or fails, at providers of all
# four reconciliation classes; then the provider's ledger testifies: nobody was skipped, nobody was
# called twice, and only who may have been called, where no provider can tell, is listed as in doubt.
#
#   tests/fault/run.sh [short|long|NAME...]
#
# short (the default): every point with every action. long: more passes, and every class apart.
# NAME: that point, or that story, of the long form. Prints a table; fails when something that was to
# strike did not.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

form=short only=()
case ${1:-short} in
short | long) form=${1:-short} ;;
*) form=long only=("$@") ;;
esac

people=100 # of one campaign, mostly; a fifth through each account
classes=(twilio test-back test-key test-look test-mute)

chaos_begin faults 1
faults_up
printf 'phone,lane\n' >"$work/none"

calm='{"latency_ms":"2-30","callback_delay_ms":"20-120","late_ms":"100-300","slow_ms":"300-500","callback_retries":"20","rates":""}'

# --- what must hold ---------------------------------------------------------------------------------

# The whole truth in one table: of each attempt the recipient, the account's wire and what it came to.
attempts() {
    sql "SELECT a.phone, a.n, c.wire, coalesce(a.outcome, '-'), coalesce(a.resolved_how, '-')
        FROM views.attempts a JOIN (VALUES $lanes) c(lane, wire) ON c.lane = a.lane
        WHERE a.campaign = '$campaign' AND a.started_at IS NOT NULL"
}

lanes_read() {
    local row account wire lane
    lanes=''
    for row in "${wires[@]}"; do
        read -r _ account wire _ <<<"$row"
        lane=$(telehub provider list --json | jq -er --arg a "$account" \
            '(.data // .)[] | select(.name == $a) | .lane') || fail "the lane of $account"
        lanes+="${lanes:+,}($lane,'$wire')"
    done
}

# judge FIRST: sets verdict; fails when the ledger testifies against us. As many may be in doubt as
# were in flight when it died or an answer was lost, where no provider can tell.
judge() {
    local doubts_max=$((concurrency * (restarts + postgres_deaths + $(struck | wc -l) + doubts_more)))
    curl -fsS "$ledger_url?format=csv" >"$work/ledger.csv"
    attempts >"$work/attempts"
    telehub recipients "$campaign" --outcome in_doubt --csv >"$work/in_doubt.csv" || return 1
    verdict=$(awk -F '\t' -v first="$1" -v n="$people" -v cancelled="$cancelled" \
        -v doubts_max="$doubts_max" -v none_called_back="$none_called_back" '
        function number(text) { gsub(/"/, "", text); return text }
        FNR == 1 { file++ }
        file == 1 {
            if ($2 > nth[$1]) { nth[$1] = $2; wire[$1] = $3; outcome[$1] = $4 }
            if ($5 != "-") how[$5]++
            next
        }
        { split($0, f, ",") }
        FNR == 1 { for (i in f) column[file, number(f[i])] = i; next }
        file == 2 { doubt[number(f[column[2, "phone"]])] = 1; next }
        {
            to = number(f[column[3, "to"]])
            calls[to]++
            if (number(f[column[3, "callback_delivered"]]) == "true") reported[to] = 1
        }
        END {
            for (i = first; i < first + n; i++) {
                to = sprintf("+917%09d", i)
                called += calls[to] > 0
                if (calls[to] > 1) bad = bad " twice:" to
                if (!calls[to] && !(to in doubt) && (!cancelled || outcome[to] == "accepted"))
                    bad = bad " skipped:" to
                if (!(to in doubt)) continue
                doubts[wire[to]]++
                if (wire[to] ~ /key|look/) bad = bad " doubt:" to "/" wire[to]
                if (to in reported) bad = bad " reported:" to
                if (none_called_back && wire[to] !~ /mute/) bad = bad " waits:" to
            }
            printf "%d called", called
            for (w in doubts) {
                printf ", %d in doubt at %s", doubts[w], w
                if (doubts[w] > doubts_max) bad = bad " doubts:" w
            }
            printf ";"
            for (h in how) printf " %s %d", h, how[h]
            if (bad) { print "\nWRONG:" bad; exit 1 }
        }' "$work/attempts" "$work/in_doubt.csv" "$work/ledger.csv")
}

# --- one case ---------------------------------------------------------------------------------------

next_first=1000 wrong=0
cancelled='' none_called_back='' doubts_more=0 # what a story changes

# until_status STATUS SECONDS: of the campaign; whatever dies is started again.
until_status() {
    local deadline=$((SECONDS + $2)) status=''
    while [ "$SECONDS" -lt "$deadline" ]; do
        revive
        status=$(campaign_status 2>/dev/null) || status=unknown
        [ "$status" != "$1" ] || return 0
        nap 0.03
    done
    say "$(telehub certificate "$campaign" --json || true)"
    fail "campaign $campaign is $status, not $1, after $2 s; struck: $(struck | tr '\n' ';')"
}

# begin LINE...: a campaign to people of its own, with these faults.
begin() {
    restarts=0 postgres_deaths=0 first=$next_first began=$(now_ms)
    next_first=$((next_first + people))
    faults
    revive
    get_count
    executions_before=$executions
    audience_write "$work/audience.csv" "$first" "$people"
    [ -e "$work/text.txt" ] || printf '[en]\nNamaste {name}.\n[hi]\nनमस्ते {name}.\n' >"$work/text.txt"
    local audience
    audience=$(telehub audience upload "$work/audience.csv" --json | jq -er .id) || fail "no audience"
    campaign=$(telehub campaign create --name "$name" --channel sms --audience "$audience" \
        --text "$work/text.txt" --pace max --json | jq -er .id) || fail "no campaign"
    faults "$@"
    # It may die while it answers; a repeat with the same key is the same command.
    until curl -fsS -m 2 -o /dev/null -X POST -H "Authorization: Bearer $(<"$key_file")" \
        -H "Idempotency-Key: start-$campaign" "$url/api/v1/campaigns/$campaign/start" \
        2>>"$work/up.log"; do
        revive
    done
}

# certified: the certificate is final, and nobody is missing in it.
certified() {
    certificate=$(telehub certificate "$campaign" --json) &&
        jq -e --argjson n "$people" '.final and .audience == $n and .unsent == 0' \
            <<<"$certificate" >/dev/null
}

# recounted: the log, counted anew, says the same as the views, byte for byte. A price or a report may
# come in between.
recounted() {
    local tries
    for ((tries = 0; tries < 30; tries++)); do
        certificate=$(telehub certificate "$campaign" --json) || certificate=''
        recount=$(telehub certificate "$campaign" --from-log --json 2>"$work/recount.log") ||
            recount=$(<"$work/recount.log")
        [ "$certificate" != "$recount" ] || return 0
        nap 0.1
        revive
    done
    return 1
}

# finish NAME STATUS LINE...: the end, and the verdict.
finish() {
    local case=$1 status=$2 line absent='' tries
    shift 2
    until_status "$status" 60
    verdict=''
    for line in "$@"; do
        for ((tries = 0; tries < 100; tries++)); do
            grep -qxF -- "$line" <(struck) && break
            revive
            nap 0.02
        done
        [ "$tries" -lt 100 ] || absent+=" [$line]"
    done
    revive
    # The last views and callbacks may still be on their way.
    for ((tries = 0; tries < 60; tries++)); do
        judge "$first" && certified && break
        nap 0.1
        revive
    done
    certified || verdict+=$'\n'"WRONG: certificate $certificate"
    recounted || verdict+=$'\n'"WRONG: the views say $certificate, the log $recount"
    [ -z "$absent" ] || verdict+=$'\n'"WRONG: did not strike:$absent"
    [[ $verdict != *WRONG* ]] || wrong=$((wrong + 1))
    printf '%-18s %-44s restarts %d  %5d ms  %s\n' "$case" "$(actions_of "$@")" "$restarts" \
        $(($(now_ms) - began)) "$verdict" | tee -a "$work/table"
    [[ $verdict != *WRONG* ]] || say "$(tail -n 12 "$dir/log/telehub.log")"
}

# actions_of LINE...: "kill/twilio,test-key error delay=300"
actions_of() {
    printf '%s\n' "$@" | awk '{ split($1, p, "/"); a = $2; by[a] = by[a] (p[2] ? (by[a] ? "," : "") p[2] : "")
        if (!(a in at)) { at[a] = ++n; name[n] = a } }
        END { for (i = 1; i <= n; i++) printf "%s%s", name[i], (by[name[i]] ? "(" by[name[i]] ") " : " ") }'
}

wanted() {
    local name
    [ "${#only[@]}" -gt 0 ] || return 0
    for name in "${only[@]}"; do
        [ "$name" != "$1" ] || return 0
    done
    return 1
}

# --- points -----------------------------------------------------------------------------------------

# Points, and whether "error" means something there, as common/fault.h has them.
points() {
    sed -n 's/^ *X(\([a-z_]*\), "\(.*\)").*/\1 \2/p' "$root/common/fault.h" |
        awk '{ print $1, (/error:/ ? "error" : "-") }'
}

# The words that a point's scope can be narrowed by.
scopes_of() {
    case $1 in
    slot_read) echo dispatch retry campaign ;;
    slot_begin | commit_begun | commit_sent | commit_answer | commit_known)
        echo start result retry campaign
        ;;
    effect_run) echo start ;;
    boot_changed) echo '' ;;
    callback_append | callback_appended) echo gw-callbacks ;;
    views_write | views_written) echo '' ;;
    connect) echo '' ;; # connections are kept, and shared by all accounts at one address
    *) echo "${classes[@]}" ;;
    esac
}

delay_of() {
    case $1 in
    permit | effect_run) echo 700 ;; # longer than the send window
    answer_begun | request_written | request_partly) echo 700 ;; # than the timeout
    *) echo 150 ;;
    esac
}

# point_case POINT HAS_ERROR NTH: all actions, in all scopes, in one campaign.
point_case() {
    local point=$1 error=$2 nth=$3 scope lines=() scopes
    read -r -a scopes <<<"$(scopes_of "$point")"
    [ "${#scopes[@]}" -gt 0 ] || scopes=('')
    for scope in "${scopes[@]}"; do
        scope=$point${scope:+/$scope}
        [ "$error" = - ] || lines+=("$scope error $nth")
        lines+=("$scope kill $((nth + 1))")
    done
    lines+=("${scope} delay=$(delay_of "$point") $nth")
    case $point in
    connect) fault_stop ;;                             # so that connections are made
    boot_changed) lines+=("effect_run/start kill 2") ;; # so that journals are opened
    esac
    begin "${lines[@]}"
    finish "$point" completed "${lines[@]}"
}

# --- stories ----------------------------------------------------------------------------------------

# Each with the row of the table of crash points that it tells.

# await_struck LINE: it has happened.
await_struck() {
    local tries
    for ((tries = 0; tries < 500; tries++)); do
        grep -qxF -- "$1" <(struck) && return 0
        nap 0.01
    done
    fail "did not strike: $1"
}

control() {
    curl -fsS -m 10 -X POST -H "Authorization: Bearer $(<"$key_file")" \
        -H "Idempotency-Key: $1-$campaign" "$url/api/v1/campaigns/$campaign/$1" >/dev/null ||
        fail "$1 was refused"
}

# stands_still SECONDS: nothing is executed meanwhile, though there is more to be sent.
stands_still() {
    local before
    get_count
    before=$executions
    nap "$1"
    get_count
    [ "$executions" = "$before" ] || fail "$((executions - before)) were sent where nothing may be"
    [ $((executions - executions_before)) -lt "$people" ] || fail "it came too late: all were sent"
}

# 13: the callback is there before the answer to the request.
story_callback_first() {
    local lines=("answer_begun/twilio kill 3" "answer_begun/test-back error 1" "answer_kept/test-back kill 3")
    sandbox '{"rates":"slow=100","slow_ms":"250-400"}'
    begin "${lines[@]}"
    finish callback_first completed "${lines[@]}"
    [[ $verdict =~ callback\ ([0-9]+) && ${BASH_REMATCH[1]} -ge 20 ]] ||
        fail "callbacks settled too few: $verdict"
}

# 14: the callback comes when the attempt is in doubt already.
story_callback_late() {
    sandbox '{"rates":"drop_after=30,late_callback=100","late_ms":"7500-8000"}'
    none_called_back=1 doubts_more=10
    begin
    finish callback_late completed
    [[ $verdict == *policy* ]] || fail "nothing had been in doubt: $verdict"
    none_called_back='' doubts_more=0
}

# 15: callbacks come twice, late, and in another order, and some of them are not kept.
story_callbacks_repeated() {
    local lines=("callback_append/gw-callbacks error 3" "callback_append/gw-callbacks kill 6"
        "callback_appended/gw-callbacks kill 9" "callback_appended/gw-callbacks error 2")
    sandbox '{"rates":"dup_callback=50,reorder_callback=30,late_callback=20"}'
    begin "${lines[@]}"
    finish callbacks_repeated completed "${lines[@]}"
}

# 16, and 17 where nobody takes over: stopped between the commit and the request, or between the
# last check and its first byte, for longer than the send window.
story_frozen() {
    local tries lines=("effect_run/start stop 2" "journal_noted/twilio stop 2"
        "journal_noted/test-key stop 3" "journal_noted/test-look stop 3" "journal_noted/test-mute stop 3")
    doubts_more=10
    begin "${lines[@]}"
    # Two threads may be struck by what is one stop of the process.
    for ((tries = 0; tries < 500; tries++)); do
        if [[ $(service_state) == T ]]; then
            nap 0.8
            kill -s CONT "$fault_pid"
        elif [ "$(struck | wc -l)" = "${#lines[@]}" ]; then
            break
        fi
        nap 0.01
    done
    finish frozen completed "${lines[@]}"
    doubts_more=0
}

service_state() {
    local stat
    { stat=$(<"/proc/$fault_pid/stat"); } 2>/dev/null || return 0
    stat=${stat##*) }
    echo "${stat:0:1}"
}

# 18: the owner is cut from the log, and the provider is there: what was permitted is sent, and no more.
story_cut_from_log() {
    local pids status=0
    people=1000
    begin "commit_sent/start delay=1 3"
    await_struck "commit_sent/start delay=1 3"
    read -r -a pids <"/proc/$postgres_pid/task/$postgres_pid/children" || true # no line feed
    pids+=("$postgres_pid")
    kill -s STOP "${pids[@]}"
    nap 0.7
    (stands_still 0.7) || status=1
    kill -s CONT "${pids[@]}"
    [ "$status" = 0 ] || exit 1
    doubts_more=10
    finish cut_from_log completed
    doubts_more=0 people=100
}

# 19: Postgres dies in the midst of each.
story_postgres_dies() {
    local lines=("slot_read/retry peer 2" "commit_begun/start peer 2" "commit_sent/start peer 3"
        "commit_answer/result peer 2" "answer_kept/twilio peer 3" "callback_append/gw-callbacks peer 3"
        "views_write peer 3")
    doubts_more=10
    begin "${lines[@]}"
    finish postgres_dies completed "${lines[@]}"
    doubts_more=0
}

# 20: the machine restarts: no journal is believed.
story_power_lost() {
    local lines=("effect_run/start kill 3" "boot_changed error 1")
    begin "${lines[@]}"
    await_struck "${lines[0]}"
    kill -s QUIT "$postgres_pid"
    while kill -0 "$postgres_pid" 2>/dev/null; do nap 0.01; done
    finish power_lost completed "${lines[@]}"
}

# fill_disk KB: but for so much.
fill_disk() {
    local left
    left=$(df --output=avail -k "$dir" | tail -n 1)
    [ "$left" -le "$1" ] || fallocate -l "$((left - $1))K" "$dir/ballast.$1" 2>/dev/null ||
        dd if=/dev/zero of="$dir/ballast.$1" bs=64k 2>/dev/null || true
}

# 21: the disk is full under log, journal and views; nothing is lost, and it goes on by itself.
story_disk_full() {
    if [ -z "$disk" ]; then
        printf '%-18s skipped: no disk may be mounted here\n' disk_full | tee -a "$work/table"
        return 0
    fi
    people=1000
    fill_disk 16384
    begin "commit_sent/start delay=1 2"
    await_struck "commit_sent/start delay=1 2"
    fill_disk 0
    nap 1
    stands_still 1
    rm -f "$dir"/ballast.*
    doubts_more=10
    finish disk_full completed
    doubts_more=0 people=100
}

# 22: pause and cancel while requests stand before the last check.
story_pause_races() {
    local lines=("permit/twilio delay=300 3" "permit/test-key delay=300 4")
    begin "${lines[@]}"
    await_struck "${lines[0]}"
    control pause
    until_status paused 20
    stands_still 0.3
    control resume
    finish pause_races completed "${lines[@]}"
}

story_cancel_races() {
    local lines=("permit/twilio delay=300 3" "journal_note/test-look delay=300 4")
    cancelled=1
    begin "${lines[@]}"
    await_struck "${lines[0]}"
    control cancel
    finish cancel_races cancelled "${lines[0]}"
    stands_still 0.3
    cancelled=''
}

stories=(callback_first callback_late callbacks_repeated frozen cut_from_log postgres_dies power_lost
    disk_full pause_races cancel_races)

main() {
    local point error nth story
    lanes_read
    sandbox "$calm"
    while read -r point error <&5; do
        wanted "$point" || continue
        for nth in 1 2 3 5; do
            # Each death costs passes: there must be people left for the last one.
            people=$((nth > 2 ? 300 : 100))
            point_case "$point" "$error" "$nth"
            # A process opens two journals only.
            if [ "$form" = short ] || [ "$point" = boot_changed ]; then
                break
            fi
        done
    done 5< <(points)
    people=100
    for story in "${stories[@]}"; do
        wanted "$story" || continue
        sandbox "$calm"
        "story_$story"
    done
    [ "$wrong" = 0 ] || fail "$wrong cases are wrong"
    echo "passed"
}

main
