#include "connectors/sandbox/behaviour.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const struct answer_facts answers[] = {
#define ROW(id, name, is_executed, status) [id] = {name, is_executed, status},
    ANSWERS(ROW)
#undef ROW
};

static const struct {
    const char *name;
    struct outcome_facts by_channel[2];
} outcomes[] = {
#define ROW(id, name, sms, error, sms_refused, call, sip, call_refused)                            \
    [id] = {name, {{sms, error, sms_refused}, {call, sip, call_refused}}},
    OUTCOMES(ROW)
#undef ROW
};

static const char *const reports[] = {
#define ROW(id, name) [id] = (name),
    REPORTS(ROW)
#undef ROW
};

static_assert(TH_LEN(answers) == ANSWERS_N, "every answer has its facts");
static_assert(TH_LEN(outcomes) == OUTCOMES_N, "every outcome has its facts");
static_assert(TH_LEN(reports) == REPORTS_N, "every way to report has its name");

const struct answer_facts *answer_facts(enum answer answer)
{
    return &answers[answer];
}

struct outcome_facts outcome_facts(enum outcome outcome, enum channel channel)
{
    return outcomes[outcome].by_channel[channel];
}

const char *outcome_name(enum outcome outcome)
{
    return outcomes[outcome].name;
}

const char *report_name(enum report report)
{
    return reports[report];
}

bool outcome_parse(struct th_str name, enum outcome *out_outcome)
{
    for (size_t i = 0; i < TH_LEN(outcomes); i++)
        if (th_str_eq(name, th_str(outcomes[i].name))) {
            *out_outcome = (enum outcome)i;
            return true;
        }
    return false;
}

bool report_parse(struct th_str name, enum report *out_report)
{
    for (size_t i = 0; i < TH_LEN(reports); i++)
        if (th_str_eq(name, th_str(reports[i]))) {
            *out_report = (enum report)i;
            return true;
        }
    return false;
}

/* "1.25" (percent) → 12500 ppm. */
static bool parse_percent(struct th_str text, uint32_t *out_ppm)
{
    struct th_str whole;
    struct th_str decimals;
    int64_t value;
    int64_t fraction = 0;

    (void)th_str_cut(text, '.', &whole, &decimals);
    if (!th_str_int(whole, 0, 100, &value) || decimals.n > 4)
        return false;
    if (decimals.n && !th_str_int(decimals, 0, 9999, &fraction))
        return false;
    for (size_t i = decimals.n; i < 4; i++)
        fraction *= 10;
    value = value * (PPM / 100) + fraction;
    if (value > PPM)
        return false;
    *out_ppm = (uint32_t)value;
    return true;
}

/* Where the rate of that name stands; NULL if there is none. */
static uint32_t *rate_of(struct rates *rates, struct th_str name)
{
    enum outcome outcome;
    enum report report;

    for (size_t i = 1; i < TH_LEN(answers); i++)
        if (th_str_eq(name, th_str(answers[i].name)))
            return &rates->answer[i];
    if (outcome_parse(name, &outcome))
        return &rates->outcome[outcome];
    if (report_parse(name, &report) && report != REPORT_NORMAL)
        return &rates->report[report];
    return NULL;
}

static bool spread_undelivered(struct rates *rates, uint32_t ppm)
{
    static const enum outcome codes[] = {OUTCOME_30003, OUTCOME_30005, OUTCOME_30006,
                                         OUTCOME_30007};

    for (size_t i = 0; i < TH_LEN(codes); i++) {
        if (rates->outcome[codes[i]])
            return false;
        rates->outcome[codes[i]] = ppm / 4 + (i < ppm % 4);
    }
    return true;
}

static enum th_code parse_rate(struct th_str item, struct rates *rates, struct th_err *err)
{
    struct th_str name;
    struct th_str number;
    uint32_t ppm;

    (void)th_str_cut(item, '=', &name, &number);
    name = th_str_trim(name);
    if (!parse_percent(th_str_trim(number), &ppm))
        return th_fail(err, TH_INVALID, "rate %.*s: not a percentage", TH_ARG(item));
    if (th_str_eq(name, TH_STR("undelivered"))) {
        if (!spread_undelivered(rates, ppm))
            return th_fail(err, TH_INVALID, "rate undelivered: given twice");
        return TH_OK;
    }
    uint32_t *rate = rate_of(rates, name);
    if (!rate)
        return th_fail(err, TH_INVALID, "rate %.*s: there is none of that name", TH_ARG(name));
    if (*rate)
        return th_fail(err, TH_INVALID, "rate %.*s: given twice", TH_ARG(name));
    *rate = ppm;
    return TH_OK;
}

static uint64_t sum_of(const uint32_t *rates, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += rates[i];
    return sum;
}

enum th_code rates_parse(struct th_str text, struct rates *out_rates, struct th_err *err)
{
    struct rates rates = {0};

