/* Giving up what lies before an offset: DeleteRecords. */
#include <stdio.h>

#include "connectors/kafka/kafka_internal.h"

#define ANSWER_MS 60000

enum th_code kafka_start(struct th_log *base, enum topic topic, int part, int64_t *out_start,
                         struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    char name[KAFKA_NAME_MAX];

    kafka_topic_name(log->config.prefix, topic, name);
    return kafka_scout_start(log->scout, name, part, out_start, err);
}

static enum th_code check(rd_kafka_event_t *event, struct th_err *err)
{
    if (!event)
        return th_fail(err, TH_UNAVAILABLE, "kafka: no answer to DeleteRecords");
    if (rd_kafka_event_error(event))
        return kafka_fail(err, rd_kafka_event_error(event), "DeleteRecords");
    const rd_kafka_topic_partition_list_t *list =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err)
            return kafka_fail(err, list->elems[i].err, list->elems[i].topic);
    return TH_OK;
}

enum th_code kafka_trim(struct th_log *base, const struct log_place *places, size_t n,
                        struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    rd_kafka_t *rk = kafka_scout_rk(log->scout);
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

    for (size_t i = 0; i < n; i++) {
        char name[KAFKA_NAME_MAX];
        int64_t start;
        TH_TRY(kafka_start(base, places[i].topic, places[i].part, &start, err));
        kafka_topic_name(log->config.prefix, places[i].topic, name);
        if (places[i].offset > start) /* less is refused as out of range */
            rd_kafka_topic_partition_list_add(list, name, places[i].part)->offset =
                places[i].offset;
    }
    if (list->cnt == 0)
        return TH_OK;
    TH_AUTO(kafka_queue) rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
    rd_kafka_DeleteRecords_destroy(request);
    TH_AUTO(kafka_event) rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);
    return check(event, err);
}
