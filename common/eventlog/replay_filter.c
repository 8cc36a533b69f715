#include "common/eventlog/replay_filter.h"

#include <stddef.h>
#include <string.h>

#include "common/date.h"
#include "common/eventlog/scan.h"
#include "common/hash.h"
#include "schemas/events.h"

#define READ_BYTES  ((size_t)1024 * 1024)
#define ARENA_BYTES ((size_t)64 * 1024 * 1024)

/* --- what is asked for ------------------------------------------------------------------------ */

static enum th_code parse_time(struct th_str value, int64_t *out_us, struct th_err *err)
{
    if (*out_us != 0 || !th_date_parse_rfc3339(value, out_us))
        return th_fail(err, TH_INVALID,
                       "--filter: \"%.*s\" is no time (or a second one): 2026-11-02T10:00:00Z",
                       TH_ARG(value));
    return TH_OK;
}

static enum th_code parse_one(struct th_str name, struct th_str value, struct replay_filter *out,
                              struct th_err *err)
{
    if (th_str_eq(name, TH_STR("tenant")) && out->tenant.n == 0 && value.n > 0) {
        out->tenant = value;
        return TH_OK;
    }
    if (th_str_eq(name, TH_STR("campaign")) && !out->has_campaign) {
        out->has_campaign = th_id_parse(value, &out->campaign);
        return out->has_campaign ? TH_OK
                                 : th_fail(err, TH_INVALID,
                                           "--filter: \"%.*s\" is no campaign's id", TH_ARG(value));
    }
    if (th_str_eq(name, TH_STR("from")))
        return parse_time(value, &out->from_us, err);
    if (th_str_eq(name, TH_STR("to")))
        return parse_time(value, &out->to_us, err);
    return th_fail(err, TH_INVALID,
                   "--filter takes tenant=, campaign=, from= and to=, each once, with commas "
                   "between them, not \"%.*s\"",
                   TH_ARG(name));
}

enum th_code replay_filter_parse(const char *text, struct replay_filter *out, struct th_err *err)
{
    struct replay_filter filter = {0};

    while (*text) {
        size_t n = strcspn(text, ",");
        const char *equals = memchr(text, '=', n);
        size_t name_n = equals ? (size_t)(equals - text) : n;
        struct th_str value = {equals ? equals + 1 : text + n, equals ? n - name_n - 1 : 0};

        TH_TRY(parse_one((struct th_str){text, name_n}, value, &filter, err));
        text += n + (text[n] == ',');
    }
    *out = filter;
    return TH_OK;
}

/* --- of which campaign an event is -------------------------------------------------------------
 */

#define AT(TYPE, path) [TYPE] = offsetof(struct event, as.path)

/* Where events say their campaign; 0: they do not. */
static const size_t campaign_at[EVENT_TYPES] = {
    AT(EVENT_CREATE_CAMPAIGN, create_campaign.campaign),
    AT(EVENT_START_CAMPAIGN, start_campaign.campaign),
    AT(EVENT_PAUSE_CAMPAIGN, pause_campaign.campaign),
    AT(EVENT_RESUME_CAMPAIGN, resume_campaign.campaign),
    AT(EVENT_CANCEL_CAMPAIGN, cancel_campaign.campaign),
    AT(EVENT_SET_CAMPAIGN_PACE, set_campaign_pace.campaign),
    AT(EVENT_CAMPAIGN_CREATED, campaign_created.campaign),
    AT(EVENT_CAMPAIGN_STARTED, campaign_started.campaign),
    AT(EVENT_CAMPAIGN_RELEASED, campaign_released.campaign),
    AT(EVENT_CAMPAIGN_RE_RELEASED, campaign_re_released.campaign),
    AT(EVENT_PROGRESS_NOTED, progress_noted.campaign),
    AT(EVENT_CAMPAIGN_PAUSING, campaign_pausing.campaign),
    AT(EVENT_CAMPAIGN_PAUSED, campaign_paused.campaign),
    AT(EVENT_CAMPAIGN_RESUMED, campaign_resumed.campaign),
    AT(EVENT_CAMPAIGN_COMPLETED, campaign_completed.campaign),
    AT(EVENT_CAMPAIGN_CANCELLING, campaign_cancelling.campaign),
    AT(EVENT_CAMPAIGN_CANCELLED, campaign_cancelled.campaign),
    AT(EVENT_COMMAND_REFUSED, command_refused.campaign),
    AT(EVENT_CAMPAIGN_STARTING, campaign_starting.campaign),
    AT(EVENT_CAMPAIGN_PACE_CHANGED, campaign_pace_changed.campaign),
    AT(EVENT_SENDS_MOVED, sends_moved.campaign),
    AT(EVENT_RELEASE_WANTED, release_wanted.campaign),
    AT(EVENT_CONTROL_ANSWERED, control_answered.campaign),
    AT(EVENT_CONTROL_APPLIED, control_applied.campaign),
};

