#include "common/eventlog/slot_private.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>

#define REPLAY_BYTES_MAX ((size_t)1024 * 1024) /* folded in one step */
#define CREATE_WAIT_MS   100
#define CREATE_WAITS_MAX 300

static const enum topic reference_topics[] = {TOPIC_CONFIG, TOPIC_CONSENT_EVENTS,
                                              TOPIC_CAMPAIGN_CONTROL, TOPIC_LANE_HEALTH};

/* --- the partitions of a slot -------------------------------------------------------------------
 */

/* Every partition that a slot of this core reads, and those it writes as its own. */
struct slot_places {
    struct log_place *at; /* inputs first */
    size_t inputs_n;
    size_t n;
};

static enum th_code list_places(const struct th_log *log, const struct core_ops *core, int slot,
                                int slots, struct slot_places *out)
{
    *out = (struct slot_places){0};
    out->at = calloc((size_t)th_log_partitions(log, core->own) * TOPIC_COUNT, sizeof *out->at);
    if (!out->at)
        return TH_NOMEM;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        if (core->inputs & UINT32_C(1) << topic)
            for (int part = slot; part < th_log_partitions(log, (enum topic)topic); part += slots)
                out->at[out->n++] = (struct log_place){(enum topic)topic, part, 0};
    out->inputs_n = out->n;
    for (int part = slot; part < th_log_partitions(log, core->own); part += slots)
        out->at[out->n++] = (struct log_place){core->own, part, 0};
    return TH_OK;
}

static enum th_code start_first_cursors(struct th_log_session *session,
                                        const struct slot_places *places, struct th_err *err)
{
    struct log_cursor *cursors = calloc(places->inputs_n, sizeof *cursors);

    if (!cursors)
        return th_fail(err, TH_NOMEM, "first cursors");
    for (size_t i = 0; i < places->inputs_n; i++)
        cursors[i].next = places->at[i];
    enum th_code code = th_log_commit_start(
        session, &(struct log_txn){.cursors = cursors, .cursors_n = places->inputs_n}, err);
    free(cursors);
    return code;
}

static enum th_code check_session(const struct th_log_session *session,
                                  const struct slot_places *places, struct th_err *err)
{
    enum th_code code = th_log_session_check(session, places->at, places->n, err);

    if (code == TH_CORRUPT)
        return th_wrap(err, "will not open. Restore the log from a copy that has its cursors, or "
                            "create the installation anew if it never sent anything");
    return code;
}

/* --- creation --------------------------------------------------------------------------------- */

static enum th_code wait_for_commit(struct th_log_session *session, struct th_err *err)
{
    struct th_err why = {0};
    bool is_answered;

    for (int i = 0; i < CREATE_WAITS_MAX; i++) {
        struct pollfd fd = {.fd = th_log_session_fd(session), .events = POLLIN};
        switch (th_log_commit_poll(session, NULL, &is_answered, &why)) {
        case LOG_COMMIT_PENDING:
            poll(&fd, 1, CREATE_WAIT_MS);
            break;
        case LOG_COMMITTED:
            return TH_OK;
        case LOG_ABORTED:
        case LOG_FENCED:
            return th_fail(err, TH_UNAVAILABLE, "first cursors: %s", why.text);
        }
    }
    return th_fail(err, TH_TIMEOUT, "first cursors: no answer");
}

static enum th_code init_slot(struct th_log *log, const struct core_ops *core, int slot, int slots,
                              struct th_err *err)
{
    struct th_log_session *session = NULL;
    struct slot_places places;
    const struct log_cursor *cursors;
    size_t cursors_n;

    if (list_places(log, core, slot, slots, &places) != TH_OK)
        return th_fail(err, TH_NOMEM, "first cursors");
    enum th_code code = th_log_session_open(log, core->app, slot, &session, err);
    if (code == TH_OK) {
        th_log_session_cursors(session, &cursors, &cursors_n);
        code = check_session(session, &places, err);
    }
    if (code == TH_OK && cursors_n == 0) {
        code = start_first_cursors(session, &places, err);
        if (code == TH_OK)
            code = wait_for_commit(session, err);
    }
    th_log_session_close(session, true);
    free(places.at);
    return code;
}

