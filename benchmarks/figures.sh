# figures.sh - the figures of a run: how they are noted, held against their budgets, and shown.
# Sourced by benchmarks/run; needs tests/chaos/lib.sh, and $results, the file they are noted in.
#
# shellcheck shell=bash disable=SC2154 # benchmarks/run sets what is shared

budgets=$root/benchmarks/budgets.tsv

# result NAME VALUE UNIT [AGAINST PEER [less|more [OF]]]: AGAINST may be empty; less: a smaller value is
# the better one; OF: what the figure is of, where one name has several.
result() {
    say "$1${7:+, $7}: $2 $3"
    jq -cn --arg name "$1" --argjson value "$2" --arg unit "$3" --arg against "${4:-}" \
        --argjson peer "${5:-null}" --arg better "${6:-more}" --arg of "${7:-}" \
        '{name: $name, value: $value, unit: $unit,
            against: (if $against == "" then null else $against end), against_value: $peer,
            ratio: (if ($peer // 0) > 0 then ($value / $peer * 1000 | round / 1000) else null end),
            better: $better} + if $of == "" then {} else {of: $of} end' >>"$results"
}

# field NAME <<<JSON
field() { jq -er ".$1"; }

# judged FILE: its figures, each with its budget (null: none) and whether that is met: is_met on the
# slowest machine that was seen, is_met_on_fastest on the fastest, both with the ratio where one is asked
# (is_ratio_met: that alone).
judged() {
    jq -c --rawfile table "$budgets" '
        def holds($value; $at; $bound): if $at == "least" then $value >= $bound else $value <= $bound end;
        ($table | split("\n") | map(select(test("^(#|$)") | not) | split("\t") | {key: .[0], value: {
            at: .[1], slowest: (.[2] | tonumber), fastest: (.[3] | tonumber),
            ratio: (if .[4] == "-" then null else .[4] | tonumber end)}}) | from_entries) as $budgets |
        ($budgets[.name + ", " + (.of // "")] // $budgets[.name]) as $b |
        if $b then
            (if $b.ratio and .ratio then holds(.ratio; $b.at; $b.ratio) else true end) as $by_ratio |
            . + {budget: $b, is_ratio_met: $by_ratio, is_met: (holds(.value; $b.at; $b.slowest) and $by_ratio),
                is_met_on_fastest: (holds(.value; $b.at; $b.fastest) and $by_ratio)}
        else . + {budget: null, is_ratio_met: null, is_met: null, is_met_on_fastest: null} end' "$1"
}

# figures_json: one object per figure and run.
figures_json() {
    local run
    for ((run = 1; run <= runs; run++)); do
        judged "$work/results.$run" | jq -c --argjson run "$run" --argjson runs "$runs" \
            'if $runs > 1 then . + {run: $run} else . end'
    done
}

# figures_rows: name, values, difference in %, unit, ratios, peer, budget, verdict, peer's name; of
# two runs the verdict is that of the worse.
figures_rows() {
    figures_json | jq -rs '
        def both(f): map(f // "-" | tostring) | if unique == ["-"] then "-" else join("  ") end;
        def sign: if .at == "least" then ">= " else "<= " end;
        reduce .[] as $f ({at: {}, rows: []}; ($f.name + if $f.of then ", " + $f.of else "" end) as $name |
            if .at[$name] == null then .at[$name] = (.rows | length) | .rows += [{$name, figures: [$f]}]
            else .rows[.at[$name]].figures += [$f] end) |
        .rows[] | .name as $name | .figures | .[0].budget as $b | [
            $name, (map(.value | tostring) | join("  ")),
            (if length > 1 then map(.value) | if min > 0 then
                "\((max / min - 1) * 100 | round) %" else "-" end else "" end),
            .[0].unit, both(.ratio), both(.against_value),
            (if $b == null then "-" else
                ($b | sign) + (if $b.slowest == $b.fastest then "\($b.slowest)"
                    else "\($b.slowest) .. \($b.fastest)" end) +
                if $b.ratio then ", \($b | sign)\($b.ratio) x" else "" end end),
            (if $b == null then "-" elif all(.is_met_on_fastest) then "met"
                elif all(.is_met) then "slowest" elif all(.is_ratio_met) then "not met"
                else "not met, ratio" end),
            (map(.against // "-") | unique | join(" / "))] | @tsv'
}

# figures_table: in columns as wide as what stands in them; legend below.
figures_table() {
    printf '%s, %s cores, %s, %s, load %s before, commit %s\n' "$(date -u +%F)" "$(nproc)" \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(uname -sr)" "$load" \
        "$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)"
    printf '%s\n\n' "$sizes_said"
    {
        if [ "$runs" -gt 1 ]; then
            printf 'what\tfirst  second\tapart\tunit\tratio\tpeer\tbudget\t\tpeer is\n'
        else
            printf 'what\tvalue\t\tunit\tratio\tpeer\tbudget\t\tpeer is\n'
        fi
        figures_rows
    } | awk -F'\t' '{ line[NR] = $0; for (i = 1; i < NF; i++) if (length($i) > width[i]) width[i] = length($i) }
        END {
            for (n = 1; n <= NR; n++) {
                fields = split(line[n], field)
                for (i = 1; i < fields; i++)
                    printf(i == 1 || i == 4 || i >= 7 ? "%-*s  " : "%*s  ", width[i], field[i])
                print field[fields]
            }
        }'
    cat <<'LEGEND'

ratio: the value by the peer's, which was measured in the same run. A budget with two figures is for the
slowest and for the fastest machine seen; "slowest": as much as is asked of the slowest, not of the fastest.
"x": of the ratio; both must hold; "not met, ratio": at least the ratio does not. Budgets are for a
campaign of 50,000 (PEOPLE), for 10 million sends in the views that are queried (SENDS), and for a rebuild
of 10 million events (as events a second). Parts of their own, not run by default: logs (both drivers), size
(cost per send from 10,000 recipients to 10 million sends stored), restart (first send after kill -9).
LEGEND
}
