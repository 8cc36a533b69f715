#include "tests/simulation/wire.h"

#include <inttypes.h>
#include <stdio.h>

struct th_str sim_wire_id(int64_t number, struct th_arena *arena)
{
    return th_arena_printf(arena, "SIM%06" PRId64, number);
}

struct th_str sim_wire_body(const struct sim_report *report, struct th_arena *arena)
{
    return th_arena_printf(arena, "%d %d %" PRId64, (int)report->status, (int)report->error_class,
                           report->number);
}

enum th_code sim_wire_report(const struct sim_report *in, struct th_arena *arena,
                             struct provider_report *out)
{
    bool is_final = provider_status_is_final(in->status);
    bool is_positive = provider_status_is_positive(in->status);

    *out = (struct provider_report){
        .channel = in->status >= PROVIDER_CALL_INITIATED ? PROVIDER_CALL : PROVIDER_SMS,
        .provider_id = sim_wire_id(in->number, arena),
        .status = in->status,
        .is_final = is_final,
        .is_positive = is_positive,
        .error_class = is_final && !is_positive ? in->error_class : PROVIDER_CLASS_NONE,
        .reason = is_final && !is_positive ? TH_STR("not_reached") : TH_STR(""),
        .sequence = -1,
        .duration_s = -1,
    };
    return out->provider_id.p ? TH_OK : TH_NOMEM;
}

static enum th_code callback_parse(struct th_str body, struct th_arena *arena,
                                   struct provider_report *out, struct th_err *err)
{
    struct th_str text = th_arena_printf(arena, "%.*s", TH_ARG(body));
    int status;
    int error_class;
    int64_t number;

    if (!text.p)
        return th_fail(err, TH_NOMEM, "a callback");
    if (sscanf(text.p, "%d %d %" SCNd64, &status, &error_class, &number) != 3)
        return th_fail(err, TH_MALFORMED, "no report");
    struct sim_report report = {(enum provider_status)status, (enum provider_class)error_class,
                                number};
    return sim_wire_report(&report, arena, out);
}

/* That it can be searched; the caller of the simulation needs no request for that. */
static enum th_code search_build(const struct provider_account *account,
                                 const struct provider_search *search, struct th_arena *arena,
                                 struct http_req *out_req, struct th_err *err)
{
    (void)account;
    (void)search;
    (void)arena;
    (void)out_req;
    return th_fail(err, TH_UNSUPPORTED, "nobody speaks HTTP here");
}

#define KEY_LIFE_S 600

static const struct provider_ops wire_key = {
    .name = "sim_key",
    .caps = {.channels = PROVIDER_SMS | PROVIDER_CALL,
             .max_batch = 1,
             .reconciliation = PROVIDER_IDEMPOTENT,
             .key_life_s = KEY_LIFE_S},
    .callback_parse = callback_parse,
};

static const struct provider_ops wire_look = {
    .name = "sim_look",
    .caps = {.channels = PROVIDER_SMS | PROVIDER_CALL,
             .max_batch = 1,
             .reconciliation = PROVIDER_LOOKUP,
             .has_recipient_lookup = true},
    .callback_parse = callback_parse,
    .search_build = search_build,
};

static const struct provider_ops wire_callback = {
    .name = "sim",
    .caps = {.channels = PROVIDER_SMS | PROVIDER_CALL,
             .max_batch = 1,
             .reconciliation = PROVIDER_CALLBACK,
             .has_recipient_lookup = true},
    .callback_parse = callback_parse,
    .search_build = search_build,
};

static const struct provider_ops wire_none = {
    .name = "sim_none",
    .caps = {.channels = PROVIDER_SMS | PROVIDER_CALL,
             .max_batch = 1,
             .reconciliation = PROVIDER_NONE},
    .callback_parse = callback_parse,
};

const struct provider_ops *const sim_wires[] = {[PROVIDER_IDEMPOTENT] = &wire_key,
                                                [PROVIDER_LOOKUP] = &wire_look,
                                                [PROVIDER_CALLBACK] = &wire_callback,
                                                [PROVIDER_NONE] = &wire_none,
                                                [PROVIDER_NONE + 1] = NULL};

const struct provider_ops *sim_wire_of(enum provider_reconciliation reconciliation)
{
    return sim_wires[reconciliation];
}
