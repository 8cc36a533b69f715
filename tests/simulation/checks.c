#include "tests/simulation/checks_private.h"

#include "tests/simulation/people.h"
#include "tests/simulation/tell.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define READ_BYTES    ((size_t)1 << 20)
#define READ_ARENA    ((size_t)64 << 20)
#define REPEAT_WAY_US INT64_C(10000000) /* to be asked for again, and made */
#define MINUTE_US     TH_US_PER_MIN

/* --- sends by id
 * -------------------------------------------------------------------------------------------- */

static size_t *index_of(const struct checks *checks, struct th_id id)
{
    size_t i = th_id_hash(id) % checks->index_cap;

    while (checks->index[i] != SIZE_MAX && !th_id_eq(checks->sends[checks->index[i]].id, id))
        i = (i + 1) % checks->index_cap;
    return &checks->index[i];
}

static void widen_index(struct checks *checks)
{
    free(checks->index);
    checks->index_cap = checks->index_cap ? 2 * checks->index_cap : 256;
    checks->index = malloc(checks->index_cap * sizeof *checks->index);
    assert(checks->index);
    for (size_t i = 0; i < checks->index_cap; i++)
        checks->index[i] = SIZE_MAX;
    for (size_t i = 0; i < checks->sends_n; i++)
        *index_of(checks, checks->sends[i].id) = i;
}

struct send_fact *checks_find(const struct checks *checks, struct th_id id)
{
    size_t i = *index_of(checks, id);

    return i == SIZE_MAX ? NULL : &checks->sends[i];
}

static struct send_fact *send_of(struct world *world, struct th_id id, const char *event)
{
    struct send_fact *send = checks_find(world->checks, id);

    if (!send)
        world_fail(world, "%s of a send that nobody requested", event);
    return send;
}

static struct send_fact *add_send(struct checks *checks, struct th_id id)
{
    if (checks->sends_n == checks->sends_cap) {
        checks->sends_cap = checks->sends_cap ? 2 * checks->sends_cap : 128;
        checks->sends = reallocarray(checks->sends, checks->sends_cap, sizeof *checks->sends);
    }
    assert(checks->sends);
    checks->sends[checks->sends_n++] = (struct send_fact){.id = id, .campaign = -1};
    if (2 * checks->sends_n > checks->index_cap)
        widen_index(checks);
    else
        *index_of(checks, id) = checks->sends_n - 1;
    return &checks->sends[checks->sends_n - 1];
}

static struct attempt_fact *attempt_of(struct world *world, struct send_fact *send, int32_t n)
{
    if (n < 1)
        world_fail(world, "an attempt has number %d", n);
    if (n > send->attempts_cap) {
        int32_t cap = 2 * n + 4;
        send->attempts = reallocarray(send->attempts, (size_t)cap, sizeof *send->attempts);
        assert(send->attempts);
        for (int32_t i = send->attempts_cap; i < cap; i++)
            send->attempts[i] = (struct attempt_fact){.line = NO_LINE};
        send->attempts_cap = cap;
    }
    return &send->attempts[n - 1];
}

int checks_campaign(struct world *world, struct th_id id)
{
    for (int i = 0; i < world->options.campaigns_n; i++)
        if (th_id_eq(world->campaigns[i].id, id))
            return i;
    world_fail(world, "an event of a campaign that nobody made");
}

/* --- making
 * -------------------------------------------------------------------------------------------------
 */

struct checks *checks_new(struct world *world)
{
    struct checks *checks = calloc(1, sizeof *checks);
    struct log_place from[TOPIC_COUNT * SIM_PARTITIONS];
    struct th_err err = {0};
    size_t n = 0;

