/* A core that leaves records waiting and settles them in any order, as a lane's owner does with its
 * plans: the cursor is the first one not settled, its note a bitmap of those settled beyond it. */
#include "common/eventlog/memory_log.h"
#include "common/eventlog/slot.h"
#include "common/eventlog/table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/test.h"

#define PARTITIONS  4
#define SLOTS       2
#define PLANS_MAX   600
#define OFFSETS_MAX 4096
#define TICK_US     1000

/* --- the core -----------------------------------------------------------------------------------
 */

struct waiting {
    struct th_id id; /* partition and offset */
    int part;
    int64_t offset;
    struct th_id send;
};

struct waiter {
    struct table *waiting;                    /* volatile: read again after a restart */
    bool is_settled[PARTITIONS][OFFSETS_MAX]; /* what cursors said at opening */
    int64_t settled_end[PARTITIONS];
    int64_t due_us;
};

static struct th_id place_id(int part, int64_t offset)
{
    return (struct th_id){
        .b = {(uint8_t)part, (uint8_t)(offset >> 16), (uint8_t)(offset >> 8), (uint8_t)offset}};
}

static enum th_code waiter_new(const void *config, const struct core_env *env, void **out_core)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);

    (void)config;
    (void)env;
    waiter->waiting = table_new(sizeof(struct waiting), OFFSETS_MAX);
    *out_core = waiter;
    return TH_OK;
}

static void waiter_free(void *core)
{
    if (core)
        table_free(((struct waiter *)core)->waiting);
    free(core);
}

static enum th_code plan_read(struct waiter *waiter, const struct input *input)
{
    struct log_place place = input->place;
    void *entry;

    if (place.offset < waiter->settled_end[place.part] &&
        waiter->is_settled[place.part][place.offset])
        return TH_OK;
    enum th_code code = table_insert(waiter->waiting, place_id(place.part, place.offset), &entry);
    assert(code != TH_CONFLICT); /* presented twice to one core, without an undo in between */
    TH_TRY(code);
    struct waiting *plan = entry;
    plan->part = place.part;
    plan->offset = place.offset;
    plan->send = input->event->as.attempt_plan.send;
    return TH_OK;
}

/* Any of those that wait: the one whose hash with the time is least. */
static const struct waiting *pick(const struct waiter *waiter, int64_t now_us)
{
    const struct waiting *best = NULL;
    const struct waiting *plan;
    uint64_t least = UINT64_MAX;
    size_t at = 0;

    while ((plan = table_next(waiter->waiting, &at))) {
        uint64_t hash = (th_id_hash(plan->id) ^ (uint64_t)now_us) * UINT64_C(0x9e3779b97f4a7c15);
        if (hash >> 8 < least) {
            least = hash >> 8;
            best = plan;
        }
    }
    return best;
}

static enum th_code settle_one(struct waiter *waiter, const struct input *input,
                               struct core_output *out)
{
    const struct waiting *plan = pick(waiter, input->now_us);

    waiter->due_us = input->now_us + TICK_US;
    if (!plan)
        return TH_OK;
    struct event returned = {
        .type = EVENT_ATTEMPT_RETURNED,
        .as.attempt_returned = {.meta = core_meta(out, TH_STR("ngo")), .send = plan->send, .n = 1}};
    TH_TRY(core_say(out, plan->part, TH_STR("ngo/lane"), &returned));
    return table_remove(waiter->waiting, plan->id);
}

static enum th_code waiter_decide(void *core, const struct input *input, struct core_output *out)
{
    if (input->type == INPUT_EVENT)
        return plan_read(core, input);
    if (input->type == INPUT_TIME)
        return settle_one(core, input, out);
    return TH_OK;
}

static enum th_code waiter_evolve(void *core, const struct event *event)
{
    (void)core;
    (void)event;
    return TH_OK;
}

static enum th_code waiter_opened(void *core, const struct input *input, struct core_output *out)
{
    (void)core;
    (void)input;
    (void)out;
    return TH_OK;
}

static int64_t waiter_next_due_us(const void *core)
{
    const struct waiter *waiter = core;

    return table_count(waiter->waiting) ? waiter->due_us : INT64_MAX;
}

static void waiter_close(void *core)
{
    table_close(((struct waiter *)core)->waiting);
}

static void waiter_forget(void *core)
{
    table_forget(((struct waiter *)core)->waiting);
}

static void waiter_undo(void *core)
{
    table_undo(((struct waiter *)core)->waiting);
}

static bool waits(const struct waiter *waiter, int part, int64_t offset)
{
    return table_get(waiter->waiting, place_id(part, offset)) != NULL;
}

/* Beyond what was presented, what the last cursor said still holds. */
static enum th_code waiter_cursor(void *core, enum topic topic, int part, int64_t read_to,
                                  struct th_arena *arena, struct log_cursor *out)
{
    struct waiter *waiter = core;
    int64_t end = read_to > waiter->settled_end[part] ? read_to : waiter->settled_end[part];
    int64_t next = out->next.offset;
    const struct waiting *plan;
    size_t at = 0;