enum th_code slot_init_cursors(struct th_log *log, const struct core_ops *core, int slots,
                               struct th_err *err)
{
    for (int slot = 0; slot < slots; slot++)
        if (init_slot(log, core, slot, slots, err) != TH_OK)
            return th_wrap(err, "%s slot %d", core->name, slot);
    return TH_OK;
}

/* --- a log that is filled from another -----------------------------------------------------------
 */

#define SETTLED_ARENA ((size_t)16 * 1024 * 1024)

/* How far any slot of this core has read each partition of a topic; -1: no cursor. */
static void raise_next(const struct log_cursor *cursors, size_t n, enum topic topic, int64_t *next)
{
    for (size_t i = 0; i < n; i++)
        if (cursors[i].next.topic == topic && cursors[i].next.offset > next[cursors[i].next.part])
            next[cursors[i].next.part] = cursors[i].next.offset;
}

static enum th_code check_topic_settled(struct th_log *log, const struct core_ops *core,
                                        enum topic topic, const int64_t *next, struct th_err *err)
{
    for (int part = 0; part < th_log_partitions(log, topic); part++) {
        int64_t end;

        TH_TRY(th_log_end(log, topic, part, &end, err));
        if (end == 0)
            continue;
        if (next[part] < 0)
            return th_fail(err, TH_CONFLICT, "%s has never read %s/%d, which holds records",
                           core->name, topic_name(topic), part);
        if (next[part] < end)
            return th_fail(err, TH_CONFLICT,
                           "%s has read %s/%d up to %" PRId64 ", and it ends at %" PRId64
                           ": let telehub run go on until telehub top shows nothing behind, then "
                           "stop it",
                           core->name, topic_name(topic), part, next[part], end);
    }
    return TH_OK;
}

static enum th_code read_cursors(struct th_log *log, const struct core_ops *core,
                                 struct th_arena *arena, int64_t next[][LOG_PARTITIONS_MAX],
                                 struct th_err *err)
{
    for (int slot = 0; slot < LOG_SLOTS_MAX; slot++) {
        struct log_cursor *cursors = NULL;
        size_t n = 0;

        th_arena_reset(arena);
        TH_TRY(th_log_slot_cursors(log, core->app, slot, arena, &cursors, &n, err));
        for (int topic = 0; topic < TOPIC_COUNT; topic++)
            raise_next(cursors, n, (enum topic)topic, next[topic]);
    }
    return TH_OK;
}

enum th_code slot_check_settled(struct th_log *log, const struct core_ops *core, struct th_err *err)
{
    TH_AUTO(free) void *memory = malloc(sizeof(int64_t[TOPIC_COUNT][LOG_PARTITIONS_MAX]));
    int64_t(*next)[LOG_PARTITIONS_MAX] = memory;
    struct th_arena arena;

    if (!next)
        return th_fail(err, TH_NOMEM, "cursors of all partitions");
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int part = 0; part < LOG_PARTITIONS_MAX; part++)
            next[topic][part] = -1;
    th_arena_init(&arena, SETTLED_ARENA);
    enum th_code code = read_cursors(log, core, &arena, next, err);
    th_arena_fini(&arena);
    for (int topic = 0; topic < TOPIC_COUNT && code == TH_OK; topic++)
        if (core->inputs & UINT32_C(1) << topic)
            code = check_topic_settled(log, core, (enum topic)topic, next[topic], err);
    return code;
}

static enum th_code look_at_input_ends(struct th_log *log, struct slot_places *places,
                                       struct th_err *err)
{
    for (size_t i = 0; i < places->inputs_n; i++)
        TH_TRY(
            th_log_end(log, places->at[i].topic, places->at[i].part, &places->at[i].offset, err));
    return TH_OK;
}

static enum th_code end_slot(struct th_log *log, const struct core_ops *core, int slot, int slots,
                             struct th_err *err)
{
    struct th_log_session *session = NULL;
    struct slot_places places;

