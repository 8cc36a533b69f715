#include "processors/main/meters.h"

#include <stdio.h>
#include <stdlib.h>

enum meter {
    METER_OPEN,
    METER_LAG,
    METER_INPUTS,
    METER_COMMITS,
    METER_ABORTS,
    METER_REOPENS,
    METER_DEAD,
    METER_COMMIT_SECONDS,
    METER_BATCH_INPUTS,
    METER_BATCH_EVENTS,
    METER_VIEW_EVENTS,
    METER_VIEW_ROWS,
    METER_VIEW_BATCHES,
    METER_VIEW_FAILURES,
    METER_VIEW_COMMIT,
    METER_VIEW_LAG,
    METER_IN_DOUBT,
    METER_UNSETTLED,
    METER_LANE,
};

static const struct th_metric_def defs[] = {
    [METER_OPEN] = {.name = "telehub_slot_open",
                    .help = "1: the slot is owned, caught up and works",
                    .kind = TH_METRIC_GAUGE,
                    .labels = {"processor", "slot"}},
    [METER_LAG] = {.name = "telehub_lag_records",
                   .help = "Records of an input topic that the slot has not read yet",
                   .kind = TH_METRIC_GAUGE,
                   .labels = {"processor", "slot", "topic"}},
    [METER_INPUTS] = {.name = "telehub_inputs_total",
                      .help = "Inputs that were decided, and are durable",
                      .kind = TH_METRIC_COUNTER,
                      .labels = {"processor", "slot"}},
    [METER_COMMITS] = {.name = "telehub_commits_total",
                       .help = "Transactions that were committed",
                       .kind = TH_METRIC_COUNTER,
                       .labels = {"processor", "slot"}},
    [METER_ABORTS] = {.name = "telehub_aborts_total",
                      .help = "Transactions that were rolled back and done again",
                      .kind = TH_METRIC_COUNTER,
                      .labels = {"processor", "slot"}},
    [METER_REOPENS] = {.name = "telehub_reopens_total",
                       .help = "Times that the slot lost its session and opened it again",
                       .kind = TH_METRIC_COUNTER,
                       .labels = {"processor", "slot"}},
    [METER_DEAD] = {.name = "telehub_dead_letters_total",
                    .help = "Records that could not be understood: see telehub dlq list",
                    .kind = TH_METRIC_COUNTER,
                    .labels = {"processor", "slot"}},
    [METER_COMMIT_SECONDS] = {.name = "telehub_commit_seconds",
                              .help = "From the start of a commit to its outcome",
                              .kind = TH_METRIC_HISTOGRAM,
                              .labels = {"processor"},
                              .scale = 1e-6,
                              .bounds = {250, 500, 1000, 2000, 3000, 5000, 10000, 20000, 50000,
                                         100000, 250000, 1000000, 5000000}},
    [METER_BATCH_INPUTS] = {.name = "telehub_batch_inputs",
                            .help = "Inputs of one transaction",
                            .kind = TH_METRIC_HISTOGRAM,
                            .labels = {"processor"},
                            .bounds = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000}},
    [METER_BATCH_EVENTS] = {.name = "telehub_batch_events",
                            .help = "Events that one transaction wrote",
                            .kind = TH_METRIC_HISTOGRAM,
                            .labels = {"processor"},
                            .bounds = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000}},
    [METER_VIEW_EVENTS] = {.name = "telehub_view_events_total",
                           .help = "Events folded into the views",
                           .kind = TH_METRIC_COUNTER,
                           .labels = {"slot"}},
    [METER_VIEW_ROWS] = {.name = "telehub_view_rows_total",
                         .help = "Rows of the views that were written",
                         .kind = TH_METRIC_COUNTER,
                         .labels = {"slot"}},
    [METER_VIEW_BATCHES] = {.name = "telehub_view_batches_total",
                            .help = "Transactions of the views",
                            .kind = TH_METRIC_COUNTER,
                            .labels = {"slot"}},
    [METER_VIEW_FAILURES] = {.name = "telehub_view_failures_total",
                             .help = "Transactions of the views that failed and were done again",
                             .kind = TH_METRIC_COUNTER,
                             .labels = {"slot"}},
    [METER_VIEW_COMMIT] = {.name = "telehub_view_last_batch_seconds",
                           .help = "How long the last batch took, from read to commit",
                           .kind = TH_METRIC_GAUGE,
                           .labels = {"slot"},
                           .scale = 1e-6},
    [METER_VIEW_LAG] = {.name = "telehub_view_lag_records",
                        .help = "Records of a topic that the views do not hold yet",
                        .kind = TH_METRIC_GAUGE,
                        .labels = {"topic"}},
    [METER_IN_DOUBT] = {.name = "telehub_in_doubt",
                        .help = "Recipients of campaigns of whom it is not known whether they "
                                "were reached",
                        .kind = TH_METRIC_GAUGE},
    [METER_UNSETTLED] = {.name = "telehub_dead_letters_unsettled",
                         .help = "Dead letters that nobody has replayed or discarded",
                         .kind = TH_METRIC_GAUGE},
    [METER_LANE] = {.name = "telehub_lane_circuit",
                    .help = "0: closed, 1: half open, 2: open, 3: the account is disabled",
                    .kind = TH_METRIC_GAUGE,
                    .labels = {"lane", "tenant", "account"}},
};

struct meters {
    struct th_metrics *metrics;
    struct th_family *families[TH_LEN(defs)];
};

enum th_code meters_open(struct th_metrics *metrics, struct meters **out_meters, struct th_err *err)
{
    struct meters *meters = calloc(1, sizeof *meters);
    enum th_code code = TH_OK;

