#include "common/eventlog/slot_private.h"

#include "common/log_line.h"

#include <poll.h>
#include <string.h>

#define STOP_WAIT_US    (5 * TH_US_PER_SEC)
#define LOG_AGAIN_US    (60 * TH_US_PER_SEC) /* a failure that goes on is logged once a minute */
#define GATHER_EVERY_MS 1
#define WAIT_MAX_MS     1000

/* What was logged last, so that each failure is logged once. */
struct slot_log {
    struct th_err failure;
    int64_t failure_at_us;
    struct slot_status status;
    bool is_suspect;
};

static void log_failure(const struct slot *slot, struct slot_log *log, const struct th_err *err)
{
    bool is_same = log->failure.code == err->code && strcmp(log->failure.text, err->text) == 0;

    if (is_same && slot->boot_us - log->failure_at_us < LOG_AGAIN_US)
        return;
    log->failure = *err;
    log->failure_at_us = slot->boot_us;
    th_log_error(slot->phase == SLOT_STUCK ? TH_LOG_ERROR : TH_LOG_WARN,
                 slot->phase == SLOT_STUCK ? "slot.stuck" : "slot.failed", err);
}

static void log_changes(const struct slot *slot, struct slot_log *log)
{
    const struct slot_status *now = &slot->status;
    const struct slot_status *before = &log->status;
    const char *core = slot->ops->name;

    if (now->is_open && (!before->is_open || now->reopens > before->reopens))
        th_log(TH_LOG_INFO, "slot.open", TH_F("core", core), TH_F("slot", slot->config.slot),
               TH_F("reopens", now->reopens));
    if (now->aborts > before->aborts && slot->aborts_in_row <= 1)
        th_log(TH_LOG_WARN, "slot.aborted", TH_F("core", core), TH_F("slot", slot->config.slot),
               TH_F("why", (const char *)slot->aborted.text));
    if (now->dead_letters > before->dead_letters)
        th_log(TH_LOG_ERROR, "slot.dead_letter", TH_F("core", core),
               TH_F("slot", slot->config.slot), TH_F("in_all", now->dead_letters));
    if (slot->watch.is_suspect != log->is_suspect)
        th_log(TH_LOG_WARN, "slot.clock", TH_F("core", core), TH_F("slot", slot->config.slot),
               TH_F("is_suspect", (bool)slot->watch.is_suspect));
    log->status = *now;
    log->is_suspect = slot->watch.is_suspect;
}

static void step_and_log(struct slot *slot, struct slot_log *log, int64_t *out_next_us)
{
    struct th_err err = {0};

    if (slot_step(slot, out_next_us, &err) != TH_OK)
        log_failure(slot, log, &err);
    log_changes(slot, log);
}

/* What gathers behind a commit cannot be committed before that is done: it is looked at every now
 * and then, not at each answer of a provider. */
static bool is_commit_done(const struct slot *slot, int stop_fd)
{
    struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN},
                           {.fd = th_log_session_fd(slot->session), .events = POLLIN}};

    return fds[1].fd >= 0 && poll(fds, TH_LEN(fds), GATHER_EVERY_MS) != 0;
}

/* Only what would lead to something is waited for: while a batch is full, hints stay unheard. */
static void wait_for_news(const struct slot *slot, int stop_fd, int64_t next_us)
{
    const struct effects *effects = slot->config.effects;
    struct pollfd fds[4] = {{.fd = stop_fd, .events = POLLIN}};
    nfds_t n = 1;

    if (slot->committing && is_commit_done(slot, stop_fd))
        return;
    if (slot->phase == SLOT_CURSORS || slot->committing)
        fds[n++] = (struct pollfd){.fd = th_log_session_fd(slot->session), .events = POLLIN};
    if (slot->phase == SLOT_RUNNING && slot_has_room(slot) &&
        slot->boot_us >= slot->wait_until_us) {
        fds[n++] = (struct pollfd){.fd = th_log_listener_fd(slot->listener), .events = POLLIN};
        if (effects)
            fds[n++] = (struct pollfd){.fd = effects->ops->fd(effects), .events = POLLIN};
    }

    int64_t wait_ms = WAIT_MAX_MS;
    if (next_us - slot->now_us < wait_ms * TH_US_PER_MS)
        wait_ms = (next_us - slot->now_us + TH_US_PER_MS - 1) / TH_US_PER_MS;
    poll(fds, n, (int)wait_ms); /* a negative descriptor is left out */
}

static bool is_stop_asked(int stop_fd)
{
    struct pollfd fd = {.fd = stop_fd, .events = POLLIN};

    return poll(&fd, 1, 0) > 0;
}

/* What was decided is committed; nothing new is begun, and nobody is called any more. */
static void finish(struct slot *slot, struct slot_log *log)
{
    int64_t until_us = th_clock_boottime_us(slot->config.clock) + STOP_WAIT_US;
    int64_t next_us;

    slot->is_stopping = true;
    if (slot->session && slot->config.effects)
        slot->config.effects->ops->session(slot->config.effects, 0);
    do {
        step_and_log(slot, log, &next_us);
        if (slot->committing)
            wait_for_news(slot, -1, slot->now_us + TH_US_PER_MS);
    } while (slot->committing && slot->boot_us < until_us);
    slot_drop(slot, true);
}

void slot_run(struct slot *slot, int stop_fd)
{
    struct slot_log log = {0};
    int64_t next_us;

    while (!is_stop_asked(stop_fd)) {
        step_and_log(slot, &log, &next_us);
        wait_for_news(slot, stop_fd, next_us);
    }
    finish(slot, &log);
    th_log(TH_LOG_INFO, "slot.closed", TH_F("core", slot->ops->name),
           TH_F("slot", slot->config.slot), TH_F("inputs", slot->status.inputs),
           TH_F("outputs", slot->status.outputs), TH_F("commits", slot->status.commits));
}
