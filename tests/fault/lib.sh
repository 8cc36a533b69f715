# lib.sh - an installation whose `telehub run` has fault points, and accounts of all four
# reconciliation classes at the sandbox. Sourced by run.sh.
#
# shellcheck shell=bash disable=SC2034,SC2154 # run.sh shares its variables

. "$(dirname "${BASH_SOURCE[0]}")/../chaos/lib.sh"

# class, account, wire, sender
wires=(
    "C sandbox twilio +918069000001"
    "C back test-back +918069000011"
    "I keyed test-key +918069000012"
    "L looked test-look +918069000013"
    "0 muted test-mute +918069000014"
)
concurrency=4 # requests in flight at each, so that all are in the midst of it at any time

fault_pid=''
restarts=0

# What takes minutes takes a second, so that a case ends before the reader does.
faults_settings() {
    cat >>"$dir/telehub.conf" <<'CONF'
TELEHUB_RETRY_BACKOFF=20ms
TELEHUB_RETRY_BACKOFF_MAX=200ms
TELEHUB_SLOT_REOPEN_WAIT=20ms
TELEHUB_SLOT_POLL=50ms
TELEHUB_CALLBACK_WINDOW_SMS=6s
TELEHUB_CALLBACK_WINDOW_CALL=6s
TELEHUB_REPORT_WAIT=30s
TELEHUB_PRICE_TRIES=0
TELEHUB_PROBE_WAIT=50ms
TELEHUB_CIRCUIT_CALLS=100000
TELEHUB_CAMPAIGN_ASK_AGAIN=20ms
TELEHUB_SEND_WINDOW=500ms
TELEHUB_CALL_TIMEOUT=500ms
TELEHUB_SEARCH_WAIT=100ms
TELEHUB_LOG_RESOLVE_RETRY=10ms
TELEHUB_VIEWS_IDLE=10ms
TELEHUB_VIEWS_LOAD=50ms
TELEHUB_VIEWS_RETRY_WAIT=20ms
CONF
}

# fault_build: telehub with the points, into DIR/bin.
fault_build() {
    local build=$root/build/faults
    {
        cmake --preset faults -S "$root" >/dev/null && cmake --build "$build" --target telehub
    } >>"$work/build.log" 2>&1 || fail "building: $(tail -n 5 "$work/build.log")"
    install -m 0755 "$build/processors/telehub" "$dir/bin/telehub-faults"
}

# as_owner COMMAND...: without a shell in between, so that its pid is the one that we know.
as_owner() {
    if [ "$(id -un)" = "$owner" ]; then
        exec "$@"
    fi
    exec setpriv --reuid="$owner" --regid="$(id -gn "$owner")" --clear-groups "$@"
}

# fault_start: and wait until it serves, unless it dies of a fault meanwhile.
fault_start() {
    (
        exec </dev/null >>"$dir/log/telehub.log" 2>&1
        as_owner env -u XDG_RUNTIME_DIR HOME=/ TELEHUB_DIR="$dir" TH_FAULTS="$dir/run/faults" \
            TH_FAULT_PEER="$dir/postgres/data/postmaster.pid" \
            "$dir/bin/telehub-faults" run
    ) &
    fault_pid=$!
    disown "$fault_pid" # its death is expected, and no news
    until curl -fs -m 2 -o /dev/null "$url/health/ready"; do
        kill -0 "$fault_pid" 2>/dev/null || return 0
        nap 0.02
    done
}

# fault_stop [SIGNAL]: and wait until it is gone.
fault_stop() {
    [ -n "$fault_pid" ] || return 0
    kill -s "${1:-TERM}" "$fault_pid" 2>/dev/null || true
    while kill -0 "$fault_pid" 2>/dev/null; do nap 0.01; done
}

# revive: whatever died is started again.
revive() {
    if ! cluster_pid "$dir/postgres" >/dev/null; then
        postgres_deaths=$((postgres_deaths + 1))
        [ "$postgres_deaths" -lt 40 ] || fail "Postgres does not start: $(tail -n 3 "$work/up.log")"
        # The next fault may end it before it was seen to serve.
        cluster_start "$dir/postgres" >>"$work/up.log" 2>&1 || return 0
        postgres_pid=$(cluster_pid "$dir/postgres") || return 0
    fi
    kill -0 "$fault_pid" 2>/dev/null && return 0
    restarts=$((restarts + 1))
    [ "$restarts" -lt 40 ] || fail "it dies again and again: $(tail -n 3 "$dir/log/telehub.log")"
    fault_start
}

# disk_make: the installation lies on a small disk of its own, where we may mount one.
disk_make() {
    disk=''
    mkdir "$dir"
    if [ "$(id -u)" = 0 ] && truncate -s 1200M "$work/disk" &&
        mkfs.ext4 -q -m 0 "$work/disk" && mount -o loop "$work/disk" "$dir" 2>>"$work/up.log"; then
        disk=$work/disk
        rmdir "$dir/lost+found"
    else
        rmdir "$dir"
    fi
}

# sandbox_away: the provider has a disk of its own.
sandbox_away() {
    [ -n "$disk" ] || return 0
    service_stop "$dir/run/sandbox.pid" "$owner" "the sandbox" 2>>"$work/up.log"
    mv "$dir/sandbox" "$work/sandbox"
    ln -s "$work/sandbox" "$dir/sandbox"
    chaos_up
}

faults_end() {
    local status=$1
    trap - EXIT
    fault_stop KILL
    cp "$dir/log/telehub.log" "$work/telehub.log" 2>/dev/null || true
    if [ -n "${disk:-}" ]; then
        [ ! -e "$dir/.telehub" ] || "$root/deploy/down" --dir "$dir" >>"$work/up.log" 2>&1 || true
        umount "$dir" 2>/dev/null || umount -l "$dir"
    fi
    chaos_end "$status"
}

faults_up() {
    local row account wire from
    trap 'faults_end $?' EXIT
    disk_make
    chaos_up
    sandbox_away
    faults_settings
    service_stop "$dir/run/telehub.pid" "$owner" telehub 2>>"$work/up.log"
    fault_build
    : >"$dir/run/faults"
    chown "$owner:" "$dir/run/faults"
    postgres_pid=$(cluster_pid "$dir/postgres")
    fault_start
    for row in "${wires[@]}"; do
        read -r _ account wire from <<<"$row"
        telehub provider add "$account" --wire "$wire" \
            --base-url "http://127.0.0.1:$sandbox_port" --account AC00000000000000000000000000000001 \
            --secret-file "$dir/sandbox/secret" --from "$from" \
            --concurrency "$concurrency" >>"$work/up.log" 2>&1 ||
            fail "the account $account is not taken: $(tail -n 1 "$work/up.log")"
        telehub provider enable "$account" >>"$work/up.log" 2>&1 || fail "$account is not enabled"
    done
}

# faults LINE...: what is to happen from now on.
faults() {
    rm -f "$dir/run/faults.struck"
    printf '%s\n' "$@" >"$work/faults.new"
    install -m 0644 -o "$owner" "$work/faults.new" "$dir/run/faults.new"
    mv -f "$dir/run/faults.new" "$dir/run/faults"
}

struck() { cat "$dir/run/faults.struck" 2>/dev/null || true; }
