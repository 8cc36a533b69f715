/* pg_log.h - the log of common/eventlog/log.h in a Postgres database.
 *
 * One database holds one log. It survives whatever Postgres survives; a server that loses
 * acknowledged commits (failover to an asynchronous replica) is not supported, though a log that
 * went backwards is noticed (th_log_session_check).
 *
 * Several processes, also on several hosts, may have it open. Each keeps, besides the connection of
 * each of its slots, one for appends, one for ingest, a few for reading, and one that listens.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_LOG_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_LOG_H

#include "common/eventlog/log.h"

/* Zero-initialise; zeros mean what stands beside them. Tests scale times down. */
struct pg_log_config {
    const char *conninfo; /* libpq's; borrowed for the call */
    const char *log_id;   /* the log that must be there; NULL: whichever is */

    /* A guest only looks or appends (tools): it sends no heartbeat and does no housekeeping. */
    bool is_guest;

    int readers_max;          /* 4: connections shared by readers, snapshots and questions */
    size_t ring_bytes;        /* 4 MiB of committed batches kept for readers of this process */
    bool has_no_ring;         /* readers always ask the table */
    int connect_timeout_ms;   /* 5 000 */
    int statement_timeout_ms; /* 30 000 */
    int lock_timeout_ms;      /* 5 000 */
    int commit_timeout_ms;    /* 40 000: a commit without an answer for so long is asked about */
    int resolve_retry_ms;     /* 200: between two tries to ask */
    int takeover_ms;          /* 10 000: how long session_open tries to end the previous owner */
    int grace_ms;             /* 2 000: how long its running commit may still take */
    int heartbeat_ms;         /* 5 000 */
    int stale_ms;             /* 20 000 without heartbeat: an owner on another host is dead */
    int notify_ms;            /* 10: at least so long between two hints to other processes */
    int relisten_ms;          /* 250: between two tries to listen again */
    int probe_ms;             /* 250: a reader asks the table at least so often for others' */
    int house_ms;             /* 5 000: between two rounds of pruning */
    int idem_kept_s;          /* 172 800 = 48 h */

    /* When the next segment begins. Few large ones: a statement that reads batches opens the index
     * of each segment when it begins, about 2 us each. */
    int64_t segment_bytes_max; /* 8 GiB */
    int segment_age_s;         /* 0: never for its age */
};

/* Make an empty log in a database that has been migrated (pg_migrate): its identity, its topics
 * with so many partitions each (reference topics have one).
 *
 * Errors: TH_CONFLICT  there is one already */
TH_MUST_USE
enum th_code pg_log_create(const char *conninfo, int partitions, struct th_err *err);

/* Migrate the database, and add to its log, if there is one, the topics that this binary knows and
 * the log does not. *out_applied: how many migrations were applied. */
TH_MUST_USE
enum th_code pg_log_upgrade(const char *conninfo, int *out_applied, struct th_err *err);

/* Errors: TH_NOT_FOUND    no such database, or no log in it
 *         TH_UNSUPPORTED  another schema version (the text says which side is older), a pooler
 *         TH_CONFLICT     another log than log_id
 *         TH_UNAVAILABLE, TH_DENIED */
TH_MUST_USE
enum th_code pg_log_open(const struct pg_log_config *config, struct th_log **out_log,
                         struct th_err *err);

/* Begin the next segment now, for all partitions. Readers and writers go on. */
TH_MUST_USE
enum th_code pg_log_rotate(struct th_log *log, struct th_err *err);

/* One round of housekeeping now: heartbeat, pruning, rotation if it is due. */
TH_MUST_USE
enum th_code pg_log_keep_house(struct th_log *log, struct th_err *err);

/* What was done so far, for metrics. Any thread. */
struct pg_log_status {
    uint64_t appends;       /* transactions, without slots' */
    uint64_t commits;       /* of slots, answered */
    uint64_t resolved;      /* commits whose answer was lost */
    uint64_t ring_batches;  /* given to readers from memory */
    uint64_t table_batches; /* given to readers from the table */
    uint64_t probes;        /* questions to the table by readers */
    uint64_t notifies;      /* sent to other processes */
};

struct pg_log_status pg_log_status(struct th_log *log);

#endif
