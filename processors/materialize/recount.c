#include "processors/materialize/recount.h"

#include "common/hash.h"
#include "processors/materialize/fold_private.h"
#include "processors/materialize/packed_store.h"

#define READ_BYTES   ((size_t)1024 * 1024)
#define RECORDS_MAX  ((size_t)64 * 1024 * 1024) /* arena of one read */
#define PARTS_TOPICS 4

/* What a certificate is made of, besides the campaign's own events. */
static const enum topic topics[PARTS_TOPICS] = {TOPIC_SEND_REQUESTS, TOPIC_SEND_EVENTS,
                                                TOPIC_SEND_OUTCOMES, TOPIC_DISPATCH_ATTEMPTS};

/* What the campaign's own events come to. */
struct course {
    struct tally_campaign counts;
    bool is_created;
    bool has_ended;
};

struct recounting {
    struct th_log *log;
    struct th_str tenant;
    struct th_id campaign;
    struct th_arena records;
    struct view_batch batch;
    struct packed_store *store;
    struct tally *tally;
    struct course course;
    uint64_t shares; /* the sends are divided into so many */
    uint64_t share;  /* that are being counted */
    int64_t ends[PARTS_TOPICS][LOG_PARTITIONS_MAX];
    uint64_t records_n;
    uint64_t undecodable;
};

/* --- reading -------------------------------------------------------------------------------- */

typedef enum th_code (*take_fn)(struct recounting *r, const struct event *event,
                                struct log_place place, struct th_err *err);

/* The fold's failures: its own (no memory), or what the store said. */
static enum th_code fail_fold(const struct recounting *r, enum th_code code, struct th_err *err)
{
    if (r->batch.err.code == code)
        return th_fail(err, code, "%s", r->batch.err.text);
    return th_fail(err, code, "folding a campaign");
}

/* What was folded goes into the store. */
static enum th_code settle(struct recounting *r, struct th_err *err)
{
    struct view_change change = {0};
    enum th_code code = fold_conclude(&r->batch);

    if (code == TH_OK)
        code = view_batch_change(&r->batch, &change);
    if (code != TH_OK)
        return fail_fold(r, code, err);
    TH_TRY(r->batch.store->ops->commit(r->batch.store, &change, err));
    view_batch_reset(&r->batch);
    return TH_OK;
}

static enum th_code take_record(struct recounting *r, const struct log_record *record, take_fn take,
                                struct th_err *err)
{
    struct event event;
    struct th_err bad = {0};
    enum th_code code = event_decode(record->value, &r->records, &event, &bad);

    r->records_n++;
    if (code == TH_OK)
        return take(r, &event, record->place, err);
    if (code == TH_NOMEM)
        return th_fail(err, TH_NOMEM, "an event");
    r->undecodable++;
    return TH_OK;
}

/* From the beginning of a partition up to before its end. */
static enum th_code read_to(struct recounting *r, struct th_log_reader *reader,
                            struct log_place place, int64_t end, take_fn take, struct th_err *err)
{
    struct log_records records;
    int64_t next = 0;

    while (next < end) {
        th_arena_reset(&r->records);
        TH_TRY(th_log_reader_read(reader, READ_BYTES, &r->records, &records, err));
        if (records.n == 0)
            return th_fail(err, TH_CORRUPT, "%s partition %d ends at %lld, not at %lld",
                           topic_name(place.topic), place.part, (long long)next, (long long)end);
        for (size_t i = 0; i < records.n && records.at[i].place.offset < end; i++)
            TH_TRY(take_record(r, &records.at[i], take, err));
        next = records.at[records.n - 1].place.offset + 1;
        TH_TRY(settle(r, err));
    }
    return TH_OK;
}

static enum th_code read_part(struct recounting *r, enum topic topic, int part, int64_t end,
                              take_fn take, struct th_err *err)
{
    const struct log_place place = {topic, part, 0};
    struct th_log_reader *reader = NULL;

    TH_TRY(th_log_reader_open(r->log, &place, 1, &reader, err));
    enum th_code code = read_to(r, reader, place, end, take, err);
    th_log_reader_close(reader);
    return code;
}

/* --- the campaign itself -------------------------------------------------------------------- */

static bool is_it(const struct recounting *r, struct th_id campaign)
{
    return th_id_eq(r->campaign, campaign);
}

static void end_course(struct course *course, bool is_cancelled)
{
    course->has_ended = true;
    course->counts.is_cancelled = is_cancelled;
}