/* Where events say their send. */
static const size_t send_at[EVENT_TYPES] = {
    AT(EVENT_SEND_REQUESTED, send_requested.send),
    AT(EVENT_SEND_RELEASED, send_released.send),
    AT(EVENT_SEND_ADMITTED, send_admitted.send),
    AT(EVENT_SEND_PLANNED, send_planned.send),
    AT(EVENT_RETRY_SCHEDULED, retry_scheduled.send),
    AT(EVENT_SEND_NOTED, send_noted.send),
    AT(EVENT_SEND_SUPPRESSED, send_suppressed.send),
    AT(EVENT_SEND_ENDED, send_ended.send),
    AT(EVENT_SEND_STUCK, send_stuck.send),
    AT(EVENT_SEND_REACHED, send_reached.send),
    AT(EVENT_ATTEMPT_PLAN, attempt_plan.send),
    AT(EVENT_ATTEMPT_STARTED, attempt_started.send),
    AT(EVENT_ATTEMPT_RESULT, attempt_result.send),
    AT(EVENT_ATTEMPT_RETURNED, attempt_returned.send),
    AT(EVENT_ATTEMPT_RESOLVED, attempt_resolved.send),
    AT(EVENT_ATTEMPT_REPORTED, attempt_reported.send),
    AT(EVENT_ATTEMPT_PRICED, attempt_priced.send),
    AT(EVENT_REPEAT_WANTED, repeat_wanted.send),
    AT(EVENT_REPEAT_RELEASED, repeat_released.send),
    AT(EVENT_CALLBACK_RECEIVED, callback_received.send),
};

static const size_t audience_at[EVENT_TYPES] = {
    AT(EVENT_AUDIENCE_CREATED, audience_created.audience),
    AT(EVENT_AUDIENCE_PART, audience_part.audience),
    AT(EVENT_AUDIENCE_SEALED, audience_sealed.audience),
};

static const struct th_id *id_at(const struct event *event, const size_t at[EVENT_TYPES])
{
    size_t offset = at[event->type];

    return offset ? (const struct th_id *)(const void *)((const char *)event + offset) : NULL;
}

static uint64_t hash_of(const struct th_id *id)
{
    return th_hash64((struct th_str){(const char *)id->b, sizeof id->b}, 0);
}

static bool is_in(const struct hash_set *set, const struct th_id *id)
{
    return id && hash_set_has(set, hash_of(id));
}

/* --- its sends and audiences -------------------------------------------------------------------
 */

static enum th_code learn(struct replay_sieve *sieve, const struct event *event, bool *is_known)
{
    const struct campaign_origin_or_send_content *origin = &event->as.send_requested.origin;
    const struct th_id *campaign = &sieve->filter.campaign;

    if (event->type == EVENT_CREATE_CAMPAIGN &&
        th_id_eq(event->as.create_campaign.campaign, *campaign)) {
        *is_known = true;
        return hash_set_add(&sieve->audiences, hash_of(&event->as.create_campaign.spec.audience));
    }
    if (event->type == EVENT_SEND_REQUESTED &&
        origin->is == CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN &&
        th_id_eq(origin->as.campaign_origin.campaign, *campaign))
        return hash_set_add(&sieve->sends, hash_of(&event->as.send_requested.send));
    return TH_OK;
}

