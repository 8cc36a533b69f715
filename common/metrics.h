/* metrics.h - counters, gauges and histograms, printed for Prometheus (text exposition 0.0.4).
 *
 * A family is registered at start; a series is one set of its label values. Look a series up once
 * and keep it: counting is then one atomic addition, from any thread, with no lock. Looking up
 * takes a lock only when the series is new. A NULL series counts nothing, so a part that was given
 * no metrics needs no special case.
 */
#ifndef TELEHUB_COMMON_METRICS_H
#define TELEHUB_COMMON_METRICS_H

#include "common/buf.h"

#define TH_METRIC_FAMILIES_MAX 128
#define TH_METRIC_SERIES_MAX   200 /* of a family; what comes after is counted as "other" */
#define TH_METRIC_LABELS_MAX   4
#define TH_METRIC_LABEL_MAX    64 /* bytes of a label's value; the rest is cut */
#define TH_METRIC_BOUNDS_MAX   24

enum th_metric_kind {
    TH_METRIC_COUNTER,
    TH_METRIC_GAUGE,
    TH_METRIC_HISTOGRAM,
};

/* Lives as long as the registry. Values are integers; what is printed is value * scale, so that a
 * duration is counted in microseconds and printed in seconds (scale 1e-6), as Prometheus wants. */
struct th_metric_def {
    const char *name; /* "telehub_attempts_total", "telehub_commit_seconds" */
    const char *help;
    enum th_metric_kind kind;
    const char *labels[TH_METRIC_LABELS_MAX]; /* their names, up to the first NULL */
    double scale;                             /* 0 is taken for 1 */
    int64_t bounds[TH_METRIC_BOUNDS_MAX];     /* of buckets, ascending, up to the first 0 */
};

struct th_metrics;
struct th_family;
struct th_series;

/* Errors: TH_NOMEM */
TH_MUST_USE
enum th_code th_metrics_new(struct th_metrics **out_metrics, struct th_err *err);

/* Nobody counts any more. */
void th_metrics_free(struct th_metrics *metrics);
TH_AUTO_DEFINE(th_metrics, struct th_metrics *, th_metrics_free)

/* Register a family, or find it if def is registered already. Owned by metrics. A name with a
 * character that Prometheus does not allow, or one with two definitions, is a bug and asserts.
 * Errors: TH_FULL, TH_NOMEM */
TH_MUST_USE
enum th_code th_metrics_family(struct th_metrics *metrics, const struct th_metric_def *def,
                               struct th_family **out_family, struct th_err *err);

/* The series with these label values, one for each name of the definition; owned by metrics.
 * When there is no more room (or memory), the one whose values are all "other". */
struct th_series *th_family_series(struct th_family *family, const struct th_str *values);

/* The series of a family without labels. */
struct th_series *th_family_only(struct th_family *family);

void th_count(struct th_series *counter, uint64_t n);
/* A total that is counted elsewhere, and never falls. */
void th_count_to(struct th_series *counter, uint64_t total);

void th_gauge_set(struct th_series *gauge, int64_t value);
void th_gauge_add(struct th_series *gauge, int64_t difference);
void th_observe(struct th_series *histogram, int64_t value);

/* Append all of it. Each line is true at some moment of the call; a histogram's count is always
 * the sum of its buckets. */
void th_metrics_print(struct th_metrics *metrics, struct th_buf *out);

#endif
