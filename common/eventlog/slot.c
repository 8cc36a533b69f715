#include "common/eventlog/slot_private.h"

#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define INBOX_ARENA_MAX   ((size_t)16 * 1024 * 1024)
#define SCRATCH_ARENA_MAX ((size_t)64 * 1024 * 1024)
#define PASSES_MAX        8                    /* of one step */
#define STEP_WAIT_MAX_US  (250 * TH_US_PER_MS) /* a stop of a tenant must bind within a second */
#define COMMIT_POLL_US    TH_US_PER_MS         /* where the log has no descriptor to wait for */
#define OPENING_POLL_US   (10 * TH_US_PER_MS)
#define MEASURE_EVERY_US  TH_US_PER_SEC

/* --- making ----------------------------------------------------------------------------------- */

static enum th_code check_config(const struct slot_config *config, struct th_err *err)
{
    const struct core_ops *core = config->core;
    int partitions = th_log_partitions(config->log, core->own);

    if (config->slots < 1 || config->slots > LOG_SLOTS_MAX || config->slot < 0 ||
        config->slot >= config->slots)
        return th_fail(err, TH_INVALID, "%s: slot %d of %d", core->name, config->slot,
                       config->slots);
    if (config->slots > partitions)
        return th_fail(err, TH_INVALID, "%s: %d slots for %d partitions; have at most as many",
                       core->name, config->slots, partitions);
    if (config->poll_us < 1 || config->reopen_wait_us < 1)
        return th_fail(err, TH_INVALID, "%s: waits must be longer than nothing", core->name);
    return TH_OK;
}

/* What a core reads and writes is written in its source. */
static void assert_topics(const struct core_ops *core)
{
    assert(core->inputs && core->inputs >> TOPIC_COUNT == 0);
    assert(!(core->inputs & UINT32_C(1) << core->own));
    assert(topic_kind(core->own) != TOPIC_REFERENCE);
    assert(core->pieces >= 1);
    assert(!core->cursor == !core->resume);
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        assert(!(core->inputs & UINT32_C(1) << topic) ||
               topic_kind((enum topic)topic) != TOPIC_REFERENCE);
}

static void list_inputs(struct slot *slot)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        if (!(slot->ops->inputs & UINT32_C(1) << topic))
            continue;
        int partitions = th_log_partitions(slot->config.log, (enum topic)topic);
        for (int part = slot->config.slot; part < partitions; part += slot->config.slots)
            slot->inputs[slot->inputs_n++] =
                (struct slot_input){.topic = (enum topic)topic, .part = part};
    }
}

static enum th_code list_own(struct slot *slot)
{
    for (int part = slot->config.slot; part < slot->env.partitions; part += slot->config.slots) {
        struct slot_own *own = &slot->own[slot->own_n++];
        *own = (struct slot_own){.part = part};
        own->upto = calloc((size_t)slot->ops->pieces, sizeof *own->upto);
        if (!own->upto)
            return TH_NOMEM;
    }
    return TH_OK;
}

static enum th_code make_batches(struct slot *slot)
{
    size_t n = slot->inputs_n;

    slot->at.read_to = calloc(n, sizeof *slot->at.read_to);
    if (!slot->at.read_to)
        return TH_NOMEM;
    for (size_t i = 0; i < TH_LEN(slot->batches); i++) {
        core_batch_init(&slot->batches[i].said);
        slot->batches[i].start.read_to = calloc(n, sizeof *slot->at.read_to);
        if (!slot->batches[i].start.read_to)
            return TH_NOMEM;
    }
    slot->gathering = &slot->batches[0];
    return TH_OK;
}

static enum th_code make_parts(struct slot *slot)
{
    size_t parts_max = (size_t)slot->env.partitions * TOPIC_COUNT;

    slot->inputs = calloc(parts_max, sizeof *slot->inputs);
    slot->own = calloc((size_t)slot->env.partitions, sizeof *slot->own);
    if (!slot->inputs || !slot->own)
        return TH_NOMEM;
    list_inputs(slot);
    TH_TRY(list_own(slot));
    return make_batches(slot);
}