    assert(checks);
    th_arena_init(&checks->arena, READ_ARENA);
    widen_index(checks);
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int part = 0; part < th_log_partitions(world->log, (enum topic)topic); part++)
            from[n++] = (struct log_place){(enum topic)topic, part, 0};
    if (th_log_reader_open(world->log, from, n, &checks->reader, &err) != TH_OK)
        world_fail(world, "%s", err.text);
    for (int i = 0; i < world->options.campaigns_n; i++) {
        size_t rows = (size_t)people_n(world->people, i);
        checks->campaigns[i].rows = malloc((rows + 1) * sizeof *checks->campaigns[i].rows);
        assert(checks->campaigns[i].rows);
        for (size_t row = 0; row < rows; row++)
            checks->campaigns[i].rows[row] = (struct row_fact){.send = -1};
    }
    world->checks = checks;
    return checks;
}

void checks_free(struct checks *checks)
{
    if (!checks)
        return;
    for (size_t i = 0; i < checks->sends_n; i++)
        free(checks->sends[i].attempts);
    for (int i = 0; i < SIM_CAMPAIGNS_MAX; i++) {
        free(checks->campaigns[i].rows);
        checks_pace_free(&checks->campaigns[i]);
    }
    th_log_reader_close(checks->reader);
    th_arena_fini(&checks->arena);
    free(checks->sends);
    free(checks->index);
    free(checks->ledger);
    free(checks);
}

int64_t checks_count(const struct world *world, enum sim_count what)
{
    return world->checks->counts[what];
}

bool checks_is_started(const struct world *world, struct attempt_ref attempt)
{
    const struct send_fact *send = checks_find(world->checks, attempt.send);

    return send && attempt.n <= send->attempts_cap && send->attempts[attempt.n - 1].is_started;
}

int checks_ordinal(const struct world *world, struct th_id send)
{
    const struct send_fact *fact = checks_find(world->checks, send);

    return fact && fact->campaign >= 0 ? fact->ordinal : -1;
}

int64_t checks_line(const struct world *world, struct attempt_ref attempt)
{
    const struct send_fact *send = checks_find(world->checks, attempt.send);

    return send && attempt.n <= send->attempts_cap ? send->attempts[attempt.n - 1].line : NO_LINE;
}

void checks_repeat_failed(struct world *world, struct attempt_ref attempt)
{
    struct send_fact *send = checks_find(world->checks, attempt.send);

    if (send && attempt.n <= send->attempts_cap)
        send->attempts[attempt.n - 1].has_failed_repeat = true;
}

/* --- events, one by one
 * ------------------------------------------------------------------------------------- */

static void requested(struct world *world, const struct send_requested *ev)
{
    struct checks *checks = world->checks;
    struct send_fact *send = checks_find(checks, ev->send);

    if (send)
        world_fail(world, "a send is requested twice");
    send = add_send(checks, ev->send);
    if (ev->origin.is != CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN)
        return;
    const struct campaign_origin *origin = &ev->origin.as.campaign_origin;
    send->campaign = checks_campaign(world, origin->campaign);
    send->ordinal = people_ordinal(world->people, send->campaign, origin->recipient.part,
                                   origin->recipient.row);
    if (send->ordinal < 0)
        world_fail(world, "part %d row %d of campaign %d is nobody", origin->recipient.part,
                   origin->recipient.row, send->campaign);
    struct row_fact *row = &checks->campaigns[send->campaign].rows[send->ordinal];
    if (row->send >= 0 || row->is_duplicate)
        world_fail(world, "recipient %d of campaign %d is released twice", send->ordinal,
                   send->campaign);
    row->send = (int64_t)(send - checks->sends);
    checks->counts[SIM_RELEASES]++;
}

static void suppressed_rows(struct world *world, const struct campaign_released *ev)
{
    int campaign = checks_campaign(world, ev->campaign);

    for (size_t i = 0; i < ev->suppressed_rows.n; i++) {
        int ordinal = people_ordinal(world->people, campaign, ev->part, ev->suppressed_rows.at[i]);
        struct row_fact *row = &world->checks->campaigns[campaign].rows[ordinal];
        if (row->send >= 0 || row->is_duplicate)
            world_fail(world, "recipient %d of campaign %d is released and suppressed", ordinal,
                       campaign);
        row->is_duplicate = true;
    }
}

