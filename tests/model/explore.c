#include "tests/model/explore.h"

#include <assert.h>
#include <string.h>

#define NO_STATE      UINT32_MAX
#define STATES_FIRST  4096U
#define STORY_TEXT    256U
#define GROWTH_FACTOR 2U

/* How a state was reached first. */
struct origin {
    uint32_t parent;
    struct explore_step step;
};

struct edge {
    uint32_t to;
    uint8_t kind, action;
};

struct explorer {
    const struct explore_model *model;
    size_t states_max;

    uint8_t *states; /* state_count × state_size bytes */
    struct origin *origins;
    size_t state_count, state_room;

    uint32_t *slots; /* open addressing; a power of two, at most half full */
    size_t slot_count;

    struct edge *edges; /* of state i: edge_start[i] … edge_start[i + 1] */
    uint32_t *edge_start;
    size_t edge_count, edge_room;

    uint32_t broken_at;
};

/* What next() writes to: the state that is being expanded, and the first failure. */
struct explore_sink {
    struct explorer *explorer;
    uint32_t from;
    enum th_code code;
};

static const void *state_at(const struct explorer *x, uint32_t i)
{
    return x->states + (size_t)i * x->model->state_size;
}

/* Multiply and fold each word: quick, and spreads the few bits in which neighbours differ. */
static uint64_t hash_state(const uint8_t *bytes, size_t size)
{
    uint64_t h = 0x9e3779b97f4a7c15U;

    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, bytes + i, sizeof word);
        h = (h ^ word) * 0xff51afd7ed558ccdU;
        h ^= h >> 32;
    }
    return h;
}

/* Where state is, or would go, in the slots. */
static size_t find_slot(const struct explorer *x, const void *state)
{
    size_t size = x->model->state_size;
    size_t mask = x->slot_count - 1;
    size_t i = (size_t)hash_state(state, size) & mask;

    while (x->slots[i] != NO_STATE && memcmp(state_at(x, x->slots[i]), state, size) != 0)
        i = (i + 1) & mask;
    return i;
}

/* *array_address is a pointer of any type; through memcpy, since void ** may not alias it. */
static bool grow(void *array_address, size_t element_size, size_t count)
{
    void *array;

    memcpy(&array, array_address, sizeof array);
    array = realloc(array, element_size * count);
    if (!array)
        return false;
    memcpy(array_address, &array, sizeof array);
    return true;
}

static enum th_code rehash(struct explorer *x, size_t slot_count)
{
    uint32_t *slots = malloc(slot_count * sizeof *slots);

    if (!slots)
        return TH_NOMEM;
    free(x->slots);
    x->slots = slots;
    x->slot_count = slot_count;
    memset(slots, 0xff, slot_count * sizeof *slots);
    for (uint32_t i = 0; i < x->state_count; i++)
        slots[find_slot(x, state_at(x, i))] = i;
    return TH_OK;
}

static enum th_code make_room(struct explorer *x)
{
    size_t room = x->state_room ? x->state_room * GROWTH_FACTOR : STATES_FIRST;

    if (x->state_count < x->state_room)
        return TH_OK;
    if (!grow(&x->states, x->model->state_size, room) ||
        !grow(&x->origins, sizeof *x->origins, room) ||
        !grow(&x->edge_start, sizeof *x->edge_start, room + 1))
        return TH_NOMEM;
    x->state_room = room;
    return rehash(x, room * GROWTH_FACTOR);
}

/* The number of state, which is added if it is new. */
static enum th_code intern(struct explorer *x, const void *state, struct origin origin,
                           uint32_t *out_number)
{
    TH_TRY(make_room(x));

    size_t slot = find_slot(x, state);
    if (x->slots[slot] == NO_STATE) {
        if (x->state_count == x->states_max)
            return TH_FULL;
        memcpy(x->states + x->state_count * x->model->state_size, state, x->model->state_size);
        x->origins[x->state_count] = origin;
        x->slots[slot] = (uint32_t)x->state_count++;
    }
    *out_number = x->slots[slot];
    return TH_OK;
}

static enum th_code add_edge(struct explorer *x, uint32_t to, struct explore_step step)
{
    if (x->edge_count == x->edge_room) {
        size_t room = x->edge_room ? x->edge_room * GROWTH_FACTOR : STATES_FIRST;

        if (room > UINT32_MAX)
            return TH_FULL;
        if (!grow(&x->edges, sizeof *x->edges, room))
            return TH_NOMEM;
        x->edge_room = room;
    }
    x->edges[x->edge_count++] = (struct edge){.to = to, .kind = step.kind, .action = step.action};
    return TH_OK;
}

void explore_emit(struct explore_sink *sink, struct explore_step step, const void *state)
{
    uint32_t to = NO_STATE;

    if (sink->code == TH_OK)
        sink->code =
            intern(sink->explorer, state, (struct origin){.parent = sink->from, .step = step}, &to);
    if (sink->code == TH_OK)
        sink->code = add_edge(sink->explorer, to, step);
}

