#include "common/clock.h"
#include "common/eventlog/archive/archive_examine.h"
#include "common/json_out.h"
#include "connectors/kafka/kafka_examine.h"
#include "connectors/postgres/migrate.h"
#include "processors/main/chosen_log.h"
#include "processors/main/installation.h"
#include "processors/main/settings.h"
#include "processors/main/tools.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define DISK_WARN_PERCENT 85
#define DISK_BAD_PERCENT  90
#define FILES_MIN         8192
#define CLOCK_SKEW_MAX_US TH_US_PER_SEC
#define MEMORY_MIN_KB     (512LL * 1024)
#define BACKLOG_MIN       1024
#define ZONE_FILE         "/usr/share/zoneinfo/Asia/Kolkata"

struct report {
    const struct cli *cli;
    struct th_buf json;
    int bad;
    int n;
};

static void say(struct report *report, enum finding finding, const char *name, const char *fmt, ...)
    TH_PRINTF(4, 5);

static void say(struct report *report, enum finding finding, const char *name, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warning", "bad"};
    struct th_json_out out = {&report->json, report->n > 0};
    char text[TH_ERR_TEXT_MAX + 256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    report->n++;
    if (finding == FINDING_BAD)
        report->bad++;
    th_json_begin(&out, NULL);
    th_json_put_text(&out, "check", name);
    th_json_put_text(&out, "finding", words[finding]);
    th_json_put_text(&out, "sentence", text);
    th_json_end(&out);
    if (!report->cli->is_json)
        printf("%-8s %-22s %s\n", words[finding], name, text);
}

/* --- the machine ------------------------------------------------------------------------------ */

static void check_disk(struct report *report)
{
    struct statvfs fs;

    if (statvfs(report->cli->dir, &fs) != 0) {
        say(report, FINDING_BAD, "disk", "%s: %s", report->cli->dir, strerror(errno));
        return;
    }
    int used = fs.f_blocks == 0 ? 0 : (int)(100 - fs.f_bavail * 100 / fs.f_blocks);
    long long free_mb = (long long)(fs.f_bavail * fs.f_frsize / UINT64_C(1048576));
    say(report,
        used > DISK_BAD_PERCENT    ? FINDING_BAD
        : used > DISK_WARN_PERCENT ? FINDING_RISKY
                                   : FINDING_FINE,
        "disk", "%d %% used, %lld MB free where %s lies%s", used, free_mb, report->cli->dir,
        used > DISK_WARN_PERCENT ? ": make room, nothing is sent once the log cannot be written"
                                 : "");
}

static void check_clock(struct report *report)
{
    struct timex state = {0};
    int status = adjtimex(&state);
    bool is_synced = status >= 0 && status != TIME_ERROR && !(state.status & STA_UNSYNC);

    say(report, is_synced ? FINDING_FINE : FINDING_RISKY, "clock",
        is_synced ? "the kernel says that the clock is synchronised"
                  : "nobody synchronises the clock: install systemd-timesyncd or chrony, since "
                    "windows and prices go by it");
}

static void check_limits(struct report *report)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        say(report, FINDING_BAD, "open files", "%s", strerror(errno));
        return;
    }
    say(report, files.rlim_max >= FILES_MIN ? FINDING_FINE : FINDING_RISKY, "open files",
        "at most %llu%s", (unsigned long long)files.rlim_max,
        files.rlim_max >= FILES_MIN ? "" : ": raise the hard limit (ulimit -Hn) to 8192");
}

/* The first number that follows label in a file of /proc; without a label, the first of all. */
static bool read_proc(const char *path, const char *label, long long *out)
{
    FILE *file = fopen(path, "re");
    char line[128];
    bool is_found = false;

    if (!file)
        return false;
    while (!is_found && fgets(line, sizeof line, file))
        is_found = strncmp(line, label, strlen(label)) == 0 &&
                   sscanf(line + strlen(label), "%lld", out) == 1;
    (void)fclose(file);
    return is_found;
}

static void check_memory(struct report *report)
{
    long long kb;

    if (!read_proc("/proc/meminfo", "MemAvailable:", &kb))
        return; /* that /proc is missing is said elsewhere */
    say(report, kb >= MEMORY_MIN_KB ? FINDING_FINE : FINDING_RISKY, "memory", "%lld MB available%s",
        kb / 1024,
        kb >= MEMORY_MIN_KB ? ""
                            : ": telehub and its Postgres want 512 MB, or one of them is killed");
}