static struct send_fact *live(struct world *world, struct th_id id, const char *event)
{
    struct send_fact *send = send_of(world, id, event);

    if (!send->is_admitted)
        world_fail(world, "%s of a send that was not admitted", event);
    if (send->end != END_NONE)
        world_fail(world, "%s of a send that had ended", event);
    return send;
}

static void admitted(struct world *world, const struct send_admitted *ev)
{
    struct send_fact *send = send_of(world, ev->send, "SendAdmitted");

    if (send->is_admitted)
        world_fail(world, "a send is admitted twice");
    send->is_admitted = true;
    send->release = ev->release;
}

/* Retry knew, for what it had read was committed before the plan was made. */
static bool is_known_reached(const struct world *world, const struct send_fact *send)
{
    return send->has_proof && world->checks->outcomes_read[send->proof.part] > send->proof.offset;
}

static void planned(struct world *world, const struct send_planned *ev)
{
    struct send_fact *send = live(world, ev->send, "SendPlanned");

    if (is_known_reached(world, send))
        world_fail(world, "attempt %d is planned for somebody who was reached, as retry has read",
                   ev->n);
    if (ev->n != send->n + 1)
        world_fail(world, "attempt %d is planned after attempt %d", ev->n, send->n);
    bool is_again = false; /* with an earlier attempt that may have called */
    for (int32_t n = 1; n < ev->n; n++)
        is_again = is_again || attempt_of(world, send, n)->is_in_doubt;
    if (is_again != ev->possible_duplicate)
        world_fail(world, "attempt %d does not say whether it may be a duplicate", ev->n);
    send->n = ev->n;
    attempt_of(world, send, ev->n)->is_planned = true;
    attempt_of(world, send, ev->n)->release = send->release;
    world->checks->counts[SIM_PLANNED]++;
}

static void finish(struct world *world, struct th_id id, enum end end, struct th_str reason,
                   bool is_reached, const char *event)
{
    struct send_fact *send = live(world, id, event);

    send->end = end;
    send->is_reached = is_reached;
    (void)snprintf(send->reason, sizeof send->reason, "%.*s", TH_ARG(reason));
}

static void ended(struct world *world, const struct send_ended *ev)
{
    finish(world, ev->send, END_ENDED, ev->reason, ev->is_reached, "SendEnded");
    checks_find(world->checks, ev->send)->reached_n = ev->n;
}

static void noted(struct world *world, const struct send_noted *ev)
{
    if (ev->standing == SEND_STANDING_ACCEPTED && ev->due_at_us == 0)
        finish(world, ev->send, END_ACCEPTED, ev->reason, false, "SendNoted");
    else if (ev->standing == SEND_STANDING_RELEASED)
        live(world, ev->send, "SendNoted")->release = ev->release;
    else if (th_str_eq(ev->reason, TH_STR("repeat_released")))
        attempt_of(world, live(world, ev->send, "SendNoted"), ev->n)->release = ev->release;
    else
        live(world, ev->send, "SendNoted");
}

static void started(struct world *world, const struct attempt_started *ev)
{
    struct send_fact *send = send_of(world, ev->send, "AttemptStarted");
    struct attempt_fact *attempt = attempt_of(world, send, ev->n);

    world->checks->counts[SIM_STARTED]++;
    if (!attempt->is_planned)
        world_fail(world, "attempt %d is started, and was not planned", ev->n);
    if (attempt->is_started)
        world_fail(world, "attempt %d is started twice", ev->n);
    if (attempt->is_returned)
        world_fail(world, "attempt %d is started, and had been handed back", ev->n);
    attempt->is_started = true;
    attempt->reconciliation = world_reconciliation(world, ev->lane);
    if (ev->campaign.is_set)
        world->checks->campaigns[checks_campaign(world, ev->campaign.value)].was_started[ev->slot] =
            true;
}

