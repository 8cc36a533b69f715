#include "common/json_out.h"
#include "connectors/postgres/view_store.h"
#include "processors/main/settings.h"
#include "processors/main/tools.h"
#include "processors/materialize/fold.h"
#include "processors/materialize/rebuild.h"

#include <stdio.h>

#define ARENA_BYTES ((size_t)64 * 1024 * 1024)

/* The log and the generations of its views, open. */
struct bench {
    struct th_log *log;
    struct view_generations *gens;
    char conninfo[TOOL_CONNINFO_MAX];
};

static void bench_fini(struct bench *bench)
{
    if (bench->gens)
        pg_view_generations_close(bench->gens);
    if (bench->log)
        th_log_close(bench->log);
}

static enum th_code bench_open(struct cli *cli, struct bench *bench, struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;

    TH_TRY(tool_settings(cli, &conf, bench->conninfo, err));
    TH_TRY(tool_log(cli, &bench->log, err));
    if (th_log_mark(bench->log) == LOG_MARK_COPYING)
        return th_log_check_mark(bench->log, err);
    return pg_view_generations_open(bench->conninfo, &bench->gens, err);
}

/* --- by which rules --------------------------------------------------------------------------- */

static enum th_code current_rules(struct view_generations *gens, int *out, struct th_err *err)
{
    int gen;

    TH_TRY(gens->ops->current(gens, &gen, err));
    return gens->ops->fold_version(gens, gen, out, err);
}

enum th_code tool_view_rules(const char *conninfo, char out_sentence[TOOL_RULES_SENTENCE_MAX],
                             struct th_err *err)
{
    struct view_generations *gens = NULL;
    int version = 0;

    out_sentence[0] = '\0';
    TH_TRY(pg_view_generations_open(conninfo, &gens, err));
    enum th_code code = current_rules(gens, &version, err);
    pg_view_generations_close(gens);
    TH_TRY(code);
    if (version < FOLD_VERSION)
        (void)snprintf(out_sentence, TOOL_RULES_SENTENCE_MAX,
                       "the views were filled by older rules (%d, and these are %d), so rows from "
                       "before are not what they would be now: telehub view rebuild",
                       version, FOLD_VERSION);
    else if (version > FOLD_VERSION)
        (void)snprintf(out_sentence, TOOL_RULES_SENTENCE_MAX,
                       "the views were filled by a newer program (rules %d, and these are %d): run "
                       "that one, or telehub view rebuild",
                       version, FOLD_VERSION);
    return TH_OK;
}

/* --- rebuild ---------------------------------------------------------------------------------- */

static enum th_code rebuild(struct cli *cli, struct th_err *err)
{
    struct bench bench = {NULL, NULL, ""};
    uint64_t events = 0;
    int gen = 0;
    enum th_code code = bench_open(cli, &bench, err);

    if (code == TH_OK)
        code = view_rebuild(bench.log, bench.gens, &gen, &events, err);
    bench_fini(&bench);
    TH_TRY(code);
    if (cli->is_json)
        printf("{\"generation\":%d,\"events\":%llu}\n", gen, (unsigned long long)events);
    else
        printf("generation %d, made of %llu events, is in place\n", gen,
               (unsigned long long)events);
    return TH_OK;
}

/* --- verify ----------------------------------------------------------------------------------- */

static void print_report(const struct view_report *report)
{
    for (size_t t = 0; t < VIEW_TABLE_COUNT; t++) {
        const struct view_comparison *table = &report->tables[t];

        printf("%-7s %-24s %10lld rows here, %10lld rebuilt\n",
               table->is_equal ? "equal" : "DIFFERS", table->table, (long long)table->rows_a,
               (long long)table->rows_b);
    }
    for (size_t i = 0; i < report->differences_n; i++) {
        const struct view_difference *d = &report->differences[i];

        printf("        %s %.*s %s %.*s\n", d->table, TH_ARG(d->key), d->how, TH_ARG(d->columns));
    }
    printf("%llu events were folded anew\n", (unsigned long long)report->events);
}

static void put_tables(struct th_json_out *out, const struct view_report *report)
{
    th_json_begin_array(out, "tables");
    for (size_t t = 0; t < VIEW_TABLE_COUNT; t++) {
        th_json_begin(out, NULL);
        th_json_put_text(out, "table", report->tables[t].table);
        th_json_put_int(out, "rows", report->tables[t].rows_a);
        th_json_put_int(out, "rows_rebuilt", report->tables[t].rows_b);
        th_json_put_bool(out, "equal", report->tables[t].is_equal);
        th_json_end(out);
    }
    th_json_end_array(out);
}

static void put_differences(struct th_json_out *out, const struct view_report *report)
{
    th_json_begin_array(out, "differences");
    for (size_t i = 0; i < report->differences_n; i++) {
        th_json_begin(out, NULL);
        th_json_put_text(out, "table", report->differences[i].table);
        th_json_put_str(out, "key", report->differences[i].key);
        th_json_put_text(out, "how", report->differences[i].how);
        th_json_put_str(out, "columns", report->differences[i].columns);
        th_json_end(out);
    }
    th_json_end_array(out);
}

static enum th_code print_json(const struct view_report *report)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    struct th_json_out out = {&text, false};

    th_json_begin(&out, NULL);
    th_json_put_bool(&out, "equal", report->is_equal);
    th_json_put_int(&out, "events", (int64_t)report->events);
    put_tables(&out, report);
    put_differences(&out, report);
    th_json_end(&out);
    TH_TRY(th_buf_status(&text));
    printf("%.*s\n", TH_ARG(th_buf_str(&text)));
    return TH_OK;
}

static enum th_code verify_with(struct cli *cli, struct bench *bench, struct th_arena *arena,
                                struct th_err *err)
{
    struct view_report report = {0};

    TH_TRY(bench_open(cli, bench, err));
    TH_TRY(view_verify(bench->log, bench->gens, arena, &report, err));
    if (cli->is_json)
        TH_TRY(print_json(&report));
    else
        print_report(&report);
    return report.is_equal
               ? TH_OK
               : th_fail(err, TH_CORRUPT,
                         "the views differ from the log: telehub view rebuild makes them anew");
}

static enum th_code verify(struct cli *cli, struct th_err *err)
{
    struct bench bench = {NULL, NULL, ""};
    struct th_arena arena;

    th_arena_init(&arena, ARENA_BYTES);
    enum th_code code = verify_with(cli, &bench, &arena, err);
    bench_fini(&bench);
    th_arena_fini(&arena);
    return code;
}

const struct cli_command tool_view_commands[] = {
    {"view rebuild", "", 0, 0, "Make the views anew from the log, and put them in place.",
     "  telehub view rebuild", NULL, rebuild},
    {"view verify", "", 0, 0,
     "Make the views a second time, compare every row and column, and throw the copy away.",
     "  telehub view verify\n  telehub view verify --json", NULL, verify},
    {0},
};