static void check_backlog(struct report *report)
{
    long long most;

    if (!read_proc("/proc/sys/net/core/somaxconn", "", &most))
        return;
    say(report, most >= BACKLOG_MIN ? FINDING_FINE : FINDING_RISKY, "connections",
        "%lld may wait to be accepted%s", most,
        most >= BACKLOG_MIN ? ""
                            : ": set net.core.somaxconn to 4096, or bursts of callbacks are "
                              "refused and come late");
}

static void check_zones(struct report *report)
{
    bool is_there = access(ZONE_FILE, R_OK) == 0;

    say(report, is_there ? FINDING_FINE : FINDING_BAD, "time zones",
        is_there ? "are installed"
                 : ZONE_FILE " is not there: install tzdata, or no recipient's hours are known");
}

/* Whoever reads the secrets can call in our name. */
static void check_secrets(struct report *report)
{
    char path[PATH_MAX];
    struct stat info;

    (void)snprintf(path, sizeof path, "%s/secrets", report->cli->dir);
    if (stat(path, &info) != 0)
        return; /* made by the first telehub run */
    bool is_ours = (info.st_mode & 077) == 0;
    say(report, is_ours ? FINDING_FINE : FINDING_BAD, "secrets",
        is_ours ? "%s is its owner's alone" : "%s can be read by others: chmod 0700", path);
}

static void check_proc(struct report *report)
{
    bool is_there = access("/proc/self/stat", R_OK) == 0 &&
                    access("/proc/sys/kernel/random/boot_id", R_OK) == 0;

    say(report, is_there ? FINDING_FINE : FINDING_BAD, "/proc",
        is_there ? "is mounted: send journals can be believed"
                 : "is not mounted: mount it, dispatch does not start without it");
}

static void check_process(struct report *report)
{
    struct th_err err = {0};
    int fd;

    if (installation_lock(report->cli->dir, &fd, &err) == TH_OK) {
        close(fd);
        say(report, FINDING_RISKY, "telehub run", "does not run in %s: ./deploy/up starts it",
            report->cli->dir);
    } else if (err.code == TH_CONFLICT) {
        say(report, FINDING_FINE, "telehub run", "runs in %s", report->cli->dir);
    } else {
        say(report, FINDING_BAD, "telehub run", "%s", err.text);
    }
}

/* --- the database ------------------------------------------------------------------------------
 */

static const struct pg_statement setting_sql = {
    "SELECT pg_catalog.current_setting($1::text, true)"};
static const struct pg_statement clock_sql = {
    "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::int8"};

static bool get_setting(struct pg *pg, const char *name, char *out, size_t size)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct th_err err = {0};

    out[0] = '\0';
    pg_add_bytes(&params, th_str(name));
    if (pg_execute(pg, &setting_sql, &params, &result, &err) != TH_OK || PQntuples(result) != 1 ||
        PQgetisnull(result, 0, 0))
        return false;
    snprintf(out, size, "%.*s", PQgetlength(result, 0, 0), PQgetvalue(result, 0, 0));
    return true;
}

/* What the log's promises rest on, and what to do about each. */
static const struct {
    const char *name;
    const char *wanted; /* NULL: anything but unwanted */
    const char *unwanted;
    enum finding finding;
    const char *else_what;
} settings[] = {
    {"fsync", "on", NULL, FINDING_BAD, "an answered write may be lost: turn it on"},
    {"full_page_writes", "on", NULL, FINDING_BAD, "a torn page destroys data: turn it on"},
    {"synchronous_commit", NULL, "off", FINDING_BAD,
     "a call may be made for an event that then vanishes: set it to on"},
    {"data_checksums", "on", NULL, FINDING_RISKY,
     "damage on disk is not found: make the cluster with initdb --data-checksums"},
    {"wal_compression", NULL, "off", FINDING_RISKY, "the log writes more than it must: set lz4"},
    {"autovacuum", "on", NULL, FINDING_BAD,
     "tables grow and slow down until the database stops: turn it on"},
    {"jit", "off", NULL, FINDING_RISKY, "compiling costs more than the short statements here"},
    {"server_encoding", "UTF8", NULL, FINDING_BAD, "make the database with encoding UTF8"},
};