static void returned(struct world *world, const struct attempt_returned *ev)
{
    struct send_fact *send = send_of(world, ev->send, "AttemptReturned");
    struct attempt_fact *attempt = attempt_of(world, send, ev->n);

    world->checks->counts[SIM_RETURNED]++;
    if (th_str_eq(ev->reason, TH_STR("late")))
        world->checks->counts[SIM_RETURNED_LATE]++;
    if (attempt->is_started)
        world_fail(world, "attempt %d is handed back, and had been started", ev->n);
    if (attempt->is_returned)
        world_fail(world, "attempt %d is handed back twice", ev->n);
    attempt->is_returned = true;
}

static void repeat_at(struct world *world, struct th_id id, int32_t n, int64_t at_us)
{
    attempt_of(world, send_of(world, id, "a repeat"), n)->repeat_at_us = at_us;
}

/* What is said not to have been executed must not be in the ledger, nor come there. */
static void not_executed(struct world *world, struct th_id id, int32_t n, const char *why)
{
    struct attempt_fact *attempt = attempt_of(world, send_of(world, id, "an outcome"), n);

    attempt->is_not_executed = true;
    if (attempt->line != NO_LINE)
        world_fail(world,
                   "attempt %d is said not to have been executed (%s), and the ledger has it", n,
                   why);
}

/* Where the provider can be asked, or takes the request again under its key, nobody is in doubt,
 * given time and clocks that do not jump; but who was reached by an attempt before is not repeated,
 * nor is one whose turn in the pace does not come while its callback is awaited. */
static void in_doubt(struct world *world, const struct send_fact *send,
                     struct attempt_fact *attempt)
{
    bool has_time = world->options.odds.jump == 0 && world->options.callback_window_us >= MINUTE_US;

    attempt->is_in_doubt = true;
    if (has_time && attempt->reconciliation == PROVIDER_LOOKUP)
        world_fail(world, "an attempt is in doubt, and the provider could have been asked");
    if (has_time && attempt->reconciliation == PROVIDER_IDEMPOTENT && !attempt->has_failed_repeat &&
        world_now(world) > attempt->repeat_at_us + REPEAT_WAY_US && !send->has_proof)
        world_fail(world, "an attempt is in doubt, and could have been repeated under its key");
}

static void outcome(struct world *world, struct th_id send, int32_t n, enum attempt_outcome outcome,
                    const char *why)
{
    struct checks *checks = world->checks;

    if (!attempt_of(world, send_of(world, send, "an outcome"), n)->is_started)
        world_fail(world, "an outcome of attempt %d, which was not started", n);
    switch (outcome) {
    case ATTEMPT_OUTCOME_NOT_SENT:
        checks->counts[SIM_NOT_SENT]++;
        not_executed(world, send, n, why);
        break;
    case ATTEMPT_OUTCOME_REJECTED:
    case ATTEMPT_OUTCOME_THROTTLED:
    case ATTEMPT_OUTCOME_NOT_EXECUTED:
        not_executed(world, send, n, why);
        break;
    case ATTEMPT_OUTCOME_UNKNOWN:
        checks->counts[SIM_UNKNOWN]++;
        break;
    case ATTEMPT_OUTCOME_IN_DOUBT:
        in_doubt(world, send_of(world, send, "an outcome"),
                 attempt_of(world, send_of(world, send, "an outcome"), n));
        break;
    case ATTEMPT_OUTCOME_ACCEPTED:
        break;
    }
}

static void reported(struct world *world, const struct attempt_reported *ev)
{
    struct attempt_fact *attempt =
        attempt_of(world, send_of(world, ev->send, "AttemptReported"), ev->n);

    attempt->is_reported = true;
    attempt->is_reached = attempt->is_reached || (ev->is_final && ev->is_positive);
    attempt->is_unreached = attempt->is_unreached || (ev->is_final && !ev->is_positive);
}

