#include "common/date.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define US_PER_SEC  INT64_C(1000000)
#define SEC_PER_DAY 86400
#define JULIAN_1970 2440588 /* the Julian day number of 1970-01-01 */

int64_t th_date_days(int year, int month, int day)
{
    /* Years that begin in March have their leap day at the end. */
    int64_t before_march = (14 - month) / 12;
    int64_t y = year + 4800 - before_march;
    int64_t m = month + 12 * before_march - 3;

    return day + (153 * m + 2) / 5 + 365 * y + y / 4 - y / 100 + y / 400 - 32045 - JULIAN_1970;
}

int th_date_month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && is_leap);
}

/* Richards' algorithm (Explanatory Supplement to the Astronomical Almanac, 15.11.3). */
static void set_day(struct th_date *date, int64_t days)
{
    int64_t julian = days + JULIAN_1970;
    int64_t f = julian + 1401 + (4 * julian + 274277) / 146097 * 3 / 4 - 38;
    int64_t e = 4 * f + 3;
    int64_t h = 5 * (e % 1461 / 4) + 2;

    date->day = (int)(h % 153 / 5 + 1);
    date->month = (int)((h / 153 + 2) % 12 + 1);
    date->year = (int)(e / 1461 - 4716 + (14 - date->month) / 12);
    date->weekday = (int)((julian + 1) % 7);
}

struct th_date th_date_of_us(int64_t us)
{
    struct th_date date = {0};

    if (us < TH_DATE_MIN_US)
        us = TH_DATE_MIN_US;
    if (us > TH_DATE_MAX_US)
        us = TH_DATE_MAX_US;
    int64_t since_min_us = us - TH_DATE_MIN_US; /* never negative: division rounds down */
    int64_t sec = since_min_us / US_PER_SEC;
    int of_day = (int)(sec % SEC_PER_DAY);

    set_day(&date, sec / SEC_PER_DAY + TH_DATE_MIN_US / US_PER_SEC / SEC_PER_DAY);
    date.hour = of_day / 3600;
    date.minute = of_day / 60 % 60;
    date.second = of_day % 60;
    date.us = (int)(since_min_us % US_PER_SEC);
    return date;
}

bool th_date_is_valid(const struct th_date *date)
{
    return date->year >= 1 && date->year <= 9999 && date->month >= 1 && date->month <= 12 &&
           date->day >= 1 && date->day <= th_date_month_days(date->year, date->month) &&
           date->hour >= 0 && date->hour <= 23 && date->minute >= 0 && date->minute <= 59 &&
           date->second >= 0 && date->second <= 59 && date->us >= 0 && date->us <= 999999;
}

int64_t th_date_us(const struct th_date *date)
{
    assert(th_date_is_valid(date));
    int64_t sec = th_date_days(date->year, date->month, date->day) * SEC_PER_DAY +
                  date->hour * INT64_C(3600) + date->minute * INT64_C(60) + date->second;
    return sec * US_PER_SEC + date->us;
}

void th_date_text(int64_t us, char out_text[TH_DATE_TEXT_LEN + 1])
{
    struct th_date date = th_date_of_us(us);

    (void)snprintf(out_text, TH_DATE_TEXT_LEN + 1, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", date.year,
                   date.month, date.day, date.hour, date.minute, date.second, date.us);
}

/* What is still to be read of a text; once something did not fit, is_bad and nothing more fits. */
struct reader {
    struct th_str rest;
    bool is_bad;
};

static int take_digits(struct reader *in, size_t min, size_t max)
{
    size_t n = 0;
    int value = 0;

    while (n < in->rest.n && n < max && in->rest.p[n] >= '0' && in->rest.p[n] <= '9')
        value = value * 10 + (in->rest.p[n++] - '0');
    if (n < min)
        in->is_bad = true;
    in->rest.p += n;
    in->rest.n -= n;
    return value;
}

/* One character that is in set (a NUL is in none); 0 if there is none. */
static char take_any(struct reader *in, const char *set)
{
    if (in->rest.n == 0 || !in->rest.p[0] || !strchr(set, in->rest.p[0]))
        return '\0';
    in->rest.n--;
    return *in->rest.p++;
}

