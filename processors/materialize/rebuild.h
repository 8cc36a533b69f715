/* rebuild.h - the views made anew from the log: to replace the ones there are, or to check them.
 *
 * Both read the log from its beginning into a generation of their own, while the current one goes
 * on. Called from one thread; the work is shared among VIEW_REBUILD_THREADS.
 */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_REBUILD_H
#define TELEHUB_PROCESSORS_MATERIALIZE_REBUILD_H

#include "common/eventlog/log.h"
#include "common/view_store.h"

#define VIEW_REBUILD_THREADS 2

struct view_report {
    int gen;         /* the generation that was made */
    uint64_t events; /* folded into it */
    struct view_comparison tables[VIEW_TABLE_COUNT];
    struct view_difference differences[VIEW_DIFFERENCES_MAX]; /* texts live in the arena */
    size_t differences_n;
    bool is_equal; /* all tables are */
};

/* Are the current views folded from this log? Those of which nobody knows it are, from now on.
 * Errors: TH_CONFLICT  they are from another, whose offsets mean nothing here */
TH_MUST_USE
enum th_code view_check_log(struct th_log *log, struct view_generations *gens, struct th_err *err);

/* Make a new generation, fold everything there is, put it in place of the current one. The old one
 * is kept (views.drop throws it away). If the log grows faster than it is folded, this goes on.
 * *out_gen: the new one. */
TH_MUST_USE
enum th_code view_rebuild(struct th_log *log, struct view_generations *gens, int *out_gen,
                          uint64_t *out_events, struct th_err *err);

/* Take the current generation as it is now, fold the log up to exactly there into a new one,
 * compare all rows and columns, and drop the new one. TH_OK with report->is_equal false: they
 * differ. Errors: as view_check_log, too. */
TH_MUST_USE
enum th_code view_verify(struct th_log *log, struct view_generations *gens, struct th_arena *arena,
                         struct view_report *report, struct th_err *err);

#endif
