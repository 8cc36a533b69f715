#include "connectors/postgres/queries_internal.h"

/* A command and what became of it lie in different topics: the row may know either first. */
static const struct pg_statement one = {
    "SELECT command, campaign, kind, status, code, detail FROM views.commands"
    " WHERE tenant = $1::text AND command = $2::uuid"};

static enum view_command_status status_of(struct th_str status)
{
    if (th_str_eq(status, TH_STR("applied")))
        return VIEW_COMMAND_APPLIED;
    if (th_str_eq(status, TH_STR("refused")))
        return VIEW_COMMAND_REFUSED;
    return VIEW_COMMAND_PENDING; /* also "starting" */
}

enum th_code query_command(struct views *views, struct th_str tenant, struct th_id id,
                           struct th_arena *arena, struct view_command *out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct view_command command;

    TH_TRY(query_check_tenant(tenant, err));
    TH_TRY(query_by_id(pg_views_of(views), &one, tenant, id, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "no such command");
    struct query_row row = query_row(result, 0, arena);
    command.id = query_next_id(&row);
    command.campaign = query_next_id(&row);
    command.kind = query_next_text(&row);
    command.status = status_of(query_next_text(&row));
    command.code = query_next_text(&row);
    command.detail = query_next_text(&row);
    TH_TRY(query_row_end(&row, err));
    *out = command;
    return TH_OK;
}
