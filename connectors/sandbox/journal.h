/* journal.h - the ledger file: appended to by one thread, made durable by another.
 *
 * Whatever gathers while a write and its fdatasync are under way goes into the next one, so that
 * the number of syncs does not grow with the load. A failed write or sync is final: journal_failure
 * says so, and nothing is durable any more.
 */
#ifndef TELEHUB_SANDBOX_JOURNAL_H
#define TELEHUB_SANDBOX_JOURNAL_H

#include "common/arena.h"
#include "common/buf.h"

#define JOURNAL_PENDING_MAX ((size_t)64 * 1024 * 1024) /* bytes waiting to be written */

struct journal;

/* Called with each whole line found in the file, without its newline. Not TH_OK ends the replay. */
typedef enum th_code journal_line_fn(void *owner, struct th_str line, uint64_t at,
                                     struct th_err *err);

/* Open or create the file, lock it, hand out its lines, cut a last line that was not written
 * whole, and start the thread.
 * Errors: TH_CONFLICT  another process has it open
 *         TH_CORRUPT   on_line refused a line that is not the last
 *         TH_IO, TH_NOMEM, or what on_line answered */
TH_MUST_USE
enum th_code journal_open(const char *path, journal_line_fn *on_line, void *owner,
                          struct journal **out_journal, struct th_err *err);

/* Stops the thread after it has written what was appended. Accepts NULL. */
void journal_close(struct journal *journal);

TH_AUTO_DEFINE(journal, struct journal *, journal_close)

/* Append; *out_end is the offset behind the bytes. They wait for journal_kick.
 * Errors: TH_FULL  JOURNAL_PENDING_MAX
 *         TH_NOMEM; nothing was appended */
TH_MUST_USE
enum th_code journal_append(struct journal *journal, struct th_str bytes, uint64_t *out_end);

/* Offset that the next append will begin at. */
uint64_t journal_end(const struct journal *journal);

/* Have what was appended written as soon as the thread is free. */
void journal_kick(struct journal *journal);

/* Everything before this offset survives a crash. */
uint64_t journal_durable(const struct journal *journal);

/* Becomes readable when journal_durable or journal_failure changed; journal_acknowledge clears. */
int journal_fd(const struct journal *journal);
void journal_acknowledge(struct journal *journal);

/* TH_OK, or why the thread gave up. */
TH_MUST_USE
enum th_code journal_failure(struct journal *journal, struct th_err *err);

/* Read up to n bytes that are durable, the recent ones from memory; *out_n may be less at the end.
 * The appending thread.
 * Errors: TH_IO */
TH_MUST_USE
enum th_code journal_read(const struct journal *journal, uint64_t at, char *to, size_t n,
                          size_t *out_n, struct th_err *err);

#endif
