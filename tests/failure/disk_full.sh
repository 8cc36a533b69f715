#!/usr/bin/env bash
# A full disk, one part after the other: Postgres (log, snapshots, views) or Kafka's node, the send
# journal, the sandbox's ledger, the archive. Who asks is told 503; nobody new is called; when there is
# room again all goes on by itself, nothing that was acknowledged is lost, and nobody is called twice.
# Half an archive is a whole one of less, which the next run completes.
#
#   tests/failure/disk_full.sh [--log postgres|kafka] [PEOPLE [SEED]]
#
# 1,500 recipients a part by default; --log kafka: the node's disk and the archive only, since the other
# parts do not depend on the log. The disks are small file systems of their own, ext4 in a file, or a
# tmpfs where loop devices are refused; without both (it needs root) the script is skipped with status
# 77. Postgres and Kafka, when a disk without room ends them, are started again every second, as systemd
# would.
set -euo pipefail
. "$(dirname "$0")/../chaos/lib.sh"

chaos_log "$@"
shift "$options_n"
people=${1:-1500} seed=${2:-1}
[[ $people =~ ^[1-9][0-9]{2,5}$ && $seed =~ ^[0-9]+$ ]] || { sed -n '2,7p' "$0" >&2; exit 2; }

export SANDBOX_RATES= # whoever is called before the rates below are set is well, too
chaos_begin disk-full "$seed"
disks=() supervisor=''
trap 'disk_end $?' EXIT

disk_end() {
    local status=$1 disk
    trap - EXIT
    [ -z "$supervisor" ] || kill "$supervisor" 2>/dev/null || true
    for disk in "${disks[@]}"; do
        rm -f "$disk/ballast"
    done
    [ ! -e "$dir/.telehub" ] || "$root/deploy/down" --dir "$dir" >>"$work/up.log" 2>&1 ||
        cluster_stop "$dir/postgres" immediate || true
    for disk in "${disks[@]}"; do
        umount -l "$disk" || say "cannot unmount $disk"
    done
    chaos_end "$status"
}

