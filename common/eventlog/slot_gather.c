#include "common/eventlog/slot_private.h"

#include <assert.h>
#include <string.h>

#define READ_BYTES_MAX  ((size_t)256 * 1024) /* at once; what is read is held in memory */
#define TIME_INPUTS_MAX 64                   /* of one pass */
#define CHANGES_MAX     64                   /* looked up at once */
#define IDLE_FACTOR     8

/* --- one input -------------------------------------------------------------------------------- */

/* The batch cannot keep half of an input: it is undone as soon as no commit runs. */
static void poison(struct slot *slot, enum th_code code)
{
    slot->is_poisoned = true;
    slot->poison = code;
    slot->poison_after = slot->gathering->inputs;
}

static enum th_code refused(struct slot *slot, const struct core_output *out, enum th_code code,
                            struct th_err *err)
{
    const struct input *input = out->input;

    if (code == TH_NOMEM || code == TH_FULL) {
        poison(slot, code);
        return TH_OK;
    }
    if (input->type == INPUT_EVENT && (code == TH_MALFORMED || code == TH_INVALID)) {
        slot->condemned =
            (struct slot_condemned){.is_set = true, .place = input->place, .code = code};
        if (out->has_said)
            poison(slot, code);
        return TH_OK;
    }
    return th_fail(err, code, "the core refused an input of type %d: %s", (int)input->type,
                   th_code_text(code));
}

struct core_output slot_output(struct slot *slot, const struct input *input)
{
    return (struct core_output){
        .ops = slot->ops,
        .core = slot->core,
        .env = &slot->env,
        .batch = &slot->gathering->said,
        .input = input,
        .ids = &slot->ids,
    };
}

uint64_t slot_txn_seq(const struct slot *slot)
{
    return th_log_session_next_seq(slot->session) + (slot->committing ? 1 : 0);
}

enum th_code slot_decide(struct slot *slot, struct input *input,
                         enum th_code (*decide)(void *core, const struct input *input,
                                                struct core_output *out),
                         struct th_err *err)
{
    struct core_output out = slot_output(slot, input);

    input->now_us = slot->now_us;
    input->txn_seq = slot_txn_seq(slot);
    input->unread = slot->unread;
    enum th_code code = decide(slot->core, input, &out);
    if (code != TH_OK)
        return refused(slot, &out, code, err);
    slot->gathering->inputs++;
    return TH_OK;
}

/* Asks are answered before anything else is presented. */
static bool may_go_on(const struct slot *slot)
{
    return slot_has_room(slot) && slot->gathering->said.asks.n == 0;
}

/* --- the reference ---------------------------------------------------------------------------- */

static bool offered(struct slot *slot, struct reference_change *out)
{
    const struct reference *ref = slot->config.reference;
    struct slot_marks *at = &slot->at;
    const struct ref_tenant *tenant;
    const struct ref_lane *lane;
    const struct ref_campaign *campaign;

    *out = (struct reference_change){.kind = at->offer_kind};
    switch (at->offer_kind) {
    case REFERENCE_TENANT:
        tenant = reference_tenant_at(ref, at->offer_index);
        if (tenant)
            out->tenant = tenant->slug;
        return tenant;
    case REFERENCE_LANE:
        lane = reference_lane_at(ref, at->offer_index);
        if (lane) {
            out->tenant = lane->tenant;
            out->lane = lane->lane;
        }
        return lane;
    case REFERENCE_CAMPAIGN:
        campaign = reference_campaign_at(ref, at->offer_index);
        if (campaign) {
            out->tenant = campaign->tenant;
            out->campaign = campaign->campaign;
        }
        return campaign;
    }
    return false;
}

static enum th_code present_offers(struct slot *slot, struct th_err *err)
{
    struct slot_marks *at = &slot->at;
    struct reference_change change;

    while (at->is_offering && may_go_on(slot)) {
        if (offered(slot, &change)) {
            struct input input = {.type = INPUT_REFERENCE, .change = &change};
            TH_TRY(slot_decide(slot, &input, slot->ops->decide, err));
            if (!slot->is_poisoned)
                at->offer_index++;
        } else {
            at->is_offering = at->offer_kind != REFERENCE_CAMPAIGN;
            at->offer_index = 0;
            if (at->is_offering)
                at->offer_kind++;
        }
    }
    return TH_OK;
}

static enum th_code present_opening(struct slot *slot, struct th_err *err)
{
    struct input input = {.type = INPUT_TIME};

    if (slot->at.is_opened || slot->at.is_offering || !may_go_on(slot))
        return TH_OK;
    TH_TRY(slot_decide(slot, &input, slot->ops->opened, err));
    if (!slot->is_poisoned)
        slot->at.is_opened = true;
    return TH_OK;
}