    if (list_places(log, core, slot, slots, &places) != TH_OK)
        return th_fail(err, TH_NOMEM, "last cursors");
    enum th_code code = look_at_input_ends(log, &places, err);
    if (code == TH_OK)
        code = th_log_session_open(log, core->app, slot, &session, err);
    if (code == TH_OK)
        code = start_first_cursors(session, &places, err);
    if (code == TH_OK)
        code = wait_for_commit(session, err);
    th_log_session_close(session, true);
    free(places.at);
    return code;
}

enum th_code slot_end_cursors(struct th_log *log, const struct core_ops *core, int slots,
                              struct th_err *err)
{
    for (int slot = 0; slot < slots; slot++)
        if (end_slot(log, core, slot, slots, err) != TH_OK)
            return th_wrap(err, "%s slot %d", core->name, slot);
    return TH_OK;
}

/* --- from a session to replay -------------------------------------------------------------------
 */

/* What is replayed or loaded cannot be undone: without this every old value would be remembered. */
void slot_settle_core(struct slot *slot)
{
    slot->ops->batch_close(slot->core);
    slot->ops->batch_forget(slot->core);
}

static enum th_code new_core(struct slot *slot, struct th_err *err)
{
    slot->ops->free(slot->core);
    slot->core = NULL;
    enum th_code code = slot->ops->new (slot->config.core_config, &slot->env, &slot->core);
    return code == TH_OK ? TH_OK : th_fail(err, code, "a new core: %s", th_code_text(code));
}

static enum th_code look_at_ends(struct slot *slot, struct th_err *err)
{
    struct th_log *log = slot->config.log;

    for (size_t i = 0; i < TH_LEN(reference_topics); i++)
        TH_TRY(th_log_end(log, reference_topics[i], 0, &slot->reference_ends[reference_topics[i]],
                          err));
    for (size_t i = 0; i < slot->own_n; i++)
        TH_TRY(th_log_end(log, slot->ops->own, slot->own[i].part, &slot->own[i].end, err));
    return TH_OK;
}

/* Snapshots are a cache: with one that cannot be used everything is replayed. */
static enum th_code load_state(struct slot *slot, struct th_err *err)
{
    TH_TRY(new_core(slot, err));
    enum th_code code = slot_load(slot, err);
    if (code != TH_CORRUPT)
        return code;
    slot_note(slot, TH_CORRUPT, "a snapshot is not used: %s", err->text);
    for (size_t i = 0; i < slot->own_n; i++) {
        slot->own[i].from = 0;
        slot->own[i].snapshot_size = 0;
        for (int piece = 0; piece < slot->ops->pieces; piece++)
            slot->own[i].upto[piece] = 0;
    }
    return new_core(slot, err);
}

static enum th_code start_replay(struct slot *slot, struct th_err *err)
{
    struct log_place *from = calloc(slot->own_n, sizeof *from);

    if (!from)
        return th_fail(err, TH_NOMEM, "replay");
    for (size_t i = 0; i < slot->own_n; i++) {
        struct slot_own *own = &slot->own[i];
        from[i] = (struct log_place){slot->ops->own, own->part, own->from};
        own->replayed_to = own->from;
        own->bytes_since = 0;
    }
    enum th_code code = th_log_reader_open(slot->config.log, from, slot->own_n, &slot->reader, err);
    free(from);
    return code;
}

static enum th_code prepare(struct slot *slot, struct th_err *err)
{
    struct effects *effects = slot->config.effects;

    slot->ids = 0;
    slot->env.session = th_log_session_nonce(slot->session);
    slot->is_caught_up = false;
    slot->snapshot = (struct slot_snapshot_job){0};
    TH_TRY(look_at_ends(slot, err));
    TH_TRY(load_state(slot, err));
    TH_TRY(start_replay(slot, err));
    if (effects)
        effects->ops->session(effects, slot->env.session);
    slot->phase = SLOT_REPLAY;
    return TH_OK;
}

