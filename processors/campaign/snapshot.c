#include "common/eventlog/saved.h"
#include "processors/campaign/state.h"
enum { KIND_CAMPAIGN = 1, KIND_ASK = 2 };

struct saving {
    const struct campaigns *cs;
    int part;
    struct th_buf *out;
};

static enum th_code part_of(const struct campaigns *cs, const struct campaign *c, int *out)
{
    char text[TH_ID_TEXT_LEN + 1];
    TH_AUTO(th_buf) struct th_buf key = {0};

    th_id_text(c->id, text);
    th_buf_printf(&key, "%.*s/%s", TH_ARG(blob_str(c->tenant)), text);
    TH_TRY(th_buf_status(&key));
    *out = topic_partition_of_key(th_buf_str(&key), cs->env.partitions);
    return TH_OK;
}

static enum th_code save_campaign(void *arg, const void *entry)
{
    const struct saving *saving = arg;
    const struct campaign *c = entry;
    struct campaign alone = *c;
    int part;

    TH_TRY(part_of(saving->cs, c, &part));
    if (part != saving->part)
        return TH_OK;
    saved_add_kind(saving->out, KIND_CAMPAIGN);
    alone.tenant = alone.spec = NULL;
    saved_add_struct(saving->out, &alone, sizeof alone);
    saved_add(saving->out, blob_str(c->tenant));
    saved_add(saving->out, blob_str(c->spec));
    return th_buf_status(saving->out);
}

static enum th_code save_ask(void *arg, const void *entry)
{
    const struct saving *saving = arg;
    const struct ask *ask = entry;
    const struct campaign *c = table_get_durable(saving->cs->campaigns, ask->campaign);
    int part;

    if (!c)
        return TH_OK; /* only in bytes that are no snapshot of ours: a campaign is never forgotten
                       */
    TH_TRY(part_of(saving->cs, c, &part));
    if (part != saving->part)
        return TH_OK;
    saved_add_kind(saving->out, KIND_ASK);
    saved_add_struct(saving->out, ask, sizeof *ask);
    return th_buf_status(saving->out);
}

enum th_code campaign_save(const void *core, int part, int piece, struct th_buf *out)
{
    const struct campaigns *cs = core;
    struct saving saving = {cs, part, out};

    (void)piece; /* there is one */
    for (int i = 0; i < TABLE_PIECES; i++) {
        TH_TRY(table_each_durable(cs->campaigns, i, save_campaign, &saving));
        TH_TRY(table_each_durable(cs->asks, i, save_ask, &saving));
    }
    return th_buf_status(out);
}

static enum th_code load_campaign(struct campaigns *cs, struct th_str *bytes)
{
    struct th_str tenant;
    struct th_str spec;
    struct campaign c;
    void *entry;

    if (!saved_take_struct(bytes, &c, sizeof c) || !saved_take(bytes, &tenant) ||
        !saved_take(bytes, &spec) || c.phase >= CAMPAIGN_PHASES ||
        !saved_is_bool(&c.allow_duplicates) || !saved_is_bool(&c.has_stated) ||
        !saved_is_bool(&c.is_draining) || c.pace_per_min < 0)
        return TH_CORRUPT;
    TH_TRY(table_insert(cs->campaigns, c.id, &entry));
    c.tenant = c.spec = NULL;
    *(struct campaign *)entry = c;
    TH_TRY(table_blob(cs->campaigns, tenant, &((struct campaign *)entry)->tenant));
    return table_blob(cs->campaigns, spec, &((struct campaign *)entry)->spec);
}

static enum th_code load_ask(struct campaigns *cs, struct th_str *bytes)
{
    struct ask ask;
    void *entry;

    if (!saved_take_struct(bytes, &ask, sizeof ask))
        return TH_CORRUPT;
    TH_TRY(table_insert(cs->asks, ask.send, &entry));
    *(struct ask *)entry = ask;
    return TH_OK;
}

enum th_code campaign_load(void *core, int part, int piece, struct th_str bytes)
{
    char kind;

    (void)part;
    (void)piece;
    while (saved_take_kind(&bytes, &kind)) {
        if (kind != KIND_CAMPAIGN && kind != KIND_ASK)
            return TH_CORRUPT;
        TH_TRY(kind == KIND_CAMPAIGN ? load_campaign(core, &bytes) : load_ask(core, &bytes));
    }
    return TH_OK;
}