static void told_retry(struct world *world, struct log_place place, const struct event *event)
{
    const struct attempt_reported *ev = &event->as.attempt_reported;

    if (event->type != EVENT_ATTEMPT_REPORTED || !ev->is_final || !ev->is_positive)
        return;
    struct send_fact *send = send_of(world, ev->send, "AttemptReported");
    if (!send->has_proof)
        send->proof = place;
    send->has_proof = true;
}

/* Of dispatch: what this slot may start from now on. */
static void control_applied(struct world *world, const struct control_applied *ev)
{
    struct campaign_fact *campaign =
        &world->checks->campaigns[checks_campaign(world, ev->campaign)];

    if (ev->state == CONTROL_STATE_RUNNING) {
        campaign->was_let[ev->slot] = true;
        campaign->is_forbidden[ev->slot] = false;
        campaign->may_start[ev->slot] = true;
    } else {
        campaign->is_forbidden[ev->slot] = true;
        campaign->may_start[ev->slot] = false;
    }
}

/* The provider said yes: this one is never repeated, whatever is allowed. */
static void taken(struct world *world, const struct attempt_result *ev)
{
    attempt_of(world, send_of(world, ev->send, "AttemptResult"), ev->n)->is_taken = true;
}

static void take_attempts(struct world *world, const struct event *event)
{
    const struct attempt_resolved *resolved = &event->as.attempt_resolved;

    switch (
        (int)event->type) { /* reports and prices say nothing that must be held against others */
    case EVENT_ATTEMPT_STARTED:
        started(world, &event->as.attempt_started);
        break;
    case EVENT_ATTEMPT_RETURNED:
        returned(world, &event->as.attempt_returned);
        break;
    case EVENT_ATTEMPT_RESULT:
        if (event->as.attempt_result.accepted_without_id)
            taken(world, &event->as.attempt_result);
        outcome(world, event->as.attempt_result.send, event->as.attempt_result.n,
                event->as.attempt_result.outcome, "its result");
        break;
    case EVENT_ATTEMPT_RESOLVED:
        world->checks->counts[SIM_BY_JOURNAL] += resolved->how == RESOLVED_HOW_JOURNAL;
        outcome(world, resolved->send, resolved->n, resolved->outcome,
                resolved_how_name(resolved->how));
        break;
    case EVENT_REPEAT_WANTED:
        repeat_at(world, event->as.repeat_wanted.send, event->as.repeat_wanted.n, INT64_MAX / 2);
        break;
    case EVENT_REPEAT_RELEASED:
        repeat_at(world, event->as.repeat_released.send, event->as.repeat_released.n,
                  event->as.repeat_released.send_at_us);
        break;
    case EVENT_ATTEMPT_REPORTED:
        reported(world, &event->as.attempt_reported);
        break;
    case EVENT_CONTROL_APPLIED:
        control_applied(world, &event->as.control_applied);
        break;
    default:
        break;
    }
}

static void take_sends(struct world *world, const struct event *event)
{
    switch ((int)event->type) { /* what retry applied is its own affair */
    case EVENT_SEND_ADMITTED:
        admitted(world, &event->as.send_admitted);
        break;
    case EVENT_SEND_PLANNED:
        planned(world, &event->as.send_planned);
        break;
    case EVENT_RETRY_SCHEDULED:
        live(world, event->as.retry_scheduled.send, "RetryScheduled");
        break;
    case EVENT_SEND_NOTED:
        noted(world, &event->as.send_noted);
        break;
    case EVENT_SEND_SUPPRESSED:
        finish(world, event->as.send_suppressed.send, END_SUPPRESSED,
               event->as.send_suppressed.reason, false, "SendSuppressed");
        break;
    case EVENT_SEND_ENDED:
        ended(world, &event->as.send_ended);
        break;
    case EVENT_SEND_REACHED:
        live(world, event->as.send_reached.send, "SendReached");
        break;
    default:
        break;
    }
}

