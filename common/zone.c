#include "common/zone.h"

#include "common/zone_rule.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define HEADER_SIZE     44
#define TYPES_MAX       256
#define TRANSITIONS_MAX 4096
#define OFFSET_MIN_S    (-89999) /* RFC 8536, 3.2: a day and an hour, a second less */
#define OFFSET_MAX_S    93599
#define US_PER_S        INT64_C(1000000)

struct transition {
    int64_t at_s; /* UTC; ascending */
    int offset_s; /* from then on */
};

struct th_zone {
    bool has_rule;
    struct zone_rule rule; /* from the last transition on */
    int first_offset_s;    /* before the first one */
    size_t count;
    struct transition transitions[];
};

/* The counts of a header (RFC 8536, 3.1). */
struct header {
    char version;
    size_t isut;
    size_t isstd;
    size_t leap;
    size_t time;
    size_t type;
    size_t chars;
};

/* What is still to be read of a file; p and n move on together. */
static const unsigned char *take(struct th_str *rest, size_t n)
{
    if (n > rest->n)
        return NULL;
    const unsigned char *p = (const unsigned char *)rest->p;
    rest->p += n;
    rest->n -= n;
    return p;
}

static int64_t read_int(const unsigned char *p, size_t size)
{
    uint64_t value = p[0] & 0x80 ? UINT64_MAX : 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | p[i];
    return (int64_t)value;
}

static bool take_header(struct th_str *rest, struct header *out)
{
    const unsigned char *p = take(rest, HEADER_SIZE);
    size_t *const counts[] = {&out->isut, &out->isstd, &out->leap,
                              &out->time, &out->type,  &out->chars};

    if (!p || memcmp(p, "TZif", 4) != 0)
        return false;
    out->version = (char)p[4];
    for (size_t i = 0; i < 6; i++)
        *counts[i] = (uint32_t)read_int(p + 20 + 4 * i, 4);
    return true;
}

/* Of version 1's block, which is there for old readers. Counts are 32 bits: no overflow. */
static size_t block_size(const struct header *header, size_t time_size)
{
    return header->time * (time_size + 1) + header->type * 6 + header->chars +
           header->leap * (time_size + 4) + header->isstd + header->isut;
}

static bool read_offset(const unsigned char *type, int *out_offset_s)
{
    int64_t offset_s = read_int(type, 4);

    *out_offset_s = (int)offset_s;
    return offset_s >= OFFSET_MIN_S && offset_s <= OFFSET_MAX_S && type[4] <= 1;
}

static bool fill(struct th_zone *zone, const struct header *header, struct th_str *rest)
{
    const unsigned char *times = take(rest, header->time * 8);
    const unsigned char *indices = take(rest, header->time);
    const unsigned char *types = take(rest, header->type * 6);
    int offsets[TYPES_MAX];

    if (!times || !indices || !types || !take(rest, header->chars + header->isstd + header->isut))
        return false;
    for (size_t i = 0; i < header->type; i++)
        if (!read_offset(types + 6 * i, &offsets[i]))
            return false;
    zone->first_offset_s = offsets[0];
    for (size_t i = 0; i < header->time; i++) {
        struct transition *at = &zone->transitions[i];

        if (indices[i] >= header->type)
            return false;
        *at = (struct transition){read_int(times + 8 * i, 8), offsets[indices[i]]};
        if (i && at->at_s <= at[-1].at_s)
            return false;
    }
    zone->count = header->time;
    return true;
}

/* Two newlines around a rule, or around nothing. */
static bool fill_rule(struct th_zone *zone, struct th_str rest)
{
    struct th_str text;

    if (rest.n < 2 || rest.p[0] != '\n')
        return false;
    rest = (struct th_str){rest.p + 1, rest.n - 1};
    if (!th_str_cut(rest, '\n', &text, &rest))
        return false;
    zone->has_rule = text.n > 0;
    return !zone->has_rule || zone_rule_parse(text, &zone->rule);
}

enum th_code th_zone_parse(struct th_str bytes, struct th_zone **out_zone, struct th_err *err)
{
    struct header header;
    struct th_str rest = bytes;

    if (!take_header(&rest, &header))
        return th_fail(err, TH_MALFORMED, "not a zone file");
    if (header.version < '2')
        return th_fail(err, TH_UNSUPPORTED, "a zone file of version 1");
    if (!take(&rest, block_size(&header, 4)) || !take_header(&rest, &header))
        return th_fail(err, TH_MALFORMED, "a zone file cut short");
    if (header.leap)
        return th_fail(err, TH_UNSUPPORTED, "a zone file that counts leap seconds");
    if (header.type == 0 || header.type > TYPES_MAX || header.time > TRANSITIONS_MAX)
        return th_fail(err, TH_MALFORMED, "a zone file with impossible counts");

