#include "processors/materialize/rebuild.h"

#include "processors/materialize/materialize.h"

#define PUBLISH_TRIES 100

/* Which generation a slot of its own writes. */
struct target {
    struct view_generations *gens;
    int gen;
};

static enum th_code open_target(void *context, struct view_store **out_store, struct th_err *err)
{
    struct target *target = context;

    return target->gens->ops->open(target->gens, target->gen, out_store, err);
}

static enum th_code open_folder(struct th_log *log, struct target *target,
                                const struct view_step *until, size_t until_n,
                                struct materialize **out, struct th_err *err)
{
    struct materialize_config config = {.log = log,
                                        .open_store = open_target,
                                        .context = target,
                                        .is_bounded = until != NULL,
                                        .until = until,
                                        .until_n = until_n};

    return materialize_new(&config, out, err);
}

/* What came in meanwhile is folded until the new generation is level with the old one. */
static enum th_code catch_up_and_publish(struct materialize *m, struct target *target,
                                         struct th_err *err)
{
    enum th_code code = TH_CONFLICT;

    for (int tries = 0; code == TH_CONFLICT && tries < PUBLISH_TRIES; tries++) {
        TH_TRY(materialize_drain(m, err));
        code = target->gens->ops->publish(target->gens, target->gen, err);
    }
    return code;
}

enum th_code view_rebuild(struct th_log *log, struct view_generations *gens, int *out_gen,
                          uint64_t *out_events, struct th_err *err)
{
    struct target target = {.gens = gens};
    struct materialize *m;

    TH_TRY(gens->ops->make(gens, &target.gen, err));
    TH_TRY(open_folder(log, &target, NULL, 0, &m, err));
    enum th_code code = catch_up_and_publish(m, &target, err);
    *out_gen = target.gen;
    *out_events = materialize_status(m).events;
    materialize_free(m);
    return code;
}

/* --- verify --------------------------------------------------------------------------------------
 */

static enum th_code fold_until(struct th_log *log, struct target *target,
                               const struct view_step *until, size_t until_n,
                               struct view_report *report, struct th_err *err)
{
    struct materialize *m;

    TH_TRY(open_folder(log, target, until, until_n, &m, err));
    enum th_code code = materialize_drain(m, err);
    report->events = materialize_status(m).events;
    materialize_free(m);
    return code;
}

static enum th_code verify_frozen(struct th_log *log, struct view_generations *gens, int live,
                                  struct th_arena *arena, struct view_report *report,
                                  struct th_err *err)
{
    struct target target = {gens, report->gen};
    struct view_step *until;
    size_t until_n;

    TH_TRY(gens->ops->ends(gens, live, arena, &until, &until_n, err));
    TH_TRY(fold_until(log, &target, until, until_n, report, err));
    TH_TRY(gens->ops->compare(gens, live, report->gen, arena, report->tables, report->differences,
                              &report->differences_n, err));
    report->is_equal = true;
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        report->is_equal = report->is_equal && report->tables[i].is_equal;
    return TH_OK;
}

enum th_code view_verify(struct th_log *log, struct view_generations *gens, struct th_arena *arena,
                         struct view_report *report, struct th_err *err)
{
    struct th_err ignored = {0};
    int live;

    *report = (struct view_report){0};
    TH_TRY(gens->ops->current(gens, &live, err));
    TH_TRY(gens->ops->make(gens, &report->gen, err));
    enum th_code code = gens->ops->freeze(gens, live, err);
    if (code == TH_OK)
        code = verify_frozen(log, gens, live, arena, report, err);
    gens->ops->thaw(gens);
    enum th_code dropped = gens->ops->drop(gens, report->gen, code == TH_OK ? err : &ignored);
    return code == TH_OK ? dropped : code;
}
