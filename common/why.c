#include "common/why.h"

#include "common/date.h"
#include "common/money.h"

#include <inttypes.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)

/* What was said before, as far as a later sentence needs it. */
struct story {
    const struct why_names *names;
    struct th_buf text; /* of the sentence being made */
    bool is_campaign;
    int64_t release;
    int32_t attempts_max; /* 0: its campaign's */
    int32_t lane_next;    /* that a retry chose; 0: none */
    int32_t starts;       /* attempts that may have reached a provider */
    bool is_planned;
    int32_t n;
    int32_t left_n; /* attempt that a retry was decided after; 0: none */
    struct th_str summary;
};

/* --- words --------------------------------------------------------------------------------------
 */

static void put_duration(struct th_buf *out, int64_t us)
{
    if (us < 0)
        us = 0;
    if (us < 10 * SECOND_US)
        th_buf_printf(out, "%" PRId64 ".%" PRId64 " s", us / SECOND_US, us % SECOND_US / 100000);
    else if (us < 2 * MINUTE_US)
        th_buf_printf(out, "%" PRId64 " s", us / SECOND_US);
    else if (us < 2 * HOUR_US)
        th_buf_printf(out, "%" PRId64 " min", us / MINUTE_US);
    else
        th_buf_printf(out, "%" PRId64 " h %02" PRId64 " min", us / HOUR_US,
                      us % HOUR_US / MINUTE_US);
}

/* "2026-11-22 08:30:05 UTC" */
static void put_moment(struct th_buf *out, int64_t us)
{
    char text[TH_DATE_TEXT_LEN + 1];

    th_date_text(us, text);
    th_buf_printf(out, "%.10s %.8s UTC", text, text + 11);
}

/* A slug as words: "no_answer" is "no answer". */
static void put_slug(struct th_buf *out, struct th_str slug)
{
    if (!slug.n)
        th_buf_add(out, TH_STR("no reason given"));
    for (size_t i = 0; i < slug.n; i++)
        th_buf_add_char(out, slug.p[i] == '_' ? ' ' : slug.p[i]);
}

static void put_account(const struct story *story, struct th_buf *out, int32_t lane)
{
    struct th_str name = story->names->account(story->names->arg, lane);

    if (name.n)
        th_buf_printf(out, "account %.*s", TH_ARG(name));
    else
        th_buf_printf(out, "the account of lane %d", (int)lane);
}

static const char *channel_word(enum channel channel)
{
    switch (channel) {
    case CHANNEL_SMS:
        return "message";
    case CHANNEL_CALL:
        return "call";
    case CHANNEL_WHATSAPP:
        return "WhatsApp message";
    }
    return "send";
}

static const char *class_words(enum error_class class)
{
    switch (class) {
    case ERROR_CLASS_NONE:
        return "which says nothing about another attempt";
    case ERROR_CLASS_TRANSIENT:
        return "which may pass: the same account may be tried again soon";
    case ERROR_CLASS_TRANSIENT_SLOW:
        return "an answer that only time changes: the same account may be tried again much later, "
               "and no other";
    case ERROR_CLASS_PERMANENT:
        return "which is final for this recipient on this channel";
    case ERROR_CLASS_PERMANENT_SUPPRESS:
        return "which is final, and the number must not be contacted again";
    case ERROR_CLASS_CONTENT:
        return "which is about the text or the sender, so any other attempt would fail alike";
    case ERROR_CLASS_ACCOUNT:
        return "which is about the account: another provider may succeed";
    case ERROR_CLASS_BUG:
        return "a mistake of TeleHub's own, which another attempt would repeat";
    }
    return "";
}

static void put_code(struct th_buf *out, struct th_str code, int32_t http_status)
{
    if (http_status)
        th_buf_printf(out, ", HTTP %d", (int)http_status);
    if (code.n)
        th_buf_printf(out, ", the provider's code %.*s", TH_ARG(code));
}

/* --- what each event means ----------------------------------------------------------------------
 *
 * Each returns the slug of the rule; NULL: nothing for people.
 */

