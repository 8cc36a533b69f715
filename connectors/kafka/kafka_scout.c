#include "connectors/kafka/kafka_scout.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define LOOK_BACK_FIRST 8 /* offsets before the stable end, for a record; then 8 times as many */
#define UNSTABLE_MS     20
#define ASKED_MS        (3600 * 1000) /* the most that the library allows */
#define AGAIN_MS        20
#define ENDS_KEPT       64
#define TOPICS_TRY_MS   500
#define DENIED_MS       1000 /* one broker of several may know us */

/* A partition that ended there when its stable offset was that: asked again and again when idle. */
struct known_end {
    char topic[250];
    int part;
    int64_t stable;
    int64_t end;
};

struct kafka_scout {
    struct kafka_client *client;
    int timeout_ms;
    pthread_mutex_t lock; /* guards the client's assignment, and known */
    struct known_end known[ENDS_KEPT];
    size_t known_next;
};

static int64_t now_ms(void)
{
    return th_clock_monotonic_us(&th_clock_real) / TH_US_PER_MS;
}

enum th_code kafka_scout_new(const struct kafka_log_config *config, struct kafka_scout **out_scout,
                             struct th_err *err)
{
    struct kafka_scout *scout = calloc(1, sizeof *scout);
    char group[128];

    if (!scout)
        return th_fail(err, TH_NOMEM, "a scout");
    snprintf(group, sizeof group, "%sscout", config->prefix);
    scout->timeout_ms = config->call_timeout_ms;
    enum th_code code = kafka_client_open(config, KAFKA_SCOUTS, group, group, &scout->client, err);
    if (code != TH_OK) {
        free(scout);
        return code;
    }
    pthread_mutex_init(&scout->lock, NULL);
    *out_scout = scout;
    return TH_OK;
}

void kafka_scout_free(struct kafka_scout *scout)
{
    if (!scout)
        return;
    kafka_client_close(scout->client);
    pthread_mutex_destroy(&scout->lock);
    free(scout);
}

rd_kafka_t *kafka_scout_rk(struct kafka_scout *scout)
{
    return scout->client->rk;
}

/* --- topics ----------------------------------------------------------------------------------- */

/* Librdkafka tries a wrong password for ever, and only its error callback says so, which is served
 * by polling; nothing is assigned meanwhile, so no record is lost by that. */
static bool is_denied(struct kafka_scout *scout)
{
    pthread_mutex_lock(&scout->lock);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(scout->client->rk, 0);
    if (message)
        rd_kafka_message_destroy(message);
    pthread_mutex_unlock(&scout->lock);
    return atomic_load(&scout->client->is_denied);
}

enum th_code kafka_scout_topics(struct kafka_scout *scout,
                                const struct rd_kafka_metadata **out_metadata, struct th_err *err)
{
    int64_t begun_ms = now_ms();
    rd_kafka_resp_err_t code;

    do {
        code = rd_kafka_metadata(scout->client->rk, 1, NULL, out_metadata, TOPICS_TRY_MS);
        if (!code)
            return TH_OK;
    } while (now_ms() - begun_ms < (is_denied(scout) ? DENIED_MS : scout->timeout_ms));
    return kafka_client_fail(scout->client, err, code, "kafka");
}

/* --- ends ------------------------------------------------------------------------------------- */

/* Timestamp -1 asks for the end, -2 for the beginning; a consumer of committed records is told the
 * last stable offset. */
static rd_kafka_resp_err_t ask_bound(struct kafka_scout *scout, int64_t which,
                                     rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = which;
    rd_kafka_resp_err_t code =
        rd_kafka_offsets_for_times(scout->client->rk, list, scout->timeout_ms);
    for (int i = 0; i < list->cnt && !code; i++) {
        code = list->elems[i].err;
        if (!code && list->elems[i].offset < 0)
            code = RD_KAFKA_RESP_ERR__TRANSPORT;
    }
    return code;
}

/* A partition that was just made, or has just lost its leader, has one again in a moment. */
static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__TRANSPORT;
}

