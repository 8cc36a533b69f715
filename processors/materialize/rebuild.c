#include "processors/materialize/rebuild.h"

#include <pthread.h>
#include <string.h>

#include "processors/materialize/fold.h"
#include "processors/materialize/materialize.h"

#define PUBLISH_TRIES 100
#define BATCH_BYTES   ((size_t)16 * 1024 * 1024) /* large: most sends are written once */

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

/* One of the threads that share the partitions. */
struct folder {
    struct materialize *m;
    pthread_t thread;
    bool is_running;
    enum th_code code;
    struct th_err err;
};

struct folders {
    struct folder at[VIEW_REBUILD_THREADS];
};

static enum th_code open_folders(struct th_log *log, struct target *target,
                                 const struct view_step *until, size_t until_n, struct folders *out,
                                 struct th_err *err)
{
    *out = (struct folders){0};
    for (int i = 0; i < VIEW_REBUILD_THREADS; i++) {
        struct materialize_config config = {.log = log,
                                            .open_store = open_target,
                                            .context = target,
                                            .slot = i,
                                            .slots = VIEW_REBUILD_THREADS,
                                            .batch_bytes = BATCH_BYTES,
                                            .keep_bytes = BATCH_BYTES,
                                            .is_bounded = until != NULL,
                                            .until = until,
                                            .until_n = until_n};
        TH_TRY(materialize_new(&config, &out->at[i].m, err));
    }
    return TH_OK;
}

static void close_folders(struct folders *folders)
{
    for (int i = 0; i < VIEW_REBUILD_THREADS; i++)
        materialize_free(folders->at[i].m);
}

static void *run_folder(void *arg)
{
    struct folder *folder = arg;

    folder->code = materialize_drain(folder->m, &folder->err);
    return NULL;
}

/* Each folds its partitions to their ends. */
static enum th_code drain(struct folders *folders, struct th_err *err)
{
    enum th_code code = TH_OK;

    for (int i = 0; i < VIEW_REBUILD_THREADS; i++) {
        struct folder *folder = &folders->at[i];
        folder->is_running = pthread_create(&folder->thread, NULL, run_folder, folder) == 0;
        if (!folder->is_running)
            run_folder(folder);
    }
    for (int i = 0; i < VIEW_REBUILD_THREADS; i++) {
        struct folder *folder = &folders->at[i];
        if (folder->is_running)
            pthread_join(folder->thread, NULL);
        if (folder->code != TH_OK)
            code = th_fail(err, folder->code, "%s", folder->err.text);
    }
    return code;
}

static uint64_t folded(const struct folders *folders)
{
    uint64_t events = 0;

    for (int i = 0; i < VIEW_REBUILD_THREADS; i++)
        if (folders->at[i].m)
            events += materialize_status(folders->at[i].m).events;
    return events;
}

/* What came in meanwhile is folded until the new generation is level with the old one. */
static enum th_code catch_up_and_publish(struct folders *folders, struct target *target,
                                         struct th_err *err)
{
    enum th_code code = TH_CONFLICT;

    for (int tries = 0; code == TH_CONFLICT && tries < PUBLISH_TRIES; tries++) {
        TH_TRY(drain(folders, err));
        code = target->gens->ops->publish(target->gens, target->gen, err);
    }
    return code;
}

enum th_code view_check_log(struct th_log *log, struct view_generations *gens, struct th_err *err)
{
    char from[VIEW_LOG_ID_SIZE];
    int gen;

    TH_TRY(gens->ops->current(gens, &gen, err));
    TH_TRY(gens->ops->set_log(gens, gen, th_log_id(log), err));
    TH_TRY(gens->ops->log_id(gens, gen, from, err));
    if (strcmp(from, th_log_id(log)) != 0)
        return th_fail(err, TH_CONFLICT,
                       "the views were made from log %s, and this is %s: telehub view rebuild "
                       "makes them anew",
                       from, th_log_id(log));
    return TH_OK;
}

enum th_code view_rebuild(struct th_log *log, struct view_generations *gens, int *out_gen,
                          uint64_t *out_events, struct th_err *err)
{
    struct target target = {.gens = gens};
    struct folders folders;

    TH_TRY(gens->ops->make(gens, FOLD_VERSION, &target.gen, err));
    TH_TRY(gens->ops->set_log(gens, target.gen, th_log_id(log), err));
    enum th_code code = open_folders(log, &target, NULL, 0, &folders, err);
    if (code == TH_OK)
        code = catch_up_and_publish(&folders, &target, err);
    *out_gen = target.gen;
    *out_events = folded(&folders);
    close_folders(&folders);
    return code;
}

/* --- verify --------------------------------------------------------------------------------------
 */

static enum th_code fold_until(struct th_log *log, struct target *target,
                               const struct view_step *until, size_t until_n,
                               struct view_report *report, struct th_err *err)
{
    struct folders folders;

    enum th_code code = open_folders(log, target, until, until_n, &folders, err);
    if (code == TH_OK)
        code = drain(&folders, err);
    report->events = folded(&folders);
    close_folders(&folders);
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
    TH_TRY(view_check_log(log, gens, err));
    TH_TRY(gens->ops->current(gens, &live, err));
    TH_TRY(gens->ops->make(gens, FOLD_VERSION, &report->gen, err));
    enum th_code code = gens->ops->freeze(gens, live, err);
    if (code == TH_OK)
        code = verify_frozen(log, gens, live, arena, report, err);
    gens->ops->thaw(gens);
    enum th_code dropped = gens->ops->drop(gens, report->gen, code == TH_OK ? err : &ignored);
    return code == TH_OK ? dropped : code;
}
