#include "tests/simulation/agenda.h"

#include <assert.h>
#include <stdlib.h>

static bool is_before(const struct agenda_item *a, const struct agenda_item *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->tie < b->tie;
}

void agenda_add(struct agenda *agenda, int64_t due_us, uint64_t tie, agenda_fn *fn, int64_t arg)
{
    if (agenda->n == agenda->cap) {
        agenda->cap = agenda->cap ? 2 * agenda->cap : 256;
        agenda->at = reallocarray(agenda->at, agenda->cap, sizeof *agenda->at);
        assert(agenda->at);
    }
    struct agenda_item item = {due_us, tie, fn, arg};
    size_t i = agenda->n++;
    for (; i > 0 && is_before(&item, &agenda->at[(i - 1) / 2]); i = (i - 1) / 2)
        agenda->at[i] = agenda->at[(i - 1) / 2];
    agenda->at[i] = item;
}

bool agenda_pop(struct agenda *agenda, struct agenda_item *out)
{
    if (agenda->n == 0)
        return false;
    *out = agenda->at[0];
    struct agenda_item last = agenda->at[--agenda->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= agenda->n)
            break;
        if (child + 1 < agenda->n && is_before(&agenda->at[child + 1], &agenda->at[child]))
            child++;
        if (!is_before(&agenda->at[child], &last))
            break;
        agenda->at[i] = agenda->at[child];
        i = child;
    }
    agenda->at[i] = last;
    return true;
}

void agenda_fini(struct agenda *agenda)
{
    free(agenda->at);
    *agenda = (struct agenda){0};
}
