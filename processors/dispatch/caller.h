/* caller.h - dispatch's hands: it makes the calls that the core said, and asks what became of them.
 *
 * An AttemptStarted that is committed gives the right to send once: a permit, in memory only. It is
 * looked at again in front of the request's first byte: is it unused, is its session still the
 * slot's, did it leave in time, and does nothing forbid it by now (a pause, a stop, an opt-out).
 * Only then the journal is written, and the request leaves. Whatever else happens, a send is
 * answered exactly once.
 *
 * One thread, the slot's; the reference and the secrets are shared.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_CALLER_H
#define TELEHUB_PROCESSORS_DISPATCH_CALLER_H

#include "common/clock.h"
#include "common/eventlog/effect.h"
#include "common/eventlog/reference.h"
#include "common/secrets.h"

#define CALLER_LOOKUPS_MAX 64 /* in flight at a time; but for a few, calls come first */

/* Why an attempt must not leave any more, a slug; NULL: it may. Called with the reference
 * read-locked. dispatch_forbids() is the one that production uses. */
typedef const char *caller_forbids(const struct reference *ref, struct th_str tenant,
                                   const struct th_id *campaign, int64_t contact,
                                   int64_t send_by_us, int64_t now_us);

/* All of it is borrowed as long as the caller lives. */
struct caller_config {
    struct reference *reference;
    struct http_client *http;
    struct secrets *secrets;
    const struct th_clock *clock;
    const struct provider_ops *const *wires; /* ends at NULL */
    caller_forbids *forbids;
    const char *public_url;  /* what providers call back, without a slash at the end */
    const char *journal_dir; /* of the installation, for all slots */
    int slot;
    int64_t send_window_us;  /* from the commit's start to the first byte */
    int32_t call_timeout_ms; /* of one request */
    int64_t lookup_wait_us; /* look-ups by id may wait so long, to be asked for together; 0: none */
};

struct caller;

/* Errors: TH_IO, TH_NOMEM, TH_DENIED, TH_CORRUPT, TH_UNAVAILABLE (journal, callback key) */
TH_MUST_USE
enum th_code caller_open(const struct caller_config *config, struct caller **out_caller,
                         struct th_err *err);

/* What is in flight is forgotten. Accepts NULL. */
void caller_close(struct caller *caller);
TH_AUTO_DEFINE(caller, struct caller *, caller_close)

/* For the slot's shell; as long as the caller. */
struct effects *caller_effects(struct caller *caller);

#endif
