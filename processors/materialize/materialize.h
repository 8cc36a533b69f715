/* materialize.h - the shell of the views: it reads the log, folds, and writes rows and offsets
 * together.
 *
 * A slot reads the partitions p of every folded topic with p mod slots == slot. There is no topic
 * of its own and no session: the tables are its state, and the transaction that writes them moves
 * the offsets by compare-and-set, so that of two writers only one gets through.
 *
 * A batch waits a little for company, so that a send that moves fast is written once: idle_us after
 * the last commit when little happens, up to load_us under load, and no longer than company comes.
 *
 * One thread per slot. materialize_step does what is due and does not wait; materialize_run waits
 * between steps.
 */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_MATERIALIZE_H
#define TELEHUB_PROCESSORS_MATERIALIZE_MATERIALIZE_H

#include "common/clock.h"
#include "common/eventlog/log.h"
#include "common/view_store.h"

#define MATERIALIZE_READ_BYTES  ((size_t)128 * 1024)      /* about 650 events, which need 1 MB */
#define MATERIALIZE_BATCH_BYTES ((size_t)4 * 1024 * 1024) /* of rows, 300 to 400 each */
#define MATERIALIZE_KEEP_BYTES  ((size_t)8 * 1024 * 1024)

struct materialize;

/* Zeros mean what stands beside them. Pointers are borrowed as long as the slot lives. */
struct materialize_config {
    struct th_log *log;
    const struct th_clock *clock; /* the kernel's */

    /* A store of this slot's own; opened again after it failed. */
    enum th_code (*open_store)(void *context, struct view_store **out_store, struct th_err *err);
    void *context;

    int slot;
    int slots;             /* 1 */
    int64_t idle_us;       /* 100,000 */
    int64_t load_us;       /* 1,000,000 */
    int64_t poll_us;       /* 250,000: how often the log is looked at without a hint */
    int64_t retry_wait_us; /* 1,000,000: after a failure */
    size_t read_bytes;     /* MATERIALIZE_READ_BYTES: decoded and folded together */
    size_t batch_bytes;    /* MATERIALIZE_BATCH_BYTES: rows written together, and one read more */
    size_t keep_bytes;     /* MATERIALIZE_KEEP_BYTES: rows in memory, those of the batch included */

    /* Fold up to these places and no further; a partition that is not listed, not at all. */
    bool is_bounded;
    const struct view_step *until; /* topic, part and to */
    size_t until_n;
};

TH_MUST_USE
enum th_code materialize_new(const struct materialize_config *config, struct materialize **out,
                             struct th_err *err);

/* Accepts NULL. */
void materialize_free(struct materialize *m);

/* Fold one batch if one is due. *out_next_us: UTC time at which to step again at the latest.
 * Errors: what the log or the store says; the next step begins again from the stored offsets.
 *         TH_CORRUPT: a human must look; stepping again will say the same. */
TH_MUST_USE
enum th_code materialize_step(struct materialize *m, int64_t *out_next_us, struct th_err *err);

/* Fold everything that is there now, without waiting for company. */
TH_MUST_USE
enum th_code materialize_drain(struct materialize *m, struct th_err *err);

/* Step until stop_fd becomes readable. Logs what fails. */
void materialize_run(struct materialize *m, int stop_fd);

/* Any thread. */
struct materialize_status {
    bool is_open;
    uint64_t events;
    uint64_t batches;
    uint64_t rows; /* written */
    uint64_t undecodable;
    uint64_t failures;
    int64_t commit_us; /* of the last batch, read to commit */
};

struct materialize_status materialize_status(const struct materialize *m);

#endif
