#include "tests/unit/slot_toy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct toy {
    struct toy_config config;
    const struct core_env *env;
    struct table *sends;
    struct table *sums; /* one entry: requests presented in this batch; volatile */
    unsigned decided;
    int64_t evolved;
    int64_t offered[REFERENCE_CAMPAIGN + 1];
    bool is_opened;
};

struct toy_sum {
    struct th_id id;
    int64_t n;
};

static const struct th_id sum_id = {.b = {1}};

static enum th_code toy_new(const void *config, const struct core_env *env, void **out_core)
{
    struct toy *toy = calloc(1, sizeof *toy);

    if (!toy)
        return TH_NOMEM;
    toy->config = *(const struct toy_config *)config;
    toy->env = env;
    toy->sends = table_new(sizeof(struct toy_send), 1 << 20);
    toy->sums = table_new(sizeof(struct toy_sum), 1);
    if (!toy->sends || !toy->sums) {
        toy_core.free(toy);
        return TH_NOMEM;
    }
    *out_core = toy;
    return TH_OK;
}

static void toy_free(void *core)
{
    struct toy *toy = core;

    if (!toy)
        return;
    table_free(toy->sends);
    table_free(toy->sums);
    free(toy);
}

const struct toy_send *toy_send(const void *core, struct th_id id)
{
    return table_get(((const struct toy *)core)->sends, id);
}

int64_t toy_evolved(const void *core)
{
    return ((const struct toy *)core)->evolved;
}

int64_t toy_offered(const void *core, enum reference_kind kind)
{
    return ((const struct toy *)core)->offered[kind];
}

/* --- evolving ------------------------------------------------------------------------------- */

static enum th_code entry_of(struct toy *toy, struct th_id id, struct toy_send **out_send)
{
    void *entry;
    enum th_code code = table_edit(toy->sends, id, &entry);

    if (code == TH_NOT_FOUND)
        code = table_insert(toy->sends, id, &entry);
    if (code == TH_OK)
        *out_send = entry;
    return code;
}

static enum th_code toy_evolve(void *core, const struct event *event)
{
    struct toy_send *send;

    ((struct toy *)core)->evolved++;
    if (event->type == EVENT_SEND_ADMITTED) {
        TH_TRY(entry_of(core, event->as.send_admitted.send, &send));
        send->admitted++;
    } else if (event->type == EVENT_SEND_NOTED) {
        TH_TRY(entry_of(core, event->as.send_noted.send, &send));
        send->released++;
        send->session = (uint64_t)event->as.send_noted.release;
        send->process = event->as.send_noted.n;
    } else if (event->type == EVENT_SEND_ENDED) {
        TH_TRY(entry_of(core, event->as.send_ended.send, &send));
        send->ended++;
    }
    return TH_OK;
}

static int toy_piece(const struct event *event)
{
    if (event->type == EVENT_SEND_ADMITTED)
        return table_piece(event->as.send_admitted.send);
    if (event->type == EVENT_SEND_NOTED)
        return table_piece(event->as.send_noted.send);
    assert(event->type == EVENT_SEND_ENDED);
    return table_piece(event->as.send_ended.send);
}

/* --- deciding -----------------------------------------------------------------------------------
 */

static const struct th_str tenant = {"ngo", 3};

static enum th_code say(struct core_output *out, struct th_id send, const struct event *event)
{
    struct th_str key = core_key(out, tenant, send);

    return key.p ? core_say(out, -1, key, event) : TH_NOMEM;
}

static enum th_code ask_recipient(struct core_output *out, struct th_id send)
{
    return core_effect(out,
                       &(struct effect){.type = EFFECT_READ_RECIPIENT,
                                        .as.read_recipient = {.tenant = tenant, .send = send}});
}

/* Somebody else hears of it, too. */
static enum th_code copy_out(struct core_output *out, struct th_id send)
{
    struct event copy = {.type = EVENT_SEND_RELEASED,
                         .as.send_released = {.meta = core_meta(out, tenant), .send = send}};
    struct th_str key = core_key(out, tenant, send);

    return key.p ? core_emit(out, TOPIC_CAMPAIGN_PROGRESS, -1, key, &copy) : TH_NOMEM;
}

static enum th_code count_request(struct toy *toy)
{
    void *entry;
    enum th_code code = table_edit(toy->sums, sum_id, &entry);

    if (code == TH_NOT_FOUND)
        code = table_insert(toy->sums, sum_id, &entry);
    if (code == TH_OK)
        ((struct toy_sum *)entry)->n++;
    return code;
}