static void take(struct world *world, const struct log_record *record, const struct event *event)
{
    tell_event(world, record, event);
    switch (record->place.topic) {
    case TOPIC_SEND_REQUESTS:
        if (event->type == EVENT_SEND_REQUESTED)
            requested(world, &event->as.send_requested);
        world->checks->counts[SIM_GRANTS] += event->type == EVENT_SEND_RELEASED;
        return;
    case TOPIC_CAMPAIGN_EVENTS:
        if (event->type == EVENT_CAMPAIGN_RELEASED)
            suppressed_rows(world, &event->as.campaign_released);
        checks_pace_told(world, event);
        return;
    case TOPIC_SEND_EVENTS:
        take_sends(world, event);
        return;
    case TOPIC_DISPATCH_ATTEMPTS:
        take_attempts(world, event);
        return;
    case TOPIC_SEND_OUTCOMES:
        told_retry(world, record->place, event);
        return;
    case TOPIC_DEAD_LETTERS:
        world_fail(world, "a dead letter: %.*s", TH_ARG(event->as.dead_letter.detail));
    case TOPIC_CAMPAIGN_COMMANDS:
    case TOPIC_CAMPAIGN_AUDIENCE:
    case TOPIC_CAMPAIGN_PROGRESS:
    case TOPIC_DISPATCH_REQUESTS:
    case TOPIC_PROVIDER_CALLBACKS:
    case TOPIC_CONFIG:
    case TOPIC_CONSENT_EVENTS:
    case TOPIC_CAMPAIGN_CONTROL:
    case TOPIC_LANE_HEALTH:
        return;
    }
}

/* --- a step
 * ---------------------------------------------------------------------------------------------------
 */

static void read_new(struct world *world)
{
    struct checks *checks = world->checks;
    struct log_records records;
    struct th_err err = {0};
    struct event event;

    do {
        th_arena_reset(&checks->arena);
        records = (struct log_records){0};
        if (th_log_reader_read(checks->reader, READ_BYTES, &checks->arena, &records, &err) != TH_OK)
            world_fail(world, "reading: %s", err.text);
        for (size_t i = 0; i < records.n; i++) {
            struct log_place place = records.at[i].place;
            if (place.offset != checks->offsets[place.topic][place.part]++)
                world_fail(world, "%s/%d: a gap before offset %" PRId64, topic_name(place.topic),
                           place.part, place.offset);
            if (event_decode(records.at[i].value, &checks->arena, &event, &err) != TH_OK)
                world_fail(world, "%s", err.text);
            take(world, &records.at[i], &event);
        }
    } while (records.n > 0);
}

static void note_outcomes_read(struct world *world)
{
    for (int part = 0; part < SIM_PARTITIONS; part++)
        world->checks->outcomes_read[part] = memory_log_cursor(
            world->log, LOG_APP_RETRY, part % SIM_SLOTS, TOPIC_SEND_OUTCOMES, part);
}

/* One transaction may hold starts decided before the pause that it applies; a step may hold
 * several. So a start is held against what held before the step. */
void checks_step(struct world *world)
{
    struct checks *checks = world->checks;
    bool could_start[SIM_CAMPAIGNS_MAX][SIM_SLOTS];

    for (int i = 0; i < SIM_CAMPAIGNS_MAX; i++)
        for (int slot = 0; slot < SIM_SLOTS; slot++) {
            could_start[i][slot] = checks->campaigns[i].may_start[slot];
            checks->campaigns[i].was_started[slot] = checks->campaigns[i].was_let[slot] = false;
        }
    if (world->down & MEMORY_DOWN_READ)
        memory_log_set_down(world->log, world->down & ~(unsigned)MEMORY_DOWN_READ);
    read_new(world);
    if (world->down)
        memory_log_set_down(world->log, world->down);
    note_outcomes_read(world);
    for (int i = 0; i < world->options.campaigns_n; i++)
        for (int slot = 0; slot < SIM_SLOTS; slot++)
            if (checks->campaigns[i].was_started[slot] && !could_start[i][slot] &&
                !checks->campaigns[i].was_let[slot])
                world_fail(world,
                           "dispatch slot %d starts an attempt of campaign %d, which it applied a "
                           "pause or the end of",
                           slot, i);
}

