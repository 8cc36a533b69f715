#include "processors/dispatch/turn.h"

#define SEARCHES_MAX  3 /* by number and time */
#define QUESTIONS_MIN 3 /* of every session, whatever the time */
#define ABSENT_PROVES 3 /* where the provider's "no" is believed: so many in a row */

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
    struct attempt *edited;
    void *entry;

    TH_TRY(table_edit(turn->d->attempts, a->id, &entry));
    edited = entry;
    edited->due_at_us = at_us;
    return timers_add(&turn->d->timers, edited->due_at_us, edited->id);
}

static int64_t sooner(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* Whatever was on its way has arrived by then, or never will. A callback that nobody was there to
 * take comes again. */
static int64_t quarantine_us(const struct turn *turn, const struct attempt *a,
                             const struct provider_caps *caps)
{
    const struct dispatch_config *config = &turn->d->config;
    int64_t least_us =
        ((int64_t)config->send_window_ms + config->call_timeout_ms + caps->settle_ms) * 1000;

    if (caps->reconciliation == PROVIDER_CALLBACK)
        return sooner(config->search_wait_us, dispatch_gives_up_us(turn->d, a) - a->started_us);
    return config->search_wait_us > least_us ? config->search_wait_us : least_us;
}

/* Counted from now, since when it left was told by a clock that need not be ours; and even if its
 * time is over by now, because nobody was there for long, it is asked for first. */
enum th_code resolve_soon(struct turn *turn, struct attempt_ref ref)
{
    const struct attempt *a = attempt_of(turn, ref);
    void *entry;

    if (!a || a->stand != ATTEMPT_UNKNOWN)
        return TH_OK;
    struct provider_caps caps = caps_of(turn, a);
    if (caps.reconciliation == PROVIDER_CALLBACK &&
        turn->in->now_us < dispatch_gives_up_us(turn->d, a))
        return TH_OK; /* its timer runs already, and no "no" is believed */
    TH_TRY(table_edit(turn->d->attempts, a->id, &entry));
    ((struct attempt *)entry)->lookups = ((struct attempt *)entry)->absent = 0;
    return ask_at(turn, entry, turn->in->now_us + quarantine_us(turn, a, &caps));
}

static enum th_code ask_again(struct turn *turn, const struct attempt *a)
{
    int64_t wait_us = turn->d->config.search_wait_us;
    int64_t next_us = turn->in->now_us + (a->lookups == 1 ? wait_us / 2 : wait_us * 3 / 2);
    int64_t gives_up_us = dispatch_gives_up_us(turn->d, a);

    if (turn->in->now_us < gives_up_us)
        return ask_at(turn, a, sooner(next_us, gives_up_us));
    /* Its time was over before it was asked for: that was the last question, or another follows. */
    return ask_at(turn, a, a->lookups < QUESTIONS_MIN ? next_us : turn->in->now_us);
}

static enum th_code count_asked(struct turn *turn, struct attempt_ref ref, bool is_absent)
{
    struct attempt *edited;
    void *entry;

    TH_TRY(table_edit(turn->d->attempts, attempt_id(ref), &entry));
    edited = entry;
    edited->absent = is_absent ? (uint8_t)(edited->absent + 1) : 0;
    if (edited->lookups < UINT8_MAX)
        edited->lookups++;
    return ask_again(turn, edited);
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
                    .contact = a->contact,
                    .send_by_us = a->send_by_us},
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

static enum th_code want_release(struct turn *turn, const struct attempt *a)
{
    struct th_str tenant = blob_str(a->tenant);
    struct attempt_ref ref = a->ref;
    struct event event = {
        .type = EVENT_REPEAT_WANTED,
        .as.repeat_wanted = {.meta = core_meta(turn->out, tenant),
                             .send = ref.send,
                             .n = ref.n,
                             .campaign = {a->has_campaign, a->campaign},
                             .lane = a->lane},
    };

    TH_TRY(dispatch_say_outcome(turn, tenant, a->lane, ref.send, &event));
    return count_asked(turn, ref, false);
}

/* It may be the first that arrives. So one that is late needs a release of its own, and until it
 * has that its questions are put off. What something else forbids needs none: the last look refuses
 * it, and it stays in doubt unless a callback tells, or it is allowed again. */
static enum th_code repeat_in_time(struct turn *turn, const struct attempt *a)
{
    bool is_late = a->send_by_us && turn->in->now_us >= a->send_by_us;
    bool is_forbidden = dispatch_forbids(turn->d->env.reference, blob_str(a->tenant),
                                         a->has_campaign ? &a->campaign : NULL, a->contact, 0,
                                         turn->in->now_us) != NULL;

    if (!is_late || is_forbidden)
        return repeat(turn, a);
    return a->wants_release ? count_asked(turn, a->ref, false) : want_release(turn, a);
}

enum th_code resolve_due(struct turn *turn, const struct attempt *a)
{
    struct provider_caps caps = caps_of(turn, a);
    int64_t gives_up_us = dispatch_gives_up_us(turn->d, a);
    bool is_over = turn->in->now_us >= gives_up_us;

    if (caps.reconciliation == PROVIDER_NONE)
        return give_up(turn, a, "nobody can tell");
    if (!is_over || a->lookups < QUESTIONS_MIN) {
        if (may_repeat(turn, a, &caps))
            return repeat_in_time(turn, a);
        if (may_search(turn, a, &caps))
            return search(turn, a);
    }
    return is_over ? give_up(turn, a, "no callback within its window")
                   : ask_at(turn, a, gives_up_us);
}

/* --- answers
 * ---------------------------------------------------------------------------------------------- */

/* Asked for by our name of it: what is found is it, and what is not found was not executed. */
static enum th_code take_word(struct turn *turn, const struct attempt *a,
                              const struct provider_lookup *lookup)
{
    bool is_absent = lookup->result == PROVIDER_ABSENT && !a->is_taken;

    if (lookup->result == PROVIDER_FOUND && lookup->n_reports > 0)
        return settle_found(turn, a, &lookup->reports[0]);
    if (!is_absent || a->absent + 1 < ABSENT_PROVES)
        return count_asked(turn, a->ref, is_absent);
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
        return count_asked(turn, a->ref, false);
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
    return count_asked(turn, a->ref, false);
}

/* Nobody waits for one that was read before, or that comes when a callback has told. */
enum th_code resolve_released(struct turn *turn, const struct repeat_released *ev)
{
    const struct attempt *a = attempt_of(turn, (struct attempt_ref){ev->send, ev->n});
    struct event event = {.type = EVENT_REPEAT_RELEASED, .as.repeat_released = *ev};

    if (!a || a->stand != ATTEMPT_UNKNOWN || !a->wants_release)
        return TH_OK;
    event.as.repeat_released.meta = core_meta(turn->out, blob_str(a->tenant));
    return dispatch_say(turn, blob_str(a->tenant), a->lane, &event);
}
