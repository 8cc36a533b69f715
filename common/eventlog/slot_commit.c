#include "common/eventlog/slot_private.h"

#include "common/fault.h"

#include <assert.h>

#define ABORT_WAIT_US (2 * TH_US_PER_MS)

/* --- what follows from an outcome ---------------------------------------------------------------
 */

/* COMMITTED, but the log was not heard saying so: between then and now anybody may have taken the
 * slot over and given the attempt up, so the call is not made, which is a fact to be told. */
static void refuse_call(struct slot *slot, const struct effect_call *call)
{
    struct answer answer = {
        .type = ANSWER_CALL_ENDED,
        .as.call_ended = {.attempt = call->attempt,
                          .outcome = {.result = PROVIDER_NOT_SENT,
                                      .reason = TH_STR("permit"),
                                      .retry_after_us = -1}},
    };
    answers_add(&slot->answers, &answer, 0, false);
}

static void run_effect(struct slot *slot, const struct effect *effect, bool is_answered)
{
    struct effects *effects = slot->config.effects;

    if (slot->is_stopping)
        return; /* nobody would hear the answer; the next owner finds the attempt not sent */
    if (effect->type == EFFECT_CALL && TH_FAULT(effect_run))
        is_answered = false;
    if (is_answered || effect->type == EFFECT_LOOKUP || effect->type == EFFECT_REPEAT)
        effects->ops->run(effects, effect, slot->commit_boot_us);
    else if (effect->type == EFFECT_CALL)
        refuse_call(slot, &effect->as.call);
    /* A journal that is not dropped is only a file too many. */
}

static void count_own(struct slot *slot, const struct log_output *output, struct log_place place)
{
    for (size_t i = 0; i < slot->own_n; i++)
        if (slot->own[i].part == place.part) {
            slot->own[i].end = place.offset + 1;
            slot->own[i].bytes_since += log_output_size(output);
        }
}

static void committed(struct slot *slot, bool is_answered)
{
    struct slot_batch *batch = slot->committing;

    slot->committing = NULL;
    slot->aborts_in_row = 0;
    slot->ops->batch_forget(slot->core);
    for (size_t i = 0; i < batch->said.outputs_n; i++)
        if (batch->said.outputs[i].topic == slot->ops->own)
            count_own(slot, &batch->said.outputs[i], slot->places[i]);
    for (size_t i = 0; i < slot->inputs_n; i++)
        slot->inputs[i].committed_to = slot->gathering->start.read_to[i];
    answers_settle(&slot->answers, batch->answers_n);
    slot->answers.reserved = 0;

    slot->status.commits++;
    slot->status.inputs += batch->inputs;
    slot->status.outputs += batch->said.outputs_n;
    slot->status.dead_letters += batch->dead_letters;
    slot->status.commit_us = th_clock_monotonic_us(slot->config.clock) - slot->commit_started_us;
    th_observe(slot->config.meters.commit_us, slot->status.commit_us);
    th_observe(slot->config.meters.batch_inputs, (int64_t)batch->inputs);
    th_observe(slot->config.meters.batch_events, (int64_t)batch->said.outputs_n);
    for (size_t i = 0; i < batch->said.effects.n; i++) {
        slot_name_fault(slot, batch);
        run_effect(slot, &batch->said.effects.at[i], is_answered);
    }
}

static void aborted(struct slot *slot, const struct th_err *why)
{
    struct slot_batch *batch = slot->committing;

    slot->committing = NULL;
    slot->is_poisoned = false;
    slot->answers.reserved = 0;
    slot->ops->batch_undo(slot->core);
    slot_rewind(slot, batch);
    slot_begin_batch(slot, slot->gathering);
    slot->status.aborts++;
    slot->aborted = *why;
    if (slot->aborts_in_row < 16)
        slot->aborts_in_row++;
    if (slot->aborts_in_row > 1) {
        int64_t wait_us = ABORT_WAIT_US << slot->aborts_in_row;
        slot_wait(slot,
                  wait_us < slot->config.reopen_wait_us ? wait_us : slot->config.reopen_wait_us);
    }
}

enum th_code slot_poll_commit(struct slot *slot, struct th_err *err)
{
    struct th_err why = {0};
    bool is_answered;

    if (!slot->committing)
        return TH_OK;
    slot_name_fault(slot, slot->committing);
    switch (th_log_commit_poll(slot->session, slot->places, &is_answered, &why)) {
    case LOG_COMMIT_PENDING:
        return TH_OK;
    case LOG_COMMITTED:
        committed(slot, is_answered && !TH_FAULT(commit_known));
        return TH_OK;
    case LOG_ABORTED:
        aborted(slot, &why);
        return TH_OK;
    case LOG_FENCED:
        break;
    }
    return th_fail(err, TH_FENCED, "fenced: %s", why.text);
}

/* --- undoing what was only gathered -------------------------------------------------------------
 */

static void undo_gathering(struct slot *slot)
{
    size_t limit = slot->poison_after;

    slot->is_poisoned = false;
    slot->ops->batch_undo(slot->core);
    slot_rewind(slot, slot->gathering);
    slot_begin_batch(slot, slot->gathering);
    slot->inputs_max = 0;
    if (slot->poison != TH_NOMEM && slot->poison != TH_FULL)
        return; /* its record is condemned */
    /* What had succeeded is committed first, without the one that did not. */
    slot->inputs_max = limit;
    if (limit == 0)
        slot_wait(slot, slot->config.reopen_wait_us);
    slot_note(slot, slot->poison, "an input was put off: %s", th_code_text(slot->poison));
}

/* --- starting ------------------------------------------------------------------------------- */

