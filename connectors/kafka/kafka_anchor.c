#include "connectors/kafka/kafka_anchor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define METADATA_MAX 64

static const char *const app_names[] = {
    [LOG_APP_CAMPAIGN] = "campaign", [LOG_APP_RETRY] = "retry",
    [LOG_APP_DISPATCH] = "dispatch", [LOG_APP_MATERIALIZE] = "materialize",
    [LOG_APP_COPY] = "copy",
};

void kafka_seat_of(const struct kafka_log *log, enum log_app app, int slot,
                   struct kafka_seat *out_seat)
{
    snprintf(out_seat->group, sizeof out_seat->group, "%s%s.%d", log->config.prefix, app_names[app],
             slot);
    snprintf(out_seat->key, sizeof out_seat->key, "%s.%d", app_names[app], slot);
    /* One each as long as they last: on a shared one an owner that is gone would hide the record of
     * another until its transaction is ended. */
    out_seat->part = (slot * LOG_APP_MATERIALIZE + (int)app) % log->inner_partitions[KAFKA_JOURNAL];
}

enum th_code kafka_anchor_read(struct kafka_log *log, const struct kafka_seat *seat, bool is_stable,
                               struct kafka_anchor *out_anchor, struct th_err *err)
{
    struct kafka_anchor anchor = {.exists = true};
    char metadata[METADATA_MAX];
    int end = 0;

    TH_TRY(kafka_scout_group(log->scout, seat->group, log->inner[KAFKA_JOURNAL], seat->part,
                             is_stable, &anchor.next, metadata, sizeof metadata, err));
    if (anchor.next < 0) {
        *out_anchor = (struct kafka_anchor){0};
        return TH_OK;
    }
    int found =
        sscanf(metadata, "1;%16" SCNx64 ";%20" SCNu64 "%n", &anchor.nonce, &anchor.seq, &end);
    if (found != 2 || metadata[end] != '\0')
        return th_fail(err, TH_CORRUPT, "group %s: its offset's metadata are not ours",
                       seat->group);
    *out_anchor = anchor;
    return TH_OK;
}

/* --- the journal ------------------------------------------------------------------------------ */

struct journal_visit {
    const struct kafka_seat *seat;
    int64_t offset;
    struct kafka_cursors *out;
    uint64_t seq;
    bool is_found;
};

static enum th_code take_journal(void *arg, const rd_kafka_message_t *message, struct th_err *err)
{
    struct journal_visit *visit = arg;
    struct th_str key = {message->key, message->key_len};

    if (message->offset != visit->offset || !th_str_eq(key, th_str(visit->seat->key)))
        return TH_OK;
    TH_TRY(kafka_cursors_decode((struct th_str){message->payload, message->len}, &visit->seq,
                                visit->out, err));
    visit->is_found = true;
    return TH_OK;
}

enum th_code kafka_anchor_cursors(struct kafka_log *log, const struct kafka_seat *seat,
                                  const struct kafka_anchor *anchor, struct kafka_cursors *out,
                                  struct th_err *err)
{
    struct journal_visit visit = {.seat = seat, .offset = anchor->next - 1, .out = out};

    if (anchor->next == 0) {
        *out = (struct kafka_cursors){0};
        return TH_OK;
    }
    TH_TRY(kafka_scout_walk(log->scout, log->inner[KAFKA_JOURNAL], seat->part, anchor->next - 1,
                            anchor->next, take_journal, &visit, err));
    if (!visit.is_found)
        return th_fail(err, TH_CORRUPT, "group %s: journal %d holds nothing at %" PRId64,
                       seat->group, seat->part, anchor->next - 1);
    if (visit.seq != anchor->seq) {
        kafka_cursors_fini(out);
        return th_fail(err, TH_CORRUPT,
                       "group %s: journal %d holds transaction %" PRIu64 " at %" PRId64
                       ", not %" PRIu64,
                       seat->group, seat->part, visit.seq, anchor->next - 1, anchor->seq);
    }
    return TH_OK;
}

/* --- without the group's offset ----------------------------------------------------------------
 */

struct last_visit {
    const struct kafka_seat *seat;
    struct kafka_anchor anchor;
};

static enum th_code note_last(void *arg, const rd_kafka_message_t *message, struct th_err *err)
{
    struct last_visit *visit = arg;
    struct th_str key = {message->key, message->key_len};
    struct kafka_cursors cursors = {0};
    uint64_t seq;

    if (!th_str_eq(key, th_str(visit->seat->key)))
        return TH_OK;
    TH_TRY(
        kafka_cursors_decode((struct th_str){message->payload, message->len}, &seq, &cursors, err));
    kafka_cursors_fini(&cursors);
    visit->anchor = (struct kafka_anchor){true, 0, seq, message->offset + 1};
    return TH_OK;
}

enum th_code kafka_anchor_recover(struct kafka_log *log, const struct kafka_seat *seat,
                                  int timeout_ms, struct kafka_anchor *out_anchor,
                                  struct th_err *err)
{
    const char *journal = log->inner[KAFKA_JOURNAL];
    struct last_visit visit = {.seat = seat};
    int64_t high;

    TH_TRY(
        kafka_scout_settled(log->scout, &log->config, journal, seat->part, timeout_ms, &high, err));
    TH_TRY(kafka_scout_walk(log->scout, journal, seat->part, 0, high, note_last, &visit, err));
    *out_anchor = visit.anchor;
    return TH_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool add_anchor(rd_kafka_topic_partition_list_t *list, const char *topic, int part,
                       const struct kafka_anchor *anchor)
{
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, topic, part);
    char *metadata = malloc(METADATA_MAX); /* the list frees it */

    if (!metadata)
        return false;
    at->offset = anchor->next;
    at->metadata = metadata;
    at->metadata_size = (size_t)snprintf(metadata, METADATA_MAX, "1;%016" PRIx64 ";%" PRIu64,
                                         anchor->nonce, anchor->seq);
    return true;
}

enum kafka_step kafka_anchor_send(struct kafka_log *log, const struct kafka_seat *seat,
                                  struct kafka_producer *producer,
                                  const struct kafka_anchor *anchor,
                                  const struct kafka_cursors *cursors, struct th_err *err)
{
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)cursors->n + 1);

    if (!add_anchor(list, log->inner[KAFKA_JOURNAL], seat->part, anchor)) {
        th_fail(err, TH_NOMEM, "offset metadata");
        return KAFKA_UNKNOWN; /* the producer is replaced, which rolls back */
    }
    for (size_t i = 0; i < cursors->n; i++) {
        const struct log_place *next = &cursors->at[i].next;
        rd_kafka_topic_partition_list_add(list, log->topics[next->topic], next->part)->offset =
            next->offset;
    }
    return kafka_producer_offsets(producer, seat->group, list, err);
}