    while ((plan = table_next(waiter->waiting, &at)))
        if (plan->part == part && plan->offset < next)
            next = plan->offset;
    size_t size = (size_t)(end - next + 7) / 8;
    char *bits = th_arena_alloc(arena, size + 1);
    if (!bits)
        return TH_NOMEM;
    for (int64_t i = next; i < end; i++) {
        bool is_settled = i < read_to ? !waits(waiter, part, i) : waiter->is_settled[part][i];
        if (is_settled)
            bits[(i - next) / 8] = (char)(bits[(i - next) / 8] | 1 << (i - next) % 8);
    }
    *out = (struct log_cursor){.next = {topic, part, next}, .note = {bits, size}};
    return TH_OK;
}

static enum th_code waiter_resume(void *core, const struct log_cursor *cursor)
{
    struct waiter *waiter = core;
    int part = cursor->next.part;

    for (size_t i = 0; i < 8 * cursor->note.n; i++)
        waiter->is_settled[part][cursor->next.offset + (int64_t)i] =
            cursor->note.p[i / 8] >> i % 8 & 1;
    waiter->settled_end[part] = cursor->next.offset + 8 * (int64_t)cursor->note.n;
    return TH_OK;
}

static enum th_code waiter_save(const void *core, int part, int piece, struct th_buf *out)
{
    (void)core;
    (void)part;
    (void)piece;
    (void)out;
    return TH_OK;
}

static enum th_code waiter_load(void *core, int part, int piece, struct th_str bytes)
{
    (void)core;
    (void)part;
    (void)piece;
    return bytes.n ? TH_CORRUPT : TH_OK;
}

static const struct core_ops waiter_core = {
    .name = "waiter",
    .app = LOG_APP_DISPATCH,
    .own = TOPIC_DISPATCH_ATTEMPTS,
    .inputs = UINT32_C(1) << TOPIC_DISPATCH_REQUESTS,
    .fold_version = 1,
    .new = waiter_new,
    .free = waiter_free,
    .decide = waiter_decide,
    .evolve = waiter_evolve,
    .opened = waiter_opened,
    .next_due_us = waiter_next_due_us,
    .batch_close = waiter_close,
    .batch_forget = waiter_forget,
    .batch_undo = waiter_undo,
    .cursor = waiter_cursor,
    .resume = waiter_resume,
    .pieces = 1,
    .save = waiter_save,
    .load = waiter_load,
};

/* --- the world ----------------------------------------------------------------------------------
 */

struct yard {
    uint64_t rng;
    bool is_stormy;
    struct th_virtual_clock clock;
    struct th_log *log;
    struct reference *ref;
    struct slot *slots[SLOTS];
    int plans;
    int garbage;
};

static unsigned roll(struct yard *yard, unsigned n)
{
    yard->rng = yard->rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(yard->rng >> 33) % n;
}

static enum memory_fate fate(void *arg, enum log_app app, int slot, uint64_t seq)
{
    static const enum memory_fate fates[] = {MEMORY_ABORT, MEMORY_LOST_ABORTED,
                                             MEMORY_LOST_COMMITTED, MEMORY_HOLD};
    struct yard *yard = arg;
    unsigned n = roll(yard, 12);

    (void)app;
    (void)slot;
    (void)seq;
    return yard->is_stormy && n < TH_LEN(fates) ? fates[n] : MEMORY_COMMIT;
}

static void open_slot(struct yard *yard, int slot)
{
    struct slot_config config = {
        .log = yard->log,
        .clock = &yard->clock.clock,
        .reference = yard->ref,
        .core = &waiter_core,
        .slot = slot,
        .slots = SLOTS,
        .poll_us = 1000,
        .reopen_wait_us = 2000,
        .snapshot_bytes_min = 500,
    };
    assert_int_equal(slot_new(&config, &yard->slots[slot], NULL), TH_OK);
}

static void yard_init(struct yard *yard, uint64_t seed)
{
    *yard = (struct yard){.rng = seed, .is_stormy = true};
    th_virtual_clock_init(&yard->clock, TH_US_PER_DAY);
    struct memory_log_options options = {.partitions = PARTITIONS,
                                         .bytes_max = 1 << 26,
                                         .clock = &yard->clock.clock,
                                         .seed = seed,
                                         .is_quiet = true,
                                         .fate = fate,
                                         .fate_arg = yard};
    assert_int_equal(memory_log_new(&options, &yard->log, NULL), TH_OK);
    yard->ref = reference_new();
    for (int slot = 0; slot < SLOTS; slot++)
        open_slot(yard, slot);
}

