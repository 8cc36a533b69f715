#include "processors/dispatch/turn.h"

#include <assert.h>

/* --- what the connectors say, as events say it
 * ----------------------------------------------------------- */

static enum error_class class_of(enum provider_class class)
{
    static const enum error_class classes[] = {
        [PROVIDER_CLASS_NONE] = ERROR_CLASS_NONE,
        [PROVIDER_TRANSIENT] = ERROR_CLASS_TRANSIENT,
        [PROVIDER_TRANSIENT_SLOW] = ERROR_CLASS_TRANSIENT_SLOW,
        [PROVIDER_PERMANENT] = ERROR_CLASS_PERMANENT,
        [PROVIDER_PERMANENT_SUPPRESS] = ERROR_CLASS_PERMANENT_SUPPRESS,
        [PROVIDER_CONTENT] = ERROR_CLASS_CONTENT,
        [PROVIDER_ACCOUNT] = ERROR_CLASS_ACCOUNT,
        [PROVIDER_BUG] = ERROR_CLASS_BUG,
    };
    return classes[class];
}

static enum attempt_outcome outcome_of(enum provider_result result)
{
    static const enum attempt_outcome outcomes[] = {
        [PROVIDER_ACCEPTED] = ATTEMPT_OUTCOME_ACCEPTED,
        [PROVIDER_REJECTED] = ATTEMPT_OUTCOME_REJECTED,
        [PROVIDER_THROTTLED] = ATTEMPT_OUTCOME_THROTTLED,
        [PROVIDER_UNKNOWN] = ATTEMPT_OUTCOME_UNKNOWN,
        [PROVIDER_NOT_SENT] = ATTEMPT_OUTCOME_NOT_SENT,
    };
    return outcomes[result];
}

const struct provider_ops *settle_wire_of(const struct dispatch *d, struct th_str name)
{
    for (size_t i = 0; d->config.wires[i]; i++)
        if (th_str_eq(th_str(d->config.wires[i]->name), name))
            return d->config.wires[i];
    return NULL;
}

/* --- outcomes
 * -------------------------------------------------------------------------------------------- */

enum th_code settle_say_resolved(struct turn *turn, const struct attempt *a,
                                 enum attempt_outcome outcome, enum resolved_how how,
                                 struct th_str provider_id, const char *evidence)
{
    struct th_str tenant = blob_str(a->tenant);
    struct event event = {
        .type = EVENT_ATTEMPT_RESOLVED,
        .as.attempt_resolved = {.meta = core_meta(turn->out, tenant),
                                .send = a->ref.send,
                                .n = a->ref.n,
                                .campaign = {a->has_campaign, a->campaign},
                                .lane = a->lane,
                                .outcome = outcome,
                                .how = how,
                                .provider_id = provider_id,
                                .evidence = th_str(evidence)},
    };
    return dispatch_say_outcome(turn, tenant, a->lane, a->ref.send, &event);
}

/* Whom to opt out: named in the event itself, since who folds it has no other way to know. */
static struct string_or_sealed phone_of(enum provider_class class, struct th_str to)
{
    bool is_named = class == PROVIDER_PERMANENT_SUPPRESS;

    return (struct string_or_sealed){.is = STRING_OR_SEALED_STRING,
                                     .as.string = is_named ? to : TH_STR("")};
}

static enum th_code say_result(struct turn *turn, const struct attempt *a,
                               const struct provider_outcome *outcome, long http_status,
                               int64_t call_us, struct th_str excerpt)
{
    struct th_str tenant = blob_str(a->tenant);
    struct event event = {
        .type = EVENT_ATTEMPT_RESULT,
        .as.attempt_result = {.meta = core_meta(turn->out, tenant),
                              .send = a->ref.send,
                              .n = a->ref.n,
                              .campaign = {a->has_campaign, a->campaign},
                              .lane = a->lane,
                              .outcome = outcome_of(outcome->result),
                              .error_class = class_of(outcome->error_class),
                              .reason = outcome->reason,
                              .provider_id = outcome->provider_id,
                              .http_status = (int32_t)http_status,
                              .provider_code = outcome->provider_code,
                              .retry_after_us = outcome->retry_after_us,
                              .accepted_without_id = outcome->is_accepted_without_id,
                              .call_us = call_us,
                              .excerpt = excerpt,
                              .phone = phone_of(outcome->error_class,
                                                party_parse(blob_str(a->party)).to)},
    };
    return dispatch_say_outcome(turn, tenant, a->lane, a->ref.send, &event);
}

