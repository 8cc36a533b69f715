#include "processors/dispatch/plans.h"

#include <assert.h>
#include <string.h>

#define PLAN_MEMORY_MAX ((size_t)4 * 1024 * 1024)

/* Offsets of one partition in the order read. plan is NULL of those that nothing waits for. */
struct seen {
    int64_t offset;
    struct plan *plan;
};

struct partition {
    struct seen *ring;
    size_t first, n, cap;
    size_t read_gathering, read_committing; /* of n, the last ones: read by these batches */
    int64_t resumed_at;                     /* the bitmap begins here */
    uint8_t *resumed;                       /* owned; NULL: none */
    size_t resumed_n;                       /* bytes */
};

/* Plans that a batch settled. */
struct settled {
    struct plan **at;
    size_t n, cap;
};

struct plans {
    int partitions;
    size_t waiting;
    struct settled gathering;
    struct settled committing;
    struct partition parts[];
};

static void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    th_arena_fini(&plan->memory);
    free(plan);
}

static struct seen *seen_at(const struct partition *part, size_t i)
{
    return &part->ring[(part->first + i) % part->cap];
}

struct plans *plans_new(int partitions)
{
    struct plans *plans = calloc(1, sizeof *plans + (size_t)partitions * sizeof plans->parts[0]);

    if (plans)
        plans->partitions = partitions;
    return plans;
}

void plans_free(struct plans *plans)
{
    if (!plans)
        return;
    for (int p = 0; p < plans->partitions; p++) {
        struct partition *part = &plans->parts[p];
        for (size_t i = 0; i < part->n; i++)
            plan_free(seen_at(part, i)->plan);
        free(part->ring);
        free(part->resumed);
    }
    free(plans->gathering.at);
    free(plans->committing.at);
    free(plans);
}

static enum th_code push(struct partition *part, int64_t offset, struct plan *plan)
{
    if (part->n == part->cap) {
        size_t cap = part->cap ? 2 * part->cap : 64;
        struct seen *ring = malloc(cap * sizeof *ring);
        if (!ring)
            return TH_NOMEM;
        for (size_t i = 0; i < part->n; i++)
            ring[i] = *seen_at(part, i);
        free(part->ring);
        part->ring = ring;
        part->cap = cap;
        part->first = 0;
    }
    *seen_at(part, part->n) = (struct seen){offset, plan};
    part->n++;
    part->read_gathering++;
    return TH_OK;
}

static bool was_settled(const struct partition *part, int64_t offset)
{
    int64_t bit = offset - part->resumed_at;

    if (bit < 0 || bit / 8 >= (int64_t)part->resumed_n)
        return false;
    return (part->resumed[bit / 8] >> (bit % 8)) & 1;
}

/* Offsets are read in order. */
static bool is_known(const struct partition *part, int64_t offset)
{
    return part->n > 0 && offset <= seen_at(part, part->n - 1)->offset;
}

static enum th_code plan_make(int part, int64_t offset, const struct attempt_plan *ev,
                              struct plan **out)
{
    struct plan *plan = calloc(1, sizeof *plan);
    struct event from = {.type = EVENT_ATTEMPT_PLAN, .as.attempt_plan = *ev};
    struct event *copy;

    if (!plan)
        return TH_NOMEM;
    th_arena_init(&plan->memory, PLAN_MEMORY_MAX);
    copy = th_arena_alloc(&plan->memory, sizeof *copy);
    if (!copy || event_copy(&from, &plan->memory, copy) != TH_OK) {
        plan_free(plan);
        return TH_NOMEM;
    }
    plan->event = &copy->as.attempt_plan;
    plan->part = part;
    plan->offset = offset;
    *out = plan;
    return TH_OK;
}

enum th_code plans_add(struct plans *plans, int p, int64_t offset, const struct attempt_plan *ev,
                       struct plan **out)
{
    struct partition *part = &plans->parts[p];

    *out = NULL;
    if (is_known(part, offset))
        return TH_OK;
    if (was_settled(part, offset))
        return push(part, offset, NULL);
    TH_TRY(plan_make(p, offset, ev, out));
    if (push(part, offset, *out) != TH_OK) {
        plan_free(*out);
        *out = NULL;
        return TH_NOMEM;
    }
    plans->waiting++;
    return TH_OK;
}

enum th_code plans_skip(struct plans *plans, int p, int64_t offset)
{
    struct partition *part = &plans->parts[p];

    return is_known(part, offset) ? TH_OK : push(part, offset, NULL);
}

enum th_code plans_settle(struct plans *plans, struct plan *plan)
{
    struct settled *list = &plans->gathering;

    assert(!plan->is_settled);
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        struct plan **at = realloc(list->at, cap * sizeof(struct plan *));
        if (!at)
            return TH_NOMEM;
        list->at = at;
        list->cap = cap;
    }
    list->at[list->n++] = plan;
    plan->is_settled = true;
    plans->waiting--;
    return TH_OK;
}

static bool waits(const struct seen *seen)
{
    return seen->plan && !seen->plan->is_settled;
}

struct plan *plans_overdue(struct plans *plans, int p)
{
    struct partition *part = &plans->parts[p];

    for (size_t i = 0; i < part->n; i++) {
        struct seen *seen = seen_at(part, i);
        if (!waits(seen))
            continue;
        bool is_far = seen_at(part, part->n - 1)->offset - seen->offset >= DISPATCH_SPAN_MAX - 1;
        return is_far ? seen->plan : NULL;
    }
    return NULL;
}