enum th_code slot_new(const struct slot_config *config, struct slot **out_slot, struct th_err *err)
{
    TH_TRY(check_config(config, err));
    assert_topics(config->core);
    struct slot *slot = calloc(1, sizeof *slot);
    if (!slot)
        return th_fail(err, TH_NOMEM, "%s: a slot", config->core->name);

    slot->config = *config;
    slot->ops = config->core;
    slot->env = (struct core_env){
        .reference = config->reference,
        .slot = config->slot,
        .slots = config->slots,
        .partitions = th_log_partitions(config->log, config->core->own),
    };
    slot->moved_at_us = -1;
    pthread_mutex_init(&slot->mutex, NULL);
    th_arena_init(&slot->inbox_arena, INBOX_ARENA_MAX);
    th_arena_init(&slot->scratch, SCRATCH_ARENA_MAX);
    if (make_parts(slot) != TH_OK) {
        slot_free(slot);
        return th_fail(err, TH_NOMEM, "%s: a slot", config->core->name);
    }
    *out_slot = slot;
    return TH_OK;
}

/* --- status --------------------------------------------------------------------------------- */

static void measure_lag(struct slot *slot)
{
    int64_t lag[TOPIC_COUNT];

    for (size_t t = 0; t < TOPIC_COUNT; t++)
        lag[t] = slot->ops->inputs & 1U << t ? 0 : -1;
    for (size_t i = 0; i < slot->inputs_n && !slot->is_caught_up; i++) {
        int64_t end;
        if (th_log_end(slot->config.log, slot->inputs[i].topic, slot->inputs[i].part, &end, NULL) !=
            TH_OK)
            return; /* the log is away: commits will say so */
        lag[slot->inputs[i].topic] += end - slot->at.read_to[i];
    }
    memcpy(slot->status.lag_records, lag, sizeof lag);
    for (size_t t = 0; t < TOPIC_COUNT; t++)
        slot->unread[t] = lag[t] > 0 ? lag[t] : 0;
}

static void measure_core(struct slot *slot)
{
    struct core_figure figures[CORE_FIGURES_MAX];
    size_t n = slot->core && slot->ops->figures ? slot->ops->figures(slot->core, figures) : 0;

    pthread_mutex_lock(&slot->mutex);
    memcpy(slot->figures, figures, n * sizeof *figures);
    slot->figures_n = n;
    pthread_mutex_unlock(&slot->mutex);
}

/* What is not counted as it happens. */
static void measure(struct slot *slot)
{
    if (slot->phase != SLOT_RUNNING || slot->boot_us < slot->measure_at_us)
        return;
    slot->measure_at_us = slot->boot_us + MEASURE_EVERY_US;
    measure_lag(slot);
    measure_core(slot);
}

static void publish(struct slot *slot)
{
    measure(slot);
    slot->status.is_open = slot->phase == SLOT_RUNNING && slot->at.is_opened;
    pthread_mutex_lock(&slot->mutex);
    slot->published = slot->status;
    pthread_mutex_unlock(&slot->mutex);
}

struct slot_status slot_status(const struct slot *slot)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)&slot->mutex;

    pthread_mutex_lock(mutex);
    struct slot_status status = slot->published;
    pthread_mutex_unlock(mutex);
    return status;
}

size_t slot_figures(const struct slot *slot, struct core_figure *out)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)&slot->mutex;

    pthread_mutex_lock(mutex);
    size_t n = slot->published.is_open ? slot->figures_n : 0;
    memcpy(out, slot->figures, n * sizeof *out);
    pthread_mutex_unlock(mutex);
    return n;
}

/* --- ending -------------------------------------------------------------------------------------
 */

