#include "tests/unit/slot_echo.h"

#include <assert.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The journal of this process: silent about what was never called. */
static enum th_code tell_journal(const struct echo *echo, const struct effect *effect,
                                 struct answer *out)
{
    struct attempt_ref attempt = effect->as.ask_journal.attempt;

    *out = (struct answer){.type = ANSWER_JOURNAL_TOLD,
                           .as.journal_told = {.attempt = attempt, .is_silent = true}};
    for (size_t i = 0; i < echo->n; i++)
        if (th_id_eq(echo->calls[i].send, attempt.send))
            out->as.journal_told.is_silent = false;
    return TH_OK;
}

static enum th_code echo_ask(struct effects *effects, const struct effect *effect,
                             struct th_arena *arena, struct answer *out)
{
    if (effect->type == EFFECT_ASK_JOURNAL)
        return tell_journal((struct echo *)effects, effect, out);
    assert(effect->type == EFFECT_READ_RECIPIENT);
    *out = (struct answer){.type = ANSWER_RECIPIENT_READ,
                           .as.recipient_read.send = effect->as.read_recipient.send};
    return th_arena_copy(arena, TH_STR("+911234567890"),
                         &out->as.recipient_read.row.phone.as.string);
}

static void echo_run(struct effects *effects, const struct effect *effect, int64_t commit_boot_us)
{
    struct echo *echo = (struct echo *)effects;

    (void)commit_boot_us;
    assert(echo->session != 0);
    assert(echo->n < echo->max);
    echo->calls[echo->n++] = effect->as.call.attempt;
    eventfd_write(echo->fd, 1);
}

static bool echo_poll(struct effects *effects, struct th_arena *arena, struct answer *out)
{
    struct echo *echo = (struct echo *)effects;
    eventfd_t ignored;

    (void)arena;
    if (echo->answered == echo->n) {
        (void)!eventfd_read(echo->fd, &ignored);
        return false;
    }
    *out = (struct answer){.type = ANSWER_CALL_ENDED,
                           .as.call_ended = {.attempt = echo->calls[echo->answered++],
                                             .outcome.result = PROVIDER_ACCEPTED}};
    return true;
}

static int echo_fd(const struct effects *effects)
{
    return ((const struct echo *)effects)->fd;
}

static void echo_session(struct effects *effects, uint64_t session)
{
    ((struct echo *)effects)->session = session;
}

static const struct effects_ops echo_ops = {
    .ask = echo_ask, .run = echo_run, .poll = echo_poll, .fd = echo_fd, .session = echo_session};

void echo_init(struct echo *echo, size_t calls_max)
{
    *echo = (struct echo){.effects.ops = &echo_ops, .max = calls_max};
    echo->calls = calloc(calls_max, sizeof *echo->calls);
    echo->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(echo->calls);
    assert(echo->fd >= 0);
}

void echo_fini(struct echo *echo)
{
    free(echo->calls);
    close(echo->fd);
}
