#include "connectors/sandbox/simulator_parts.h"

#include "common/clock.h"
#include "common/encode.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define STOP_PATIENCE_US (5 * TH_US_PER_SEC) /* for answers that are under way at the end */

/* A provider answers after milliseconds, and its callbacks come after more of them. This time is
 * used to do many things at once: what a turn of the loop, a wake-up and a sync cost is shared. */
#define SYNC_LEAD_US      (3 * TH_US_PER_MS)  /* from a sync's beginning to when it is wanted */
#define SYNC_LAZY_US      (50 * TH_US_PER_MS) /* what nobody waits for is written by then */
#define TURN_US           (1 * TH_US_PER_MS) /* from one turn to the next, when answers have time */
#define TURN_LATENCY_MIN  4                  /* ms; answers that come sooner have none */
#define CALLBACKS_LOOK_US (5 * TH_US_PER_MS) /* from one look at callbacks to the next */
#define FAILURE_LOOK_US   (100 * TH_US_PER_MS) /* while the journal is writing */
#define STOPPING_LOOK_US  (10 * TH_US_PER_MS)
#define WAIT_MAX_US       (60 * TH_US_PER_SEC)

int64_t simulator_now_us(const struct simulator *s)
{
    int64_t now = s->clock_base_us + th_clock_monotonic_us(&th_clock_real);
    int64_t last = ledger_last_us(s->ledger);

    return now > last ? now : last;
}

void simulator_fail(struct simulator *s, enum th_code code, const char *what)
{
    if (s->failure.code == TH_OK)
        (void)th_fail(&s->failure, code, "%s: %s", what, th_code_text(code));
}

bool simulator_record(struct simulator *s, const struct line *line, uint64_t *out_end)
{
    uint64_t at = journal_end(s->journal);
    uint64_t end;

    th_buf_clear(&s->line);
    ledger_line_print(line, &s->line);
    enum th_code code = th_buf_status(&s->line);
    if (code == TH_OK)
        code = ledger_fold(s->ledger, line, at, (uint32_t)s->line.n - 1, NULL);
    if (code == TH_OK)
        code = journal_append(s->journal, th_buf_str(&s->line), &end);
    if (code != TH_OK) {
        /* Memory and file no longer agree; a restart makes them agree again. */
        simulator_fail(s, code, "recording in the ledger");
        return false;
    }
    simulator_sync_by(s, simulator_now_us(s) + SYNC_LAZY_US);
    if (out_end)
        *out_end = end;
    return true;
}

void simulator_sync_by(struct simulator *s, int64_t wanted_us)
{
    if (wanted_us - SYNC_LEAD_US < s->sync_by_us)
        s->sync_by_us = wanted_us - SYNC_LEAD_US;
}

bool simulator_line(struct simulator *s, uint32_t seq, struct line_execution *out_line)
{
    const struct send *send = ledger_send(s->ledger, seq);
    char *bytes = th_arena_alloc(&s->scratch, send->line_size);
    struct line line;
    size_t n = 0;
    enum th_code code =
        bytes ? journal_read(s->journal, send->line_at, bytes, send->line_size, &n, &s->failure)
              : TH_NOMEM;

    if (code == TH_OK)
        code = ledger_line_parse((struct th_str){bytes, n}, &s->scratch, &line, &s->failure);
    if (code == TH_OK && (line.kind != LINE_EXECUTION || line.execution.seq != seq))
        code = TH_CORRUPT;
    if (code != TH_OK) {
        simulator_fail(s, code, "reading the ledger");
        return false;
    }
    *out_line = line.execution;
    return true;
}

struct wire_resource simulator_resource(const struct simulator *s,
                                        const struct line_execution *line, unsigned steps,
                                        char sid[SID_SIZE + 1])
{
    struct timeline timeline = timeline_of(line->channel, line->outcome);
    struct outcome_facts facts = outcome_facts(line->outcome, line->channel);
    bool is_ended = steps == timeline.n;
    unsigned percent = steps ? timeline.at[steps - 1].percent : 0;
    int64_t updated_us = line->at_us + (int64_t)line->delay_ms * TH_US_PER_MS * percent / 100;
    int64_t priced_us = updated_us + (int64_t)s->settings.price_delay_ms * TH_US_PER_MS;

    ledger_sid(s->ledger, line->seq, sid);
    return (struct wire_resource){
        .channel = line->channel,
        .sid = sid,
        .account = s->account,
        .to = line->to,
        .from = line->from,
        .service = line->service,
        .text = line->text,
        .currency = line->currency,
        .status = timeline_status(&timeline, line->channel, steps, line->service.n > 0),
        .error_code = is_ended && line->channel == CHANNEL_SMS ? facts.error_code : 0,
        .units = line->units,
        .is_answered = facts.error_code == 200,
        .is_ended = is_ended,
        .has_price = is_ended && simulator_now_us(s) >= priced_us,
        .price_micro = line->price_micro,
        .created_us = line->at_us,
        .updated_us = updated_us,
    };
}

