/* memory_snapshots.h - the snapshots that a memory log keeps: the two newest of each piece.
 * Part of the memory log, used under its mutex.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_MEMORY_SNAPSHOTS_H
#define TELEHUB_COMMON_EVENTLOG_MEMORY_SNAPSHOTS_H

#include "common/eventlog/memory_store.h"

struct memory_snapshot {
    enum log_app app;
    uint64_t checksum;
    struct log_snapshot is; /* body.p is owned; NULL when empty */
};

struct memory_snapshots {
    struct memory_store *store; /* pays for what is kept */
    struct memory_snapshot *at; /* by app, part, piece; newest first */
    size_t n;
    size_t cap;
};

void memory_snapshots_init(struct memory_snapshots *snapshots, struct memory_store *store);
void memory_snapshots_fini(struct memory_snapshots *snapshots);

/* Errors: TH_FULL, TH_NOMEM; nothing changed then. */
TH_MUST_USE
enum th_code memory_snapshots_put(struct memory_snapshots *snapshots, enum log_app app,
                                  const struct log_snapshot *snapshot);

/* As th_log_snapshot_get. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code memory_snapshots_get(const struct memory_snapshots *snapshots, enum log_app app,
                                  int part, struct log_pieces pieces, int fold_version,
                                  struct th_arena *arena, struct log_snapshot **out_snapshots,
                                  size_t *out_n);

/* Flip a bit of the newest one; false if there is none, or its body is empty. */
bool memory_snapshots_damage(struct memory_snapshots *snapshots, enum log_app app, int part,
                             int piece);

#endif
