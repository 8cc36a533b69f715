#include "connectors/sandbox/timeline.h"

#include <string.h>

static void add(struct timeline *timeline, const char *status, unsigned event, unsigned percent)
{
    timeline->at[timeline->n++] = (struct step){status, event, percent};
}

static struct timeline message(enum outcome outcome, const char *last)
{
    struct timeline timeline = {0};

    add(&timeline, "queued", EVENT_QUEUED, 0);
    if (outcome != OUTCOME_FAILED)
        add(&timeline, "sent", EVENT_SENT, 50);
    add(&timeline, last, EVENT_FINAL, 100);
    return timeline;
}

static struct timeline call(enum outcome outcome, const char *last)
{
    struct timeline timeline = {0};
    bool is_rung = outcome != OUTCOME_CALL_FAILED;
    bool is_answered = is_rung && outcome != OUTCOME_BUSY && outcome != OUTCOME_NO_ANSWER;

    add(&timeline, "initiated", EVENT_INITIATED, 0);
    if (is_rung)
        add(&timeline, "ringing", EVENT_RINGING, 25);
    if (is_answered)
        add(&timeline, "in-progress", EVENT_ANSWERED, 50);
    add(&timeline, last, EVENT_FINAL, 100);
    return timeline;
}

struct timeline timeline_of(enum channel channel, enum outcome outcome)
{
    const char *last = outcome_facts(outcome, channel).status;

    return channel == CHANNEL_SMS ? message(outcome, last) : call(outcome, last);
}

const char *timeline_status(const struct timeline *timeline, enum channel channel, unsigned steps,
                            bool is_by_service)
{
    /* "initiated" is an event only; the call itself is still "queued" then. */
    if (steps == 0 || (channel == CHANNEL_CALL && steps == 1))
        return is_by_service ? "accepted" : "queued";
    return timeline->at[steps - 1].status;
}

static const struct {
    enum channel channel;
    const char *name;
    unsigned event;
} events[] = {
    {CHANNEL_SMS, "queued", EVENT_QUEUED},    {CHANNEL_SMS, "sent", EVENT_SENT},
    {CHANNEL_SMS, "final", EVENT_FINAL},      {CHANNEL_CALL, "initiated", EVENT_INITIATED},
    {CHANNEL_CALL, "ringing", EVENT_RINGING}, {CHANNEL_CALL, "answered", EVENT_ANSWERED},
    {CHANNEL_CALL, "completed", EVENT_FINAL},
};

static unsigned event_parse(struct th_str name, enum channel channel)
{
    for (size_t i = 0; i < TH_LEN(events); i++)
        if (events[i].channel == channel && th_str_eq(name, th_str(events[i].name)))
            return events[i].event;
    return 0;
}

unsigned timeline_events_parse(struct th_str text, enum channel channel)
{
    unsigned mask = 0;

    while (text.n) {
        struct th_str name;
        (void)th_str_cut(text, ',', &name, &text);
        unsigned event = event_parse(th_str_trim(name), channel);
        if (!event)
            return 0;
        mask |= event;
    }
    return mask;
}
