# report.sh - what deploy/up has to say at its end. Sourced by deploy/up, after demo.sh.
#
# shellcheck shell=bash disable=SC2034,SC2154 # the pieces of deploy/up share their variables

report_seconds() { awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

report_json() {
    jq -n --arg url "$url" --arg tenant "$tenant" --arg dir "$dir" --arg sandbox "$sandbox_url" \
        --arg database "$analyst_conninfo" --argjson certificate "$certificate" \
        --argjson agrees "$ledger_agrees" --argjson seconds "$(report_seconds)" '{
            url: $url,
            tenant: $tenant,
            key_file: "\($dir)/keys/\($tenant)",
            operator_key_file: "\($dir)/keys/operator",
            telehub: "\($dir)/bin/telehub",
            sandbox_url: $sandbox,
            ledger_url: "\($sandbox)/ledger",
            database: $database,
            certificate: $certificate,
            ledger_agrees: $agrees,
            seconds: $seconds
        }'
}

report_campaign() {
    jq -r '
        def count($name): "  \($name + "                        " | .[:24])\(. | tostring | (" " * (7 - length) // "") + .)";
        "Campaign \(.campaign)\(if .final then "" else " (not ended yet)" end)",
        (.audience | count("recipients")),
        (.reached | count("reached")),
        ([.unreached[]] | add // 0 | count("unreached")),
        (.unreached | to_entries[] | .key as $key | .value | count("  " + $key)),
        ([.suppressed[]] | add // 0 | count("suppressed")),
        (.suppressed | to_entries[] | .key as $key | .value | count("  " + $key)),
        (.accepted_no_report | count("without a report")),
        (.in_doubt | count("in doubt")),
        (.unsent | count("unsent")),
        (.cost[] | select((.amount | tonumber) > 0) | "  cost                    \(.amount) \(.currency)\(if .estimated then ", estimated" else "" end)")
    ' <<<"$certificate"
    echo "  $(campaign_rate "$campaign_folder")"
    if [ "$ledger_agrees" = true ]; then
        echo "  The sandbox's own ledger agrees, number by number."
    else
        echo "  THE SANDBOX'S LEDGER DIFFERS: $dir/bin/telehub ledger compare … shows where."
    fi
}

report_text() {
    if [ -n "$campaign_folder" ]; then
        report_campaign
        echo
    fi
    cat <<TEXT
TeleHub runs at $url (up after $(report_seconds) s). Where to look next:

  the API     curl -H "Authorization: Bearer \$(cat $dir/keys/$tenant)" $url/api/v1/campaigns
  the CLI     export TELEHUB_DIR=$dir; $dir/bin/telehub --help
  the views   psql '$analyst_conninfo' \\
                -c 'SELECT outcome, reason, count(*) FROM analytics.sends GROUP BY 1, 2 ORDER BY 3 DESC'
  the ledger  curl $sandbox_url/ledger/summary
  the log     $(log_address)
  logs        $dir/log
  stop        $root/deploy/down --dir $dir
TEXT
}
