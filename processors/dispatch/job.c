#include "processors/dispatch/job.h"

#define EXCERPT_MAX  1024
#define DIGITS_SHOWN 6 /* longer ones may be a telephone number */

enum provider_channel job_channel(enum channel channel)
{
    return channel == CHANNEL_CALL ? PROVIDER_CALL : PROVIDER_SMS;
}

/* What the provider said, for a human, without what may be a number or a credential. */
static struct th_str excerpt_of(const struct http_reply *reply, struct th_arena *arena)
{
    struct th_str from = reply->body;
    struct th_str out;
    size_t digits = 0;

    if (from.n > EXCERPT_MAX)
        from.n = EXCERPT_MAX;
    while (from.n > 0 && !th_str_is_utf8(from))
        from.n--;
    if (th_arena_copy(arena, from, &out) != TH_OK)
        return (struct th_str){NULL, 0};
    for (size_t i = 0; i < out.n; i++) {
        bool is_alnum = (out.p[i] >= '0' && out.p[i] <= '9') ||
                        (out.p[i] >= 'a' && out.p[i] <= 'f') ||
                        (out.p[i] >= 'A' && out.p[i] <= 'F');

        digits = is_alnum ? digits + 1 : 0;
        if (digits > DIGITS_SHOWN)
            ((char *)out.p)[i] = '*';
    }
    return out;
}

static struct provider_outcome outcome_of(const struct job *job, const struct http_reply *reply,
                                          struct th_arena *arena)
{
    struct provider_outcome outcome = {0};

    if (job->refusal && !reply->may_have_left)
        return (struct provider_outcome){
            .result = PROVIDER_NOT_SENT, .reason = th_str(job->refusal), .retry_after_us = -1};
    if (job->wire->parse(job_channel(job->as.call.channel), reply, arena, &outcome) == TH_OK)
        return outcome;
    /* It may have been executed; the answer that would tell could not be read. */
    return (struct provider_outcome){.result = reply->may_have_left ? PROVIDER_UNKNOWN
                                                                    : PROVIDER_NOT_SENT,
                                     .error_class = PROVIDER_TRANSIENT,
                                     .reason = TH_STR("no_resources"),
                                     .retry_after_us = -1};
}

static bool is_worth_an_excerpt(const struct provider_outcome *outcome)
{
    return outcome->result == PROVIDER_UNKNOWN ||
           (outcome->result == PROVIDER_REJECTED && outcome->error_class != PROVIDER_PERMANENT);
}

static void answer_call(const struct job *job, const struct http_reply *reply, int64_t boot_us,
                        struct th_arena *arena, struct answer *out)
{
    struct provider_outcome outcome = reply ? outcome_of(job, reply, arena) : job->outcome;

    *out = (struct answer){
        .type = job->type == EFFECT_CALL ? ANSWER_CALL_ENDED : ANSWER_REPEAT_ENDED,
        .as.call_ended =
            {
                .attempt = job->as.call.attempt,
                .outcome = outcome,
                .http_status = reply ? reply->status : 0,
                .call_us = boot_us - job->taken_boot_us,
            },
    };
    if (reply && reply->body.n > 0 && is_worth_an_excerpt(&outcome))
        out->as.call_ended.excerpt = excerpt_of(reply, arena);
}

static enum th_code answer_of_page(const struct job *job, struct th_arena *arena,
                                   struct provider_lookup *out)
{
    struct provider_report *report = th_arena_alloc(arena, sizeof *report);

    if (!report)
        return TH_NOMEM;
    *report = job->report;
    TH_TRY(th_arena_copy(arena, job->as.lookup.provider_id, &report->provider_id));
    TH_TRY(th_arena_copy(arena, th_str(job->code), &report->provider_code));
    *out = (struct provider_lookup){
        .result = PROVIDER_FOUND, .reports = report, .n_reports = 1, .retry_after_us = -1};
    return TH_OK;
}

static void answer_lookup(const struct job *job, const struct http_reply *reply,
                          struct th_arena *arena, struct answer *out)
{
    struct provider_lookup lookup = {.result = PROVIDER_ASK_AGAIN, .retry_after_us = -1};
    enum th_code code = TH_OK;

    if (job->has_report)
        code = answer_of_page(job, arena, &lookup);
    else if (!reply)
        lookup.result =
            job->outcome.result == PROVIDER_NOT_SENT ? PROVIDER_ASK_AGAIN : PROVIDER_ASK_REFUSED;
    else if (job->as.lookup.provider_id.n > 0)
        code = job->wire->lookup_parse(job_channel(job->as.lookup.channel), reply, arena, &lookup);
    else
        code = job->wire->search_parse(&job->search, reply, arena, &lookup);
    if (code != TH_OK)
        lookup = (struct provider_lookup){.result = PROVIDER_ASK_AGAIN, .retry_after_us = -1};
    *out = (struct answer){
        .type = ANSWER_LOOKUP_ENDED,
        .as.lookup_ended = {job->as.lookup.attempt, lookup, job->is_put_off},
    };
}

void job_answer(const struct job *job, const struct http_reply *reply, int64_t boot_us,
                struct th_arena *arena, struct answer *out)
{
    if (job->type == EFFECT_LOOKUP)
        answer_lookup(job, reply, arena, out);
    else
        answer_call(job, reply, boot_us, arena, out);
}
