#include "processors/cli/top.h"

#include "common/clock.h"
#include "common/json_out.h"
#include "processors/cli/answer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARENA_MAX  ((size_t)16 * 1024 * 1024)
#define EVERY_S    2
#define EVERY_MAX  3600
#define CLEAR      "\033[H\033[J"
#define NUMBER_MAX 32

static const char *const processors[] = {"campaign", "retry", "dispatch"};

static const struct th_str nothing = {0};

/* --- figures ---------------------------------------------------------------------------------- */

/* Per second, of a counter. */
static double rate(const struct top *top, const char *name, const char *label, struct th_str value)
{
    double n =
        samples_sum(top->now, name, label, value) - samples_sum(top->before, name, label, value);

    return top->seconds > 0 && n > 0 ? n / top->seconds : 0;
}

static double gauge(const struct top *top, const char *name)
{
    return samples_sum(top->now, name, NULL, nothing);
}

/* Of a histogram between the two readings. */
static double mean(const struct top *top, const char *sum, const char *count, const char *processor)
{
    double n = rate(top, count, "processor", th_str(processor));

    return n > 0 ? rate(top, sum, "processor", th_str(processor)) / n : 0;
}

static double commit_quantile(const struct top *top, const char *processor, double share)
{
    return samples_quantile(top->before, top->now, "telehub_commit_seconds", "processor",
                            th_str(processor), share);
}

/* How many of a processor's slots this process runs, and how many of them work. */
static void count_slots(const struct top *top, const char *processor, int *out_open, int *out_all)
{
    *out_open = *out_all = 0;
    for (size_t i = 0; i < top->now->n; i++) {
        const struct sample *sample = &top->now->at[i];

        if (!th_str_eq(sample->name, TH_STR("telehub_slot_open")) ||
            !th_str_eq(sample_label(sample, "processor"), th_str(processor)))
            continue;
        ++*out_all;
        *out_open += sample->value > 0;
    }
}

static double requests(const struct top *top, const char *status)
{
    return rate(top, "telehub_http_requests_total", "status", th_str(status));
}

static const char *circuit_name(double circuit)
{
    static const char *const names[] = {"closed", "half open", "open", "disabled"};
    int i = (int)circuit;

    return i >= 0 && i < (int)TH_LEN(names) ? names[i] : "?";
}

/* --- the screen ------------------------------------------------------------------------------- */

/* "1,234", "0.3" */
static const char *put_number(char room[NUMBER_MAX], double n)
{
    char digits[NUMBER_MAX];
    size_t out = 0;

    if (n < 10 && n != (double)(int64_t)n) {
        snprintf(room, NUMBER_MAX, "%.1f", n);
        return room;
    }
    int length = snprintf(digits, 20, "%.0f", n);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            room[out++] = ',';
        room[out++] = digits[i];
    }
    room[out] = '\0';
    return room;
}

/* "< 5 ms": the bound of the bucket that it lies in. */
static const char *put_latency(char room[NUMBER_MAX], double seconds)
{
    if (seconds < 0)
        snprintf(room, NUMBER_MAX, "-");
    else if (isinf(seconds))
        snprintf(room, NUMBER_MAX, "long");
    else if (seconds < 1)
        snprintf(room, NUMBER_MAX, "< %g ms", seconds * 1000);
    else
        snprintf(room, NUMBER_MAX, "< %g s", seconds);
    return room;
}

static void draw_requests(const struct top *top, struct th_buf *out)
{
    char all[NUMBER_MAX], callbacks[NUMBER_MAX], refused[NUMBER_MAX], failed[NUMBER_MAX];
    char p50[NUMBER_MAX], p99[NUMBER_MAX];

    th_buf_printf(
        out,
        "requests   %s/s, of them callbacks %s/s, refused %s/s, failed %s/s; half %s, 99 %% %s\n",
        put_number(all, rate(top, "telehub_http_requests_total", NULL, nothing)),
        put_number(callbacks, rate(top, "telehub_http_requests_total", "route",
                                   TH_STR("/webhooks/{wire}/{token}"))),
        put_number(refused, requests(top, "4xx")), put_number(failed, requests(top, "5xx")),
        put_latency(p50, samples_quantile(top->before, top->now, "telehub_http_seconds", NULL,
                                          nothing, 0.5)),
        put_latency(p99, samples_quantile(top->before, top->now, "telehub_http_seconds", NULL,
                                          nothing, 0.99)));
}

static void draw_processor(const struct top *top, const char *name, struct th_buf *out)
{
    char inputs[NUMBER_MAX], commits[NUMBER_MAX], each[NUMBER_MAX], p50[NUMBER_MAX],
        p99[NUMBER_MAX], behind[NUMBER_MAX];
    int open;
    int all;

    count_slots(top, name, &open, &all);
    if (all == 0)
        return;
    th_buf_printf(
        out, "%-12s %2d/%-2d %10s %10s %11s %10s %10s %9s\n", name, open, all,
        put_number(inputs, rate(top, "telehub_inputs_total", "processor", th_str(name))),
        put_number(commits, rate(top, "telehub_commits_total", "processor", th_str(name))),
        put_number(each, mean(top, "telehub_batch_inputs_sum", "telehub_batch_inputs_count", name)),
        put_latency(p50, commit_quantile(top, name, 0.5)),
        put_latency(p99, commit_quantile(top, name, 0.99)),
        put_number(behind,
                   samples_sum(top->now, "telehub_lag_records", "processor", th_str(name))));
}

