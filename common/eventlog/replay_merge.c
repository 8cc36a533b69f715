#include "common/eventlog/replay_merge.h"

#include <poll.h>
#include <stdlib.h>

#include "common/clock.h"

#define PAGE_BYTES     ((size_t)64 * 1024)
#define ARENA_BYTES    ((size_t)8 * 1024 * 1024)
#define HIDDEN_US      (60 * TH_US_PER_SEC)
#define HIDDEN_POLL_MS 20

struct lane {
    struct log_place next; /* behind the page */
    int64_t end;
    struct th_arena arena;
    struct log_records page;
    size_t at; /* in it */
};

struct replay_merge {
    struct th_log *log;
    int64_t done;
    int64_t size;
    struct lane *first; /* what was looked at last; NULL: look again */
    size_t n;
    struct lane lanes[];
};

static bool is_at_end(const struct lane *lane)
{
    return lane->at == lane->page.n && lane->next.offset >= lane->end;
}

static enum th_code read_page(struct th_log_reader *reader, struct lane *lane, struct th_err *err)
{
    int64_t until_us = th_clock_monotonic_us(&th_clock_real) + HIDDEN_US;

    for (;;) {
        TH_TRY(th_log_reader_read(reader, PAGE_BYTES, &lane->arena, &lane->page, err));
        if (lane->page.n > 0)
            return TH_OK;
        if (th_clock_monotonic_us(&th_clock_real) > until_us)
            return th_fail(err, TH_UNAVAILABLE, "%s/%d: what is there does not come",
                           topic_name(lane->next.topic), lane->next.part);
        poll(NULL, 0, HIDDEN_POLL_MS);
    }
}

/* A reader for the time of a page: some hold a connection each, and there are hundreds of
 * partitions. */
static enum th_code refill(struct replay_merge *merge, struct lane *lane, struct th_err *err)
{
    struct th_log_reader *reader = NULL;

    th_arena_reset(&lane->arena);
    lane->page = (struct log_records){0};
    lane->at = 0;
    TH_TRY(th_log_reader_open(merge->log, &lane->next, 1, &reader, err));
    enum th_code code = read_page(reader, lane, err);
    th_log_reader_close(reader);
    TH_TRY(code);
    lane->next.offset = lane->page.at[lane->page.n - 1].place.offset + 1;
    while (lane->page.n > 0 && lane->page.at[lane->page.n - 1].place.offset >= lane->end)
        lane->page.n--;
    return TH_OK;
}

static enum th_code open_lanes(struct replay_merge *merge, struct th_err *err)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int part = 0; part < th_log_partitions(merge->log, (enum topic)topic); part++) {
            struct lane *lane = &merge->lanes[merge->n++];

            lane->next = (struct log_place){(enum topic)topic, part, 0};
            th_arena_init(&lane->arena, ARENA_BYTES);
            TH_TRY(th_log_end(merge->log, lane->next.topic, part, &lane->end, err));
            if (lane->end > 0)
                TH_TRY(th_log_start(merge->log, lane->next.topic, part, &lane->next.offset, err));
            merge->done += lane->next.offset;
            merge->size += lane->end;
        }
    return TH_OK;
}

enum th_code replay_merge_open(struct th_log *log, struct replay_merge **out_merge,
                               struct th_err *err)
{
    size_t n = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        n += (size_t)th_log_partitions(log, (enum topic)topic);
    TH_AUTO(replay_merge)
    struct replay_merge *merge = calloc(1, sizeof *merge + n * sizeof merge->lanes[0]);
    if (!merge)
        return th_fail(err, TH_NOMEM, "%zu partitions", n);
    merge->log = log;
    TH_TRY(open_lanes(merge, err));
    *out_merge = TH_TAKE(merge);
    return TH_OK;
}

void replay_merge_close(struct replay_merge *merge)
{
    if (!merge)
        return;
    for (size_t i = 0; i < merge->n; i++)
        th_arena_fini(&merge->lanes[i].arena);
    free(merge);
}

static int64_t time_of(const struct lane *lane)
{
    return lane->page.at[lane->at].at_us;
}

enum th_code replay_merge_look(struct replay_merge *merge, const struct log_record **out_record,
                               struct th_err *err)
{
    for (size_t i = 0; !merge->first && i < merge->n; i++) {
        struct lane *lane = &merge->lanes[i];
        if (lane->at == lane->page.n && !is_at_end(lane))
            TH_TRY(refill(merge, lane, err));
    }
    for (size_t i = 0; !merge->first && i < merge->n; i++)
        if (merge->lanes[i].at < merge->lanes[i].page.n)
            merge->first = &merge->lanes[i];
    if (!merge->first) {
        *out_record = NULL;
        return TH_OK;
    }
    for (size_t i = 0; i < merge->n; i++) {
        struct lane *lane = &merge->lanes[i];
        if (lane->at < lane->page.n && time_of(lane) < time_of(merge->first))
            merge->first = lane;
    }
    *out_record = &merge->first->page.at[merge->first->at];
    return TH_OK;
}

void replay_merge_pass(struct replay_merge *merge)
{
    struct lane *lane = merge->first;
    bool is_last = lane->at + 1 == lane->page.n;

    merge->done +=
        is_last ? lane->next.offset - lane->page.at[lane->at].place.offset
                : lane->page.at[lane->at + 1].place.offset - lane->page.at[lane->at].place.offset;
    lane->at++;
    merge->first = NULL;
}

static const struct lane *lane_of(const struct replay_merge *merge, enum topic topic, int part)
{
    size_t i = (size_t)part;

    for (int t = 0; t < (int)topic; t++)
        i += (size_t)th_log_partitions(merge->log, (enum topic)t);
    return &merge->lanes[i];
}

int replay_merge_partitions(const struct replay_merge *merge, enum topic topic)
{
    return th_log_partitions(merge->log, topic);
}

int64_t replay_merge_place(const struct replay_merge *merge, enum topic topic, int part)
{
    const struct lane *lane = lane_of(merge, topic, part);

    return lane->at < lane->page.n ? lane->page.at[lane->at].place.offset : lane->next.offset;
}

void replay_merge_seek(struct replay_merge *merge, enum topic topic, int part, int64_t offset)
{
    struct lane *lane = (struct lane *)lane_of(merge, topic, part);
    int64_t to = offset < lane->end ? offset : lane->end;

    if (to <= lane->next.offset)
        return;
    merge->done += to - lane->next.offset;
    lane->next.offset = to;
}

void replay_merge_progress(const struct replay_merge *merge, int64_t *out_done, int64_t *out_size)
{
    *out_done = merge->done < merge->size ? merge->done : merge->size;
    *out_size = merge->size;
}
