# installation.sh - the folder of one installation: whose it is, what lies in it, what runs from it.
# Sourced by deploy/up and deploy/down, after cluster.sh and service.sh.
#
#   DIR/telehub.conf   settings; kept, but for those that are given to deploy/up
#   DIR/bin            the two programs
#   DIR/keys           operator, one file per tenant, analyst.pgpass
#   DIR/postgres       the private cluster
#   DIR/kafka          the private Kafka, where the log lies in one (kafka/node.sh)
#   DIR/sandbox        the provider that calls nobody, with its ledger
#   DIR/demo           the demo's audience, campaign and text
#   DIR/campaigns      what else was sent by deploy/up
#   DIR/log DIR/run    logs; pid files
#
# Everything belongs to one user, "owner": telehub when root made it, else whoever did.
#
# shellcheck shell=bash disable=SC2034,SC2154 # the pieces of deploy/up share their variables

# die WHAT DO: the two sentences that a failure has to say.
die() {
    printf '\n%s\n%s\n' "$1" "$2" >&2
    has_said_why=1
    exit 1
}

say() { printf '%s\n' "$*" >&2; }

# installation_default_dir: sets dir where none was given.
installation_default_dir() {
    if [ -n "$dir" ]; then
        return 0
    elif [ "$(id -u)" = 0 ]; then
        dir=/var/lib/telehub
    elif [ -n "${HOME:-}" ]; then
        dir=$HOME/.local/share/telehub
    else
        die "HOME is not set, so there is no default folder." "Name one with --dir DIR."
    fi
}

# installation_is DIR: was it made by deploy/up?
installation_is() { [ -f "$1/.telehub" ]; }

# own COMMAND...: as the owner of the installation.
own() { cluster_as "$owner" "$@"; }

# put FILE [MODE]: write standard input to a file of the owner's, whole or not at all.
put() {
    # shellcheck disable=SC2016 # the inner shell expands these
    own sh -c 'umask 077; cat >"$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"' sh "$1" \
        "${2:-0600}"
}

# installation_find: sets owner of an installation that is there.
installation_find() {
    owner=$(stat -c %U "$dir")
    if [ "$(id -u)" != 0 ] && [ "$(id -un)" != "$owner" ]; then
        die "$dir belongs to $owner." "Run this as $owner or as root, or choose another --dir."
    fi
}

# installation_make: sets owner; makes the folder and, under root, the user who owns it.
installation_make() {
    if installation_is "$dir"; then
        installation_find
    else
        if [ -e "$dir" ] && [ ! -d "$dir" ]; then
            die "$dir is not a folder." "Choose another --dir."
        fi
        if [ -d "$dir" ] && [ -n "$(ls -A "$dir")" ]; then
            die "$dir holds something that deploy/up has not made." \
                "Choose another --dir, or an empty folder."
        fi
        owner=$(id -un)
        if [ "$owner" = root ]; then
            owner=telehub
            id "$owner" >/dev/null 2>&1 ||
                useradd --system --user-group --home-dir "$dir" --no-create-home \
                    --shell /usr/sbin/nologin "$owner" ||
                die "The system user $owner cannot be made." "Make it by hand, then run this again."
        fi
        mkdir -p "$dir" ||
            die "The folder $dir cannot be made." "Choose another --dir, or ask for the right."
        dir=$(readlink -f "$dir")
        if [ "$(id -u)" = 0 ]; then
            chown "$owner:" "$dir"
            chmod 0711 "$dir"
        fi
    fi
    dir=$(readlink -f "$dir")
    own test -w "$dir" || die "The user $owner cannot write to $dir." \
        "Let it enter the folders above (chmod o+x), or choose another --dir."
    own touch "$dir/.telehub"
    own mkdir -p "$dir/bin" "$dir/log" "$dir/run" "$dir/demo"
    own mkdir -m 0700 -p "$dir/keys" "$dir/sandbox" "$dir/campaigns"
}

# --- settings --------------------------------------------------------------------------------------

# conf_get KEY: its value in telehub.conf, or nothing.
conf_get() {
    [ -r "$dir/telehub.conf" ] || return 0
    sed -n "s/^$1=//p" "$dir/telehub.conf" | tail -n 1
}

