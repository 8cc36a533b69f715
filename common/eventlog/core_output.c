#include "common/eventlog/core_output.h"

#include "common/clock.h"

/* A shell presents no further input once a batch holds about a megabyte; what the last one may say
 * beyond that is bounded here, far above what any input needs. */
#define OUTPUT_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define ARENA_MAX        ((size_t)64 * 1024 * 1024)

/* --- arrays that grow ------------------------------------------------------------------------ */

static void *grown(void *at, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return at;
    size_t wanted = *cap ? 2 * *cap : 64;
    void *bigger = reallocarray(at, wanted, size);
    if (bigger)
        *cap = wanted;
    return bigger;
}

static enum th_code append_output(struct core_batch *batch, const struct log_output *output)
{
    struct log_output *at =
        grown(batch->outputs, batch->outputs_n, &batch->outputs_cap, sizeof *at);

    if (!at)
        return TH_NOMEM;
    batch->outputs = at;
    at[batch->outputs_n++] = *output;
    batch->outputs_bytes += log_output_size(output);
    return TH_OK;
}

static enum th_code append_effect(struct core_effects *effects, const struct effect *effect)
{
    struct effect *at = grown(effects->at, effects->n, &effects->cap, sizeof *at);

    if (!at)
        return TH_NOMEM;
    effects->at = at;
    at[effects->n++] = *effect;
    return TH_OK;
}

/* --- outputs --------------------------------------------------------------------------------- */

/* One record that the log refused would fail the whole batch for ever; so it is refused here. */
static enum th_code check_output(const struct core_env *env, enum topic topic, int part,
                                 struct th_str key, size_t rest_size)
{
    int partitions = topic_kind(topic) == TOPIC_REFERENCE ? 1 : env->partitions;

    if (part < (topic_kind(topic) == TOPIC_BY_LANE ? 0 : -1) || part >= partitions)
        return TH_INVALID;
    if (key.n > LOG_KEY_SIZE_MAX || rest_size > LOG_RECORD_SIZE_MAX - key.n)
        return TH_INVALID;
    return TH_OK;
}

/* Own events of another slot's partition would be replayed there, not here. */
static enum th_code check_own(const struct core_output *out, int part, struct th_str key)
{
    const struct core_env *env = out->env;
    int own = part >= 0 ? part : topic_partition_of_key(key, env->partitions);

    return own % env->slots == env->slot ? TH_OK : TH_INVALID;
}

enum th_code core_say(struct core_output *out, int part, struct th_str key,
                      const struct event *event)
{
    TH_TRY(check_own(out, part, key));
    TH_TRY(core_emit(out, out->ops->own, part, key, event));
    return out->ops->evolve(out->core, event);
}

enum th_code core_emit(struct core_output *out, enum topic topic, int part, struct th_str key,
                       const struct event *event)
{
    return core_emit_with_headers(out, topic, part, key, (struct th_str){0}, event);
}

enum th_code core_emit_with_headers(struct core_output *out, enum topic topic, int part,
                                    struct th_str key, struct th_str headers,
                                    const struct event *event)
{
    struct core_batch *batch = out->batch;
    struct log_output output = {.topic = topic, .part = part};

    th_buf_clear(&batch->encoded);
    TH_TRY(event_encode(event, &batch->encoded));
    TH_TRY(check_output(out->env, topic, part, key, batch->encoded.n + headers.n));
    if (batch->outputs_bytes + batch->encoded.n + headers.n > OUTPUT_BYTES_MAX)
        return TH_FULL;
    TH_TRY(th_arena_copy(&batch->arena, key, &output.key));
    TH_TRY(th_arena_copy(&batch->arena, th_buf_str(&batch->encoded), &output.value));
    if (headers.n)
        TH_TRY(th_arena_copy(&batch->arena, headers, &output.headers));
    TH_TRY(append_output(batch, &output));
    out->has_said = true;
    return TH_OK;
}

/* --- effects ---------------------------------------------------------------------------------- */

static enum th_code copy_strings(struct th_arena *arena, struct th_str *const *strings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        TH_TRY(th_arena_copy(arena, *strings[i], strings[i]));
    return TH_OK;
}

