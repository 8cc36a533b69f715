#include "common/clock.h"
#include "common/eventlog/archive/archive_avro.h"
#include "common/eventlog/archive/archive_verify.h"
#include "processors/main/chosen_log.h"
#include "processors/main/progress.h"
#include "processors/main/settings.h"
#include "processors/main/tools.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- where ------------------------------------------------------------------------------------ */

/* --to, or the archive's own folder; what Avro files are in by default lies beside it. */
static void dir_of(const struct cli *cli, const struct th_conf *conf, bool is_avro,
                   char out[TOOL_ARCHIVE_DIR_MAX])
{
    const char *given = cli_value(cli, "--to");

    if (given)
        snprintf(out, TOOL_ARCHIVE_DIR_MAX, "%s", given);
    else if (is_avro)
        snprintf(out, TOOL_ARCHIVE_DIR_MAX, "%s/avro", cli->dir);
    else
        settings_archive(conf, cli->dir, out, TOOL_ARCHIVE_DIR_MAX);
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
    struct archive_plan plan = {.topics = topics, .progress = show_taken, .arg = &progress};

    progress_begin(&progress, cli->is_json);
    enum th_code code = archive_take(log, dir, 0, &plan, &taken, err);
    progress_end(&progress);
    if (code == TH_FULL)
        return th_wrap(err, "what is whole is kept, the next run goes on behind it");
    TH_TRY(code);
    print_taken(cli, dir, &taken);
    return TH_OK;
}

/* --- as Avro files ---------------------------------------------------------------------------- */

static void print_events(const struct cli *cli, const char *dir,
                         const struct archive_avro_counts *counts)
{
    if (cli->is_json)
        printf("{\"events\":%" PRId64 ",\"files\":%" PRId64 ",\"left_out\":%" PRId64 "}\n",
               counts->events, counts->files, counts->left_out);
    else
        printf("%" PRId64 " events in %" PRId64 " files added to %s\n", counts->events,
               counts->files, dir);
    if (counts->left_out > 0)
        (void)fprintf(stderr,
                      "%" PRId64 " records are no events that this program understands: "
                      "they are in archives of segments only\n",
                      counts->left_out);
}

static enum th_code write_avro(struct cli *cli, struct th_log *log, const char *dir,
                               uint32_t topics, struct th_err *err)
{
    TH_AUTO(archive_avro) struct archive_avro *avro = NULL;
    const char *codec = cli_value(cli, "--codec");
    bool is_plain = codec && strcmp(codec, "null") == 0;
    struct progress progress;
    struct archive_taken taken;
    struct archive_plan plan = {.topics = topics, .progress = show_taken, .arg = &progress};

    TH_TRY(archive_avro_open(dir, th_log_id(log), is_plain ? AVRO_CODEC_NULL : AVRO_CODEC_DEFLATE,
                             &avro, err));
    struct archive_sink sink = archive_avro_sink(avro);
    progress_begin(&progress, cli->is_json);
    enum th_code code = archive_take_into(log, &sink, &plan, &taken, err);
    progress_end(&progress);
    TH_TRY(code);
    struct archive_avro_counts counts = archive_avro_counts(avro);
    print_events(cli, dir, &counts);
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
    settings_archive(conf, cli->dir, dir, sizeof dir);
    return verify_dir(cli, dir, err);
}

/* --- the command ------------------------------------------------------------------------------ */

static enum th_code check_line(struct cli *cli, bool *out_is_avro, struct th_err *err)
{
    const char *format = cli_value(cli, "--format");
    const char *codec = cli_value(cli, "--codec");

    *out_is_avro = format && strcmp(format, "avro") == 0;
    if (format && !*out_is_avro && strcmp(format, "segments") != 0)
        return cli_usage(cli, err, "--format %s: segments or avro", format);
    if (codec && strcmp(codec, "deflate") != 0 && strcmp(codec, "null") != 0)
        return cli_usage(cli, err, "--codec %s: deflate or null", codec);
    if (codec && !*out_is_avro)
        return cli_usage(cli, err, "--codec is of --format avro");
    if (*out_is_avro && cli_has(cli, "--verify"))
        return cli_usage(cli, err, "--verify is of --format segments");
    return TH_OK;
}

static enum th_code archive(struct cli *cli, struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    TH_AUTO(th_log) struct th_log *log = NULL;
    char conninfo[TOOL_CONNINFO_MAX];
    char dir[TOOL_ARCHIVE_DIR_MAX];
    uint32_t topics;
    bool is_avro;

    TH_TRY(check_line(cli, &is_avro, err));
    TH_TRY(topics_of(cli, &topics, err));
    TH_TRY(tool_settings(cli, &conf, conninfo, err));
    dir_of(cli, conf, is_avro, dir);
    TH_TRY(chosen_log_open(conf, conninfo, true, &log, err));
    if (is_avro)
        return write_avro(cli, log, dir, topics, err);
    TH_TRY(write_segments(cli, log, dir, topics, err));
    return cli_has(cli, "--verify") ? verify_dir(cli, dir, err) : TH_OK;
}

static const struct cli_option archive_options[] = {
    {"--to", "DIR",
     "a folder (default: the setting archive, or the installation's archive; avro: its avro)",
     false},
    {"--format", "segments|avro",
     "segments can be restored, byte for byte (default); avro: container files by date and event, "
     "for analysts",
     false},
    {"--codec", "deflate|null", "of Avro files (default: deflate)", false},
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
     "  telehub archive --topic send.events --topic dispatch.attempts\n"
     "  telehub archive --format avro --to /data/lake",
     archive_options, archive},
    {0},
};