static enum th_code on_line(void *owner, struct th_str text, uint64_t at, struct th_err *err)
{
    struct simulator *s = owner;
    struct line line;

    th_arena_reset(&s->scratch);
    TH_TRY(ledger_line_parse(text, &s->scratch, &line, err));
    if (line.kind == LINE_HEADER && !th_str_eq(line.header.account, s->account))
        return th_fail(err, TH_CONFLICT, "this is the ledger of account %.*s",
                       TH_ARG(line.header.account));
    return ledger_fold(s->ledger, &line, at, (uint32_t)text.n, err);
}

static enum th_code begin_ledger(struct simulator *s, struct th_err *err)
{
    struct line line = {.kind = LINE_HEADER, .header = {.account = s->account}};

    while (line.header.ledger_id == 0)
        if (getrandom(&line.header.ledger_id, sizeof line.header.ledger_id, 0) !=
            (ssize_t)sizeof line.header.ledger_id)
            return th_fail(err, TH_IO, "getrandom: %s", strerror(errno));
    if (!simulator_record(s, &line, NULL)) {
        *err = s->failure;
        return err->code;
    }
    journal_kick(s->journal);
    return TH_OK;
}

static enum th_code set_authorization(struct simulator *s)
{
    TH_AUTO(th_buf) struct th_buf pair = {0};

    th_buf_add(&pair, s->account);
    th_buf_add_char(&pair, ':');
    th_buf_add(&pair, s->secret);
    TH_TRY(th_buf_status(&pair));
    th_buf_add(&s->authorization, TH_STR("Basic "));
    th_base64_add(&s->authorization, th_buf_str(&pair));
    return th_buf_status(&s->authorization);
}

enum th_code simulator_open(const struct simulator_config *config, struct simulator **out_simulator,
                            struct th_err *err)
{
    TH_AUTO(simulator) struct simulator *s = calloc(1, sizeof *s);

    if (!s)
        return th_fail(err, TH_NOMEM, "simulator");
    s->settings = config->settings;
    s->undurable_due_us = INT64_MAX;
    s->sync_by_us = INT64_MAX;
    s->account = th_str(config->account);
    s->secret = th_str(config->secret);
    s->clock_base_us = th_clock_realtime_us(&th_clock_real) - th_clock_monotonic_us(&th_clock_real);
    th_arena_init(&s->scratch, SCRATCH_MAX);
    s->ledger = ledger_new();
    if (!s->ledger || set_authorization(s) != TH_OK)
        return th_fail(err, TH_NOMEM, "simulator");
    TH_TRY(journal_open(config->ledger_path, on_line, s, &s->journal, err));
    if (ledger_id(s->ledger) == 0)
        TH_TRY(begin_ledger(s, err));
    s->visible = ledger_size(s->ledger);
    TH_TRY(callbacks_open(progress_on_reported, s, &s->callbacks, err));
    TH_TRY(http_server_open(&config->address, api_handle, s, &s->server, err));
    progress_resume(s);
    if (s->failure.code) {
        *err = s->failure;
        return err->code;
    }
    *out_simulator = TH_TAKE(s);
    return TH_OK;
}

void simulator_close(struct simulator *s)
{
    if (!s)
        return;
    callbacks_close(s->callbacks);
    http_server_close(s->server);
    while (s->undurable) {
        struct pending_answer *answer = s->undurable;
        s->undurable = orders_forget(answer);
    }
    for (size_t i = 0; i < s->answers.n; i++)
        (void)orders_forget((struct pending_answer *)(uintptr_t)s->answers.heap[i].what);
    journal_close(s->journal);
    ledger_free(s->ledger);
    timers_fini(&s->answers);
    timers_fini(&s->steps);
    timers_fini(&s->reports);
    th_arena_fini(&s->scratch);
    th_buf_fini(&s->line);
    th_buf_fini(&s->authorization);
    free(s);
}

uint16_t simulator_port(const struct simulator *simulator)
{
    return http_server_port(simulator->server);
}