static enum th_code bounds(struct kafka_scout *scout, int64_t which,
                           rd_kafka_topic_partition_list_t *list, struct th_err *err)
{
    int64_t deadline_ms = now_ms() + scout->timeout_ms;

    for (;;) {
        rd_kafka_resp_err_t code = ask_bound(scout, which, list);
        if (!code)
            return TH_OK;
        if (!is_passing(code) || now_ms() > deadline_ms)
            return kafka_fail(err, code, "asking where partitions begin and end");
        poll(NULL, 0, AGAIN_MS);
    }
}

enum th_code kafka_scout_stable(struct kafka_scout *scout, rd_kafka_topic_partition_list_t *list,
                                struct th_err *err)
{
    return bounds(scout, RD_KAFKA_OFFSET_END, list, err);
}

static enum th_code bound_of(struct kafka_scout *scout, const char *topic, int part, int64_t which,
                             int64_t *out_bound, struct th_err *err)
{
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, part);
    TH_TRY(bounds(scout, which, list, err));
    *out_bound = list->elems[0].offset;
    return TH_OK;
}

static enum th_code high_of(const struct kafka_log_config *config, const char *topic, int part,
                            int64_t *out_high, struct th_err *err)
{
    TH_AUTO(kafka_client) struct kafka_client *client = NULL;
    rd_kafka_resp_err_t code;
    int64_t low, high;
    int64_t deadline_ms = now_ms() + config->call_timeout_ms;

    TH_TRY(kafka_client_open(config, KAFKA_PEEKS, "peek", "peek", &client, err));
    while ((code = rd_kafka_query_watermark_offsets(client->rk, topic, part, &low, &high,
                                                    config->call_timeout_ms)) &&
           is_passing(code) && now_ms() < deadline_ms)
        poll(NULL, 0, AGAIN_MS);
    if (code)
        return kafka_client_fail(client, err, code, topic);
    *out_high = high;
    return TH_OK;
}

enum th_code kafka_scout_settled(struct kafka_scout *scout, const struct kafka_log_config *config,
                                 const char *topic, int part, int timeout_ms, int64_t *out_high,
                                 struct th_err *err)
{
    int64_t deadline_ms = now_ms() + timeout_ms;
    int64_t high = 0, stable = 0;

    TH_TRY(high_of(config, topic, part, &high, err));
    for (;;) {
        TH_TRY(bound_of(scout, topic, part, RD_KAFKA_OFFSET_END, &stable, err));
        if (stable >= high)
            break;
        if (now_ms() > deadline_ms)
            return th_fail(err, TH_UNAVAILABLE, "%s/%d: a transaction stays open", topic, part);
        poll(NULL, 0, UNSTABLE_MS);
    }
    *out_high = high;
    return TH_OK;
}

enum th_code kafka_scout_start(struct kafka_scout *scout, const char *topic, int part,
                               int64_t *out_start, struct th_err *err)
{
    return bound_of(scout, topic, part, RD_KAFKA_OFFSET_BEGINNING, out_start, err);
}

/* --- walking ---------------------------------------------------------------------------------- */

static enum th_code stand(struct kafka_scout *scout, const char *topic, int part, int64_t offset,
                          struct th_err *err)
{
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, part)->offset = offset;
    rd_kafka_resp_err_t code = kafka_client_assign(scout->client, list);
    return code ? kafka_fail(err, code, "standing at an offset") : TH_OK;
}

static bool is_of(const rd_kafka_message_t *message, const char *topic, int part)
{
    return message->rkt && message->partition == part &&
           strcmp(rd_kafka_topic_name(message->rkt), topic) == 0;
}

/* One message of the partition. TH_OK and *out_is_end when the walk is over. */
static enum th_code walk_on(const rd_kafka_message_t *message, int64_t end, kafka_visit *visit,
                            void *arg, bool *out_is_end, struct th_err *err)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        *out_is_end = message->offset >= end;
        return TH_OK;
    }
    if (message->err)
        return kafka_fail(err, message->err, "walking a partition");
    *out_is_end = message->offset + 1 >= end;
    return message->offset < end ? visit(arg, message, err) : TH_OK;
}

