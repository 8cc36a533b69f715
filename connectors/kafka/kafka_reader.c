/* Readers: a consumer each, assigned by hand, borrowed from the log and given back.
 *
 * The library fetches in the background and hands out one queue for all partitions, filled as
 * answers come. Here it is sorted by partition, so that a full one cannot starve another, and what
 * was fetched but did not fit into one read waits for the next. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_consumers.h"
#include "connectors/kafka/kafka_headers.h"
#include "connectors/kafka/kafka_internal.h"

#define BUFFER_BYTES  ((size_t)1 << 20) /* fetched and waiting here; once more while one starves */
#define LOOK_US       (100 * TH_US_PER_MS)
#define POLL_MS       5
#define FIRST_WAIT_MS 5000 /* for the first answer after an assignment, which may connect */
#define OWED_WAIT_MS  5000 /* for what is there for all to see */

/* A message that was fetched and waits. */
struct kept {
    rd_kafka_message_t *message;
    rd_kafka_headers_t *headers; /* the message's; NULL: it has none */
    size_t headers_size;
};

struct part {
    struct log_place next; /* of the reader */
    int64_t seen_to;       /* fetched up to there: records, or the end */
    int64_t visible;       /* nothing before that is hidden: it ended there when last looked at */
    int64_t wanted;        /* is known to be there, so it is waited for … */
    int64_t forgone;       /* … but for what was waited for in vain, up to there */
    bool is_beyond;        /* next lies beyond the end: nothing is fetched yet */
    struct kept *at;       /* fetched: [first, n) */
    size_t first;
    size_t n;
    size_t cap;
};

struct reader {
    struct th_log_reader base;
    struct kafka_client *client; /* borrowed from the log */
    bool is_assigned;            /* the consumer stands where the parts' messages end */
    int64_t looked_us;           /* when the parts beyond were last looked at */
    int64_t came_us;             /* when the last record came, or it was opened */
    atomic_bool follows;         /* it rings when something comes, and nobody else looks */
    bool has_heard; /* from the broker since the consumer was assigned: from then on it is quick */
    size_t buffered;
    struct part *last; /* whose record came last; the next is mostly of the same */
    size_t turn;
    size_t n;
    struct part parts[];
};

static int64_t now_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

static struct kafka_log *log_of(const struct reader *reader)
{
    return kafka_of(reader->base.log);
}

/* --- messages of a partition -------------------------------------------------------------------
 */

static size_t size_of(const struct kept *kept)
{
    return kept->message->len + kept->message->key_len + kept->headers_size;
}

static void drop(struct reader *reader, struct part *part)
{
    for (size_t i = part->first; i < part->n; i++) {
        reader->buffered -= size_of(&part->at[i]);
        rd_kafka_message_destroy(part->at[i].message);
    }
    part->first = part->n = 0;
}

static enum th_code keep(struct reader *reader, struct part *part, rd_kafka_message_t *message,
                         struct th_err *err)
{
    struct kept kept = {.message = message};

    TH_TRY(kafka_headers_of(message, &kept.headers, err));
    kept.headers_size = kafka_headers_size(kept.headers);
    if (part->n == part->cap && part->first > 0) {
        for (size_t i = part->first; i < part->n; i++)
            part->at[i - part->first] = part->at[i];
        part->n -= part->first;
        part->first = 0;
    }
    if (part->n == part->cap) {
        size_t cap = part->cap ? part->cap * 2 : 64;
        struct kept *at = reallocarray(part->at, cap, sizeof *at);
        if (!at)
            return th_fail(err, TH_NOMEM, "a reader's buffer");
        part->at = at;
        part->cap = cap;
    }
    part->at[part->n++] = kept;
    part->seen_to = message->offset + 1;
    reader->buffered += size_of(&kept);
    return TH_OK;
}

/* --- following --------------------------------------------------------------------------------
 */

static void unfollow(struct reader *reader)
{
    if (atomic_exchange(&reader->follows, false))
        for (size_t i = 0; i < reader->n; i++)
            kafka_bell_follow(log_of(reader)->bell, &reader->parts[i].next, -1);
}

/* Something has come: also for others that listen. Whoever follows does so no more until it has
 * been idle again. A thread of the library; it calls when the queue was empty. */
