#include "common/eventlog/slot.h"
#include "connectors/postgres/view_store.h"
#include "processors/main/chosen_log.h"
#include "processors/main/installation.h"
#include "processors/main/settings.h"
#include "processors/main/tools.h"
#include "processors/materialize/fold.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct core_ops *const tool_cores[] = {&campaign_core, &retry_core, &dispatch_core, NULL};

enum th_code tool_settings(const struct cli *cli, struct th_conf **out_conf,
                           char out_conninfo[TOOL_CONNINFO_MAX], struct th_err *err)
{
    TH_TRY(settings_load(cli->dir, out_conf, err));
    settings_database(*out_conf, cli->dir, out_conninfo, TOOL_CONNINFO_MAX);
    return TH_OK;
}

enum th_code tool_log(const struct cli *cli, struct th_log **out_log, struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    char conninfo[TOOL_CONNINFO_MAX];

    TH_TRY(tool_settings(cli, &conf, conninfo, err));
    TH_TRY(chosen_log_open(conf, conninfo, true, out_log, err));
    enum th_code code = chosen_log_join(conf, cli->dir, out_log, err);
    if (code != TH_OK)
        th_log_close(TH_TAKE(*out_log));
    return code;
}

/* A slot that finds records but no cursor refuses to open: so each gets its first one here. */
static enum th_code begin_slots(const struct th_conf *conf, struct th_log *log, struct th_err *err)
{
    for (const struct core_ops *const *core = tool_cores; *core; core++)
        TH_TRY(slot_init_cursors(log, *core, (int)th_conf_int(conf, "slots"), err));
    return TH_OK;
}

/* Views in which nothing is yet are filled by this binary's rules, from this log. */
static enum th_code adopt(struct view_generations *gens, const char *log_id, struct th_err *err)
{
    int gen;

    TH_TRY(gens->ops->adopt(gens, FOLD_VERSION, err));
    TH_TRY(gens->ops->current(gens, &gen, err));
    return gens->ops->set_log(gens, gen, log_id, err);
}

static enum th_code begin_views(const char *conninfo, const char *log_id, struct th_err *err)
{
    struct view_generations *gens = NULL;

    TH_TRY(pg_view_generations_open(conninfo, &gens, err));
    enum th_code code = adopt(gens, log_id, err);
    pg_view_generations_close(gens);
    return code;
}

static enum th_code upgrade_locked(const struct cli *cli, struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    char conninfo[TOOL_CONNINFO_MAX];
    char key[OPERATOR_KEY_SIZE];
    TH_AUTO(th_log) struct th_log *log = NULL;
    int applied = 0;
    bool is_new = true;

    TH_TRY(tool_settings(cli, &conf, conninfo, err));
    TH_TRY(pg_log_upgrade(conninfo, &applied, err));
    TH_TRY(chosen_log_create(conf, conninfo, &is_new, err));
    TH_TRY(chosen_log_open(conf, conninfo, false, &log, err));
    if (th_log_mark(log) == LOG_MARK_NONE) /* the slots of a copy have theirs; others get none */
        TH_TRY(begin_slots(conf, log, err));
    TH_TRY(begin_views(conninfo, th_log_id(log), err));
    TH_TRY(installation_operator_key(cli->dir, key, err));
    explicit_bzero(key, sizeof key);
    if (cli->is_json)
        printf("{\"migrations\":%d,\"log_created\":%s}\n", applied, is_new ? "true" : "false");
    else
        printf("%d migrations applied; the log %s\n", applied, is_new ? "is made" : "was there");
    return TH_OK;
}

static enum th_code upgrade(struct cli *cli, struct th_err *err)
{
    int lock;

    /* Beginning a slot takes it, and taking it ends whoever owns it. */
    TH_TRY(installation_lock(cli->dir, &lock, err));
    enum th_code code = upgrade_locked(cli, err);
    close(lock);
    return code;
}

const struct cli_command tool_upgrade_commands[] = {
    {"upgrade", "", 0, 0,
     "Bring the database to this binary's schema; make the log and the operator's key if there is "
     "none.",
     "  telehub upgrade", NULL, upgrade},
    {0},
};
