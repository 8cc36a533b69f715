/* zone_rule.h - the rule by which a time zone goes on for ever: a POSIX TZ string.
 *
 * Pure. "IST-5:30", "CET-1CEST,M3.5.0,M10.5.0/3"; with RFC 8536's extension, hours of a rule reach
 * from -167 to 167.
 */
#ifndef TELEHUB_COMMON_ZONE_RULE_H
#define TELEHUB_COMMON_ZONE_RULE_H

#include "common/err.h"
#include "common/str.h"

enum zone_day_kind {
    ZONE_DAY_WITHOUT_LEAP, /* J1 to J365: February 29 is never counted */
    ZONE_DAY_OF_YEAR,      /* 0 to 365 */
    ZONE_DAY_OF_WEEK,      /* the week-th weekday of a month, 5 is the last */
};

struct zone_day {
    enum zone_day_kind kind;
    int day;     /* of the first two kinds */
    int month;   /* 1 to 12 */
    int week;    /* 1 to 5 */
    int weekday; /* 0 is Sunday */
    int time_s;  /* local time of that day at which it happens */
};

struct zone_rule {
    int standard_s; /* seconds east of UTC */
    int summer_s;   /* the same during summer time */
    bool has_summer;
    struct zone_day start; /* of summer time; only if has_summer */
    struct zone_day end;
};

/* One stretch of time with one offset. */
struct zone_stretch {
    int64_t from_s; /* UTC seconds since 1970, inclusive; INT64_MIN: always was */
    int64_t to_s;   /* exclusive; INT64_MAX: for ever */
    int offset_s;   /* seconds east of UTC */
};

/* False if text is no such string. */
TH_MUST_USE
bool zone_rule_parse(struct th_str text, struct zone_rule *out_rule);

/* The stretch that at_s lies in, as if the rule had always held. at_s within the years 1 to 9999.
 */
struct zone_stretch zone_rule_stretch(const struct zone_rule *rule, int64_t at_s);

#endif
