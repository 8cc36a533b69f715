/* A snapshot is a cache of this program's own making: entries as they lie in memory, each followed
 * by the bytes it points to. fold_version and the sizes tell when it no longer fits. */
#include "processors/campaign/state.h"

#include <string.h>

enum { ENTRY_CAMPAIGN = 1, ENTRY_ASK = 2 };

struct saving {
    const struct campaigns *cs;
    int part;
    struct th_buf *out;
};

static int part_of(const struct campaigns *cs, const struct campaign *c)
{
    char text[TH_ID_TEXT_LEN + 1];
    TH_AUTO(th_buf) struct th_buf key = {0};

    th_id_text(c->id, text);
    th_buf_printf(&key, "%.*s/%s", TH_ARG(blob_str(c->tenant)), text);
    if (th_buf_status(&key) != TH_OK)
        return -1;
    return topic_partition_of_key(th_buf_str(&key), cs->env.partitions);
}

static void add_bytes(struct th_buf *out, const void *bytes, size_t n)
{
    uint32_t size = (uint32_t)n;

    th_buf_add(out, (struct th_str){(const char *)&size, sizeof size});
    th_buf_add(out, (struct th_str){bytes, n});
}

static enum th_code save_campaign(void *arg, const void *entry)
{
    const struct saving *saving = arg;
    const struct campaign *c = entry;
    int part = part_of(saving->cs, c);

    if (part < 0)
        return TH_NOMEM;
    if (part != saving->part)
        return TH_OK;
    th_buf_add_char(saving->out, ENTRY_CAMPAIGN);
    add_bytes(saving->out, c, sizeof *c);
    add_bytes(saving->out, blob_str(c->tenant).p, blob_str(c->tenant).n);
    add_bytes(saving->out, blob_str(c->spec).p, blob_str(c->spec).n);
    return th_buf_status(saving->out);
}

static enum th_code save_ask(void *arg, const void *entry)
{
    const struct saving *saving = arg;
    const struct ask *ask = entry;
    const struct campaign *c = table_get(saving->cs->campaigns, ask->campaign);
    int part = c ? part_of(saving->cs, c) : saving->part + 1;

    if (part < 0)
        return TH_NOMEM;
    if (part != saving->part)
        return TH_OK;
    th_buf_add_char(saving->out, ENTRY_ASK);
    add_bytes(saving->out, ask, sizeof *ask);
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

static bool take_bytes(struct th_str *bytes, struct th_str *out)
{
    uint32_t size;

    if (bytes->n < sizeof size)
        return false;
    memcpy(&size, bytes->p, sizeof size);
    if (bytes->n - sizeof size < size)
        return false;
    *out = (struct th_str){bytes->p + sizeof size, size};
    *bytes = (struct th_str){bytes->p + sizeof size + size, bytes->n - sizeof size - size};
    return true;
}

static enum th_code load_campaign(struct campaigns *cs, struct th_str *bytes)
{
    struct th_str raw;
    struct th_str tenant;
    struct th_str spec;
    struct campaign c;
    void *entry;

    if (!take_bytes(bytes, &raw) || !take_bytes(bytes, &tenant) || !take_bytes(bytes, &spec) ||
        raw.n != sizeof c)
        return TH_CORRUPT;
    memcpy(&c, raw.p, sizeof c);
    if (c.phase >= CAMPAIGN_PHASES)
        return TH_CORRUPT;
    TH_TRY(table_insert(cs->campaigns, c.id, &entry));
    TH_TRY(table_blob(cs->campaigns, tenant, &c.tenant));
    TH_TRY(table_blob(cs->campaigns, spec, &c.spec));
    memcpy(entry, &c, sizeof c);
    return TH_OK;
}

static enum th_code load_ask(struct campaigns *cs, struct th_str *bytes)
{
    struct th_str raw;
    struct ask ask;
    void *entry;

    if (!take_bytes(bytes, &raw) || raw.n != sizeof ask)
        return TH_CORRUPT;
    memcpy(&ask, raw.p, sizeof ask);
    TH_TRY(table_insert(cs->asks, ask.send, &entry));
    memcpy(entry, &ask, sizeof ask);
    return TH_OK;
}

enum th_code campaign_load(void *core, int part, int piece, struct th_str bytes)
{
    (void)part;
    (void)piece;
    while (bytes.n) {
        char kind = bytes.p[0];
        bytes = (struct th_str){bytes.p + 1, bytes.n - 1};
        if (kind != ENTRY_CAMPAIGN && kind != ENTRY_ASK)
            return TH_CORRUPT;
        TH_TRY(kind == ENTRY_CAMPAIGN ? load_campaign(core, &bytes) : load_ask(core, &bytes));
    }
    return TH_OK;
}