size_t plans_waiting(const struct plans *plans)
{
    return plans->waiting;
}

struct plan *plans_next(const struct plans *plans, size_t *at)
{
    size_t i = *at;

    for (int p = 0; p < plans->partitions; p++) {
        const struct partition *part = &plans->parts[p];
        for (; i < part->n; i++, (*at)++) {
            if (waits(seen_at(part, i))) {
                (*at)++;
                return seen_at(part, i)->plan;
            }
        }
        i -= part->n;
    }
    return NULL;
}

static int64_t read_end(const struct partition *part, int64_t next)
{
    return part->n ? seen_at(part, part->n - 1)->offset + 1 : next;
}

static size_t set_bit(uint8_t *bits, int64_t bit)
{
    assert(bit >= 0 && bit / 8 < LOG_NOTE_SIZE_MAX);
    bits[bit / 8] |= (uint8_t)(1U << (bit % 8));
    return (size_t)bit / 8 + 1;
}

/* Bits of what is settled from next on, without the zeros at the end. What was not read yet since
 * the restart stays as the last cursor told it, or a second restart would repeat it. */
static enum th_code bitmap(const struct partition *part, size_t from, int64_t next,
                           struct th_arena *arena, struct th_str *out)
{
    uint8_t *bits = th_arena_alloc(arena, LOG_NOTE_SIZE_MAX);
    int64_t resumed_end = part->resumed_at + 8 * (int64_t)part->resumed_n;
    size_t n = 0;

    if (!bits)
        return TH_NOMEM;
    for (size_t i = from; i < part->n; i++)
        if (!waits(seen_at(part, i)))
            n = set_bit(bits, seen_at(part, i)->offset - next);
    for (int64_t offset = read_end(part, next); offset < resumed_end; offset++)
        if (offset >= next && was_settled(part, offset))
            n = set_bit(bits, offset - next);
    *out = (struct th_str){(const char *)bits, n};
    return TH_OK;
}

enum th_code plans_cursor(const struct plans *plans, int p, int64_t read_to, struct th_arena *arena,
                          struct log_cursor *out)
{
    const struct partition *part = &plans->parts[p];
    size_t i = 0;

    while (i < part->n && !waits(seen_at(part, i)))
        i++;
    *out = (struct log_cursor){.next = {TOPIC_DISPATCH_REQUESTS, p, read_to}};
    if (i < part->n)
        out->next.offset = seen_at(part, i)->offset;
    return bitmap(part, i, out->next.offset, arena, &out->note);
}

enum th_code plans_resume(struct plans *plans, const struct log_cursor *cursor)
{
    struct partition *part = &plans->parts[cursor->next.part];

    free(part->resumed);
    part->resumed = NULL;
    part->resumed_n = 0;
    part->resumed_at = cursor->next.offset;
    if (cursor->note.n == 0)
        return TH_OK;
    part->resumed = malloc(cursor->note.n);
    if (!part->resumed)
        return TH_NOMEM;
    memcpy(part->resumed, cursor->note.p, cursor->note.n);
    part->resumed_n = cursor->note.n;
    return TH_OK;
}

void plans_close(struct plans *plans)
{
    struct settled emptied = plans->committing;

    assert(emptied.n == 0);
    plans->committing = plans->gathering;
    plans->gathering = emptied;
    for (int p = 0; p < plans->partitions; p++) {
        struct partition *part = &plans->parts[p];
        part->read_committing = part->read_gathering;
        part->read_gathering = 0;
    }
}

static void drop_settled_front(struct partition *part)
{
    /* the last one tells how far was read, and what may be undone stays */
    while (part->n > 1 && part->n > part->read_gathering && !seen_at(part, 0)->plan) {
        part->first = (part->first + 1) % part->cap;
        part->n--;
    }
}

static struct seen *find(struct partition *part, int64_t offset)
{
    size_t low = 0;
    size_t high = part->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (seen_at(part, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return seen_at(part, low);
}

void plans_forget(struct plans *plans)
{
    for (size_t i = 0; i < plans->committing.n; i++) {
        struct plan *plan = plans->committing.at[i];
        struct seen *seen = find(&plans->parts[plan->part], plan->offset);
        assert(seen->plan == plan);
        seen->plan = NULL;
        plan_free(plan);
    }
    plans->committing.n = 0;
    for (int p = 0; p < plans->partitions; p++) {
        plans->parts[p].read_committing = 0;
        drop_settled_front(&plans->parts[p]);
    }
}

static void unsettle(struct plans *plans, struct settled *list)
{
    for (size_t i = 0; i < list->n; i++)
        list->at[i]->is_settled = false;
    plans->waiting += list->n;
    list->n = 0;
}

/* They are presented again. Started from memory before that, they would lie beyond the cursor. */
static void unread(struct plans *plans, struct partition *part)
{
    size_t n = part->read_gathering + part->read_committing;

    for (; n > 0; n--) {
        struct plan *plan = seen_at(part, --part->n)->plan;
        plans->waiting -= plan != NULL;
        plan_free(plan);
    }
    part->read_gathering = part->read_committing = 0;
}

void plans_undo(struct plans *plans)
{
    struct plan *plan;

    unsettle(plans, &plans->gathering);
    unsettle(plans, &plans->committing);
    for (int p = 0; p < plans->partitions; p++)
        unread(plans, &plans->parts[p]);
    for (size_t at = 0; (plan = plans_next(plans, &at));)
        plan->is_queued = false;
}
