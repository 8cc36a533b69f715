#include "common/eventlog/saved.h"
#include "processors/retry/state.h"

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
    const struct group *group = table_get(saving->retry->groups, s->group);
    char text[TH_ID_TEXT_LEN + 1];
    TH_AUTO(th_buf) struct th_buf key = {0};

    if (!group)
        return TH_OK; /* its group came with the batch that is not durable yet: so did the send */
    th_id_text(s->id, text);
    th_buf_printf(&key, "%.*s/%s", TH_ARG(blob_str(group->tenant)), text);
    TH_TRY(th_buf_status(&key));
    if (topic_partition_of_key(th_buf_str(&key), saving->retry->env.partitions) != saving->part)
        return TH_OK;
    saved_add_kind(saving->out, KIND_SEND);
    saved_add_struct(saving->out, s, sizeof *s);
    saved_add(saving->out, blob_str(group->tenant));
    saved_add(saving->out, blob_str(s->content));
    return th_buf_status(saving->out);
}

static enum th_code save_group(void *arg, const void *entry)
{
    const struct saving *saving = arg;
    const struct group *group = entry;

    saved_add_kind(saving->out, KIND_GROUP);
    saved_add_struct(saving->out, group, sizeof *group);
    saved_add(saving->out, blob_str(group->tenant));
    return th_buf_status(saving->out);
}

/* What was applied of a control lies in the slot's first partition, as its events do. */
enum th_code retry_save(const void *core, int part, int piece, struct th_buf *out)
{
    const struct retry *retry = core;
    struct saving saving = {retry, part, out};

    (void)piece; /* there is one */
    for (int i = 0; i < TABLE_PIECES; i++) {
        if (part == retry->env.slot)
            TH_TRY(table_each_durable(retry->groups, i, save_group, &saving));
        TH_TRY(table_each_durable(retry->sends, i, save_send, &saving));
    }
    return th_buf_status(out);
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
    struct send s;
    struct th_str tenant;
    struct th_str content;

    if (!saved_take_struct(bytes, &s, sizeof s) || !saved_take(bytes, &tenant) ||
        !saved_take(bytes, &content) || s.stand >= SEND_STANDS ||
        !saved_is_bool(&s.is_possible_duplicate) || !saved_is_bool(&s.is_taken))
        return TH_CORRUPT;
    return retry_restore(retry, &s, tenant, content);
}

enum th_code retry_load(void *core, int part, int piece, struct th_str bytes)
{
    char kind;

    (void)part;
    (void)piece;
    while (saved_take_kind(&bytes, &kind)) {
        if (kind != KIND_GROUP && kind != KIND_SEND)
            return TH_CORRUPT;
        TH_TRY(kind == KIND_GROUP ? load_group(core, &bytes) : load_send(core, &bytes));
    }
    return TH_OK;
}
