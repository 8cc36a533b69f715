# packages.sh - which Debian packages are needed for what, and how to get those that are missing.
# Sourced by deploy/up and tests/run.
#
# shellcheck shell=bash disable=SC2034 # who sources this reads the lists

packages_build=(
    gcc libc6-dev cmake ninja-build pkg-config
    libcurl4-openssl-dev libjansson-dev liblz4-dev libmicrohttpd-dev libpq-dev librdkafka-dev
    libssl-dev uthash-dev zlib1g-dev
)
packages_run=(ca-certificates curl jq postgresql-15 postgresql-client-15 tzdata)
packages_test=(
    "${packages_run[@]}"
    clang clang-format clang-tidy libclang-rt-14-dev libavro-dev libcmocka-dev lz4 shellcheck
)

# What it needs to run Apache Kafka, and to fetch it.
packages_java=(openjdk-17-jre-headless)
packages_kafka=(maven "${packages_java[@]}")

# install_packages NAME...: installs those that are missing; says what to do where it may not.
install_packages() {
    local missing=() name present
    # One question for all: deploy/up asks it each time.
    present=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    for name in "$@"; do
        grep -qx "$name installed" <<<"$present" || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "These packages are missing and need root: sudo apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo -n)
    fi
    echo "installing ${missing[*]}" >&2
    "${as_root[@]}" apt-get update -qq >&2
    # postgresql-common would otherwise create and start a cluster that nobody asked for.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' |
            "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}