static enum th_code requested(struct toy *toy, const struct send_requested *request,
                              struct core_output *out)
{
    if (request->channel == TOY_REFUSED_EARLY)
        return TH_INVALID;
    TH_TRY(say(out, request->send,
               &(struct event){
                   .type = EVENT_SEND_ADMITTED,
                   .as.send_admitted = {.meta = core_meta(out, tenant), .send = request->send}}));
    if (request->channel == TOY_REFUSED_LATE)
        return TH_MALFORMED;
    TH_TRY(copy_out(out, request->send));
    TH_TRY(ask_recipient(out, request->send));
    return count_request(toy);
}

static enum th_code recipient_read(struct toy *toy, const struct answer *answer,
                                   struct core_output *out)
{
    struct th_id send = answer->as.recipient_read.send;
    const struct toy_send *known = table_get(toy->sends, send);

    assert(known && !known->released); /* each ask is answered once, or undone with its answer */
    TH_TRY(say(out, send,
               &(struct event){.type = EVENT_SEND_NOTED,
                               .as.send_noted = {.meta = core_meta(out, tenant),
                                                 .send = send,
                                                 .n = toy->config.process,
                                                 .release = (int64_t)toy->env->session}}));
    return core_effect(
        out, &(struct effect){.type = EFFECT_CALL,
                              .as.call = {.attempt = {.send = send, .n = 1},
                                          .tenant = tenant,
                                          .to = answer->as.recipient_read.row.phone.as.string}});
}

static enum th_code end(struct core_output *out, struct th_id send, const char *reason)
{
    return say(out, send,
               &(struct event){.type = EVENT_SEND_ENDED,
                               .as.send_ended = {.meta = core_meta(out, tenant),
                                                 .send = send,
                                                 .reason = th_str(reason)}});
}

static bool is_open(const struct toy *toy, struct th_id send)
{
    const struct toy_send *known = table_get(toy->sends, send);

    return known && known->released && !known->ended;
}

static enum th_code answered(struct toy *toy, const struct answer *answer, struct core_output *out)
{
    struct th_id send;

    switch (answer->type) {
    case ANSWER_RECIPIENT_READ:
        return recipient_read(toy, answer, out);
    case ANSWER_CALL_ENDED:
        send = answer->as.call_ended.attempt.send;
        if (!is_open(toy, send))
            return TH_OK;
        return end(out, send,
                   answer->as.call_ended.outcome.result == PROVIDER_ACCEPTED ? "accepted"
                                                                             : "not_sent");
    case ANSWER_JOURNAL_TOLD:
        send = answer->as.journal_told.attempt.send;
        if (!is_open(toy, send))
            return TH_OK;
        if (answer->as.journal_told.is_silent)
            return end(out, send, "not_sent");
        /* Of this process the answer will come; of another one nobody will ever know. */
        if (toy_send(toy, send)->process != toy->config.process)
            return end(out, send, "unknown");
        return TH_OK;
    case ANSWER_AUDIENCE_OPENED:
    case ANSWER_PART_READ:
    case ANSWER_LOOKUP_ENDED:
    case ANSWER_REPEAT_ENDED:
        break;
    }
    return TH_OK;
}

static enum th_code toy_decide(void *core, const struct input *input, struct core_output *out)
{
    struct toy *toy = core;
    enum th_code code = TH_OK;

    if (input->type == INPUT_EVENT) {
        assert(toy->is_opened);
        if (input->event->type == EVENT_SEND_REQUESTED)
            code = requested(toy, &input->event->as.send_requested, out);
    } else if (input->type == INPUT_ANSWER)
        code = answered(toy, input->answer, out);
    else if (input->type == INPUT_REFERENCE)
        toy->offered[input->change->kind]++;
    /* Too late to be harmless, on purpose. */
    if (code == TH_OK && toy->config.nomem_per && ++toy->decided % toy->config.nomem_per == 0)
        return TH_NOMEM;
    return code;
}

static enum th_code toy_opened(void *core, const struct input *input, struct core_output *out)
{
    struct toy *toy = core;
    const struct toy_send *send;
    size_t at = 0;

    (void)input;
    toy->is_opened = true;
    while ((send = table_next(toy->sends, &at))) {
        if (!send->released)
            TH_TRY(ask_recipient(out, send->id));
        else if (!send->ended)
            TH_TRY(
                core_effect(out, &(struct effect){.type = EFFECT_ASK_JOURNAL,
                                                  .as.ask_journal = {.attempt = {send->id, 1},
                                                                     .session = send->session}}));
    }
    return TH_OK;
}

