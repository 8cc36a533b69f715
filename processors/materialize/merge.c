#include "processors/materialize/fold_private.h"

int outcome_rank(struct th_str outcome)
{
    static const struct {
        const char *name;
        int rank;
    } ranks[] = {
        {"unknown", 1},  {"in_doubt", 2},     {"rejected", 3}, {"throttled", 3},
        {"not_sent", 3}, {"not_executed", 3}, {"returned", 3}, {"accepted", 4},
    };

    for (size_t i = 0; i < TH_LEN(ranks); i++)
        if (th_str_eq(outcome, th_str(ranks[i].name)))
            return ranks[i].rank;
    return 0;
}

/* Negative: a goes before b, so a stays. */
static int cmp_outcome(struct th_str outcome_a, int64_t at_a, struct th_str reason_a,
                       struct th_str outcome_b, int64_t at_b, struct th_str reason_b)
{
    int by_rank = outcome_rank(outcome_b) - outcome_rank(outcome_a);

    if (by_rank)
        return by_rank;
    if (at_a != at_b)
        return at_a < at_b ? -1 : 1;
    int by_name = th_str_cmp(outcome_a, outcome_b);
    return by_name ? by_name : th_str_cmp(reason_a, reason_b);
}

enum th_code merge_outcome(struct view_batch *batch, const struct outcome_columns *to,
                           struct th_str outcome, struct th_str reason, int64_t at_us,
                           bool *out_is_taken)
{
    TH_TRY(view_batch_clean(batch, &reason));
    bool is_taken = to->outcome->n == 0 ||
                    cmp_outcome(*to->outcome, *to->at, *to->reason, outcome, at_us, reason) > 0;

    if (out_is_taken)
        *out_is_taken = is_taken;
    if (!is_taken)
        return TH_OK;
    TH_TRY(view_batch_text(batch, to->outcome, outcome));
    TH_TRY(view_batch_text(batch, to->reason, reason));
    *to->at = at_us;
    return TH_OK;
}

static int cmp_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

enum th_code clean_report(const struct folding *f, struct attempt_reported *out)
{
    *out = f->event->as.attempt_reported;
    TH_TRY(view_batch_clean(f->batch, &out->status));
    TH_TRY(view_batch_clean(f->batch, &out->reason));
    return view_batch_clean(f->batch, &out->provider_code);
}

bool report_wins(const struct attempt_reported *ev, const struct report_columns *held)
{
    int cmp;

    if (held->status.n == 0)
        return true;
    if ((cmp = cmp_int(ev->rank, held->rank)) != 0)
        return cmp > 0;
    if ((cmp = cmp_int(ev->provider_us, held->provider_us)) != 0)
        return cmp > 0;
    if ((cmp = cmp_int(ev->meta.time_us, held->at_us)) != 0)
        return cmp > 0;
    if ((cmp = th_str_cmp(ev->status, held->status)) != 0)
        return cmp > 0;
    return th_str_cmp(ev->reason, held->reason) > 0;
}
