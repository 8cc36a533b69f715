#include "connectors/sandbox/timers.h"

#define CAP_MIN 1024

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}

static enum th_code grow(struct timers *timers)
{
    size_t cap = timers->cap ? 2 * timers->cap : CAP_MIN;
    struct timer *heap = reallocarray(timers->heap, cap, sizeof *heap);

    if (!heap)
        return TH_NOMEM;
    timers->heap = heap;
    timers->cap = cap;
    return TH_OK;
}

enum th_code timers_add(struct timers *timers, int64_t due_us, uint64_t what)
{
    if (timers->n == timers->cap)
        TH_TRY(grow(timers));

    size_t i = timers->n++;
    for (; i > 0 && timers->heap[(i - 1) / 2].due_us > due_us; i = (i - 1) / 2)
        timers->heap[i] = timers->heap[(i - 1) / 2];
    timers->heap[i] = (struct timer){due_us, what};
    return TH_OK;
}

/* Let moving sink from the root to where no child is earlier. */
static void sink(struct timers *timers, struct timer moving)
{
    size_t i = 0;

    for (size_t child = 1; child < timers->n; child = 2 * i + 1) {
        if (child + 1 < timers->n && timers->heap[child + 1].due_us < timers->heap[child].due_us)
            child++;
        if (timers->heap[child].due_us >= moving.due_us)
            break;
        timers->heap[i] = timers->heap[child];
        i = child;
    }
    timers->heap[i] = moving;
}

bool timers_pop(struct timers *timers, int64_t now_us, uint64_t *out_what)
{
    if (timers->n == 0 || timers->heap[0].due_us > now_us)
        return false;
    *out_what = timers->heap[0].what;
    timers->n--;
    if (timers->n)
        sink(timers, timers->heap[timers->n]);
    return true;
}

int64_t timers_next_us(const struct timers *timers)
{
    return timers->n ? timers->heap[0].due_us : INT64_MAX;
}
