/* move_tool.c - `telehub log copy` and `telehub replay`: a log becomes another one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/eventlog/archive/archive_log.h"
#include "common/eventlog/copy.h"
#include "common/eventlog/replay.h"
#include "common/json_out.h"
#include "processors/main/chosen_log.h"
#include "processors/main/installation.h"
#include "processors/main/progress.h"
#include "processors/main/tools.h"

#define PARTITIONS_DATABASE 4
#define PARTITIONS_KAFKA    32

/* Told on standard error. */
static void show(void *arg, const struct log_progress *now)
{
    progress_show(arg, now->doing, now->done, now->size, (int64_t)now->records,
                  (int64_t)now->bytes);
}

/* --- log copy ----------------------------------------------------------------------------------
 */

/* Both logs, open. */
struct ends {
    struct th_conf *conf;
    char conninfo[TOOL_CONNINFO_MAX];
    struct th_log *source;
    struct th_log *target;
    int64_t slots;
};

static void ends_fini(struct ends *ends)
{
    if (ends->target)
        th_log_close(ends->target);
    if (ends->source)
        th_log_close(ends->source);
    th_conf_free(ends->conf);
}

static bool is_kafka(const char *location)
{
    return strncmp(location, "kafka:", strlen("kafka:")) == 0;
}

/* partitions: of one that there is not yet, unless the line says so. */
static enum th_code make_target(struct cli *cli, struct ends *ends, const char *location,
                                int preset, struct th_err *err)
{
    int64_t partitions;
    int64_t replication;

    TH_TRY(cli_int(cli, "--partitions", 1, 64, preset, &partitions, err));
    TH_TRY(cli_int(cli, "--replication", 1, 15, th_conf_int(ends->conf, "replication"),
                   &replication, err));
    TH_TRY(chosen_log_make_at(ends->conf, location, (int)partitions, (int)replication, err));
    return chosen_log_at(ends->conf, ends->conninfo, location, &ends->target, err);
}

static enum th_code ends_begin(struct cli *cli, struct ends *ends, struct th_err *err)
{
    TH_TRY(tool_settings(cli, &ends->conf, ends->conninfo, err));
    return cli_int(cli, "--slots", 1, LOG_SLOTS_MAX, th_conf_int(ends->conf, "slots"), &ends->slots,
                   err);
}

/* What was trimmed is read from the archive that the line names; of the installation's own log,
 * from the installation's. */
static enum th_code open_source(const struct cli *cli, struct ends *ends, struct th_err *err)
{
    const char *location = cli->words[0];
    const char *archive = cli_value(cli, "--archive");

    TH_TRY(chosen_log_at(ends->conf, ends->conninfo, location, &ends->source, err));
    if (archive)
        return chosen_log_join_with(archive, &ends->source, err);
    return strcmp(location, CHOSEN_LOG_THIS) == 0
               ? chosen_log_join(ends->conf, cli->dir, &ends->source, err)
               : TH_OK;
}

static enum th_code ends_open(struct cli *cli, struct ends *ends, struct th_err *err)
{
    const char *target = cli->words[1];

    TH_TRY(ends_begin(cli, ends, err));
    if (open_source(cli, ends, err) != TH_OK)
        return th_wrap(err, "the source");
    if (make_target(cli, ends, target, is_kafka(target) ? PARTITIONS_KAFKA : PARTITIONS_DATABASE,
                    err) != TH_OK)
        return th_wrap(err, "the target");
    return TH_OK;
}

static void print_sums(const struct log_copied *copied)
{
    printf("%-8s %12s %16s %12s %16s\n", "keys", "records", "source", "records", "copy");
    for (int range = 0; range < LOG_SUMS_RANGES; range++) {
        struct log_sum a = log_sums_range(&copied->source, range);
        struct log_sum b = log_sums_range(&copied->target, range);
        printf("%x…       %12" PRIu64 " %016" PRIx64 " %12" PRIu64 " %016" PRIx64 "\n", range,
               a.records, a.sum, b.records, b.sum);
    }
}

static void put_sums(struct th_json_out *out, const struct log_sums *sums, const char *name)
{
    char text[32];

    th_json_begin_array(out, name);
    for (int range = 0; range < LOG_SUMS_RANGES; range++) {
        struct log_sum sum = log_sums_range(sums, range);
        th_json_begin(out, NULL);
        th_json_put_int(out, "records", (int64_t)sum.records);
        snprintf(text, sizeof text, "%016" PRIx64, sum.sum);
        th_json_put_text(out, "sum", text);
        th_json_end(out);
    }
    th_json_end_array(out);
}

