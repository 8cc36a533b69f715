# node.sh - where the log of an installation lies, and its own Kafka node if it lies in one.
# Sourced by deploy/up and deploy/down, after installation.sh.
#
#   DIR/kafka/lib     the jars that run; beside it how they log
#   DIR/kafka/data    the node's logs
#   DIR/kafka/.made   the cluster's id: data is formatted
#   DIR/kafka/ports   clients' port, controller's port
#   DIR/kafka/version of Kafka
#
# shellcheck shell=bash disable=SC2034,SC2154 # the pieces of deploy/up share their variables

. "$root/deploy/kafka/fetch.sh"

kafka_version=3.9.1
kafka_partitions=32
kafka_slots=2
kafka_look_ahead=4000 # a transaction takes longer than in Postgres, so more must be in each
KAFKA_READY_S=90

# log_lies: kafka or postgres; nothing while there is no log yet. The operator's key is made last.
log_lies() {
    if [[ $(conf_get TELEHUB_LOG) == kafka://* ]]; then
        echo kafka
    elif [ -e "$dir/keys/operator" ]; then
        echo postgres
    fi
}

# log_choose: sets log, where none was asked for, to what there is; refuses another one.
log_choose() {
    local lies
    lies=$(log_lies)
    if [ -n "$log" ] && [ -n "$lies" ] && [ "$log" != "$lies" ]; then
        die "The log of $dir lies in ${lies^}, and what it holds does not go to ${log^} by itself." \
            "telehub log copy moves a log (telehub log copy --help); or choose another --dir."
    fi
    log=${log:-${lies:-postgres}}
}

# log_address: where it lies, for people.
log_address() {
    local address
    address=$(conf_get TELEHUB_LOG)
    if [ "$log" != kafka ]; then
        echo "schema eventlog of the private Postgres"
    elif kafka_is_own; then
        echo "$address (one node, replication 1; its own log: $dir/log/kafka.log)"
    else
        echo "$address"
    fi
}

# kafka_answers HOST PORT
kafka_answers() { (exec 8<>"/dev/tcp/$1/$2") 2>/dev/null; }

# kafka_log_is ADDRESS COPIES: writes the settings of a log that is made there; of one that is
# there only its address.
kafka_log_is() {
    [ -n "$(conf_get TELEHUB_LOG)" ] || {
        conf_set TELEHUB_PARTITIONS "$kafka_partitions"
        conf_set TELEHUB_SLOTS "$kafka_slots"
        conf_set TELEHUB_REPLICATION "$2"
        conf_set TELEHUB_CAMPAIGN_LOOK_AHEAD "$kafka_look_ahead"
    }
    conf_set TELEHUB_LOG "kafka://$1"
}

# --- brokers of somebody else's --------------------------------------------------------------------

# kafka_given BROKERS: HOST:PORT[,...][/PREFIX], at least one of which answers.
kafka_given() {
    local all=() broker
    [[ $1 =~ ^[A-Za-z0-9._-]+:[0-9]{1,5}(,[A-Za-z0-9._-]+:[0-9]{1,5})*(/[A-Za-z0-9._-]+)?$ ]] ||
        die "KAFKA_BROKERS=$1 is not understood." "Say KAFKA_BROKERS=HOST:PORT[,HOST:PORT...][/PREFIX]."
    IFS=, read -r -a all <<<"${1%%/*}"
    for broker in "${all[@]}"; do
        if kafka_answers "${broker%:*}" "${broker#*:}"; then
            kafka_log_is "$1" "${KAFKA_REPLICATION:-3}"
            return 0
        fi
    done
    die "No Kafka answers at ${1%%/*}." "Start it, or mend KAFKA_BROKERS, then run this again."
}

# --- the installation's own node -------------------------------------------------------------------

# kafka_get: what runs, once. In the folder, since its owner may look neither into the cache of
# whoever calls nor here.
kafka_get() {
    local version=$kafka_version file
    if [ -n "${KAFKA_HOME:-}" ]; then
        install_packages "${packages_java[@]}" || true
        kafka_home "$KAFKA_HOME" || die "Apache Kafka cannot be had: $kafka_why." \
            "Mend that, or unset KAFKA_HOME and it is fetched from Maven Central."
    else
        install_packages "${packages_kafka[@]}" || true
        [ -d "$kafka_cache/$version" ] || say "fetching Apache Kafka $version (60 MB)"
        kafka_fetch "$version" || die "Apache Kafka $version cannot be had: $kafka_why." \
            "Set KAFKA_HOME to an unpacked distribution, or KAFKA_BROKERS=HOST:PORT to a Kafka that runs; or leave out --log kafka."
    fi
    own rm -rf "$dir/kafka/lib" "$dir/kafka/lib.new"
    own mkdir -p "$dir/kafka/lib.new"
    tar -C "$jars" -chf - . | own tar -C "$dir/kafka/lib.new" -xf -
    for file in log4j.properties log4j2.properties; do
        put "$dir/kafka/$file" <"$kafka_files/$file"
    done
    echo "$version" | put "$dir/kafka/version"
    own mv "$dir/kafka/lib.new" "$dir/kafka/lib"
}

# kafka_configure: on the ports that it had, or on others where those are taken; sets kafka_port.
kafka_configure() {
    local port=9092 controller=9093
    [ ! -s "$dir/kafka/ports" ] || read -r port controller <"$dir/kafka/ports"
    port=$(port_free "$port")
    controller=$(port_free "$controller")
    until [ "$controller" != "$port" ]; do
        controller=$(port_free 0)
    done
    sed -e "s|@DIR@|$dir/kafka|" -e "s|@PORT@|$port|" -e "s|@CONTROLLER_PORT@|$controller|" \
        "$kafka_files/server.properties.in" | put "$dir/kafka/server.properties"
    echo "$port $controller" | put "$dir/kafka/ports"
    kafka_port=$port
}

# kafka_format: its data belong to a cluster of a name that nobody else has.
kafka_format() {
    local cluster
    [ ! -e "$dir/kafka/.made" ] || return 0
    own rm -rf "$dir/kafka/data"
    if ! cluster=$(own "${java[@]}" kafka.tools.StorageTool random-uuid 2>>"$dir/log/kafka.log") ||
        ! own "${java[@]}" kafka.tools.StorageTool format -t "$cluster" \
            -c "$dir/kafka/server.properties" >>"$dir/log/kafka.log" 2>&1; then
        die "$(tail -n 10 "$dir/log/kafka.log")" "Kafka's folder $dir/kafka could not be made."
    fi
    echo "$cluster" | put "$dir/kafka/.made"
}

# kafka_is_ours PID: is it our node that listens on kafka_port? Another program may have taken the port
# while ours started; were that a Kafka too, this installation would work in somebody else's log.
kafka_is_ours() {
    local port inode
    port=$(printf ':%04X$' "$kafka_port")
    while read -r inode; do
        [ -z "$(own find "/proc/$1/fd" -lname "socket:\\[$inode\\]" 2>/dev/null)" ] || return 0
    done < <(awk -v port="$port" '$4 == "0A" && $2 ~ port { print $10 }' /proc/net/tcp{,6} 2>/dev/null)
    return 1
}

# kafka_await: fails when the port is somebody else's.
kafka_await() {
    local tries pid
    for ((tries = 0; tries < KAFKA_READY_S * 20; tries++)); do
        pid=$(service_pid "$dir/run/kafka.pid" "$owner") || break
        ! kafka_answers 127.0.0.1 "$kafka_port" || ! kafka_is_ours "$pid" || return 0
        sleep 0.05
    done
    service_stop "$dir/run/kafka.pid" "$owner" "Kafka"
    ! kafka_answers 127.0.0.1 "$kafka_port" || return 1
    die "$(tail -n 10 "$dir/log/kafka.log")" "Kafka does not start; its log is $dir/log/kafka.log."
}

# kafka_start: fails when another program was faster to take the port.
kafka_start() {
    service_start "$dir/run/kafka.pid" "$owner" "$dir/log/kafka.log" \
        "${java[@]}" kafka.Kafka "$dir/kafka/server.properties"
    kafka_await
}

# kafka_node_up: formatted and started, each unless it was.
kafka_node_up() {
    local java=()
    if service_pid "$dir/run/kafka.pid" "$owner" >/dev/null; then
        read -r kafka_port _ <"$dir/kafka/ports"
    else
        own touch "$dir/log/kafka.log"
        kafka_configure
        kafka_command "$(<"$dir/kafka/version")" "$dir/kafka/lib" "$dir/log" "$dir/kafka"
        java+=(-Xms64m -Xmx256m)
        kafka_format
        say "starting Kafka"
        until kafka_start; do
            say "port $kafka_port was taken meanwhile: Kafka takes another"
            kafka_configure
        done
    fi
    kafka_log_is "127.0.0.1:$kafka_port" 1
    say "warning: this Kafka is one node, replication 1: who loses its disk loses the log, and with its power"
    say "  what it had not written yet; KAFKA_BROKERS=HOST:PORT,... is for a cluster"
}

# kafka_is_own: does the log lie in the installation's own node, or will it?
kafka_is_own() {
    [ "$log" = kafka ] || return 1
    if [ -z "$(conf_get TELEHUB_LOG)" ]; then
        [ -z "${KAFKA_BROKERS:-}" ]
    else
        [ -e "$dir/kafka/.made" ]
    fi
}

# kafka_prepare: what may fail for want of Kafka fails here, before anything runs.
kafka_prepare() {
    if kafka_is_own; then
        own mkdir -p "$dir/kafka"
        [ -d "$dir/kafka/lib" ] || kafka_get
    elif [ "$log" = kafka ] && [ -z "$(conf_get TELEHUB_LOG)" ]; then
        kafka_given "$KAFKA_BROKERS"
    fi
}

kafka_up() { ! kafka_is_own || kafka_node_up; }

kafka_down() {
    [ ! -e "$dir/run/kafka.pid" ] || service_stop "$dir/run/kafka.pid" "$owner" "Kafka"
}
