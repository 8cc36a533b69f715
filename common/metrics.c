#include "common/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct label {
    char text[TH_METRIC_LABEL_MAX];
    size_t n;
};

struct th_series {
    struct label values[TH_METRIC_LABELS_MAX];
    const struct th_metric_def *def;
    _Alignas(64) atomic_int_fast64_t value; /* a histogram's sum; alone on its cache line */
    atomic_uint_fast64_t buckets[];         /* of a histogram, one more than bounds */
};

struct th_family {
    const struct th_metric_def *def;
    size_t labels;
    size_t bounds;
    pthread_mutex_t lock;    /* guards adding to series */
    atomic_size_t count;     /* of series that may be read */
    struct th_series *other; /* also the only one of a family without labels */
    struct th_series *series[TH_METRIC_SERIES_MAX];
};

struct th_metrics {
    pthread_mutex_t lock; /* guards adding to families */
    atomic_size_t count;
    struct th_family *families[TH_METRIC_FAMILIES_MAX];
};

enum th_code th_metrics_new(struct th_metrics **out_metrics, struct th_err *err)
{
    struct th_metrics *metrics = calloc(1, sizeof *metrics);

    if (!metrics)
        return th_fail(err, TH_NOMEM, "metrics");
    (void)pthread_mutex_init(&metrics->lock, NULL);
    *out_metrics = metrics;
    return TH_OK;
}

static void free_family(struct th_family *family)
{
    if (!family)
        return;
    for (size_t i = 0; i < family->count; i++)
        free(family->series[i]);
    free(family->other);
    (void)pthread_mutex_destroy(&family->lock);
    free(family);
}

void th_metrics_free(struct th_metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->count; i++)
        free_family(metrics->families[i]);
    (void)pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static bool is_name(const char *name)
{
    if (!*name || (*name >= '0' && *name <= '9'))
        return false;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
              (*name >= '0' && *name <= '9') || *name == '_'))
            return false;
    return true;
}

/* The longest beginning of value that fits and is UTF-8. */
static struct label label_of(struct th_str value)
{
    struct label label = {.n = 0};

    for (size_t n; value.n; value.p += n, value.n -= n) {
        n = th_str_char_size(value);
        if (n == 0 || n > sizeof label.text - label.n)
            break;
        memcpy(label.text + label.n, value.p, n);
        label.n += n;
    }
    return label;
}

static struct th_series *new_series(const struct th_family *family, const struct label *values)
{
    size_t buckets = family->bounds + 1;
    size_t size = sizeof(struct th_series) + buckets * sizeof(atomic_uint_fast64_t);
    size_t whole_lines = (size + 63) / 64 * 64;
    struct th_series *series = aligned_alloc(64, whole_lines);

    if (!series)
        return NULL;
    memset(series, 0, whole_lines);
    series->def = family->def;
    memcpy(series->values, values, family->labels * sizeof *values);
    return series;
}

static enum th_code new_family(const struct th_metric_def *def, struct th_family **out_family,
                               struct th_err *err)
{
    struct label others[TH_METRIC_LABELS_MAX];
    struct th_family *family = calloc(1, sizeof *family);

    if (!family)
        return th_fail(err, TH_NOMEM, "metric %s", def->name);
    (void)pthread_mutex_init(&family->lock, NULL);
    family->def = def;
    assert(is_name(def->name));
    for (; family->labels < TH_METRIC_LABELS_MAX && def->labels[family->labels]; family->labels++)
        assert(is_name(def->labels[family->labels]));
    while (family->bounds < TH_METRIC_BOUNDS_MAX && def->bounds[family->bounds])
        family->bounds++;
    for (size_t i = 0; i < TH_METRIC_LABELS_MAX; i++)
        others[i] = label_of(TH_STR("other"));
    family->other = new_series(family, others);
    if (!family->other) {
        free_family(family);
        return th_fail(err, TH_NOMEM, "metric %s", def->name);
    }
    *out_family = family;
    return TH_OK;
}

