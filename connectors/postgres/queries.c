#include "connectors/postgres/queries.h"

#include <string.h>

#include "connectors/postgres/queries_internal.h"

#define CONNECTIONS_MAX 8

enum th_code query_by_id(struct pg_views *self, const struct pg_statement *statement,
                         struct th_str tenant, struct th_id id, PGresult **out_result,
                         struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_bytes(&params, tenant);
    pg_add_uuid(&params, id.b);
    return pg_pool_execute(self->pool, statement, &params, out_result, err);
}

static const struct views_ops ops = {
    .wait_for = query_wait_for,
    .campaigns = query_campaigns,
    .campaign = query_campaign,
    .progress = query_progress,
    .certificate = query_certificate,
    .recipients = query_recipients,
    .send = query_send,
    .audience = query_audience,
    .command = query_command,
    .opt_outs = query_opt_outs,
    .lag = query_lag,
    .dead_letters = query_dead_letters,
    .dead_letter = query_dead_letter,
    .exhausted = query_exhausted,
    .troubles = query_troubles,
};

void pg_views_close(struct views *views)
{
    struct pg_views *self = pg_views_of(views);

    if (!self)
        return;
    pg_pool_free(self->pool);
    pulses_fini(&self->pulses);
    settled_fini(&self->settled);
    free(self->conninfo);
    free(self);
}

enum th_code pg_views_open(const char *conninfo, struct th_log *log, struct audience *audience,
                           struct views **out_views, struct th_err *err)
{
    struct pg_views *self = calloc(1, sizeof *self);

    if (!self)
        return th_fail(err, TH_NOMEM, "queries");
    self->views.ops = &ops;
    self->log = log;
    self->audience = audience;
    pulses_init(&self->pulses);
    settled_init(&self->settled);
    self->conninfo = strdup(conninfo);
    self->config = (struct pg_config){
        .conninfo = self->conninfo, .application_name = "telehub views", .is_read_only = true};
    enum th_code code = self->conninfo
                            ? pg_pool_new(&self->config, CONNECTIONS_MAX, &self->pool, err)
                            : th_fail(err, TH_NOMEM, "queries");
    if (code != TH_OK) {
        pg_views_close(&self->views);
        return code;
    }
    *out_views = &self->views;
    return TH_OK;
}
