/* timeline.h - the steps that a message or a call goes through after it was executed.
 *
 * Pure. Each step has a moment (a share of the whole delay), a status, and an event that a client
 * may have subscribed to.
 */
#ifndef TELEHUB_SANDBOX_TIMELINE_H
#define TELEHUB_SANDBOX_TIMELINE_H

#include "connectors/sandbox/behaviour.h"

#define STEPS_MAX 4

/* Bits of a subscription. */
enum {
    EVENT_QUEUED = 1,
    EVENT_SENT = 2,
    EVENT_INITIATED = 4,
    EVENT_RINGING = 8,
    EVENT_ANSWERED = 16,
    EVENT_FINAL = 32, /* a message's last status; "completed" of a call, whatever its end */
};

struct step {
    const char *status; /* MessageStatus or CallStatus of its callback */
    unsigned event;
    unsigned percent; /* of the delay between execution and end */
};

struct timeline {
    struct step at[STEPS_MAX];
    unsigned n; /* the last one is the end */
};

/* Of an outcome that was not refused at once. */
struct timeline timeline_of(enum channel channel, enum outcome outcome);

/* What a GET answers after that many steps (0: just executed). */
const char *timeline_status(const struct timeline *timeline, enum channel channel, unsigned steps,
                            bool is_by_service);

/* "sent,final" or "initiated,ringing,answered,completed" as bits; 0 if a name is unknown. */
unsigned timeline_events_parse(struct th_str text, enum channel channel);

#endif
