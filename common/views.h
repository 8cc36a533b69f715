/* views.h - what has become of everything: the questions that the gateway asks.
 *
 * The views are folded from the log by materialize and lie behind this interface
 * (connectors/postgres implements it). They are behind the log by what is still being folded;
 * wait_for makes a reader see its own writes.
 *
 * Every question names the tenant and sees nothing of any other: what belongs to another tenant is
 * TH_NOT_FOUND, exactly as what does not exist. An empty tenant is TH_DENIED.
 *
 * Results live in the arena that the caller gives. Lists go page by page: hand the last row's key
 * in as after; the page after the last one is empty. Any thread may ask; questions block.
 *
 * Errors of every question, besides those named: TH_UNAVAILABLE, TH_TIMEOUT, TH_NOMEM, TH_CORRUPT.
 */
#ifndef TELEHUB_COMMON_VIEWS_H
#define TELEHUB_COMMON_VIEWS_H

#include "common/arena.h"
#include "common/eventlog/log.h"
#include "common/ids.h"
#include "common/money.h"
#include "common/str.h"
#include "schemas/events.h"

#define VIEWS_PAGE_MAX         1000 /* rows of one page; a larger limit is taken for this */
#define VIEWS_WAIT_PLACES_MAX  16
#define VIEWS_REASONS_MAX      256 /* of one certificate */
#define VIEWS_TIMELINE_MAX     200 /* events of one send */
#define VIEWS_OUTCOME_NAME_MAX 128

struct views;

/* --- campaigns ------------------------------------------------------------------------------- */

struct view_campaign {
    struct th_id id;
    struct th_str name;
    struct th_str phase; /* draft starting running pausing paused completed cancelling cancelled */
    struct th_str channel; /* "sms", "call" */
    struct th_id audience;
    int32_t pace_per_min; /* 0: max */
    struct th_str policy;
    struct th_str category;
    int32_t run;        /* 0: never started */
    int64_t recipients; /* accepted rows of the audience; 0 before the start */
    int64_t in_flight;  /* while paused: attempts that were with a provider when it took effect */
    int64_t created_us; /* UTC; 0: has not happened, as the following */
    int64_t started_us;
    int64_t ended_us;
    struct th_str refused_code; /* why the last start was refused; empty: it was not */
    struct th_str refused_detail;
};

/* Where the recipients stand; the certificate's sets, without reasons. */
struct view_counts {
    int64_t audience; /* the sum of all others */
    int64_t reached;
    int64_t accepted_no_report;
    int64_t unreached;
    int64_t suppressed;
    int64_t in_doubt;
    int64_t unsent;
};

struct view_progress {
    struct view_campaign campaign;
    struct view_counts counts;
    int64_t done;          /* reached, accepted, unreached, suppressed, in doubt */
    int64_t rate_milli_s;  /* attempts started per 1,000 s, over the last minute of its running */
    int64_t eta_s;         /* until every recipient is done at that rate; -1: cannot be told */
    int64_t last_start_us; /* of an attempt, UTC; 0: none */
};

struct view_reason {
    struct th_str reason; /* slug */
    int64_t n;
};

struct view_cost {
    struct th_money amount;
    bool is_estimated; /* no price came (yet); the account's own estimate */
};

/* The accepted rows of the audience, each in exactly one set. */
struct view_certificate {
    struct th_id campaign;
    bool is_final; /* completed or cancelled, and the views are past that */
    int64_t audience;
    int64_t reached;
    int64_t accepted_no_report;
    struct view_reason *unreached; /* by reason, sorted */
    size_t unreached_n;
    struct view_reason *suppressed;
    size_t suppressed_n;
    int64_t in_doubt;
    int64_t unsent;
    struct view_cost *cost; /* by currency, prices before estimates */
    size_t cost_n;
};

/* Which recipients: a key of the certificate. "reached", "accepted_no_report", "in_doubt",
 * "unsent", "unreached", "suppressed", "unreached:busy", "suppressed:opted_out", or a reason alone,
 * which is looked for under both. Empty: all. */