static void draw_views(const struct top *top, struct th_buf *out)
{
    char events[NUMBER_MAX], batches[NUMBER_MAX], each[NUMBER_MAX], behind[NUMBER_MAX];
    double n = rate(top, "telehub_view_batches_total", NULL, nothing);
    double all_events = rate(top, "telehub_view_events_total", NULL, nothing);
    int open;
    int all;

    count_slots(top, "materialize", &open, &all);
    if (all > 0)
        th_buf_printf(out, "%-12s %2d/%-2d %10s %10s %11s %10s %10s %9s\n", "materialize", open,
                      all, put_number(events, all_events), put_number(batches, n),
                      put_number(each, n > 0 ? all_events / n : 0), "", "",
                      put_number(behind, gauge(top, "telehub_view_lag_records")));
}

static void draw_lanes(const struct top *top, struct th_buf *out)
{
    for (size_t i = 0; i < top->now->n; i++) {
        const struct sample *sample = &top->now->at[i];
        struct th_str lane = sample_label(sample, "lane");
        char in_flight[NUMBER_MAX];

        if (!th_str_eq(sample->name, TH_STR("telehub_lane_circuit")))
            continue;
        put_number(in_flight, samples_sum(top->now, "telehub_dispatch_in_flight", "lane", lane));
        th_buf_printf(out, "lane %-4.*s %-20.*s %-20.*s circuit %-10s in flight %s\n", TH_ARG(lane),
                      TH_ARG(sample_label(sample, "account")),
                      TH_ARG(sample_label(sample, "tenant")), circuit_name(sample->value),
                      in_flight);
    }
}

static void draw_sums(const struct top *top, struct th_buf *out)
{
    char live[NUMBER_MAX], asks[NUMBER_MAX], queued[NUMBER_MAX], waiting[NUMBER_MAX];
    char flight[NUMBER_MAX], window[NUMBER_MAX], doubt[NUMBER_MAX], dead[NUMBER_MAX];

    th_buf_printf(out,
                  "sends      %s live, %s ask for a release, %s found their lane full, %s plans "
                  "wait\n",
                  put_number(live, gauge(top, "telehub_retry_live")),
                  put_number(asks, gauge(top, "telehub_campaign_asks")),
                  put_number(queued, gauge(top, "telehub_retry_queued")),
                  put_number(waiting, gauge(top, "telehub_dispatch_waiting")));
    th_buf_printf(out, "in flight  %s, of a window of %s%s\n",
                  put_number(flight, gauge(top, "telehub_dispatch_in_flight")),
                  put_number(window, gauge(top, "telehub_dispatch_window")),
                  gauge(top, "telehub_dispatch_held") > 0
                      ? "; starts wait: callbacks are unread, or prices not asked for"
                      : "");
    th_buf_printf(out, "in doubt   %s recipients;  dead letters %s%s\n",
                  put_number(doubt, gauge(top, "telehub_in_doubt")),
                  put_number(dead, gauge(top, "telehub_dead_letters_unsettled")),
                  gauge(top, "telehub_dead_letters_unsettled") > 0 ? ": see telehub dlq list" : "");
}

