#include "tests/simulation/prose.h"

#include "tests/simulation/checks.h"
#include "tests/simulation/people.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define PHONE_LEN 13

static const char *const names[] = {"Asha", "Bina", "Chitra", "Deepa", "Esha", "Farah"};

static const char *name_of(int ordinal)
{
    return ordinal >= 0 && ordinal < (int)TH_LEN(names) ? names[ordinal] : "somebody";
}

static const char *who(const struct world *world, struct th_id send)
{
    return name_of(checks_ordinal(world, send));
}

static const char *name_of_phone(const struct world *world, const char *phone)
{
    for (int i = 0; i < people_n(world->people, 0); i++)
        if (memcmp(person_at(world->people, 0, i)->phone, phone, PHONE_LEN) == 0)
            return name_of(i);
    return "somebody";
}

/* Tenths of a second: what comes sooner is told by its place. */
static void begin(const struct world *world, const char *speaker)
{
    fprintf(world->prose, "[%5.1f] %-9s ", (double)world_now(world) / (double)TH_US_PER_SEC,
            speaker);
}

static void say(const struct world *world, const char *speaker, const char *fmt, ...)
    TH_PRINTF(3, 4);

static void say(const struct world *world, const char *speaker, const char *fmt, ...)
{
    va_list args;

    begin(world, speaker);
    va_start(args, fmt);
    (void)vfprintf(world->prose, fmt, args);
    va_end(args);
    fputc('\n', world->prose);
}

void prose_said(struct world *world, const char *text)
{
    begin(world, "*");
    for (const char *p = text; *p;) {
        if (strncmp(p, "+919", 4) == 0 && strlen(p) >= PHONE_LEN) {
            fputs(name_of_phone(world, p), world->prose);
            p += PHONE_LEN;
        } else {
            fputc(*p++, world->prose);
        }
    }
    fputc('\n', world->prose);
}

/* --- campaign ----------------------------------------------------------------------------------
 */

static void tell_progress(const struct world *world, const struct progress_noted *ev)
{
    static const char *const words[] = {"accepted", "awaiting a report", "unknown", "suppressed",
                                        "ended"};
    const int64_t moved[] = {ev->accepted, ev->awaiting_report, ev->unknown, ev->suppressed,
                             ev->ended};

    if (ev->wanted.n > 0)
        say(world, "campaign", "hears that %zu ask for another release", ev->wanted.n);
    for (size_t i = 0; i < TH_LEN(moved); i++)
        if (moved[i])
            say(world, "campaign", "counts %+" PRId64 " %s", moved[i], words[i]);
}

static void tell_campaign(const struct world *world, const struct event *event)
{
    switch ((int)event->type) { /* the rest is said by somebody else */
    case EVENT_CAMPAIGN_STARTED:
        say(world, "campaign", "starts, for %" PRId64 " recipients",
            event->as.campaign_started.recipients);
        break;
    case EVENT_CAMPAIGN_RELEASED:
        say(world, "campaign", "releases rows %d to %d, of which %zu are duplicates",
            event->as.campaign_released.first_row,
            event->as.campaign_released.first_row + event->as.campaign_released.rows - 1,
            event->as.campaign_released.suppressed_rows.n);
        break;
    case EVENT_CAMPAIGN_RE_RELEASED:
        for (size_t i = 0; i < event->as.campaign_re_released.sends.n; i++)
            say(world, "campaign", "grants %s another release",
                who(world, event->as.campaign_re_released.sends.at[i]));
        break;
    case EVENT_PROGRESS_NOTED:
        tell_progress(world, &event->as.progress_noted);
        break;
    case EVENT_CAMPAIGN_PAUSING:
        say(world, "campaign", "is pausing");
        break;
    case EVENT_CAMPAIGN_PAUSED:
        say(world, "campaign", "is paused, %" PRId64 " in flight",
            event->as.campaign_paused.in_flight);
        break;
    case EVENT_CAMPAIGN_RESUMED:
        say(world, "campaign", "runs again");
        break;
    case EVENT_CAMPAIGN_PACE_CHANGED:
        if (event->as.campaign_pace_changed.pace_per_min)
            say(world, "campaign", "goes at %d a minute from now on",
                event->as.campaign_pace_changed.pace_per_min);
        else
            say(world, "campaign", "goes as fast as it can from now on");
        break;
    case EVENT_CAMPAIGN_CANCELLING:
        say(world, "campaign", "is cancelling");
        break;
    case EVENT_CAMPAIGN_CANCELLED:
        say(world, "campaign", "is cancelled, %" PRId64 " never released",
            event->as.campaign_cancelled.never_released);
        break;
    case EVENT_CAMPAIGN_COMPLETED:
        say(world, "campaign", "is completed");
        break;
    case EVENT_COMMAND_REFUSED:
        say(world, "campaign", "refuses to %.*s: %.*s", TH_ARG(event->as.command_refused.command),
            TH_ARG(event->as.command_refused.detail));
        break;
    default:
        break;
    }
}