static void ring(rd_kafka_t *rk, void *arg)
{
    struct reader *reader = arg;
    struct kafka_grown grown = {0};

    (void)rk;
    if (!atomic_load(&reader->follows))
        return;
    unfollow(reader);
    for (size_t i = 0; i < reader->n; i++) {
        enum topic topic = reader->parts[i].next.topic;
        grown.topics |= UINT32_C(1) << topic;
        grown.parts[topic] |= UINT64_C(1) << (reader->parts[i].next.part % 64);
    }
    kafka_bell_ring(log_of(reader)->bell, &grown);
}

static void set_ring(struct reader *reader, struct reader *or_null)
{
    TH_AUTO(kafka_queue)
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(reader->client->rk);

    if (queue)
        rd_kafka_queue_cb_event_enable(queue, or_null ? ring : NULL, or_null);
}

/* Once this returns, nobody rings for it any more. */
static void leave_client(struct reader *reader)
{
    if (reader->client->purpose == KAFKA_FOLLOWS)
        set_ring(reader, NULL);
    unfollow(reader);
    kafka_consumers_take_back(log_of(reader), reader->client);
}

static void exchange(struct reader *reader, struct kafka_client *client)
{
    leave_client(reader);
    reader->client = client;
    reader->is_assigned = false;
    if (client->purpose == KAFKA_FOLLOWS)
        set_ring(reader, reader);
}

/* Four fetches a second of each reader, and looks at the ends, are most of what an installation
 * does that does nothing. A fetch that waits for longer is ended by a record just as soon; but it
 * would hold up the next assignment, so that needs another consumer. When none can be had now, all
 * stays as it is for a while. What came before this is taken after it. */
static void follow(struct reader *reader)
{
    struct kafka_client *client;

    if (reader->client->purpose != KAFKA_FOLLOWS) {
        if (kafka_consumers_follower(log_of(reader), &client, NULL) != TH_OK) {
            reader->came_us = now_us();
            return;
        }
        exchange(reader, client);
    }
    for (size_t i = 0; i < reader->n; i++)
        kafka_bell_follow(log_of(reader)->bell, &reader->parts[i].next, 1);
    atomic_store(&reader->follows, true);
}

/* --- opening -----------------------------------------------------------------------------------
 */

static rd_kafka_topic_partition_t *add_part(const struct reader *reader, const struct part *part,
                                            rd_kafka_topic_partition_list_t *list)
{
    return rd_kafka_topic_partition_list_add(list, log_of(reader)->topics[part->next.topic],
                                             part->next.part);
}

static rd_kafka_topic_partition_list_t *list_of(const struct reader *reader)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reader->n);

    for (size_t i = 0; i < reader->n; i++)
        add_part(reader, &reader->parts[i], list);
    return list;
}

/* Where the partitions end now: what lies before that is wanted, and who stands behind it has
 * nothing to fetch. */
static enum th_code look_at_ends(struct reader *reader, struct th_err *err)
{
    TH_AUTO(kafka_list) rd_kafka_topic_partition_list_t *list = list_of(reader);

    TH_TRY(kafka_scout_stable(log_of(reader)->scout, list, err));
    for (size_t i = 0; i < reader->n; i++) {
        struct part *part = &reader->parts[i];
        bool was_beyond = part->is_beyond;
        part->is_beyond = part->next.offset > list->elems[i].offset;
        if (was_beyond != part->is_beyond)
            reader->is_assigned = false;
        part->visible = list->elems[i].offset;
        if (part->wanted < part->visible)
            part->wanted = part->visible;
    }
    reader->looked_us = now_us();
    return TH_OK;
}

enum th_code kafka_reader_open(struct th_log *base, const struct log_place *from, size_t n,
                               struct th_log_reader **out_reader, struct th_err *err)
{
    struct reader *reader = calloc(1, sizeof *reader + n * sizeof *reader->parts);

    if (!reader)
        return th_fail(err, TH_NOMEM, "a reader of %zu partitions", n);
    reader->base.log = base;
    reader->came_us = now_us();
    reader->n = n;
    for (size_t i = 0; i < n; i++)
        reader->parts[i] = (struct part){.next = from[i], .seen_to = from[i].offset};
    enum th_code code = look_at_ends(reader, err);
    if (code == TH_OK)
        code = kafka_consumers_borrow(kafka_of(base), &reader->client, err);
    if (code != TH_OK) {
        free(reader);
        return code;
    }
    *out_reader = &reader->base;
    return TH_OK;
}

void kafka_reader_close(struct th_log_reader *base)
{
    struct reader *reader = (struct reader *)base;

    for (size_t i = 0; i < reader->n; i++) {
        drop(reader, &reader->parts[i]);
        free(reader->parts[i].at);
    }
    leave_client(reader);
    free(reader);
}