static struct th_family *find_family(struct th_metrics *metrics, const struct th_metric_def *def)
{
    for (size_t i = 0; i < metrics->count; i++) {
        if (metrics->families[i]->def == def)
            return metrics->families[i];
        assert(strcmp(metrics->families[i]->def->name, def->name) != 0);
    }
    return NULL;
}

static enum th_code add_family(struct th_metrics *metrics, const struct th_metric_def *def,
                               struct th_family **out_family, struct th_err *err)
{
    size_t count = metrics->count;

    *out_family = find_family(metrics, def);
    if (*out_family)
        return TH_OK;
    if (count == TH_METRIC_FAMILIES_MAX)
        return th_fail(err, TH_FULL, "metric %s: more than %d families", def->name,
                       TH_METRIC_FAMILIES_MAX);
    TH_TRY(new_family(def, out_family, err));
    metrics->families[count] = *out_family;
    metrics->count = count + 1; /* seen by readers only with what is above */
    return TH_OK;
}

enum th_code th_metrics_family(struct th_metrics *metrics, const struct th_metric_def *def,
                               struct th_family **out_family, struct th_err *err)
{
    (void)pthread_mutex_lock(&metrics->lock);
    enum th_code code = add_family(metrics, def, out_family, err);
    (void)pthread_mutex_unlock(&metrics->lock);
    return code;
}

static struct th_series *find_series(const struct th_family *family, const struct label *values)
{
    size_t count = family->count;

    for (size_t i = 0; i < count; i++) {
        const struct th_series *series = family->series[i];
        size_t same = 0;

        while (same < family->labels && series->values[same].n == values[same].n &&
               memcmp(series->values[same].text, values[same].text, values[same].n) == 0)
            same++;
        if (same == family->labels)
            return family->series[i];
    }
    return NULL;
}

static struct th_series *add_series(struct th_family *family, const struct label *values)
{
    struct th_series *series = find_series(family, values); /* somebody was quicker */
    size_t count = family->count;

    if (series)
        return series;
    if (count < TH_METRIC_SERIES_MAX)
        series = new_series(family, values);
    if (!series)
        return family->other;
    family->series[count] = series;
    family->count = count + 1;
    return series;
}

struct th_series *th_family_series(struct th_family *family, const struct th_str *values)
{
    struct label labels[TH_METRIC_LABELS_MAX];

    if (family->labels == 0)
        return family->other;
    for (size_t i = 0; i < family->labels; i++)
        labels[i] = label_of(values[i]);
    struct th_series *series = find_series(family, labels);
    if (series)
        return series;
    (void)pthread_mutex_lock(&family->lock);
    series = add_series(family, labels);
    (void)pthread_mutex_unlock(&family->lock);
    return series;
}

struct th_series *th_family_only(struct th_family *family)
{
    assert(family->labels == 0);
    return family->other;
}

static void add(struct th_series *series, int64_t difference)
{
    atomic_fetch_add_explicit(&series->value, difference, memory_order_relaxed);
}

void th_count(struct th_series *counter, uint64_t n)
{
    if (!counter)
        return;
    assert(counter->def->kind == TH_METRIC_COUNTER);
    add(counter, (int64_t)n);
}

void th_count_to(struct th_series *counter, uint64_t total)
{
    if (!counter)
        return;
    assert(counter->def->kind == TH_METRIC_COUNTER);
    atomic_store_explicit(&counter->value, (int64_t)total, memory_order_relaxed);
}

void th_gauge_set(struct th_series *gauge, int64_t value)
{
    if (!gauge)
        return;
    assert(gauge->def->kind == TH_METRIC_GAUGE);
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

void th_gauge_add(struct th_series *gauge, int64_t difference)
{
    if (!gauge)
        return;
    assert(gauge->def->kind == TH_METRIC_GAUGE);
    add(gauge, difference);
}

void th_observe(struct th_series *histogram, int64_t value)
{
    size_t i = 0;

    if (!histogram)
        return;
    const int64_t *bounds = histogram->def->bounds;
    assert(histogram->def->kind == TH_METRIC_HISTOGRAM);
    while (i < TH_METRIC_BOUNDS_MAX && bounds[i] && value > bounds[i])
        i++;
    atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
    add(histogram, value);
}

/* HELP escapes backslash and line feed, label values quotes as well. */
static void print_escaped(struct th_buf *out, struct th_str text, bool is_label)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n')
            th_buf_add(out, TH_STR("\\n"));
        else if (text.p[i] == '\\' || (is_label && text.p[i] == '"'))
            th_buf_printf(out, "\\%c", text.p[i]);
        else
            th_buf_add_char(out, text.p[i]);
    }
}

