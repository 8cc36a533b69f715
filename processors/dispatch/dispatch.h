/* dispatch.h - the owner of lanes: pace, start, result, resolution, report, price.
 *
 * Pure. Reads dispatch.requests and provider.callbacks; owns dispatch.attempts; copies what retry
 * must know to send.outcomes; publishes circuits on lane.health; answers pauses on
 * campaign.progress.
 *
 * A plan waits, unread so to speak: it is no state, the cursor stays in front of it, and a bitmap
 * beside the cursor says which of those behind are settled. An attempt is started by an
 * AttemptStarted that is durable before the provider is called, by the session that committed it,
 * once. Whoever finds an attempt started by another session never calls: it finds out, or lists
 * the attempt as in doubt.
 *
 * Where the provider drops a repeat under the same key, an unknown attempt's request is made again:
 * the same attempt, number and price. The repeat may be the first that arrives, so it is a call
 * like others to the pace of its campaign: it leaves before send_by of the attempt's newest
 * release, or it wants another first (RepeatWanted on send.outcomes) and leaves between send_at and
 * send_by of that (RepeatReleased on dispatch.requests), or wants yet another. Without a limit
 * (send_by 0: an API send, a campaign without a pace) it is made when it is due. What a pause, a
 * stop, a cancel or an opt-out forbids is refused by the last look and asks for nothing; the
 * attempt is in doubt when its time is over, unless an answer or a callback told.
 *
 * Nothing is started while more callbacks than unread_max are on the log and unread: an attempt is
 * kept until its final report was read, so whoever starts faster than it reads only grows. Nor
 * while many are open and their prices cannot be asked for as fast as they end. That a provider is
 * slow to report or to price holds nobody up. What is open goes on (answers, look-ups, repeats),
 * and what must not start is handed back all the same.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_DISPATCH_H
#define TELEHUB_PROCESSORS_DISPATCH_DISPATCH_H

#include "common/eventlog/core.h"

#define DISPATCH_ATTEMPTS_MAX 4000000 /* open, or waiting for a price; of one slot */
#define DISPATCH_LANES_MAX    4096
#define DISPATCH_SPAN_MAX     16000 /* offsets from the first waiting plan to the last one read */

/* What a search covers, of the provider's clock: it may differ from ours, and the send window and
 * the way to the provider take their time. */
#define DISPATCH_SEARCH_BEFORE_US INT64_C(60000000)
#define DISPATCH_SEARCH_AFTER_US  INT64_C(300000000)

/* A release that names no end (pace "max") is one for calls that leave at once, which is this. */
#define DISPATCH_AT_ONCE_US INT64_C(2000000)

struct dispatch_config {
    /* The wires that it can speak, by name; ends at NULL. Static. */
    const struct provider_ops *const *wires;

    int32_t send_window_ms; /* a request leaves within this time of its commit, or not at all */
    int32_t call_timeout_ms;
    int32_t window_min; /* attempts started and without result, of one slot */
    int32_t window_max;
    int32_t unread_max; /* more callbacks of a slot than that unread: no start, until three quarters
                           of these are read */
    int32_t open_max;   /* more attempts of a slot than that open, and look-ups of ours put off for
                           want of room within the last second: no start */
    int64_t callback_window_sms_us; /* then an unknown outcome is in doubt */
    int64_t callback_window_call_us;
    int64_t search_wait_us; /* an outcome is unknown: after this time, and after 1.5 and 3 times as
                               much, the provider is asked, by what it offers. It is longer than
                               send window, call timeout and what the provider needs to settle */
    int64_t price_wait_us;  /* from the final report to the first look-up; four times as long each
                               time */
    int32_t price_tries;    /* then the estimate stays */
    int64_t report_wait_us; /* no final report: look up */
    int64_t behind_wait_us; /* a reference record is not there yet: look again then */
    int64_t probe_wait_us;  /* between probes of an open circuit */
    int32_t circuit_calls;  /* fewer in 30 s never open it */
};

/* As documented; wires is NULL. */
struct dispatch_config dispatch_config_default(void);

extern const struct core_ops dispatch_core;

/* May an attempt leave, by what this process knows now? NULL: yes; else the slug of the reason that
 * it is handed back with. The same rule when a plan is admitted and at the last moment before the
 * first byte. Call with the reference read-locked. */
const char *dispatch_forbids(const struct reference *ref, struct th_str tenant,
                             const struct th_id *campaign, int64_t contact, int64_t send_by_us,
                             int64_t now_us);

enum attempt_stand {
    ATTEMPT_STARTED,
    ATTEMPT_UNKNOWN,
    ATTEMPT_ACCEPTED, /* report or price are still wanted */
};

/* For tests and simulation. False: not an open attempt of this slot. */
bool dispatch_look(const void *core, struct attempt_ref attempt, enum attempt_stand *out_stand);

/* Started and without an answer, in this session. */
size_t dispatch_in_flight(const void *core);

size_t dispatch_waiting(const void *core);

/* Do starts wait until callbacks are read, or prices asked for? */
bool dispatch_is_held(const void *core);

#endif