/* It is there: the walk ends before the partition does. */
static rd_kafka_message_t *next_message(struct kafka_scout *scout, const char *topic, int part)
{
    rd_kafka_message_t *message = kafka_client_poll(scout->client, 0);

    if (message)
        return message;
    if (kafka_client_may_rest(scout->client)) {
        TH_AUTO(kafka_list)
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, topic, part);
        kafka_client_wake(scout->client, list);
    }
    return kafka_client_poll(scout->client, 100);
}

static enum th_code walk_locked(struct kafka_scout *scout, const char *topic, int part, int64_t end,
                                kafka_visit *visit, void *arg, struct th_err *err)
{
    int64_t deadline_ms = now_ms() + scout->timeout_ms;
    bool is_end = false;

    while (!is_end) {
        rd_kafka_message_t *message = next_message(scout, topic, part);
        if (!message) {
            if (now_ms() > deadline_ms)
                return th_fail(err, TH_UNAVAILABLE, "%s/%d: no answer up to %" PRId64, topic, part,
                               end);
            continue;
        }
        enum th_code code = TH_OK;
        if (is_of(message, topic, part)) {
            code = walk_on(message, end, visit, arg, &is_end, err);
            deadline_ms = now_ms() + scout->timeout_ms;
        }
        rd_kafka_message_destroy(message);
        TH_TRY(code);
    }
    return TH_OK;
}

static enum th_code walk(struct kafka_scout *scout, const char *topic, int part, int64_t from,
                         int64_t end, kafka_visit *visit, void *arg, struct th_err *err)
{
    if (from >= end)
        return TH_OK;
    TH_TRY(stand(scout, topic, part, from, err));
    enum th_code code = walk_locked(scout, topic, part, end, visit, arg, err);
    kafka_client_assign(scout->client, NULL);
    return code;
}

enum th_code kafka_scout_walk(struct kafka_scout *scout, const char *topic, int part, int64_t from,
                              int64_t end, kafka_visit *visit, void *arg, struct th_err *err)
{
    pthread_mutex_lock(&scout->lock);
    enum th_code code = walk(scout, topic, part, from, end, visit, arg, err);
    pthread_mutex_unlock(&scout->lock);
    return code;
}

/* --- the last record -------------------------------------------------------------------------- */

static enum th_code note_end(void *arg, const rd_kafka_message_t *message, struct th_err *err)
{
    (void)err;
    *(int64_t *)arg = message->offset + 1;
    return TH_OK;
}

static struct known_end *known_of(struct kafka_scout *scout, const char *topic, int part)
{
    for (size_t i = 0; i < ENDS_KEPT; i++)
        if (scout->known[i].part == part && strcmp(scout->known[i].topic, topic) == 0)
            return &scout->known[i];
    return NULL;
}

/* Walk to the end from there, or, where that was given up meanwhile, from the start of what is
 * left; *from says which. */
static enum th_code walk_to_end(struct kafka_scout *scout, const char *topic, int part,
                                int64_t *from, int64_t stable, int64_t *end, struct th_err *err)
{
    int64_t start;

    enum th_code code = walk(scout, topic, part, *from, stable, note_end, end, err);
    if (code == TH_OK || kafka_scout_start(scout, topic, part, &start, NULL) != TH_OK ||
        *from >= start)
        return code;
    *from = start;
    return walk(scout, topic, part, start, stable, note_end, end, err);
}

/* Never before what is known, nor before what is still there. */
static enum th_code look_back(struct kafka_scout *scout, const char *topic, int part,
                              int64_t stable, int64_t known, int64_t *out_end, struct th_err *err)
{
    for (int64_t back = LOOK_BACK_FIRST;; back *= 8) {
        int64_t from = stable - back > known ? stable - back : known;
        int64_t end = -1;
        int64_t asked = from;
        TH_TRY(walk_to_end(scout, topic, part, &from, stable, &end, err));
        known = from > asked ? from : known;
        if (end >= 0 || from <= known) {
            *out_end = end >= 0 ? end : known;
            return TH_OK;
        }
    }
}