static void yard_fini(struct yard *yard)
{
    for (int slot = 0; slot < SLOTS; slot++)
        slot_free(yard->slots[slot]);
    reference_free(yard->ref);
    th_log_close(yard->log);
}

static void append(struct yard *yard, struct th_str value)
{
    struct log_output output = {.topic = TOPIC_DISPATCH_REQUESTS,
                                .part = (int)roll(yard, PARTITIONS),
                                .key = TH_STR("ngo/lane"),
                                .value = value};
    assert_int_equal(th_log_append(yard->log, &output, 1, NULL, NULL), TH_OK);
}

static void append_plan(struct yard *yard)
{
    struct event plan = {.type = EVENT_ATTEMPT_PLAN, .as.attempt_plan.n = 1};
    TH_AUTO(th_buf) struct th_buf value = {0};

    if (yard->plans == PLANS_MAX)
        return;
    plan.as.attempt_plan.send.b[0] = (uint8_t)(yard->plans >> 8);
    plan.as.attempt_plan.send.b[1] = (uint8_t)yard->plans;
    yard->plans++;
    assert_int_equal(event_encode(&plan, &value), TH_OK);
    append(yard, th_buf_str(&value));
}

static void append_garbage(struct yard *yard)
{
    char text[16];

    snprintf(text, sizeof text, "junk %d", yard->garbage++);
    append(yard, th_str(text));
}

static void turn(struct yard *yard)
{
    int slot = (int)roll(yard, SLOTS);
    struct th_err err = {0};
    int64_t next_us;

    if (yard->is_stormy && roll(yard, 30) == 0) {
        slot_crash(yard->slots[slot]);
        open_slot(yard, slot);
    }
    if (yard->is_stormy && roll(yard, 30) == 0)
        memory_log_fence(yard->log, LOG_APP_DISPATCH, slot);
    if (roll(yard, 3) == 0)
        memory_log_settle(yard->log, LOG_APP_DISPATCH, slot,
                          roll(yard, 2) ? MEMORY_COMMIT : MEMORY_ABORT);
    enum th_code code = slot_step(yard->slots[slot], &next_us, &err);
    if (code == TH_CORRUPT)
        fail_msg("%s", err.text);
    th_virtual_clock_advance(&yard->clock, roll(yard, 1500));
}

/* --- what must be true ---------------------------------------------------------------------------
 */

struct found {
    int returned[PLANS_MAX];
    struct th_id dead[64];
    int dead_n;
};

static void note_dead(struct found *found, struct th_id id)
{
    for (int i = 0; i < found->dead_n; i++)
        if (th_id_eq(found->dead[i], id))
            return; /* met again after a restart: the same letter */
    assert_true(found->dead_n < 64);
    found->dead[found->dead_n++] = id;
}

static void look(struct yard *yard, enum topic topic, struct found *found)
{
    struct log_place from[PARTITIONS];
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;

    for (int part = 0; part < PARTITIONS; part++)
        from[part] = (struct log_place){topic, part, 0};
    th_arena_init(&arena, 1 << 26);
    assert_int_equal(th_log_reader_open(yard->log, from, PARTITIONS, &reader, NULL), TH_OK);
    do {
        assert_int_equal(th_log_reader_read(reader, 1 << 20, &arena, &records, NULL), TH_OK);
        for (size_t i = 0; i < records.n; i++) {
            struct event event;
            assert_int_equal(event_decode(records.at[i].value, &arena, &event, NULL), TH_OK);
            if (event.type == EVENT_ATTEMPT_RETURNED) {
                const struct th_id *send = &event.as.attempt_returned.send;
                found->returned[send->b[0] << 8 | send->b[1]]++;
            } else if (event.type == EVENT_DEAD_LETTER)
                note_dead(found, event.as.dead_letter.meta.event_id);
        }
    } while (records.n > 0);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
}

static void check(struct yard *yard, uint64_t seed)
{
    struct found found = {0};

    look(yard, TOPIC_DISPATCH_ATTEMPTS, &found);
    look(yard, TOPIC_DEAD_LETTERS, &found);
    for (int i = 0; i < yard->plans; i++)
        if (found.returned[i] != 1)
            fail_msg("seed %lu: plan %d was settled %d times", (unsigned long)seed, i,
                     found.returned[i]);
    assert_int_equal(found.dead_n, yard->garbage);
}

static void test_settled_in_any_order_none_is_lost_or_repeated(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct yard yard;

        yard_init(&yard, seed);
        for (int i = 0; i < 20; i++)
            turn(&yard);
        for (int i = 0; i < 1500; i++) {
            if (roll(&yard, 4) == 0)
                append_plan(&yard);
            if (roll(&yard, 80) == 0)
                append_garbage(&yard);
            turn(&yard);
        }
        yard.is_stormy = false;
        for (int i = 0; i < 3000; i++)
            turn(&yard);
        check(&yard, seed);
        yard_fini(&yard);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settled_in_any_order_none_is_lost_or_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