void slot_drop(struct slot *slot, bool release)
{
    /* First of all the permits: nothing may be sent that this slot no longer answers for. */
    if (slot->session && slot->config.effects)
        slot->config.effects->ops->session(slot->config.effects, 0);
    slot->ops->free(slot->core);
    slot->core = NULL;
    th_log_reader_close(slot->reader);
    slot->reader = NULL;
    th_log_listener_close(slot->listener);
    slot->listener = NULL;
    bool is_committing = slot->committing || slot->phase == SLOT_CURSORS;
    th_log_session_close(slot->session, release && !is_committing);
    slot->session = NULL;
    slot->committing = NULL;
    slot->is_poisoned = false;
    slot->inbox = (struct log_records){0};
    slot->inbox_next = 0;
    memset(slot->unread, 0, sizeof slot->unread);
    slot->answers.reserved = 0;
    /* What became of calls is true whoever owns the slot: the next session is told. Nothing is
     * said of calls that a commit in flight announced: if it comes to nothing, another session may
     * announce them again, and mean it. Those of a commit that did happen are found by their
     * session in the journal. */
    answers_rewind(&slot->answers, 1);
    slot->phase = SLOT_CLOSED;
    publish(slot);
}

static void slot_destroy(struct slot *slot)
{
    for (size_t i = 0; i < TH_LEN(slot->batches); i++) {
        core_batch_fini(&slot->batches[i].said);
        free(slot->batches[i].start.read_to);
    }
    for (size_t i = 0; i < slot->own_n; i++)
        free(slot->own[i].upto);
    free(slot->at.read_to);
    free(slot->inputs);
    free(slot->own);
    free(slot->places);
    answers_fini(&slot->answers);
    th_arena_fini(&slot->inbox_arena);
    th_arena_fini(&slot->scratch);
    pthread_mutex_destroy(&slot->mutex);
    free(slot);
}

void slot_free(struct slot *slot)
{
    if (!slot)
        return;
    slot_drop(slot, true);
    slot_destroy(slot);
}

void slot_crash(struct slot *slot)
{
    slot_drop(slot, false);
    slot_destroy(slot);
}

/* --- stepping ------------------------------------------------------------------------------- */

void slot_note(struct slot *slot, enum th_code code, const char *fmt, ...)
{
    va_list args;

    slot->noted.code = code;
    va_start(args, fmt);
    vsnprintf(slot->noted.text, sizeof slot->noted.text, fmt, args);
    va_end(args);
}

void slot_wait(struct slot *slot, int64_t us)
{
    slot->wait_until_us = slot->boot_us + us;
}

static void tick(struct slot *slot)
{
    const struct th_clock *clock = slot->config.clock;
    int64_t realtime_us = th_clock_realtime_us(clock);

    slot->boot_us = th_clock_boottime_us(clock);
    if (!slot->is_watching)
        clock_watch_init(&slot->watch, realtime_us, slot->boot_us);
    slot->is_watching = true;
    slot->now_us = clock_watch_now_us(&slot->watch, realtime_us, slot->boot_us);
}

static enum th_code step_closed(struct slot *slot, struct th_err *err)
{
    if (slot->boot_us < slot->reopen_at_us || slot->is_stopping)
        return TH_OK;
    return slot_open(slot, err);
}

static void look_at_hint(struct slot *slot)
{
    struct pollfd hint = {.fd = th_log_listener_fd(slot->listener), .events = POLLIN};

    if (hint.fd < 0 || slot->boot_us >= slot->read_at_us || poll(&hint, 1, 0) < 1)
        return;
    slot->read_at_us = slot->boot_us;
    slot->read_wait_us = slot->config.poll_us;
}

/* What gathered behind a commit is sent off as soon as that is done, so one step may see several
 * commits where they are quick. */
static enum th_code step_running(struct slot *slot, struct th_err *err)
{
    look_at_hint(slot);
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        uint64_t commits = slot->status.commits;

        TH_TRY(slot_poll_commit(slot, err));
        if (slot->phase != SLOT_RUNNING || slot->boot_us < slot->wait_until_us)
            return TH_OK;
        TH_TRY(slot_gather(slot, err));
        TH_TRY(slot_start_commit(slot, err));
        TH_TRY(slot_poll_commit(slot, err));
        if (slot->phase != SLOT_RUNNING)
            return TH_OK;
        if (slot->status.commits == commits)
            break;
    }
    slot_write_snapshots(slot);
    return TH_OK;
}