/* --- retry -------------------------------------------------------------------------------------
 */

static void tell_noted(const struct world *world, const struct send_noted *ev)
{
    const char *name = who(world, ev->send);

    switch (ev->standing) {
    case SEND_STANDING_ASKED:
        say(world, "retry", "asks for another release of %s (%.*s)", name, TH_ARG(ev->reason));
        break;
    case SEND_STANDING_RELEASED:
        say(world, "retry", "has a release for %s", name);
        break;
    case SEND_STANDING_ACCEPTED:
        say(world, "retry", "notes that %s is accepted%s", name,
            ev->due_at_us ? ", and waits for the report" : "");
        break;
    case SEND_STANDING_UNKNOWN:
        if (th_str_eq(ev->reason, TH_STR("repeat_wanted")))
            say(world, "retry", "asks for a release to repeat attempt %d of %s", ev->n, name);
        else if (th_str_eq(ev->reason, TH_STR("repeat_released")))
            say(world, "retry", "has a release to repeat attempt %d of %s", ev->n, name);
        else
            say(world, "retry", "notes that nobody knows whether %s was reached (%.*s)", name,
                TH_ARG(ev->reason));
        break;
    case SEND_STANDING_PARKED:
        say(world, "retry", "parks %s (%.*s)", name, TH_ARG(ev->reason));
        break;
    case SEND_STANDING_WAITING:
        say(world, "retry", "lets %s wait (%.*s)", name, TH_ARG(ev->reason));
        break;
    }
}

static void tell_retry(const struct world *world, const struct event *event)
{
    switch ((int)event->type) { /* the rest is said by somebody else */
    case EVENT_SEND_ADMITTED:
        say(world, "retry", "takes %s in", who(world, event->as.send_admitted.send));
        break;
    case EVENT_SEND_PLANNED:
        say(world, "retry", "plans attempt %d of %s on lane %d%s", event->as.send_planned.n,
            who(world, event->as.send_planned.send), event->as.send_planned.lane,
            event->as.send_planned.possible_duplicate ? ", possibly a duplicate" : "");
        break;
    case EVENT_RETRY_SCHEDULED:
        say(world, "retry", "will try %s again on lane %d (%.*s)",
            who(world, event->as.retry_scheduled.send), event->as.retry_scheduled.next_lane,
            TH_ARG(event->as.retry_scheduled.reason));
        break;
    case EVENT_SEND_NOTED:
        tell_noted(world, &event->as.send_noted);
        break;
    case EVENT_SEND_SUPPRESSED:
        say(world, "retry", "suppresses %s: %.*s", who(world, event->as.send_suppressed.send),
            TH_ARG(event->as.send_suppressed.reason));
        break;
    case EVENT_SEND_REACHED:
        say(world, "retry",
            "notes that attempt %d reached %s after all, while another is under way",
            event->as.send_reached.n, who(world, event->as.send_reached.send));
        break;
    case EVENT_SEND_ENDED:
        say(world, "retry", "ends %s: %s%.*s", who(world, event->as.send_ended.send),
            event->as.send_ended.is_reached ? "reached, " : "",
            TH_ARG(event->as.send_ended.reason));
        break;
    default:
        break;
    }
}

