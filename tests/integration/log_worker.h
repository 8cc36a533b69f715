/* log_worker.h - a slot's owner in miniature, for tests: it consumes a numbered input and writes
 * each number once to two topics, in transactions; whatever is done to it, the numbers on both
 * topics must in the end be 0, 1, 2, … up to the slot's cursor.
 */
#ifndef TELEHUB_TESTS_INTEGRATION_LOG_WORKER_H
#define TELEHUB_TESTS_INTEGRATION_LOG_WORKER_H

#include "common/eventlog/log.h"

#define WORKER_APP LOG_APP_DISPATCH

struct log_worker {
    struct th_log *log;
    int slot;      /* also the partition that it writes; < 4 */
    unsigned seed; /* of its batch sizes */
    struct th_log_session *session;
    int64_t next; /* of the input: so many numbers are written */
    char values[32][24];
};

/* Become the owner and see where the slot stands.
 * Errors: as th_log_session_open */
TH_MUST_USE
enum th_code log_worker_open(struct log_worker *worker, struct th_err *err);

/* Start a transaction of 0 to 31 numbers. */
TH_MUST_USE
enum th_code log_worker_start(struct log_worker *worker, struct th_err *err);

/* Wait for its outcome, at most 30 s (then PENDING). */
enum log_commit log_worker_finish(struct log_worker *worker, bool *out_is_answered,
                                  struct th_err *err);

void log_worker_close(struct log_worker *worker, bool release);

/* Read both topics of a slot to their ends and compare; ends the test when they are wrong. Returns
 * how many numbers there are. */
int64_t log_worker_check(struct th_log *log, int slot);

#endif
