/* desk.h - a core in one's hands: inputs in, what it says out, no shell and no log.
 *
 * A batch is what one desk_… call makes of its input; it is taken as committed with the next one.
 */
#ifndef TELEHUB_TESTS_UNIT_DESK_H
#define TELEHUB_TESTS_UNIT_DESK_H

#include "common/eventlog/core_output.h"

#define DESK_TENANT  TH_STR("pratham")
#define DESK_NOW_US  INT64_C(1800000000000000) /* 2027-01-15, 08:00 UTC */
#define DESK_SAY_MAX 64

struct desk {
    const struct core_ops *ops;
    void *core;
    struct core_env env;
    struct core_batch batch;
    struct th_arena arena; /* of what was said last */
    uint64_t ids;
    uint64_t changes_at;
    int64_t now_us;
    int64_t offset;
    int64_t unread[TOPIC_COUNT]; /* as the core is told */

    /* Answers what the core asks at once; NULL: it asks nothing. */
    void (*answer)(const struct effect *asked, struct th_arena *arena, struct answer *out);

    /* What the last input led to, in order, every answer's consequences included. */
    struct desk_said {
        enum topic topic;
        struct event event;
    } said[DESK_SAY_MAX];
    size_t said_n;
    struct effect effects[DESK_SAY_MAX];
    size_t effects_n;
};

/* One slot of one; a tenant and no lane. Ends the test when there is no memory. */
void desk_open(struct desk *desk, const struct core_ops *ops, const void *config);
void desk_close(struct desk *desk);

/* A live account of the tenant, enabled. It speaks wire. */
void desk_lane(struct desk *desk, const char *name, int32_t lane, const char *wire);

/* The same in another mode, or again: the newest counts. */
void desk_account(struct desk *desk, const char *name, int32_t lane, const char *wire,
                  enum account_mode mode);

/* A reference record; the core is told what changed. */
void desk_refer(struct desk *desk, enum topic topic, struct event *event);

/* An input record. Its meta is filled in but for what is there already. */
void desk_event(struct desk *desk, enum topic topic, struct event *event);

/* Several of them in one batch. */
void desk_events(struct desk *desk, enum topic topic, struct event *events, size_t n);

void desk_reply(struct desk *desk, const struct answer *answer);

/* Time passes; the core hears of it if it wanted to. */
void desk_wait(struct desk *desk, int64_t us);

/* The nth (from 0) event of that type that the last input led to; NULL: there are not so many. */
const struct event *desk_heard(const struct desk *desk, enum event_type type, size_t nth);

/* A copy of the core from what it saved: snapshot, process gone, opened again. */
void desk_reopen(struct desk *desk, const void *config);

#endif
