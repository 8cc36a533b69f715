/* fault.h - places where a test makes the process die, stop, wait or fail.
 *
 * Only builds for tests have them (cmake --preset faults); in every other build TH_FAULT is the
 * constant false, and nothing of this file is in the program.
 *
 * The environment variable TH_FAULTS names a file whose lines say what is to happen where:
 *
 *     POINT[/SCOPE] ACTION N          commit_sent/start kill 3
 *
 * At the N-th pass (from 1, counted since the line was read) through POINT in that scope ACTION
 * happens, once. A line that has struck is written to the file with ".struck" behind its name,
 * before it acts, and never strikes again, whatever process reads it; so a test knows what was
 * struck, and a process that died of it can be started anew. The file may change at any time.
 *
 *     kill      SIGKILL to oneself
 *     stop      SIGSTOP to oneself
 *     delay=MS  the thread waits
 *     error     the place fails, as its sentence below says; where it says nothing, it goes on
 *     peer      SIGQUIT to the process whose id begins the file that TH_FAULT_PEER names, which is
 *               Postgres' "immediate" shutdown
 *
 * A scope is a list of words that the thread works on: its processor and what the transaction
 * holds ("dispatch.start.result"), or the provider's wire ("twilio"). A line's scope is one of
 * them. Threads: all.
 */
#ifndef TELEHUB_COMMON_FAULT_H
#define TELEHUB_COMMON_FAULT_H

#ifdef TELEHUB_FAULTS

#include <stdbool.h>

/* name, where it is and what its error is */
#define TH_FAULT_POINTS(X)                                                                         \
    X(slot_read, "before inputs are read; error: reading fails")                                   \
    X(slot_begin, "inputs are decided, nothing is sent; error: the commit is put off")             \
    X(commit_begun, "before the commit is sent; error: the connection is lost")                    \
    X(commit_sent, "the commit is sent; error: the connection is lost before the answer")          \
    X(commit_answer, "the log has answered; error: the connection is lost before we hear it")      \
    X(commit_known, "committed, and known; error: as if it had been found out later only")         \
    X(effect_run, "before a committed call is handed on; error: likewise")                         \
    X(call_start, "before a request is made; error: no resources")                                 \
    X(connect, "before a connection is made; error: it is refused")                                \
    X(request_begun, "connected, before the header leaves; error: given up")                       \
    X(permit, "before the last check; error: it says no")                                          \
    X(journal_note, "before the send journal is written; error: the disk is full")                 \
    X(journal_noted, "the journal knows, no byte of the body has left")                            \
    X(request_partly, "half of the body has left; error: the transfer is cut")                     \
    X(request_written, "the whole request has left; error: the transfer is cut")                   \
    X(answer_begun, "the answer's first line has come; error: the transfer is cut")                \
    X(answer_kept, "the answer is in memory, nothing of it in the log")                            \
    X(boot_changed, "the journal is opened; error: as after a restart of the machine")             \
    X(callback_append, "a callback came, it is not in the log; error: the log is not there")       \
    X(callback_appended, "a callback is in the log, the provider does not know; error: 503")       \
    X(views_write, "before the views are written; error: the database is not there")               \
    X(views_written, "the views are written, their writer does not know; error: likewise")

#define TH_FAULT_ENUM(name, where) TH_FAULT_##name,
enum th_fault { TH_FAULT_POINTS(TH_FAULT_ENUM) };
#undef TH_FAULT_ENUM

/* True: fail, as the point's sentence says. */
bool th_fault_pass(enum th_fault point);

/* Is some line about the point still to strike, in this scope? */
bool th_fault_is_armed(enum th_fault point);

/* What this thread works on from now on; words separated by dots, at most 63 bytes. */
void th_fault_scope(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *th_fault_scope_now(void);

#define TH_FAULT(name)          th_fault_pass(TH_FAULT_##name)
#define TH_FAULT_IS_ARMED(name) th_fault_is_armed(TH_FAULT_##name)
#define TH_FAULT_SCOPE(...)     th_fault_scope(__VA_ARGS__)

#else

#define TH_FAULT(name)          false
#define TH_FAULT_IS_ARMED(name) false
#define TH_FAULT_SCOPE(...)     ((void)0)

#endif
#endif