static enum th_code take_course(struct recounting *r, const struct event *event,
                                struct log_place place, struct th_err *err)
{
    struct course *course = &r->course;

    (void)place;
    (void)err;
    if (r->tenant.n && !th_str_eq(event_meta(event)->tenant, r->tenant))
        return TH_OK;
    switch ((int)event->type) {
    case EVENT_CAMPAIGN_CREATED:
        course->is_created = course->is_created || is_it(r, event->as.campaign_created.campaign);
        return TH_OK;
    case EVENT_CAMPAIGN_STARTED:
        if (is_it(r, event->as.campaign_started.campaign))
            course->counts.recipients = event->as.campaign_started.recipients;
        return TH_OK;
    case EVENT_CAMPAIGN_RELEASED:
        if (is_it(r, event->as.campaign_released.campaign)) {
            course->counts.released += event->as.campaign_released.rows;
            course->counts.duplicates += (int64_t)event->as.campaign_released.suppressed_rows.n;
        }
        return TH_OK;
    case EVENT_CAMPAIGN_COMPLETED:
        if (is_it(r, event->as.campaign_completed.campaign))
            end_course(course, false);
        return TH_OK;
    case EVENT_CAMPAIGN_CANCELLED:
        if (is_it(r, event->as.campaign_cancelled.campaign))
            end_course(course, true);
        return TH_OK;
    default:
        return TH_OK;
    }
}

static enum th_code read_course(struct recounting *r, struct th_err *err)
{
    int64_t end;

    for (int part = 0; part < th_log_partitions(r->log, TOPIC_CAMPAIGN_EVENTS); part++) {
        TH_TRY(th_log_end(r->log, TOPIC_CAMPAIGN_EVENTS, part, &end, err));
        TH_TRY(read_part(r, TOPIC_CAMPAIGN_EVENTS, part, end, take_course, err));
    }
    return r->course.is_created ? TH_OK : th_fail(err, TH_NOT_FOUND, "no such campaign");
}

/* All that led to what the campaign says lies before these. */
static enum th_code look_at_ends(struct recounting *r, struct th_err *err)
{
    for (size_t t = 0; t < PARTS_TOPICS; t++)
        for (int part = 0; part < th_log_partitions(r->log, topics[t]); part++)
            TH_TRY(th_log_end(r->log, topics[t], part, &r->ends[t][part], err));
    return TH_OK;
}

/* --- its sends ------------------------------------------------------------------------------ */

static bool is_in_share(const struct recounting *r, struct th_id send)
{
    return r->shares == 1 || th_hash64(th_id_bytes(&send), 1) % r->shares == r->share;
}

static bool is_requested_by_it(const struct recounting *r, const struct event *event)
{
    if (event->type != EVENT_SEND_REQUESTED)
        return false;
    const struct campaign_origin_or_send_content *origin = &event->as.send_requested.origin;
    return origin->is == CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN &&
           is_it(r, origin->as.campaign_origin.campaign);
}

static enum th_code fold(struct recounting *r, const struct event *event, struct log_place place,
                         struct th_err *err)
{
    enum th_code code = fold_event(&r->batch, event, place);

    return code == TH_OK ? TH_OK : fail_fold(r, code, err);
}

/* The requests of a partition are read before all else, so that the store knows whose a send is. */
static enum th_code take_send(struct recounting *r, const struct event *event,
                              struct log_place place, struct th_err *err)
{
    struct sends_row key = {0};

    if (!fold_send_of(event, &key.send) || !is_in_share(r, key.send))
        return TH_OK;
    if (!is_requested_by_it(r, event) && !packed_store_has(r->store, VIEW_TABLE_SENDS, &key))
        return TH_OK;
    return fold(r, event, place, err);
}

static enum th_code count_sends(struct recounting *r, int part, struct th_err *err)
{
    struct sends_row row;

    packed_store_clear(r->store);
    for (size_t t = 0; topics[t] != TOPIC_DISPATCH_ATTEMPTS; t++)
        TH_TRY(read_part(r, topics[t], part, r->ends[t][part], take_send, err));
    for (size_t i = 0; i < packed_store_count(r->store, VIEW_TABLE_SENDS); i++) {
        packed_store_row(r->store, VIEW_TABLE_SENDS, i, &row);
        tally_sends(r->tally, row.outcome, row.reason, 1);
    }
    return TH_OK;
}

