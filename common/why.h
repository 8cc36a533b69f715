/* why.h - why a send went as it went, in sentences for people.
 *
 * Made of the send's own events and of nothing else, so whoever asks later gets the same answer.
 * Each sentence names the rule that decided and the number that it decided by. No telephone number
 * and no text stands in one. Pure; any thread.
 */
#ifndef TELEHUB_COMMON_WHY_H
#define TELEHUB_COMMON_WHY_H

#include "schemas/events.h"

#define WHY_SENTENCE_MAX 1000 /* bytes; a longer one is cut */

struct why_sentence {
    int64_t at_us;      /* UTC, of the event */
    const char *rule;   /* slug, static: "route", "consent", "backoff" */
    struct th_str text; /* one or two sentences */
};

struct why {
    struct th_str summary; /* how it stands, in one sentence */
    struct why_sentence *at;
    size_t n;
};

/* Names for what events know by number. */
struct why_names {
    struct th_str (*account)(const void *arg, int32_t lane); /* "": not known any more */
    const void *arg;
};

/* events: of one send, in order of time; those of other kinds are left out. *out lives in arena.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code why_tell(const struct event *const *events, size_t n, const struct why_names *names,
                      struct th_arena *arena, struct why *out);

#endif
