#include "tests/simulation/trouble.h"

#include "tests/simulation/checks.h"
#include "tests/simulation/coverage.h"
#include "tests/simulation/journal.h"
#include "tests/simulation/people.h"
#include "tests/simulation/wire.h"

#include <assert.h>
#include <stdio.h>

#define HOUR_US (60 * TH_US_PER_MIN)

/* --- the gateway
 * ------------------------------------------------------------------------------------------- */

struct unsent {
    struct unsent *next;
    uint64_t request; /* names it, so that the log takes it once; 0: it may come twice */
    enum topic topic;
    int part;
    struct th_buf key;
    struct th_buf value;
};

static void append_again(struct world *world, int64_t arg);

static enum th_code store(struct world *world, const struct unsent *unsent, struct th_err *err)
{
    struct log_output output = {unsent->topic, unsent->part, th_buf_str(&unsent->key),
                                .value = th_buf_str(&unsent->value)};

    if (unsent->request == 0)
        return th_log_append(world->log, &output, 1, NULL, err);
    struct log_claim claim = {.tenant = TH_STR("sim"),
                              .route = TH_STR("POST"),
                              .key = {(const char *)&unsent->request, sizeof unsent->request},
                              .status = 202,
                              .body = TH_STR("{}"),
                              .outputs = &output,
                              .outputs_n = 1};
    th_arena_reset(&world->scratch);
    return th_log_ingest(world->log, &claim, 1, &world->scratch, err);
}

static void unsent_free(struct unsent *unsent)
{
    th_buf_fini(&unsent->key);
    th_buf_fini(&unsent->value);
    free(unsent);
}

/* The same bytes until the log says that it has them. */
static void append(struct world *world, struct unsent *unsent)
{
    struct unsent **at = &world->unsent;
    struct th_err err = {0};
    enum th_code code = store(world, unsent, &err);

    checks_step(world); /* before anybody can have read it */

    if (code == TH_UNAVAILABLE) {
        world_after_counted(world, 10 * TH_US_PER_MS + rng_below(&world->rng, 100000), append_again,
                            (int64_t)(intptr_t)unsent);
        return;
    }
    if (code != TH_OK)
        world_fail(world, "append: %s", err.text);
    while (*at != unsent)
        at = &(*at)->next;
    *at = unsent->next;
    unsent_free(unsent);
}

void world_forget_unsent(struct world *world)
{
    struct unsent *unsent;

    while ((unsent = world->unsent)) {
        world->unsent = unsent->next;
        unsent_free(unsent);
    }
}

static void append_again(struct world *world, int64_t arg)
{
    world_done(world);
    append(world, (struct unsent *)(intptr_t)arg);
}

void world_append(struct world *world, enum topic topic, int part, struct th_str key,
                  const struct event *event)
{
    struct unsent *unsent = calloc(1, sizeof *unsent);

    assert(unsent);
    unsent->next = world->unsent;
    world->unsent = unsent;
    unsent->topic = topic;
    unsent->part = part;
    unsent->request = topic == TOPIC_PROVIDER_CALLBACKS ? 0 : ++world->ids;
    th_buf_add(&unsent->key, key);
    if (event_encode(event, &unsent->value) != TH_OK || th_buf_status(&unsent->key) != TH_OK)
        world_fail(world, "an event cannot be encoded");
    append(world, unsent);
}

static struct meta meta_of(struct world *world, int tenant)
{
    return (struct meta){.event_id = world_id(world),
                         .tenant = th_str(world_tenant(tenant)),
                         .time_us = world_utc(world),
                         .actor = TH_STR("api:sim")};
}

static void append_of(struct world *world, enum topic topic, int tenant, const char *entity,
                      const struct event *event)
{
    char key[64];

    (void)snprintf(key, sizeof key, "%s/%s", world_tenant(tenant), entity);
    world_append(world, topic, -1, th_str(key), event);
}

/* --- configuration
 * ------------------------------------------------------------------------------------------ */

static void create_tenant(struct world *world, int tenant)
{
    struct event event = {.type = EVENT_TENANT_CREATED,
                          .as.tenant_created = {.meta = meta_of(world, tenant),
                                                .name = th_str(world_tenant(tenant)),
                                                .country = TH_STR("IN"),
                                                .zone = TH_STR("Asia/Kolkata"),
                                                .currency = TH_STR("INR")}};
    append_of(world, TOPIC_CONFIG, tenant, "tenant", &event);
}

