# lib.sh - a throw-away installation, made by deploy/up, for tests that kill parts of it.
# Sourced by the scripts of tests/chaos, tests/memory, tests/pace and benchmarks/run.
#
# shellcheck shell=bash disable=SC2034,SC2154 # the scripts share its variables

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/deploy/packages.sh"
. "$root/deploy/cluster.sh"
. "$root/deploy/service.sh"

# What takes minutes or hours in life takes seconds here. After chaos_up: DIR/telehub.conf is the
# truth, the caller's environment is not.
chaos_settings() {
    cat >>"$dir/telehub.conf" <<'CONF'
TELEHUB_RETRY_BACKOFF=100ms
TELEHUB_RETRY_BACKOFF_MAX=2s
TELEHUB_SLOT_REOPEN_WAIT=50ms
TELEHUB_CALLBACK_WINDOW_SMS=8s
TELEHUB_CALLBACK_WINDOW_CALL=8s
TELEHUB_SEARCH_WAIT=2s
TELEHUB_REPORT_WAIT=30s
TELEHUB_PROBE_WAIT=1s
TELEHUB_CAMPAIGN_ASK_AGAIN=50ms
CONF
    telehub_restart
}

log=postgres # where the log lies; chaos_log sets it

# chaos_log [--log LOG] ...: a script's first option; sets log, and options_n, how many words to shift.
# Where no Kafka can be had it is said, and the exit status is 77.
chaos_log() {
    options_n=0
    [ "${1:-}" = --log ] || return 0
    log=${2:-} options_n=2
    case $log in
    postgres) ;;
    kafka) "$root/tests/kafka/broker" fetch >/dev/null || exit ;;
    *) printf '%s\n' '--log: postgres or kafka' >&2 && exit 2 ;;
    esac
}

say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }

fail() {
    say "FAILED: $*"
    exit 1
}

# chaos_begin NAME SEED: a folder, chance, and the promise that all is gone in the end. Everything
# is kept, and said where, when the script fails with KEEP=1.
chaos_begin() {
    name=$1 seed=$2
    RANDOM=$seed
    work=$(mktemp -d "/tmp/telehub-$name.XXXXXX")
    chmod 0711 "$work"
    dir=$work/i
    trap 'chaos_end $?' EXIT
    trap 'exit 1' HUP INT TERM
    exec {never}<> <(:)
    say "$name seed=$seed"
}

chaos_end() {
    local status=$1 pid
    trap - EXIT
    for pid in $(jobs -p); do
        kill "$pid" 2>/dev/null || true
    done
    if [ -e "$dir/.telehub" ]; then
        # Postgres cannot end in order on a disk that is still full.
        "$root/deploy/down" --dir "$dir" >>"$work/up.log" 2>&1 ||
            cluster_stop "$dir/postgres" immediate || say "deploy/down failed"
    fi
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$work/up.log" >&2 || true
        grep -h ' level=error\| level=warn' "$dir/log/telehub.log" 2>/dev/null | tail -n 8 >&2 ||
            true
    fi
    if [ "$status" -ne 0 ] && [ -n "${KEEP:-}" ]; then
        say "kept: $work"
    else
        rm -rf "$work"
    fi
    exit "$status"
}

# nap SECONDS: without a process.
nap() { read -r -t "$1" -u "$never" _ || true; }

# between LOW HIGH: a random number, both included.
between() { echo $(($1 + (RANDOM * 32768 + RANDOM) % ($2 - $1 + 1))); }

# median NUMBER...
median() { printf '%s\n' "$@" | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] + 0 }'; }

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# build_program FOLDER NAME: a program of the tests, built as what is measured; prints its path.
build_program() {
    local build=$root/build/chaos
    {
        cmake --preset release -S "$root" -B "$build" >/dev/null &&
            cmake --build "$build" --target "$2"
    } >>"$work/build.log" 2>&1 || fail "building $2: $(tail -n 5 "$work/build.log")"
    echo "$build/$1/$2"
}

# --- the installation ------------------------------------------------------------------------------

