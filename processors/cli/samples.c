#include "processors/cli/samples.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 40

/* "1.5e-3", "+Inf" */
static bool read_number(struct th_str text, double *out)
{
    char room[NUMBER_MAX];
    char *end;

    if (text.n == 0 || text.n >= sizeof room)
        return false;
    memcpy(room, text.p, text.n);
    room[text.n] = '\0';
    *out = strtod(room, &end);
    return *end == '\0';
}

/* name="value", from *text on; a value may hold escaped quotes. */
static bool take_label(struct th_str *text, struct th_str *name, struct th_str *value)
{
    size_t end = 0;

    if (!th_str_cut(*text, '=', name, text) || text->n < 2 || text->p[0] != '"')
        return false;
    for (end = 1; end < text->n && text->p[end] != '"'; end++)
        end += text->p[end] == '\\';
    if (end >= text->n)
        return false;
    *value = (struct th_str){text->p + 1, end - 1};
    *text = (struct th_str){text->p + end + 1, text->n - end - 1};
    return true;
}

static bool take_labels(struct th_str *text, struct sample *out)
{
    while (text->n && text->p[0] != '}') {
        struct th_str name;
        struct th_str value;

        if (text->p[0] == ',')
            *text = (struct th_str){text->p + 1, text->n - 1};
        if (!take_label(text, &name, &value) || out->labels_n == SAMPLE_LABELS_MAX)
            return false;
        out->labels[out->labels_n].name = name;
        out->labels[out->labels_n++].value = value;
    }
    if (text->n == 0)
        return false;
    *text = (struct th_str){text->p + 1, text->n - 1};
    return true;
}

static bool read_line(struct th_str line, struct sample *out)
{
    size_t end = 0;

    *out = (struct sample){0};
    while (end < line.n && line.p[end] != '{' && line.p[end] != ' ')
        end++;
    if (end == 0 || end == line.n || line.p[0] == '#')
        return false;
    out->name = (struct th_str){line.p, end};
    struct th_str rest = {line.p + end, line.n - end};
    if (rest.p[0] == '{') {
        rest = (struct th_str){rest.p + 1, rest.n - 1};
        if (!take_labels(&rest, out))
            return false;
    }
    return read_number(th_str_trim(rest), &out->value);
}

enum th_code samples_read(struct th_str text, struct th_arena *arena, struct samples *out)
{
    struct th_str line;
    size_t lines = 1;

    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    *out = (struct samples){th_arena_array(arena, lines, sizeof *out->at), 0};
    if (!out->at)
        return TH_NOMEM;
    for (bool is_more = true; is_more;) {
        is_more = th_str_cut(text, '\n', &line, &text);
        if (read_line(line, &out->at[out->n]))
            out->n++;
    }
    return TH_OK;
}

struct th_str sample_label(const struct sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->labels_n; i++)
        if (th_str_eq(sample->labels[i].name, th_str(name)))
            return sample->labels[i].value;
    return (struct th_str){0};
}

static bool is_of(const struct sample *sample, struct th_str name, const char *label,
                  struct th_str value)
{
    return th_str_eq(sample->name, name) &&
           (!label || th_str_eq(sample_label(sample, label), value));
}

double samples_sum(const struct samples *samples, const char *name, const char *label,
                   struct th_str value)
{
    double sum = 0;

    for (size_t i = 0; i < samples->n; i++)
        if (is_of(&samples->at[i], th_str(name), label, value))
            sum += samples->at[i].value;
    return sum;
}

/* What the buckets up to that bound hold, over all series. */
static double up_to(const struct samples *samples, struct th_str name, const char *label,
                    struct th_str value, struct th_str le)
{
    double sum = 0;

    for (size_t i = 0; i < samples->n; i++)
        if (is_of(&samples->at[i], name, label, value) &&
            th_str_eq(sample_label(&samples->at[i], "le"), le))
            sum += samples->at[i].value;
    return sum;
}

double samples_quantile(const struct samples *before, const struct samples *now, const char *name,
                        const char *label, struct th_str value, double share)
{
    char room[128];
    int n = snprintf(room, sizeof room, "%s_bucket", name);
    struct th_str bucket = {room, (size_t)n};
    struct th_str all = TH_STR("+Inf");
    double counted =
        up_to(now, bucket, label, value, all) - up_to(before, bucket, label, value, all);

    if (!(counted > 0))
        return -1;
    double best = INFINITY;
    for (size_t i = 0; i < now->n; i++) {
        struct th_str le = sample_label(&now->at[i], "le");
        double bound;

        if (!is_of(&now->at[i], bucket, label, value) || !read_number(le, &bound) || bound >= best)
            continue;
        double below =
            up_to(now, bucket, label, value, le) - up_to(before, bucket, label, value, le);
        if (below >= share * counted)
            best = bound;
    }
    return best;
}
