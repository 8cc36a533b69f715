/* state.h - what the dispatch core remembers; inside this folder only. */
#ifndef TELEHUB_PROCESSORS_DISPATCH_STATE_H
#define TELEHUB_PROCESSORS_DISPATCH_STATE_H

#include "common/eventlog/table.h"
#include "common/eventlog/timers.h"
#include "processors/dispatch/dispatch.h"
#include "processors/dispatch/plans.h"
#include "processors/dispatch/recent.h"
#include "processors/dispatch/window.h"

/* An attempt that may still need something: a result, a resolution, a report, a price. */
struct attempt {
    struct th_id id; /* attempt_id() */
    struct attempt_ref ref;
    struct blob *tenant;
    struct blob *provider_id; /* NULL: not known */
    struct blob *party;       /* party_of(), while it may be searched for by that; else NULL */
    struct blob *words;       /* likewise, while it may be repeated: language, a space, the text */
    int64_t contact;          /* whom it went to, for the last check of a repeat */
    struct th_id campaign;
    int64_t started_us;
    int64_t due_at_us;  /* the timer that counts; INT64_MAX: none */
    int64_t send_by_us; /* of the newest release that it has; 0: it needs none */
    uint64_t session;   /* that started it */
    int32_t lane;
    int32_t rank;    /* of the best report so far */
    uint8_t lookups; /* made since the last report, or questions since it is unknown */
    uint8_t absent;  /* how many of these in a row were told that there is none */
    uint8_t stand;   /* enum attempt_stand */
    uint8_t channel; /* enum channel */
    bool has_campaign;
    bool is_final;      /* the report is; what is left is the price */
    bool wants_release; /* for a repeat, and has not got it yet */
    bool is_taken;      /* an answer said so and named no id: no look-up's "no" is believed */
};

/* The blobs of an attempt. */
struct attempt_texts {
    struct th_str tenant;
    struct th_str provider_id;
    struct th_str party;
    struct th_str words;
};

/* A campaign's control as this slot applied it. */
struct control {
    struct th_id campaign;
    int64_t version;
    uint8_t state; /* enum control_state */
};

/* Volatile, but undone with a batch: a call that is in the air in this session. */
struct flight {
    struct th_id id; /* attempt_id() */
    int32_t lane;
    bool has_campaign;
    struct th_id campaign;
};

#define CIRCUIT_BUCKETS 30 /* seconds */

/* Volatile: a lane as this session sees it. */
struct lane {
    int32_t number;
    struct plan *first; /* waiting, oldest first */
    struct plan *last;
    int64_t tat_us;  /* when the lane's next token is due */
    int64_t wake_us; /* its timer; INT64_MAX: none */
    int64_t in_flight;
    enum circuit circuit;
    bool must_tell; /* a batch was undone that may have published it */
    int64_t probe_at_us;
    struct {
        int64_t second;
        int32_t calls;
        int32_t failures;
    } buckets[CIRCUIT_BUCKETS];
};

struct dispatch {
    struct dispatch_config config;
    struct core_env env;
    struct table *attempts;
    struct table *controls;
    struct table *flights;
    struct timers timers;
    struct plans *plans;
    struct recent **recents; /* by partition; NULL: nothing was started there */
    struct lane **lanes;     /* by number; NULL: not met yet */
    size_t lanes_n;
    int64_t lane_due_us; /* earliest wake_us */
    struct window window;
    bool is_window_full; /* some lane could start, but for the slot's window */
    bool is_behind;      /* too many callbacks are unread, by what the last input told */
    int64_t crowded_us;  /* UTC: until then, a look-up having been put off a moment ago */
    bool is_held;        /* nothing is started */
    bool must_sweep;     /* a control changed: look at every waiting plan */
    bool has_gaps;       /* some plan was settled and is still in its lane's queue */
    size_t lane_turn;    /* which lane is looked at first */
    bool has_lost_timers;
};

struct th_id attempt_id(struct attempt_ref ref);
/* Number and sender, as one text: "+919876543210 +911140000000". */
struct party {
    struct th_str to;
    struct th_str sender;
};
struct party party_parse(struct th_str text);

/* Did this attempt alone go to its party, for minutes around it? Then what a search finds is it. */
bool dispatch_is_alone(const struct dispatch *d, const struct attempt *a);

struct th_id lane_timer_id(int32_t lane);

enum th_code dispatch_evolve(void *core, const struct event *event);
enum th_code dispatch_save(const void *core, int part, int piece, struct th_buf *out);
enum th_code dispatch_load(void *core, int part, int piece, struct th_str bytes);
int dispatch_piece(const struct event *event);

/* What a snapshot brings back. */
enum th_code dispatch_restore(struct dispatch *d, const struct attempt *saved,
                              const struct attempt_texts *texts);

/* When an unknown attempt is given up as in doubt. */
int64_t dispatch_gives_up_us(const struct dispatch *d, const struct attempt *a);

/* How long after the lookups-th look-up the next one is due; 0: give up. */
int64_t dispatch_price_wait_us(const struct dispatch_config *config, int lookups);

#endif