void world_enable_lane(struct world *world, int lane, bool is_enabled)
{
    const struct sim_lane *known = &world->options.lanes[lane];
    char name[16];

    (void)snprintf(name, sizeof name, "lane%d", known->number);
    struct event event = {.type = EVENT_ACCOUNT_ENABLED,
                          .as.account_enabled = {.meta = meta_of(world, known->tenant),
                                                 .name = th_str(name),
                                                 .is_enabled = is_enabled}};
    world_say(world, "command: lane %d is switched %s", known->number, is_enabled ? "on" : "off");
    coverage_trouble(is_enabled ? TROUBLE_LANE_ON : TROUBLE_LANE_OFF);
    append_of(world, TOPIC_CONFIG, known->tenant, name, &event);
}

static void configure_lane(struct world *world, int i)
{
    static const struct th_str senders[] = {{"+911100000001", 13}, {"+911100000002", 13}};
    const struct sim_lane *lane = &world->options.lanes[i];
    char name[16];

    (void)snprintf(name, sizeof name, "lane%d", lane->number);
    struct event event = {
        .type = EVENT_ACCOUNT_CONFIGURED,
        .as.account_configured = {.meta = meta_of(world, lane->tenant),
                                  .name = th_str(name),
                                  .lane = lane->number,
                                  .wire = th_str(sim_wire_of(lane->reconciliation)->name),
                                  .base_url = TH_STR("http://127.0.0.1:1"),
                                  .account = TH_STR("AC1"),
                                  .senders = {senders, TH_LEN(senders)},
                                  .weight = lane->weight,
                                  .rate_per_s = lane->rate_per_s,
                                  .concurrency = lane->concurrency,
                                  .sms_estimate = {800000, TH_STR("INR")},
                                  .call_estimate = {1500000, TH_STR("INR")}}};
    append_of(world, TOPIC_CONFIG, lane->tenant, name, &event);
}

/* Whoever is on the way at the old rate is on the way. */
static void change_rate(struct world *world, int i)
{
    struct sim_lane *lane = &world->options.lanes[i];

    lane->weight = (int)rng_between(&world->rng, 1, 5);
    lane->rate_per_s = rng_permille(&world->rng, 600) ? (int)rng_between(&world->rng, 2, 60) : 0;
    lane->concurrency = rng_permille(&world->rng, 300) ? (int)rng_between(&world->rng, 1, 8) : 0;
    world_say(world, "command: lane %d has weight %d, rate %d, concurrency %d", lane->number,
              lane->weight, lane->rate_per_s, lane->concurrency);
    coverage_trouble(TROUBLE_RATE_CHANGED);
    configure_lane(world, i);
}

void trouble_configure(struct world *world)
{
    for (int i = 0; i < world->options.tenants; i++)
        create_tenant(world, i);
    for (int i = 0; i < world->options.lanes_n; i++) {
        configure_lane(world, i);
        world_enable_lane(world, i, true);
    }
}

/* --- commands
 * ------------------------------------------------------------------------------------------------
 */

static struct campaign_spec spec_of(const struct world *world, int i)
{
    static const struct text_section text = {.lang = {NULL, 0},
                                             .text = {.as.string = {"Hello from school", 17}}};
    const struct sim_campaign *c = &world->options.campaigns[i];

    return (struct campaign_spec){.name = TH_STR("simulated"),
                                  .channel = c->is_call ? CHANNEL_CALL : CHANNEL_SMS,
                                  .audience = world->campaigns[i].audience,
                                  .texts = {&text, 1},
                                  .pace_per_min = c->pace_per_min,
                                  .policy = c->is_at_least_once ? SEND_POLICY_AT_LEAST_ONCE
                                                                : SEND_POLICY_AT_MOST_ONCE,
                                  .window_from_min = c->opens_min,
                                  .category = CATEGORY_TRANSACTIONAL,
                                  .window_to_min = 1440,
                                  .attempts_max = c->attempts_max,
                                  .allow_duplicates = c->allow_duplicates};
}

