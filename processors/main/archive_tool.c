#include "common/clock.h"
#include "common/eventlog/archive/archive_take.h"
#include "common/eventlog/archive/archive_verify.h"
#include "processors/main/chosen_log.h"
#include "processors/main/progress.h"
#include "processors/main/settings.h"
#include "processors/main/tools.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- where ------------------------------------------------------------------------------------ */

enum th_code tool_archive_dir(const struct cli *cli, const struct th_conf *conf,
                              char out[TOOL_ARCHIVE_DIR_MAX], struct th_err *err)
{
    const char *given = cli_value(cli, "--to");
    int n;

    if (!given && *th_conf_str(conf, "archive"))
        given = th_conf_str(conf, "archive");
    if (given)
        n = snprintf(out, TOOL_ARCHIVE_DIR_MAX, "%s", given);
    else
        n = snprintf(out, TOOL_ARCHIVE_DIR_MAX, "%s/archive", cli->dir);
    if (n < 0 || n >= TOOL_ARCHIVE_DIR_MAX)
        return th_fail(err, TH_INVALID, "the archive's path is too long");
    return TH_OK;
}

static enum th_code topics_of(struct cli *cli, uint32_t *out, struct th_err *err)
{
    const char *name;
    enum topic topic;

    *out = 0;
    for (int i = 0; (name = cli_value_at(cli, "--topic", i)); i++) {
        if (!topic_by_name(th_str(name), &topic))
            return cli_usage(cli, err, "there is no topic %s: telehub log topics lists them", name);
        *out |= UINT32_C(1) << topic;
    }
    return TH_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void show_taken(void *arg, const struct archive_taken *taken)
{
    char what[64];

    snprintf(what, sizeof what, "%s/%d", topic_name(taken->topic), taken->part);
    progress_show(arg, what, taken->offsets, taken->offsets_all, taken->records, taken->bytes);
}

static void print_taken(const struct cli *cli, const char *dir, const struct archive_taken *taken)
{
    if (cli->is_json)
        printf("{\"records\":%" PRId64 ",\"bytes\":%" PRId64 ",\"segments\":%" PRId64 "}\n",
               taken->records, taken->bytes, taken->segments);
    else if (taken->records == 0)
        printf("%s has everything already\n", dir);
    else
        printf("%" PRId64 " records, %" PRId64 " bytes, in %" PRId64 " segments added to %s\n",
               taken->records, taken->bytes, taken->segments, dir);
}

static enum th_code write_segments(struct cli *cli, struct th_log *log, const char *dir,
                                   uint32_t topics, struct th_err *err)
{
    struct progress progress;
    struct archive_taken taken = {0};
    struct archive_plan plan = {
        .dir = dir, .topics = topics, .progress = show_taken, .arg = &progress};

    progress_begin(&progress, cli->is_json);
    enum th_code code = archive_take(log, &plan, &taken, err);
    progress_end(&progress);
    if (code == TH_FULL)
        return th_wrap(err, "what is whole is kept, the next run goes on behind it");
    TH_TRY(code);
    print_taken(cli, dir, &taken);
    return TH_OK;
}

/* --- verifying -------------------------------------------------------------------------------- */

static void show_verified(void *arg, const struct archive_totals *done,
                          const struct archive_totals *all)
{
    progress_show(arg, "verified", done->bytes, all->bytes, done->records, done->bytes);
}

static enum th_code verify_dir(struct cli *cli, const char *dir, struct th_err *err)
{
    struct archive_totals totals;
    struct progress progress;

    progress_begin(&progress, cli->is_json);
    enum th_code code = archive_verify(dir, show_verified, &progress, &totals, err);
    progress_end(&progress);
    TH_TRY(code);
    if (cli->is_json)
        printf("{\"segments\":%" PRId64 ",\"records\":%" PRId64 ",\"bytes\":%" PRId64 "}\n",
               totals.segments, totals.records, totals.bytes);
    else
        printf("%s: %" PRId64 " records in %" PRId64 " segments, every byte as it was written\n",
               dir, totals.records, totals.segments);
    return TH_OK;
}

static enum th_code archive_verify_command(struct cli *cli, struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    char conninfo[TOOL_CONNINFO_MAX];
    char dir[TOOL_ARCHIVE_DIR_MAX];

    if (cli->words_n > 0)
        return verify_dir(cli, cli->words[0], err);
    TH_TRY(tool_settings(cli, &conf, conninfo, err));
    TH_TRY(tool_archive_dir(cli, conf, dir, err));
    return verify_dir(cli, dir, err);
}

/* --- the command ------------------------------------------------------------------------------ */

static enum th_code archive(struct cli *cli, struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    TH_AUTO(th_log) struct th_log *log = NULL;
    char conninfo[TOOL_CONNINFO_MAX];
    char dir[TOOL_ARCHIVE_DIR_MAX];
    uint32_t topics;

    TH_TRY(topics_of(cli, &topics, err));
    TH_TRY(tool_settings(cli, &conf, conninfo, err));
    TH_TRY(tool_archive_dir(cli, conf, dir, err));
    TH_TRY(chosen_log_open(conf, conninfo, true, &log, err));
    TH_TRY(write_segments(cli, log, dir, topics, err));
    return cli_has(cli, "--verify") ? verify_dir(cli, dir, err) : TH_OK;
}

static const struct cli_option archive_options[] = {
    {"--to", "DIR",
     "the archive's folder (default: the setting archive, else archive in the "
     "installation's folder)",
     false},
    {"--topic", "TOPIC", "this one only; may be repeated", false},
    {"--verify", NULL, "then read all of the archive and check every byte", false},
    {NULL, NULL, NULL, false},
};

const struct cli_command tool_archive_commands[] = {
    {"archive verify", "[DIR]", 0, 1,
     "Read all of an archive: is every byte what was written? Names the first that is not.",
     "  telehub archive verify\n  telehub archive verify /backup/telehub", NULL,
     archive_verify_command},
    {"archive", "", 0, 0,
     "Write what the log holds into an archive; goes on where the last run stopped.",
     "  telehub archive\n"
     "  telehub archive --to /backup/telehub --verify\n"
     "  telehub archive --topic send.events --topic dispatch.attempts",
     archive_options, archive},
    {0},
};
