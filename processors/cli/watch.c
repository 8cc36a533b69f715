#include "processors/cli/watch.h"

#include "common/clock.h"
#include "processors/cli/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH     30
#define BAR_BYTES     (3 * BAR_WIDTH + 1) /* a block takes 3 in UTF-8 */
#define SETTLE_US     (5 * TH_US_PER_SEC)
#define POLL_NS       250000000L
#define LINE_EVERY_US (2 * TH_US_PER_SEC) /* where nobody watches a terminal */

struct watch {
    bool is_tty;
    bool has_color;
    int64_t begun_us;
    int64_t begun_done; /* what was done when we began to look */
    int64_t line_us;    /* of the last line that was not drawn over */
    int64_t ended_us;   /* when we saw that it had; 0: it has not */
};

static void put_duration(char out[32], int64_t s)
{
    if (s < 60)
        snprintf(out, 32, "%lld s", (long long)s);
    else if (s < 3600)
        snprintf(out, 32, "%lld:%02lld min", (long long)(s / 60), (long long)(s % 60));
    else
        snprintf(out, 32, "%lld:%02lld h", (long long)(s / 3600), (long long)(s / 60 % 60));
}

/* What was done per second since we look; the gateway's rate is of a whole minute. */
static double rate_of(const struct watch *watch, struct th_json p, int64_t now_us)
{
    int64_t us = now_us - watch->begun_us;

    return us < TH_US_PER_SEC / 2
               ? 0
               : (double)(answer_int(p, "done") - watch->begun_done) * 1e6 / (double)us;
}

static void put_bar(char out[BAR_BYTES], size_t full)
{
    size_t n = 0;

    for (size_t i = 0; i < BAR_WIDTH; i++)
        n += (size_t)snprintf(out + n, BAR_BYTES - n, "%s", i < full ? "█" : "░");
}

static void draw(struct watch *watch, struct th_json p, bool is_end)
{
    int64_t now_us = th_clock_monotonic_us(&th_clock_real);
    int64_t all = answer_int(p, "audience");
    int64_t done = answer_int(p, "done");
    double rate = rate_of(watch, p, now_us);
    char bar[BAR_BYTES];
    char eta[32] = "-";

    if (!watch->is_tty && !is_end && now_us - watch->line_us < LINE_EVERY_US)
        return;
    watch->line_us = now_us;
    put_bar(bar, all > 0 ? (size_t)(done * BAR_WIDTH / all) : 0);
    if (rate > 0)
        put_duration(eta, (int64_t)((double)(all - done) / rate));
    fprintf(stderr,
            "%s%s %3lld %%  %lld of %lld  %.0f/s  ETA %s  reached %lld, unreached %lld, suppressed "
            "%lld, in doubt %lld  %.*s%s",
            watch->is_tty ? "\r\033[K" : "", bar, (long long)(all > 0 ? done * 100 / all : 0),
            (long long)done, (long long)all, rate, eta, (long long)answer_int(p, "reached"),
            (long long)answer_int(p, "unreached"), (long long)answer_int(p, "suppressed"),
            (long long)answer_int(p, "in_doubt"), TH_ARG(answer_str(p, "status")),
            watch->is_tty && !is_end ? "" : "\n");
}

static bool has_ended(struct th_json p)
{
    struct th_str status = answer_str(p, "status");

    return th_str_eq(status, TH_STR("completed")) || th_str_eq(status, TH_STR("cancelled"));
}

/* The views of sends may be a little behind that of the campaign: what it says last is what counts,
 * and reports that are still to come are not waited for. */
static bool is_over(struct watch *watch, struct th_json p)
{
    int64_t now_us = th_clock_monotonic_us(&th_clock_real);

    if (!has_ended(p))
        watch->ended_us = 0;
    else if (!watch->ended_us)
        watch->ended_us = now_us;
    return watch->ended_us &&
           (answer_int(p, "unsent") == 0 || now_us - watch->ended_us > SETTLE_US);
}

enum th_code watch_campaign(struct cli *cli, struct client *client, const char *path,
                            struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    const struct timespec pause = {.tv_nsec = POLL_NS};
    struct watch watch = {
        .is_tty = isatty(STDERR_FILENO),
        .begun_us = th_clock_monotonic_us(&th_clock_real),
        .begun_done = -1,
    };
    bool is_end = false;

    for (;;) {
        TH_AUTO(th_json) struct json_t *document = NULL;

        TH_TRY(
            client_ask(client, &(struct client_ask){.method = "GET", .path = path}, &reply, err));
        TH_TRY(answer_read(&reply, &document, err));
        struct th_json p = th_json_root(document);
        if (watch.begun_done < 0)
            watch.begun_done = answer_int(p, "done");
        is_end = is_over(&watch, p);
        draw(&watch, p, is_end);
        if (is_end)
            break;
        nanosleep(&pause, NULL);
    }
    if (cli->is_json)
        answer_print(&reply);
    return TH_OK;
}
