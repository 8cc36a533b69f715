/* state.h - what the campaign core remembers; inside this folder only. */
#ifndef TELEHUB_PROCESSORS_CAMPAIGN_STATE_H
#define TELEHUB_PROCESSORS_CAMPAIGN_STATE_H

#include "common/eventlog/table.h"
#include "common/eventlog/timers.h"
#include "processors/campaign/campaign.h"

struct campaign {
    struct th_id id;
    struct blob *tenant;
    struct blob *spec; /* Avro body of a CampaignSpec */
    uint8_t phase;     /* enum campaign_phase */
    int32_t pace_per_min;
    struct th_id audience;
    bool allow_duplicates;
    bool is_draining; /* releases without a limit are out, and a pace was set since */

    bool has_stated; /* the start named a number of recipients */
    int64_t stated;

    int32_t run;
    int32_t parts;
    int64_t run_started_ms;
    int64_t recipients;
    int32_t part; /* the next row to release */
    int32_t row;

    int64_t released; /* releases made, again-releases too; the number of the next one */
    int64_t last_send_at_us;
    int64_t requested;
    int64_t duplicates;
    int64_t closed; /* releases used up */
    int64_t accepted;
    int64_t awaiting_report;
    int64_t unknown;
    int64_t suppressed;
    int64_t ended;

    struct th_id first_ask; /* asks in the order of their arrival; zero: none */
    struct th_id last_ask;
    int64_t asking;

    int64_t version;      /* of campaign.control */
    uint64_t answered[2]; /* slots of retry, of dispatch, that applied it; a bit each */
    int64_t in_flight;    /* as they answered */
};

/* A send that wants another release. */
struct ask {
    struct th_id send;
    struct th_id campaign;
    struct th_id next; /* zero: the last */
};

/* Volatile: the part that is being released, and when to look at the campaign again. */
struct reading {
    struct th_id campaign;
    bool is_read;
    int32_t part;
    int32_t rows;
    uint8_t duplicates[(AUDIENCE_PART_ROWS_MAX + 7) / 8];
    int64_t not_before_us; /* a read failed: ask again then */
    int64_t timer_us;      /* earliest timer that is set; INT64_MAX: none */
};

struct campaigns {
    struct campaign_config config;
    struct core_env env;
    struct table *campaigns;
    struct table *asks;
    struct table *readings;
    struct timers timers;
    bool has_lost_timers; /* no memory while a batch was undone: wake everybody */
};

static inline int64_t campaign_open(const struct campaign *c)
{
    return c->released - c->closed;
}

enum th_code campaign_evolve(void *core, const struct event *event);

enum th_code campaign_save(const void *core, int part, int piece, struct th_buf *out);
enum th_code campaign_load(void *core, int part, int piece, struct th_str bytes);

#endif