static enum th_code end_locked(struct kafka_scout *scout, const char *topic, int part,
                               int64_t stable, int64_t *out_end, struct th_err *err)
{
    struct known_end *known = known_of(scout, topic, part);

    if (known && known->stable == stable) {
        *out_end = known->end;
        return TH_OK;
    }
    TH_TRY(look_back(scout, topic, part, stable, known ? known->end : 0, out_end, err));
    if (!known) {
        known = &scout->known[scout->known_next++ % ENDS_KEPT];
        snprintf(known->topic, sizeof known->topic, "%s", topic);
        known->part = part;
    }
    known->stable = stable;
    known->end = *out_end;
    return TH_OK;
}

enum th_code kafka_scout_end(struct kafka_scout *scout, const char *topic, int part,
                             int64_t *out_end, struct th_err *err)
{
    int64_t stable;
    int64_t end;

    TH_TRY(bound_of(scout, topic, part, RD_KAFKA_OFFSET_END, &stable, err));
    if (stable == 0) {
        *out_end = 0;
        return TH_OK;
    }
    pthread_mutex_lock(&scout->lock);
    enum th_code code = end_locked(scout, topic, part, stable, &end, err);
    pthread_mutex_unlock(&scout->lock);
    if (code == TH_OK)
        *out_end = end;
    return code;
}

/* --- groups ----------------------------------------------------------------------------------- */

static enum th_code read_group(rd_kafka_event_t *event, int64_t *out_offset, char *out_metadata,
                               size_t metadata_size, bool *out_is_stable, struct th_err *err)
{
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    size_t n = 0;
    const rd_kafka_group_result_t **groups =
        result ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &n) : NULL;

    if (rd_kafka_event_error(event))
        return kafka_fail(err, rd_kafka_event_error(event), "asking for a group's offsets");
    if (n != 1)
        return th_fail(err, TH_UNAVAILABLE, "no answer about a group's offsets");
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (error)
        return kafka_fail(err, rd_kafka_error_code(error), "a group's offsets");
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
    if (!list || list->cnt != 1)
        return th_fail(err, TH_UNAVAILABLE, "no offset in the answer about a group");
    const rd_kafka_topic_partition_t *at = &list->elems[0];
    *out_is_stable = at->err != RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT;
    if (at->err && *out_is_stable)
        return kafka_fail(err, at->err, "a group's offset");
    if (at->metadata_size >= metadata_size)
        return th_fail(err, TH_CORRUPT, "offset metadata of %zu bytes", at->metadata_size);
    *out_offset = at->offset >= 0 ? at->offset : -1;
    if (at->metadata_size)
        memcpy(out_metadata, at->metadata, at->metadata_size);
    out_metadata[at->metadata_size] = '\0';
    return TH_OK;
}

/* The library's own timeout is not ours: in 2.0.2 a coordinator that comes back after a question
 * was given up ends the program ("eonce->refcnt > 0"). An answer that comes after we have stopped
 * waiting finds no queue, and is dropped. */
static rd_kafka_event_t *ask_group(struct kafka_scout *scout, const char *group,
                                   const rd_kafka_topic_partition_list_t *list, bool is_stable)
{
    rd_kafka_t *rk = scout->client->rk;
    TH_AUTO(kafka_queue) rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    char why[256];

    rd_kafka_AdminOptions_set_request_timeout(options, ASKED_MS, why, sizeof why);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_require_stable_offsets(options, is_stable);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, scout->timeout_ms + 1000);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    return event;
}

enum th_code kafka_scout_group(struct kafka_scout *scout, const char *group, const char *topic,
                               int part, bool is_stable, int64_t *out_offset, char *out_metadata,
                               size_t metadata_size, struct th_err *err)
{
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    int64_t deadline_ms = now_ms() + scout->timeout_ms;
    bool has_settled = false;

    rd_kafka_topic_partition_list_add(list, topic, part);
    while (!has_settled) {
        TH_AUTO(kafka_event) rd_kafka_event_t *event = ask_group(scout, group, list, is_stable);
        if (!event)
            return th_fail(err, TH_UNAVAILABLE, "no answer about group %s", group);
        TH_TRY(read_group(event, out_offset, out_metadata, metadata_size, &has_settled, err));
        if (!has_settled) {
            if (now_ms() > deadline_ms)
                return th_fail(err, TH_UNAVAILABLE, "a transaction of group %s stays open", group);
            poll(NULL, 0, UNSTABLE_MS);
        }
    }
    return TH_OK;
}