struct view_recipient {
    int64_t ordinal;     /* part * 1000 + row; the key for after */
    struct th_str phone; /* E.164; empty if it is sealed */
    struct th_str lang;
    int32_t source_row;   /* of the uploaded file's part, from 1 */
    struct th_str set;    /* "reached", "unreached", … */
    struct th_str reason; /* of unreached and suppressed; else empty */
    bool has_send;        /* else it was never released, and the rest is zero */
    struct th_id send;
    int32_t attempts;     /* plans made */
    struct th_str states; /* of each, commas between: of struct view_attempt, or planned */
    int64_t at_us;        /* of the newest event that decided it, UTC */
};

/* --- sends --------------------------------------------------------------------------------- */

struct view_send_event {
    int64_t at_us;      /* when it was decided, UTC */
    struct th_str type; /* the record's name: "SendPlanned" */
    struct th_str json; /* the whole event */
    struct event event; /* the same, decoded; in the arena */
};

struct view_attempt {
    int32_t n;
    int32_t lane;
    struct th_str account;
    struct th_str sender;
    struct th_str state; /* started accepted rejected throttled not_sent unknown not_executed
                            in_doubt returned */
    struct th_str reason;
    struct th_str status; /* last report's by rank; empty: none */
    struct th_str provider_id;
    int64_t started_us;
    int64_t ended_us; /* of the final report; 0: none */
    struct th_money cost;
    bool is_cost_estimated;
};

struct view_send {
    struct th_id id;
    struct th_str channel;
    bool has_campaign;
    struct th_id campaign;
    int64_t ordinal;
    struct th_str phone; /* E.164; empty if unknown so far or sealed */
    struct th_str set;
    struct th_str reason;
    int64_t requested_us;
    struct view_attempt *attempts;
    size_t attempts_n;
    struct view_send_event *timeline; /* in order of time */
    size_t timeline_n;
};

/* --- the rest ------------------------------------------------------------------------------ */

struct view_audience {
    struct th_id id;
    struct th_str name;
    bool is_sealed;
    int64_t parts; /* sealed; before: uploaded */
    int64_t recipients;
    int64_t rejected;
    int64_t created_us;
};

struct view_opt_out {
    int64_t contact; /* the key for after: begin with INT64_MIN */
    struct th_str phone;
    struct th_str source;
    int64_t since_us;
};

enum view_command_status {
    VIEW_COMMAND_PENDING,
    VIEW_COMMAND_APPLIED,
    VIEW_COMMAND_REFUSED,
};

struct view_command {
    struct th_id id; /* event id of the command */
    struct th_id campaign;
    struct th_str kind; /* "CreateCampaign", … */
    enum view_command_status status;
    struct th_str code;   /* of a refusal: slug */
    struct th_str detail; /* a sentence */
};

/* A record that could not be understood. */
struct view_dead_letter {
    struct th_id id;
    struct th_str tenant;   /* empty: not known */
    int64_t at_us;          /* 0: not known */
    struct th_str topic;    /* of the record */
    struct th_str consumer; /* who could not understand it */
    struct th_str code;
    struct th_str detail;
    struct th_str settled; /* "replayed", "discarded"; empty: nobody has looked at it */
    int64_t settled_us;
};

/* With the bytes of the record. */
struct view_dead_record {
    struct view_dead_letter letter;
    struct th_str letter_key; /* of the letter's own record: of what settles it, too */
    struct th_str key;
    struct th_str value;
    struct th_str headers; /* to replay it with (eventlog/headers.h): dlq_origin is among them */
};

/* A send that was given up: no account and no try was left. */
struct view_exhausted {
    struct th_id send;
    struct th_str tenant;
    struct th_id campaign; /* zero: it came through the API */
    struct th_str channel;
    int32_t attempts;
    struct th_str account; /* of the last attempt; empty: it is not known any more */
    struct th_str reason;  /* what the last attempt came to */
    int64_t at_us;         /* when it was given up, UTC */
};

struct view_troubles {
    int64_t in_doubt;     /* recipients of campaigns of whom it is not known */
    int64_t dead_letters; /* that nobody has settled */
};