#define COPY_STRINGS(arena, ...)                                                                   \
    copy_strings((arena), (struct th_str *const[]){__VA_ARGS__},                                   \
                 sizeof((struct th_str *const[]){__VA_ARGS__}) / sizeof(struct th_str *))

/* Everything that *effect views moves into the arena. */
static enum th_code own_strings(struct th_arena *arena, struct effect *effect)
{
    struct effect_call *call = &effect->as.call;
    struct effect_lookup *lookup = &effect->as.lookup;

    switch (effect->type) {
    case EFFECT_OPEN_AUDIENCE:
        return COPY_STRINGS(arena, &effect->as.open_audience.tenant);
    case EFFECT_READ_PART:
        return COPY_STRINGS(arena, &effect->as.read_part.tenant);
    case EFFECT_READ_RECIPIENT:
        return COPY_STRINGS(arena, &effect->as.read_recipient.tenant);
    case EFFECT_CALL:
    case EFFECT_REPEAT:
        return COPY_STRINGS(arena, &call->tenant, &call->to, &call->sender, &call->text,
                            &call->lang);
    case EFFECT_LOOKUP:
        return COPY_STRINGS(arena, &lookup->provider_id, &lookup->to, &lookup->sender);
    case EFFECT_ASK_JOURNAL:
    case EFFECT_DROP_JOURNAL:
        return TH_OK;
    }
    return TH_INVALID;
}

enum th_code core_effect(struct core_output *out, const struct effect *effect)
{
    struct core_batch *batch = out->batch;
    struct effect copy = *effect;

    TH_TRY(own_strings(&batch->arena, &copy));
    TH_TRY(append_effect(effect_is_immediate(copy.type) ? &batch->asks : &batch->effects, &copy));
    out->has_said = true;
    return TH_OK;
}

/* --- ids and memory --------------------------------------------------------------------------- */

/* The finaliser of splitmix64: a bijection that leaves no trace of order. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* A version 7 id takes 12 + 62 bits: the bijection of the count is spread over them whole, so no
 * two of a session are alike, and those of two sessions differ as random numbers do. */
static struct th_id next_id(const struct core_output *out)
{
    uint64_t session = out->env->session;
    uint64_t low = mix(session + (*out->ids)++ * UINT64_C(0x9e3779b97f4a7c15));
    uint64_t high = mix(low ^ session) << 2 | low >> 62;
    uint8_t random[TH_ID_RANDOM_LEN] = {(uint8_t)(high >> 8), (uint8_t)high};
    int64_t now_us = out->input->now_us;

    for (int i = 0; i < 8; i++)
        random[2 + i] = (uint8_t)(low >> (56 - 8 * i));
    return th_id_v7(now_us > 0 ? now_us / TH_US_PER_MS : 0, random);
}

struct meta core_meta(struct core_output *out, struct th_str tenant)
{
    struct meta meta = {
        .event_id = next_id(out),
        .tenant = tenant,
        .time_us = out->input->now_us,
        .actor = th_str(out->ops->name),
    };

    if (out->input->event)
        meta.cause = (struct optional_uuid){.is_set = true,
                                            .value = event_meta(out->input->event)->event_id};
    return meta;
}

struct th_arena *core_arena(struct core_output *out)
{
    return &out->batch->arena;
}

struct th_str core_key(struct core_output *out, struct th_str tenant, struct th_id id)
{
    char text[TH_ID_TEXT_LEN + 1];

    th_id_text(id, text);
    return th_arena_printf(core_arena(out), "%.*s/%s", TH_ARG(tenant), text);
}

/* --- batches ------------------------------------------------------------------------------------
 */

void core_batch_init(struct core_batch *batch)
{
    *batch = (struct core_batch){0};
    th_arena_init(&batch->arena, ARENA_MAX);
}

void core_batch_clear(struct core_batch *batch)
{
    th_arena_reset(&batch->arena);
    batch->outputs_n = 0;
    batch->outputs_bytes = 0;
    batch->effects.n = 0;
    batch->asks.n = 0;
}

void core_batch_fini(struct core_batch *batch)
{
    th_arena_fini(&batch->arena);
    free(batch->outputs);
    free(batch->effects.at);
    free(batch->asks.at);
    th_buf_fini(&batch->encoded);
    *batch = (struct core_batch){0};
}