/* Behind by more than the reference remembers: everything is offered again. */
static void offer_all(struct slot *slot)
{
    slot->at.change_at = reference_changes_end(slot->config.reference);
    slot->at.is_offering = true;
    slot->at.offer_kind = REFERENCE_TENANT;
    slot->at.offer_index = 0;
}

static enum th_code present_changes(struct slot *slot, struct th_err *err)
{
    struct reference_change changes[CHANGES_MAX];
    size_t n;

    do {
        uint64_t at = slot->at.change_at;
        if (!reference_changes(slot->config.reference, &at, changes, CHANGES_MAX, &n)) {
            offer_all(slot);
            return TH_OK;
        }
        for (size_t i = 0; i < n && may_go_on(slot); i++) {
            struct input input = {.type = INPUT_REFERENCE, .change = &changes[i]};
            TH_TRY(slot_decide(slot, &input, slot->ops->decide, err));
            if (!slot->is_poisoned)
                slot->at.change_at++;
        }
    } while (n == CHANGES_MAX && may_go_on(slot));
    return TH_OK;
}

/* --- answers and time ---------------------------------------------------------------------------
 */

enum th_code slot_answer_asks(struct slot *slot)
{
    struct slot_batch *batch = slot->gathering;
    struct effects *effects = slot->config.effects;
    struct th_arena *arena;
    struct answer answer;

    for (size_t i = 0; i < batch->said.asks.n; i++) {
        TH_TRY(answers_reserve(&slot->answers, &arena));
        answer = (struct answer){0};
        TH_TRY(effects->ops->ask(effects, &batch->said.asks.at[i], arena, &answer));
        answers_add(&slot->answers, &answer, batch->no, true);
    }
    batch->said.asks.n = 0;
    return TH_OK;
}

/* What has come in from effects carried out earlier. */
static enum th_code take_answers(struct slot *slot)
{
    struct effects *effects = slot->config.effects;
    struct th_arena *arena;
    struct answer answer;

    if (!effects || !slot->at.is_opened)
        return TH_OK;
    while (slot->answers.n - slot->answers.next < SLOT_BATCH_INPUTS_MAX) {
        TH_TRY(answers_reserve(&slot->answers, &arena));
        answer = (struct answer){0};
        if (!effects->ops->poll(effects, arena, &answer))
            break;
        answers_add(&slot->answers, &answer, 0, true);
    }
    return TH_OK;
}

static enum th_code present_answers(struct slot *slot, struct th_err *err)
{
    struct slot_answers *answers = &slot->answers;

    while (answers->next < answers->n && may_go_on(slot)) {
        struct input input = {.type = INPUT_ANSWER, .answer = &answers->at[answers->next].answer};
        TH_TRY(slot_decide(slot, &input, slot->ops->decide, err));
        if (slot->is_poisoned)
            break;
        answers->next++;
        slot->gathering->answers_n++;
    }
    return TH_OK;
}

static enum th_code present_time(struct slot *slot, struct th_err *err)
{
    for (int i = 0; i < TIME_INPUTS_MAX && may_go_on(slot); i++) {
        struct input input = {.type = INPUT_TIME};
        if (slot->ops->next_due_us(slot->core) > slot->now_us)
            break;
        TH_TRY(slot_decide(slot, &input, slot->ops->decide, err));
    }
    return TH_OK;
}

/* --- records ------------------------------------------------------------------------------------
 */

static enum th_code fill_inbox(struct slot *slot, struct th_err *err)
{
    struct th_err why = {0};

    if (slot->inbox_next < slot->inbox.n || !slot->at.is_opened || slot->at.is_offering ||
        !slot_has_room(slot) || slot->boot_us < slot->read_at_us)
        return TH_OK;

    th_arena_reset(&slot->inbox_arena);
    slot->inbox = (struct log_records){0};
    slot->inbox_next = 0;
    TH_FAULT_SCOPE("%s", slot->ops->name);
    if (slot->listener)
        th_log_listener_clear(slot->listener);
    enum th_code code = TH_FAULT(slot_read)
                            ? th_fail(&why, TH_UNAVAILABLE, "not read, for a test")
                            : th_log_reader_read(slot->reader, READ_BYTES_MAX, &slot->inbox_arena,
                                                 &slot->inbox, &why);
    slot->is_caught_up = slot->inbox.n == 0;
    if (slot->is_caught_up)
        memset(slot->unread, 0, sizeof slot->unread);
    if (code == TH_OK && slot->inbox.n > 0) {
        slot->read_wait_us = slot->config.poll_us;
        return TH_OK;
    }
    slot->read_at_us = slot->boot_us + slot->read_wait_us;
    if (2 * slot->read_wait_us <= IDLE_FACTOR * slot->config.poll_us)
        slot->read_wait_us *= 2;
    if (code != TH_OK && !th_code_is_retriable(code))
        return th_fail(err, code, "reading: %s", why.text);
    if (code != TH_OK) {
        slot->read_at_us = slot->boot_us + slot->config.reopen_wait_us;
        slot_note(slot, code, "reading: %s", why.text);
    }
    return TH_OK;
}