/* --- the call itself
 * --------------------------------------------------------------------------------------- */

static enum th_code land(struct turn *turn, struct attempt_ref ref, struct lane **out_lane)
{
    const struct flight *flight = table_get(turn->d->flights, attempt_id(ref));

    *out_lane = NULL;
    if (!flight)
        return TH_OK;
    TH_TRY(lane_of(turn->d, flight->lane, out_lane));
    (*out_lane)->in_flight--;
    window_note_landing(&turn->d->window, turn->d->config.window_min, turn->d->config.window_max);
    return table_remove(turn->d->flights, attempt_id(ref));
}

/* Timeouts, connect failures and 5xx speak against the lane; what we refused ourselves does not. */
static bool speaks_against_lane(const struct provider_outcome *outcome)
{
    return outcome->result == PROVIDER_UNKNOWN ||
           (outcome->result == PROVIDER_NOT_SENT && outcome->error_class != PROVIDER_CLASS_NONE);
}

/* A callback that came first has settled it; the call can then only add the provider's id. An
 * attempt that was already listed as unknown, by a session that opened meanwhile, learns whatever
 * is definite. */
static bool tells_news(const struct attempt *a, const struct provider_outcome *outcome)
{
    switch ((enum attempt_stand)a->stand) {
    case ATTEMPT_STARTED:
        return true;
    case ATTEMPT_UNKNOWN:
        return outcome->result != PROVIDER_UNKNOWN;
    case ATTEMPT_ACCEPTED:
        return outcome->result == PROVIDER_ACCEPTED && !a->provider_id;
    }
    return false;
}

enum th_code settle_call(struct turn *turn, const struct answer *answer)
{
    const struct provider_outcome *outcome = &answer->as.call_ended.outcome;
    const struct attempt *a = attempt_of(turn, answer->as.call_ended.attempt);
    bool is_ours =
        outcome->result != PROVIDER_NOT_SENT || outcome->error_class != PROVIDER_CLASS_NONE;
    struct lane *lane;

    TH_TRY(land(turn, answer->as.call_ended.attempt, &lane));
    if (a && tells_news(a, outcome))
        TH_TRY(say_result(turn, a, outcome, answer->as.call_ended.http_status,
                          answer->as.call_ended.call_us, answer->as.call_ended.excerpt));
    TH_TRY(resolve_soon(turn, answer->as.call_ended.attempt));
    if (!lane)
        return TH_OK;
    if (is_ours)
        TH_TRY(
            circuit_count(turn, lane, speaks_against_lane(outcome), outcome->is_account_refused));
    return start_freed(turn, lane);
}

/* --- attempts of earlier sessions
 * ---------------------------------------------------------------------------- */

enum th_code settle_journal(struct turn *turn, const struct answer *answer)
{
    const struct attempt *a = attempt_of(turn, answer->as.journal_told.attempt);
    struct provider_outcome died = {.result = PROVIDER_UNKNOWN,
                                    .error_class = PROVIDER_TRANSIENT,
                                    .reason = TH_STR("owner_died"),
                                    .retry_after_us = -1};

    if (!a || a->stand != ATTEMPT_STARTED || a->session == turn->d->env.session)
        return TH_OK;
    if (answer->as.journal_told.is_silent)
        return settle_say_resolved(turn, a, ATTEMPT_OUTCOME_NOT_SENT, RESOLVED_HOW_JOURNAL,
                                   TH_STR(""), "no byte of it left the process that died");
    TH_TRY(say_result(turn, a, &died, 0, 0, TH_STR("")));
    return resolve_soon(turn, answer->as.journal_told.attempt);
}

