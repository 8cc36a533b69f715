/* plans.h - plans that were read and not settled: what keeps a cursor from moving.
 *
 * Volatile: after a restart they are read again from the cursor on. Reading and settling are part
 * of a batch and are undone with it. Pure; one thread.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_PLANS_H
#define TELEHUB_PROCESSORS_DISPATCH_PLANS_H

#include "common/eventlog/log.h"
#include "processors/dispatch/dispatch.h"

struct plan {
    struct attempt_plan *event; /* deep copy in memory of its own */
    struct th_arena memory;
    int part;
    int64_t offset;
    bool is_settled;
    bool is_queued;
    struct plan *next; /* in its lane's queue */
};

struct plans;

/* NULL when there is no memory. */
struct plans *plans_new(int partitions);
void plans_free(struct plans *plans);

/* Take a plan in. *out is NULL when it was settled before the restart or is known already.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code plans_add(struct plans *plans, int part, int64_t offset, const struct attempt_plan *ev,
                       struct plan **out);

/* A record that is no plan: nothing waits for it. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code plans_skip(struct plans *plans, int part, int64_t offset);

/* Started or handed back by this batch. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code plans_settle(struct plans *plans, struct plan *plan);

/* The oldest unsettled plan of a partition if the last one read is DISPATCH_SPAN_MAX or more
 * beyond it; else NULL. */
struct plan *plans_overdue(struct plans *plans, int part);

size_t plans_waiting(const struct plans *plans);

/* Every unsettled one; start with *at = 0, NULL at the end. */
struct plan *plans_next(const struct plans *plans, size_t *at);

/* The first unsettled offset, or read_to; and the bitmap of what is settled from there on. */
TH_MUST_USE
enum th_code plans_cursor(const struct plans *plans, int part, int64_t read_to,
                          struct th_arena *arena, struct log_cursor *out);

/* What the last commit left. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code plans_resume(struct plans *plans, const struct log_cursor *cursor);

void plans_close(struct plans *plans);

/* Frees what the committed batch settled. */
void plans_forget(struct plans *plans);

/* Plans that these batches settled wait again; those that they read are gone, and will be presented
 * again. Lanes must be queued anew (is_queued is false of all). */
void plans_undo(struct plans *plans);

#endif
