# ports.sh - ports of this host that are free now. Sourced.
# shellcheck shell=bash

# free_ports N: below the range that the system gives to clients, and nothing listens there now.
free_ports() {
    local ports=() port
    while [ ${#ports[@]} -lt "$1" ]; do
        port=$((15000 + (RANDOM * 32768 + RANDOM) % 17000))
        [[ " ${ports[*]} " != *" $port "* ]] || continue
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || ports+=("$port")
    done
    echo "${ports[*]}"
}