void world_command(struct world *world, int campaign, enum sim_command command)
{
    static const char *const names[] = {[SIM_CREATE] = "create",
                                        [SIM_START] = "start",
                                        [SIM_PAUSE] = "pause",
                                        [SIM_RESUME] = "resume",
                                        [SIM_CANCEL] = "cancel"};
    int tenant = world->options.campaigns[campaign].tenant;
    struct meta meta = meta_of(world, tenant);
    struct th_id id = world->campaigns[campaign].id;
    struct event event = {0};
    char text[TH_ID_TEXT_LEN + 1];

    switch (command) {
    case SIM_CREATE:
        event.type = EVENT_CREATE_CAMPAIGN;
        event.as.create_campaign = (struct create_campaign){meta, id, spec_of(world, campaign)};
        break;
    case SIM_START:
        event.type = EVENT_START_CAMPAIGN;
        event.as.start_campaign = (struct start_campaign){.meta = meta, .campaign = id};
        break;
    case SIM_PAUSE:
        event.type = EVENT_PAUSE_CAMPAIGN;
        coverage_trouble(TROUBLE_PAUSED);
        event.as.pause_campaign = (struct pause_campaign){meta, id};
        break;
    case SIM_RESUME:
        event.type = EVENT_RESUME_CAMPAIGN;
        coverage_trouble(TROUBLE_RESUMED);
        event.as.resume_campaign = (struct resume_campaign){meta, id};
        break;
    case SIM_CANCEL:
        event.type = EVENT_CANCEL_CAMPAIGN;
        coverage_trouble(TROUBLE_CANCELLED);
        event.as.cancel_campaign = (struct cancel_campaign){meta, id};
        break;
    }
    world_say(world, "command: %s campaign %d", names[command], campaign);
    th_id_text(id, text);
    append_of(world, TOPIC_CAMPAIGN_COMMANDS, tenant, text, &event);
}

void world_set_pace(struct world *world, int campaign, int per_min)
{
    int tenant = world->options.campaigns[campaign].tenant;
    struct event event = {
        .type = EVENT_SET_CAMPAIGN_PACE,
        .as.set_campaign_pace = {meta_of(world, tenant), world->campaigns[campaign].id, per_min}};
    char text[TH_ID_TEXT_LEN + 1];

    world_say(world, "command: campaign %d has pace %d", campaign, per_min);
    coverage_trouble(per_min ? TROUBLE_PACED : TROUBLE_PACE_LIFTED);
    th_id_text(world->campaigns[campaign].id, text);
    append_of(world, TOPIC_CAMPAIGN_COMMANDS, tenant, text, &event);
}

void world_stop_tenant(struct world *world, int tenant, bool is_stopped)
{
    struct event event = {.type = EVENT_TENANT_STOP_SET,
                          .as.tenant_stop_set = {meta_of(world, tenant), is_stopped}};

    world->is_stopped[tenant] = is_stopped;
    coverage_trouble(is_stopped ? TROUBLE_STOPPED : TROUBLE_STOP_RELEASED);
    world_say(world, "command: tenant %s %s", world_tenant(tenant),
              is_stopped ? "stops" : "goes on");
    append_of(world, TOPIC_CONFIG, tenant, "tenant", &event);
}

void world_opt_out(struct world *world, int tenant, struct th_str phone)
{
    int64_t contact = contact_hash(th_str(world_tenant(tenant)), phone);
    struct event event = {.type = EVENT_OPTED_OUT,
                          .as.opted_out = {.meta = meta_of(world, tenant),
                                           .contact = contact,
                                           .phone = {.as.string = phone},
                                           .source = TH_STR("api")}};
    char entity[32];

    world_say(world, "%.*s opts out", TH_ARG(phone));
    coverage_trouble(TROUBLE_OPTED_OUT);
    (void)snprintf(entity, sizeof entity, "%016llx", (unsigned long long)contact);
    append_of(world, TOPIC_CONSENT_EVENTS, tenant, entity, &event);
}