static struct part *part_of(struct reader *reader, enum topic topic, int part)
{
    for (size_t i = 0; i < reader->n; i++)
        if (reader->parts[i].next.topic == topic && reader->parts[i].next.part == part)
            return &reader->parts[i];
    return NULL;
}

void kafka_reader_seek(struct th_log_reader *base, struct log_place place)
{
    struct reader *reader = (struct reader *)base;
    struct part *part = part_of(reader, place.topic, place.part);

    assert(part);
    drop(reader, part);
    part->next.offset = part->seen_to = place.offset;
    part->is_beyond = place.offset > part->wanted;
    reader->is_assigned = false;
}

/* --- fetching ----------------------------------------------------------------------------------
 */

/* With explicit offsets, never by seeking. What waits here already is not fetched again. */
static enum th_code assign(struct reader *reader, struct th_err *err)
{
    if (reader->client->purpose == KAFKA_FOLLOWS && reader->client->was_assigned) {
        struct kafka_client *client;
        TH_TRY(kafka_consumers_borrow(log_of(reader), &client, err));
        exchange(reader, client);
    }
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reader->n);

    for (size_t i = 0; i < reader->n; i++) {
        const struct part *part = &reader->parts[i];
        if (!part->is_beyond)
            add_part(reader, part, list)->offset = part->seen_to;
    }
    rd_kafka_resp_err_t code = kafka_client_assign(reader->client, list);
    if (code)
        return kafka_fail(err, code, "a reader's partitions");
    reader->is_assigned = true;
    reader->has_heard = false;
    return TH_OK;
}

static bool is_named(const struct reader *reader, const struct part *part, const char *topic,
                     int number)
{
    return part->next.part == number &&
           strcmp(log_of(reader)->topics[part->next.topic], topic) == 0;
}

static struct part *part_named(struct reader *reader, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";

    if (reader->last && is_named(reader, reader->last, topic, message->partition))
        return reader->last;
    for (size_t i = 0; i < reader->n; i++)
        if (is_named(reader, &reader->parts[i], topic, message->partition))
            return reader->last = &reader->parts[i];
    return NULL;
}

/* Retention ate what was not read, or the cluster has lost records: nobody may go on. Whoever was
 * told and stands further on now may still hear of where he stood. */
static enum th_code out_of_range(struct reader *reader, const struct part *part, struct th_err *err)
{
    int64_t start;

    TH_TRY(kafka_start(reader->base.log, part->next.topic, part->next.part, &start, err));
    if (part->seen_to >= start) {
        reader->is_assigned = false;
        return TH_OK;
    }
    return th_fail(err, TH_NOT_FOUND,
                   "%s/%d offset %" PRId64 " was dropped from the log: its archive has it",
                   topic_name(part->next.topic), part->next.part, part->seen_to);
}

