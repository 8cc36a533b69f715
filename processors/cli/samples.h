/* samples.h - figures as Prometheus prints them (text exposition 0.0.4), read back. Pure. */
#ifndef TELEHUB_PROCESSORS_CLI_SAMPLES_H
#define TELEHUB_PROCESSORS_CLI_SAMPLES_H

#include "common/arena.h"
#include "common/str.h"

#define SAMPLE_LABELS_MAX 6

/* Borrowed from the text. Values of labels stand as they are printed, escapes and all. */
struct sample {
    struct th_str name;
    struct {
        struct th_str name;
        struct th_str value;
    } labels[SAMPLE_LABELS_MAX];
    size_t labels_n;
    double value;
};

struct samples {
    struct sample *at; /* in the arena */
    size_t n;
};

/* Lines that are no samples are passed over. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code samples_read(struct th_str text, struct th_arena *arena, struct samples *out);

/* The value of a label; p NULL: it has none of that name. */
struct th_str sample_label(const struct sample *sample, const char *name);

/* The sum of all of that name whose label has that value; label NULL: of all. */
double samples_sum(const struct samples *samples, const char *name, const char *label,
                   struct th_str value);

/* Below which bound lay the given share (0 to 1) of what a histogram counted between two readings;
 * -1: it counted nothing, infinity: above its last bound. label as above. */
double samples_quantile(const struct samples *before, const struct samples *now, const char *name,
                        const char *label, struct th_str value, double share);

#endif
