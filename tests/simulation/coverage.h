/* coverage.h - which outcome met a send where: what the runs of a simulation have seen.
 *
 * The cores are watched from outside: before one decides, what comes to it and where the thing
 * stands that it is about are counted as a cell of a table, and so is each kind of trouble that was
 * made. coverage.c says in one place which cells can be reached at all. So a simulation that no
 * longer gets somewhere fails, and one that gets where nobody should come fails as well.
 */
#ifndef TELEHUB_TESTS_SIMULATION_COVERAGE_H
#define TELEHUB_TESTS_SIMULATION_COVERAGE_H

#include "common/eventlog/core.h"

#include <stdio.h>

#define COVERAGE_CELLS_MAX 1024

/* A plain value: runs in several processes are added up. */
struct coverage {
    uint64_t cells[COVERAGE_CELLS_MAX];
};

/* Count into this one from now on; NULL: nowhere. One thread. */
void coverage_into(struct coverage *coverage);

/* The same core, watched. Others than campaign, retry and dispatch are given back as they are. */
const struct core_ops *coverage_watch(const struct core_ops *core);

/* From now on dispatch is told that so many callbacks are unread; 0: what the shell knows. Here it
 * reads so fast that it would never be behind. */
void coverage_pretend_unread(int64_t callbacks);

/* What goes wrong, and what people do. */
#define TROUBLES(X)                                                                                \
    X(KILLED, "a process is killed")                                                               \
    X(FROZEN, "a process freezes")                                                                 \
    X(RIVALLED, "a process freezes and a rival takes over")                                        \
    X(REBOOTED, "the machine goes down, and the send journals with it")                            \
    X(FENCED, "a slot is fenced")                                                                  \
    X(LOG_DOWN, "the log does not answer for a while")                                             \
    X(CLOCK_FORWARD, "the clock jumps forward")                                                    \
    X(CLOCK_BACK, "the clock jumps back")                                                          \
    X(COMMIT_ABORTED, "a commit is rolled back")                                                   \
    X(COMMIT_LOST_DONE, "a commit's answer is lost; it took place")                                \
    X(COMMIT_LOST_UNDONE, "a commit's answer is lost; it was rolled back")                         \
    X(COMMIT_HELD, "a commit takes long")                                                          \
    X(NOT_CONNECTED, "a provider cannot be connected to")                                          \
    X(THROTTLES, "a provider throttles")                                                           \
    X(REFUSES_ACCOUNT, "a provider refuses the account")                                           \
    X(REFUSES_NUMBER, "a provider refuses the number")                                             \
    X(ERROR_BEFORE, "a provider answers 5xx and has not executed")                                 \
    X(ERROR_AFTER, "a provider answers 5xx and has executed")                                      \
    X(DROPPED_BEFORE, "a request or its answer is lost; not executed")                             \
    X(DROPPED_AFTER, "an answer is lost; executed")                                                \
    X(TOOK_WITHOUT_ID, "a provider says yes and not to what")                                      \
    X(REPEAT_DROPPED, "a request comes again under its key and is dropped")                        \
    X(LOST_WITH_SENDER, "a request on its way dies with its sender")                               \
    X(REPORT_TURNED, "a provider takes back that nobody was reached")                              \
    X(CALLBACK_LOST, "a callback is lost")                                                         \
    X(CALLBACK_TWICE, "a callback comes twice")                                                    \
    X(CALLBACK_LATE, "a callback comes late")                                                      \
    X(HELD, "a plan waits until callbacks are read, or prices asked for")                          \
    X(PUT_OFF, "a look-up finds no room to wait in")                                               \
    X(JOURNAL_FAILS, "the send journal cannot be written")                                         \
    X(UNAVAILABLE, "an audience cannot be read just now")                                          \
    X(PAUSED, "a pause is commanded")                                                              \
    X(RESUMED, "a resume is commanded")                                                            \
    X(CANCELLED, "a cancel is commanded")                                                          \
    X(PACED, "another pace is commanded")                                                          \
    X(PACE_LIFTED, "no pace is commanded any more")                                                \
    X(STOPPED, "a tenant is stopped")                                                              \
    X(STOP_RELEASED, "a stop is released")                                                         \
    X(LANE_OFF, "a lane is switched off")                                                          \
    X(LANE_ON, "a lane is switched on")                                                            \
    X(RATE_CHANGED, "a lane's rate, concurrency and weight are changed")                           \
    X(OPTED_OUT, "somebody opts out")

enum trouble {
#define TROUBLE_NAME(name, says) TROUBLE_##name,
    TROUBLES(TROUBLE_NAME)
#undef TROUBLE_NAME
};

void coverage_trouble(enum trouble trouble);

void coverage_add(struct coverage *to, const struct coverage *from);

/* Print the tables. False, and a sentence for each cell: one that so many seeds must reach was not
 * reached, or one that cannot be reached was. */
bool coverage_report(const struct coverage *coverage, uint64_t seeds, FILE *out);

#endif
