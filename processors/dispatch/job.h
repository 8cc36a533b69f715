/* job.h - one call, repeat or look-up of the caller's, from the commit to its answer; and lists of
 * them. Pure. */
#ifndef TELEHUB_PROCESSORS_DISPATCH_JOB_H
#define TELEHUB_PROCESSORS_DISPATCH_JOB_H

#include "common/eventlog/effect.h"

struct caller;

#define JOB_CODE_MAX 32 /* of a provider's own code; a longer one is cut */

struct job {
    struct job *next; /* in whichever list it stands */
    struct caller *caller;
    enum effect_type type;
    union {
        struct effect_call call;
        struct effect_lookup lookup;
    } as;
    char *text; /* owned: what the views above point into */
    const struct provider_ops *wire;
    struct provider_search search;  /* of a look-up without provider_id */
    char name[TH_ID_TEXT_LEN + 16]; /* what providers are told the attempt's name is: SEND:N */
    uint64_t session;
    size_t in_flight_at;       /* its place in the caller's table, once it is started */
    int64_t permitted_boot_us; /* the start of the commit that permits it */
    int64_t taken_boot_us;
    bool is_permit_used;
    bool is_page;        /* a look-up for all that is being listed */
    bool has_report;     /* a look-up that a page answered */
    bool is_put_off;     /* a look-up that found no place to wait in */
    const char *refusal; /* the last check said no, a slug, static; NULL: it did not */
    struct provider_outcome
        outcome;                   /* of a call that ended without a reply; its texts are static */
    struct provider_report report; /* its id is the look-up's own, its code is: */
    char code[JOB_CODE_MAX];
};

enum provider_channel job_channel(enum channel channel);

/* What the core is told; it lives in arena. reply: NULL when the job has none of its own. boot_us:
 * now, boottime. */
void job_answer(const struct job *job, const struct http_reply *reply, int64_t boot_us,
                struct th_arena *arena, struct answer *out);

/* First in, first out. */
struct job_list {
    struct job *first;
    struct job **last;
};

static inline void job_list_init(struct job_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static inline void job_list_put(struct job_list *list, struct job *job)
{
    job->next = NULL;
    *list->last = job;
    list->last = &job->next;
}

/* NULL: it is empty. */
static inline struct job *job_list_take(struct job_list *list)
{
    struct job *job = list->first;

    if (!job)
        return NULL;
    list->first = job->next;
    if (!list->first)
        list->last = &list->first;
    return job;
}

#endif
