#include "tests/simulation/checks_private.h"

#include "tests/simulation/people.h"

#include <string.h>

/* --- the end
 * ---------------------------------------------------------------------------------------------------
 */

static bool is_in_doubt(const struct send_fact *send)
{
    return send->end == END_ENDED && strcmp(send->reason, "in_doubt") == 0;
}

/* The log says accepted exactly if the ledger has it. */
static void check_send_end(struct world *world, const struct send_fact *send)
{
    const struct execution *last = NULL;

    if (!send->is_admitted || send->end == END_NONE)
        world_fail(world, "a send of campaign %d (recipient %d) has no end", send->campaign,
                   send->ordinal);
    for (int32_t k = 1; k <= send->attempts_cap; k++)
        if (send->attempts[k - 1].line != NO_LINE)
            last = &world->checks->ledger[send->attempts[k - 1].line];
    bool is_last = last && last->attempt.n == send->n;
    if (send->is_reached) {
        if (!send->has_proof || send->attempts[send->reached_n - 1].line == NO_LINE)
            world_fail(world, "recipient %d of campaign %d ended as reached by attempt %d",
                       send->ordinal, send->campaign, send->reached_n);
        return;
    }
    if (send->end == END_ACCEPTED) {
        if (!is_last)
            world_fail(world,
                       "recipient %d of campaign %d is accepted; the ledger does not have "
                       "attempt %d",
                       send->ordinal, send->campaign, send->n);
        return;
    }
    if (is_in_doubt(send)) {
        const struct attempt_fact *attempt = &send->attempts[send->n - 1];
        if (is_last && world->options.odds.callback_lost == 0 && !attempt->is_reported &&
            attempt->reconciliation == PROVIDER_CALLBACK)
            world_fail(world, "recipient %d of campaign %d is in doubt although the provider told",
                       send->ordinal, send->campaign);
        return;
    }
    if (last && !(last->is_negative && last->is_told))
        world_fail(world, "recipient %d of campaign %d ended '%s'; the ledger has attempt %d",
                   send->ordinal, send->campaign, send->reason, last->attempt.n);
}

struct recount {
    int64_t requested, duplicates, accepted, suppressed, ended;
};

static struct recount count_again(const struct world *world, int campaign)
{
    const struct checks *checks = world->checks;
    struct recount c = {0};

    for (int i = 0; i < people_n(world->people, campaign); i++) {
        const struct row_fact *row = &checks->campaigns[campaign].rows[i];
        c.duplicates += row->is_duplicate;
        if (row->send < 0)
            continue;
        const struct send_fact *send = &checks->sends[row->send];
        c.requested++;
        c.accepted += send->end == END_ACCEPTED;
        c.suppressed += send->end == END_SUPPRESSED;
        c.ended += send->end == END_ENDED;
    }
    return c;
}

static void check_campaign_end(struct world *world, int campaign)
{
    struct recount c = count_again(world, campaign);
    struct campaign_counts counts;

    if (!world_look(world, campaign, &counts))
        world_fail(world, "nobody knows campaign %d", campaign);
    if (counts.requested != c.requested || counts.duplicates != c.duplicates ||
        counts.accepted != c.accepted || counts.suppressed != c.suppressed ||
        counts.ended != c.ended)
        world_fail(world,
                   "campaign %d miscounts: requested %lld/%lld duplicates %lld/%lld "
                   "accepted %lld/%lld suppressed %lld/%lld ended %lld/%lld",
                   campaign, (long long)counts.requested, (long long)c.requested,
                   (long long)counts.duplicates, (long long)c.duplicates,
                   (long long)counts.accepted, (long long)c.accepted, (long long)counts.suppressed,
                   (long long)c.suppressed, (long long)counts.ended, (long long)c.ended);
    if (counts.open || counts.asking || counts.unknown || counts.awaiting_report)
        world_fail(world, "campaign %d has ended with %lld open, %lld asking, %lld unknown",
                   campaign, (long long)counts.open, (long long)counts.asking,
                   (long long)counts.unknown);
    if (counts.phase == CAMPAIGN_COMPLETED &&
        c.requested + c.duplicates != people_n(world->people, campaign))
        world_fail(world, "campaign %d is completed and skipped %lld", campaign,
                   (long long)(people_n(world->people, campaign) - c.requested - c.duplicates));
}

void checks_certificate(struct world *world, int campaign, struct sim_certificate *out)
{
    const struct checks *checks = world->checks;

    *out = (struct sim_certificate){0};
    for (int i = 0; i < people_n(world->people, campaign); i++) {
        const struct row_fact *row = &checks->campaigns[campaign].rows[i];
        const struct send_fact *send = row->send < 0 ? NULL : &checks->sends[row->send];
        if (row->is_duplicate || (send && send->end == END_SUPPRESSED))
            out->suppressed++;
        else if (!send)
            out->never_released++;
        else if (is_in_doubt(send))
            out->in_doubt++;
        else if (send->is_reached)
            out->reached++;
        else if (send->end == END_ACCEPTED)
            out->accepted++;
        else
            out->unreached++;
    }
}

size_t checks_sends(const struct world *world)
{
    return world->checks->sends_n;
}

const char *checks_set(struct world *world, struct th_id id)
{
    const struct send_fact *send = checks_find(world->checks, id);
    const struct attempt_fact none = {0};

    if (!send)
        world_fail(world, "the views have a send that nobody requested");
    const struct attempt_fact *last = send->n ? &send->attempts[send->n - 1] : &none;
    bool is_taken = send->end == END_ACCEPTED || (is_in_doubt(send) && last->is_reported);

    for (int32_t n = 1; n <= send->n; n++)
        if (send->attempts[n - 1].is_reached)
            return "reached";
    if (send->end == END_SUPPRESSED)
        return "suppressed";
    if (is_taken && !last->is_unreached)
        return "accepted_no_report";
    return is_in_doubt(send) && !is_taken ? "in_doubt" : "unreached";
}

void checks_end(struct world *world)
{
    const struct checks *checks = world->checks;

    for (size_t i = 0; i < checks->sends_n; i++)
        check_send_end(world, &checks->sends[i]);
    for (int i = 0; i < world->options.campaigns_n; i++)
        check_campaign_end(world, i);
}
