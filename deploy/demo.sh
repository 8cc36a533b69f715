# demo.sh - a tenant with an account at the sandbox, a campaign, and what became of it.
# Sourced by deploy/up, after installation.sh.
#
# A campaign's folder holds what is sent (audience.csv, text.txt) and, step by step, the ids that
# the installation gave it (audience, campaign, started), so that a run that was interrupted goes
# on where it was and sends to nobody again.
#
# shellcheck shell=bash disable=SC2034,SC2154 # the pieces of deploy/up share their variables

tenant=pratham

tenant_up() {
    [ ! -s "$dir/keys/$tenant" ] || return 0
    telehub tenant create "$tenant" --name 'Pratham' >&2 9>&- ||
        die "The tenant $tenant could not be made." "Mend what is said above, then run this again."
}

# The account follows the sandbox when that moved to another port.
provider_up() {
    [ "$(cat "$dir/sandbox/account" 2>/dev/null)" != "$sandbox_url" ] || return 0
    if ! telehub provider add sandbox --wire twilio --base-url "$sandbox_url" \
        --account "$sandbox_account" --secret-file "$dir/sandbox/secret" \
        --from +918069000001,+918069000002 --sms-estimate 0.12 --call-estimate 0.60 >&2 ||
        ! telehub provider enable sandbox >&2; then
        die "The sandbox's account could not be added." "Mend what is said above, then run this again."
    fi
    echo "$sandbox_url" | put "$dir/sandbox/account"
}

# --- a campaign, step by step ----------------------------------------------------------------------

# campaign_prepare FOLDER AUDIENCE TEXT: copies of both, which the owner can read.
campaign_prepare() {
    own mkdir -m 0700 -p "$1"
    put "$1/audience.csv" <"$2"
    put "$1/text.txt" <"$3"
}

# campaign_upload FOLDER
campaign_upload() {
    local folder=$1 answer
    say "uploading the audience"
    answer=$(telehub audience upload "$folder/audience.csv" --json) ||
        die "The audience was not accepted." "Mend what is said above, then run this again."
    jq . <<<"$answer" | put "$folder/upload.json"
    jq -r '"\(.recipients) recipients, \(.rejected_total) rows rejected",
        (.rejected[:3][] | "  row \(.row), column \(.column): \(.reason)"),
        (if .rejected_total > 3 then "  … all of them: '"$folder"'/upload.json" else empty end)' \
        <<<"$answer" >&2
    jq -er .id <<<"$answer" | put "$folder/audience"
}

# campaign_opt_outs FILE: these people have said that they want no messages.
campaign_opt_outs() {
    local number
    while read -r number; do
        telehub opt-out add "$number" >/dev/null </dev/null ||
            die "The opt-out of a number could not be noted." "Mend what is said above, then run this again."
    done <"$1"
}

# campaign_start FOLDER NAME CHANNEL PACE
campaign_start() {
    local folder=$1 answer
    if [ ! -s "$folder/campaign" ]; then
        answer=$(telehub campaign create --name "$2" --channel "$3" \
            --audience "$(<"$folder/audience")" --text "$folder/text.txt" --pace "$4" \
            --provider sandbox --json) ||
            die "The campaign could not be created." "Mend what is said above, then run this again."
        jq -er .id <<<"$answer" | put "$folder/campaign"
    fi
    # Between the start and its note we may have been ended: then it runs, and is only watched.
    if [ "$(campaign_field "$folder" status)" = draft ]; then
        telehub campaign start "$(<"$folder/campaign")" >&2 ||
            die "The campaign could not be started." "Mend what is said above, then run this again."
    fi
    own touch "$folder/started"
}

# campaign_field FOLDER FIELD: of the campaign, as the API tells it.
campaign_field() {
    telehub campaign list --json |
        jq -r --arg id "$(<"$1/campaign")" --arg field "$2" \
            '.data[] | select(.id == $id) | .[$field]'
}

