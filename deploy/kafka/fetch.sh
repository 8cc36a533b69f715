# fetch.sh - Apache Kafka's jars, from Maven Central or from KAFKA_HOME, and how a program in them is
# started. Sourced by deploy/kafka/node.sh and tests/kafka/broker.
#
# shellcheck shell=bash disable=SC2034 # who sources this reads what is set

kafka_files=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kafka_cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/telehub/kafka

# kafka_logging VERSION: which library it logs through.
kafka_logging() {
    case $1 in 3.*) echo reload4j ;; *) echo log4j2 ;; esac
}

# kafka_fetch VERSION: sets jars, the folder of its jars; about 60 MB, fetched once, by mvn. Else sets
# kafka_why and fails. A folder is whole as soon as it has its name.
kafka_fetch() {
    local new log
    jars=$kafka_cache/$1
    [ ! -d "$jars" ] || return 0
    kafka_why="no java: apt-get install openjdk-17-jre-headless"
    command -v java >/dev/null || return 1
    kafka_why="no mvn: apt-get install maven"
    command -v mvn >/dev/null || return 1
    kafka_why="$kafka_cache cannot be made"
    mkdir -p "$kafka_cache" && new=$(mktemp -d "$kafka_cache/new.XXXXXX") || return 1
    log=$new.log
    if ! mvn -B -q -f "$kafka_files/pom.xml" -P"$(kafka_logging "$1")" -Dkafka.version="$1" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$new" >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -rf "$new" "$log"
        kafka_why="mvn cannot fetch Apache Kafka $1"
        return 1
    fi
    rm "$log"
    mv -T "$new" "$jars" 2>/dev/null || rm -rf "$new" # another one was first
}

# kafka_home FOLDER: the same of a distribution that is there; sets jars and version.
kafka_home() {
    local core
    jars=$1/libs
    core=$(compgen -G "$jars/kafka_2.1*-[0-9]*.[0-9].jar" | head -n 1) || true
    version=${core##*-}
    version=${version%.jar}
    kafka_why="KAFKA_HOME=$1 has no libs/kafka_2.13-VERSION.jar: unpack a distribution of Apache Kafka there"
    [ -n "$version" ] || return 1
    kafka_why="no java: apt-get install openjdk-17-jre-headless"
    command -v java >/dev/null
}

# kafka_command VERSION JARS LOGS [FILES]: sets java, the words before the name of a class. Made for
# a process that starts soon and stays small. FILES: where log4j*.properties lie, if not here.
kafka_command() {
    local config=log4j.properties option=log4j.configuration
    [ "$(kafka_logging "$1")" = reload4j ] ||
        { config=log4j2.properties option=log4j2.configurationFile; }
    java=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ActiveProcessorCount=2
        "-D$option=file:${4:-$kafka_files}/$config" "-Dkafka.logs.dir=$3" -cp "$2/*")
}
