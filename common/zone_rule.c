#include "common/zone_rule.h"

#include "common/date.h"

#define DAY_S        86400
#define OFFSET_H_MAX 24
#define RULE_H_MAX   167

/* What is still to be read. */
struct reader {
    struct th_str rest;
    bool is_bad;
};

static bool take(struct reader *in, char c)
{
    if (in->rest.n == 0 || in->rest.p[0] != c)
        return false;
    in->rest.p++;
    in->rest.n--;
    return true;
}

static int take_number(struct reader *in, int min, int max)
{
    int value = 0;
    int n = 0;

    while (in->rest.n && in->rest.p[0] >= '0' && in->rest.p[0] <= '9' && n < 3) {
        value = value * 10 + (*in->rest.p - '0');
        in->rest.p++;
        in->rest.n--;
        n++;
    }
    if (n == 0 || value < min || value > max)
        in->is_bad = true;
    return value;
}

/* "CET" or "<+0530>": at least three characters, of which nothing is kept. */
static void take_name(struct reader *in)
{
    bool is_quoted = take(in, '<');
    size_t n = 0;

    while (in->rest.n) {
        char c = in->rest.p[0];
        bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool is_other = (c >= '0' && c <= '9') || c == '+' || c == '-';
        if (!is_letter && !(is_quoted && is_other))
            break;
        in->rest.p++;
        in->rest.n--;
        n++;
    }
    if (n < 3 || (is_quoted && !take(in, '>')))
        in->is_bad = true;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int take_time(struct reader *in, int hours_max)
{
    int sign = take(in, '-') ? -1 : 1;

    if (sign == 1)
        (void)take(in, '+');
    int s = take_number(in, 0, hours_max) * 3600;
    if (take(in, ':')) {
        s += take_number(in, 0, 59) * 60;
        if (take(in, ':'))
            s += take_number(in, 0, 59);
    }
    return sign * s;
}

static struct zone_day take_day(struct reader *in)
{
    struct zone_day day = {.kind = ZONE_DAY_OF_YEAR, .time_s = 2 * 3600};

    if (!take(in, ','))
        in->is_bad = true;
    if (take(in, 'J')) {
        day.kind = ZONE_DAY_WITHOUT_LEAP;
        day.day = take_number(in, 1, 365);
    } else if (take(in, 'M')) {
        day.kind = ZONE_DAY_OF_WEEK;
        day.month = take_number(in, 1, 12);
        in->is_bad |= !take(in, '.');
        day.week = take_number(in, 1, 5);
        in->is_bad |= !take(in, '.');
        day.weekday = take_number(in, 0, 6);
    } else
        day.day = take_number(in, 0, 365);
    if (take(in, '/'))
        day.time_s = take_time(in, RULE_H_MAX);
    return day;
}

bool zone_rule_parse(struct th_str text, struct zone_rule *out_rule)
{
    struct reader in = {.rest = text};
    struct zone_rule rule = {0};

    take_name(&in);
    rule.standard_s = -take_time(&in, OFFSET_H_MAX); /* POSIX counts west of Greenwich */
    if (in.rest.n) {
        rule.has_summer = true;
        take_name(&in);
        rule.summer_s = rule.standard_s + 3600;
        if (in.rest.n && in.rest.p[0] != ',')
            rule.summer_s = -take_time(&in, OFFSET_H_MAX);
        rule.start = take_day(&in);
        rule.end = take_day(&in);
    }
    if (in.is_bad || in.rest.n)
        return false;
    *out_rule = rule;
    return true;
}

/* Days since 1970 on which the day falls in a year. */
static int64_t days_of(const struct zone_day *day, int year)
{
    int64_t new_year = th_date_days(year, 1, 1);

    switch (day->kind) {
    case ZONE_DAY_OF_YEAR:
        return new_year + day->day;
    case ZONE_DAY_WITHOUT_LEAP:
        return new_year + day->day - 1 + (day->day >= 60 && th_date_month_days(year, 2) == 29);
    case ZONE_DAY_OF_WEEK:
        break;
    }
    int64_t first = th_date_days(year, day->month, 1);
    int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    int64_t of_month = (day->weekday - weekday + 7) % 7 + 7 * (int64_t)(day->week - 1);
    if (of_month >= th_date_month_days(year, day->month))
        of_month -= 7;
    return first + of_month;
}

struct zone_stretch zone_rule_stretch(const struct zone_rule *rule, int64_t at_s)
{
    struct zone_stretch stretch = {INT64_MIN, INT64_MAX, rule->standard_s};
    int year = th_date_of_us(at_s * 1000000).year;

    if (!rule->has_summer)
        return stretch;
    /* Two years around: a change may lie a week outside of its year. Where summer time begins at
     * the moment at which it ends, as in a zone that always has it, the beginning counts. */
    for (int y = year - 2; y <= year + 2; y++) {
        int64_t end_s = days_of(&rule->end, y) * DAY_S + rule->end.time_s - rule->summer_s;
        int64_t start_s = days_of(&rule->start, y) * DAY_S + rule->start.time_s - rule->standard_s;

        if (end_s <= at_s && end_s > stretch.from_s) {
            stretch.from_s = end_s;
            stretch.offset_s = rule->standard_s;
        }
        if (start_s <= at_s && start_s >= stretch.from_s) {
            stretch.from_s = start_s;
            stretch.offset_s = rule->summer_s;
        }
        if (end_s > at_s && end_s < stretch.to_s)
            stretch.to_s = end_s;
        if (start_s > at_s && start_s < stretch.to_s)
            stretch.to_s = start_s;
    }
    return stretch;
}