static void print_value(struct th_buf *out, const struct th_metric_def *def, int64_t value)
{
    if (def->scale == 0 || def->scale == 1)
        th_buf_printf(out, "%" PRId64, value);
    else
        th_buf_printf(out, "%.15g", (double)value * def->scale);
}

/* name{labels} without its value; le is the bound of a bucket, NULL for none. */
static void print_name(struct th_buf *out, const struct th_family *family,
                       const struct th_series *series, const char *suffix, const char *le)
{
    const char *before = "{";

    th_buf_printf(out, "%s%s", family->def->name, suffix);
    for (size_t i = 0; i < family->labels; i++, before = ",") {
        th_buf_printf(out, "%s%s=\"", before, family->def->labels[i]);
        print_escaped(out, (struct th_str){series->values[i].text, series->values[i].n}, true);
        th_buf_add_char(out, '"');
    }
    if (le)
        th_buf_printf(out, "%sle=\"%s\"", before, le);
    th_buf_add(out, le || family->labels ? TH_STR("} ") : TH_STR(" "));
}

static void print_histogram(struct th_buf *out, const struct th_family *family,
                            const struct th_series *series)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= family->bounds; i++) {
        TH_AUTO(th_buf) struct th_buf bound = {0};

        if (i < family->bounds)
            print_value(&bound, family->def, family->def->bounds[i]);
        else
            th_buf_add(&bound, TH_STR("+Inf"));
        th_buf_add_char(&bound, '\0');
        if (th_buf_status(&bound) != TH_OK) {
            out->is_failed = true;
            return;
        }
        count += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
        print_name(out, family, series, "_bucket", bound.p);
        th_buf_printf(out, "%" PRIu64 "\n", count);
    }
    print_name(out, family, series, "_sum", NULL);
    print_value(out, family->def, atomic_load_explicit(&series->value, memory_order_relaxed));
    th_buf_add_char(out, '\n');
    print_name(out, family, series, "_count", NULL);
    th_buf_printf(out, "%" PRIu64 "\n", count);
}

static void print_series(struct th_buf *out, const struct th_family *family,
                         const struct th_series *series)
{
    if (family->def->kind == TH_METRIC_HISTOGRAM) {
        print_histogram(out, family, series);
        return;
    }
    print_name(out, family, series, "", NULL);
    print_value(out, family->def, atomic_load_explicit(&series->value, memory_order_relaxed));
    th_buf_add_char(out, '\n');
}

static void print_family(struct th_buf *out, const struct th_family *family)
{
    static const char *const kinds[] = {
        [TH_METRIC_COUNTER] = "counter",
        [TH_METRIC_GAUGE] = "gauge",
        [TH_METRIC_HISTOGRAM] = "histogram",
    };
    size_t count = family->count;

    th_buf_printf(out, "# HELP %s ", family->def->name);
    print_escaped(out, th_str(family->def->help), false);
    th_buf_printf(out, "\n# TYPE %s %s\n", family->def->name, kinds[family->def->kind]);
    for (size_t i = 0; i < count; i++)
        print_series(out, family, family->series[i]);
    if (family->labels == 0 || count == TH_METRIC_SERIES_MAX)
        print_series(out, family, family->other);
}

void th_metrics_print(struct th_metrics *metrics, struct th_buf *out)
{
    size_t count = metrics->count;

    for (size_t i = 0; i < count; i++)
        print_family(out, metrics->families[i]);
}
