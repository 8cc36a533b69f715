/* All that a replay is made of, and what folds a replayed log: linked whole, so that harmless_test
 * can look at what is in it. */
#include <stdio.h>

#include "common/eventlog/replay.h"
#include "processors/materialize/materialize.h"

int main(void)
{
    printf("%p %p\n", (void *)(size_t)log_replay_run, (void *)(size_t)materialize_run);
    return 0;
}
