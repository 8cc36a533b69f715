#!/usr/bin/env bash
# A program that is to be used has no fault points: neither their code nor their names.
#
#   tests/fault/absent.sh PROGRAM
set -euo pipefail

program=$1
header=$(dirname "$0")/../../common/fault.h
found=$(
    nm "$program" | grep -i 'th_fault' || true
    sed -n 's/^ *X(\([a-z_]*\), .*/\1/p' "$header" |
        grep -xF -f - <(strings -d -n 5 "$program") | grep _ || true # "connect" is a word of libc's
    strings -d "$program" | grep -F TH_FAULTS || true
)
if [ -n "$found" ]; then
    printf '%s has fault points:\n%s\n' "$program" "$found"
    exit 1
fi
