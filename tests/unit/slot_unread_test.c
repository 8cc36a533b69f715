/* What a slot tells its core of records that are on the log and unread. */
#include "common/eventlog/memory_log.h"
#include "common/eventlog/slot.h"

#include <string.h>

#include "tests/unit/test.h"

#define RECORDS 60000 /* more than a step reads */
#define TOPIC   TOPIC_PROVIDER_CALLBACKS

/* --- a core that listens ------------------------------------------------------------------------
 */

struct ear {
    int64_t presented;
    int64_t told[RECORDS + 1]; /* with each record */
    int64_t others;            /* told of topics that it does not read */
};

static struct ear ear;

static enum th_code ear_new(const void *config, const struct core_env *env, void **out_core)
{
    (void)config, (void)env;
    *out_core = &ear;
    return TH_OK;
}

static void ear_free(void *core)
{
    (void)core;
}

static enum th_code ear_decide(void *core, const struct input *input, struct core_output *out)
{
    (void)core, (void)out;
    if (input->type != INPUT_EVENT)
        return TH_OK;
    ear.told[ear.presented++] = input->unread[TOPIC];
    for (size_t t = 0; t < TOPIC_COUNT; t++)
        ear.others += t == TOPIC ? 0 : input->unread[t];
    return TH_OK;
}

static enum th_code ear_evolve(void *core, const struct event *event)
{
    (void)core, (void)event;
    return TH_OK;
}

static enum th_code ear_opened(void *core, const struct input *input, struct core_output *out)
{
    (void)core, (void)input, (void)out;
    return TH_OK;
}

static int64_t ear_next_due_us(const void *core)
{
    (void)core;
    return INT64_MAX;
}

static void ear_batch(void *core)
{
    (void)core;
}

static enum th_code ear_save(const void *core, int part, int piece, struct th_buf *out)
{
    (void)core, (void)part, (void)piece, (void)out;
    return TH_OK;
}

static enum th_code ear_load(void *core, int part, int piece, struct th_str bytes)
{
    (void)core, (void)part, (void)piece, (void)bytes;
    return TH_OK;
}

static const struct core_ops ear_core = {
    .name = "ear",
    .app = LOG_APP_DISPATCH,
    .own = TOPIC_DISPATCH_ATTEMPTS,
    .inputs = UINT32_C(1) << TOPIC,
    .fold_version = 1,
    .new = ear_new,
    .free = ear_free,
    .decide = ear_decide,
    .evolve = ear_evolve,
    .opened = ear_opened,
    .next_due_us = ear_next_due_us,
    .batch_close = ear_batch,
    .batch_forget = ear_batch,
    .batch_undo = ear_batch,
    .pieces = 1,
    .save = ear_save,
    .load = ear_load,
};

/* --- the test -----------------------------------------------------------------------------------
 */

static void append(struct th_log *log, int n)
{
    struct event event = {.type = EVENT_CALLBACK_RECEIVED,
                          .as.callback_received = {.meta = {.tenant = TH_STR("ngo")},
                                                   .wire = TH_STR("toy"),
                                                   .body = {.as.string = TH_STR("delivered")}}};
    TH_AUTO(th_buf) struct th_buf value = {0};

    assert_int_equal(event_encode(&event, &value), TH_OK);
    struct log_output output = {TOPIC, 0, TH_STR("ngo/lane"), .value = th_buf_str(&value)};
    for (int i = 0; i < n; i++)
        assert_int_equal(th_log_append(log, &output, 1, NULL, NULL), TH_OK);
}

/* Time passes, and the slot does what is due. */
static void step(struct slot *slot, struct th_virtual_clock *clock)
{
    int64_t next_us;

    th_virtual_clock_advance(clock, TH_US_PER_SEC);
    assert_int_equal(slot_step(slot, &next_us, NULL), TH_OK);
}

static void read_all(struct slot *slot, struct th_virtual_clock *clock, int64_t n)
{
    for (int steps = 0; ear.presented < n; steps++) {
        assert_true(steps < 1000);
        step(slot, clock);
    }
}

static void test_the_core_is_told_what_is_unread(void **unused)
{
    struct th_virtual_clock clock;
    struct th_log *log;
    struct slot *slot;
    struct slot_status status = {0};
    int64_t greatest = 0;

    (void)unused;
    th_virtual_clock_init(&clock, TH_US_PER_DAY);
    struct memory_log_options options = {
        .partitions = 1, .bytes_max = 1 << 26, .clock = &clock.clock, .seed = 1, .is_quiet = true};
    assert_int_equal(memory_log_new(&options, &log, NULL), TH_OK);
    struct reference *ref = reference_new();
    struct slot_config config = {.log = log,
                                 .clock = &clock.clock,
                                 .reference = ref,
                                 .core = &ear_core,
                                 .slots = 1,
                                 .poll_us = 1000,
                                 .reopen_wait_us = 1000,
                                 .snapshot_bytes_min = 1 << 20};
    assert_int_equal(slot_new(&config, &slot, NULL), TH_OK);
    for (int steps = 0; !status.is_open; steps++) {
        assert_true(steps < 100);
        step(slot, &clock);
        status = slot_status(slot);
    }

    append(log, RECORDS);
    read_all(slot, &clock, RECORDS);
    print_message("  never more than there are, and most of them when it has looked\n");
    for (int64_t i = 0; i < RECORDS; i++) {
        assert_true(ear.told[i] <= RECORDS - i);
        greatest = ear.told[i] > greatest ? ear.told[i] : greatest;
    }
    assert_true(greatest > RECORDS / 2);
    print_message("  it counts down as it reads, to the last\n");
    assert_int_equal(ear.told[RECORDS - 1], 1);
    print_message("  of what it has read it says nothing later\n");
    step(slot, &clock);
    append(log, 1);
    read_all(slot, &clock, RECORDS + 1);
    assert_int_equal(ear.told[RECORDS], 0);
    assert_int_equal(ear.others, 0);

    slot_free(slot);
    reference_free(ref);
    th_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_core_is_told_what_is_unread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
