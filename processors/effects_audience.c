#include "processors/effects_audience.h"

#include <assert.h>

static enum th_code ask(struct effects *effects, const struct effect *effect,
                        struct th_arena *arena, struct answer *out)
{
    struct effects_audience *self = (struct effects_audience *)effects;

    return audience_answer(self->audience, effect, arena, out);
}

static void run(struct effects *effects, const struct effect *effect, int64_t commit_boot_us)
{
    (void)effects;
    (void)commit_boot_us;
    (void)effect;
    assert(effect_is_immediate(effect->type)); /* campaign and retry only read */
}

static bool poll(struct effects *effects, struct th_arena *arena, struct answer *out)
{
    (void)effects;
    (void)arena;
    (void)out;
    return false;
}

static int fd(const struct effects *effects)
{
    (void)effects;
    return -1;
}

static void session(struct effects *effects, uint64_t nonce)
{
    (void)effects;
    (void)nonce;
}

static const struct effects_ops ops = {
    .ask = ask, .run = run, .poll = poll, .fd = fd, .session = session};

void effects_audience_init(struct effects_audience *effects, struct audience *audience)
{
    *effects = (struct effects_audience){{&ops}, audience};
}