static bool is_broken(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__BAD_MSG || code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/* Takes the message. */
static enum th_code take(struct reader *reader, rd_kafka_message_t *message, struct th_err *err)
{
    struct part *part = part_named(reader, message);
    rd_kafka_resp_err_t failed = message->err;
    int64_t offset = message->offset;

    if (!failed || failed == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        reader->has_heard = true;
        atomic_store(&reader->client->is_down, false);
    }
    if (!failed && part && offset >= part->seen_to) {
        enum th_code code = keep(reader, part, message, err);
        if (code == TH_OK)
            return TH_OK;
        rd_kafka_message_destroy(message);
        reader->is_assigned = false; /* it is fetched again */
        return th_wrap(err, "%s/%d offset %" PRId64, topic_name(part->next.topic), part->next.part,
                       offset);
    }
    rd_kafka_message_destroy(message);
    if (failed == RD_KAFKA_RESP_ERR__PARTITION_EOF && part && offset > part->seen_to)
        part->seen_to = offset;
    if (part && (failed == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                 failed == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE))
        return out_of_range(reader, part, err);
    return is_broken(failed) ? kafka_fail(err, failed, "a reader") : TH_OK;
}

/* Something is known to be there and has not come yet. */
static bool is_starving(const struct part *part)
{
    return part->first == part->n && !part->is_beyond && part->seen_to < part->wanted;
}

static bool is_any_starving(const struct reader *reader)
{
    for (size_t i = 0; i < reader->n; i++)
        if (is_starving(&reader->parts[i]))
            return true;
    return false;
}

/* Not even a transaction can hide it: it only takes its time. */
static bool is_any_owed(const struct reader *reader)
{
    for (size_t i = 0; i < reader->n; i++)
        if (is_starving(&reader->parts[i]) && reader->parts[i].seen_to < reader->parts[i].visible)
            return true;
    return false;
}

/* What this process has committed since the last read. */
static void want_committed(struct reader *reader)
{
    const struct kafka_log *log = log_of(reader);

    for (size_t i = 0; i < reader->n; i++) {
        struct part *part = &reader->parts[i];
        int64_t committed = atomic_load(kafka_committed(log, part->next.topic, part->next.part));
        if (committed > part->wanted && committed > part->forgone)
            part->wanted = committed;
        if (part->is_beyond && part->wanted >= part->next.offset) {
            part->is_beyond = false;
            reader->is_assigned = false;
        }
    }
}

static bool is_any_beyond(const struct reader *reader)
{
    for (size_t i = 0; i < reader->n; i++)
        if (reader->parts[i].is_beyond)
            return true;
    return false;
}

/* It is hidden behind somebody's open transaction; it comes when that ends. */
static void give_up(struct reader *reader)
{
    for (size_t i = 0; i < reader->n; i++) {
        struct part *part = &reader->parts[i];
        if (is_starving(part)) {
            part->forgone = part->wanted;
            part->wanted = part->seen_to;
        }
    }
    atomic_fetch_add(&log_of(reader)->unseen, 1);
}

static int patience_ms(const struct reader *reader)
{
    if (!reader->has_heard)
        return FIRST_WAIT_MS;
    return is_any_owed(reader) ? OWED_WAIT_MS : log_of(reader)->config.visible_wait_ms;
}

/* Nothing has come for as long as is waited. Who reads to the end must not take this for the end
 * when there is more. */
static enum th_code lose_patience(struct reader *reader, struct th_err *err)
{
    if (atomic_load(&reader->client->is_down))
        return th_fail(err, TH_UNAVAILABLE, "no Kafka broker can be reached");
    if (is_any_owed(reader) && reader->buffered == 0)
        return th_fail(err, TH_UNAVAILABLE, "Kafka does not answer");
    give_up(reader);
    return TH_OK;
}

static bool is_full(const struct reader *reader)
{
    return reader->buffered >= 2 * BUFFER_BYTES ||
           (reader->buffered >= BUFFER_BYTES && !is_any_starving(reader));
}

static void wake(struct reader *reader)
{
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reader->n);

    for (size_t i = 0; i < reader->n; i++)
        if (is_starving(&reader->parts[i]))
            add_part(reader, &reader->parts[i], list);
    kafka_client_wake(reader->client, list);
}

/* Only who starves waits; who does not has taken what there was. */
static rd_kafka_message_t *next_message(struct reader *reader, bool *out_is_short)
{
    rd_kafka_message_t *message = kafka_client_poll(reader->client, 0);

    if (message)
        return message;
    *out_is_short = is_any_starving(reader);
    if (!*out_is_short)
        return NULL;
    if (kafka_client_may_rest(reader->client))
        wake(reader);
    return kafka_client_poll(reader->client, POLL_MS);
}

static enum th_code fetch(struct reader *reader, struct th_err *err)
{
    int64_t begun_us = now_us();
    bool is_short;

    while (!is_full(reader)) {
        rd_kafka_message_t *message = next_message(reader, &is_short);
        if (message)
            TH_TRY(take(reader, message, err));
        else if (!is_short)
            return TH_OK;
        else if (now_us() - begun_us >= patience_ms(reader) * TH_US_PER_MS)
            return lose_patience(reader, err);
    }
    return TH_OK;
}

/* --- handing out -------------------------------------------------------------------------------
 */

/* How many messages of each partition fit, each partition its share of what those before it left
 * over; at least one in all. */
static size_t choose(const struct reader *reader, size_t bytes_max, size_t *chosen)
{
    size_t bytes = 0;
    size_t n = 0;

    for (size_t k = 0; k < reader->n; k++) {
        size_t index = (reader->turn + k) % reader->n;
        const struct part *part = &reader->parts[index];
        size_t share_end = bytes + (bytes_max - bytes) / (reader->n - k);
        chosen[index] = 0;
        for (size_t i = part->first; i < part->n && bytes < bytes_max; i++) {
            size_t size = size_of(&part->at[i]);
            if (n > 0 && (bytes >= share_end || size > bytes_max - bytes))
                break;
            bytes += size < bytes_max - bytes ? size : bytes_max - bytes;
            chosen[index]++;
            n++;
        }
    }
    return n;
}