void top_draw(const struct top *top, struct th_buf *out)
{
    draw_requests(top, out);
    draw_sums(top, out);
    th_buf_printf(out, "\n%-12s %5s %10s %10s %11s %10s %10s %9s\n", "processor", "slots",
                  "inputs/s", "commits/s", "inputs each", "half in", "99 % in", "behind");
    for (size_t i = 0; i < TH_LEN(processors); i++)
        draw_processor(top, processors[i], out);
    draw_views(top, out);
    th_buf_add_char(out, '\n');
    draw_lanes(top, out);
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* With one digit behind the point, as a latency needs. */
static void put_real(struct th_json_out *out, const char *key, double n)
{
    char room[NUMBER_MAX];
    int length = snprintf(room, sizeof room, "%.1f", n);

    th_json_put_raw(out, key, (struct th_str){room, (size_t)length});
}

static void put_processor(const struct top *top, struct th_json_out *out, const char *name)
{
    double p99 = commit_quantile(top, name, 0.99);
    int open;
    int all;

    count_slots(top, name, &open, &all);
    th_json_begin(out, name);
    th_json_put_int(out, "slots", all);
    th_json_put_int(out, "open", open);
    put_real(out, "inputs_per_s", rate(top, "telehub_inputs_total", "processor", th_str(name)));
    put_real(out, "commits_per_s", rate(top, "telehub_commits_total", "processor", th_str(name)));
    if (p99 >= 0 && !isinf(p99))
        put_real(out, "commit_p99_ms", p99 * 1000);
    th_json_put_int(
        out, "behind",
        (int64_t)samples_sum(top->now, "telehub_lag_records", "processor", th_str(name)));
    th_json_end(out);
}

void top_json(const struct top *top, struct th_buf *out)
{
    static const struct {
        const char *key;
        const char *metric;
    } sums[] = {
        {"live", "telehub_retry_live"},
        {"asking", "telehub_campaign_asks"},
        {"waiting", "telehub_dispatch_waiting"},
        {"in_flight", "telehub_dispatch_in_flight"},
        {"window", "telehub_dispatch_window"},
        {"held", "telehub_dispatch_held"},
        {"in_doubt", "telehub_in_doubt"},
        {"dead_letters", "telehub_dead_letters_unsettled"},
        {"views_behind", "telehub_view_lag_records"},
    };
    struct th_json_out json = {out, false};

    th_json_begin(&json, NULL);
    put_real(&json, "requests_per_s", rate(top, "telehub_http_requests_total", NULL, nothing));
    put_real(&json, "view_events_per_s", rate(top, "telehub_view_events_total", NULL, nothing));
    for (size_t i = 0; i < TH_LEN(sums); i++)
        th_json_put_int(&json, sums[i].key, (int64_t)gauge(top, sums[i].metric));
    for (size_t i = 0; i < TH_LEN(processors); i++)
        put_processor(top, &json, processors[i]);
    th_json_end(&json);
}

/* --- the command ------------------------------------------------------------------------------ */

struct reading {
    struct client_reply reply;
    struct th_arena arena;
    struct samples samples;
    int64_t at_us;
};

static void reading_auto(struct reading *reading)
{
    client_reply_auto(&reading->reply);
    th_arena_fini(&reading->arena);
}

static enum th_code take_reading(struct client *client, struct reading *out, struct th_err *err)
{
    th_arena_reset(&out->arena);
    TH_TRY(client_ask(
        client,
        &(struct client_ask){
            .method = "GET", .path = "/metrics", .as = CLIENT_OPERATOR, .accept = "text/plain"},
        &out->reply, err));
    out->at_us = th_clock_monotonic_us(&th_clock_real);
    if (samples_read(th_buf_str(&out->reply.body), &out->arena, &out->samples) != TH_OK)
        return th_fail(err, TH_NOMEM, "figures");
    return TH_OK;
}

static void print_head(const struct client *client, int64_t every_s)
{
    time_t now = time(NULL);
    struct tm local;
    char when[16] = "";

    if (localtime_r(&now, &local))
        (void)strftime(when, sizeof when, "%H:%M:%S", &local);
    printf(CLEAR "TeleHub at %s   %s   every %lld s, Ctrl-C ends\n\n", client_url(client), when,
           (long long)every_s);
}

static enum th_code show(const struct cli *cli, const struct top *top)
{
    TH_AUTO(th_buf) struct th_buf text = {0};

    if (cli->is_json) {
        top_json(top, &text);
        th_buf_add_char(&text, '\n');
    } else {
        top_draw(top, &text);
    }
    TH_TRY(th_buf_status(&text));
    (void)fwrite(text.p, 1, text.n, stdout);
    (void)fflush(stdout);
    return TH_OK;
}

/* On a terminal a screen that is drawn anew; elsewhere, or when asked, once. */
static enum th_code top_run(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(reading) struct reading one = {0};
    TH_AUTO(reading) struct reading other = {0};
    struct reading *before = &one;
    struct reading *now = &other;
    bool is_live = isatty(STDOUT_FILENO) && !cli->is_json && !cli_has(cli, "--once");
    int64_t every_s;

    TH_TRY(cli_int(cli, "--every", 1, EVERY_MAX, is_live ? EVERY_S : 1, &every_s, err));
    TH_TRY(client_open(cli, &client, err));
    th_arena_init(&before->arena, ARENA_MAX);
    th_arena_init(&now->arena, ARENA_MAX);
    TH_TRY(take_reading(client, before, err));
    for (;;) {
        nanosleep(&(struct timespec){.tv_sec = every_s}, NULL);
        TH_TRY(take_reading(client, now, err));
        struct top top = {&before->samples, &now->samples,
                          (double)(now->at_us - before->at_us) / 1e6};
        if (is_live)
            print_head(client, every_s);
        if (show(cli, &top) != TH_OK)
            return th_fail(err, TH_NOMEM, "figures");
        if (!is_live)
            return TH_OK;
        struct reading *used = before;
        before = now;
        now = used;
    }
}

static const struct cli_option top_options[] = {
    {"--every", "SECONDS", "between two looks (default: 2; of --once: 1)", false},
    {"--once", NULL, "print once and end, as where nobody watches a terminal", false},
    {NULL, NULL, NULL, false},
};

const struct cli_command cli_top_commands[] = {
    {"top", "", 0, 0,
     "What the installation does now: requests, processors, lanes, what waits and what is in "
     "doubt.",
     "  telehub top\n  telehub top --once --every 10\n  telehub top --json", top_options, top_run},
    {0},
};
