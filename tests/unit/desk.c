#include "tests/unit/desk.h"

#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define PARTITIONS 4
#define ARENA_MAX  ((size_t)4 * 1024 * 1024)

/* --- what was said ----------------------------------------------------------------------------
 */

static void hear(struct desk *desk, size_t from)
{
    for (size_t i = from; i < desk->batch.outputs_n; i++) {
        struct desk_said *said = &desk->said[desk->said_n++];
        struct th_err err = {0};

        assert_true(desk->said_n <= DESK_SAY_MAX);
        said->topic = desk->batch.outputs[i].topic;
        if (event_decode(desk->batch.outputs[i].value, &desk->arena, &said->event, &err) != TH_OK)
            fail_msg("%s", err.text);
    }
}

static void present(struct desk *desk, struct input *in)
{
    struct core_output out = {desk->ops, desk->core, &desk->env, &desk->batch,
                              in,        &desk->ids, false};

    in->now_us = desk->now_us;
    in->unread = desk->unread;
    assert_int_equal(desk->ops->decide(desk->core, in, &out), TH_OK);
}

/* Whatever is asked is answered at once, in the same batch. */
static void answer_asks(struct desk *desk)
{
    for (size_t i = 0; i < desk->batch.asks.n; i++) {
        struct answer answer = {0};

        assert_non_null(desk->answer);
        desk->answer(&desk->batch.asks.at[i], &desk->arena, &answer);
        present(desk, &(struct input){.type = INPUT_ANSWER, .answer = &answer});
    }
}

static void end_batch(struct desk *desk)
{
    struct input in = {.type = INPUT_TIME, .now_us = desk->now_us};
    struct core_output out = {desk->ops, desk->core, &desk->env, &desk->batch,
                              &in,       &desk->ids, false};

    answer_asks(desk);
    if (desk->ops->flush)
        assert_int_equal(desk->ops->flush(desk->core, &in, &out), TH_OK);
    hear(desk, 0);
    assert_true(desk->batch.effects.n <= DESK_SAY_MAX);
    desk->effects_n = desk->batch.effects.n;
    if (desk->effects_n)
        memcpy(desk->effects, desk->batch.effects.at, desk->effects_n * sizeof *desk->effects);
    desk->ops->batch_close(desk->core);
    desk->ops->batch_forget(desk->core);
}

static void begin_batch(struct desk *desk)
{
    core_batch_clear(&desk->batch);
    th_arena_reset(&desk->arena);
    desk->said_n = desk->effects_n = 0;
}

const struct event *desk_heard(const struct desk *desk, enum event_type type, size_t nth)
{
    for (size_t i = 0; i < desk->said_n; i++)
        if (desk->said[i].event.type == type && nth-- == 0)
            return &desk->said[i].event;
    return NULL;
}

/* --- inputs -----------------------------------------------------------------------------------
 */

static void fill_meta(struct desk *desk, struct event *event)
{
    struct meta *meta = event_meta_mut(event);
    uint8_t random[TH_ID_RANDOM_LEN] = {(uint8_t)(++desk->ids >> 8), (uint8_t)desk->ids};

    meta->event_id = th_id_v7(desk->now_us / 1000, random);
    meta->time_us = desk->now_us;
    if (!meta->tenant.n)
        meta->tenant = DESK_TENANT;
}

void desk_events(struct desk *desk, enum topic topic, struct event *events, size_t n)
{
    begin_batch(desk);
    for (size_t i = 0; i < n; i++) {
        fill_meta(desk, &events[i]);
        present(desk, &(struct input){.type = INPUT_EVENT,
                                      .event = &events[i],
                                      .place = {topic, 0, desk->offset++}});
    }
    end_batch(desk);
}

void desk_event(struct desk *desk, enum topic topic, struct event *event)
{
    desk_events(desk, topic, event, 1);
}

void desk_reply(struct desk *desk, const struct answer *answer)
{
    begin_batch(desk);
    present(desk, &(struct input){.type = INPUT_ANSWER, .answer = answer});
    end_batch(desk);
}

void desk_wait(struct desk *desk, int64_t us)
{
    desk->now_us += us;
    begin_batch(desk);
    if (desk->ops->next_due_us(desk->core) <= desk->now_us)
        present(desk, &(struct input){.type = INPUT_TIME});
    end_batch(desk);
}

