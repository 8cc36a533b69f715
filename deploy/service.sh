# service.sh - processes that outlive the shell that starts them, each with its own pid file.
# Sourced by deploy/up and deploy/down, after cluster.sh.
#
# A pid file holds "PID STARTED BOOT": a process id alone may belong to another process by now, so
# the time that it was started and the boot that it was started in must agree, and its user too.
#
# shellcheck shell=bash

# service_started PID: when it was started, in clock ticks after the boot; fails if there is none.
service_started() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -r -a fields <<<"${stat##*) }" # the name before it may hold anything
    [ "${fields[0]}" != Z ] || return 1
    echo "${fields[19]}"
}

service_boot() { cat /proc/sys/kernel/random/boot_id; }

# service_pid FILE USER: the process that the pid file names, if it lives; else nothing, and fails.
service_pid() {
    local pid started boot
    read -r pid started boot 2>/dev/null <"$1" || return 1
    [[ $pid =~ ^[0-9]+$ ]] || return 1
    [ "$boot" = "$(service_boot)" ] || return 1
    [ "$(service_started "$pid")" = "$started" ] || return 1
    [ "$(stat -c %U "/proc/$pid" 2>/dev/null)" = "$2" ] || return 1
    echo "$pid"
}

# service_start FILE USER LOG COMMAND...: in a session of its own, with none of our files open.
# Whether it serves is for the caller to ask.
service_start() {
    local file=$1 user=$2 log=$3 tries
    shift 3
    cluster_as "$user" touch "$log"
    (
        umask 077
        me=$BASHPID
        echo "$me $(service_started "$me") $(service_boot)" |
            cluster_as "$user" tee "$file" >/dev/null
        cd "$(dirname "$file")" || exit 1
        # exec keeps the pid and the time of start, so the file was true before the service ran.
        exec 3>&- 9>&- </dev/null >>"$log" 2>&1
        if [ "$(id -un)" = "$user" ]; then
            exec setsid "$@"
        fi
        exec setsid setpriv --reuid="$user" --regid="$(id -gn "$user")" --clear-groups \
            env -u XDG_RUNTIME_DIR HOME=/ "$@"
    ) &
    for ((tries = 0; tries < 250; tries++)); do
        if service_pid "$file" "$user" >/dev/null || ! service_started $! >/dev/null; then
            break
        fi
        sleep 0.02
    done
}

# service_stop FILE USER NAME: asks it to end and waits for that; one that has not ended after 30 s
# is killed, which costs nothing but the time to recover.
service_stop() {
    local file=$1 user=$2 name=$3 pid tries
    if pid=$(service_pid "$file" "$user"); then
        kill -s TERM "$pid" 2>/dev/null || true
        for ((tries = 0; tries < 600; tries++)); do
            service_pid "$file" "$user" >/dev/null || break
            sleep 0.05
        done
        if service_pid "$file" "$user" >/dev/null; then
            echo "$name (pid $pid) does not stop: it is killed" >&2
            kill -s KILL "$pid" 2>/dev/null || true
            for ((tries = 0; tries < 200; tries++)); do
                service_pid "$file" "$user" >/dev/null || break
                sleep 0.05
            done
        fi
        echo "$name is stopped" >&2
    fi
    rm -f "$file"
}

# port_is_free N: nothing on loopback answers there.
port_is_free() { ! (exec 8<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port_free WISH: that port, if it is free; else any below those that the kernel gives to clients.
port_free() {
    local port=$1 tries
    for ((tries = 0; tries < 200; tries++)); do
        if [ "$port" -gt 0 ] && port_is_free "$port"; then
            echo "$port"
            return 0
        fi
        port=$((20000 + RANDOM % 12000))
    done
    return 1
}