static const char *requested(struct story *story, const struct send_requested *ev)
{
    struct th_buf *out = &story->text;

    story->is_campaign = ev->origin.is == CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN;
    story->release = ev->release;
    if (!story->is_campaign) {
        story->attempts_max = ev->origin.as.send_content.attempts_max;
        th_buf_printf(out, "A %s was asked for through the API, by %.*s, with at most %d attempts.",
                      channel_word(ev->channel), TH_ARG(ev->meta.actor), (int)story->attempts_max);
    } else {
        const struct campaign_origin *from = &ev->origin.as.campaign_origin;
        th_buf_printf(out,
                      "The campaign (run %d) let it go as number %" PRId64
                      ": row %d of part %d of its audience.",
                      (int)from->run, ev->release, (int)from->recipient.row,
                      (int)from->recipient.part);
    }
    if (ev->send_by_us) {
        th_buf_add(out, TH_STR(" To keep the pace it may start for "));
        put_duration(out, ev->send_by_us - ev->send_at_us);
        th_buf_add(out, TH_STR(" from then on, or must ask again."));
    }
    if (ev->expires_at_us) {
        th_buf_add(out, TH_STR(" It is of no use after "));
        put_moment(out, ev->expires_at_us);
        th_buf_add_char(out, '.');
    }
    return story->is_campaign ? "pace" : "request";
}

static void put_candidates(const struct story *story, const struct route_candidate_array *list)
{
    struct th_buf *out = (struct th_buf *)&story->text;

    for (size_t i = 0; i < list->n; i++) {
        const struct route_candidate *at = &list->at[i];

        th_buf_printf(out, "%s%.*s (%d of 100%s%.*s)", i ? ", " : "", TH_ARG(at->account),
                      (int)at->entries, at->excluded.n ? ", " : "", TH_ARG(at->excluded));
    }
}

static void put_choice(struct story *story, const struct send_planned *ev)
{
    struct th_buf *out = &story->text;

    if (ev->table_entry >= 0 && story->is_campaign)
        th_buf_printf(out,
                      "release %" PRId64 " takes entry %d of the table of 100 (%" PRId64
                      " mod 100), which weights and health make.",
                      story->release, (int)ev->table_entry, story->release);
    else if (ev->table_entry >= 0)
        th_buf_printf(out,
                      "the send's id falls on entry %d of the table of 100, which weights and "
                      "health make.",
                      (int)ev->table_entry);
    else if (story->lane_next == ev->lane)
        th_buf_add(out, TH_STR("the retry before had chosen it."));
    else
        th_buf_add(out, TH_STR("it has the largest share of those that were not tried."));
    if (ev->candidates.n > 0) {
        th_buf_add(out, TH_STR(" The candidates were "));
        put_candidates(story, &ev->candidates);
        th_buf_add_char(out, '.');
    }
}

static const char *planned(struct story *story, const struct send_planned *ev)
{
    struct th_buf *out = &story->text;

    th_buf_printf(out, "Attempt %d goes to ", (int)ev->n);
    put_account(story, out, ev->lane);
    th_buf_add(out, TH_STR(": "));
    put_choice(story, ev);
    th_buf_printf(out,
                  " The number was not among the opt-outs (version %" PRId64
                  "), and nothing was paused or stopped (control version %" PRId64
                  "). Configuration version %" PRId64 ", health version %" PRId64 ".",
                  ev->decided_on.consent, ev->decided_on.control, ev->decided_on.config,
                  ev->decided_on.health);
    if (ev->possible_duplicate)
        th_buf_add(out, TH_STR(" It may be a second one: an earlier attempt stayed in doubt, and "
                               "the policy is at_least_once."));
    story->lane_next = 0;
    story->is_planned = true;
    story->n = ev->n;
    story->starts++;
    return "route";
}

static const char *scheduled(struct story *story, const struct retry_scheduled *ev)
{
    struct th_buf *out = &story->text;
    int64_t wait_us = ev->due_at_us - ev->meta.time_us;

    th_buf_printf(out, "Attempt %d failed (", (int)ev->n);
    put_slug(out, ev->reason);
    if (wait_us > 0) {
        th_buf_add(out, TH_STR("): another one follows after "));
        put_duration(out, wait_us);
        th_buf_add(out, TH_STR(", the back-off, which doubles with each try and is spread by a "
                               "quarter; "));
    } else {
        th_buf_add(out, TH_STR("): another one follows at once, "));
    }
    if (ev->next_lane) {
        th_buf_add(out, TH_STR("through "));
        put_account(story, out, ev->next_lane);
    } else {
        th_buf_add(out, TH_STR("through whichever account is chosen then"));
    }
    th_buf_printf(out, ". So far %d attempt%s", (int)story->starts,
                  story->starts == 1 ? " counts" : "s count");
    if (story->attempts_max)
        th_buf_printf(out, ", of at most %d", (int)story->attempts_max);
    th_buf_add_char(out, '.');
    story->lane_next = ev->next_lane;
    story->left_n = ev->n;
    return wait_us > 0 ? "backoff" : "failover";
}

