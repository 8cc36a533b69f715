#!/usr/bin/env bash
# What the simulation tries is what telehub runs: every function and datum that the libraries of the
# cores define is in both programs, once as often as in the library, of the same kind and size.
#
#   same_cores_test.sh TELEHUB SIM STRANGER LIBRARY...
#
# STRANGER is a program without the cores: the comparison must notice that. Left out is slot_run.c,
# the thread that steps a slot by the machine's clock: the simulation steps it by its own.
set -euo pipefail

telehub=$1 sim=$2 stranger=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# symbols FILE...: "kind name size" of every definition; not of the compiler's own literals.
symbols() {
    nm --defined-only --print-size -- "$@" | awk '
        /:$/ { is_thread = $0 == "slot_run.c.o:" }
        NF == 4 && !is_thread && $4 !~ /^\./ { print $3, $4, $2 }' | sort
}

# missing PROGRAM: those of the libraries that it lacks, or has fewer of, or of another size.
missing() { symbols "$1" | comm -23 "$work/library" -; }

symbols "$@" >"$work/library"
count=$(wc -l <"$work/library")
globals=$(grep -c '^[A-Z] ' "$work/library")
[ "$globals" -ge 100 ] || { echo "FAILED: the libraries define $globals symbols only"; exit 1; }

for program in "$telehub" "$sim"; do
    missing "$program" >"$work/missing"
    if [ -s "$work/missing" ]; then
        echo "FAILED: $program lacks these, or has others of that name:"
        head -n 20 "$work/missing"
        exit 1
    fi
done
missing "$stranger" >"$work/missing"
[ -s "$work/missing" ] || { echo "FAILED: the comparison notices nothing"; exit 1; }
echo "$# libraries: $count definitions, $globals of them global, are the same in $(basename "$telehub") and $(basename "$sim")"