enum th_code slot_open(struct slot *slot, struct th_err *err)
{
    const struct slot_config *config = &slot->config;
    struct slot_places places;
    const struct log_cursor *cursors;
    size_t cursors_n;

    TH_TRY(th_log_session_open(config->log, slot->ops->app, config->slot, &slot->session, err));
    if (list_places(config->log, slot->ops, config->slot, config->slots, &places) != TH_OK)
        return th_fail(err, TH_NOMEM, "partitions");
    enum th_code code = check_session(slot->session, &places, err);
    th_log_session_cursors(slot->session, &cursors, &cursors_n);
    if (code == TH_OK && cursors_n == 0) {
        code = start_first_cursors(slot->session, &places, err);
        slot->phase = code == TH_OK ? SLOT_CURSORS : SLOT_CLOSED;
    }
    free(places.at);
    return code == TH_OK && cursors_n > 0 ? prepare(slot, err) : code;
}

enum th_code slot_open_cursors(struct slot *slot, struct th_err *err)
{
    struct th_err why = {0};
    bool is_answered;

    switch (th_log_commit_poll(slot->session, NULL, &is_answered, &why)) {
    case LOG_COMMIT_PENDING:
        return TH_OK;
    case LOG_COMMITTED:
        return prepare(slot, err);
    case LOG_ABORTED:
        return th_fail(err, TH_ABORTED, "first cursors: %s", why.text);
    case LOG_FENCED:
        break;
    }
    return th_fail(err, TH_FENCED, "first cursors: %s", why.text);
}

/* --- replay -------------------------------------------------------------------------------------
 */

static struct slot_own *own_of(struct slot *slot, int part)
{
    size_t i = 0;

    while (slot->own[i].part != part) {
        i++;
        assert(i < slot->own_n);
    }
    return &slot->own[i];
}

/* An own event that we cannot read is state that we do not have: better not to start. */
static enum th_code replay_one(struct slot *slot, const struct log_record *record,
                               struct th_err *err)
{
    struct slot_own *own = own_of(slot, record->place.part);
    struct event event;

    th_arena_reset(&slot->scratch);
    enum th_code code = event_decode(record->value, &slot->scratch, &event, err);
    if (code == TH_MALFORMED || code == TH_UNSUPPORTED) {
        err->code = TH_CORRUPT;
        return th_wrap(err,
                       "%s/%d offset %" PRId64 ", an own event, cannot be read (was it "
                       "written by a newer version?)",
                       topic_name(record->place.topic), record->place.part, record->place.offset);
    }
    TH_TRY(code);
    own->replayed_to = record->place.offset + 1;
    own->bytes_since += log_record_size(record);
    if (slot_is_folded(slot, own, &event, record->place.offset))
        return TH_OK;
    code = slot->ops->evolve(slot->core, &event);
    return code == TH_OK ? TH_OK : th_fail(err, code, "replay: %s", th_code_text(code));
}

static bool is_replayed(const struct slot *slot)
{
    for (size_t i = 0; i < slot->own_n; i++)
        if (slot->own[i].replayed_to < slot->own[i].end)
            return false;
    return true;
}

enum th_code slot_open_replay(struct slot *slot, struct th_err *err)
{
    struct log_records records = {0};

    if (!is_replayed(slot)) {
        th_arena_reset(&slot->inbox_arena);
        TH_TRY(
            th_log_reader_read(slot->reader, REPLAY_BYTES_MAX, &slot->inbox_arena, &records, err));
    }
    for (size_t i = 0; i < records.n; i++)
        TH_TRY(replay_one(slot, &records.at[i], err));
    slot->is_caught_up = records.n == 0;
    slot_settle_core(slot);
    if (!is_replayed(slot))
        return TH_OK;
    th_log_reader_close(slot->reader);
    slot->reader = NULL;
    slot->phase = SLOT_REFERENCE;
    return TH_OK;
}

/* --- from replay to running ---------------------------------------------------------------------
 */