static size_t input_of(const struct slot *slot, struct log_place place)
{
    size_t i = 0;

    while (slot->inputs[i].topic != place.topic || slot->inputs[i].part != place.part) {
        i++;
        assert(i < slot->inputs_n);
    }
    return i;
}

static bool is_condemned(const struct slot *slot, struct log_place place)
{
    const struct slot_condemned *condemned = &slot->condemned;

    return condemned->is_set && condemned->place.topic == place.topic &&
           condemned->place.part == place.part && condemned->place.offset == place.offset;
}

static enum th_code bury(struct slot *slot, const struct log_record *record,
                         const struct event *event, enum th_code code, struct th_str detail)
{
    enum th_code failed = slot_dead_letter(slot, record, event, code, detail);

    if (failed == TH_OK)
        slot->gathering->inputs++;
    else
        poison(slot, failed);
    return TH_OK;
}

/* Committed before the next record, or a second one of its kind in the batch would make us forget
 * the first one, and the other way round, for ever. */
static enum th_code bury_condemned(struct slot *slot, const struct log_record *record,
                                   const struct event *event)
{
    enum th_code code = slot->condemned.code;

    TH_TRY(bury(slot, record, event, code, th_str(th_code_text(code))));
    slot->inputs_max = slot->gathering->inputs;
    return TH_OK;
}

static enum th_code present_event(struct slot *slot, const struct log_record *record,
                                  struct th_err *err)
{
    struct th_err why = {0};
    struct event event;

    th_arena_reset(&slot->scratch);
    enum th_code code = event_decode(record->value, &slot->scratch, &event, &why);
    if (code == TH_NOMEM) {
        poison(slot, code);
        return TH_OK;
    }
    if (code != TH_OK)
        return bury(slot, record, NULL, code, th_str(why.text));
    if (is_condemned(slot, record->place))
        return bury_condemned(slot, record, &event);

    struct input input = {.type = INPUT_EVENT, .event = &event, .place = record->place};
    TH_TRY(slot_decide(slot, &input, slot->ops->decide, err));
    if (is_condemned(slot, record->place) && !slot->is_poisoned)
        return bury_condemned(slot, record, &event);
    return TH_OK;
}

static enum th_code present_records(struct slot *slot, struct th_err *err)
{
    while (slot->inbox_next < slot->inbox.n && may_go_on(slot)) {
        const struct log_record *record = &slot->inbox.at[slot->inbox_next];
        TH_TRY(present_event(slot, record, err));
        if (slot->is_poisoned)
            break;
        slot->gathering->inputs_bytes += log_record_size(record);
        slot->at.read_to[input_of(slot, record->place)] = record->place.offset + 1;
        slot->inbox_next++;
        slot->unread[record->place.topic] -= slot->unread[record->place.topic] > 0;
    }
    return TH_OK;
}

/* --- a pass -------------------------------------------------------------------------------------
 */

static enum th_code present_all(struct slot *slot, struct th_err *err)
{
    TH_TRY(present_offers(slot, err));
    TH_TRY(present_opening(slot, err));
    if (!slot->at.is_opened || slot->at.is_offering)
        return TH_OK;
    TH_TRY(present_answers(slot, err));
    TH_TRY(present_changes(slot, err));
    TH_TRY(present_time(slot, err));
    return present_records(slot, err);
}

static enum th_code present_under_lock(struct slot *slot, struct th_err *err)
{
    reference_read_lock(slot->config.reference);
    enum th_code code = present_all(slot, err);
    reference_unlock(slot->config.reference);
    return code;
}

/* Asks are answered without the lock: they read from outside, and a stop must not wait for that. */
enum th_code slot_gather(struct slot *slot, struct th_err *err)
{
    bool is_again = slot_has_room(slot);

    if (is_again && take_answers(slot) != TH_OK)
        slot_note(slot, TH_NOMEM, "taking answers");
    TH_TRY(fill_inbox(slot, err));
    while (is_again) {
        TH_TRY(present_under_lock(slot, err));
        is_again = slot->gathering->said.asks.n > 0 && !slot->is_poisoned;
        if (is_again && slot_answer_asks(slot) != TH_OK)
            poison(slot, TH_NOMEM);
        is_again = is_again && slot_has_room(slot);
    }
    return TH_OK;
}