static enum th_code step_stuck(struct slot *slot, struct th_err *err)
{
    return th_fail(err, slot->stuck.code, "%s", slot->stuck.text);
}

static enum th_code (*const phases[])(struct slot *slot, struct th_err *err) = {
    [SLOT_CLOSED] = step_closed,      [SLOT_CURSORS] = slot_open_cursors,
    [SLOT_REPLAY] = slot_open_replay, [SLOT_REFERENCE] = slot_open_reference,
    [SLOT_RUNNING] = step_running,    [SLOT_STUCK] = step_stuck,
};

static void fail(struct slot *slot, const struct th_err *why)
{
    if (slot->phase == SLOT_STUCK)
        return;
    slot_drop(slot, true);
    if (why->code == TH_CORRUPT) {
        slot->stuck = *why;
        slot->phase = SLOT_STUCK;
    }
    slot->reopen_at_us = slot->boot_us + slot->config.reopen_wait_us;
}

/* --- what comes next ---------------------------------------------------------------------------
 */

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t wait_for_input(const struct slot *slot)
{
    if (slot->inbox_next < slot->inbox.n || slot->answers.next < slot->answers.n ||
        slot->at.is_offering || !slot->at.is_opened)
        return 0;
    int64_t due_us = slot->ops->next_due_us(slot->core);
    int64_t wait_us = slot->read_at_us - slot->boot_us;
    return due_us == INT64_MAX ? wait_us : sooner(wait_us, due_us - slot->now_us);
}

/* µs from now, as a running slot. */
static int64_t wait_running(const struct slot *slot)
{
    int64_t wait_us = STEP_WAIT_MAX_US;

    if (slot->committing && th_log_session_fd(slot->session) < 0)
        wait_us = COMMIT_POLL_US;
    if (slot->boot_us < slot->wait_until_us)
        return sooner(wait_us, slot->wait_until_us - slot->boot_us);
    if (slot_has_room(slot))
        wait_us = sooner(wait_us, wait_for_input(slot));
    else if (!slot->committing)
        return 0;
    if (!slot->committing && slot->moved_at_us >= 0)
        wait_us = sooner(wait_us, slot->moved_at_us + MOVED_WAIT_US - slot->boot_us);
    return slot->snapshot.is_active ? 0 : wait_us;
}

static int64_t wait_us(const struct slot *slot)
{
    switch (slot->phase) {
    case SLOT_CLOSED:
        return slot->reopen_at_us - slot->boot_us;
    case SLOT_CURSORS:
        return COMMIT_POLL_US;
    case SLOT_REPLAY:
        return slot->is_caught_up ? OPENING_POLL_US : 0;
    case SLOT_REFERENCE:
        return OPENING_POLL_US;
    case SLOT_RUNNING:
        return wait_running(slot);
    case SLOT_STUCK:
        break;
    }
    return INT64_MAX;
}

const void *slot_core(const struct slot *slot)
{
    return slot->phase == SLOT_RUNNING ? slot->core : NULL;
}

/* --- a step -------------------------------------------------------------------------------------
 */

enum th_code slot_step(struct slot *slot, int64_t *out_next_us, struct th_err *err)
{
    struct th_err why = {0};

    tick(slot);
    slot->noted.code = TH_OK;
    enum th_code code = phases[slot->phase](slot, &why);
    if (code != TH_OK) {
        why.code = code;
        fail(slot, &why);
    } else if (slot->noted.code != TH_OK) {
        why = slot->noted;
        code = why.code;
    }
    publish(slot);

    int64_t wait = wait_us(slot);
    *out_next_us = wait == INT64_MAX ? INT64_MAX : slot->now_us + (wait > 0 ? wait : 0);
    if (code == TH_OK)
        return TH_OK;
    return th_fail(err, code, "%s slot %d: %s", slot->ops->name, slot->config.slot, why.text);
}
