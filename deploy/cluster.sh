#!/usr/bin/env bash
# cluster.sh - a private Postgres 15 cluster in a folder of its own: the one that deploy/up runs,
# and the throw-away ones of tests and benchmarks.
#
#   deploy/cluster.sh create DIR [--user USER] [--size deploy|test] [--port N]
#   deploy/cluster.sh start|stop|kill|status|conninfo DIR
#   deploy/cluster.sh hold [--size SIZE]     make a throw-away cluster in a temporary folder, print
#                                            its conninfo, and when standard input ends (which it
#                                            also does when whoever held it was killed) stop and
#                                            remove it
#
# Also a library: source it and call cluster_create and so on.
#
# Below DIR: data/ (the cluster), run/ (the socket), postgres.log. Everything belongs to one
# unprivileged user, since initdb refuses root. No existing cluster is ever touched: create refuses
# a folder that holds anything, start and stop look at DIR alone.
#
# Roles: postgres (superuser, for the owner of the folder and root), telehub (owns the database
# telehub), telehub_analyst (a group without login; the migrations give it what analysts may see).

cluster_bin() {
    local bin
    for bin in /usr/lib/postgresql/15/bin /usr/local/pgsql/bin; do
        [ -x "$bin/initdb" ] && { echo "$bin"; return 0; }
    done
    echo "cluster.sh: no initdb of Postgres 15: apt-get install postgresql-15" >&2
    return 1
}

# cluster_as USER COMMAND...: as that user; root needs no password for it, others are USER already.
cluster_as() {
    local user=$1
    shift
    if [ "$(id -un)" = "$user" ]; then
        "$@"
    else
        # Not runuser: it would want a login shell and a session for a user who has neither.
        setpriv --reuid="$user" --regid="$(id -gn "$user")" --clear-groups \
            env -u XDG_RUNTIME_DIR HOME=/ "$@"
    fi
}

cluster_owner() { stat -c %U "$1/data"; }

# The process that runs this very folder, or nothing. A pid alone may have been given to another.
cluster_pid() {
    local dir=$1 pid
    [ -r "$dir/data/postmaster.pid" ] || return 1
    read -r pid <"$dir/data/postmaster.pid" || return 1
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(readlink -f "$dir/data")" ] || return 1
    echo "$pid"
}

# cluster_settings SIZE PORT DIR: what the log's promises rest on, then what the machine's size asks.
cluster_settings() {
    local size=$1 port=$2 dir=$3
    cat <<SETTINGS
# Written once by deploy/cluster.sh.
unix_socket_directories = '$dir/run'
unix_socket_permissions = 0777          # who may come in is said by pg_hba.conf
listen_addresses = '$([ "$port" = 0 ] || echo 127.0.0.1)'
port = $([ "$port" = 0 ] && echo 5432 || echo "$port")

# What was acknowledged is durable, and a torn page is found.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica
wal_compression = lz4
checkpoint_timeout = 15min
client_connection_check_interval = 5s
tcp_keepalives_idle = 10
tcp_keepalives_interval = 5
tcp_keepalives_count = 3

# Times and texts are read by programs.
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] %q%u@%d %a '
log_min_duration_statement = 5s
logging_collector = off
cluster_name = 'telehub'
password_encryption = scram-sha-256
default_toast_compression = lz4
max_connections = 100
jit = off                               # compiling costs more than the short statements here
autovacuum_naptime = 30s

# To analyze a table reads 300 rows times the target into memory. 100, the default, took 88 MB for a
# segment of the log, whose batches have 3 kB, and three workers may do so at once; 20 takes 19. What is
# asked here is asked by key, which needs no finer picture.
default_statistics_target = 20
autovacuum_max_workers = 2
SETTINGS
    case $size in
    deploy) cat <<SETTINGS
shared_buffers = 128MB
effective_cache_size = 2GB
work_mem = 8MB
maintenance_work_mem = 64MB
max_wal_size = 8GB
min_wal_size = 256MB
SETTINGS
        ;;
    test) cat <<SETTINGS
shared_buffers = 64MB
work_mem = 4MB
maintenance_work_mem = 32MB
max_wal_size = 1GB
min_wal_size = 80MB
max_worker_processes = 2
max_parallel_workers = 0
max_parallel_workers_per_gather = 0
SETTINGS
        ;;
    *) echo "cluster.sh: no size $size" >&2; return 1 ;;
    esac
}

