#!/usr/bin/env bash
# The README's five queries for analysts, and what analysts may not do.
#
#   tests/e2e/analyst_test.sh CONNINFO     of the role telehub_analyst_TENANT, after the demo
set -euo pipefail
readme=$(dirname "$0")/../../README.md
conninfo=$1

psql() { command psql -X -v ON_ERROR_STOP=1 -At -d "$conninfo" "$@"; }

queries=$(mktemp -d)
trap 'rm -rf "$queries"' EXIT
awk -v folder="$queries" '/^```sql$/ { n++; is_in = 1; next } /^```$/ { is_in = 0 }
    is_in { print >(folder "/" n ".sql") }' "$readme"

n=0
for query in "$queries"/*.sql; do
    rows=$(psql -f "$query" | wc -l)
    [ "$rows" -gt 0 ] || { echo "this query finds nothing:"; cat "$query"; exit 1; }
    n=$((n + 1))
done
[ "$n" -eq 5 ] || { echo "the README has $n queries, not 5"; exit 1; }

# refused SENTENCE SQL
refused() {
    if psql -c "$2" >/dev/null 2>&1; then
        echo "FAILED: $1: $2"
        exit 1
    fi
}
refused 'an analyst writes no view' "SET default_transaction_read_only = off;
    DELETE FROM analytics.sends"
refused 'an analyst reads no log' 'SELECT count(*) FROM telehub.batch'
refused 'an analyst makes no table' "SET default_transaction_read_only = off;
    CREATE TABLE analytics.mine (n int)"

bare=$(psql -c "SELECT table_name || '.' || column_name FROM information_schema.columns c
    WHERE table_schema = 'analytics' AND col_description(format('%I.%I', table_schema,
        table_name)::regclass, ordinal_position) IS NULL")
[ -z "$bare" ] || { echo "these columns have no comment: $bare"; exit 1; }