/* What lies beside a message: when it was appended elsewhere, and the record's headers. */
static enum th_code copy_headers(const struct kept *kept, struct th_arena *arena,
                                 struct log_record *out)
{
    int64_t at_us = kafka_headers_at_us(kept->headers);

    if (at_us)
        out->at_us = at_us;
    if (kept->headers_size == 0)
        return TH_OK;
    char *bytes = th_arena_alloc(arena, kept->headers_size);
    if (!bytes)
        return TH_NOMEM;
    kafka_headers_put(kept->headers, bytes);
    out->headers = (struct th_str){bytes, kept->headers_size};
    return TH_OK;
}

static enum th_code copy(const struct part *part, const struct kept *kept, struct th_arena *arena,
                         struct log_record *out)
{
    const rd_kafka_message_t *message = kept->message;

    out->place = (struct log_place){part->next.topic, part->next.part, message->offset};
    out->at_us = rd_kafka_message_timestamp(message, NULL) * TH_US_PER_MS;
    if (kept->headers)
        TH_TRY(copy_headers(kept, arena, out));
    TH_TRY(th_arena_copy(arena, (struct th_str){message->key, message->key_len}, &out->key));
    return th_arena_copy(arena, (struct th_str){message->payload, message->len}, &out->value);
}

static enum th_code copy_chosen(const struct reader *reader, const size_t *chosen, size_t n,
                                struct th_arena *arena, struct log_records *out)
{
    struct log_record *records = th_arena_array(arena, n, sizeof *records);
    size_t k = 0;

    if (!records)
        return TH_NOMEM;
    for (size_t i = 0; i < reader->n; i++) {
        size_t index = (reader->turn + i) % reader->n;
        const struct part *part = &reader->parts[index];
        for (size_t m = 0; m < chosen[index]; m++)
            TH_TRY(copy(part, &part->at[part->first + m], arena, &records[k++]));
    }
    *out = (struct log_records){records, n};
    return TH_OK;
}

static void move_on(struct reader *reader, const size_t *chosen)
{
    for (size_t i = 0; i < reader->n; i++) {
        struct part *part = &reader->parts[i];
        for (size_t m = 0; m < chosen[i]; m++) {
            const struct kept *kept = &part->at[part->first++];
            part->next.offset = kept->message->offset + 1;
            reader->buffered -= size_of(kept);
            rd_kafka_message_destroy(kept->message);
        }
        if (part->first == part->n)
            part->first = part->n = 0;
    }
    reader->turn = (reader->turn + 1) % reader->n;
}

static enum th_code hand_out(struct reader *reader, size_t bytes_max, struct th_arena *arena,
                             struct log_records *out, struct th_err *err)
{
    TH_AUTO(free) void *memory = calloc(reader->n, sizeof(size_t));
    size_t *chosen = memory;

    if (!chosen)
        return th_fail(err, TH_NOMEM, "reading");
    size_t n = choose(reader, bytes_max, chosen);
    if (n == 0)
        return TH_OK;
    if (copy_chosen(reader, chosen, n, arena, out) != TH_OK)
        return th_fail(err, TH_NOMEM, "%zu records", n);
    move_on(reader, chosen);
    return TH_OK;
}

/* What others append would not be fetched. */
static bool is_in_the_dark(const struct reader *reader)
{
    return is_any_beyond(reader) || kafka_client_may_rest(reader->client);
}

static bool is_idle(const struct reader *reader)
{
    return !atomic_load(&reader->follows) && reader->is_assigned && reader->buffered == 0 &&
           !is_any_beyond(reader) && !is_any_starving(reader) &&
           now_us() - reader->came_us > log_of(reader)->config.idle_ms * TH_US_PER_MS;
}

enum th_code kafka_reader_read(struct th_log_reader *base, size_t bytes_max, struct th_arena *arena,
                               struct log_records *out, struct th_err *err)
{
    struct reader *reader = (struct reader *)base;

    want_committed(reader);
    if (is_in_the_dark(reader) && now_us() - reader->looked_us > LOOK_US)
        TH_TRY(look_at_ends(reader, err));
    if (is_idle(reader))
        follow(reader);
    if (!reader->is_assigned)
        TH_TRY(assign(reader, err));
    TH_TRY(fetch(reader, err));
    TH_TRY(hand_out(reader, bytes_max, arena, out, err));
    if (out->n == 0)
        return TH_OK;
    reader->came_us = now_us();
    unfollow(reader);
    return TH_OK;
}
