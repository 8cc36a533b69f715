#!/usr/bin/env bash
# A replay can reach no provider: nothing of HTTP is linked into what it is made of. That the look
# is sharp enough shows at telehub itself, which has all of it.
#
#   tests/move/harmless_test.sh HARMLESS TELEHUB
set -euo pipefail

# symbols PROGRAM: the names in it, each on a line of its own.
symbols() { nm "$1" | awk '{ print $NF }'; }

replay=$(symbols "$1") telehub=$(symbols "$2")
outward='^(curl_|http_client_|caller_|twilio_|SSL_|socket$|connect$|socket@|connect@)'

if found=$(grep -E "$outward" <<<"$replay"); then
    printf 'a replay holds\n%s\n' "$found"
    exit 1
fi
for name in curl_easy_init http_client_open caller_open twilio_ops; do
    found=$(grep -E "$outward" <<<"$telehub" | grep "^$name") ||
        { echo "telehub does not show $name: the look is blunt"; exit 1; }
done
found=$(grep -x log_replay_run <<<"$replay") || { echo "the replay is not in it"; exit 1; }
echo "nothing in a replay reaches a provider"