    TH_AUTO(th_zone)
    struct th_zone *zone = calloc(1, sizeof *zone + header.time * sizeof zone->transitions[0]);
    if (!zone)
        return th_fail(err, TH_NOMEM, "zone");
    if (!fill(zone, &header, &rest) || !fill_rule(zone, rest))
        return th_fail(err, TH_MALFORMED, "a damaged zone file");
    *out_zone = TH_TAKE(zone);
    return TH_OK;
}

static bool is_name(struct th_str name)
{
    if (name.n == 0 || name.n > TH_ZONE_NAME_MAX || name.p[0] == '/')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        /* A dot is in none of the names that people use; without it ".." cannot be said. */
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '/' || c == '_' || c == '-' || c == '+'))
            return false;
    }
    return true;
}

static void close_file(FILE *file)
{
    if (file)
        (void)fclose(file);
}
TH_AUTO_DEFINE(file, FILE *, close_file)

enum th_code th_zone_open(const char *folder, struct th_str name, struct th_zone **out_zone,
                          struct th_err *err)
{
    char path[PATH_MAX];

    if (!is_name(name))
        return th_fail(err, TH_INVALID, "a time zone is named like Asia/Kolkata");
    if (snprintf(path, sizeof path, "%s/%.*s", folder, TH_ARG(name)) >= (int)sizeof path)
        return th_fail(err, TH_INVALID, "%s: too long a path", folder);

    TH_AUTO(file) FILE *file = fopen(path, "re");
    if (!file)
        return th_fail(err, errno == ENOENT || errno == ENOTDIR ? TH_NOT_FOUND : TH_IO,
                       "time zone %.*s: %s", TH_ARG(name), strerror(errno));
    TH_AUTO(free) void *bytes = malloc(TH_ZONE_FILE_MAX);
    if (!bytes)
        return th_fail(err, TH_NOMEM, "zone");
    size_t n = fread(bytes, 1, TH_ZONE_FILE_MAX, file);
    if (ferror(file)) /* a folder, for instance */
        return th_fail(err, errno == EISDIR ? TH_NOT_FOUND : TH_IO, "time zone %.*s: %s",
                       TH_ARG(name), strerror(errno));
    if (th_zone_parse((struct th_str){bytes, n}, out_zone, err) != TH_OK)
        return th_wrap(err, "time zone %.*s", TH_ARG(name));
    return TH_OK;
}

void th_zone_close(struct th_zone *zone)
{
    free(zone);
}

/* Transitions at or before at_s. */
static size_t count_past(const struct th_zone *zone, int64_t at_s)
{
    size_t low = 0;
    size_t high = zone->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->transitions[middle].at_s <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct zone_stretch stretch_at(const struct th_zone *zone, int64_t at_s)
{
    size_t past = count_past(zone, at_s);
    const struct transition *next = zone->transitions + past;

    if (past == zone->count && zone->has_rule) {
        struct zone_stretch stretch = zone_rule_stretch(&zone->rule, at_s);
        if (past && stretch.from_s < next[-1].at_s)
            stretch.from_s = next[-1].at_s;
        return stretch;
    }
    return (struct zone_stretch){
        .from_s = past ? next[-1].at_s : INT64_MIN,
        .to_s = past < zone->count ? next->at_s : INT64_MAX,
        .offset_s = past ? next[-1].offset_s : zone->first_offset_s,
    };
}

static int64_t seconds_of(int64_t us)
{
    return us / US_PER_S - (us % US_PER_S < 0); /* down, also before 1970 */
}

struct th_zone_time th_zone_local(const struct th_zone *zone, int64_t utc_us)
{
    if (utc_us < TH_DATE_MIN_US)
        utc_us = TH_DATE_MIN_US;
    if (utc_us > TH_DATE_MAX_US)
        utc_us = TH_DATE_MAX_US;
    int offset_s = stretch_at(zone, seconds_of(utc_us)).offset_s;
    return (struct th_zone_time){th_date_of_us(utc_us + offset_s * US_PER_S), offset_s};
}

int64_t th_zone_utc_us(const struct th_zone *zone, const struct th_date *local)
{
    int64_t local_us = th_date_us(local);
    int64_t local_s = seconds_of(local_us);
    /* Every moment that may be meant lies within the largest offset of what clocks show. */
    struct zone_stretch stretch = stretch_at(zone, local_s - OFFSET_MAX_S);

    for (;;) {
        /* Not before the stretch, else an earlier one would have had it or the gap before it. */
        int64_t utc_us = local_us - stretch.offset_s * US_PER_S;
        if (stretch.to_s == INT64_MAX || local_s - stretch.offset_s < stretch.to_s)
            return utc_us;
        struct zone_stretch next = stretch_at(zone, stretch.to_s);
        if (local_s - next.offset_s < next.from_s)
            return utc_us;
        stretch = next;
    }
}