static const char *handed_back(struct story *story, const struct attempt_returned *ev)
{
    static const struct {
        const char *reason;
        const char *says;
    } reasons[] = {
        {"late", "it could not be started in its time"},
        {"circuit_open", "too many of the account's last calls had failed, so its circuit is open"},
        {"lane_disabled", "the account is not enabled"},
        {"paused", "the campaign was paused"},
        {"stopped", "everything of the tenant was stopped"},
        {"cancelled", "the campaign was cancelled"},
        {"opted_out", "the number opted out meanwhile"},
        {"expired", "its time was over"},
    };
    struct th_buf *out = &story->text;
    const char *says = "it could not be started";

    for (size_t i = 0; i < TH_LEN(reasons); i++)
        if (th_str_eq(ev->reason, th_str(reasons[i].reason)))
            says = reasons[i].says;
    th_buf_printf(out, "Attempt %d was handed back before anything left: %s", (int)ev->n, says);
    th_buf_printf(out,
                  " (configuration version %" PRId64 ", control version %" PRId64
                  "). It does not count as an attempt.",
                  ev->decided_on.config, ev->decided_on.control);
    story->starts -= story->is_planned;
    story->is_planned = false;
    return "hand_back";
}

static const char *outcome_words(enum attempt_outcome outcome)
{
    switch (outcome) {
    case ATTEMPT_OUTCOME_ACCEPTED:
        return "accepted";
    case ATTEMPT_OUTCOME_REJECTED:
        return "refused";
    case ATTEMPT_OUTCOME_THROTTLED:
        return "put off";
    case ATTEMPT_OUTCOME_NOT_SENT:
        return "not sent: nothing of it left";
    case ATTEMPT_OUTCOME_UNKNOWN:
        return "of unknown outcome";
    case ATTEMPT_OUTCOME_NOT_EXECUTED:
        return "not carried out";
    case ATTEMPT_OUTCOME_IN_DOUBT:
        return "in doubt";
    }
    return "";
}

static const char *answer_words(enum attempt_outcome outcome)
{
    if (outcome == ATTEMPT_OUTCOME_UNKNOWN)
        return "answered unclearly or not at all";
    return outcome == ATTEMPT_OUTCOME_NOT_SENT ? "not received" : outcome_words(outcome);
}

static const char *result(struct story *story, const struct attempt_result *ev)
{
    struct th_buf *out = &story->text;

    th_buf_printf(out, "Attempt %d was %s by ", (int)ev->n, answer_words(ev->outcome));
    put_account(story, out, ev->lane);
    put_code(out, ev->provider_code, ev->http_status);
    if (ev->call_us > 0) {
        th_buf_add(out, TH_STR(", after "));
        put_duration(out, ev->call_us);
    }
    if (ev->outcome == ATTEMPT_OUTCOME_ACCEPTED) {
        th_buf_add_char(out, '.');
        return "answer";
    }
    th_buf_add(out, TH_STR(" ("));
    put_slug(out, ev->reason);
    if (ev->outcome == ATTEMPT_OUTCOME_UNKNOWN) {
        th_buf_add(out,
                   TH_STR("). It may have been carried out, so nothing is repeated before that "
                          "is known."));
        return "answer";
    }
    th_buf_printf(out, "): class %s, %s.", error_class_name(ev->error_class),
                  class_words(ev->error_class));
    if (ev->retry_after_us > 0) {
        th_buf_add(out, TH_STR(" The provider asked for a pause of "));
        put_duration(out, ev->retry_after_us);
        th_buf_add_char(out, '.');
    }
    return "answer";
}

static const char *resolved(struct story *story, const struct attempt_resolved *ev)
{
    static const char *const hows[] = {
        [RESOLVED_HOW_LOOKUP] = "the provider's list shows it",
        [RESOLVED_HOW_CALLBACK] = "the provider called back about it",
        [RESOLVED_HOW_IDEMPOTENT_REPLAY] = "the provider answered the same request under its key",
        [RESOLVED_HOW_JOURNAL] = "the journal of the process that died shows that nothing left",
        [RESOLVED_HOW_PERMIT] = "the process never used its permission to send",
        [RESOLVED_HOW_POLICY] = "no callback came within its window, and nobody can be asked",
    };

    th_buf_printf(&story->text, "Attempt %d is %s: %s.", (int)ev->n, outcome_words(ev->outcome),
                  hows[ev->how]);
    return "resolve";
}