struct views_ops {
    /* Wait until the views hold everything at these places (what a TeleHub-Token says); a topic
     * that is not folded into views does not count. until_us is CLOCK_MONOTONIC.
     * Errors: TH_TIMEOUT  they are not there yet
     *         TH_INVALID  no such partition, or more than VIEWS_WAIT_PLACES_MAX */
    enum th_code (*wait_for)(struct views *views, const struct log_place *places, size_t n,
                             int64_t until_us, struct th_err *err);

    /* Newest first. after NULL: from the beginning. */
    enum th_code (*campaigns)(struct views *views, struct th_str tenant, const struct th_id *after,
                              size_t limit, struct th_arena *arena, struct view_campaign **out,
                              size_t *out_n, struct th_err *err);

    /* Errors: TH_NOT_FOUND */
    enum th_code (*campaign)(struct views *views, struct th_str tenant, struct th_id id,
                             struct th_arena *arena, struct view_campaign *out, struct th_err *err);
    /* The rate may be up to a second old. */
    enum th_code (*progress)(struct views *views, struct th_str tenant, struct th_id id,
                             int64_t now_us, struct th_arena *arena, struct view_progress *out,
                             struct th_err *err);
    enum th_code (*certificate)(struct views *views, struct th_str tenant, struct th_id id,
                                struct th_arena *arena, struct view_certificate *out,
                                struct th_err *err);

    /* In the order of the audience, from the ordinal behind after on (begin with -1). Fewer than
     * limit may come before the end: *out_next is then where to go on, -1 at the end.
     * Errors: TH_NOT_FOUND  no such campaign
     *         TH_INVALID    outcome is no such name */
    enum th_code (*recipients)(struct views *views, struct th_str tenant, struct th_id campaign,
                               struct th_str outcome, int64_t after, size_t limit,
                               struct th_arena *arena, struct view_recipient **out, size_t *out_n,
                               int64_t *out_next, struct th_err *err);

    /* Errors: TH_NOT_FOUND */
    enum th_code (*send)(struct views *views, struct th_str tenant, struct th_id id,
                         struct th_arena *arena, struct view_send *out, struct th_err *err);
    enum th_code (*audience)(struct views *views, struct th_str tenant, struct th_id id,
                             struct th_arena *arena, struct view_audience *out, struct th_err *err);
    enum th_code (*command)(struct views *views, struct th_str tenant, struct th_id id,
                            struct th_arena *arena, struct view_command *out, struct th_err *err);

    /* Those in force. */
    enum th_code (*opt_outs)(struct views *views, struct th_str tenant, int64_t after, size_t limit,
                             struct th_arena *arena, struct view_opt_out **out, size_t *out_n,
                             struct th_err *err);

    /* Of the installation, for health and for those who operate it: events between the end of the
     * log and what is folded, by topic, -1 where nothing is. out_events: room for TOPIC_COUNT. */
    enum th_code (*lag)(struct views *views, int64_t *out_events, struct th_err *err);

    /* Likewise: dead letters of all tenants in the order of their ids, from the one behind after
     * on; NULL: from the first. */
    enum th_code (*dead_letters)(struct views *views, bool is_unsettled, const struct th_id *after,
                                 size_t limit, struct th_arena *arena,
                                 struct view_dead_letter **out, size_t *out_n, struct th_err *err);

    /* Errors: TH_NOT_FOUND */
    enum th_code (*dead_letter)(struct views *views, struct th_id id, struct th_arena *arena,
                                struct view_dead_record *out, struct th_err *err);

    /* Likewise: sends of all tenants that were given up and reached nobody, from the last id to the
     * first, from the one behind after on; NULL: from the last. Fewer than limit may come before
     * the end: *out_next is then where to go on, zero at the end. */
    enum th_code (*exhausted)(struct views *views, const struct th_id *after, size_t limit,
                              struct th_arena *arena, struct view_exhausted **out, size_t *out_n,
                              struct th_id *out_next, struct th_err *err);

    /* Likewise: what somebody should look at. */
    enum th_code (*troubles)(struct views *views, struct view_troubles *out, struct th_err *err);
};

struct views {
    const struct views_ops *ops;
};

#endif