static enum th_code learn_all(struct replay_sieve *sieve, const struct log_records *records,
                              struct th_arena *look, bool *is_known)
{
    for (size_t i = 0; i < records->n; i++) {
        struct event event;
        struct th_err ignored = {0};

        th_arena_reset(look);
        enum th_code code = event_decode(records->at[i].value, look, &event, &ignored);
        if (code == TH_OK)
            code = learn(sieve, &event, is_known);
        if (code == TH_NOMEM)
            return code;
    }
    return TH_OK;
}

static enum th_code learn_from(struct replay_sieve *sieve, struct th_log *source,
                               struct th_arena *arena, struct th_arena *look, struct th_err *err)
{
    TH_AUTO(log_scan) struct log_scan *scan = NULL;
    struct log_records records;
    struct log_place behind;
    bool is_known = false;

    TH_TRY(log_scan_open(source, (struct log_place){0}, &scan, err));
    do {
        th_arena_reset(arena);
        TH_TRY(log_scan_next(scan, READ_BYTES, arena, &records, &behind, err));
        if (learn_all(sieve, &records, look, &is_known) != TH_OK)
            return th_fail(err, TH_NOMEM, "a campaign's sends");
    } while (records.n > 0 && behind.topic <= TOPIC_SEND_REQUESTS);
    return is_known ? TH_OK : th_fail(err, TH_NOT_FOUND, "the source knows no such campaign");
}

enum th_code replay_sieve_init(struct replay_sieve *sieve, const struct replay_filter *filter,
                               struct th_log *source, struct th_err *err)
{
    struct th_arena arena, look;

    *sieve = (struct replay_sieve){.filter = *filter};
    if (!filter->has_campaign)
        return TH_OK;
    th_arena_init(&arena, ARENA_BYTES);
    th_arena_init(&look, ARENA_BYTES);
    enum th_code code = learn_from(sieve, source, &arena, &look, err);
    th_arena_fini(&arena);
    th_arena_fini(&look);
    return code;
}

void replay_sieve_fini(struct replay_sieve *sieve)
{
    hash_set_fini(&sieve->sends);
    hash_set_fini(&sieve->audiences);
    *sieve = (struct replay_sieve){0};
}

/* --- keeping -----------------------------------------------------------------------------------
 */

static bool is_of_tenant(const struct replay_filter *filter, struct th_str key)
{
    struct th_str tenant = filter->tenant;

    return tenant.n == 0 ||
           (key.n > tenant.n && key.p[tenant.n] == '/' && memcmp(key.p, tenant.p, tenant.n) == 0);
}

static bool is_of_time(const struct replay_filter *filter, int64_t at_us)
{
    return at_us >= filter->from_us && (filter->to_us == 0 || at_us < filter->to_us);
}

static bool is_of_campaign(const struct replay_sieve *sieve, const struct event *event)
{
    const struct th_id *campaign = id_at(event, campaign_at);

    return (campaign && th_id_eq(*campaign, sieve->filter.campaign)) ||
           is_in(&sieve->sends, id_at(event, send_at)) ||
           is_in(&sieve->audiences, id_at(event, audience_at));
}

enum th_code replay_sieve_keeps(const struct replay_sieve *sieve, const struct log_record *record,
                                struct th_arena *arena, bool *out_keeps)
{
    struct event event;
    struct th_err ignored = {0};

    *out_keeps = topic_kind(record->place.topic) == TOPIC_REFERENCE;
    if (*out_keeps || !is_of_tenant(&sieve->filter, record->key) ||
        !is_of_time(&sieve->filter, record->at_us))
        return TH_OK;
    *out_keeps = !sieve->filter.has_campaign;
    if (*out_keeps)
        return TH_OK;
    th_arena_reset(arena);
    enum th_code code = event_decode(record->value, arena, &event, &ignored);
    if (code == TH_NOMEM)
        return code;
    *out_keeps = code == TH_OK && is_of_campaign(sieve, &event);
    return TH_OK;
}
