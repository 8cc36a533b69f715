/* zone.h - a time zone: UTC to local time and back, from the system's zone files.
 *
 * Reads TZif of version 2 and later (RFC 8536) with its footer, so that the future is known as far
 * as the law is. A file is checked whole before it is believed. Any thread may ask a zone.
 */
#ifndef TELEHUB_COMMON_ZONE_H
#define TELEHUB_COMMON_ZONE_H

#include "common/date.h"
#include "common/err.h"

#define TH_ZONE_FOLDER   "/usr/share/zoneinfo"
#define TH_ZONE_NAME_MAX 64
#define TH_ZONE_FILE_MAX 262144

struct th_zone;

struct th_zone_time {
    struct th_date date; /* the local one, with its weekday */
    int offset_s;        /* seconds east of UTC, then and there */
};

/* name is "Asia/Kolkata", from whomever: it cannot leave the folder.
 * Errors: TH_INVALID      no name of a zone
 *         TH_NOT_FOUND    no such zone
 *         TH_MALFORMED    the file is no zone, or TH_UNSUPPORTED: version 1, leap seconds
 *         TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code th_zone_open(const char *folder, struct th_str name, struct th_zone **out_zone,
                          struct th_err *err);

/* The same of a file's bytes, which are not kept. Pure. */
TH_MUST_USE
enum th_code th_zone_parse(struct th_str bytes, struct th_zone **out_zone, struct th_err *err);

void th_zone_close(struct th_zone *zone);
TH_AUTO_DEFINE(th_zone, struct th_zone *, th_zone_close)

/* Microseconds UTC, taken into the years 1 to 9999. */
struct th_zone_time th_zone_local(const struct th_zone *zone, int64_t utc_us);

/* The moment at which clocks show local (valid; its weekday is not read). Of two such moments,
 * when clocks are set back, the first. Of none, when they are set forward, the moment that it
 * would have been without that: 02:30 in a gap from 2 to 3 is 03:30. */
int64_t th_zone_utc_us(const struct th_zone *zone, const struct th_date *local);

#endif