/* --- reports
 * ---------------------------------------------------------------------------------------------------
 */

struct subject {
    struct attempt_ref ref;
    struct th_str tenant;
    int32_t lane;
    enum channel channel;
    const struct attempt *attempt; /* NULL: not open here any more */
};

static enum th_code say_reported(struct turn *turn, const struct subject *subject,
                                 const struct provider_report *report)
{
    const struct attempt *a = subject->attempt;
    struct event event = {
        .type = EVENT_ATTEMPT_REPORTED,
        .as.attempt_reported = {.meta = core_meta(turn->out, subject->tenant),
                                .send = subject->ref.send,
                                .n = subject->ref.n,
                                .lane = subject->lane,
                                .channel = subject->channel,
                                .status = th_str(provider_status_text(report->status)),
                                .rank = provider_status_rank(report->status),
                                .is_final = report->is_final,
                                .is_positive = report->is_positive,
                                .error_class = class_of(report->error_class),
                                .reason = report->reason,
                                .provider_code = report->provider_code,
                                .provider_id = report->provider_id,
                                .provider_us = report->provider_ts_us,
                                .sequence = report->sequence,
                                .duration_s = (int32_t)report->duration_s,
                                .phone = phone_of(report->error_class, report->to)},
    };
    if (a)
        event.as.attempt_reported.campaign = (struct optional_uuid){a->has_campaign, a->campaign};
    return dispatch_say_outcome(turn, subject->tenant, subject->lane, subject->ref.send, &event);
}

/* Of an accepted attempt. That the provider has it, the acceptance said. */
static bool is_news(const struct attempt *a, enum provider_status status)
{
    return provider_status_rank(status) > a->rank && status != PROVIDER_SMS_QUEUED &&
           status != PROVIDER_CALL_INITIATED && status != PROVIDER_CALL_QUEUED;
}

/* A report proves that the provider has the attempt. One that tells nothing new is dropped. */
static enum th_code take_report(struct turn *turn, struct subject *subject,
                                const struct provider_report *report, enum resolved_how how)
{
    const struct attempt *a = subject->attempt;

    if (a && a->stand != ATTEMPT_ACCEPTED)
        TH_TRY(settle_say_resolved(turn, a, ATTEMPT_OUTCOME_ACCEPTED, how, report->provider_id,
                                   provider_status_text(report->status)));
    subject->attempt = a = attempt_of(turn, subject->ref);
    if (a && !is_news(a, report->status))
        return TH_OK;
    return say_reported(turn, subject, report);
}

enum th_code settle_found(struct turn *turn, const struct attempt *a,
                          const struct provider_report *report)
{
    struct subject subject = {a->ref, blob_str(a->tenant), a->lane, (enum channel)a->channel, a};

    return take_report(turn, &subject, report, RESOLVED_HOW_LOOKUP);
}

enum th_code settle_callback(struct turn *turn, const struct callback_received *ev)
{
    const struct provider_ops *wire = settle_wire_of(turn->d, ev->wire);
    struct provider_report report;
    struct th_err err = {0};

    if (!wire || ev->body.is != STRING_OR_SEALED_STRING)
        return TH_INVALID;
    enum th_code code =
        wire->callback_parse(ev->body.as.string, core_arena(turn->out), &report, &err);
    if (code == TH_UNSUPPORTED)
        return TH_OK; /* a status that nobody knows */
    TH_TRY(code);
    struct subject subject = {.ref = {ev->send, ev->n},
                              .tenant = ev->meta.tenant,
                              .lane = ev->lane,
                              .channel = ev->channel,
                              .attempt = attempt_of(turn, (struct attempt_ref){ev->send, ev->n})};
    if (subject.attempt && !th_str_eq(blob_str(subject.attempt->tenant), ev->meta.tenant))
        return TH_INVALID;
    return take_report(turn, &subject, &report, RESOLVED_HOW_CALLBACK);
}

/* --- look-ups
 * ----------------------------------------------------------------------------------------------------
 */