# chaos_up: start what does not run; sets url, port, sandbox_port and the rest of what deploy/up says.
chaos_up() {
    local said
    said=$("$root/deploy/up" --no-demo --json --dir "$dir" --port 0 --log "$log" 2>>"$work/up.log") ||
        fail "deploy/up: $(tail -n 5 "$work/up.log")"
    read -r url tenant key_file telehub_bin ledger_url database < <(
        jq -r '[.url, .tenant, .key_file, .telehub, .ledger_url, (.database | @base64)] | join(" ")' \
            <<<"$said"
    )
    database=$(base64 -d <<<"$database")
    port=${url##*:}
    sandbox_port=${ledger_url#*://*:}
    sandbox_port=${sandbox_port%%/*}
    owner=$(stat -c %U "$dir")
}

# chaos_down: the installation is gone, with its log and its ledger; chaos_up makes a new one.
chaos_down() {
    "$root/deploy/down" --dir "$dir" >>"$work/up.log" 2>&1 ||
        fail "deploy/down: $(tail -n 5 "$work/up.log")"
    rm -rf "$dir"
}

telehub() { TELEHUB_DIR=$dir "$telehub_bin" "$@"; }

telehub_pid() { service_pid "$dir/run/telehub.pid" "$owner"; }

sandbox_pid() { service_pid "$dir/run/sandbox.pid" "$owner"; }

# sql DATABASE-COMMANDS...: as the superuser of the private cluster; rows as tab-separated lines.
sql() { cluster_psql "$dir/postgres" telehub -qAt -F $'\t' -c "$1"; }

# sandbox JSON: change the provider's behaviour.
sandbox() {
    curl -fsS -X POST -d "$1" "http://127.0.0.1:$sandbox_port/control" >/dev/null ||
        fail "the sandbox refuses $1"
}

# get_count: sets executions and in_flight, as the provider's ledger tells; costs no process.
get_count() {
    local line body=''
    { exec {http}<>"/dev/tcp/127.0.0.1/$sandbox_port"; } 2>/dev/null || fail "the sandbox is gone"
    printf 'GET /executions/count HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&"$http"
    while read -r -t 10 -u "$http" line || [ -n "$line" ]; do
        body=$line
    done
    exec {http}>&-
    [[ $body =~ \"executions\":([0-9]+),\"in_flight\":([0-9]+) ]] || fail "the sandbox says: $body"
    executions=${BASH_REMATCH[1]} in_flight=${BASH_REMATCH[2]}
}

# until_executions N [SECONDS]: while it runs; sets in_flight as it was then. Fails when nothing moves
# for so long, 60 s if it is not said.
until_executions() {
    local last=-1 moved_at patience=$((${2:-60} * 1000))
    moved_at=$(now_ms)
    while :; do
        get_count
        [ "$executions" -lt "$1" ] || return 0
        if [ "$executions" != "$last" ]; then
            last=$executions moved_at=$(now_ms)
        elif [ $(($(now_ms) - moved_at)) -gt "$patience" ]; then
            say "$(telehub certificate "$campaign" --json || true)"
            fail "nothing was sent for $((patience / 1000)) s, at execution $executions, waiting for $1"
        fi
        nap 0.004
    done
}

# kill_run: kill -9, at once; it is not asked for anything. Waits until it is gone.
kill_run() {
    local pid
    pid=$(telehub_pid) || fail "telehub run had already ended: $(tail -n 3 "$dir/log/telehub.log")"
    kill -s KILL "$pid"
    while [ -d "/proc/$pid" ] && service_pid "$dir/run/telehub.pid" "$owner" >/dev/null; do
        nap 0.005
    done
}

# kill_kafka: the node, at once; telehub goes on without it until chaos_up has started it again.
kill_kafka() {
    local pid
    pid=$(service_pid "$dir/run/kafka.pid" "$owner") || fail "Kafka had already ended: $(tail -n 3 "$dir/log/kafka.log")"
    kill -s KILL "$pid"
    while service_pid "$dir/run/kafka.pid" "$owner" >/dev/null; do
        nap 0.005
    done
}

# telehub_restart: in order, by a process that is new.
telehub_restart() {
    service_stop "$dir/run/telehub.pid" "$owner" telehub 2>>"$work/up.log"
    chaos_up
}

# --- a campaign ------------------------------------------------------------------------------------

# audience_write FILE FIRST N: people whose numbers nobody else has.
audience_write() {
    awk -v first="$2" -v n="$3" 'BEGIN {
        print "phone,name,lang"
        for (i = first; i < first + n; i++)
            printf "+917%09d,Asha %d,%s\n", i, i, i % 3 ? "en" : "hi"
    }' >"$1"
}

# campaign_begin FIRST N [PACE]: sets campaign; people FIRST to FIRST+N-1 are reached, at full pace
# if none is said.
campaign_begin() {
    local audience
    audience_write "$work/audience.csv" "$1" "$2"
    printf '[en]\nNamaste {name}, your class begins at nine.\n[hi]\nनमस्ते {name}, कक्षा नौ बजे है।\n' \
        >"$work/text.txt"
    audience=$(telehub audience upload "$work/audience.csv" --json | jq -er .id) ||
        fail "the audience was not accepted"
    campaign=$(telehub campaign create --name "$name" --channel sms --audience "$audience" \
        --text "$work/text.txt" --pace "${3:-max}" --json | jq -er .id) || fail "no campaign"
    telehub campaign start "$campaign" >&2 || fail "the campaign does not start"
}

campaign_status() {
    curl -fsS -m 10 -H "Authorization: Bearer $(<"$key_file")" "$url/api/v1/campaigns/$campaign" |
        jq -er .status
}

# campaign_await STATUS SECONDS: STATUS may be several, with | between them; sets status.
campaign_await() {
    local deadline=$((SECONDS + $2))
    status=''
    while [ "$SECONDS" -lt "$deadline" ]; do
        status=$(campaign_status) || status="unknown"
        [[ "|$1|" == *"|$status|"* ]] && return 0
        nap 0.1
    done
    say "$(telehub certificate "$campaign" --json || true)"
    fail "campaign $campaign is $status, not $1, after $2 s"
}

# campaign_settle SECONDS: until the certificate is final and every report is in; sets certificate.
campaign_settle() {
    local deadline=$((SECONDS + $1))
    while [ "$SECONDS" -lt "$deadline" ]; do
        certificate=$(telehub certificate "$campaign" --json) || certificate='{}'
        jq -e '.final and .accepted_no_report == 0' <<<"$certificate" >/dev/null && return 0
        nap 0.5
    done
    fail "the certificate is not settled after $1 s: $certificate"
}

# ledger_settle SECONDS: until no callback is owed any more.
ledger_settle() {
    local deadline=$((SECONDS + $1)) summary
    while [ "$SECONDS" -lt "$deadline" ]; do
        summary=$(curl -fsS "$ledger_url/summary")
        jq -e '.ended == .executions and .callbacks.pending == 0' <<<"$summary" >/dev/null && return 0
        nap 0.25
    done
    fail "the sandbox still owes callbacks after $1 s: $summary"
}

# ledger_await N SECONDS: until N were executed.
ledger_await() {
    local deadline=$((SECONDS + $2))
    while get_count; [ "$executions" -lt "$1" ]; do
        [ "$SECONDS" -lt "$deadline" ] || fail "only $executions of $1 were sent after $2 s"
        nap 0.2
    done
}

# --- what must hold --------------------------------------------------------------------------------

# check_recount: the certificate counted anew from the log is that of the views, byte for byte. While
# prices or late reports come in the two are of different moments: so until they are equal, as long as
# the views move.
check_recount() {
    local views counted after still=0 deadline=$((SECONDS + 900))
    while [ "$still" -lt 10 ] && [ "$SECONDS" -lt "$deadline" ]; do
        views=$(telehub certificate "$campaign" --json) || fail "there is no certificate"
        counted=$(telehub certificate "$campaign" --from-log --json 2>"$work/recount.log") ||
            fail "the certificate cannot be counted from the log: $(<"$work/recount.log")"
        if [ "$views" = "$counted" ]; then
            say "certificate: the views' equals the log's; $(<"$work/recount.log")"
            return 0
        fi
        after=$(telehub certificate "$campaign" --json) || fail "there is no certificate"
        still=$((still + 1))
        [ "$views" = "$after" ] || still=0
        nap 0.5
    done
    fail "the views say $views, the log $counted"
}

# check_partition N: each recipient is in exactly one set, and the sets have nobody else; and the log
# says the same.
check_partition() {
    jq -e --argjson n "$1" '.final and .audience == $n and .unsent == 0 and
        .reached + .accepted_no_report + .in_doubt + .unsent +
        ([.unreached[], .suppressed[]] | add // 0) == $n' <<<"$certificate" >/dev/null ||
        fail "the certificate does not partition the $1 recipients: $certificate"
    check_recount
}

# check_ledger FIRST N IN_FLIGHT [OUTCOME]: nobody was called twice; whoever was not called is listed
# as in doubt (or was never to be called, after a cancel; or is listed with that outcome, which is for
# a provider that was away for longer than a send is tried); nobody whose call was executed and
# reported is in doubt; and no more are in doubt than were in flight when we killed.
check_ledger() {
    local first=$1 n=$2 doubt_max=$3 excused=${4:-}
    curl -fsS "$ledger_url?format=csv" >"$work/ledger.csv"
    telehub recipients "$campaign" --outcome in_doubt --csv >"$work/in_doubt.csv" ||
        fail "the recipients in doubt cannot be listed"
    echo phone >"$work/cancelled.csv" # awk counts files by their first lines
    if jq -e '.unreached.cancelled' <<<"$certificate" >/dev/null; then
        telehub recipients "$campaign" --outcome unreached:cancelled --csv >"$work/cancelled.csv" ||
            fail "the cancelled recipients cannot be listed"
    fi
    echo phone >"$work/excused.csv"
    if [ -n "$excused" ]; then
        telehub recipients "$campaign" --outcome "$excused" --csv >"$work/excused.csv" ||
            fail "the recipients that are $excused cannot be listed"
    fi
    awk -F, -v first="$first" -v n="$n" -v doubt_max="$doubt_max" '
        function number(text) { gsub(/"/, "", text); return text }
        FNR == 1 { file++; delete column; for (i = 1; i <= NF; i++) column[number($i)] = i; next }
        file == 1 {
            to = number($column["to"])
            calls[to]++
            if (number($column["callback_delivered"]) == "true") reported[to] = 1
        }
        file == 2 { doubt[number($column["phone"])] = 1 }
        file == 3 { cancelled[number($column["phone"])] = 1 }
        file == 4 { excused[number($column["phone"])] = 1 }
        END {
            for (i = first; i < first + n; i++) {
                to = sprintf("+917%09d", i)
                executed += calls[to] > 0
                if (calls[to] > 1) { twice++; who_twice = to }
                if (to in cancelled) {
                    if (calls[to] > 0) { wrong++; who_wrong = to }
                } else if (!calls[to] && (to in excused)) { given_up++
                } else if (!calls[to] && !(to in doubt)) { skipped++; who_skipped = to }
                if (to in doubt) {
                    doubts++
                    if (to in reported) { settled++; who_settled = to }
                }
            }
            printf "ledger: %d of %d called, %d twice %s, %d skipped %s, %d cancelled yet called %s, " \
                "%d given up, %d in doubt, of which %d reported %s\n", executed, n, twice, who_twice,
                skipped, who_skipped, wrong, who_wrong, given_up, doubts, settled, who_settled
            exit twice || skipped || wrong || settled || doubts > doubt_max
        }' "$work/ledger.csv" "$work/in_doubt.csv" "$work/cancelled.csv" \
        "$work/excused.csv" >"$work/verdict" || {
        say "$(<"$work/verdict")"
        fail "the ledger testifies against us (at most $doubt_max may be in doubt)"
    }
    say "$(<"$work/verdict")"
}

# calls_of FIRST N: the moments at which they were called, µs UTC, in order; by the ledger that
# check_ledger has left.
calls_of() {
    awk -F, -v first="$1" -v n="$2" '
        FNR == 1 { for (i = 1; i <= NF; i++) { gsub(/"/, "", $i); column[$i] = i }; next }
        { to = $column["to"]; gsub(/[^0-9]/, "", to); number = substr(to, 4) + 0
          at = $column["at_us"]; gsub(/"/, "", at) }
        number >= first && number < first + n { print at }' "$work/ledger.csv" | sort -n
}

# most_in US CALLS: the most calls in any window of that length.
most_in() {
    awk -v us="$1" '
        { at[NR] = $1; while (at[NR] - at[first + 1] >= us) first++
          if (NR - first > most) most = NR - first }
        END { print most + 0 }' "$2"
}

# check_windows CALLS PACES: CALLS are those of calls_of; PACES has a line "FROM TO PACE" for each
# pace of the campaign: from when until when (µs UTC) calls of that pace may reach the provider; max
# is no limit. No 60 seconds, at any offset, hold more calls than the greatest of their paces. It is
# enough to look at the windows that begin or end at a call, or where what holds in them changes.
# Sets fullest.
check_windows() {
    {
        awk '{ printf "%.0f\n%.0f\n", $1, $1 - 59999999 }' "$1"
        awk '{ printf "%.0f\n%.0f\n", $2 + 1, $1 - 60000000 }' "$2"
    } | sort -n >"$work/windows"
    fullest=$(awk '
        FNR == 1 { file++ }
        file == 1 { from[++spans] = $1; to[spans] = $2; pace[spans] = $3; next }
        file == 2 { at[++calls] = $1; next }
        {
            end = $1 + 60000000
            while (first < calls && at[first + 1] < $1) first++
            while (last < calls && at[last + 1] < end) last++
            limit = 0
            for (i = 1; i <= spans && limit != "max"; i++)
                if (from[i] < end && to[i] >= $1 && (pace[i] == "max" || pace[i] > limit))
                    limit = pace[i]
            if (limit == "max" || limit == 0) next
            windows++
            n = last - first
            if (n > limit) wrong++
            if (n / limit >= share) { share = n / limit; most = n; of = limit }
        }
        END {
            printf "%d calls where %d are allowed, of %d windows with a limit", most, of, windows
            exit wrong > 0
        }' "$2" "$1" "$work/windows") || {
        say "$(<"$2")"
        fail "more calls in 60 s than the pace allows: $fullest"
    }
}

# check_compare: the command that a customer would use says the same.
check_compare() {
    local answer
    answer=$(telehub ledger compare "$campaign" --ledger "$ledger_url" --json) ||
        fail "telehub ledger compare: $answer"
    jq -e .agrees <<<"$answer" >/dev/null || fail "telehub ledger compare: $answer"
    say "ledger compare: $answer"
}