static bool is_reference_there(const struct slot *slot)
{
    reference_read_lock(slot->config.reference);
    struct reference_versions read_to = reference_read_to(slot->config.reference);
    reference_unlock(slot->config.reference);

    return read_to.config >= slot->reference_ends[TOPIC_CONFIG] &&
           read_to.consent >= slot->reference_ends[TOPIC_CONSENT_EVENTS] &&
           read_to.control >= slot->reference_ends[TOPIC_CAMPAIGN_CONTROL] &&
           read_to.health >= slot->reference_ends[TOPIC_LANE_HEALTH];
}

static const struct log_cursor *find_cursor(const struct slot *slot, const struct slot_input *input)
{
    const struct log_cursor *cursors;
    size_t n;

    th_log_session_cursors(slot->session, &cursors, &n);
    for (size_t i = 0; i < n; i++)
        if (cursors[i].next.topic == input->topic && cursors[i].next.part == input->part)
            return &cursors[i];
    return NULL;
}

/* A topic that this version began to read starts at its beginning, if that is where it ends. */
static enum th_code check_new_input(const struct slot *slot, const struct slot_input *input,
                                    struct th_err *err)
{
    int64_t end;

    TH_TRY(th_log_end(slot->config.log, input->topic, input->part, &end, err));
    if (end > 0)
        return th_fail(err, TH_CORRUPT,
                       "will not open: no cursor for %s/%d, which holds %" PRId64
                       " records; to read them from the beginning would repeat them",
                       topic_name(input->topic), input->part, end);
    return TH_OK;
}

static enum th_code resume_inputs(struct slot *slot, struct log_place *from, struct th_err *err)
{
    for (size_t i = 0; i < slot->inputs_n; i++) {
        struct slot_input *input = &slot->inputs[i];
        const struct log_cursor *cursor = find_cursor(slot, input);
        if (!cursor)
            TH_TRY(check_new_input(slot, input, err));
        input->committed_to = cursor ? cursor->next.offset : 0;
        slot->at.read_to[i] = input->committed_to;
        from[i] = (struct log_place){input->topic, input->part, input->committed_to};
        if (!cursor || !slot->ops->resume)
            continue;
        enum th_code code = slot->ops->resume(slot->core, cursor);
        if (code != TH_OK)
            return th_fail(err, code, "resuming %s/%d: %s", topic_name(input->topic), input->part,
                           th_code_text(code));
    }
    return TH_OK;
}

static enum th_code open_inputs(struct slot *slot, struct th_err *err)
{
    struct log_place *from = calloc(slot->inputs_n, sizeof *from);

    if (!from)
        return th_fail(err, TH_NOMEM, "inputs");
    enum th_code code = resume_inputs(slot, from, err);
    if (code == TH_OK)
        code = th_log_reader_open(slot->config.log, from, slot->inputs_n, &slot->reader, err);
    free(from);
    TH_TRY(code);
    TH_TRY(th_log_listener_open(slot->config.log, slot->ops->inputs, &slot->listener, err));
    th_log_listener_narrow(slot->listener, slot->config.slot, slot->config.slots);
    return TH_OK;
}

enum th_code slot_open_reference(struct slot *slot, struct th_err *err)
{
    if (!is_reference_there(slot))
        return TH_OK;
    TH_TRY(open_inputs(slot, err));
    slot_settle_core(slot);

    reference_read_lock(slot->config.reference);
    slot->at.change_at = reference_changes_end(slot->config.reference);
    reference_unlock(slot->config.reference);
    slot->at.is_opened = false;
    slot->at.is_offering = true;
    slot->at.offer_kind = REFERENCE_TENANT;
    slot->at.offer_index = 0;
    slot->inputs_max = 0;
    slot->condemned.is_set = false;
    slot->aborts_in_row = 0;
    slot->wait_until_us = slot->boot_us;
    slot->read_at_us = slot->boot_us;
    slot->read_wait_us = slot->config.poll_us;
    slot->moved_at_us = -1;
    slot->is_caught_up = false;
    slot_begin_batch(slot, slot->gathering);
    slot->status.reopens += slot->was_open;
    slot->was_open = true;
    slot->phase = SLOT_RUNNING;
    return TH_OK;
}