/* --- the ledger
 * --------------------------------------------------------------------------------------------- */

static void check_once(struct world *world, struct send_fact *send, int32_t n)
{
    for (int32_t k = 1; k <= send->attempts_cap; k++) {
        const struct attempt_fact *other = &send->attempts[k - 1];
        if (other->line == NO_LINE)
            continue;
        const struct execution *before = &world->checks->ledger[other->line];
        if (k == n)
            world_fail(world, "%s is called twice by attempt %d", before->phone, n);
        if (other->is_in_doubt && !other->is_taken && send->campaign >= 0 &&
            world->options.campaigns[send->campaign].is_at_least_once)
            continue;
        if (!before->is_negative || !before->is_transient || !before->is_told || !before->is_call)
            world_fail(world, "%s is called by attempt %d although attempt %d reached the provider",
                       before->phone, n, k);
    }
}

static void check_number(struct world *world, const struct execution *execution)
{
    const struct checks *checks = world->checks;

    if (execution->campaign < 0 || world->options.campaigns[execution->campaign].allow_duplicates)
        return;
    for (size_t i = 0; i < checks->ledger_n; i++)
        if (checks->ledger[i].campaign == execution->campaign &&
            strcmp(checks->ledger[i].phone, execution->phone) == 0 &&
            !th_id_eq(checks->ledger[i].attempt.send, execution->attempt.send))
            world_fail(world, "%s is called by two sends of one campaign", execution->phone);
}

/* The simulation's tenants live by UTC. A clock that jumps may well open early. */
static void check_hours(struct world *world, int campaign)
{
    int64_t minute = world_utc(world) / MINUTE_US % 1440;

    if (world->options.odds.jump == 0 && minute < world->options.campaigns[campaign].opens_min)
        world_fail(world, "campaign %d calls before it opens", campaign);
}

int64_t checks_executed(struct world *world, const struct execution *execution)
{
    struct checks *checks = world->checks;
    struct send_fact *send = send_of(world, execution->attempt.send, "an execution");
    struct attempt_fact *attempt = attempt_of(world, send, execution->attempt.n);

    world_say(world, "provider executes %s, attempt %d: message %zu, will be %s", execution->phone,
              execution->attempt.n, checks->ledger_n,
              execution->is_negative ? "not reached" : "reached");
    if (!attempt->is_started)
        world_fail(world, "%s is called without a durable AttemptStarted", execution->phone);
    if (attempt->is_not_executed)
        world_fail(world, "%s is called by attempt %d, which was said not to be executed",
                   execution->phone, execution->attempt.n);
    check_once(world, send, execution->attempt.n);
    check_number(world, execution);
    if (checks->ledger_n == checks->ledger_cap) {
        checks->ledger_cap = checks->ledger_cap ? 2 * checks->ledger_cap : 128;
        checks->ledger = reallocarray(checks->ledger, checks->ledger_cap, sizeof *checks->ledger);
        assert(checks->ledger);
    }
    checks->ledger[checks->ledger_n] = *execution;
    attempt->line = (int64_t)checks->ledger_n;
    if (execution->campaign >= 0) {
        check_hours(world, execution->campaign);
        checks_pace_called(world, execution->campaign, attempt);
    }
    return (int64_t)checks->ledger_n++;
}

void checks_told(struct world *world, int64_t number)
{
    world->checks->ledger[number].is_told = true;
}

const struct execution *checks_ledger(const struct world *world, size_t *out_n)
{
    *out_n = world->checks->ledger_n;
    return world->checks->ledger;
}