/* Numbers that must not be lower; as the setting is written. */
static const struct {
    const char *name;
    int64_t least;
    bool is_size;
    const char *least_text;
    const char *else_what;
} least[] = {
    {"max_connections", 40, false, "40", "slots, readers and questions need one each"},
    {"shared_buffers", INT64_C(64) << 20, true, "64MB", "what is read again is read from disk"},
    {"max_wal_size", INT64_C(1) << 30, true, "1GB", "checkpoints come too often under load"},
};

static const struct pg_statement size_sql = {
    "SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting($1::text))"};

static bool get_size(struct pg *pg, const char *name, int64_t *out)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct th_err err = {0};

    pg_add_bytes(&params, th_str(name));
    if (pg_execute(pg, &size_sql, &params, &result, &err) != TH_OK || PQntuples(result) != 1)
        return false;
    struct pg_row row = pg_row(result, 0);
    *out = pg_next_int8(&row);
    return true;
}

static void check_least(struct report *report, struct pg *pg)
{
    char value[128];
    int64_t n;

    for (size_t i = 0; i < TH_LEN(least); i++) {
        bool is_known = get_setting(pg, least[i].name, value, sizeof value) &&
                        (least[i].is_size ? get_size(pg, least[i].name, &n)
                                          : th_str_int(th_str(value), 0, INT32_MAX, &n));
        bool is_fine = is_known && n >= least[i].least;

        say(report, is_fine ? FINDING_FINE : FINDING_RISKY, least[i].name, "is %s%s%s%s%s",
            is_known ? value : "not known", is_fine ? "" : ": ", is_fine ? "" : least[i].else_what,
            is_fine ? "" : "; set at least ", is_fine ? "" : least[i].least_text);
    }
}

static void check_settings(struct report *report, struct pg *pg)
{
    char value[128];

    for (size_t i = 0; i < TH_LEN(settings); i++) {
        bool is_fine = get_setting(pg, settings[i].name, value, sizeof value) &&
                       (settings[i].wanted ? strcmp(value, settings[i].wanted) == 0
                                           : strcmp(value, settings[i].unwanted) != 0);

        say(report, is_fine ? FINDING_FINE : settings[i].finding, settings[i].name, "is %s%s%s",
            value[0] ? value : "not known", is_fine ? "" : ": ",
            is_fine ? "" : settings[i].else_what);
    }
}

static void check_database_clock(struct report *report, struct pg *pg)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct th_err err = {0};

    if (pg_execute(pg, &clock_sql, NULL, &result, &err) != TH_OK) {
        say(report, FINDING_BAD, "database clock", "%s", err.text);
        return;
    }
    struct pg_row row = pg_row(result, 0);
    int64_t off_us = pg_next_int8(&row) - th_clock_realtime_us(&th_clock_real);
    bool is_fine = off_us > -CLOCK_SKEW_MAX_US && off_us < CLOCK_SKEW_MAX_US;
    say(report, is_fine ? FINDING_FINE : FINDING_RISKY, "database clock",
        "differs by %lld ms from this machine's%s", (long long)(off_us / 1000),
        is_fine ? "" : ": synchronise both");
}

static void check_schema(struct report *report, struct pg *pg)
{
    struct th_err err = {0};

    if (pg_migrate_check(pg, sql_migrations, &err) == TH_OK)
        say(report, FINDING_FINE, "schema", "the database has exactly this binary's migrations");
    else
        say(report, FINDING_BAD, "schema", "%s", err.text);
}

/* Of whoever looks for us. */
static void pass_on(void *arg, enum finding finding, const char *check, const char *sentence)
{
    say(arg, finding, check, "%s", sentence);
}

static void check_kafka(struct report *report)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    char conninfo[TOOL_CONNINFO_MAX];
    TH_AUTO(chosen_kafka) struct chosen_kafka kafka = {0};
    struct th_err err = {0};
    bool is_kafka = false;

    enum th_code code = tool_settings(report->cli, &conf, conninfo, &err);
    if (code == TH_OK)
        code = chosen_log_kafka(conf, &is_kafka, &kafka, &err);
    if (code == TH_OK && is_kafka) {
        kafka_security_examine(&kafka.security, kafka.config.brokers, pass_on, report);
        code = kafka_log_examine(&kafka.config, pass_on, report, &err);
    }
    if (code != TH_OK)
        say(report, FINDING_BAD, "kafka", "%s", err.text);
}

