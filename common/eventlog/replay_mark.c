#include "common/eventlog/replay_mark.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/hash.h"

#define NUMBERS 16 /* base of offsets in a tail */

uint64_t replay_mark_asked(const struct replay_filter *filter, int slots)
{
    uint64_t hash = th_hash64(filter->tenant, 1);
    const int64_t numbers[] = {filter->has_campaign, filter->from_us, filter->to_us, slots};

    hash = th_hash64((struct th_str){(const char *)filter->campaign.b, sizeof filter->campaign.b},
                     hash);
    return th_hash64((struct th_str){(const char *)numbers, sizeof numbers}, hash);
}

void replay_mark_fini(struct replay_mark *mark)
{
    for (int t = 0; t < TOPIC_COUNT; t++)
        th_buf_fini(&mark->tails[t]);
}

/* --- writing ------------------------------------------------------------------------------------
 */

static void write_places(const struct replay_merge *merge, enum topic topic, struct th_buf *out)
{
    int parts = replay_merge_partitions(merge, topic);

    for (int part = 0; part < parts; part++)
        th_buf_printf(out, "%s%" PRIx64, out->n > 0 ? " " : "",
                      (uint64_t)replay_merge_place(merge, topic, part));
}

enum th_code replay_mark_write(struct replay_mark *mark, const struct replay_merge *merge,
                               struct th_str out[TOPIC_COUNT], struct th_err *err)
{
    for (int t = 0; t < TOPIC_COUNT; t++) {
        struct th_buf *tail = &mark->tails[t];
        th_buf_clear(tail);
        if (t == 0)
            th_buf_printf(tail, "%016" PRIx64 " %s %s", mark->asked, mark->is_done ? "done" : "on",
                          merge ? "merged" : "scanned");
        if (merge)
            write_places(merge, (enum topic)t, tail);
        if (th_buf_status(tail) != TH_OK)
            return th_fail(err, TH_NOMEM, "a replay's place");
        if (tail->n > LOG_FILL_TAIL_MAX)
            return th_fail(err, TH_FULL,
                           "%s has so many partitions that it cannot be kept where each stands: "
                           "replay at --speed max",
                           topic_name((enum topic)t));
        out[t] = th_buf_str(tail);
    }
    return TH_OK;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static bool parse_hex(struct th_str text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        *out = *out * NUMBERS + (uint64_t)digit;
    }
    return text.n > 0 && text.n <= 16;
}

/* The three words in front of the first topic's places. */
static bool parse_head(struct th_str tail, struct replay_mark *out, struct th_str *out_rest)
{
    struct th_str asked;
    struct th_str state;
    struct th_str form;

    th_str_cut(tail, ' ', &asked, &tail);
    th_str_cut(tail, ' ', &state, &tail);
    th_str_cut(tail, ' ', &form, out_rest);
    out->is_done = th_str_eq(state, TH_STR("done"));
    out->is_merged = th_str_eq(form, TH_STR("merged"));
    return parse_hex(asked, &out->asked) && (out->is_done || th_str_eq(state, TH_STR("on"))) &&
           (out->is_merged || th_str_eq(form, TH_STR("scanned")));
}

static enum th_code nonsense(struct th_err *err)
{
    return th_fail(err, TH_CORRUPT, "how far the replay came cannot be understood");
}

enum th_code replay_mark_read(const struct log_fill *fill, struct replay_mark *out,
                              bool *out_is_there, struct th_err *err)
{
    struct th_str tail = log_fill_tail(fill, 0);
    struct th_str rest;

    *out_is_there = tail.n > 0;
    if (tail.n > 0 && !parse_head(tail, out, &rest))
        return nonsense(err);
    return TH_OK;
}

static bool seek_topic(struct replay_merge *merge, enum topic topic, struct th_str places)
{
    int parts = replay_merge_partitions(merge, topic);
    struct th_str word;
    uint64_t offset;

    for (int part = 0; part < parts; part++) {
        th_str_cut(places, ' ', &word, &places);
        if (!parse_hex(word, &offset) || offset > INT64_MAX)
            return false;
        replay_merge_seek(merge, topic, part, (int64_t)offset);
    }
    return places.n == 0;
}

/* A scan has all of the partitions before its place. */
static void seek_scanned(struct replay_merge *merge, struct log_place behind)
{
    for (int t = 0; t < TOPIC_COUNT; t++)
        for (int part = 0; part < replay_merge_partitions(merge, (enum topic)t); part++) {
            bool is_before =
                t < (int)behind.topic || (t == (int)behind.topic && part < behind.part);
            if (is_before)
                replay_merge_seek(merge, (enum topic)t, part, INT64_MAX);
            else if (t == (int)behind.topic && part == behind.part)
                replay_merge_seek(merge, (enum topic)t, part, behind.offset);
        }
}

enum th_code replay_mark_seek(const struct replay_mark *mark, const struct log_fill *fill,
                              struct replay_merge *merge, struct th_err *err)
{
    struct replay_mark again;

    if (!mark->is_merged) {
        seek_scanned(merge, log_fill_place(fill));
        return TH_OK;
    }
    for (int t = 0; t < TOPIC_COUNT; t++) {
        struct th_str places = log_fill_tail(fill, (enum topic)t);
        if (t == 0 && !parse_head(places, &again, &places))
            return nonsense(err);
        if (!seek_topic(merge, (enum topic)t, places))
            return nonsense(err);
    }
    return TH_OK;
}