int64_t slot_moved(const struct slot *slot)
{
    int64_t moved = 0;

    for (size_t i = 0; i < slot->inputs_n; i++)
        moved += slot->at.read_to[i] - slot->inputs[i].committed_to;
    return moved;
}

static enum th_code flush(struct slot *slot, struct th_err *err)
{
    struct slot_batch *batch = slot->gathering;
    struct input input = {
        .type = INPUT_TIME, .now_us = slot->now_us, .txn_seq = slot_txn_seq(slot)};
    struct core_output out = slot_output(slot, &input);

    if (!slot->ops->flush || batch->is_flushed || batch->inputs == 0)
        return TH_OK;
    reference_read_lock(slot->config.reference);
    enum th_code code = slot->ops->flush(slot->core, &input, &out);
    reference_unlock(slot->config.reference);
    batch->is_flushed = true;
    if (code == TH_OK)
        code = slot_answer_asks(slot);
    if (code == TH_OK)
        return TH_OK;
    if (code != TH_NOMEM && code != TH_FULL)
        return th_fail(err, code, "flush: %s", th_code_text(code));
    slot->poison = code;
    slot->poison_after = batch->inputs / 2;
    undo_gathering(slot);
    return TH_OK;
}

/* Inputs without a consequence: done with, once nothing before them can be undone any more. */
static void forget_gathering(struct slot *slot)
{
    struct slot_batch *batch = slot->gathering;

    slot->ops->batch_close(slot->core);
    slot->ops->batch_forget(slot->core);
    answers_settle(&slot->answers, batch->answers_n);
    slot->status.inputs += batch->inputs;
    slot->inputs_max = 0;
    slot_begin_batch(slot, batch);
}

static bool is_cursor_due(struct slot *slot)
{
    int64_t moved = slot_moved(slot);

    if (moved == 0) {
        slot->moved_at_us = -1;
        return false;
    }
    if (slot->moved_at_us < 0)
        slot->moved_at_us = slot->boot_us;
    return moved >= MOVED_RECORDS_MAX || slot->boot_us - slot->moved_at_us >= MOVED_WAIT_US;
}

static enum th_code make_cursors(struct slot *slot, struct log_cursor *cursors)
{
    for (size_t i = 0; i < slot->inputs_n; i++) {
        const struct slot_input *input = &slot->inputs[i];
        struct log_place next = {input->topic, input->part, slot->at.read_to[i]};

        cursors[i] = (struct log_cursor){.next = next};
        if (slot->ops->cursor)
            TH_TRY(slot->ops->cursor(slot->core, next.topic, next.part, next.offset,
                                     &slot->gathering->said.arena, &cursors[i]));
    }
    return TH_OK;
}

static enum th_code reserve_places(struct slot *slot, size_t n)
{
    if (n <= slot->places_cap)
        return TH_OK;
    struct log_place *places = reallocarray(slot->places, n, sizeof *places);
    if (!places)
        return TH_NOMEM;
    slot->places = places;
    slot->places_cap = n;
    return TH_OK;
}

static enum th_code send_off(struct slot *slot, struct th_err *err)
{
    struct slot_batch *batch = slot->gathering;
    struct log_cursor *cursors =
        th_arena_array(&batch->said.arena, slot->inputs_n, sizeof *cursors);

    if (!cursors)
        return th_fail(err, TH_NOMEM, "cursors");
    slot_name_fault(slot, batch);
    if (TH_FAULT(slot_begin))
        return th_fail(err, TH_UNAVAILABLE, "put off by a test");
    if (make_cursors(slot, cursors) != TH_OK ||
        reserve_places(slot, batch->said.outputs_n) != TH_OK ||
        answers_reserve_commit(&slot->answers, batch->said.effects.n) != TH_OK)
        return th_fail(err, TH_NOMEM, "a commit");
    return th_log_commit_start(slot->session,
                               &(struct log_txn){.outputs = batch->said.outputs,
                                                 .outputs_n = batch->said.outputs_n,
                                                 .cursors = cursors,
                                                 .cursors_n = slot->inputs_n},
                               err);
}

/* The gathered batch becomes the committing one, and the next begins behind it. */
static void swap_batches(struct slot *slot)
{
    slot->ops->batch_close(slot->core);
    slot->committing = slot->gathering;
    slot->gathering = slot->committing == &slot->batches[0] ? &slot->batches[1] : &slot->batches[0];
    slot_begin_batch(slot, slot->gathering);
    slot->inputs_max = 0;
    slot->moved_at_us = -1;
    slot->commit_started_us = th_clock_monotonic_us(slot->config.clock);
}

enum th_code slot_start_commit(struct slot *slot, struct th_err *err)
{
    struct slot_batch *batch = slot->gathering;
    struct th_err why = {0};

    if (slot->committing)
        return TH_OK;
    if (slot->is_poisoned) {
        undo_gathering(slot);
        return TH_OK;
    }
    TH_TRY(flush(slot, err));
    bool has_said = batch->said.outputs_n || batch->said.effects.n;
    if (!has_said && batch->inputs)
        forget_gathering(slot);
    if (!has_said && !is_cursor_due(slot))
        return TH_OK;

    slot->commit_boot_us = th_clock_boottime_us(slot->config.clock);
    enum th_code code = send_off(slot, &why);
    if (code == TH_OK) {
        swap_batches(slot);
        return TH_OK;
    }
    if (!th_code_is_retriable(code))
        return th_fail(err, code, "commit: %s", why.text);
    slot_wait(slot, slot->config.reopen_wait_us);
    slot_note(slot, code, "commit: %s", why.text);
    return TH_OK;
}
