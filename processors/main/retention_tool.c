#include "common/clock.h"
#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/archive/retention.h"
#include "connectors/postgres/audience_needed.h"
#include "connectors/postgres/view_store.h"
#include "processors/main/chosen_log.h"
#include "processors/main/settings.h"
#include "processors/main/tools.h"
#include "processors/materialize/fold.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ARENA_BYTES ((size_t)64 * 1024 * 1024)

/* What a run works on. */
struct desk {
    struct th_conf *conf;
    struct th_log *log;
    struct archive_manifest manifest;
    struct th_arena arena;
    char conninfo[TOOL_CONNINFO_MAX];
    char dir[TOOL_ARCHIVE_DIR_MAX];
    int days[TOPIC_COUNT];
    struct retention_part *parts;
    size_t parts_n;
};

static void desk_fini(struct desk *desk)
{
    archive_manifest_fini(&desk->manifest);
    if (desk->log)
        th_log_close(desk->log);
    th_conf_free(desk->conf);
    th_arena_fini(&desk->arena);
}

static enum th_code desk_open(struct cli *cli, struct desk *desk, struct th_err *err)
{
    TH_TRY(tool_settings(cli, &desk->conf, desk->conninfo, err));
    settings_archive(desk->conf, cli->dir, desk->dir, sizeof desk->dir);
    if (retention_parse(th_str(th_conf_str(desk->conf, "log_retention")), desk->days, err) != TH_OK)
        return th_wrap(err, "log_retention");
    enum th_code code = archive_load_manifest(desk->dir, &desk->manifest, err);
    if (code == TH_NOT_FOUND)
        return th_fail(err, code, "there is no archive in %s: telehub archive makes one",
                       desk->dir);
    TH_TRY(code);
    TH_TRY(chosen_log_open(desk->conf, desk->conninfo, true, &desk->log, err));
    if (strcmp(th_log_id(desk->log), desk->manifest.log_id) != 0)
        return th_fail(err, TH_CONFLICT, "%s holds the archive of the log %s, and this one is %s",
                       desk->dir, desk->manifest.log_id, th_log_id(desk->log));
    return TH_OK;
}

/* How far the views are, as their tables say. */
static enum th_code ask_views(struct desk *desk, struct view_step **out_steps, size_t *out_n,
                              struct th_err *err)
{
    struct view_generations *gens = NULL;
    int gen;

    TH_TRY(pg_view_generations_open(desk->conninfo, &gens, err));
    enum th_code code = gens->ops->current(gens, &gen, err);
    if (code == TH_OK)
        code = gens->ops->ends(gens, gen, &desk->arena, out_steps, out_n, err);
    pg_view_generations_close(gens);
    return code;
}

static enum th_code plan(struct desk *desk, struct th_err *err)
{
    struct view_step *views;
    struct log_place *needed;
    size_t needed_n;
    size_t views_n;

    TH_TRY(ask_views(desk, &views, &views_n, err));
    TH_TRY(pg_audience_needed(desk->conninfo, &desk->arena, &needed, &needed_n, err));
    struct retention retention = {
        .log = desk->log,
        .manifest = &desk->manifest,
        .days = desk->days,
        .cores = tool_cores,
        .slots = (int)th_conf_int(desk->conf, "slots"),
        .views = views,
        .views_n = views_n,
        .view_topics = fold_topics(),
        .needed = needed,
        .needed_n = needed_n,
        .now_us = th_clock_realtime_us(&th_clock_real),
    };
    return retention_plan(&retention, &desk->arena, &desk->parts, &desk->parts_n, err);
}

/* --- telling ---------------------------------------------------------------------------------- */

static void print_json(const struct desk *desk, bool is_applied)
{
    printf("{\"applied\":%s,\"partitions\":[", is_applied ? "true" : "false");
    for (size_t i = 0; i < desk->parts_n; i++) {
        const struct retention_part *part = &desk->parts[i];
        printf("%s{\"topic\":\"%s\",\"part\":%d,\"start\":%" PRId64 ",\"upto\":%" PRId64
               ",\"end\":%" PRId64 ",\"held\":\"%s\"}",
               i > 0 ? "," : "", topic_name(part->topic), part->part, part->start, part->upto,
               part->end, retention_hold_text(part->hold));
    }
    printf("]}\n");
}

static void print_parts(const struct desk *desk)
{
    if (desk->parts_n == 0) {
        printf("everything is kept: no topic has days in the setting log_retention\n");
        return;
    }
    for (size_t i = 0; i < desk->parts_n; i++) {
        const struct retention_part *part = &desk->parts[i];
        printf("%-20s %3d  begins at %10" PRId64 "  %s %10" PRId64 " of %10" PRId64 "  %s\n",
               topic_name(part->topic), part->part, part->start,
               part->upto > part->start ? "may at" : "stays ", part->upto, part->end,
               retention_hold_text(part->hold));
    }
}

/* --- the command ------------------------------------------------------------------------------ */

static enum th_code apply(struct desk *desk, size_t *out_trimmed, struct th_err *err)
{
    int64_t segments;

    TH_TRY(
        retention_verify(desk->dir, &desk->manifest, desk->parts, desk->parts_n, &segments, err));
    return retention_apply(desk->log, desk->parts, desk->parts_n, out_trimmed, err);
}

static enum th_code retain(struct cli *cli, struct desk *desk, struct th_err *err)
{
    bool is_applied = cli_has(cli, "--apply");
    size_t trimmed = 0;

    if (is_applied && cli_has(cli, "--dry-run"))
        return cli_usage(cli, err, "--apply or --dry-run, not both");
    TH_TRY(desk_open(cli, desk, err));
    TH_TRY(plan(desk, err));
    if (is_applied)
        TH_TRY(apply(desk, &trimmed, err));
    if (cli->is_json) {
        print_json(desk, is_applied);
        return TH_OK;
    }
    print_parts(desk);
    if (is_applied)
        printf("%zu partitions were trimmed; %s has what they held, every byte was checked\n",
               trimmed, desk->dir);
    else if (desk->parts_n > 0)
        printf("nothing was done: --apply does it\n");
    return TH_OK;
}

static enum th_code log_retention(struct cli *cli, struct th_err *err)
{
    struct desk desk = {0};

    th_arena_init(&desk.arena, ARENA_BYTES);
    enum th_code code = retain(cli, &desk, err);
    desk_fini(&desk);
    return code;
}

static const struct cli_option retention_options[] = {
    {"--apply", NULL, "do it, after every byte of it was found in the archive", false},
    {"--dry-run", NULL, "only say what would be dropped, and what holds the rest (default)", false},
    {NULL, NULL, NULL, false},
};

const struct cli_command tool_retention_commands[] = {
    {"log retention", "", 0, 0,
     "Drop from the log what is archived, older than the setting log_retention says, and needed by "
     "no slot and no view.",
     "  telehub archive && telehub log retention\n"
     "  telehub log retention --apply",
     retention_options, log_retention},
    {0},
};