static void take(struct reader *in, const char *set)
{
    if (!take_any(in, set))
        in->is_bad = true;
}

/* Microseconds of as many digits as follow. */
static int take_fraction(struct reader *in)
{
    int us = 0;
    int scale = 100000;

    for (int n = 0; in->rest.n && in->rest.p[0] >= '0' && in->rest.p[0] <= '9'; n++) {
        us += (*in->rest.p - '0') * scale;
        scale /= 10;
        in->rest.p++;
        in->rest.n--;
    }
    return us;
}

static void take_time_of_day(struct reader *in, struct th_date *date, bool needs_second)
{
    date->hour = take_digits(in, 2, 2);
    take(in, ":");
    date->minute = take_digits(in, 2, 2);
    if (take_any(in, ":"))
        date->second = take_digits(in, 2, 2);
    else
        in->is_bad |= needs_second;
}

/* "+05:30" or, without a colon, "+0530": microseconds east of UTC. */
static int64_t take_offset(struct reader *in, bool has_colon)
{
    char sign = take_any(in, "+-");
    int hours = take_digits(in, 2, 2);

    if (has_colon)
        take(in, ":");
    int minutes = take_digits(in, 2, 2);
    if (!sign || hours > 23 || minutes > 59)
        in->is_bad = true;
    int64_t us = (hours * INT64_C(60) + minutes) * 60 * US_PER_SEC;
    return sign == '-' ? -us : us;
}

static bool finish(const struct reader *in, struct th_date date, int64_t offset_us, int64_t *out_us)
{
    int64_t leap_us = date.second == 60 ? US_PER_SEC : 0;

    if (leap_us)
        date.second = 59;
    if (in->is_bad || in->rest.n || !th_date_is_valid(&date))
        return false;
    *out_us = th_date_us(&date) + leap_us - offset_us;
    return true;
}

bool th_date_parse_rfc3339(struct th_str text, int64_t *out_us)
{
    struct reader in = {.rest = text};
    struct th_date date = {0};
    int64_t offset_us = 0;

    date.year = take_digits(&in, 4, 4);
    take(&in, "-");
    date.month = take_digits(&in, 2, 2);
    take(&in, "-");
    date.day = take_digits(&in, 2, 2);
    take(&in, "Tt ");
    take_time_of_day(&in, &date, true);
    if (take_any(&in, ".")) {
        in.is_bad |= in.rest.n == 0 || in.rest.p[0] < '0' || in.rest.p[0] > '9';
        date.us = take_fraction(&in);
    }
    if (!take_any(&in, "Zz"))
        offset_us = take_offset(&in, true);
    return finish(&in, date, offset_us, out_us);
}

/* Index of the three-letter name that rest begins with, in any case, or -1. */
static int take_name(struct reader *in, const char *names)
{
    for (int i = 0; *names; i++, names += 3)
        if (in->rest.n >= 3 && strncasecmp(in->rest.p, names, 3) == 0) {
            in->rest.p += 3;
            in->rest.n -= 3;
            return i;
        }
    return -1;
}

static void skip_spaces(struct reader *in, bool needs_one)
{
    if (needs_one)
        take(in, " \t");
    while (take_any(in, " \t"))
        continue;
}

bool th_date_parse_rfc2822(struct th_str text, int64_t *out_us)
{
    struct reader in = {.rest = th_str_trim(text)};
    struct th_date date = {0};
    int64_t offset_us = 0;

    if (take_name(&in, "SunMonTueWedThuFriSat") >= 0) {
        take(&in, ",");
        skip_spaces(&in, false);
    }
    date.day = take_digits(&in, 1, 2);
    skip_spaces(&in, true);
    date.month = 1 + take_name(&in, "JanFebMarAprMayJunJulAugSepOctNovDec");
    skip_spaces(&in, true);
    date.year = take_digits(&in, 4, 4);
    skip_spaces(&in, true);
    take_time_of_day(&in, &date, false);
    skip_spaces(&in, true);
    if (!th_str_eq(in.rest, TH_STR("GMT")) && !th_str_eq(in.rest, TH_STR("UT")))
        offset_us = take_offset(&in, false);
    else
        in.rest.n = 0;
    return finish(&in, date, offset_us, out_us);
}
