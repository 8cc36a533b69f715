/* view_store.h - where materialize keeps its tables: loaded by key, written once a batch.
 *
 * connectors/postgres implements it over one generation of the views' tables, and
 * processors/materialize/memory_store.h in memory, for the simulation. A store belongs to one
 * thread.
 */
#ifndef TELEHUB_COMMON_VIEW_STORE_H
#define TELEHUB_COMMON_VIEW_STORE_H

#include "common/eventlog/log.h"
#include "common/view_pack.h"

struct view_store;

/* One row in a batch. */
struct view_entry {
    bool is_found;   /* load: it is stored; commit believes it */
    bool is_changed; /* commit: write it, or delete it */
    bool is_deleted;
    void *row;            /* load: the table's struct */
    struct th_str packed; /* commit: the same by view_pack.h */
};

struct view_entries {
    struct view_entry **at;
    size_t n;
};

/* How far the views are: the offset of the next record of a partition to fold. */
struct view_step {
    enum topic topic;
    int part;
    int64_t from;
    int64_t to;
};

struct view_change {
    const struct view_step *steps; /* every partition of the writer, also those that do not move */
    size_t steps_n;
    struct view_entries
        tables[VIEW_TABLE_COUNT]; /* by view_packed_cmp; those not changed are skipped */
};

struct view_store_ops {
    /* The next offset of each partition (topic and part are given); 0 where nothing was folded. */
    enum th_code (*progress)(struct view_store *store, struct view_step *steps, size_t n,
                             struct th_err *err);

    /* Fill in the rows whose keys are given, and say which there are. Texts go to arena. */
    enum th_code (*load)(struct view_store *store, enum view_table_id table,
                         struct view_entry *const *entries, size_t n, struct th_arena *arena,
                         struct th_err *err);

    /* Everything in one transaction, if the views stand where the steps begin.
     * Errors: TH_FENCED  they do not: somebody else is ahead; drop all and ask for progress
     *         TH_UNAVAILABLE, TH_ABORTED, TH_TIMEOUT  not known to be done: ask for progress */
    enum th_code (*commit)(struct view_store *store, const struct view_change *change,
                           struct th_err *err);

    void (*close)(struct view_store *store);
};

struct view_store {
    const struct view_store_ops *ops;
};

/* --- generations of all tables: to rebuild, to verify ------------------------------------------
 */

#define VIEW_DIFFERENCES_MAX 20 /* rows that are named */
#define VIEW_LOG_ID_SIZE     40

/* One table of two generations. */
struct view_comparison {
    const char *table;
    int64_t rows_a;
    int64_t rows_b;
    uint8_t sha256_a[32]; /* over all rows and columns, ordered by key */
    uint8_t sha256_b[32];
    bool is_equal;
};

struct view_difference {
    const char *table;
    struct th_str key;     /* "send=…" */
    const char *how;       /* "differs", "is missing", "is too many" */
    struct th_str columns; /* that differ, separated by spaces */
};

struct view_generations;

struct view_generations_ops {
    /* The one behind the public views. */
    enum th_code (*current)(struct view_generations *gens, int *out_gen, struct th_err *err);

    /* A new, empty one, to be filled by these rules of the fold; remains of a run that did not end
     * are dropped first, and so are those that were replaced more than a day ago. */
    enum th_code (*make)(struct view_generations *gens, int fold_version, int *out_gen,
                         struct th_err *err);

    /* By which rules it was filled; 0: nobody knows. */
    enum th_code (*fold_version)(struct view_generations *gens, int gen, int *out_fold_version,
                                 struct th_err *err);

    /* The current one is filled by these rules from now on, if nothing is in it yet. */
    enum th_code (*adopt)(struct view_generations *gens, int fold_version, struct th_err *err);

    /* It is folded from this log (th_log_id), unless rows from another are in it. */
    enum th_code (*set_log)(struct view_generations *gens, int gen, const char *log_id,
                            struct th_err *err);

    /* From which log it is folded; "" if nobody knows. out has room for VIEW_LOG_ID_SIZE. */
    enum th_code (*log_id)(struct view_generations *gens, int gen, char *out, struct th_err *err);

    enum th_code (*open)(struct view_generations *gens, int gen, struct view_store **out_store,
                         struct th_err *err);

    /* See a generation as it is at this moment, while it goes on; one at a time. thaw ends it. */
    enum th_code (*freeze)(struct view_generations *gens, int gen, struct th_err *err);
    void (*thaw)(struct view_generations *gens);

    /* How far a generation (the frozen one: as it was frozen) is folded: topic, part and to; what
     * is not listed, not at all. */
    enum th_code (*ends)(struct view_generations *gens, int gen, struct th_arena *arena,
                         struct view_step **out_steps, size_t *out_n, struct th_err *err);

    /* All rows and columns of a, which is frozen, and b, table by table. differences has room for
     * VIEW_DIFFERENCES_MAX; its texts live in arena. */
    enum th_code (*compare)(struct view_generations *gens, int a, int b, struct th_arena *arena,
                            struct view_comparison out_tables[VIEW_TABLE_COUNT],
                            struct view_difference *differences, size_t *out_differences_n,
                            struct th_err *err);

    /* Make it the current one, if it is not behind the present one.
     * Errors: TH_CONFLICT  it is behind: fold on, and try again */
    enum th_code (*publish)(struct view_generations *gens, int gen, struct th_err *err);

    enum th_code (*drop)(struct view_generations *gens, int gen, struct th_err *err);
};

struct view_generations {
    const struct view_generations_ops *ops;
};

#endif