static const char *reported(struct story *story, const struct attempt_reported *ev)
{
    struct th_buf *out = &story->text;

    if (!ev->is_final)
        return NULL;
    th_buf_printf(out, "The provider reported attempt %d as ", (int)ev->n);
    put_slug(out, ev->status);
    put_code(out, ev->provider_code, 0);
    if (ev->is_positive) {
        th_buf_add(out, TH_STR(": the recipient was reached."));
        return "report";
    }
    if (ev->reason.n && !th_str_eq(ev->reason, ev->status)) {
        th_buf_add(out, TH_STR(" ("));
        put_slug(out, ev->reason);
        th_buf_add_char(out, ')');
    }
    th_buf_printf(out, ": class %s, %s.", error_class_name(ev->error_class),
                  class_words(ev->error_class));
    return "report";
}

static const char *priced(struct story *story, const struct attempt_priced *ev)
{
    char amount[TH_MONEY_TEXT_MAX];

    if (!ev->price.is_set) {
        th_buf_printf(&story->text,
                      "The provider named no price of attempt %d; the account's estimate stays.",
                      (int)ev->n);
        return "price";
    }
    th_money_text(ev->price.value.micros, amount);
    th_buf_printf(&story->text, "Attempt %d cost %s %.*s.", (int)ev->n, amount,
                  TH_ARG(ev->price.value.currency));
    return "price";
}

static const char *suppressed(struct story *story, const struct send_suppressed *ev)
{
    struct th_buf *out = &story->text;

    if (th_str_eq(ev->reason, TH_STR("opted_out"))) {
        th_buf_printf(out,
                      "It was not sent: the number is among the opt-outs (version %" PRId64 ").",
                      ev->decided_on.consent);
        story->summary = TH_STR("It was not sent: the number opted out.");
        return "consent";
    }
    th_buf_add(out, TH_STR("It was not sent: "));
    put_slug(out, ev->reason);
    th_buf_add_char(out, '.');
    story->summary = TH_STR("It was left out.");
    return "suppress";
}

static void put_until(struct th_buf *out, const struct send_noted *ev)
{
    th_buf_add(out, TH_STR(" until "));
    put_moment(out, ev->due_at_us);
    th_buf_add(out, TH_STR(", "));
    put_duration(out, ev->due_at_us - ev->meta.time_us);
    th_buf_add(out, TH_STR(" later."));
}

static const char *waits(struct story *story, const struct send_noted *ev)
{
    struct th_buf *out = &story->text;

    story->summary = TH_STR("It waits.");
    if (th_str_eq(ev->reason, TH_STR("window"))) {
        th_buf_add(out, TH_STR("It is outside the hours in which the recipient may be contacted: "
                               "it waits"));
        put_until(out, ev);
        return "window";
    }
    if (th_str_eq(ev->reason, TH_STR("lane_closed")))
        th_buf_add(out, TH_STR("Its account takes nothing now: it waits"));
    else if (th_str_eq(ev->reason, TH_STR("no_lane")))
        th_buf_add(out, TH_STR("No account takes anything now: it waits"));
    else
        th_buf_add(out, TH_STR("It waits"));
    put_until(out, ev);
    return "backoff";
}

static const char *parks(struct story *story, const struct send_noted *ev)
{
    struct th_buf *out = &story->text;

    if (th_str_eq(ev->reason, TH_STR("no_lane"))) {
        story->summary = TH_STR("It waits until an account can take it.");
        th_buf_add(out, TH_STR("No account that it may use is enabled and well: it waits until "
                               "one is"));
        if (ev->due_at_us) {
            th_buf_add(out, TH_STR(", or "));
            put_moment(out, ev->due_at_us);
        }
        th_buf_add_char(out, '.');
        return "health";
    }
    if (th_str_eq(ev->reason, TH_STR("stopped"))) {
        story->summary = TH_STR("It waits: everything of the tenant is stopped.");
        th_buf_add(out, TH_STR("Everything of the tenant is stopped: it waits until that is "
                               "released."));
        return "stop";
    }
    story->summary = TH_STR("It waits: the campaign is paused.");
    th_buf_add(out, TH_STR("The campaign is paused: it waits until it is resumed."));
    return "pause";
}