static void check_log(struct report *report)
{
    TH_AUTO(th_log) struct th_log *log = NULL;
    struct th_err err = {0};

    if (tool_log(report->cli, &log, &err) != TH_OK)
        say(report, FINDING_BAD, "log", "%s", err.text);
    else if (th_log_mark(log) == LOG_MARK_COPYING)
        say(report, FINDING_BAD, "log", "%s is half a copy of %s: telehub log copy goes on with it",
            th_log_id(log), th_log_origin(log));
    else if (th_log_mark(log) == LOG_MARK_MOVED)
        say(report, FINDING_BAD, "log", "%s was copied to %s: set TELEHUB_LOG or TELEHUB_DATABASE",
            th_log_id(log), th_log_origin(log));
    else if (th_log_mark(log) == LOG_MARK_REPLAYED)
        say(report, FINDING_RISKY, "log", "%s was replayed from %s: to be looked at only",
            th_log_id(log), th_log_origin(log));
    else
        say(report, FINDING_FINE, "log", "%s, %d partitions", th_log_id(log),
            th_log_partitions(log, TOPIC_SEND_EVENTS));
}

static void check_archive(struct report *report)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    TH_AUTO(th_log) struct th_log *log = NULL;
    char conninfo[TOOL_CONNINFO_MAX];
    char dir[TOOL_ARCHIVE_DIR_MAX];
    struct th_err err = {0};

    if (tool_settings(report->cli, &conf, conninfo, &err) != TH_OK ||
        chosen_log_open(conf, conninfo, true, &log, &err) != TH_OK)
        return; /* said of the log */
    settings_archive(conf, report->cli->dir, dir, sizeof dir);
    const struct archive_examined examined = {
        .dir = dir,
        .log = log,
        .is_expected = th_conf_str(conf, "log_retention")[0] != '\0',
        .now_us = th_clock_realtime_us(&th_clock_real),
    };
    archive_examine(&examined, pass_on, report);
}

static void check_views(struct report *report, const char *conninfo)
{
    char sentence[TOOL_RULES_SENTENCE_MAX];
    struct th_err err = {0};

    if (tool_view_rules(conninfo, sentence, &err) != TH_OK)
        say(report, FINDING_BAD, "views", "%s", err.text);
    else if (sentence[0])
        say(report, FINDING_RISKY, "views", "%s", sentence);
    else
        say(report, FINDING_FINE, "views", "were filled by this program's rules");
}

static void check_database(struct report *report, const char *conninfo)
{
    struct pg_config config = {.conninfo = conninfo, .application_name = "telehub doctor"};
    TH_AUTO(pg) struct pg *pg = NULL;
    struct th_err err = {0};

    if (pg_open(&config, &pg, &err) != TH_OK) {
        say(report, FINDING_BAD, "database", "%s: ./deploy/up starts the private one", err.text);
        return;
    }
    say(report, FINDING_FINE, "database", "answers");
    check_settings(report, pg);
    check_least(report, pg);
    check_database_clock(report, pg);
    check_schema(report, pg);
    check_log(report);
    check_kafka(report);
    check_archive(report);
    check_views(report, conninfo);
}

/* ------------------------------------------------------------------------------------------------
 */

static enum th_code doctor(struct cli *cli, struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    struct report report = {.cli = cli};
    char conninfo[TOOL_CONNINFO_MAX];
    struct th_err why = {0};

    check_disk(&report);
    check_clock(&report);
    check_limits(&report);
    check_memory(&report);
    check_backlog(&report);
    check_proc(&report);
    check_zones(&report);
    check_secrets(&report);
    check_process(&report);
    if (tool_settings(cli, &conf, conninfo, &why) == TH_OK) {
        say(&report, FINDING_FINE, "settings", "are understood");
        check_database(&report, conninfo);
    } else {
        say(&report, FINDING_BAD, "settings", "%s", why.text);
    }
    if (cli->is_json)
        printf("{\"ok\":%s,\"checks\":[%.*s]}\n", report.bad ? "false" : "true",
               TH_ARG(th_buf_str(&report.json)));
    th_buf_fini(&report.json);
    return report.bad ? th_fail(err, TH_CONFLICT, "%d checks found what must be mended", report.bad)
                      : TH_OK;
}

const struct cli_command tool_doctor_commands[] = {
    {"doctor", "", 0, 0, "Look at everything that the promises rest on, and say what to do.",
     "  telehub doctor\n  telehub doctor --json", NULL, doctor},
    {0},
};