# campaign_watch FOLDER: until it has ended and all that was accepted is reported on, at most a
# minute after its end.
campaign_watch() {
    local id tries
    id=$(<"$1/campaign")
    telehub campaign watch "$id" >&2 ||
        die "The campaign's progress could not be followed." \
            "It goes on; run deploy/up again to see its end."
    for ((tries = 0; tries < 120; tries++)); do
        campaign_certificate "$1"
        jq -e '.final and .accepted_no_report == 0 and .unsent == 0' <<<"$certificate" >/dev/null &&
            return 0
        sleep 0.5
    done
    say "some reports are still missing; the certificate can be issued again later"
}

# campaign_certificate FOLDER: sets certificate.
campaign_certificate() {
    certificate=$(telehub certificate "$(<"$1/campaign")" --json) ||
        die "The certificate could not be issued." "Mend what is said above, then run this again."
}

# campaign_compare FOLDER: sets ledger_agrees. The ledger is only ever appended to, so while neither
# its length nor the certificate has changed, what was found the last time holds.
campaign_compare() {
    local state answer
    state=$(curl -fsS -m 5 "$sandbox_url/executions/count" | jq -c .executions) ||
        die "The sandbox's ledger cannot be read." "Its log is $dir/log/sandbox.log."
    state="$state $(jq -cS 'del(.cost)' <<<"$certificate")"
    if [ "$state" = "$(cat "$1/agreed" 2>/dev/null)" ]; then
        ledger_agrees=true
        return 0
    fi
    # A disagreement is an answer as well, whatever the exit status.
    answer=$(telehub ledger compare "$(<"$1/campaign")" --ledger "$sandbox_url/ledger" --json) || true
    ledger_agrees=$(jq -e 'if .agrees | type == "boolean" then .agrees else error end' \
        <<<"$answer" 2>/dev/null || true)
    case $ledger_agrees in
    true) echo "$state" | put "$1/agreed" ;;
    false) say "The certificate and the sandbox's ledger differ: $answer" ;;
    *) die "The sandbox's ledger could not be compared." "Mend what is said above, then run this again." ;;
    esac
}

# campaign_rate FOLDER: attempts to reach somebody per second, from its start to its end.
campaign_rate() {
    telehub campaign list --json |
        jq -r --arg id "$(<"$1/campaign")" --argjson certificate "$certificate" '
            def seconds: capture("^(?<whole>[^.Z]+)([.](?<part>[0-9]+))?Z$")
                | ((.whole + "Z") | fromdate) + ("0." + (.part // "0") | tonumber);
            .data[] | select(.id == $id and .started_at and .ended_at)
            | (.ended_at | seconds) - (.started_at | seconds) | select(. > 0)
            | . as $s
            | ($certificate | .audience - .unsent - ([.suppressed[]] | add // 0)) as $n
            | "\($n) sends in \($s * 10 | round / 10) s: \($n / $s | round) per second"'
}

# --- the two campaigns of deploy/up ----------------------------------------------------------------

# demo_up TEXT CHANNEL PACE: sends the demo once in the life of the installation.
demo_up() {
    local folder=$dir/demo
    if [ -e "$folder/started" ]; then
        campaign_certificate "$folder"
        if ! jq -e .final <<<"$certificate" >/dev/null; then
            campaign_watch "$folder"
        fi
    else
        if [ ! -s "$folder/audience" ]; then
            campaign_prepare "$folder" "$root/deploy/demo/students.csv" \
                "${1:-$root/deploy/demo/text.txt}"
            campaign_opt_outs "$root/deploy/demo/opt-outs.txt"
            campaign_upload "$folder"
        fi
        campaign_start "$folder" demo "$2" "$3"
        campaign_watch "$folder"
    fi
    campaign_folder=$folder
}

# campaign_up AUDIENCE TEXT CHANNEL PACE
campaign_up() {
    local folder
    folder=$dir/campaigns/$(date -u +%Y%m%dT%H%M%S.%N)
    campaign_prepare "$folder" "$1" "${2:-$root/deploy/demo/plain.txt}"
    campaign_upload "$folder"
    campaign_start "$folder" "$(basename "$1")" "$3" "$4"
    campaign_watch "$folder"
    campaign_folder=$folder
}