static const char *asks(struct story *story, const struct send_noted *ev)
{
    struct th_buf *out = &story->text;

    story->summary = TH_STR("It waits for the campaign to let it go again.");
    if (th_str_eq(ev->reason, TH_STR("late")))
        th_buf_add(out, TH_STR("It missed the time it was given"));
    else if (th_str_eq(ev->reason, TH_STR("resumed")))
        th_buf_add(out, TH_STR("The campaign goes on"));
    else if (th_str_eq(ev->reason, TH_STR("lane_open")))
        th_buf_add(out, TH_STR("An account takes messages again"));
    else
        th_buf_add(out, TH_STR("The wait is over"));
    th_buf_add(out, TH_STR(": the campaign is asked to let it go again, since each attempt counts "
                           "against its pace."));
    return "pace";
}

static const char *taken(struct story *story, const struct send_noted *ev)
{
    struct th_buf *out = &story->text;

    story->summary = TH_STR("The provider has it; no report has come so far.");
    if (ev->due_at_us) {
        th_buf_add(out, TH_STR("The provider has it. Its report may start another attempt"));
        put_until(out, ev);
        return "report";
    }
    if (!th_str_eq(ev->reason, TH_STR("no_report")))
        return NULL;
    th_buf_add(out, TH_STR("No report came in time: no attempt follows, whatever comes later."));
    return "report";
}

/* A repeat of the last attempt under its key; what else is unknown, the attempt's result said. */
static const char *unknown(struct story *story, const struct send_noted *ev)
{
    struct th_buf *out = &story->text;

    story->summary = TH_STR("Whether the provider carried it out is not known yet.");
    if (th_str_eq(ev->reason, TH_STR("repeat_wanted"))) {
        th_buf_printf(out,
                      "The request of attempt %d is to be made again under its key, of which the "
                      "provider carries out one. The time it was given is over, so the campaign is "
                      "asked for another: the repeat may be the first that arrives, and counts "
                      "against the pace.",
                      (int)ev->n);
        return "pace";
    }
    if (!th_str_eq(ev->reason, TH_STR("repeat_released")))
        return NULL;
    th_buf_printf(out,
                  "The campaign gave the repeat of attempt %d a time of its own, as number "
                  "%" PRId64 ".",
                  (int)ev->n, ev->release);
    return "pace";
}

static const char *noted(struct story *story, const struct send_noted *ev)
{
    switch (ev->standing) {
    case SEND_STANDING_ASKED:
        return asks(story, ev);
    case SEND_STANDING_PARKED:
        return parks(story, ev);
    case SEND_STANDING_WAITING:
        return waits(story, ev);
    case SEND_STANDING_ACCEPTED:
        return taken(story, ev);
    case SEND_STANDING_UNKNOWN:
        return unknown(story, ev);
    case SEND_STANDING_RELEASED:
        if (!story->is_campaign)
            return NULL;
        story->release = ev->release;
        th_buf_printf(&story->text, "The campaign let it go again, as number %" PRId64 ".",
                      ev->release);
        return "pace";
    }
    return NULL;
}

/* Whom a provider says to have been reached, after it had said the opposite. */
static const char *reached(struct story *story, const struct send_reached *ev)
{
    story->summary = TH_STR("The recipient was reached.");
    th_buf_printf(&story->text,
                  "Attempt %d reached the recipient after all, but attempt %d was under way "
                  "already and cannot be stopped for certain. No further attempt is made.",
                  (int)ev->n, (int)story->n);
    return "reached";
}

static const char *ended_reached(struct story *story, const struct send_ended *ev)
{
    story->summary = TH_STR("The recipient was reached.");
    if (th_str_eq(ev->reason, TH_STR("reached_before"))) {
        th_buf_printf(&story->text,
                      "It ended with attempt %d, whatever became of it: attempt %d had reached the "
                      "recipient.",
                      (int)story->n, (int)ev->n);
        return "reached";
    }
    if (ev->n == story->n && ev->n != story->left_n)
        return NULL; /* the report said so */
    th_buf_printf(&story->text,
                  "It ended: attempt %d reached the recipient after all, so no other is made.",
                  (int)ev->n);
    return "reached";
}