    if (!meters)
        return th_fail(err, TH_NOMEM, "meters");
    meters->metrics = metrics;
    for (size_t i = 0; i < TH_LEN(defs) && code == TH_OK; i++)
        code = th_metrics_family(metrics, &defs[i], &meters->families[i], err);
    if (code != TH_OK) {
        free(meters);
        return code;
    }
    *out_meters = meters;
    return TH_OK;
}

void meters_close(struct meters *meters)
{
    free(meters);
}

static struct th_str number(char room[16], int64_t n)
{
    int length = snprintf(room, 16, "%d", (int)n);

    return (struct th_str){room, (size_t)length};
}

struct slot_meters meters_slot_series(struct meters *meters, const char *processor)
{
    struct th_str label = th_str(processor);

    return (struct slot_meters){
        .commit_us = th_family_series(meters->families[METER_COMMIT_SECONDS], &label),
        .batch_inputs = th_family_series(meters->families[METER_BATCH_INPUTS], &label),
        .batch_events = th_family_series(meters->families[METER_BATCH_EVENTS], &label),
    };
}

/* --- slots ------------------------------------------------------------------------------------ */

static void put_figures(struct meters *meters, struct th_str slot_label, const struct slot *slot)
{
    struct core_figure figures[CORE_FIGURES_MAX];
    size_t n = slot_figures(slot, figures);

    for (size_t i = 0; i < n; i++) {
        struct th_family *family;
        char room[16];

        if (th_metrics_family(meters->metrics, figures[i].def, &family, NULL) != TH_OK)
            continue;
        struct th_str lane = figures[i].lane ? number(room, figures[i].lane) : TH_STR("");
        th_gauge_set(th_family_series(family, (const struct th_str[]){slot_label, lane}),
                     figures[i].value);
    }
}

void meters_slot(struct meters *meters, const char *processor, int slot_number,
                 const struct slot *slot)
{
    struct slot_status status = slot_status(slot);
    char room[16];
    struct th_str labels[3] = {th_str(processor), number(room, slot_number)};
    struct th_family *const *families = meters->families;

    th_gauge_set(th_family_series(families[METER_OPEN], labels), status.is_open);
    th_count_to(th_family_series(families[METER_INPUTS], labels), status.inputs);
    th_count_to(th_family_series(families[METER_COMMITS], labels), status.commits);
    th_count_to(th_family_series(families[METER_ABORTS], labels), status.aborts);
    th_count_to(th_family_series(families[METER_REOPENS], labels), status.reopens);
    th_count_to(th_family_series(families[METER_DEAD], labels), status.dead_letters);
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        if (status.lag_records[topic] < 0)
            continue;
        labels[2] = th_str(topic_name(topic));
        th_gauge_set(th_family_series(families[METER_LAG], labels), status.lag_records[topic]);
    }
    put_figures(meters, labels[1], slot);
}

void meters_materialize(struct meters *meters, int slot_number, const struct materialize *m)
{
    struct materialize_status status = materialize_status(m);
    struct th_family *const *families = meters->families;
    char room[16];
    struct th_str slot = number(room, slot_number);

    th_gauge_set(th_family_series(families[METER_OPEN],
                                  (const struct th_str[]){TH_STR("materialize"), slot}),
                 status.is_open);
    th_count_to(th_family_series(families[METER_VIEW_EVENTS], &slot), status.events);
    th_count_to(th_family_series(families[METER_VIEW_ROWS], &slot), status.rows);
    th_count_to(th_family_series(families[METER_VIEW_BATCHES], &slot), status.batches);
    th_count_to(th_family_series(families[METER_VIEW_FAILURES], &slot), status.failures);
    th_gauge_set(th_family_series(families[METER_VIEW_COMMIT], &slot), status.commit_us);
}

/* --- outside ---------------------------------------------------------------------------------- */

static int64_t circuit_number(const struct ref_lane *lane)
{
    if (!lane->is_enabled)
        return 3;
    switch (lane->circuit) {
    case CIRCUIT_CLOSED:
        return 0;
    case CIRCUIT_HALF_OPEN:
        return 1;
    case CIRCUIT_OPEN:
        return 2;
    }
    return 0;
}

static void put_lanes(struct meters *meters, struct reference *reference)
{
    const struct ref_lane *lane;

    reference_read_lock(reference);
    for (size_t i = 0; (lane = reference_lane_at(reference, i)); i++) {
        char room[16];
        struct th_str labels[3] = {number(room, lane->lane), lane->tenant, lane->account.name};

        th_gauge_set(th_family_series(meters->families[METER_LANE], labels), circuit_number(lane));
    }
    reference_unlock(reference);
}

/* What cannot be learned keeps its last figure: /health says that the views are away. */
static void put_views(struct meters *meters, struct views *views)
{
    struct th_family *const *families = meters->families;
    int64_t lag[TOPIC_COUNT];
    struct view_troubles troubles;

    if (views->ops->lag(views, lag, NULL) == TH_OK)
        for (enum topic topic = 0; topic < TOPIC_COUNT; topic++)
            if (lag[topic] >= 0)
                th_gauge_set(th_family_series(families[METER_VIEW_LAG],
                                              (const struct th_str[]){th_str(topic_name(topic))}),
                             lag[topic]);
    if (views->ops->troubles(views, &troubles, NULL) == TH_OK) {
        th_gauge_set(th_family_only(families[METER_IN_DOUBT]), troubles.in_doubt);
        th_gauge_set(th_family_only(families[METER_UNSETTLED]), troubles.dead_letters);
    }
}

void meters_outside(struct meters *meters, struct reference *reference, struct views *views)
{
    put_lanes(meters, reference);
    put_views(meters, views);
}