static enum th_code print_json(const struct ends *ends, const struct log_copied *copied)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    struct th_json_out out = {&text, false};

    th_json_begin(&out, NULL);
    th_json_put_text(&out, "source", th_log_id(ends->source));
    th_json_put_text(&out, "target", th_log_id(ends->target));
    th_json_put_int(&out, "records", (int64_t)copied->records);
    th_json_put_int(&out, "resumed", (int64_t)copied->resumed);
    th_json_put_int(&out, "bytes", (int64_t)copied->bytes);
    th_json_put_int(&out, "idempotency_keys", (int64_t)copied->answers);
    put_sums(&out, &copied->source, "source_sums");
    put_sums(&out, &copied->target, "target_sums");
    th_json_end(&out);
    TH_TRY(th_buf_status(&text));
    printf("%.*s\n", TH_ARG(th_buf_str(&text)));
    return TH_OK;
}

static void print_text(const struct ends *ends, const struct log_copied *copied, bool is_rehearsal)
{
    print_sums(copied);
    printf("log %s is a copy of %s: %" PRIu64 " records, %" PRIu64
           " idempotency keys, every sum equal\n",
           th_log_id(ends->target), th_log_id(ends->source), copied->records, copied->answers);
    if (is_rehearsal) {
        printf("This was a rehearsal: the copy stays shut, and the source goes on. Without "
               "--rehearse the copy is finished, with what has come since.\n");
        return;
    }
    printf("Set TELEHUB_LOG (or TELEHUB_DATABASE) to where it lies and TELEHUB_SLOTS=%" PRId64
           ", run telehub view rebuild, then telehub run. Nothing runs on the source any more: "
           "both would call the same people.\n",
           ends->slots);
}

static enum th_code copy_between(struct cli *cli, const struct ends *ends, struct th_err *err)
{
    struct progress progress;
    struct log_copied copied;
    const struct log_copy copy = {
        .source = ends->source,
        .target = ends->target,
        .cores = tool_cores,
        .slots = (int)ends->slots,
        .is_rehearsal = cli_has(cli, "--rehearse"),
        .watch = {show, &progress},
    };

    progress_begin(&progress, cli->is_json);
    enum th_code code = log_copy_run(&copy, &copied, err);
    progress_end(&progress);
    TH_TRY(code);
    if (cli->is_json)
        return print_json(ends, &copied);
    print_text(ends, &copied, copy.is_rehearsal);
    return TH_OK;
}

static enum th_code copy_locked(struct cli *cli, struct th_err *err)
{
    struct ends ends = {0};

    enum th_code code = ends_open(cli, &ends, err);
    if (code == TH_OK)
        code = copy_between(cli, &ends, err);
    ends_fini(&ends);
    return code;
}

static enum th_code log_copy(struct cli *cli, struct th_err *err)
{
    int lock;

    /* What runs here writes to one of the two. */
    TH_TRY(installation_lock(cli->dir, &lock, err));
    enum th_code code = copy_locked(cli, err);
    close(lock);
    return code;
}

/* --- replay ------------------------------------------------------------------------------------
 */

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static enum th_code open_played(struct cli *cli, struct ends *ends, struct th_err *err)
{
    const char *location = cli->words[0];

    if (strcmp(location, CHOSEN_LOG_THIS) != 0 && is_folder(location))
        return cli_value(cli, "--archive")
                   ? cli_usage(cli, err, "%s is an archive itself: leave out --archive", location)
                   : archive_log_open(location, &ends->source, err);
    return open_source(cli, ends, err);
}

/* "max", or how many times as fast as it was: "1x", "100x". */
static enum th_code speed_of(struct cli *cli, int *out_speed, struct th_err *err)
{
    const char *given = cli_value(cli, "--speed");
    char *end = NULL;

    *out_speed = 0;
    if (!given || strcmp(given, "max") == 0)
        return TH_OK;
    long speed = strtol(given, &end, 10);
    if (strcmp(end, "x") != 0 || speed < 1 || speed > REPLAY_SPEED_MAX)
        return cli_usage(cli, err, "--speed %s: say max, or how many times as fast: 1x, 100x",
                         given);
    *out_speed = (int)speed;
    return TH_OK;
}

static void print_replayed(const struct cli *cli, const struct ends *ends,
                           const struct log_replayed *replayed)
{
    if (cli->is_json)
        printf("{\"source\":\"%s\",\"target\":\"%s\",\"records\":%" PRIu64 ",\"resumed\":%" PRIu64
               ",\"left_out\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
               th_log_id(ends->source), th_log_id(ends->target), replayed->records,
               replayed->resumed, replayed->left_out, replayed->bytes);
    else
        printf("log %s was replayed from %s: %" PRIu64 " records, %" PRIu64 " were there before, "
               "%" PRIu64 " left out; telehub view rebuild makes its views\n",
               th_log_id(ends->target), th_log_id(ends->source), replayed->records,
               replayed->resumed, replayed->left_out);
}