static int64_t earliest(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* When an answer, a step or the journal is due next. An answer that is overdue waits for the
 * journal instead. */
static int64_t next_due_us(const struct simulator *s, bool is_overdue)
{
    int64_t due = earliest(timers_next_us(&s->answers), progress_next_us(s));

    if (!is_overdue)
        due = earliest(due, s->undurable_due_us);
    return earliest(due, s->sync_by_us);
}

/* Callbacks are looked at now and then; only where they are many, their news is waited for. */
static bool are_callbacks_many(const struct simulator *s)
{
    return callbacks_active(s->callbacks) > s->settings.callback_connections / 2;
}

static int64_t of_ms(int wait_ms)
{
    return wait_ms < 0 ? WAIT_MAX_US : wait_ms * TH_US_PER_MS;
}

/* How long nothing will be due. */
static int64_t wait_us(const struct simulator *s, bool is_overdue)
{
    int64_t wait =
        earliest(of_ms(http_server_wait_ms(s->server)), of_ms(callbacks_wait_ms(s->callbacks)));
    int64_t due = next_due_us(s, is_overdue);

    if (due != INT64_MAX)
        wait = earliest(wait, due - simulator_now_us(s));
    if (callbacks_active(s->callbacks) && !are_callbacks_many(s))
        wait = earliest(wait, CALLBACKS_LOOK_US);
    if (journal_durable(s->journal) < journal_end(s->journal))
        wait = earliest(wait, FAILURE_LOOK_US);
    if (s->is_stopping)
        wait = earliest(wait, STOPPING_LOOK_US);
    return wait > 0 ? wait : 0;
}

static void turn(struct simulator *s)
{
    int64_t now = simulator_now_us(s);

    s->turned_us = now;
    orders_on_durable(s);
    orders_on_time(s, now);
    progress_on_time(s, now);
    callbacks_run(s->callbacks);
    http_server_run(s->server);
    if (s->sync_by_us <= simulator_now_us(s)) {
        s->sync_by_us = INT64_MAX;
        journal_kick(s->journal);
    }
    if (s->failure.code == TH_OK && journal_failure(s->journal, &s->failure) != TH_OK)
        s->is_stopping = true;
}

static struct timespec timespec_of(int64_t us)
{
    return (struct timespec){.tv_sec = us / TH_US_PER_SEC, .tv_nsec = us % TH_US_PER_SEC * 1000};
}

/* What comes within this time is served in one turn. */
static void gather(const struct simulator *s)
{
    int64_t left_us = s->turned_us + TURN_US - simulator_now_us(s);

    if (s->settings.latency_ms.min < TURN_LATENCY_MIN || left_us <= 0)
        return;
    struct timespec left = timespec_of(left_us);
    (void)nanosleep(&left, NULL);
}

enum { STOP, HTTP, JOURNAL, CALLBACKS, SOURCES };

static void look_at(struct pollfd *source, int fd, bool is_wanted)
{
    *source = (struct pollfd){.fd = is_wanted ? fd : -1, .events = POLLIN};
}

enum th_code simulator_run(struct simulator *s, int stop_fd, struct th_err *err)
{
    int64_t patience_us = INT64_MAX;

    while (s->failure.code == TH_OK) {
        struct pollfd fds[SOURCES];
        gather(s);
        /* Asked once: a moment later it may be otherwise, and then nobody would wait for it. */
        bool is_overdue = s->undurable_due_us <= simulator_now_us(s);
        look_at(&fds[STOP], stop_fd, !s->is_stopping);
        look_at(&fds[HTTP], http_server_fd(s->server), true);
        look_at(&fds[JOURNAL], journal_fd(s->journal), s->is_stopping || is_overdue);
        look_at(&fds[CALLBACKS], callbacks_fd(s->callbacks), are_callbacks_many(s));
        struct timespec wait = timespec_of(wait_us(s, is_overdue));
        int n = ppoll(fds, SOURCES, &wait, NULL);
        if (n < 0 && errno != EINTR)
            return th_fail(err, TH_IO, "poll: %s", strerror(errno));
        if (n > 0 && fds[JOURNAL].revents)
            journal_acknowledge(s->journal);
        turn(s);
        if (n > 0 && !s->is_stopping && fds[STOP].revents) {
            s->is_stopping = true;
            patience_us = simulator_now_us(s) + STOP_PATIENCE_US;
            http_server_quiesce(s->server);
        }
        if (s->is_stopping && (s->in_flight == 0 || simulator_now_us(s) > patience_us))
            return TH_OK;
    }
    *err = s->failure;
    return err->code;
}
