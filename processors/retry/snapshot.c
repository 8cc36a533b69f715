#include "common/eventlog/saved.h"
#include "processors/retry/state.h"

#include <string.h>

enum { KIND_GROUP = 1, KIND_SEND = 2 };

struct saving {
    const struct retry *retry;
    int part;
    struct th_buf *out;
};

static enum th_code save_send(void *arg, const void *entry)
{
    const struct saving *saving = arg;
    const struct send *s = entry;
    const struct group *group = retry_group(saving->retry, s); /* its names never change */
    struct saved_send alone = {.group = group->id, .audience = group->audience, .send = *s};
    char text[TH_ID_TEXT_LEN + 1];
    TH_AUTO(th_buf) struct th_buf key = {0};

    th_id_text(s->id, text);
    th_buf_printf(&key, "%.*s/%s", TH_ARG(blob_str(group->tenant)), text);
    TH_TRY(th_buf_status(&key));
    if (topic_partition_of_key(th_buf_str(&key), saving->retry->env.partitions) != saving->part)
        return TH_OK;
    /* Its places are found when it is loaded. */
    alone.send.group = alone.send.next = alone.send.prev = 0;
    if (s->is_api)
        memset(&alone.send.from, 0, sizeof alone.send.from);
    saved_add_kind(saving->out, KIND_SEND);
    saved_add_struct(saving->out, &alone, sizeof alone);
    saved_add(saving->out, blob_str(group->tenant));
    saved_add(saving->out, s->is_api ? blob_str(s->from.content) : TH_STR(""));
    return th_buf_status(saving->out);
}

static enum th_code save_group(void *arg, const void *entry)
{
    const struct saving *saving = arg;
    const struct group *group = entry;
    struct group alone = {.id = group->id,
                          .is_campaign = group->is_campaign,
                          .state = group->state,
                          .version = group->version};

    if (retry_is_forgotten(group))
        return TH_OK;
    saved_add_kind(saving->out, KIND_GROUP);
    saved_add_struct(saving->out, &alone, sizeof alone);
    saved_add(saving->out, blob_str(group->tenant));
    return th_buf_status(saving->out);
}

/* What was applied of a control lies in the slot's first partition, as its events do. The rest of a
 * group follows from its sends, which may lie in other pieces, written at other times. */
enum th_code retry_save(const void *core, int part, int piece, struct th_buf *out)
{
    const struct retry *retry = core;
    struct saving saving = {retry, part, out};

    if (part == retry->env.slot)
        TH_TRY(table_each_durable(retry->groups, piece, save_group, &saving));
    TH_TRY(table_each_durable(retry->sends, piece, save_send, &saving));
    return th_buf_status(out);
}

int retry_piece(const struct event *event)
{
    switch ((int)event->type) { /* the rest changes nothing */
    case EVENT_SEND_ADMITTED:
        return table_piece(event->as.send_admitted.send);
    case EVENT_SEND_PLANNED:
        return table_piece(event->as.send_planned.send);
    case EVENT_RETRY_SCHEDULED:
        return table_piece(event->as.retry_scheduled.send);
    case EVENT_SEND_NOTED:
        return table_piece(event->as.send_noted.send);
    case EVENT_SEND_SUPPRESSED:
        return table_piece(event->as.send_suppressed.send);
    case EVENT_SEND_REACHED:
        return table_piece(event->as.send_reached.send);
    case EVENT_SEND_ENDED:
        return table_piece(event->as.send_ended.send);
    case EVENT_CONTROL_APPLIED:
        return table_piece(event->as.control_applied.campaign);
    default:
        return -1;
    }
}

static enum th_code load_group(struct retry *retry, struct th_str *bytes)
{
    struct group group;
    struct th_str tenant;

    if (!saved_take_struct(bytes, &group, sizeof group) || !saved_take(bytes, &tenant) ||
        !saved_is_bool(&group.is_campaign) || group.state >= CONTROL_STATE_COUNT)
        return TH_CORRUPT;
    return retry_restore_group(retry, &group, tenant);
}

static enum th_code load_send(struct retry *retry, struct th_str *bytes)
{
    struct saved_send saved;
    struct th_str tenant;
    struct th_str content;

    if (!saved_take_struct(bytes, &saved, sizeof saved) || !saved_take(bytes, &tenant) ||
        !saved_take(bytes, &content) || saved.send.stand >= SEND_STANDS)
        return TH_CORRUPT;
    return retry_restore(retry, &saved, tenant, content);
}

enum th_code retry_load(void *core, int part, int piece, struct th_str bytes)
{
    struct retry *retry = core;
    size_t about = bytes.n / sizeof(struct saved_send); /* rather too many */
    char kind;

    (void)part;
    TH_TRY(table_expect(retry->sends, about * (size_t)(TABLE_PIECES - piece)));
    while (saved_take_kind(&bytes, &kind)) {
        if (kind != KIND_GROUP && kind != KIND_SEND)
            return TH_CORRUPT;
        TH_TRY(kind == KIND_GROUP ? load_group(core, &bytes) : load_send(core, &bytes));
    }
    return TH_OK;
}
