#include "processors/dispatch/turn.h"

#define SEARCHES_MAX 3 /* so many; where the provider's "no" is believed, so many make one */

/* A lane that nobody knows any more can only be waited for. */
static struct provider_caps caps_of(const struct turn *turn, const struct attempt *a)
{
    const struct ref_lane *known = reference_lane(turn->d->env.reference, a->lane);
    const struct provider_ops *wire = known ? settle_wire_of(turn->d, known->account.wire) : NULL;
    struct provider_caps caps = {.reconciliation = PROVIDER_CALLBACK};

    if (wire)
        caps = wire->caps;
    caps.has_recipient_lookup = wire && wire->search_build;
    return caps;
}

/* As long as the provider surely remembers the key: the start was by our clock. */
static bool may_repeat(const struct turn *turn, const struct attempt *a,
                       const struct provider_caps *caps)
{
    int64_t life_us = (int64_t)caps->key_life_s * 1000000;
    int64_t age_us = turn->in->now_us - a->started_us;

    return caps->reconciliation == PROVIDER_IDEMPOTENT && a->words && a->party && age_us >= 0 &&
           age_us < life_us - life_us / 16;
}

/* Asked for by our name of it, or, where the provider does not know that, by number and time. */
static bool may_search(const struct turn *turn, const struct attempt *a,
                       const struct provider_caps *caps)
{
    if (caps->reconciliation == PROVIDER_LOOKUP)
        return caps->has_recipient_lookup && a->party;
    return caps->has_recipient_lookup && a->lookups < SEARCHES_MAX && dispatch_is_alone(turn->d, a);
}

/* Volatile: begun anew after a restart, while the end stays where it is. */
static enum th_code ask_at(struct turn *turn, const struct attempt *a, int64_t at_us)
{
    int64_t gives_up_us = dispatch_gives_up_us(turn->d, a);
    struct attempt *edited;
    void *entry;

    TH_TRY(table_edit(turn->d->attempts, a->id, &entry));
    edited = entry;
    edited->due_at_us = at_us < gives_up_us ? at_us : gives_up_us;
    return timers_add(&turn->d->timers, edited->due_at_us, edited->id);
}

/* Whatever was on its way has arrived by then, or never will. Counted from now, since when it left
 * was told by a clock that need not be ours. */
static int64_t quarantine_us(const struct turn *turn, const struct provider_caps *caps)
{
    const struct dispatch_config *config = &turn->d->config;
    int64_t least_us =
        ((int64_t)config->send_window_ms + config->call_timeout_ms + caps->settle_ms) * 1000;

    return config->search_wait_us > least_us ? config->search_wait_us : least_us;
}

enum th_code resolve_soon(struct turn *turn, struct attempt_ref ref)
{
    const struct attempt *a = attempt_of(turn, ref);

    if (!a || a->stand != ATTEMPT_UNKNOWN)
        return TH_OK;
    struct provider_caps caps = caps_of(turn, a);
    if (caps.reconciliation == PROVIDER_CALLBACK)
        return TH_OK; /* its timer runs already, and a "no" is never believed */
    return ask_at(turn, a, turn->in->now_us + quarantine_us(turn, &caps));
}

static enum th_code ask_again(struct turn *turn, const struct attempt *a)
{
    int64_t wait_us = turn->d->config.search_wait_us;

    return ask_at(turn, a, turn->in->now_us + (a->lookups == 1 ? wait_us / 2 : wait_us * 3 / 2));
}

/* --- asking
 * -----------------------------------------------------------------------------------------------
 */

static enum th_code repeat(struct turn *turn, const struct attempt *a)
{
    struct party party = party_parse(blob_str(a->party));
    struct effect effect = {
        .type = EFFECT_REPEAT,
        .as.call = {.attempt = a->ref,
                    .tenant = blob_str(a->tenant),
                    .lane = a->lane,
                    .channel = (enum channel)a->channel,
                    .to = party.to,
                    .sender = party.sender,
                    .has_campaign = a->has_campaign,
                    .campaign = a->campaign,
                    .contact = a->contact},
    };

    (void)th_str_cut(blob_str(a->words), ' ', &effect.as.call.lang, &effect.as.call.text);
    return core_effect(turn->out, &effect);
}

