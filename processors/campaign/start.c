#include "processors/campaign/turn.h"

enum th_code campaign_ask_audience(struct turn *turn, const struct campaign *c)
{
    struct effect effect = {
        .type = EFFECT_OPEN_AUDIENCE,
        .as.open_audience = {.tenant = blob_str(c->tenant),
                             .campaign = c->id,
                             .audience = c->audience},
    };
    return core_effect(turn->out, &effect);
}

enum th_code campaign_start_command(struct turn *turn, const struct campaign *c,
                                    const struct start_campaign *command)
{
    struct event event = {
        .type = EVENT_CAMPAIGN_STARTING,
        .as.campaign_starting = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                 .campaign = c->id,
                                 .recipients = command->recipients},
    };

    TH_TRY(campaign_say(turn, c, &event));
    return campaign_ask_audience(turn, campaign_of(turn, c->id));
}

static bool names(const struct string_array *accounts, struct th_str name)
{
    for (size_t i = 0; i < accounts->n; i++)
        if (th_str_eq(accounts->at[i], name))
            return true;
    return accounts->n == 0;
}

/* Lanes that the campaign may use now, and whether one of them is live. */
static int usable_lanes(const struct turn *turn, struct th_str tenant,
                        const struct campaign_spec *spec, bool *out_is_live)
{
    int n = 0;
    const struct ref_lane *lane;

    *out_is_live = false;
    for (size_t i = 0; (lane = reference_lane_at(turn->cs->env.reference, i)); i++) {
        if (!lane->is_enabled || !th_str_eq(lane->tenant, tenant) ||
            !names(&spec->accounts, lane->account.name))
            continue;
        n++;
        *out_is_live = *out_is_live || lane->account.mode == ACCOUNT_MODE_LIVE;
    }
    return n;
}

/* Why the start cannot be carried out; NULL when it can. */
static enum th_code objection(struct turn *turn, const struct campaign *c,
                              const struct answer *answer, const char **out_code,
                              struct th_str *out_detail)
{
    struct th_arena *arena = core_arena(turn->out);
    struct campaign_spec spec;
    struct th_err err = {0};
    bool is_live;

    *out_code = NULL;
    TH_TRY(campaign_spec_decode_body(blob_str(c->spec), 1, arena, &spec, &err));
    if (answer->as.audience_opened.code == TH_CORRUPT) {
        *out_code = "audience_not_as_sealed";
        *out_detail = TH_STR("a part of the audience is missing, or was uploaded again with other "
                             "rows before the seal: upload it as a new audience");
    } else if (answer->as.audience_opened.code != TH_OK) {
        *out_code = "audience_not_ready";
        *out_detail = TH_STR("the audience does not exist, or is not sealed");
    } else if (usable_lanes(turn, blob_str(c->tenant), &spec, &is_live) == 0) {
        *out_code = "no_provider";
        *out_detail = TH_STR("no enabled provider account can carry this campaign: see "
                             "telehub provider list, telehub provider enable");
    } else if (is_live && !c->has_stated) {
        *out_code = "recipients_not_stated";
        *out_detail = th_arena_printf(arena,
                                      "a live provider account is used: say how many people will "
                                      "be contacted, with --recipients %lld",
                                      (long long)answer->as.audience_opened.recipients);
    } else if (c->has_stated && c->stated != answer->as.audience_opened.recipients) {
        *out_code = "recipients_differ";
        *out_detail =
            th_arena_printf(arena, "the audience has %lld recipients, not %lld",
                            (long long)answer->as.audience_opened.recipients, (long long)c->stated);
    }
    return TH_OK;
}

static enum th_code tell_definition(struct turn *turn, const struct campaign *c, int32_t run)
{
    struct th_str tenant = blob_str(c->tenant);
    struct event event = {
        .type = EVENT_CAMPAIGN_DEFINED,
        .as.campaign_defined = {.meta = core_meta(turn->out, tenant),
                                .campaign = c->id,
                                .run = run},
    };
    struct th_err err = {0};

    TH_TRY(campaign_spec_decode_body(blob_str(c->spec), 1, core_arena(turn->out),
                                     &event.as.campaign_defined.spec, &err));
    return campaign_emit(turn, TOPIC_CAMPAIGN_CONTROL, tenant, c->id, &event);
}

static enum th_code begin(struct turn *turn, const struct campaign *c, const struct answer *answer)
{
    struct th_id id = c->id;
    struct event event = {
        .type = EVENT_CAMPAIGN_STARTED,
        .as.campaign_started = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                .campaign = id,
                                .run = 1,
                                .run_started_ms = turn->in->now_us / 1000,
                                .parts = answer->as.audience_opened.parts,
                                .recipients = answer->as.audience_opened.recipients,
                                .audience_sha256 = answer->as.audience_opened.sha256},
    };

    TH_TRY(tell_definition(turn, c, 1));
    TH_TRY(campaign_tell(turn, c, CONTROL_STATE_RUNNING, 1));
    TH_TRY(campaign_say(turn, c, &event));
    return campaign_wake(turn, id, turn->in->now_us);
}

enum th_code campaign_audience_opened(struct turn *turn, const struct answer *answer)
{
    const struct campaign *c = campaign_of(turn, answer->as.audience_opened.campaign);
    const char *code;
    struct th_str detail;

    if (!c || c->phase != CAMPAIGN_STARTING)
        return TH_OK;
    if (answer->as.audience_opened.code == TH_UNAVAILABLE)
        return campaign_wake(turn, c->id, turn->in->now_us + turn->cs->config.ask_again_us);
    TH_TRY(objection(turn, c, answer, &code, &detail));
    if (code)
        return campaign_refuse(turn, blob_str(c->tenant), c->id, "start", code, detail);
    return begin(turn, c, answer);
}
