#include "common/eventlog/scan.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "common/clock.h"

#define HIDDEN_US      (60 * TH_US_PER_SEC)
#define HIDDEN_POLL_MS 20

struct log_scan {
    struct th_log *log;
    struct th_log_reader *reader; /* of the partition at hand; NULL: none is open */
    struct log_place at;
    int64_t passed; /* offsets of partitions before it */
    int64_t size;
    size_t first[TOPIC_COUNT]; /* index of a topic's partition 0 */
    int64_t ends[];
};

static int64_t end_of(const struct log_scan *scan, int topic, int part)
{
    return scan->ends[scan->first[topic] + (size_t)part];
}

static size_t partitions_of(const struct th_log *log)
{
    size_t n = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        n += (size_t)th_log_partitions(log, (enum topic)topic);
    return n;
}

static bool lies_before(enum topic topic, int part, struct log_place place)
{
    return topic < place.topic || (topic == place.topic && part < place.part);
}

static enum th_code look_at_ends(struct log_scan *scan, struct th_err *err)
{
    size_t n = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        scan->first[topic] = n;
        for (int part = 0; part < th_log_partitions(scan->log, (enum topic)topic); part++, n++) {
            TH_TRY(th_log_end(scan->log, (enum topic)topic, part, &scan->ends[n], err));
            scan->size += scan->ends[n];
            if (lies_before((enum topic)topic, part, scan->at))
                scan->passed += scan->ends[n];
        }
    }
    return TH_OK;
}

enum th_code log_scan_open(struct th_log *log, struct log_place from, struct log_scan **out_scan,
                           struct th_err *err)
{
    TH_AUTO(log_scan)
    struct log_scan *scan = calloc(1, sizeof *scan + partitions_of(log) * sizeof scan->ends[0]);

    if (!scan)
        return th_fail(err, TH_NOMEM, "a scan");
    if ((unsigned)from.topic >= TOPIC_COUNT || from.part < 0 ||
        from.part >= th_log_partitions(log, from.topic) || from.offset < 0)
        return th_fail(err, TH_INVALID, "a scan from a place that there is not");
    scan->log = log;
    scan->at = from;
    TH_TRY(look_at_ends(scan, err));
    *out_scan = TH_TAKE(scan);
    return TH_OK;
}

void log_scan_close(struct log_scan *scan)
{
    if (!scan)
        return;
    th_log_reader_close(scan->reader);
    free(scan);
}

/* What was trimmed away is not there to be read. */
static enum th_code skip_trimmed(struct log_scan *scan, struct th_err *err)
{
    int64_t start;

    if (scan->at.offset > 0)
        return TH_OK;
    TH_TRY(th_log_start(scan->log, scan->at.topic, scan->at.part, &start, err));
    scan->at.offset = start;
    return TH_OK;
}

/* False: there is none behind this one. */
static bool go_to_next(struct log_scan *scan)
{
    int end = th_log_partitions(scan->log, scan->at.topic);

    th_log_reader_close(scan->reader);
    scan->reader = NULL;
    if (scan->at.part + 1 == end && scan->at.topic == TOPIC_COUNT - 1)
        return false;
    scan->passed += end_of(scan, (int)scan->at.topic, scan->at.part);
    scan->at = scan->at.part + 1 < end ? (struct log_place){scan->at.topic, scan->at.part + 1, 0}
                                       : (struct log_place){(enum topic)(scan->at.topic + 1), 0, 0};
    return true;
}

/* What was committed after the scan was opened is not part of it. */
static void cut(struct log_records *records, int64_t end)
{
    while (records->n > 0 && records->at[records->n - 1].place.offset >= end)
        records->n--;
}

static enum th_code read_some(struct log_scan *scan, size_t bytes_max, int64_t end,
                              struct th_arena *arena, struct log_records *out, struct th_err *err)
{
    int64_t until_us = th_clock_monotonic_us(&th_clock_real) + HIDDEN_US;

    if (!scan->reader)
        TH_TRY(th_log_reader_open(scan->log, &scan->at, 1, &scan->reader, err));
    for (;;) {
        TH_TRY(th_log_reader_read(scan->reader, bytes_max, arena, out, err));
        if (out->n > 0)
            break;
        if (th_clock_monotonic_us(&th_clock_real) > until_us)
            return th_fail(err, TH_UNAVAILABLE,
                           "%s/%d ends at %" PRId64 ", but what lies at %" PRId64 " does not come",
                           topic_name(scan->at.topic), scan->at.part, end, scan->at.offset);
        poll(NULL, 0, HIDDEN_POLL_MS);
    }
    scan->at.offset = out->at[out->n - 1].place.offset + 1;
    cut(out, end);
    return TH_OK;
}

enum th_code log_scan_next(struct log_scan *scan, size_t bytes_max, struct th_arena *arena,
                           struct log_records *out, struct log_place *out_behind,
                           struct th_err *err)
{
    int64_t end;

    *out = (struct log_records){0};
    for (;;) {
        end = end_of(scan, (int)scan->at.topic, scan->at.part);
        if (end > 0)
            TH_TRY(skip_trimmed(scan, err));
        if (scan->at.offset < end)
            break;
        if (!go_to_next(scan)) {
            *out_behind = scan->at;
            return TH_OK;
        }
    }
    TH_TRY(read_some(scan, bytes_max, end, arena, out, err));
    if (scan->at.offset > end)
        scan->at.offset = end;
    *out_behind = scan->at;
    return TH_OK;
}

void log_scan_progress(const struct log_scan *scan, int64_t *out_done, int64_t *out_size)
{
    *out_done = scan->passed + scan->at.offset;
    *out_size = scan->size;
}
