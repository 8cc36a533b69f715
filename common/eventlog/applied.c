#include "common/eventlog/applied.h"

enum th_code applied_say(struct core_output *out, const struct core_env *env,
                         const struct ref_campaign *rc, int64_t in_flight)
{
    struct event event = {
        .type = EVENT_CONTROL_APPLIED,
        .as.control_applied = {.meta = core_meta(out, rc->tenant),
                               .campaign = rc->campaign,
                               .version = rc->version,
                               .state = rc->state,
                               .slot = env->slot,
                               .in_flight = in_flight},
    };
    struct th_str key = core_key(out, rc->tenant, rc->campaign);

    return key.p ? core_say(out, env->slot, key, &event) : TH_NOMEM;
}

struct event applied_answer(struct core_output *out, const struct core_env *env, enum log_app app,
                            const struct ref_campaign *rc, int64_t in_flight)
{
    return (struct event){
        .type = EVENT_CONTROL_ANSWERED,
        .as.control_answered = {.meta = core_meta(out, rc->tenant),
                                .campaign = rc->campaign,
                                .app = (int32_t)app,
                                .slot = env->slot,
                                .version = rc->version,
                                .in_flight = in_flight},
    };
}