# conf_set KEY VALUE: in its line, or in a new one at the end. A setting that changes sets
# conf_changed.
conf_set() {
    [ "$(conf_get "$1")" != "$2" ] || return 0
    conf_changed=1
    {
        [ ! -r "$dir/telehub.conf" ] || grep -v "^$1=" "$dir/telehub.conf" || true
        echo "$1=$2"
    } | put "$dir/telehub.conf"
}

# --- the database ----------------------------------------------------------------------------------

database_up() {
    local port
    if [ ! -d "$dir/postgres/data" ] || [ ! -e "$dir/postgres/.made" ]; then
        # A cluster that was not finished holds nothing yet.
        if [ -e "$dir/postgres" ]; then
            cluster_stop "$dir/postgres" immediate
            rm -rf "$dir/postgres"
        fi
        say "making a private Postgres cluster"
        port=$(port_free 5433)
        until cluster_create "$dir/postgres" --user "$owner" --port "$port" 3>&- 9>&-; do
            # Somebody may have taken the port while the cluster was made.
            ! port_is_free "$port" ||
                die "Postgres could not be set up in $dir/postgres." "Mend what is said above, then run this again."
            cluster_stop "$dir/postgres" immediate
            rm -rf "$dir/postgres"
            port=$(port_free 0)
        done
        own touch "$dir/postgres/.made"
    fi
    if ! cluster_pid "$dir/postgres" >/dev/null; then
        say "starting Postgres"
        port=$(cluster_port "$dir/postgres")
        if ! port_is_free "$port"; then
            port=$(port_free 5433)
            sed "s/^port = .*/port = $port/" "$dir/postgres/data/telehub.conf" |
                put "$dir/postgres/data/telehub.conf"
        fi
        cluster_start "$dir/postgres" 3>&- 9>&- ||
            die "Postgres does not start." "Its log is $dir/postgres/postgres.log."
    fi
    conf_set TELEHUB_DATABASE "$(cluster_conninfo "$dir/postgres")"
}

# analyst_up TENANT: a role that may read the tenant's rows of the views, and nothing else. Its
# password lies in keys/analyst.pgpass. Sets analyst_conninfo.
analyst_up() {
    local file=$dir/keys/analyst.pgpass role password
    if [ ! -s "$file" ]; then
        password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
        if ! role=$(cluster_psql "$dir/postgres" telehub -At -c "SELECT views.add_analyst('$1')") ||
            ! cluster_psql "$dir/postgres" telehub -q <<<"ALTER ROLE \"$role\" PASSWORD '$password'"; then
            die "The analyst's role could not be made." "See $dir/postgres/postgres.log."
        fi
        echo "127.0.0.1:*:telehub:$role:$password" | put "$file"
    fi
    IFS=: read -r _ _ _ role _ <"$file"
    analyst_conninfo="host=127.0.0.1 port=$(cluster_port "$dir/postgres") dbname=telehub"
    analyst_conninfo+=" user=$role passfile=$file"
}

# --- the programs ----------------------------------------------------------------------------------

# programs_build: builds when something changed, and puts the two programs into DIR/bin. Sets
# programs_changed to the names of those that are new.
programs_build() {
    local build=$root/build/up log=$dir/log/build.log program
    mkdir -p "$build" 2>/dev/null && [ -w "$build" ] || build=$dir/build
    own rm -f "$log"
    own touch "$log"
    mkdir -p "$build"
    exec 8>>"$build/.lock" # another deploy/up, of another folder, may build here as well
    flock 8
    if [ ! -e "$build/build.ninja" ]; then
        say "building (this takes a minute or two)"
        (cd "$root" && cmake --preset release -B "$build" -DTELEHUB_TESTS=OFF \
            -DCMAKE_RUNTIME_OUTPUT_DIRECTORY="$build/bin" 9>&-) >>"$log" 2>&1 ||
            die "$(tail -n 20 "$log")" "The build could not be set up; all of it is in $log."
    fi
    if ! cmake --build "$build" --target telehub telehub-sandbox >>"$log" 2>&1 9>&-; then
        die "$(tail -n 20 "$log")" "The build failed; all of it is in $log."
    fi
    exec 8>&-
    for program in telehub telehub-sandbox; do
        if ! cmp -s "$build/bin/$program" "$dir/bin/$program"; then
            put "$dir/bin/$program" 0755 <"$build/bin/$program"
            programs_changed+=" $program "
        fi
    done
}

