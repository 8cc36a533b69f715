/* journal.h - what a session of dispatch let go to a provider: who took over can tell what did not.
 *
 * One file per session, DIR/dispatch.SLOT.SESSION, made before its first start. A record is written
 * just before the first byte of a request leaves, so "started by that session and not in its
 * journal" proves that nothing was sent. Nothing is synced: the page cache outlives the process,
 * though not the machine. So a journal is believed only when
 *   - it was written since this machine booted, in this pid namespace;
 *   - its writer is dead, or is this process, which has another session by now;
 *   - every record of it is whole (the torn end of the last one never left: its send was refused).
 *
 * Writing and reading belong to one thread, the slot's.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_JOURNAL_H
#define TELEHUB_PROCESSORS_DISPATCH_JOURNAL_H

#include "common/err.h"
#include "common/eventlog/effect.h"

struct journal;

/* Of one slot; dir is made (mode 0700) when it is not there. No session yet.
 * Errors: TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code journal_open(const char *dir, int slot, struct journal **out_journal,
                          struct th_err *err);

/* Files stay. Accepts NULL. */
void journal_close(struct journal *journal);
TH_AUTO_DEFINE(journal, struct journal *, journal_close)

/* From now on sends belong to this session (0: to none), whose file is made. When that fails
 * journal_note tries again.
 * Errors: TH_IO */
TH_MUST_USE
enum th_code journal_begin(struct journal *journal, uint64_t session, struct th_err *err);

/* The attempt's request is about to leave. When this fails it must not; what the file holds is
 * complete all the same, and the next note may succeed.
 * Errors: TH_IO */
TH_MUST_USE
enum th_code journal_note(struct journal *journal, struct attempt_ref attempt, struct th_err *err);

/* Is there a journal of that earlier session that is believed and does not hold the attempt? */
bool journal_is_silent(struct journal *journal, uint64_t session, struct attempt_ref attempt);

/* Remove the files of all sessions of this slot but keep and the current one. What cannot be
 * removed stays; it does no harm. */
void journal_drop(struct journal *journal, uint64_t keep);

#endif