    while (text.n) {
        struct th_str item;
        (void)th_str_cut(text, ',', &item, &text);
        TH_TRY(parse_rate(item, &rates, err));
    }
    uint64_t sum = sum_of(rates.outcome, OUTCOMES_N);
    if (sum > PPM || (rates.outcome[OUTCOME_DELIVERED] && sum != PPM))
        return th_fail(err, TH_INVALID,
                       "the rates of outcomes add up to %" PRIu64 ".%04" PRIu64 " %%", sum / 10000,
                       sum % 10000);
    if (sum_of(rates.answer, ANSWERS_N) > PPM || sum_of(rates.report, REPORTS_N) > PPM)
        return th_fail(err, TH_INVALID, "the rates of answers or of callbacks exceed 100 %%");
    *out_rates = rates;
    return TH_OK;
}

static void print_rate(struct th_buf *out, const char *name, uint32_t ppm)
{
    if (!ppm)
        return;
    if (out->n)
        th_buf_add_char(out, ',');
    th_buf_printf(out, "%s=%" PRIu32 ".%04" PRIu32, name, ppm / 10000, ppm % 10000);
}

void rates_print(const struct rates *rates, struct th_buf *out)
{
    for (size_t i = 1; i < ANSWERS_N; i++)
        print_rate(out, answers[i].name, rates->answer[i]);
    for (size_t i = 0; i < OUTCOMES_N; i++)
        print_rate(out, outcomes[i].name, rates->outcome[i]);
    for (size_t i = 1; i < REPORTS_N; i++)
        print_rate(out, reports[i], rates->report[i]);
}

/* The finaliser of splitmix64: every input bit reaches every output bit. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9U;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

uint32_t behaviour_draw(const struct trial *trial, enum purpose purpose, uint32_t min, uint32_t max)
{
    assert(min <= max);
    uint64_t x = mix(trial->seed + 0x9e3779b97f4a7c15U);
    x = mix(x ^ trial->number);
    x = mix(x ^ ((uint64_t)purpose << 32 | trial->tries));
    return min + (uint32_t)((x >> 32) * ((uint64_t)max - min + 1) >> 32);
}

/* The entry that point lies in when the rates of entries 1… stand side by side; 0 behind them. */
static size_t pick(const uint32_t *rates, size_t n, uint32_t point)
{
    for (size_t i = 1; i < n; i++) {
        if (point < rates[i])
            return i;
        point -= rates[i];
    }
    return 0;
}

#define MAGIC_MODULUS 100000000U /* the last eight digits */
#define MAGIC_ALWAYS  55500000U  /* 555 000 NN */
#define MAGIC_ONCE    55500100U  /* 555 001 NN: on the first try only */
#define TWILIO_TEST   15005550000U

