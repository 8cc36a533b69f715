#include "tests/simulation/people.h"

#include "tests/simulation/coverage.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct audience_of {
    struct person *at;
    int n;
    int part_rows;
};

struct people {
    struct audience_of of[SIM_CAMPAIGNS_MAX];
    int numbers;
};

void people_phone(struct world *world, char out[PHONE_SIZE])
{
    bool is_invalid = rng_permille(&world->rng, world->options.odds.invalid_number);

    (void)snprintf(out, PHONE_SIZE, "+919%c%08d", is_invalid ? '1' : '0',
                   ++world->people->numbers % 100000000);
}

static void fill(struct world *world, struct people *people, int campaign)
{
    struct audience_of *audience = &people->of[campaign];

    audience->n = world->options.campaigns[campaign].audience;
    audience->part_rows = world->options.campaigns[campaign].part_rows;
    audience->at = calloc((size_t)audience->n + 1, sizeof *audience->at);
    assert(audience->at);
    for (int i = 0; i < audience->n; i++) {
        struct person *person = &audience->at[i];
        person->is_duplicate = i > 0 && rng_permille(&world->rng, world->options.shared_numbers);
        if (person->is_duplicate)
            memcpy(person->phone, audience->at[rng_below(&world->rng, i)].phone, PHONE_SIZE);
        else
            people_phone(world, person->phone);
    }
}

struct people *people_new(struct world *world)
{
    struct people *people = calloc(1, sizeof *people);

    assert(people);
    world->people = people;
    for (int i = 0; i < world->options.campaigns_n; i++)
        fill(world, people, i);
    return people;
}

void people_free(struct people *people)
{
    if (!people)
        return;
    for (int i = 0; i < SIM_CAMPAIGNS_MAX; i++)
        free(people->of[i].at);
    free(people);
}

int people_n(const struct people *people, int campaign)
{
    return people->of[campaign].n;
}

const struct person *person_at(const struct people *people, int campaign, int ordinal)
{
    return &people->of[campaign].at[ordinal];
}

int people_ordinal(const struct people *people, int campaign, int32_t part, int32_t row)
{
    const struct audience_of *audience = &people->of[campaign];
    int64_t ordinal = (int64_t)part * audience->part_rows + row;

    return part < 0 || row < 0 || row >= audience->part_rows || ordinal >= audience->n
               ? -1
               : (int)ordinal;
}

/* --- answering
 * ------------------------------------------------------------------------------------ */

struct people_effects {
    struct effects effects;
    struct world *world;
    struct process *process;
};

static int campaign_of_audience(const struct world *world, struct th_id audience)
{
    for (int i = 0; i < world->options.campaigns_n; i++)
        if (th_id_eq(world->campaigns[i].audience, audience))
            return i;
    return -1;
}

static int rows_of(const struct audience_of *audience, int32_t part)
{
    int64_t left = audience->n - (int64_t)part * audience->part_rows;

    return left < 0 ? 0 : (int)(left < audience->part_rows ? left : audience->part_rows);
}

static void open_audience(struct world *world, const struct effect *effect, enum th_code code,
                          struct answer *out)
{
    int i = campaign_of_audience(world, effect->as.open_audience.audience);

    *out = (struct answer){.type = ANSWER_AUDIENCE_OPENED,
                           .as.audience_opened = {.campaign = effect->as.open_audience.campaign,
                                                  .code = i < 0 ? TH_NOT_FOUND : code}};
    if (i < 0 || code != TH_OK)
        return;
    const struct audience_of *audience = &world->people->of[i];
    out->as.audience_opened.recipients = audience->n;
    out->as.audience_opened.parts = (audience->n + audience->part_rows - 1) / audience->part_rows;
}

static void read_part(struct world *world, const struct effect *effect, enum th_code code,
                      struct answer *out)
{
    int i = campaign_of_audience(world, effect->as.read_part.audience);
    int32_t part = effect->as.read_part.part;

    *out = (struct answer){.type = ANSWER_PART_READ,
                           .as.part_read = {.campaign = effect->as.read_part.campaign,
                                            .part = part,
                                            .code = i < 0 ? TH_NOT_FOUND : code}};
    if (i < 0 || code != TH_OK)
        return;
    const struct audience_of *audience = &world->people->of[i];
    out->as.part_read.rows = rows_of(audience, part);
    for (int row = 0; row < out->as.part_read.rows && effect->as.read_part.want_duplicates; row++)
        if (audience->at[part * audience->part_rows + row].is_duplicate)
            out->as.part_read.duplicates[row / 8] |= (uint8_t)(1 << (row % 8));
}

static void read_recipient(struct world *world, const struct effect *effect, enum th_code code,
                           struct answer *out)
{
    const struct recipient_ref *ref = &effect->as.read_recipient.recipient;
    int i = campaign_of_audience(world, ref->audience);
    int ordinal = i < 0 ? -1 : people_ordinal(world->people, i, ref->part, ref->row);

    *out = (struct answer){.type = ANSWER_RECIPIENT_READ,
                           .as.recipient_read = {.send = effect->as.read_recipient.send,
                                                 .code = ordinal < 0 ? TH_NOT_FOUND : code}};
    if (ordinal < 0 || code != TH_OK)
        return;
    out->as.recipient_read.row = (struct audience_row){
        .phone = {.as.string = th_str(person_at(world->people, i, ordinal)->phone)},
        .lang = TH_STR("en"),
        .source_row = ordinal + 1,
    };
}

static enum th_code ask(struct effects *effects, const struct effect *effect,
                        struct th_arena *arena, struct answer *out)
{
    struct world *world = ((struct people_effects *)effects)->world;
    enum th_code code =
        world->has_faults && rng_permille(&world->rng, world->options.odds.unavailable)
            ? TH_UNAVAILABLE
            : TH_OK;

    (void)arena;
    if (code != TH_OK)
        coverage_trouble(TROUBLE_UNAVAILABLE);
    switch (effect->type) {
    case EFFECT_OPEN_AUDIENCE:
        open_audience(world, effect, code, out);
        return TH_OK;
    case EFFECT_READ_PART:
        read_part(world, effect, code, out);
        return TH_OK;
    case EFFECT_READ_RECIPIENT:
        read_recipient(world, effect, code, out);
        return TH_OK;
    case EFFECT_ASK_JOURNAL:
    case EFFECT_CALL:
    case EFFECT_LOOKUP:
    case EFFECT_REPEAT:
    case EFFECT_DROP_JOURNAL:
        break;
    }
    world_fail(world, "an effect of type %d from a processor that must not call",
               (int)effect->type);
}

static void run(struct effects *effects, const struct effect *effect, int64_t commit_boot_us)
{
    (void)commit_boot_us;
    world_fail(((struct people_effects *)effects)->world,
               "an effect of type %d from a processor that must not call", (int)effect->type);
}

static bool poll_answer(struct effects *effects, struct th_arena *arena, struct answer *out)
{
    (void)effects;
    (void)arena;
    (void)out;
    return false;
}

static int no_fd(const struct effects *effects)
{
    (void)effects;
    return -1;
}

static void session(struct effects *effects, uint64_t number)
{
    (void)effects;
    (void)number;
}

static const struct effects_ops people_ops = {
    .ask = ask, .run = run, .poll = poll_answer, .fd = no_fd, .session = session};

struct effects *people_effects_new(struct world *world, struct process *process)
{
    struct people_effects *effects = calloc(1, sizeof *effects);

    assert(effects);
    *effects = (struct people_effects){{&people_ops}, world, process};
    return &effects->effects;
}

void people_effects_free(struct effects *effects)
{
    free(effects);
}