void desk_refer(struct desk *desk, enum topic topic, struct event *event)
{
    struct reference_change changes[16];
    size_t n = 0;

    fill_meta(desk, event);
    assert_int_equal(reference_apply(desk->env.reference, topic, event), TH_OK);
    begin_batch(desk);
    assert_true(
        reference_changes(desk->env.reference, &desk->changes_at, changes, TH_LEN(changes), &n));
    for (size_t i = 0; i < n; i++)
        present(desk, &(struct input){.type = INPUT_REFERENCE, .change = &changes[i]});
    end_batch(desk);
}

void desk_lane(struct desk *desk, const char *name, int32_t lane, const char *wire)
{
    desk_account(desk, name, lane, wire, ACCOUNT_MODE_LIVE);
}

void desk_account(struct desk *desk, const char *name, int32_t lane, const char *wire,
                  enum account_mode mode)
{
    static const struct th_str senders[] = {{"+911140000000", 13}};
    struct event account = {
        .type = EVENT_ACCOUNT_CONFIGURED,
        .as.account_configured = {.name = th_str(name),
                                  .lane = lane,
                                  .wire = th_str(wire),
                                  .base_url = TH_STR("http://127.0.0.1:1"),
                                  .account = TH_STR("AC1"),
                                  .senders = {senders, TH_LEN(senders)},
                                  .weight = 1,
                                  .mode = mode},
    };
    struct event enabled = {.type = EVENT_ACCOUNT_ENABLED,
                            .as.account_enabled = {.name = th_str(name), .is_enabled = true}};

    desk_refer(desk, TOPIC_CONFIG, &account);
    desk_refer(desk, TOPIC_CONFIG, &enabled);
}

/* --- life -------------------------------------------------------------------------------------
 */

static void open_core(struct desk *desk, const void *config, struct th_str *saved)
{
    struct input in = {.type = INPUT_TIME, .now_us = desk->now_us};
    struct core_output out = {desk->ops, NULL, &desk->env, &desk->batch, &in, &desk->ids, false};

    desk->env.session++;
    assert_int_equal(desk->ops->new (config, &desk->env, &desk->core), TH_OK);
    for (int part = 0; saved && part < PARTITIONS; part++)
        assert_int_equal(desk->ops->load(desk->core, part, 0, saved[part]), TH_OK);
    out.core = desk->core;
    begin_batch(desk);
    assert_int_equal(desk->ops->opened(desk->core, &in, &out), TH_OK);
    end_batch(desk);
}

void desk_open(struct desk *desk, const struct core_ops *ops, const void *config)
{
    struct event tenant = {.type = EVENT_TENANT_CREATED,
                           .as.tenant_created = {.name = TH_STR("Pratham"),
                                                 .country = TH_STR("IN"),
                                                 .zone = TH_STR("Asia/Kolkata"),
                                                 .currency = TH_STR("INR")}};

    *desk = (struct desk){.ops = ops, .now_us = DESK_NOW_US};
    desk->env = (struct core_env){
        .reference = reference_new(), .slots = 1, .partitions = PARTITIONS, .session = 100};
    assert_non_null(desk->env.reference);
    core_batch_init(&desk->batch);
    th_arena_init(&desk->arena, ARENA_MAX);
    open_core(desk, config, NULL);
    desk_refer(desk, TOPIC_CONFIG, &tenant);
}

void desk_reopen(struct desk *desk, const void *config)
{
    struct th_buf saved[PARTITIONS] = {0};
    struct th_str views[PARTITIONS];

    for (int part = 0; part < PARTITIONS; part++) {
        for (int piece = 0; piece < desk->ops->pieces; piece++)
            assert_int_equal(desk->ops->save(desk->core, part, piece, &saved[part]), TH_OK);
        views[part] = th_buf_str(&saved[part]);
    }
    desk->ops->free(desk->core);
    open_core(desk, config, views);
    for (int part = 0; part < PARTITIONS; part++)
        th_buf_fini(&saved[part]);
}

void desk_close(struct desk *desk)
{
    desk->ops->free(desk->core);
    reference_free(desk->env.reference);
    core_batch_fini(&desk->batch);
    th_arena_fini(&desk->arena);
}