static enum th_code say_priced(struct turn *turn, const struct attempt *a,
                               const struct provider_report *report)
{
    struct th_str tenant = blob_str(a->tenant);
    struct event event = {
        .type = EVENT_ATTEMPT_PRICED,
        .as.attempt_priced = {.meta = core_meta(turn->out, tenant),
                              .send = a->ref.send,
                              .n = a->ref.n,
                              .campaign = {a->has_campaign, a->campaign},
                              .lane = a->lane},
    };
    if (report) {
        event.as.attempt_priced.price.is_set = true;
        event.as.attempt_priced.price.value =
            (struct money){report->price.micros, th_str(report->price.currency)};
    }
    return dispatch_say_outcome(turn, tenant, a->lane, a->ref.send, &event);
}

/* The next look-up, or the end of asking: what is volatile here is asked again after a restart. */
static enum th_code look_later(struct turn *turn, struct attempt_ref ref)
{
    void *entry;

    if (!attempt_of(turn, ref))
        return TH_OK;
    TH_TRY(table_edit(turn->d->attempts, attempt_id(ref), &entry));
    struct attempt *a = entry;
    a->lookups++;
    int64_t wait = dispatch_price_wait_us(&turn->d->config, a->lookups);
    if (wait == 0)
        return say_priced(turn, a, NULL);
    a->due_at_us = turn->in->now_us + wait;
    return timers_add(&turn->d->timers, a->due_at_us, a->id);
}

#define CROWDED_US INT64_C(1000000) /* one look-up that was put off speaks for so long */

/* It was not asked: that counts for none of its look-ups. */
static enum th_code wait_for_room(struct turn *turn, struct attempt_ref ref)
{
    void *entry;

    turn->d->crowded_us = turn->in->now_us + CROWDED_US;
    TH_TRY(table_edit(turn->d->attempts, attempt_id(ref), &entry));
    struct attempt *a = entry;
    a->due_at_us = turn->in->now_us + turn->d->config.price_wait_us;
    return timers_add(&turn->d->timers, a->due_at_us, a->id);
}

/* What was searched for before a callback named the attempt. */
static bool is_of_another(const struct attempt *a, const struct provider_lookup *lookup)
{
    return lookup->n_reports > 0 &&
           !th_str_eq(lookup->reports[0].provider_id, blob_str(a->provider_id));
}

enum th_code settle_lookup(struct turn *turn, const struct answer *answer)
{
    struct attempt_ref ref = answer->as.lookup_ended.attempt;
    const struct provider_lookup *lookup = &answer->as.lookup_ended.lookup;
    const struct attempt *a = attempt_of(turn, ref);

    if (a && a->stand == ATTEMPT_UNKNOWN)
        return resolve_lookup(turn, a, lookup);
    if (!a || a->stand != ATTEMPT_ACCEPTED || is_of_another(a, lookup))
        return TH_OK;
    if (answer->as.lookup_ended.is_put_off)
        return wait_for_room(turn, ref);
    if (lookup->result != PROVIDER_FOUND || lookup->n_reports == 0)
        return look_later(turn, ref);
    const struct provider_report *report = &lookup->reports[0];
    TH_TRY(settle_found(turn, a, report));
    a = attempt_of(turn, ref);
    if (a && a->is_final && report->has_price)
        return say_priced(turn, a, report);
    return look_later(turn, ref);
}

static enum th_code look(struct turn *turn, const struct attempt *a)
{
    struct effect effect = {
        .type = EFFECT_LOOKUP,
        .as.lookup = {.attempt = a->ref,
                      .lane = a->lane,
                      .channel = (enum channel)a->channel,
                      .provider_id = blob_str(a->provider_id),
                      .started_us = a->started_us},
    };
    if (!a->provider_id)
        return look_later(turn, a->ref);
    return core_effect(turn->out, &effect);
}

enum th_code settle_due(struct turn *turn, const struct attempt *a)
{
    switch ((enum attempt_stand)a->stand) {
    case ATTEMPT_UNKNOWN:
        return resolve_due(turn, a);
    case ATTEMPT_ACCEPTED:
        return look(turn, a);
    case ATTEMPT_STARTED:
        return TH_OK;
    }
    return TH_OK;
}