# The owner of the folder and root come in without a password, through the socket, as the two roles
# that own things. Every other role must show a password: that is how an analyst comes in.
cluster_hba() {
    cat <<'HBA'
local  all  postgres,telehub           peer map=owner
local  all  all                        scram-sha-256
host   all  all          127.0.0.1/32  scram-sha-256
HBA
}

cluster_ident() {
    local user
    for user in "$1" root; do
        echo "owner $user postgres"
        echo "owner $user telehub"
    done
}

# cluster_create DIR [--user USER] [--size deploy|test] [--port N]
# Under root USER is needed and must exist; otherwise it is whoever asks.
cluster_create() {
    local dir=$1 user size=deploy port=0 bin
    user=$(id -un)
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --user) user=$2 ;;
        --size) size=$2 ;;
        --port) port=$2 ;;
        *) echo "cluster.sh: unknown option $1" >&2; return 1 ;;
        esac
        shift 2
    done
    bin=$(cluster_bin) || return 1
    if [ "$(id -u "$user")" = 0 ]; then
        echo "cluster.sh: Postgres refuses to run as root: name another user with --user" >&2
        return 1
    fi
    if [ -e "$dir" ] && [ -n "$(ls -A "$dir")" ]; then
        echo "cluster.sh: $dir is not empty; a cluster is made in a folder of its own" >&2
        return 1
    fi
    mkdir -p "$dir/run" || return 1
    dir=$(readlink -f "$dir")
    if [ ${#dir} -gt 80 ]; then # sun_path holds 108 bytes, /run/.s.PGSQL.65535.lock included
        echo "cluster.sh: $dir is too long a path for a socket" >&2
        return 1
    fi
    chown "$user:$(id -gn "$user")" "$dir" "$dir/run" || return 1
    local fast=()
    [ "$size" = test ] && fast=(--no-sync)
    if ! cluster_as "$user" "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C.UTF-8 \
        --data-checksums --auth=peer "${fast[@]}" >"$dir/initdb.log" 2>&1; then
        cat "$dir/initdb.log" >&2
        return 1
    fi
    rm -f "$dir/initdb.log"
    cluster_settings "$size" "$port" "$dir" >"$dir/data/telehub.conf" || return 1
    echo "include 'telehub.conf'" >>"$dir/data/postgresql.conf"
    if [ "$size" = test ]; then
        echo 'local all all trust' >"$dir/data/pg_hba.conf"
        chmod 0711 "$dir"
    else
        cluster_hba >"$dir/data/pg_hba.conf"
        cluster_ident "$user" >"$dir/data/pg_ident.conf"
    fi
    chown "$user" "$dir/data/telehub.conf"
    cluster_start "$dir" || return 1
    cluster_psql "$dir" postgres -q <<'SQL' || return 1
CREATE ROLE telehub LOGIN CREATEROLE;
GRANT pg_monitor TO telehub;
CREATE ROLE telehub_analyst NOLOGIN;
CREATE DATABASE telehub OWNER telehub;
REVOKE ALL ON DATABASE telehub FROM PUBLIC;
GRANT CONNECT ON DATABASE telehub TO telehub_analyst;
\connect telehub
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SQL
}

# cluster_psql DIR DATABASE [psql option...]: as the superuser.
cluster_psql() {
    local dir=$1 database=$2 bin
    shift 2
    bin=$(cluster_bin) || return 1
    "$bin/psql" -X -v ON_ERROR_STOP=1 -h "$dir/run" -p "$(cluster_port "$dir")" -U postgres \
        -d "$database" "$@"
}

cluster_port() { sed -n 's/^port = \([0-9]*\).*/\1/p' "$1/data/telehub.conf"; }

# cluster_conninfo DIR: how the owner of the database gets in.
cluster_conninfo() {
    local dir
    dir=$(readlink -f "$1")
    echo "host=$dir/run port=$(cluster_port "$dir") dbname=telehub user=telehub"
}

# cluster_settle DIR: after a crash, until what is left of the old server is gone, at most 10 s: its
# backends hold the shared memory, and its pid, until somebody has waited for it, the lock file.
cluster_settle() {
    local dir=$1 pid tries
    [ -r "$dir/data/postmaster.pid" ] && read -r pid <"$dir/data/postmaster.pid" || return 0
    for ((tries = 0; tries < 200; tries++)); do
        grep -qs '^State:.*Z' "/proc/$pid/status" ||
            find /proc -maxdepth 2 -name cwd -lname "$dir/data" 2>/dev/null | grep -q . || return 0
        sleep 0.05
    done
}

# cluster_start DIR: does nothing when it runs; answers when it takes connections.
cluster_start() {
    local dir bin user
    dir=$(readlink -f "$1") && bin=$(cluster_bin) || return 1
    if ! cluster_pid "$dir" >/dev/null; then
        user=$(cluster_owner "$dir") || return 1
        cluster_settle "$dir"
        # In its own process group, without our standard files: it outlives the shell that starts it.
        (
            cd "$dir" || exit 1
            # shellcheck disable=SC2016 # the inner shell expands these
            cluster_as "$user" sh -c 'exec setsid "$1" -D "$2" >>"$3" 2>&1 </dev/null &' \
                sh "$bin/postgres" "$dir/data" "$dir/postgres.log"
        )
    fi
    cluster_wait "$dir"
}

# cluster_wait DIR: until it takes connections, at most 60 s (recovery after a crash takes its time).
cluster_wait() {
    local dir=$1 bin tries
    bin=$(cluster_bin) || return 1
    for ((tries = 0; tries < 1200; tries++)); do
        if "$bin/pg_isready" -q -h "$dir/run" -p "$(cluster_port "$dir")"; then
            return 0
        fi
        if [ "$tries" -gt 40 ] && ! cluster_pid "$dir" >/dev/null; then
            break
        fi
        sleep 0.05
    done
    echo "cluster.sh: Postgres in $dir does not start; the end of $dir/postgres.log:" >&2
    tail -n 20 "$dir/postgres.log" >&2
    return 1
}

# cluster_kill DIR: as a power cut would end it, all its processes at once; the next start recovers.
cluster_kill() {
    local dir=$1 pid tries children
    pid=$(cluster_pid "$dir") || return 0
    children=$(cat "/proc/$pid/task/$pid/children")
    # shellcheck disable=SC2086 # a list of pids
    kill -s KILL "$pid" $children 2>/dev/null || true
    for ((tries = 0; tries < 200; tries++)); do
        cluster_pid "$dir" >/dev/null || break
        sleep 0.02
    done
    # A postmaster refuses to start while an orphan still has the old shared memory.
    for pid in $children; do
        for ((tries = 0; tries < 500; tries++)); do
            [ -d "/proc/$pid" ] || break
            sleep 0.02
        done
    done
}

# cluster_stop DIR [fast|immediate]: ends its own process only, and waits for it, at most 60 s.
cluster_stop() {
    local dir=$1 how=${2:-fast} pid tries signal=INT
    [ "$how" = immediate ] && signal=QUIT
    pid=$(cluster_pid "$dir") || return 0
    kill -s "$signal" "$pid" || return 1
    for ((tries = 0; tries < 1200; tries++)); do
        cluster_pid "$dir" >/dev/null || return 0
        sleep 0.05
    done
    echo "cluster.sh: Postgres in $dir (pid $pid) does not stop" >&2
    return 1
}

# The user whom throw-away clusters belong to.
cluster_test_user() {
    if [ "$(id -u)" = 0 ]; then echo nobody; else id -un; fi
}

cluster_hold() {
    # Not below TMPDIR: that may be a long path, or one that another user cannot enter.
    held=$(mktemp -d /tmp/telehub-pg.XXXXXX) || return 1
    trap 'cluster_stop "$held" immediate; rm -rf "$held"' EXIT
    trap 'exit 1' HUP INT TERM
    cluster_create "$held" --user "$(cluster_test_user)" --size test "$@" || return 1
    cluster_conninfo "$held"
    cat >/dev/null
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    command=${1:-}
    [ $# -eq 0 ] || shift
    case $command in
    create | start | stop | kill | conninfo | hold) "cluster_$command" "$@" ;;
    status) if cluster_pid "$1" >/dev/null; then echo running; else echo stopped; exit 1; fi ;;
    *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
fi