void world_send_api(struct world *world, int tenant, bool is_call)
{
    struct th_id id = th_id_send(world_utc(world) / 1000,
                                 TH_PARTS(TH_STR("api"), {(const char *)&world->ids, 8}));
    char phone[PHONE_SIZE];
    char text[TH_ID_TEXT_LEN + 1];
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested = {
            .meta = meta_of(world, tenant),
            .send = id,
            .channel = is_call ? CHANNEL_CALL : CHANNEL_SMS,
            .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_SEND_CONTENT,
                       .as.send_content = {.text = {.as.string = TH_STR("one")},
                                           .lang = TH_STR("en"),
                                           .category = CATEGORY_TRANSACTIONAL,
                                           .policy = SEND_POLICY_AT_MOST_ONCE,
                                           .attempts_max = 4}},
            .send_at_us = world_utc(world),
            .expires_at_us = rng_permille(&world->rng, 300)
                                 ? world_utc(world) + rng_between(&world->rng, 1, 5) * TH_US_PER_SEC
                                 : 0}};

    people_phone(world, phone);
    event.as.send_requested.origin.as.send_content.to.as.string = th_str(phone);
    th_id_text(id, text);
    append_of(world, TOPIC_SEND_REQUESTS, tenant, text, &event);
}

/* --- what people do
 * -------------------------------------------------------------------------------------------- */

static void begin(struct world *world, int64_t campaign)
{
    world_done(world);
    world_command(world, (int)campaign, SIM_CREATE);
    world_command(world, (int)campaign, SIM_START);
}

static void opt_somebody_out(struct world *world)
{
    int campaign = (int)rng_below(&world->rng, world->options.campaigns_n);
    int n = people_n(world->people, campaign);

    world_opt_out(
        world, world->options.campaigns[campaign].tenant,
        th_str(person_at(world->people, campaign, (int)rng_below(&world->rng, n))->phone));
}

static void command_something(struct world *world, int64_t arg)
{
    int campaign = (int)rng_below(&world->rng, world->options.campaigns_n);
    int tenant = (int)rng_below(&world->rng, world->options.tenants);

    (void)arg;
    world_done(world);
    switch (rng_below(&world->rng, 13)) {
    case 0:
    case 1:
    case 2:
        world_command(world, campaign, SIM_PAUSE);
        break;
    case 3:
    case 4:
        world_command(world, campaign, SIM_RESUME);
        break;
    case 5:
        world_command(world, campaign, SIM_CANCEL);
        break;
    case 6:
    case 7:
        world_stop_tenant(world, tenant, !world->is_stopped[tenant]);
        break;
    case 8:
    case 9:
        world_enable_lane(world, (int)rng_below(&world->rng, world->options.lanes_n),
                          rng_permille(&world->rng, 500));
        break;
    case 10:
        change_rate(world, (int)rng_below(&world->rng, world->options.lanes_n));
        break;
    default:
        opt_somebody_out(world);
        break;
    }
}

static void change_pace(struct world *world, int64_t arg)
{
    int campaign = (int)rng_below(&world->rng, world->options.campaigns_n);

    (void)arg;
    world_done(world);
    world_set_pace(world, campaign,
                   rng_permille(&world->rng, 700) ? (int)rng_between(&world->rng, 20, 400) : 0);
}

static void send_one(struct world *world, int64_t arg)
{
    (void)arg;
    world_done(world);
    world_send_api(world, (int)rng_below(&world->rng, world->options.tenants),
                   rng_permille(&world->rng, 500));
}

/* --- what goes wrong
 * ------------------------------------------------------------------------------------------- */

static struct process *somebody(struct world *world)
{
    int seat = (int)rng_below(&world->rng, SIM_SEATS);
    struct process *process = world->owners[seat];

    return process && process->is_alive && !process->is_frozen ? process : NULL;
}

static void come_up(struct world *world, int64_t arg)
{
    (void)arg;
    world_done(world);
    world->down = 0;
    memory_log_set_down(world->log, 0);
}

static void catch_up(struct world *world, int64_t arg)
{
    (void)arg;
    world_say(world, "dispatch has read the callbacks");
    coverage_pretend_unread(0);
}

/* Between the two bounds, too: what held before must go on to hold. */
static void fall_behind(struct world *world)
{
    int64_t unread = rng_permille(&world->rng, 700) ? 5000 : 2000;

    coverage_pretend_unread(unread);
    world_say(world, "dispatch is told that %lld callbacks are unread", (long long)unread);
    world_after(world, rng_between(&world->rng, 10, 3000) * TH_US_PER_MS, catch_up, 0);
}

