/* journal.h - the send journals of all processes: files that a kill leaves behind.
 *
 * Believed only when the session's writer cannot write any more: its process is dead, or is the
 * asking one, whose permits of that session are void. A file that is gone tells nothing.
 */
#ifndef TELEHUB_TESTS_SIMULATION_JOURNAL_H
#define TELEHUB_TESTS_SIMULATION_JOURNAL_H

#include "common/eventlog/effect.h"

struct process;
struct journals;

struct journals *journals_new(void);
void journals_free(struct journals *journals);

void journal_open(struct journals *journals, const struct process *process, int slot,
                  uint64_t session);

/* False: it could not be written, and the request must not be sent. */
bool journal_write(struct journals *journals, uint64_t session, struct attempt_ref attempt,
                   bool must_fail);

/* A valid journal of that session, and the attempt is not in it. */
bool journal_is_silent(const struct journals *journals, const struct process *asking,
                       uint64_t asking_session, uint64_t session, struct attempt_ref attempt);

void journal_drop(struct journals *journals, int slot, uint64_t keep);

/* The machine went down: no journal is believed. */
void journals_reboot(struct journals *journals);

#endif