/* --- its attempts --------------------------------------------------------------------------- */

/* A report for an attempt that dispatch had forgotten names no campaign. */
static enum th_code take_attempt(struct recounting *r, const struct event *event,
                                 struct log_place place, struct th_err *err)
{
    struct attempts_row key = {0};

    if (!fold_attempt_key(event, &key) || !is_in_share(r, key.send))
        return TH_OK;
    if (!th_id_is_zero(key.campaign))
        return is_it(r, key.campaign) ? fold(r, event, place, err) : TH_OK;
    TH_TRY(settle(r, err));
    if (!packed_store_has(r->store, VIEW_TABLE_ATTEMPTS, &key))
        return TH_OK;
    return fold(r, event, place, err);
}

static enum th_code count_attempts(struct recounting *r, int part, struct th_err *err)
{
    const size_t t = PARTS_TOPICS - 1;
    struct attempts_row row;

    packed_store_clear(r->store);
    TH_TRY(read_part(r, topics[t], part, r->ends[t][part], take_attempt, err));
    for (size_t i = 0; i < packed_store_count(r->store, VIEW_TABLE_ATTEMPTS); i++) {
        struct campaign_costs_row cost = {0};

        packed_store_row(r->store, VIEW_TABLE_ATTEMPTS, i, &row);
        tally_open(r->tally, attempt_is_open(&row));
        if (attempt_cost(&row, &cost))
            TH_TRY(tally_cost(r->tally, cost.currency, cost.micros, cost.is_estimated, err));
    }
    return TH_OK;
}

/* --- all of it -------------------------------------------------------------------------------- */

static enum th_code count_all(struct recounting *r, struct th_err *err)
{
    for (r->share = 0; r->share < r->shares; r->share++) {
        for (int part = 0; part < th_log_partitions(r->log, TOPIC_SEND_EVENTS); part++)
            TH_TRY(count_sends(r, part, err));
        for (int part = 0; part < th_log_partitions(r->log, TOPIC_DISPATCH_ATTEMPTS); part++)
            TH_TRY(count_attempts(r, part, err));
    }
    tally_conclude(r->tally, &r->course.counts);
    return TH_OK;
}

/* The reasons are the store's texts, which go with it. */
static enum th_code keep_texts(struct tally_reasons *reasons, struct th_arena *arena)
{
    for (size_t i = 0; i < reasons->n; i++)
        TH_TRY(th_arena_copy(arena, reasons->at[i].reason, &reasons->at[i].reason));
    return TH_OK;
}

static int64_t at_least_one(int64_t n)
{
    return n > 1 ? n : 1;
}

static enum th_code recount(struct recounting *r, int64_t recipients, struct th_err *err)
{
    TH_TRY(read_course(r, err));
    TH_TRY(look_at_ends(r, err));
    r->shares = 1 + (uint64_t)((at_least_one(r->course.counts.recipients) - 1) / recipients);
    return count_all(r, err);
}

enum th_code recount_certificate(struct th_log *log, struct th_str tenant, struct th_id campaign,
                                 int64_t recipients, struct th_arena *arena, struct recount *out,
                                 struct th_err *err)
{
    TH_AUTO(free) void *memory = calloc(1, sizeof(struct recounting));
    TH_AUTO(packed_store) struct packed_store *store = NULL;
    struct recounting *r = memory;
    struct tally *tally = th_arena_alloc(arena, sizeof *tally);

    if (!r || !tally)
        return th_fail(err, TH_NOMEM, "a certificate");
    TH_TRY(packed_store_new(&store, err));
    r->log = log;
    r->tenant = tenant;
    r->campaign = campaign;
    r->store = store;
    r->tally = tally;
    th_arena_init(&r->records, RECORDS_MAX);
    view_batch_init(&r->batch, packed_store_view(store));
    enum th_code code = recount(r, recipients, err);
    if (code == TH_OK && (keep_texts(&tally->unreached, arena) != TH_OK ||
                          keep_texts(&tally->suppressed, arena) != TH_OK))
        code = th_fail(err, TH_NOMEM, "a certificate");
    view_batch_fini(&r->batch);
    th_arena_fini(&r->records);
    TH_TRY(code);
    *out = (struct recount){.records = r->records_n, .undecodable = r->undecodable};
    tally_certificate(tally, campaign, r->course.has_ended, &out->certificate);
    return TH_OK;
}
