#include "common/eventlog/timers.h"

#include <assert.h>
#include <stdlib.h>

#define CAP_FIRST 64
#define STALE_MIN 16384 /* fewer are not worth the walk */

static_assert(sizeof(struct timer) == 24, "a timer is 24 bytes");

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}

void timers_clear(struct timers *timers)
{
    timers->n = 0;
}

static bool is_before(const struct timer *a, const struct timer *b)
{
    if (a->due_us != b->due_us)
        return a->due_us < b->due_us;
    return th_id_cmp(a->id, b->id) < 0;
}

static enum th_code reserve_one(struct timers *timers)
{
    if (timers->n < timers->cap)
        return TH_OK;
    if (timers->n >= TIMERS_MAX)
        return TH_NOMEM;
    size_t cap = timers->cap ? timers->cap * 2 : CAP_FIRST;
    struct timer *heap = reallocarray(timers->heap, cap, sizeof *heap);
    if (!heap)
        return TH_NOMEM;
    timers->heap = heap;
    timers->cap = cap;
    return TH_OK;
}

enum th_code timers_add(struct timers *timers, int64_t due_us, struct th_id id)
{
    struct timer timer = {due_us, id};

    TH_TRY(reserve_one(timers));
    size_t i = timers->n++;
    while (i > 0 && is_before(&timer, &timers->heap[(i - 1) / 4])) {
        timers->heap[i] = timers->heap[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    timers->heap[i] = timer;
    return TH_OK;
}

bool timers_are_stale(const struct timers *timers, size_t entries)
{
    return timers->n > STALE_MIN && timers->n / 2 > entries;
}

int64_t timers_next_us(const struct timers *timers)
{
    return timers->n ? timers->heap[0].due_us : INT64_MAX;
}

/* Of the up to four children that there are. */
static size_t earliest_child(const struct timers *timers, size_t parent)
{
    size_t earliest = 4 * parent + 1;
    size_t end = earliest + 4 < timers->n ? earliest + 4 : timers->n;

    for (size_t i = earliest + 1; i < end; i++)
        if (is_before(&timers->heap[i], &timers->heap[earliest]))
            earliest = i;
    return earliest;
}

/* Let a timer sink from the top to its place. */
static void sink(struct timers *timers, struct timer timer)
{
    size_t i = 0;

    while (4 * i + 1 < timers->n) {
        size_t child = earliest_child(timers, i);
        if (!is_before(&timers->heap[child], &timer))
            break;
        timers->heap[i] = timers->heap[child];
        i = child;
    }
    timers->heap[i] = timer;
}

bool timers_pop(struct timers *timers, int64_t now_us, struct timer *out_timer)
{
    if (timers->n == 0 || timers->heap[0].due_us > now_us)
        return false;
    *out_timer = timers->heap[0];
    struct timer last = timers->heap[--timers->n];
    if (timers->n)
        sink(timers, last);
    return true;
}
