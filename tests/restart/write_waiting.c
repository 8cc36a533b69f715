/* write_waiting - a log that tells of sends which wait for a retry, as retry would have written it.
 *
 *   write_waiting CONNINFO TENANT N DAYS       N sends of one campaign, due in DAYS days and later
 *
 * Each was admitted, planned, and put off; nothing else knows of them. For an installation that
 * does not run: its retry finds them in its own topic when it starts.
 */
#include "common/clock.h"
#include "common/eventlog/topic.h"
#include "connectors/postgres/pg_log.h"
#include "schemas/events.h"

#include <stdio.h>
#include <stdlib.h>

#define SENDS_OF_TXN 2000
#define EVENTS       3 /* of a send */
#define PART_ROWS    1000

struct writer {
    struct th_log *log;
    struct th_str tenant;
    int64_t now_us;
    int64_t due_us;
    struct th_id campaign;
    struct th_id audience;
    struct log_output outputs[SENDS_OF_TXN * EVENTS];
    struct th_buf keys[SENDS_OF_TXN];
    struct th_buf values[SENDS_OF_TXN * EVENTS];
    size_t sends; /* of this transaction */
};

static struct th_id id_of(const struct writer *writer, const char *kind, int64_t number)
{
    struct th_str bytes = {(const char *)&number, sizeof number};

    return th_id_send(writer->now_us / TH_US_PER_MS, TH_PARTS(writer->tenant, th_str(kind), bytes));
}

static struct meta meta_of(const struct writer *writer, const char *kind, int64_t number)
{
    return (struct meta){.event_id = id_of(writer, kind, number),
                         .tenant = writer->tenant,
                         .time_us = writer->now_us,
                         .actor = TH_STR("retry")};
}

static enum th_code say(struct writer *writer, size_t event_at, const struct event *event)
{
    size_t at = writer->sends * EVENTS + event_at;
    struct th_buf *value = &writer->values[at];

    th_buf_clear(value);
    TH_TRY(event_encode(event, value));
    TH_TRY(th_buf_status(value));
    writer->outputs[at] = (struct log_output){.topic = TOPIC_SEND_EVENTS,
                                              .part = -1,
                                              .key = th_buf_str(&writer->keys[writer->sends]),
                                              .value = th_buf_str(value)};
    return TH_OK;
}

static enum th_code say_key(struct writer *writer, struct th_id send)
{
    struct th_buf *key = &writer->keys[writer->sends];
    char text[TH_ID_TEXT_LEN + 1];

    th_id_text(send, text);
    th_buf_clear(key);
    th_buf_printf(key, "%.*s/%s", TH_ARG(writer->tenant), text);
    return th_buf_status(key);
}

static enum th_code say_send(struct writer *writer, int64_t number)
{
    struct th_id send = id_of(writer, "send", number);
    struct event admitted = {
        .type = EVENT_SEND_ADMITTED,
        .as.send_admitted = {.meta = meta_of(writer, "admitted", number),
                             .send = send,
                             .channel = CHANNEL_SMS,
                             .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                        .as.campaign_origin =
                                            {.campaign = writer->campaign,
                                             .run = 1,
                                             .recipient = {.audience = writer->audience,
                                                           .part = (int32_t)(number / PART_ROWS),
                                                           .row = (int32_t)(number % PART_ROWS)}}},
                             .release = number,
                             .send_at_us = writer->now_us},
    };
    struct event planned = {
        .type = EVENT_SEND_PLANNED,
        .as.send_planned = {.meta = meta_of(writer, "planned", number),
                            .send = send,
                            .n = 1,
                            .lane = 1,
                            .sender = TH_STR("+15005550006"),
                            .table_entry = (int32_t)(number % 100)},
    };
    struct event scheduled = {
        .type = EVENT_RETRY_SCHEDULED,
        .as.retry_scheduled = {.meta = meta_of(writer, "scheduled", number),
                               .send = send,
                               .n = 1,
                               .due_at_us = writer->due_us + number,
                               .reason = TH_STR("throttled"),
                               .next_lane = 1},
    };

    TH_TRY(say_key(writer, send));
    TH_TRY(say(writer, 0, &admitted));
    TH_TRY(say(writer, 1, &planned));
    return say(writer, 2, &scheduled);
}

static enum th_code flush(struct writer *writer, struct th_err *err)
{
    size_t n = writer->sends * EVENTS;

    writer->sends = 0;
    return n > 0 ? th_log_append(writer->log, writer->outputs, n, NULL, err) : TH_OK;
}

static enum th_code write_all(struct writer *writer, int64_t n, struct th_err *err)
{
    for (int64_t number = 0; number < n; number++) {
        enum th_code code = say_send(writer, number);
        if (code != TH_OK)
            return th_fail(err, code, "a send cannot be encoded");
        if (++writer->sends == SENDS_OF_TXN)
            TH_TRY(flush(writer, err));
    }
    return flush(writer, err);
}

static void free_writer(struct writer *writer)
{
    for (size_t i = 0; i < TH_LEN(writer->keys); i++)
        th_buf_fini(&writer->keys[i]);
    for (size_t i = 0; i < TH_LEN(writer->values); i++)
        th_buf_fini(&writer->values[i]);
    if (writer->log)
        th_log_close(writer->log);
    free(writer);
}

int main(int argc, char **argv)
{
    int64_t n = argc == 5 ? strtoll(argv[3], NULL, 10) : 0;
    int64_t days = argc == 5 ? strtoll(argv[4], NULL, 10) : 0;
    struct th_err err = {0};

    if (n < 1 || days < 1) {
        fprintf(stderr, "usage: write_waiting CONNINFO TENANT N DAYS\n");
        return 2;
    }
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return 1;
    writer->tenant = th_str(argv[2]);
    writer->now_us = th_clock_realtime_us(&th_clock_real);
    writer->due_us = writer->now_us + days * 86400 * TH_US_PER_SEC;
    writer->campaign = id_of(writer, "campaign", 0);
    writer->audience = id_of(writer, "audience", 0);
    struct pg_log_config config = {.conninfo = argv[1], .is_guest = true};
    enum th_code code = pg_log_open(&config, &writer->log, &err);
    if (code == TH_OK)
        code = write_all(writer, n, &err);
    if (code != TH_OK)
        fprintf(stderr, "write_waiting: %s\n", err.text);
    free_writer(writer);
    return code == TH_OK ? 0 : 1;
}