/* next() reads a copy: the array of states may move while it emits. */
static enum th_code expand(struct explorer *x, uint32_t number, void *copy)
{
    struct explore_sink sink = {.explorer = x, .from = number, .code = TH_OK};

    memcpy(copy, state_at(x, number), x->model->state_size);
    x->edge_start[number] = (uint32_t)x->edge_count;
    x->model->next(x->model->context, copy, &sink);
    x->edge_start[number + 1] = (uint32_t)x->edge_count;
    return sink.code;
}

static enum th_code explore(struct explorer *x, const char **out_broken)
{
    const struct explore_model *model = x->model;
    TH_AUTO(free) void *copy = calloc(1, model->state_size);
    uint32_t number;

    *out_broken = NULL;
    if (!copy)
        return TH_NOMEM;
    model->first(model->context, copy);
    TH_TRY(intern(x, copy, (struct origin){.parent = NO_STATE}, &number));

    for (uint32_t i = 0; i < x->state_count && !*out_broken; i++) {
        *out_broken = model->broken(model->context, state_at(x, i));
        if (*out_broken)
            x->broken_at = i;
        else
            TH_TRY(expand(x, i, copy));
    }
    return TH_OK;
}

static bool leads_to_good(const struct explorer *x, uint32_t i, uint8_t kinds, const uint8_t *good)
{
    for (uint32_t e = x->edge_start[i]; e < x->edge_start[i + 1]; e++) {
        if ((x->edges[e].kind & kinds) && good[x->edges[e].to])
            return true;
    }
    return false;
}

/* Sweep backwards until nothing is added: states found late lie near the goals, so that a few
 * sweeps do. */
static enum th_code check_goal(struct explorer *x, const struct explore_goal *goal,
                               const char **out_broken)
{
    TH_AUTO(free) void *room = calloc(x->state_count + 1, 1);
    uint8_t *good = room;

    if (!good)
        return TH_NOMEM;
    for (uint32_t i = 0; i < x->state_count; i++)
        good[i] = goal->holds(x->model->context, state_at(x, i));

    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = (uint32_t)x->state_count; i-- > 0;) {
            if (!good[i] && leads_to_good(x, i, goal->kinds, good)) {
                good[i] = true;
                changed = true;
            }
        }
    }
    for (uint32_t i = 0; i < x->state_count; i++) {
        if (!good[i]) {
            x->broken_at = i;
            *out_broken = goal->says;
            return TH_OK;
        }
    }
    return TH_OK;
}

/* Breadth first, so the last state lies farthest out. */
static size_t depth_of(const struct explorer *x, uint32_t number)
{
    size_t depth = 0;

    for (; x->origins[number].parent != NO_STATE; number = x->origins[number].parent)
        depth++;
    return depth;
}

enum th_code explorer_new(const struct explore_model *model, size_t states_max,
                          struct explorer **out_explorer, struct explore_result *out_result,
                          struct th_err *err)
{
    TH_AUTO(explorer) struct explorer *x = calloc(1, sizeof *x);
    const char *broken = NULL;

    assert(model->state_size % sizeof(uint64_t) == 0 && states_max < NO_STATE);
    if (!x)
        return th_fail(err, TH_NOMEM, "explorer");
    *x = (struct explorer){.model = model, .states_max = states_max, .broken_at = NO_STATE};

    enum th_code code = explore(x, &broken);
    for (size_t i = 0; code == TH_OK && !broken && i < model->goal_count; i++)
        code = check_goal(x, &model->goals[i], &broken);
    if (code != TH_OK)
        return th_fail(err, code, "after %zu states", x->state_count);

    *out_result = (struct explore_result){
        .state_count = x->state_count,
        .step_count = x->edge_count,
        .depth = depth_of(x, (uint32_t)x->state_count - 1),
        .broken = broken,
    };
    for (size_t e = 0; e < x->edge_count; e++)
        out_result->taken[x->edges[e].action]++;
    *out_explorer = TH_TAKE(x);
    return TH_OK;
}

static void print_way_to(const struct explorer *x, uint32_t number, FILE *out)
{
    struct origin origin = x->origins[number];
    char text[STORY_TEXT] = "";

    if (origin.parent == NO_STATE)
        return;
    print_way_to(x, origin.parent, out);
    x->model->tell(x->model->context, origin.step, state_at(x, number), text, sizeof text);
    fprintf(out, "    %2zu. %s\n", depth_of(x, number), text);
}

void explorer_print_story(const struct explorer *explorer, FILE *out)
{
    if (explorer->broken_at != NO_STATE)
        print_way_to(explorer, explorer->broken_at, out);
}

void explorer_free(struct explorer *explorer)
{
    if (!explorer)
        return;
    free(explorer->states);
    free(explorer->origins);
    free(explorer->slots);
    free(explorer->edges);
    free(explorer->edge_start);
    free(explorer);
}