static void go_down(struct world *world)
{
    world->down |= 1U << rng_below(&world->rng, 4);
    memory_log_set_down(world->log, world->down);
    world_say(world, "the log is down: %u", world->down);
    coverage_trouble(TROUBLE_LOG_DOWN);
    world_after_counted(world, rng_between(&world->rng, 1, 600) * TH_US_PER_MS, come_up, 0);
}

static void jump(struct world *world)
{
    /* Backwards not far: timers then wait as long again, and the run with them. */
    int64_t by = rng_permille(&world->rng, 300)
                     ? rng_between(&world->rng, 1, 24) * HOUR_US
                     : rng_between(&world->rng, -100, 100) * TH_US_PER_SEC;

    world_say(world, "the clock jumps by %lld s", (long long)(by / TH_US_PER_SEC));
    coverage_trouble(by < 0 ? TROUBLE_CLOCK_BACK : TROUBLE_CLOCK_FORWARD);
    th_virtual_clock_set_realtime(&world->clock, th_clock_realtime_us(&world->clock.clock) + by);
}

static void reboot(struct world *world)
{
    world_say(world, "the machine goes down");
    coverage_trouble(TROUBLE_REBOOTED);
    journals_reboot(world->journals);
    for (int i = 0; i < world->processes_n; i++)
        world_kill(world, world->processes[i], rng_between(&world->rng, 10, 500) * TH_US_PER_MS);
}

static void fence(struct world *world)
{
    static const enum log_app apps[] = {LOG_APP_CAMPAIGN, LOG_APP_RETRY, LOG_APP_DISPATCH};

    coverage_trouble(TROUBLE_FENCED);
    memory_log_fence(world->log, apps[rng_below(&world->rng, SIM_APPS)],
                     (int)rng_below(&world->rng, SIM_SLOTS));
}

static void trouble(struct world *world, int64_t arg)
{
    const struct sim_odds *odds = &world->options.odds;
    struct process *process = somebody(world);

    (void)arg;
    if (!world->has_faults)
        return;
    if (process && rng_permille(&world->rng, odds->kill)) {
        coverage_trouble(TROUBLE_KILLED);
        world_kill(world, process, rng_between(&world->rng, 1, 400) * TH_US_PER_MS);
    } else if (process && rng_permille(&world->rng, odds->freeze)) {
        world_freeze(world, process, rng_between(&world->rng, 10, 3000) * TH_US_PER_MS,
                     rng_permille(&world->rng, 500));
    } else if (rng_permille(&world->rng, odds->fence)) {
        fence(world);
    } else if (rng_permille(&world->rng, odds->down)) {
        go_down(world);
    } else if (rng_permille(&world->rng, odds->jump)) {
        jump(world);
    } else if (rng_permille(&world->rng, odds->reboot)) {
        reboot(world);
    } else if (odds->behind && rng_permille(&world->rng, odds->behind)) {
        fall_behind(world);
    }
    world_after(world, rng_below(&world->rng, 2 * world->options.fault_every_us), trouble, 0);
}

void trouble_plan(struct world *world)
{
    int64_t us = world->options.faults_us;

    for (int i = 0; i < world->options.campaigns_n; i++)
        world_after_counted(world, rng_below(&world->rng, us / 4 + 1), begin, i);
    for (int i = 0; i < world->options.commands; i++)
        world_after_counted(world, rng_below(&world->rng, us), command_something, i);
    for (int i = 0; i < world->options.api_sends; i++)
        world_after_counted(world, rng_below(&world->rng, us), send_one, i);
    for (int i = 0; i < world->options.pace_changes; i++)
        world_after_counted(world, rng_below(&world->rng, us), change_pace, i);
    world_after(world, rng_below(&world->rng, world->options.fault_every_us + 1), trouble, 0);
}

void trouble_end(struct world *world)
{
    unsigned seats = 0;

    coverage_pretend_unread(0);
    world->down = 0;
    memory_log_set_down(world->log, 0);
    for (int seat = 0; seat < SIM_SEATS; seat++)
        if (!world->owners[seat])
            seats |= 1U << seat;
    if (seats && world->pending == 0)
        world_start_process(world, seats);
}
