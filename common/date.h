/* date.h - a moment as year, month, day and time of day, and as text.
 *
 * Pure; the proleptic Gregorian calendar of the years 1 to 9999, no leap seconds. A moment
 * outside of them is taken for the nearest one inside.
 */
#ifndef TELEHUB_COMMON_DATE_H
#define TELEHUB_COMMON_DATE_H

#include "common/err.h"
#include "common/str.h"

#define TH_DATE_MIN_US   (INT64_C(-62135596800) * 1000000)          /* 0001-01-01T00:00:00Z */
#define TH_DATE_MAX_US   (INT64_C(253402300799) * 1000000 + 999999) /* the end of 9999 */
#define TH_DATE_TEXT_LEN 27

struct th_date {
    int year;    /* 1 to 9999 */
    int month;   /* 1 to 12 */
    int day;     /* 1 to 31 */
    int hour;    /* 0 to 23 */
    int minute;  /* 0 to 59 */
    int second;  /* 0 to 59 */
    int us;      /* 0 to 999999 */
    int weekday; /* 0 is Sunday; a result only */
};

/* Microseconds since 1970 without any zone, both ways. date must be valid. */
struct th_date th_date_of_us(int64_t us);
int64_t th_date_us(const struct th_date *date);

/* Every field within its bounds, the day within its month. */
bool th_date_is_valid(const struct th_date *date);

/* Days since 1970-01-01; month and day must exist. */
int64_t th_date_days(int year, int month, int day);

/* Days of a month, 28 to 31. */
int th_date_month_days(int year, int month);

/* RFC 3339 in UTC, always this long: "2026-11-02T10:00:00.000000Z". */
void th_date_text(int64_t us, char out_text[TH_DATE_TEXT_LEN + 1]);

/* RFC 3339 with any offset; digits past the microsecond are cut, second 60 is the next minute's
 * first. False if text is anything else; *out_us is then untouched. */
TH_MUST_USE
bool th_date_parse_rfc3339(struct th_str text, int64_t *out_us);

/* The dates of mail and of some providers: "Mon, 02 Nov 2026 10:00:00 +0000" (RFC 2822, 3.3, and
 * "GMT", "UT" of 4.3; years of four digits, no comments). The name of the day is not checked. */
TH_MUST_USE
bool th_date_parse_rfc2822(struct th_str text, int64_t *out_us);

#endif