# telehub ARGUMENT...: the CLI, as the owner.
telehub() { own env TELEHUB_DIR="$dir" "$dir/bin/telehub" "$@"; }

# --- the sandbox -----------------------------------------------------------------------------------

sandbox_account=AC00000000000000000000000000000001

# What befalls the demo's messages, in percent. Nothing that leaves an attempt open for long: an
# answer that is lost is made up for by the first callback. A test that starts the sandbox under a
# running campaign says with SANDBOX_RATES what is to befall its messages from the first one on.
sandbox_rates=undelivered_30003=2,undelivered_30005=1.5,invalid=0.5,unsubscribed=0.3,busy=5
sandbox_rates+=,no_answer=8,http_429=0.3,http_429_retry_after=0.2,http_500_after=0.3,slow=0.2
sandbox_rates+=,dup_callback=2,late_callback=0.5,reorder_callback=1
sandbox_rates=${SANDBOX_RATES-$sandbox_rates}

# sandbox_up: sets sandbox_url.
sandbox_up() {
    local pid_file=$dir/run/sandbox.pid port_file=$dir/sandbox/port port=4010 tries
    if [[ $programs_changed == *" telehub-sandbox "* ]]; then
        service_stop "$pid_file" "$owner" "the sandbox, to start it anew,"
    fi
    if service_pid "$pid_file" "$owner" >/dev/null; then
        sandbox_url=http://127.0.0.1:$(<"$port_file")
        return 0
    fi
    say "starting the sandbox"
    if [ ! -e "$dir/sandbox/secret" ]; then
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | put "$dir/sandbox/secret"
    fi
    [ ! -s "$port_file" ] || port=$(<"$port_file")
    port=$(port_free "$port")
    rm -f "$port_file"
    service_start "$pid_file" "$owner" "$dir/log/sandbox.log" \
        "$dir/bin/telehub-sandbox" --listen "127.0.0.1:$port" --account "$sandbox_account" \
        --secret-file "$dir/sandbox/secret" --ledger "$dir/sandbox/ledger" \
        --port-file "$port_file" --rates "$sandbox_rates" --slow-ms 1000-2000 --late-ms 1000-2000 \
        --price-delay-ms 500 --currency INR --sms-price 0.20 --call-price 0.60
    for ((tries = 0; tries < 600; tries++)); do
        if [ -s "$port_file" ]; then
            sandbox_url=http://127.0.0.1:$(<"$port_file")
            return 0
        fi
        service_pid "$pid_file" "$owner" >/dev/null || break
        sleep 0.05
    done
    die "$(tail -n 10 "$dir/log/sandbox.log")" \
        "The sandbox does not start; its log is $dir/log/sandbox.log."
}

# --- telehub run -----------------------------------------------------------------------------------

telehub_is_ready() { curl -fs -m 2 -o /dev/null "http://127.0.0.1:$1/health/ready"; }

# telehub_up: sets url.
telehub_up() {
    local pid_file=$dir/run/telehub.pid log=$dir/log/telehub.log port tries
    port=$(conf_get TELEHUB_PORT)
    url=http://127.0.0.1:$port
    if [ -n "$conf_changed" ] || [[ $programs_changed == *" telehub "* ]]; then
        service_stop "$pid_file" "$owner" "telehub, to start it anew,"
    fi
    if ! service_pid "$pid_file" "$owner" >/dev/null; then
        port_is_free "$port" || die "Port $port is taken by another program." \
            "Give another one: deploy/up --dir $dir --port N (0: any that is free)."
        say "starting telehub"
        telehub upgrade >>"$dir/log/upgrade.log" 2>&1 9>&- ||
            die "$(tail -n 10 "$dir/log/upgrade.log")" \
                "The database could not be brought up to date; see $dir/log/upgrade.log."
        service_start "$pid_file" "$owner" "$log" \
            env TELEHUB_DIR="$dir" "$dir/bin/telehub" run
    fi
    for ((tries = 0; tries < 600; tries++)); do
        telehub_is_ready "$port" && return 0
        service_pid "$pid_file" "$owner" >/dev/null || break
        sleep 0.1
    done
    die "$(tail -n 10 "$log")" "telehub does not get ready; its log is $log."
}
