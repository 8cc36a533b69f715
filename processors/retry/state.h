/* state.h - what the retry core remembers; inside this folder only. */
#ifndef TELEHUB_PROCESSORS_RETRY_STATE_H
#define TELEHUB_PROCESSORS_RETRY_STATE_H

#include "common/eventlog/table.h"
#include "common/eventlog/timers.h"
#include "processors/retry/retry.h"
#include "processors/retry/route.h"

#include <assert.h>

#define SEND_LANES_MAX 4 /* distinct lanes that a send remembers to have tried */

/* A million of them may be waiting, so each is as small as it can be: places in tables instead of
 * ids, and times as what they are measured from. Lanes are below DISPATCH_LANES_MAX. */
struct send {
    struct th_id id;
    union {
        struct blob *content; /* of an API send: Avro body of a SendContent */
        struct {
            int32_t part;
            int32_t row;
        } recipient; /* in the audience of its campaign */
    } from;
    int64_t due_at_us; /* the timer that counts; INT64_MAX: none. RELEASED: its send_at */
    union {
        uint32_t send_by_wait; /* us after send_at; 0: no limit. Until it is PLANNED */
        int32_t reached_n;     /* PLANNED, UNKNOWN: attempt before n that reached the person after
                                  all; 0: none */
    };
    uint32_t expires_at_s; /* s since 1970; 0: never */
    uint32_t group;        /* place of its campaign, or of the API sends of its tenant */
    uint32_t next;         /* 1 + place, in the group's list of this stand; 0: none */
    uint32_t prev;
    int32_t n;          /* of the last attempt */
    uint16_t lane;      /* of the last attempt */
    uint16_t lane_next; /* chosen for the next one; 0: none */
    uint16_t lanes_tried[SEND_LANES_MAX];
    uint8_t release_entry; /* of the release number, in the table of 100 */
    uint8_t lane_tries;    /* attempts at lane that may have reached it */
    uint8_t tries;         /* over all lanes */
    unsigned stand : 3;    /* enum send_stand */
    unsigned channel : 2;  /* enum channel */
    unsigned is_api : 1;
    unsigned
        is_possible_duplicate : 1; /* an earlier attempt stayed in doubt, and may have called */
    unsigned is_taken : 1;         /* unknown, though the provider said yes: never to be repeated */
};

static_assert(sizeof(struct send) <= 72, "a million sends and their timers are some 100 MB");

/* The reason of SendNoted unknown that says so; it stays for ever. */
#define TAKEN_REASON TH_STR("accepted_without_id")

/* The reasons of SendNoted unknown that say that a repeat of the attempt wants a release, and that
 * it got one, which is used up by that; they stay for ever. */
#define REPEAT_WANTED_REASON   TH_STR("repeat_wanted")
#define REPEAT_RELEASED_REASON TH_STR("repeat_released")

/* The reason of RetryScheduled that says that the attempt before stayed in doubt, and of SendEnded
 * where nobody can tell whether anybody was called. */
#define DOUBT_REASON TH_STR("in_doubt")

/* The reason of SendNoted parked that waits for a lane instead of a resume; it stays for ever. */
#define LANELESS_REASON TH_STR("no_lane")

/* A campaign, or the API sends of a tenant. */
struct group {
    struct th_id id;
    struct blob *tenant;
    struct th_id audience; /* of the campaign; it has one as long as it lives */
    bool is_campaign;
    uint8_t state;   /* enum control_state, as applied */
    int64_t version; /* applied */
    int64_t live;
    uint32_t idle_first;   /* released, asked, waiting: 1 + place of the first; 0: none */
    uint32_t parked_first; /* parked */
    uint32_t laneless_first;
};

/* Volatile: what a batch moved, told to campaign when it is committed. */
struct moves {
    struct th_id group;
    struct th_str tenant; /* in the batch's arena */
    int64_t settled, accepted, awaiting_report, unknown, suppressed, ended;
    size_t wanted_n; /* in retry.wanted */
};

struct lane_load {
    struct th_id id; /* lane_id(number) */
    int64_t planned; /* unsettled plans of this slot */
};

/* An opt-out on its way through consent.events. */
struct mute {
    struct th_id id; /* mute_id(contact) */
    int64_t at_us;
};

struct wanted {
    struct th_id group;
    struct th_id send;
};

struct retry {
    struct retry_config config;
    struct core_env env;
    struct table *sends;
    struct table *groups;
    struct table *mutes; /* volatile: opt-outs written and not yet read back */
    struct table *loads; /* planned per lane, and per partition of dispatch.requests */
    struct timers timers;
    struct timers walks; /* groups whose lists must be walked */
    bool has_lost_timers;

    /* volatile, of the gathering batch */
    struct moves *moves;
    size_t moves_n, moves_cap;
    struct wanted *wanted;
    size_t wanted_n, wanted_cap;

    /* volatile: sends that found their lane full, oldest first */
    struct th_id *queued;
    size_t queued_first, queued_n, queued_cap;

    struct routes *routes;
};

struct th_id lane_id(int32_t lane);
struct th_id partition_id(int32_t lane, int partitions);
struct th_id mute_id(int64_t contact);
struct th_id api_group(struct th_str tenant);

static inline const struct group *retry_group(const struct retry *retry, const struct send *s)
{
    return table_at(retry->groups, s->group);
}

/* 0: no limit. */
static inline int64_t send_by_us(const struct send *s)
{
    return s->send_by_wait ? s->due_at_us + s->send_by_wait : 0;
}

/* Dispatch has an attempt of it, which nobody can stop for certain. */
static inline bool is_in_the_air(const struct send *s)
{
    return s->stand == SEND_PLANNED || s->stand == SEND_UNKNOWN;
}

/* The attempt that reached the person while a later one was in the air; 0: none. */
static inline int32_t known_reached(const struct send *s)
{
    return is_in_the_air(s) ? s->reached_n : 0;
}

/* 0: never. Rounded down to the second. */
static inline int64_t expires_at_us(const struct send *s)
{
    return (int64_t)s->expires_at_s * INT64_C(1000000);
}

static inline bool holds_release(enum send_stand stand)
{
    return stand == SEND_RELEASED || stand == SEND_PLANNED;
}

enum th_code retry_evolve(void *core, const struct event *event);

/* A send without the places that it has in tables. */
struct saved_send {
    struct th_id group;
    struct th_id audience;
    struct send send;
};

/* What a snapshot brings back. Errors: TH_CONFLICT (twice), TH_CORRUPT, TH_NOMEM */
enum th_code retry_restore(struct retry *retry, const struct saved_send *saved,
                           struct th_str tenant, struct th_str content);
enum th_code retry_restore_group(struct retry *retry, const struct group *saved,
                                 struct th_str tenant);

/* Nothing would be lost with the group but what its sends tell anew. */
bool retry_is_forgotten(const struct group *group);

/* Forget it if that is so. Errors: TH_NOMEM */
enum th_code retry_forget_group(struct retry *retry, struct th_id id);

/* As core.h says. */
enum th_code retry_save(const void *core, int part, int piece, struct th_buf *out);
enum th_code retry_load(void *core, int part, int piece, struct th_str bytes);
int retry_piece(const struct event *event);

#endif