static enum th_code replay_between(const struct cli *cli, const struct ends *ends,
                                   const struct log_replay *asked, struct th_err *err)
{
    struct progress progress;
    struct log_replayed replayed;
    const struct log_replay replay = {
        .source = ends->source,
        .target = ends->target,
        .slots = (int)ends->slots,
        .speed = asked->speed,
        .filter = asked->filter,
        .watch = {show, &progress},
    };

    progress_begin(&progress, cli->is_json);
    enum th_code code = log_replay_run(&replay, &replayed, err);
    progress_end(&progress);
    if (code == TH_OK)
        print_replayed(cli, ends, &replayed);
    return code;
}

static enum th_code replay_with(struct cli *cli, struct ends *ends, struct th_err *err)
{
    const char *filter = cli_value(cli, "--filter");
    struct log_replay replay = {0};

    TH_TRY(speed_of(cli, &replay.speed, err));
    if (filter && replay_filter_parse(filter, &replay.filter, err) != TH_OK)
        return cli_usage(cli, err, "%s", err->text);
    TH_TRY(ends_begin(cli, ends, err));
    if (open_played(cli, ends, err) != TH_OK)
        return th_wrap(err, "the source");
    if (make_target(cli, ends, cli_value(cli, "--to"),
                    th_log_partitions(ends->source, TOPIC_SEND_EVENTS), err) != TH_OK)
        return th_wrap(err, "the target");
    return replay_between(cli, ends, &replay, err);
}

static enum th_code replay(struct cli *cli, struct th_err *err)
{
    struct ends ends = {0};

    enum th_code code = replay_with(cli, &ends, err);
    ends_fini(&ends);
    return code;
}

static const struct cli_option replay_options[] = {
    {"--to", "NEW_LOG", "where to: kafka://HOST:PORT/PREFIX, or a database as libpq takes it",
     true},
    {"--speed", "max|Nx", "N times as fast as it was; max (the default): as fast as it goes",
     false},
    {"--filter", "LIST",
     "tenant=…,campaign=…,from=…,to=… (times as 2026-11-02T10:00:00Z); reference topics come whole",
     false},
    {"--archive", "DIR",
     "of the source: has what was dropped from it (default: the archive of this installation, when "
     "the source is its log)",
     false},
    {"--partitions", "N", "of the new log (default: as many as the source has)", false},
    {"--replication", "N", "likewise, on Kafka (default: the setting replication)", false},
    {"--slots", "N", "of each processor that wrote the source (default: the setting slots)", false},
    {NULL, NULL, NULL, false},
};

static const struct cli_option copy_options[] = {
    {"--archive", "DIR",
     "of the source: has what was dropped from it (default: the archive of this installation, when "
     "the source is its log)",
     false},
    {"--partitions", "N",
     "of a target that there is not yet (default: 4 in a database, 32 on Kafka)", false},
    {"--replication", "N", "likewise, on Kafka (default: the setting replication)", false},
    {"--slots", "N", "of each processor on the target (default: the setting slots)", false},
    {"--rehearse", NULL, "copy and compare, but leave the source in use and the copy shut", false},
    {NULL, NULL, NULL, false},
};

const struct cli_command tool_move_commands[] = {
    {"log copy", "SOURCE TARGET", 2, 2,
     "Copy a quiet log to another place, driver, or number of partitions; interrupted, it goes on "
     "when it is run again. SOURCE and TARGET: this, kafka://HOST:PORT/PREFIX, or a database as "
     "libpq takes it.",
     "  telehub log copy this kafka://10.0.0.1:9092,10.0.0.2:9092/th. --slots 8\n"
     "  telehub log copy kafka://10.0.0.1:9092/th. 'dbname=telehub_new' --archive /backup/telehub\n"
     "  telehub log copy this 'host=/run/postgresql dbname=telehub_new' --partitions 16",
     copy_options, log_copy},
    {"replay", "SOURCE", 1, 1,
     "Play a log or an archive into a new log, to be looked at: only materialize works on it, "
     "nobody is called; interrupted, it goes on when it is run again. SOURCE: this, "
     "kafka://HOST:PORT/PREFIX, a database as libpq takes it, or "
     "the folder of an archive.",
     "  telehub replay this --to 'host=/run/postgresql dbname=telehub_replayed'\n"
     "  telehub replay /var/lib/telehub/archive --to 'dbname=look' --speed 100x \\\n"
     "      --filter tenant=pratham,from=2026-11-01T00:00:00Z",
     replay_options, replay},
    {0},
};