static enum th_code toy_flush(void *core, const struct input *input, struct core_output *out)
{
    struct toy *toy = core;
    const struct toy_sum *sum = table_get(toy->sums, sum_id);

    (void)input;
    if (!sum)
        return TH_OK;
    struct event moved = {.type = EVENT_SENDS_MOVED,
                          .as.sends_moved = {.meta = core_meta(out, tenant), .accepted = sum->n}};
    struct th_str key = core_key(out, tenant, sum_id);
    TH_TRY(key.p ? core_emit(out, TOPIC_CAMPAIGN_PROGRESS, -1, key, &moved) : TH_NOMEM);
    return table_remove(toy->sums, sum_id);
}

static int64_t toy_next_due_us(const void *core)
{
    (void)core;
    return INT64_MAX;
}

/* --- batches and snapshots ----------------------------------------------------------------------
 */

static void toy_close(void *core)
{
    table_close(((struct toy *)core)->sends);
    table_close(((struct toy *)core)->sums);
}

static void toy_forget(void *core)
{
    table_forget(((struct toy *)core)->sends);
    table_forget(((struct toy *)core)->sums);
}

static void toy_undo(void *core)
{
    table_undo(((struct toy *)core)->sends);
    table_undo(((struct toy *)core)->sums);
}

struct saving {
    const struct toy *toy;
    int part;
    struct toy_send *at;
    size_t n;
};

static bool lies_in(const struct toy *toy, struct th_id id, int part)
{
    char text[TH_ID_TEXT_LEN + 1];
    char key[64];

    th_id_text(id, text);
    snprintf(key, sizeof key, "ngo/%s", text);
    return topic_partition_of_key(th_str(key), toy->env->partitions) == part;
}

static enum th_code save_one(void *arg, const void *entry)
{
    struct saving *saving = arg;
    const struct toy_send *send = entry;

    if (!lies_in(saving->toy, send->id, saving->part))
        return TH_OK;
    struct toy_send *at = realloc(saving->at, (saving->n + 1) * sizeof *at);
    if (!at)
        return TH_NOMEM;
    saving->at = at;
    at[saving->n++] = *send;
    return TH_OK;
}

static int by_id(const void *a, const void *b)
{
    return th_id_cmp(((const struct toy_send *)a)->id, ((const struct toy_send *)b)->id);
}

static enum th_code toy_save(const void *core, int part, int piece, struct th_buf *out)
{
    struct saving saving = {.toy = core, .part = part};
    enum th_code code = table_each_durable(saving.toy->sends, piece, save_one, &saving);

    if (saving.n)
        qsort(saving.at, saving.n, sizeof *saving.at, by_id);
    for (size_t i = 0; i < saving.n; i++)
        th_buf_add(out, (struct th_str){(const char *)&saving.at[i], sizeof *saving.at});
    free(saving.at);
    return code;
}

static enum th_code toy_load(void *core, int part, int piece, struct th_str bytes)
{
    struct toy *toy = core;
    struct toy_send send;
    void *entry;

    (void)part;
    if (bytes.n % sizeof send)
        return TH_CORRUPT;
    for (; bytes.n > 0; bytes.p += sizeof send, bytes.n -= sizeof send) {
        memcpy(&send, bytes.p, sizeof send);
        if (table_piece(send.id) != piece)
            return TH_CORRUPT;
        TH_TRY(table_insert(toy->sends, send.id, &entry));
        memcpy(entry, &send, sizeof send);
    }
    return TH_OK;
}

#define TOY_CORE                                                                                   \
    .name = "toy", .app = LOG_APP_RETRY, .own = TOPIC_SEND_EVENTS,                                 \
    .inputs = UINT32_C(1) << TOPIC_SEND_REQUESTS, .new = toy_new, .free = toy_free,                \
    .decide = toy_decide, .evolve = toy_evolve, .opened = toy_opened, .flush = toy_flush,          \
    .next_due_us = toy_next_due_us, .batch_close = toy_close, .batch_forget = toy_forget,          \
    .batch_undo = toy_undo, .pieces = TABLE_PIECES, .save = toy_save, .load = toy_load

const struct core_ops toy_core = {TOY_CORE, .fold_version = 1};
const struct core_ops toy_core_by_piece = {TOY_CORE, .fold_version = 1, .piece = toy_piece};