static const struct {
    unsigned digits; /* NN */
    struct behaviour is;
    const char *says;
} magic[] = {
    {0, {ANSWER_NORMAL, OUTCOME_DELIVERED, REPORT_NORMAL}, "delivered; call completed"},
    {3, {ANSWER_NORMAL, OUTCOME_30003, REPORT_NORMAL}, "undelivered, 30003 unreachable handset"},
    {4, {ANSWER_NORMAL, OUTCOME_30004, REPORT_NORMAL}, "undelivered, 30004 blocked"},
    {5, {ANSWER_NORMAL, OUTCOME_30005, REPORT_NORMAL}, "undelivered, 30005 unknown handset"},
    {6, {ANSWER_NORMAL, OUTCOME_30006, REPORT_NORMAL}, "undelivered, 30006 landline"},
    {7, {ANSWER_NORMAL, OUTCOME_30007, REPORT_NORMAL}, "undelivered, 30007 filtered"},
    {8, {ANSWER_NORMAL, OUTCOME_30008, REPORT_NORMAL}, "undelivered, 30008 unknown error"},
    {9, {ANSWER_NORMAL, OUTCOME_FAILED, REPORT_NORMAL}, "failed, 30008"},
    {10, {ANSWER_NORMAL, OUTCOME_UNSUBSCRIBED, REPORT_NORMAL}, "400, 21610 (call: 21216)"},
    {11, {ANSWER_NORMAL, OUTCOME_INVALID, REPORT_NORMAL}, "400, 21211 invalid number"},
    {12, {ANSWER_NORMAL, OUTCOME_UNREACHABLE, REPORT_NORMAL}, "400, 21612 (call: 21214)"},
    {13, {ANSWER_NORMAL, OUTCOME_GEO, REPORT_NORMAL}, "400, 21408 (call: 21215)"},
    {14, {ANSWER_NORMAL, OUTCOME_NOT_MOBILE, REPORT_NORMAL}, "400, 21614 not a mobile (SMS)"},
    {20, {ANSWER_NORMAL, OUTCOME_BUSY, REPORT_NORMAL}, "call: busy"},
    {21, {ANSWER_NORMAL, OUTCOME_NO_ANSWER, REPORT_NORMAL}, "call: no-answer"},
    {22, {ANSWER_NORMAL, OUTCOME_CALL_FAILED, REPORT_NORMAL}, "call: failed, SIP 404"},
    {29, {ANSWER_429, OUTCOME_DELIVERED, REPORT_NORMAL}, "429 without Retry-After"},
    {30, {ANSWER_429_RETRY_AFTER, OUTCOME_DELIVERED, REPORT_NORMAL}, "429 with Retry-After: 1"},
    {50, {ANSWER_500_BEFORE, OUTCOME_DELIVERED, REPORT_NORMAL}, "500, nothing executed"},
    {51, {ANSWER_500_AFTER, OUTCOME_DELIVERED, REPORT_NORMAL}, "executed, then 500"},
    {60, {ANSWER_SLOW, OUTCOME_DELIVERED, REPORT_NORMAL}, "executed, answered after --slow-ms"},
    {61,
     {ANSWER_DROP_BEFORE, OUTCOME_DELIVERED, REPORT_NORMAL},
     "connection dropped, nothing executed"},
    {62, {ANSWER_DROP_AFTER, OUTCOME_DELIVERED, REPORT_NORMAL}, "executed, connection dropped"},
    {70, {ANSWER_NORMAL, OUTCOME_DELIVERED, REPORT_DUPLICATED}, "every callback twice"},
    {71, {ANSWER_NORMAL, OUTCOME_DELIVERED, REPORT_LATE}, "callbacks --late-ms later"},
    {72, {ANSWER_NORMAL, OUTCOME_DELIVERED, REPORT_REORDERED}, "callbacks in reverse order"},
    {73, {ANSWER_NORMAL, OUTCOME_DELIVERED, REPORT_NONE}, "no callback at all"},
    {74, {ANSWER_DROP_AFTER, OUTCOME_DELIVERED, REPORT_NONE}, "executed, dropped, no callback"},
};

/* Twilio's own test numbers: +1 500 555 000N. */
static const struct {
    unsigned digit;
    enum outcome outcome;
} twilio_test[] = {
    {1, OUTCOME_INVALID},      {2, OUTCOME_UNREACHABLE}, {3, OUTCOME_GEO},
    {4, OUTCOME_UNSUBSCRIBED}, {6, OUTCOME_DELIVERED},   {9, OUTCOME_NOT_MOBILE},
};

bool behaviour_magic(uint64_t number, uint32_t tries, struct behaviour *out)
{
    for (size_t i = 0; i < TH_LEN(twilio_test); i++)
        if (number == TWILIO_TEST + twilio_test[i].digit) {
            *out = (struct behaviour){ANSWER_NORMAL, twilio_test[i].outcome, REPORT_NORMAL};
            return true;
        }

    uint64_t digits = number % MAGIC_MODULUS;
    bool is_once = digits / 100 == MAGIC_ONCE / 100;
    if (!is_once && digits / 100 != MAGIC_ALWAYS / 100)
        return false;
    for (size_t i = 0; i < TH_LEN(magic); i++)
        if (magic[i].digits == digits % 100) {
            *out = magic[is_once && tries > 1 ? 0 : i].is;
            return true;
        }
    return false;
}

struct behaviour behaviour_choose(const struct trial *trial, const struct rates *rates)
{
    struct behaviour is;

    if (behaviour_magic(trial->number, trial->tries, &is))
        return is;
    uint32_t last = PPM - 1;
    return (struct behaviour){
        (enum answer)pick(rates->answer, ANSWERS_N, behaviour_draw(trial, FOR_ANSWER, 0, last)),
        (enum outcome)pick(rates->outcome, OUTCOMES_N, behaviour_draw(trial, FOR_OUTCOME, 0, last)),
        (enum report)pick(rates->report, REPORTS_N, behaviour_draw(trial, FOR_REPORT, 0, last)),
    };
}

void behaviour_print_magic(struct th_buf *out)
{
    th_buf_add(out, TH_STR("Magic numbers: a recipient that ends in 555000NN behaves so on every "
                           "try, one in\n555001NN on its first try only and well from then on. "
                           "NN:\n"));
    for (size_t i = 0; i < TH_LEN(magic); i++)
        th_buf_printf(out, "  %02u  %s\n", magic[i].digits, magic[i].says);
    th_buf_add(out, TH_STR("Twilio's own test numbers work too. To +1500555000N, N: 1 invalid, "
                           "2 unreachable, 3 geo,\n4 unsubscribed, 6 delivered, 9 not mobile. "
                           "From +1500555000N, N: 1 invalid (21212),\n6 good, 7 not owned (21606), "
                           "8 queue full (21611).\n"));
}