static enum th_code search(struct turn *turn, const struct attempt *a)
{
    struct party party = party_parse(blob_str(a->party));
    struct effect effect = {
        .type = EFFECT_LOOKUP,
        .as.lookup = {.attempt = a->ref,
                      .lane = a->lane,
                      .channel = (enum channel)a->channel,
                      .to = party.to,
                      .sender = party.sender,
                      .started_us = a->started_us},
    };
    return core_effect(turn->out, &effect);
}

static enum th_code give_up(struct turn *turn, const struct attempt *a, const char *evidence)
{
    return settle_say_resolved(turn, a, ATTEMPT_OUTCOME_IN_DOUBT, RESOLVED_HOW_POLICY, TH_STR(""),
                               evidence);
}

enum th_code resolve_due(struct turn *turn, const struct attempt *a)
{
    struct provider_caps caps = caps_of(turn, a);
    int64_t gives_up_us = dispatch_gives_up_us(turn->d, a);

    if (caps.reconciliation == PROVIDER_NONE)
        return give_up(turn, a, "nobody can tell");
    if (turn->in->now_us >= gives_up_us)
        return give_up(turn, a, "no callback within its window");
    if (may_repeat(turn, a, &caps))
        return repeat(turn, a);
    if (may_search(turn, a, &caps))
        return search(turn, a);
    return ask_at(turn, a, gives_up_us);
}

/* --- answers
 * ---------------------------------------------------------------------------------------------- */

static enum th_code count_asked(struct turn *turn, struct attempt_ref ref)
{
    void *entry;

    TH_TRY(table_edit(turn->d->attempts, attempt_id(ref), &entry));
    if (((struct attempt *)entry)->lookups < UINT8_MAX)
        ((struct attempt *)entry)->lookups++;
    return ask_again(turn, entry);
}

/* Asked for by our name of it: what is found is it, and what is not found was not executed. */
static enum th_code take_word(struct turn *turn, const struct attempt *a,
                              const struct provider_lookup *lookup)
{
    if (lookup->result == PROVIDER_FOUND && lookup->n_reports > 0)
        return settle_found(turn, a, &lookup->reports[0]);
    if (lookup->result != PROVIDER_ABSENT)
        return ask_again(turn, a);
    if (a->lookups + 1 < SEARCHES_MAX || a->is_taken)
        return count_asked(turn, a->ref);
    return settle_say_resolved(turn, a, ATTEMPT_OUTCOME_NOT_EXECUTED, RESOLVED_HOW_LOOKUP,
                               TH_STR(""), "the provider does not know it");
}

/* By number and time: one record, and no other attempt of ours that it could be, is this
 * attempt's. Not found proves nothing: it may be found later, or a callback comes. */
static enum th_code take_hint(struct turn *turn, const struct attempt *a,
                              const struct provider_lookup *lookup)
{
    if (lookup->result != PROVIDER_FOUND || lookup->n_reports != 1 ||
        !dispatch_is_alone(turn->d, a))
        return count_asked(turn, a->ref);
    return settle_found(turn, a, &lookup->reports[0]);
}

enum th_code resolve_lookup(struct turn *turn, const struct attempt *a,
                            const struct provider_lookup *lookup)
{
    struct provider_caps caps = caps_of(turn, a);

    return caps.reconciliation == PROVIDER_LOOKUP ? take_word(turn, a, lookup)
                                                  : take_hint(turn, a, lookup);
}

/* Only its acceptance proves anything: what refuses the repeat (an opt-out since then, a limit, our
 * own last check) may have let the first one pass. */
enum th_code resolve_repeat(struct turn *turn, const struct answer *answer)
{
    const struct provider_outcome *outcome = &answer->as.call_ended.outcome;
    const struct attempt *a = attempt_of(turn, answer->as.call_ended.attempt);

    if (!a || a->stand != ATTEMPT_UNKNOWN)
        return TH_OK;
    if (outcome->result == PROVIDER_ACCEPTED)
        return settle_say_resolved(turn, a, ATTEMPT_OUTCOME_ACCEPTED,
                                   RESOLVED_HOW_IDEMPOTENT_REPLAY, outcome->provider_id,
                                   "the same request, made again, was answered");
    return count_asked(turn, a->ref);
}
