/* log_driver.h - what a log driver fills in so that log.h is true of it. For drivers only.
 *
 * The face (log.c) has checked every argument before a driver sees it, and so a driver never
 * does it again:
 * - topics, partitions and offsets exist, keys, values, notes, claims and snapshot bodies are
 *   within their limits; TOPIC_BY_LANE records have a partition; n > 0 wherever there is an n;
 * - the cursors of a transaction, and the places of a reader, are distinct partitions;
 * - a commit is not started while another one of its session runs, nor after LOG_FENCED;
 *   a poll only comes while one runs.
 *
 * A driver's objects begin with the structs below, which the driver fills at opening and keeps
 * true; the face answers questions from them without asking the driver. Threads: as log.h says.
 * On error nothing was written to any out_….
 */
#ifndef TELEHUB_COMMON_EVENTLOG_LOG_DRIVER_H
#define TELEHUB_COMMON_EVENTLOG_LOG_DRIVER_H

#include "common/eventlog/log.h"

#define LOG_ID_LEN 36

struct th_log {
    const struct th_log_ops *ops;
    int partitions[TOPIC_COUNT]; /* fixed while the log is open; reference topics: 1 */
    char id[LOG_ID_LEN + 1];
    char origin[LOG_ID_LEN + 1]; /* "" none */
    enum log_mark mark;          /* the driver fills it at opening; then kept by the face */
    bool is_admitted;            /* kept by the face */
};

struct th_log_session {
    struct th_log *log;
    enum log_app app;
    int slot;
    uint64_t nonce;
    uint64_t next_seq; /* the driver adds one when a commit is COMMITTED, at no other time */
    const struct log_cursor *cursors; /* the driver's own copy of what was committed last */
    size_t cursors_n;
    int fd;             /* for epoll; may change in commit_poll only. -1: none (poll at will) */
    bool is_committing; /* kept by the face */
    bool is_fenced;     /* kept by the face */
};

struct th_log_reader {
    struct th_log *log;
};

struct th_log_listener {
    struct th_log *log;
    int fd;
};

/* Each does what the th_log_ function of its name promises; beside each stands what only a driver
 * must know. */
struct th_log_ops {
    const char *name; /* "memory", "postgres" */

    /* The partition of outputs[i] is log_output_part(log, &outputs[i]), here and everywhere. */
    enum th_code (*append)(struct th_log *log, const struct log_output *outputs, size_t n,
                           struct log_place *out_places, struct th_err *err);

    enum th_code (*end)(struct th_log *log, enum topic topic, int part, int64_t *out_end,
                        struct th_err *err);

    /* The face keeps mark and origin of struct th_log. NULL, as answers and slot_cursors: a log
     * that can only be read, which has none of these. */
    enum th_code (*set_mark)(struct th_log *log, enum log_mark mark, const char *origin,
                             struct th_err *err);
    enum th_code (*start)(struct th_log *log, enum topic topic, int part, int64_t *out_start,
                          struct th_err *err);

    /* Each place's offset is that of its partition's last record, or before that; partitions are
     * distinct. Every step may be the last: what was dropped is not there, what was not is whole.
     */
    enum th_code (*trim)(struct th_log *log, const struct log_place *places, size_t n,
                         struct th_err *err);

    /* Sets outcome of each claim, and by outcome: places (from the arena), or replayed_status and
     * replayed_body. A claim without a key is always STORED. A claim without outputs still keeps
     * its answer. On error claims are as they were. */
    enum th_code (*ingest)(struct th_log *log, struct log_claim *claims, size_t n,
                           struct th_arena *arena, struct th_err *err);

    enum th_code (*answers)(struct th_log *log, log_answer_visit *visit, void *arg,
                            struct th_err *err);

    /* NULL: always well. */
    enum th_code (*health)(struct th_log *log, struct th_err *err);

    /* Never NULL; everything opened from the log was closed before. Frees it. */
    void (*close)(struct th_log *log);

    /* from is borrowed. A place beyond the end is no error: nothing is there yet. */
    enum th_code (*reader_open)(struct th_log *log, const struct log_place *from, size_t n,
                                struct th_log_reader **out_reader, struct th_err *err);

    /* bytes_max > 0 counts keys and values. out is empty (n 0) beforehand. No partition may wait
     * for ever while others are full: begin each read with another one. */
    enum th_code (*reader_read)(struct th_log_reader *reader, size_t bytes_max,
                                struct th_arena *arena, struct log_records *out,
                                struct th_err *err);

    /* The driver asserts that the partition is one of the reader's. */
    void (*reader_seek)(struct th_log_reader *reader, struct log_place place);

    void (*reader_close)(struct th_log_reader *reader);

    enum th_code (*listener_open)(struct th_log *log, uint32_t topics,
                                  struct th_log_listener **out_listener, struct th_err *err);
    void (*listener_narrow)(struct th_log_listener *listener, int slot, int slots); /* NULL: every
                                                                                       hint comes */
    void (*listener_clear)(struct th_log_listener *listener);
    void (*listener_close)(struct th_log_listener *listener);

    enum th_code (*session_open)(struct th_log *log, enum log_app app, int slot,
                                 struct th_log_session **out_session, struct th_err *err);

    enum th_code (*slot_cursors)(struct th_log *log, enum log_app app, int slot,
                                 struct th_arena *arena, struct log_cursor **out_cursors,
                                 size_t *out_n, struct th_err *err);

    /* TH_OK: the face calls commit_poll until it answers something other than PENDING.
     * An error: nothing was started. That the log is away is no error here but an outcome. */
    enum th_code (*commit_start)(struct th_log_session *session, const struct log_txn *txn,
                                 struct th_err *err);

    /* out_places, out_is_answered and err are never NULL but for out_places. On COMMITTED the
     * driver moves next_seq and cursors on; on ABORTED and FENCED it leaves them and fills err. */
    enum log_commit (*commit_poll)(struct th_log_session *session, struct log_place *out_places,
                                   bool *out_is_answered, struct th_err *err);

    /* Also while a commit runs: its outcome is then whatever it becomes. Frees the session. */
    void (*session_close)(struct th_log_session *session, bool release);

    enum th_code (*snapshot_put)(struct th_log *log, enum log_app app,
                                 const struct log_snapshot *snapshot, struct th_err *err);

    /* "Newest" is by upto_offset, among those of the fold version asked for. Bodies, and the array
     * itself, live in the arena; one entry per piece, in the order of pieces. *out_n is 0, and no
     * error, if there is none. */
    enum th_code (*snapshot_get)(struct th_log *log, enum log_app app, int part,
                                 struct log_pieces pieces, int fold_version, struct th_arena *arena,
                                 struct log_snapshot **out_snapshots, size_t *out_n,
                                 struct th_err *err);
};

/* Where an output goes: its partition if the topic is by lane, else what the key says. */
int log_output_part(const struct th_log *log, const struct log_output *output);

#endif
