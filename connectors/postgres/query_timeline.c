#include "connectors/postgres/query_timeline.h"

#include <endian.h>
#include <string.h>

#include "schemas/events.h"

#define PLACE_SIZE        sizeof(uint64_t)
#define RECORDS_ARENA_MAX ((size_t)8 * 1024 * 1024)
#define OFFSET_BITS       48

/* Reading one send's events: readers stand in one partition of one topic each. */
struct timeline {
    struct th_log *log;
    struct th_str tenant;
    struct th_str key;
    struct th_log_reader *readers[TOPIC_COUNT];
    struct th_arena records; /* emptied for each event */
    struct th_buf json;
    struct th_arena *arena;
};

static enum th_code place_of(const struct timeline *t, struct th_str places, size_t i,
                             struct log_place *out, struct th_err *err)
{
    uint64_t wire;

    memcpy(&wire, places.p + i * PLACE_SIZE, sizeof wire);
    uint64_t place = be64toh(wire);
    if (place >> OFFSET_BITS >= TOPIC_COUNT)
        return th_fail(err, TH_CORRUPT, "a send names a topic that there is not");
    out->topic = (enum topic)(place >> OFFSET_BITS);
    out->offset = (int64_t)(place & ((UINT64_C(1) << OFFSET_BITS) - 1));
    out->part = topic_partition_of_key(t->key, th_log_partitions(t->log, out->topic));
    return TH_OK;
}

static enum th_code read_record(struct timeline *t, struct log_place place, struct log_record *out,
                                struct th_err *err)
{
    struct th_log_reader **reader = &t->readers[place.topic];
    struct log_records records;

    if (*reader)
        th_log_reader_seek(*reader, place);
    else
        TH_TRY(th_log_reader_open(t->log, &place, 1, reader, err));
    TH_TRY(th_log_reader_read(*reader, 1, &t->records, &records, err));
    if (records.n == 0 || records.at[0].place.offset != place.offset)
        return th_fail(err, TH_CORRUPT, "no record where a send says there is one");
    *out = records.at[0];
    return TH_OK;
}

/* What lies there must be the tenant's own and about this send, whatever the row says. */
static enum th_code take_event(struct timeline *t, struct log_place place,
                               struct view_send_event *out, struct th_err *err)
{
    struct log_record record;
    struct event event;

    th_arena_reset(&t->records);
    th_buf_clear(&t->json);
    TH_TRY(read_record(t, place, &record, err));
    if (!th_str_eq(record.key, t->key))
        return th_fail(err, TH_CORRUPT, "another record lies where a send says that its own does");
    TH_TRY(event_decode(record.value, &t->records, &event, err));
    if (!th_str_eq(event_meta(&event)->tenant, t->tenant))
        return th_fail(err, TH_CORRUPT, "an event of another tenant lies under a send's key");
    event_to_json(&event, &t->json);
    out->at_us = event_meta(&event)->time_us;
    out->type = th_str(event_type_name(event.type));
    if (th_buf_status(&t->json) != TH_OK || event_copy(&event, t->arena, &out->event) != TH_OK ||
        th_arena_copy(t->arena, th_buf_str(&t->json), &out->json) != TH_OK)
        return th_fail(err, TH_NOMEM, "a timeline");
    return TH_OK;
}

/* Few, and nearly in order already. Those of one moment stay as they are: request, decision,
 * outcome. */
static void sort_by_time(struct view_send_event *events, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct view_send_event moved = events[i];
        size_t at = i;
        for (; at > 0 && events[at - 1].at_us > moved.at_us; at--)
            events[at] = events[at - 1];
        events[at] = moved;
    }
}

static enum th_code read_all(struct timeline *t, struct th_str places,
                             struct view_send_event *events, size_t n, struct th_err *err)
{
    struct log_place place = {0};

    for (size_t i = 0; i < n; i++) {
        TH_TRY(place_of(t, places, i, &place, err));
        TH_TRY(take_event(t, place, &events[i], err));
    }
    sort_by_time(events, n);
    return TH_OK;
}

static void close_all(struct timeline *t)
{
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        if (t->readers[i])
            th_log_reader_close(t->readers[i]);
    th_arena_fini(&t->records);
    th_buf_fini(&t->json);
}

enum th_code timeline_read(struct th_log *log, struct th_str tenant, struct th_id send,
                           struct th_str places, struct th_arena *arena,
                           struct view_send_event **out, size_t *out_n, struct th_err *err)
{
    struct timeline timeline = {.log = log, .tenant = tenant, .arena = arena};
    char text[TH_ID_TEXT_LEN + 1];
    size_t n = places.n / PLACE_SIZE;

    if (n > VIEWS_TIMELINE_MAX)
        n = VIEWS_TIMELINE_MAX;
    th_id_text(send, text);
    timeline.key = th_arena_printf(arena, "%.*s/%s", TH_ARG(tenant), text);
    struct view_send_event *events = th_arena_array(arena, n + 1, sizeof *events);
    if (!timeline.key.p || !events)
        return th_fail(err, TH_NOMEM, "a timeline");
    th_arena_init(&timeline.records, RECORDS_ARENA_MAX);
    enum th_code code = read_all(&timeline, places, events, n, err);
    close_all(&timeline);
    TH_TRY(code);
    *out = events;
    *out_n = n;
    return TH_OK;
}