static const char *ended(struct story *story, const struct send_ended *ev)
{
    static const struct {
        const char *reason;
        const char *says;
        const char *rule;
    } reasons[] = {
        {"exhausted", "It was given up: no account and no try was left.", "attempts"},
        {"cancelled", "It ended because its campaign was cancelled.", "cancel"},
        {"expired", "It ended because its time was over.", "expiry"},
        {"in_doubt",
         "It is in doubt: nobody can tell whether the last attempt was carried out, and it is not "
         "repeated.",
         "at_most_once"},
        {"stuck", "It ended because a record about it could not be understood (see telehub dlq).",
         "dead_letter"},
        {"recipient_unreadable", "It ended because its row of the audience could not be read.",
         "audience"},
        {"text_not_renderable", "It ended because its text could not be made for this recipient.",
         "content"},
    };
    struct th_buf *out = &story->text;

    for (size_t i = 0; i < TH_LEN(reasons); i++) {
        if (!th_str_eq(ev->reason, th_str(reasons[i].reason)))
            continue;
        story->summary = th_str(reasons[i].says);
        th_buf_add(out, story->summary);
        if (i == 0 && story->attempts_max)
            th_buf_printf(out, " %d of at most %d attempts counted.", (int)story->starts,
                          (int)story->attempts_max);
        return reasons[i].rule;
    }
    if (ev->is_reached)
        return ended_reached(story, ev);
    story->summary = TH_STR("The recipient was not reached.");
    th_buf_printf(out, "It ended after attempt %d: ", (int)ev->n);
    put_slug(out, ev->reason);
    th_buf_add(out, TH_STR(". No further attempt is made."));
    return "outcome";
}

static const char *tell(struct story *story, const struct event *event)
{
    switch ((int)event->type) { /* most events are about other things */
    case EVENT_SEND_REQUESTED:
        return requested(story, &event->as.send_requested);
    case EVENT_SEND_PLANNED:
        return planned(story, &event->as.send_planned);
    case EVENT_RETRY_SCHEDULED:
        story->summary = TH_STR("Another attempt will follow.");
        return scheduled(story, &event->as.retry_scheduled);
    case EVENT_SEND_NOTED:
        return noted(story, &event->as.send_noted);
    case EVENT_SEND_SUPPRESSED:
        return suppressed(story, &event->as.send_suppressed);
    case EVENT_SEND_REACHED:
        return reached(story, &event->as.send_reached);
    case EVENT_SEND_ENDED:
        return ended(story, &event->as.send_ended);
    case EVENT_ATTEMPT_RETURNED:
        return handed_back(story, &event->as.attempt_returned);
    case EVENT_ATTEMPT_RESULT:
        return result(story, &event->as.attempt_result);
    case EVENT_ATTEMPT_RESOLVED:
        return resolved(story, &event->as.attempt_resolved);
    case EVENT_ATTEMPT_REPORTED:
        if (event->as.attempt_reported.is_positive)
            story->summary = TH_STR("The recipient was reached.");
        return reported(story, &event->as.attempt_reported);
    case EVENT_ATTEMPT_PRICED:
        return priced(story, &event->as.attempt_priced);
    default:
        return NULL;
    }
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static enum th_code keep(struct story *story, int64_t at_us, const char *rule,
                         struct th_arena *arena, struct why *out)
{
    struct th_str text = th_buf_str(&story->text);

    TH_TRY(th_buf_status(&story->text));
    if (text.n > WHY_SENTENCE_MAX)
        text.n = WHY_SENTENCE_MAX;
    while (!th_str_is_utf8(text))
        text.n--;
    struct why_sentence *sentence = &out->at[out->n];
    TH_TRY(th_arena_copy(arena, text, &sentence->text));
    sentence->at_us = at_us;
    sentence->rule = rule;
    out->n++;
    return TH_OK;
}

enum th_code why_tell(const struct event *const *events, size_t n, const struct why_names *names,
                      struct th_arena *arena, struct why *out)
{
    struct story story = {.names = names, .summary = TH_STR("It was asked for, and not begun.")};
    enum th_code code = TH_OK;

    *out = (struct why){.at = th_arena_array(arena, n + 1, sizeof *out->at)};
    if (!out->at)
        return TH_NOMEM;
    for (size_t i = 0; i < n && code == TH_OK; i++) {
        th_buf_clear(&story.text);
        const char *rule = tell(&story, events[i]);
        if (rule)
            code = keep(&story, event_meta(events[i])->time_us, rule, arena, out);
    }
    th_buf_fini(&story.text);
    out->summary = story.summary;
    return code;
}