# disk_mount FOLDER MB: what lies in the folder goes to a disk of its own, with so much room left.
disk_mount() {
    local folder=$1 mb=$2 image=$work/disk.${#disks[@]} user mode
    user=$(stat -c %U "$folder") mode=$(stat -c %a "$folder")
    mb=$((mb + $(du -sm "$folder" | cut -f1)))
    mv "$folder" "$folder.before"
    mkdir "$folder"
    truncate -s "$((mb + 16))M" "$image"
    if mkfs.ext4 -q -m 0 -E nodiscard "$image" 2>>"$work/up.log" &&
        mount -o loop "$image" "$folder" 2>>"$work/up.log"; then
        rmdir "$folder/lost+found"
    elif ! mount -t tmpfs -o "size=${mb}m" tmpfs "$folder" 2>>"$work/up.log"; then
        echo "skipped: neither a loop file system nor a tmpfs can be mounted here (root may)"
        exit 77
    fi
    disks+=("$folder")
    cp -a "$folder.before/." "$folder/"
    rm -rf "$folder.before"
    chown "$user:" "$folder"
    chmod "$mode" "$folder"
    say "$folder: $(df --output=fstype,avail -h "$folder" | tail -n 1)"
}

# disk_fill FOLDER: to the last block.
disk_fill() {
    local size
    for size in 1M 4k; do
        dd if=/dev/zero of="$1/ballast" bs="$size" oflag=append conv=notrunc 2>/dev/null || true
    done
    say "$1 is full"
}

disk_free() {
    rm -f "$1/ballast"
    say "$1 has room again"
}

# supervise COMMAND...: each second, as a service manager would start what has ended.
supervise() {
    while :; do
        nap 1
        "$@" >>"$work/up.log" 2>&1 || true
    done
}

postgres_revive() { cluster_pid "$dir/postgres" >/dev/null || cluster_start "$dir/postgres"; }

kafka_pid() { service_pid "$dir/run/kafka.pid" "$owner"; }

kafka_revive() { kafka_pid >/dev/null || "$root/deploy/up" --no-demo --dir "$dir" --port 0; }

# standstill SECONDS: until nothing was executed for three seconds; sets executions.
standstill() {
    local deadline=$((SECONDS + $1)) last=-1 since=$SECONDS
    while [ "$SECONDS" -lt "$deadline" ]; do
        get_count
        if [ "$executions" != "$last" ]; then
            last=$executions since=$SECONDS
        elif [ $((SECONDS - since)) -ge 3 ]; then
            return 0
        fi
        nap 0.2
    done
    fail "there are still calls, $executions by now, after $1 s without room"
}

# ask KEY: one send; sets status and took_ms.
ask() {
    local answer
    answer=$(curl -s -m 20 -o "$work/answer" -w '%{http_code} %{time_total}' -X POST \
        -H "Authorization: Bearer $(<"$key_file")" -H "Idempotency-Key: $1" \
        -H 'Content-Type: application/json' \
        -d '{"channel":"sms","to":"+919300000001","text":"Namaste"}' "$url/api/v1/sends") || true
    status=${answer%% *}
    took_ms=$(awk -v s="${answer##* }" 'BEGIN { print int(s * 1000) }')
}

# all_is_well FIRST [OUTCOME]: the campaign of FIRST and those behind it has ended as it would have;
# OUTCOME as in check_ledger.
all_is_well() {
    campaign_settle 180
    ledger_settle 60
    check_partition "$people"
    check_ledger "$1" "$people" "$in_flight_max" "${2:-}"
    check_compare
    telehub view verify --json >"$work/verify" || fail "view verify: $(<"$work/verify")"
}

# raw ARCHIVE: the bytes of its records, partition by partition, to files in ARCHIVE.raw.
raw() {
    local file part
    mkdir -p "$1.raw"
    awk '$1 == "segment" { printf "%s/%d/%020d%s.seg %s.%d\n", $2, $3, $4, $12 ? "-" $12 : "", $2, $3 }' \
        "$1/MANIFEST" | while read -r file part; do
        lz4 -dc "$1/$file" >>"$1.raw/$part"
    done
}

provider() {
    sandbox '{"seed":"'"$seed"'","latency_ms":"20-60","rates":"","callback_retries":"60"}'
}

# --- the log ---------------------------------------------------------------------------------------

# log_fills FOLDER MS: what holds the log finds no room, while a campaign runs and clients post. Who
# asks is told so after MS at the median, at most. Sets refused_keys.
log_fills() {
    local times=() i
    supervise "${log}_revive" &
    supervisor=$!
    campaign_begin 100000 "$people" $((people * 2)) # half a minute
    until_executions $((people / 10))
    "$post_sends" "$port" "$key_file" 200000 --connections 32 --seconds 8 --patience 300 \
        --out "$work/told" >"$work/client" &
    client=$!
    nap 1
    get_count
    in_flight_max=$((in_flight + 64))
    disk_fill "$1"
    # While a page has a little room, a little is taken: full is where ten in a row are refused.
    refused_keys=()
    for ((i = 0; i < 600 && ${#times[@]} < 10; i++)); do
        ask "full-$i"
        case $status in
        503) refused_keys+=("full-$i") times+=("$took_ms") ;;
        20[02]) refused_keys=() times=(); nap 0.1 ;;
        *) fail "no room, and the answer is $status: $(<"$work/answer")" ;;
        esac
    done
    [ "${#times[@]}" = 10 ] || fail "the log takes what it has no room for: $status $(<"$work/answer")"
    say "503 after $(median "${times[@]}") ms at the median, $(printf '%s\n' "${times[@]}" | sort -n | tail -1) ms at most"
    [ "$(median "${times[@]}")" -le "$2" ] || fail "who asks waits for longer than $2 ms: ${times[*]}"
    standstill 60
    [ "$(campaign_status)" != completed ] || fail "all were called before the disk was full"
    say "nobody is called any more, after $executions executions"
}

# log_has_room FOLDER: nothing was lost.
log_has_room() {
    local requests key tries
    disk_free "$1"
    wait "$client" || fail "the client says: $(<"$work/client")"
    requests=$(wc -l <"$work/told")
    for key in "${refused_keys[@]}"; do
        for ((tries = 0; tries < 100; tries++)); do
            ask "$key"
            if [[ $status = 20[02] ]]; then
                break
            fi
            nap 0.2
        done
        [[ $status = 20[02] ]] || fail "a repeat is told $status"
    done
    all_is_well 100000
    "$post_sends" "$port" "$key_file" "$requests" --again "$work/told" --patience 60 >"$work/again" ||
        fail "a repeat got another answer: $(<"$work/again")"
    jq -e --argjson n "$requests" '.replayed == $n and .accepted == 0' "$work/again" >/dev/null ||
        fail "repeats were taken for new: $(<"$work/again")"
    say "$requests accepted requests are told the same id;" \
        "$(grep -c 'snapshot was not written' "$dir/log/telehub.log" || true) snapshots were not written"
    kill "$supervisor"
    supervisor=''
}

part_postgres() {
    local i refused away
    disk_mount "$dir/postgres" 512
    chaos_up
    provider
    log_fills "$dir/postgres" 1000
    # The next segment of the write-ahead log finds no room either: that ends Postgres.
    for ((i = 0; i < 20; i++)); do
        sql 'SELECT pg_switch_wal(); CHECKPOINT' >>"$work/up.log" 2>&1 || break
    done
    nap 3
    ask "${refused_keys[0]}"
    [ "$status" = 503 ] || fail "no Postgres, and the answer is $status: $(<"$work/answer")"
    # Its own log lies on the full disk; ours does not.
    refused=$(grep -c 'No space left' "$dir/log/telehub.log") || fail "the disk was never full"
    away=$(grep -cE 'closed the connection|terminating|connection to server' "$dir/log/telehub.log") || true
    say "Postgres refused $refused times, and was away $away times"
    log_has_room "$dir/postgres"
}

# Kafka's node ends itself when it cannot write, and does not start before it can.
part_kafka() {
    local ended
    disk_mount "$dir/kafka/data" 64
    chaos_up
    provider
    log_fills "$dir/kafka/data" 10000
    grep -q 'No space left' "$dir/log/kafka.log" || fail "the disk was never full"
    ended=$(grep -c 'starting Kafka' "$work/up.log") || true
    say "the node was started $ended times"
    log_has_room "$dir/kafka/data"
}

# --- the others ------------------------------------------------------------------------------------

part_journal() {
    local began
    service_stop "$dir/run/telehub.pid" "$owner" telehub 2>>"$work/up.log"
    disk_mount "$dir/journal" 1
    chaos_up
    campaign_begin 200000 "$people"
    get_count
    began=$executions
    until_executions $((began + people / 10))
    get_count
    in_flight_max=$((in_flight + 64))
    disk_fill "$dir/journal"
    standstill 30
    [ "$executions" -lt $((began + people)) ] || fail "all were called before the disk was full"
    say "nobody is called any more, after $((executions - began)) executions"
    disk_free "$dir/journal"
    all_is_well 200000
}

part_ledger() {
    local began given_up i
    service_stop "$dir/run/sandbox.pid" "$owner" "the sandbox" 2>>"$work/up.log"
    disk_mount "$dir/sandbox" 1
    chaos_up
    provider
    campaign_begin 300000 "$people"
    get_count
    began=$executions
    until_executions $((began + people / 10))
    in_flight_max=$((in_flight + 512))
    disk_fill "$dir/sandbox"
    for ((i = 0; i < 300; i++)); do
        sandbox_pid >/dev/null || break
        nap 0.1
    done
    disk_free "$dir/sandbox"
    chaos_up
    provider
    all_is_well 300000 unreached:exhausted # the provider was away
    given_up=$(telehub dlq list --kind exhausted --json |
        jq --arg campaign "$campaign" '[.data[] | select(.campaign == $campaign)] | length')
    [ "$given_up" = "$(jq '.unreached.exhausted // 0' <<<"$certificate")" ] ||
        fail "dlq list --kind exhausted has $given_up sends: $certificate"
    curl -fsS "$ledger_url/summary" >"$work/summary"
    jq -e '.recipients_executed_again == 0' "$work/summary" >/dev/null || {
        # The ten keys of the questions above are ten sends to one number.
        [ "$(jq -r .recipients_executed_again "$work/summary")" -le 1 ] ||
            fail "somebody was called twice: $(<"$work/summary")"
    }
}

part_archive() {
    local room bytes
    command -v lz4 >/dev/null || install_packages lz4
    telehub archive --to "$work/whole" >"$work/archived" || fail "archive: $(<"$work/archived")"
    mkdir "$work/archive"
    disk_mount "$work/archive" 1
    disk_fill "$work/archive"
    # One run finds no room for anything, the others for a little more each.
    for room in 0 128 512; do
        truncate -s "-${room}K" "$work/archive/ballast"
        if telehub archive --to "$work/archive" >"$work/archived" 2>&1; then
            fail "the archive found room for all: $(<"$work/archived")"
        fi
        grep -q 'No space left' "$work/archived" || fail "archive says: $(<"$work/archived")"
        say "$(tail -n 1 "$work/archived")"
        [ ! -e "$work/archive/MANIFEST" ] || telehub archive verify "$work/archive" >"$work/verified" ||
            fail "half an archive is not whole: $(<"$work/verified")"
    done
    [ -e "$work/archive/MANIFEST" ] || fail "nothing was archived while there was a little room"
    disk_free "$work/archive"
    telehub archive --to "$work/archive" --verify >"$work/archived" || fail "archive: $(<"$work/archived")"
    raw "$work/whole"
    raw "$work/archive"
    for bytes in "$work/whole.raw"/*; do
        cmp -n "$(stat -c %s "$bytes")" "$bytes" "$work/archive.raw/$(basename "$bytes")" ||
            fail "what was archived in pieces differs: $(basename "$bytes")"
    done
}

chaos_up
chaos_settings
echo TELEHUB_SLOT_SNAPSHOT=64kB >>"$dir/telehub.conf"
provider
post_sends=$(build_program tests/chaos post_sends)
"$root/deploy/down" --dir "$dir" >>"$work/up.log" 2>&1 || fail "deploy/down"

parts=(postgres journal ledger archive)
[ "$log" = postgres ] || parts=(kafka archive)
for part in "${parts[@]}"; do
    say "--- a full disk: $part"
    "part_$part"
done
echo "passed: full disks of ${parts[*]}, $people people each, seed $seed: 503 while there is no room, nothing lost, nobody called twice"
