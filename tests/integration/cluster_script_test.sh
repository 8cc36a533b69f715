#!/usr/bin/env bash
# deploy/cluster.sh keeps its word: nothing is touched that was there, nothing is left behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
script=$PWD/deploy/cluster.sh

if [ ! -x /usr/lib/postgresql/15/bin/initdb ]; then
    echo "skipped: initdb of Postgres 15 is not installed"
    exit 77
fi
folder=$(mktemp -d /tmp/telehub-cl.XXXXXX)
chmod 0711 "$folder"
trap '"$script" kill "$folder/c" 2>/dev/null || true; rm -rf "$folder"' EXIT
user=$(if [ "$(id -u)" = 0 ]; then echo nobody; else id -un; fi)

says() { echo "  $*"; }
refuses() { # refuses TEXT COMMAND...: it fails and says why
    local text=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "not refused: $*"
        exit 1
    fi
    grep -q -- "$text" <<<"$output" || { echo "expected '$text', got: $output"; exit 1; }
}

says "a folder that holds anything is refused, and stays as it is"
mkdir "$folder/full"
touch "$folder/full/precious"
refuses "not empty" "$script" create "$folder/full" --user "$user"
[ "$(ls -A "$folder/full")" = precious ]

says "root does not become the owner"
[ "$(id -u)" != 0 ] || refuses "name another user" "$script" create "$folder/c"

says "a permanent cluster: made, stopped, started, started again"
"$script" create "$folder/c" --user "$user"
conninfo=$("$script" conninfo "$folder/c")
[ "$(psql -XAtc 'SHOW data_checksums' "$conninfo")" = on ]
[ "$(psql -XAtc 'SHOW synchronous_commit' "$conninfo")" = on ]
[ "$(psql -XAtc 'SHOW wal_compression' "$conninfo")" = lz4 ]
[ "$(stat -c %U "$folder/c/data")" = "$user" ]
first=$(head -n 1 "$folder/c/data/postmaster.pid")
"$script" start "$folder/c"
[ "$(head -n 1 "$folder/c/data/postmaster.pid")" = "$first" ]
"$script" stop "$folder/c"
refuses stopped "$script" status "$folder/c"
"$script" stop "$folder/c"
"$script" start "$folder/c"
psql -Xq -c 'CREATE SCHEMA s' -c 'CREATE TABLE s.kept AS SELECT 1 AS x' "$conninfo"

says "what was committed outlives a crash"
"$script" kill "$folder/c"
refuses stopped "$script" status "$folder/c"
"$script" start "$folder/c"
[ "$(psql -XAtc 'SELECT x FROM s.kept' "$conninfo")" = 1 ]

says "another role needs a password"
refuses "no password supplied" psql -wXc 'SELECT 1' "${conninfo/user=telehub/user=telehub_analyst}"

says "a stale pid file does not end a stranger"
"$script" stop "$folder/c"
sleep 60 &
stranger=$!
echo "$stranger" >"$folder/c/data/postmaster.pid"
"$script" stop "$folder/c"
kill -0 "$stranger"
kill "$stranger"
rm -f "$folder/c/data/postmaster.pid"

says "a throw-away cluster vanishes when its holder's input ends, also by a kill"
for how in "exit" "kill -KILL \$BASHPID"; do
    rm -f "$folder/conninfo"
    # The holder's input is a pipe from a shell that ends in this or that way.
    bash -c "until [ -s '$folder/conninfo' ]; do sleep 0.05; done; $how" 2>/dev/null |
        "$script" hold >"$folder/conninfo" || true
    held=$(sed 's/host=\([^ ]*\)\/run .*/\1/' "$folder/conninfo")
    [ -n "$held" ]
    [ ! -e "$held" ]
done
echo "passed"
