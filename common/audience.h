/* audience.h - the recipients' content, which lies once: in the parts on campaign.audience.
 *
 * A part is found by the views' index (audience_parts), or by reading campaign.audience from where
 * the views stand; it counts only if its sha256 is the one that the seal names. A few decoded parts
 * are kept, bounded by bytes, shared by all threads. connectors/postgres implements it.
 *
 * Any thread. Questions may block for a read of the log, never longer than that: what takes
 * longer (looking a large audience through for duplicates) goes on behind, and the answer until
 * then is TH_UNAVAILABLE: ask again.
 */
#ifndef TELEHUB_COMMON_AUDIENCE_H
#define TELEHUB_COMMON_AUDIENCE_H

#include "common/eventlog/effect.h"

struct audience;

struct audience_ops {
    /* Answer EFFECT_OPEN_AUDIENCE, EFFECT_READ_PART and EFFECT_READ_RECIPIENT; *out lives in
     * arena. What went wrong is in the answer. Errors: TH_NOMEM */
    enum th_code (*answer)(struct audience *audience, const struct effect *effect,
                           struct th_arena *arena, struct answer *out);

    /* A whole part of a sealed audience, copied into arena.
     * Errors: TH_NOT_FOUND    no such audience of this tenant, not sealed, or no such part
     *         TH_CORRUPT      its sha256 is not the seal's
     *         TH_UNAVAILABLE, TH_NOMEM */
    enum th_code (*part)(struct audience *audience, struct th_str tenant, struct th_id id,
                         int32_t part, struct th_arena *arena, struct audience_part *out,
                         struct th_err *err);
};

struct audience {
    const struct audience_ops *ops;
};

static inline enum th_code audience_answer(struct audience *audience, const struct effect *effect,
                                           struct th_arena *arena, struct answer *out)
{
    return audience->ops->answer(audience, effect, arena, out);
}

#endif
