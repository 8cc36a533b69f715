/* retention.h - how much of a log may be given up: what is old enough, archived, and needed by
 * nobody who is at work.
 *
 * Of a topic with a number of days, a partition may begin behind the last archived segment whose
 * records are all older, but not behind
 *   - the first record that a slot has not settled, of a topic that it reads;
 *   - what a slot's newest snapshots do not hold, of the topic that its state is made of;
 *   - what the views have not folded;
 *   - the first record of an audience whose campaign has not ended;
 *   - the last record.
 * Whoever asks for more (a new campaign for an old audience, the list of an old one's recipients,
 * why, views made anew) finds it in the archive (archive_joined.h). A machine that cannot reach
 * that lets nobody go who is read there: parts of an audience are then asked for again.
 *
 * Reference topics (config, consent.events, campaign.control, lane.health) are kept whole: every
 * process folds each of their records at every start, and what an entity is now (a tenant, an
 * opt-out) may have been said once, years ago. They are small: a record for each change of a
 * setting, for each opt-out.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_RETENTION_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_RETENTION_H

#include "common/eventlog/archive/archive_manifest.h"
#include "common/eventlog/core.h"
#include "common/view_store.h"

#define RETENTION_DAYS_MAX 36500

/* What keeps a partition from being trimmed further; in the order in which it is looked at. */
#define RETENTION_HOLDS(X)                                                                         \
    X(RETENTION_ARCHIVE, "the archive ends here")                                                  \
    X(RETENTION_AGE, "what follows is not old enough")                                             \
    X(RETENTION_SLOT, "a slot has not settled what follows")                                       \
    X(RETENTION_SNAPSHOT, "a slot's snapshots do not hold what follows")                           \
    X(RETENTION_VIEWS, "the views have not folded what follows")                                   \
    X(RETENTION_CAMPAIGN, "a campaign that has not ended needs what follows")                      \
    X(RETENTION_LAST, "the last record stays")

enum retention_hold {
#define RETENTION_ENUM(id, text) id,
    RETENTION_HOLDS(RETENTION_ENUM)
#undef RETENTION_ENUM
};

const char *retention_hold_text(enum retention_hold hold);

/* "send.events=90,dispatch.attempts=30", "all=365", or empty: days of each topic, 0: kept for ever.
 * Errors: TH_INVALID, with a sentence */
TH_MUST_USE
enum th_code retention_parse(struct th_str text, int out_days[TOPIC_COUNT], struct th_err *err);

struct retention {
    struct th_log *log; /* itself, not joined with its archive */
    const struct archive_manifest *manifest;
    const int *days;                     /* TOPIC_COUNT */
    const struct core_ops *const *cores; /* ends at NULL */
    int slots;                           /* of each */
    const struct view_step *views;       /* how far they are: to of each partition … */
    size_t views_n;
    uint32_t view_topics;           /* … of these topics; one that is missing is at 0 */
    const struct log_place *needed; /* records that somebody at work reads: they and what follows */
    size_t needed_n;
    int64_t now_us;
};

struct retention_part {
    enum topic topic;
    int part;
    int64_t start; /* of the log now */
    int64_t upto;  /* where it may begin; start: nothing is given up */
    int64_t end;
    enum retention_hold hold;
};

/* One for each partition of the topics with days; *out_n of them, in the arena. */
TH_MUST_USE
enum th_code retention_plan(const struct retention *retention, struct th_arena *arena,
                            struct retention_part **out_parts, size_t *out_n, struct th_err *err);

/* Read the archived segments that hold what would be given up, whole, and hold each byte against
 * its sum. Errors: as archive_verify; then nothing must be given up */
TH_MUST_USE
enum th_code retention_verify(const char *dir, const struct archive_manifest *manifest,
                              const struct retention_part *parts, size_t n, int64_t *out_segments,
                              struct th_err *err);

/* Give it up. *out_trimmed: partitions. Errors: as th_log_trim */
TH_MUST_USE
enum th_code retention_apply(struct th_log *log, const struct retention_part *parts, size_t n,
                             size_t *out_trimmed, struct th_err *err);

#endif