/* --- dispatch ----------------------------------------------------------------------------------
 */

static void tell_dispatch(const struct world *world, const struct event *event)
{
    const struct attempt_result *result = &event->as.attempt_result;
    const struct attempt_resolved *resolved = &event->as.attempt_resolved;

    switch ((int)event->type) { /* the rest is said by somebody else */
    case EVENT_ATTEMPT_STARTED:
        say(world, "dispatch", "starts attempt %d of %s on lane %d", event->as.attempt_started.n,
            who(world, event->as.attempt_started.send), event->as.attempt_started.lane);
        break;
    case EVENT_ATTEMPT_RETURNED:
        say(world, "dispatch", "hands attempt %d of %s back: %.*s", event->as.attempt_returned.n,
            who(world, event->as.attempt_returned.send), TH_ARG(event->as.attempt_returned.reason));
        break;
    case EVENT_ATTEMPT_RESULT:
        say(world, "dispatch", "hears of attempt %d of %s: %s%s%.*s", result->n,
            who(world, result->send), attempt_outcome_name(result->outcome),
            result->reason.n ? ", " : "", TH_ARG(result->reason));
        break;
    case EVENT_ATTEMPT_RESOLVED:
        say(world, "dispatch", "finds out by %s about attempt %d of %s: %s (%.*s)",
            resolved_how_name(resolved->how), resolved->n, who(world, resolved->send),
            attempt_outcome_name(resolved->outcome), TH_ARG(resolved->evidence));
        break;
    case EVENT_ATTEMPT_REPORTED:
        say(world, "dispatch", "learns that attempt %d of %s is %.*s", event->as.attempt_reported.n,
            who(world, event->as.attempt_reported.send), TH_ARG(event->as.attempt_reported.status));
        break;
    case EVENT_REPEAT_WANTED:
        say(world, "dispatch", "wants a release to repeat attempt %d of %s",
            event->as.repeat_wanted.n, who(world, event->as.repeat_wanted.send));
        break;
    case EVENT_REPEAT_RELEASED:
        say(world, "dispatch", "may repeat attempt %d of %s", event->as.repeat_released.n,
            who(world, event->as.repeat_released.send));
        break;
    case EVENT_ATTEMPT_PRICED:
        say(world, "dispatch", "%s attempt %d of %s",
            event->as.attempt_priced.price.is_set ? "knows the price of"
                                                  : "asks no longer for the price of",
            event->as.attempt_priced.n, who(world, event->as.attempt_priced.send));
        break;
    default:
        break;
    }
}

static void tell_lane(const struct world *world, const struct lane_health_changed *ev)
{
    say(world, "dispatch", "says that the circuit of lane %d is %s", ev->lane,
        circuit_name(ev->circuit));
}

void prose_event(struct world *world, const struct event *event, enum topic topic)
{
    switch (topic) {
    case TOPIC_CAMPAIGN_EVENTS:
        tell_campaign(world, event);
        break;
    case TOPIC_SEND_EVENTS:
        tell_retry(world, event);
        break;
    case TOPIC_DISPATCH_ATTEMPTS:
        tell_dispatch(world, event);
        break;
    case TOPIC_LANE_HEALTH:
        if (event->type == EVENT_LANE_HEALTH_CHANGED)
            tell_lane(world, &event->as.lane_health_changed);
        break;
    case TOPIC_CAMPAIGN_COMMANDS:
    case TOPIC_CAMPAIGN_AUDIENCE:
    case TOPIC_CAMPAIGN_PROGRESS:
    case TOPIC_SEND_REQUESTS:
    case TOPIC_DISPATCH_REQUESTS:
    case TOPIC_SEND_OUTCOMES:
    case TOPIC_PROVIDER_CALLBACKS:
    case TOPIC_DEAD_LETTERS:
    case TOPIC_CONFIG:
    case TOPIC_CONSENT_EVENTS:
    case TOPIC_CAMPAIGN_CONTROL:
        break;
    }
}
