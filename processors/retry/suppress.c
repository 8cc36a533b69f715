#include "common/content.h"
#include "processors/retry/turn.h"

#include <inttypes.h>

/* An opt-out is read back by every process within a second; for so long a note of ours stands in
 * for it. Longer, and it would outlive an opt-in. */
#define MUTE_US INT64_C(10000000)

#define MUTES_SWEPT 64 /* at a time */

static bool is_over(const struct turn *turn, const struct mute *mute)
{
    return turn->in->now_us - mute->at_us >= MUTE_US;
}

static enum th_code sweep(struct turn *turn)
{
    struct table *mutes = turn->retry->mutes;
    struct th_id over[MUTES_SWEPT];
    const struct mute *mute;
    size_t n = 0;

    for (size_t at = 0; n < MUTES_SWEPT && (mute = table_next(mutes, &at));)
        if (is_over(turn, mute))
            over[n++] = mute->id;
    for (size_t i = 0; i < n; i++)
        TH_TRY(table_remove(mutes, over[i]));
    return TH_OK;
}

static enum th_code note(struct turn *turn, int64_t contact)
{
    void *entry;

    TH_TRY(table_insert(turn->retry->mutes, mute_id(contact), &entry));
    ((struct mute *)entry)->at_us = turn->in->now_us;
    return TH_OK;
}

enum th_code suppress_number(struct turn *turn, struct th_str tenant,
                             const struct string_or_sealed *phone)
{
    struct th_str number = content_plain(phone);

    if (!number.n)
        return TH_OK;
    int64_t contact = contact_hash(tenant, number);
    TH_TRY(sweep(turn));
    if (reference_is_opted_out(turn->retry->env.reference, contact) ||
        table_get(turn->retry->mutes, mute_id(contact)))
        return TH_OK; /* the same report came again */
    struct event event = {
        .type = EVENT_OPTED_OUT,
        .as.opted_out = {.meta = core_meta(turn->out, tenant),
                         .contact = contact,
                         .phone = *phone,
                         .source = TH_STR("provider")},
    };
    struct th_str key = th_arena_printf(core_arena(turn->out), "%.*s/%016" PRIx64, TH_ARG(tenant),
                                        (uint64_t)contact);
    if (!key.p)
        return TH_NOMEM;
    TH_TRY(note(turn, contact));
    return core_emit(turn->out, TOPIC_CONSENT_EVENTS, -1, key, &event);
}
