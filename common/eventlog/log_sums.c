#include "common/eventlog/log_sums.h"

#include <stdlib.h>
#include <string.h>

#include "common/eventlog/placement.h"
#include "common/eventlog/scan.h"
#include "common/hash.h"

#define READ_BYTES  ((size_t)1024 * 1024)
#define ARENA_BYTES ((size_t)16 * 1024 * 1024)
#define LOOK_BYTES  ((size_t)8 * 1024 * 1024)

/* One topic's chains: of each partition and range, the hash of all records so far. */
struct chains {
    struct log_sum at[LOG_PARTITIONS_MAX][LOG_SUMS_RANGES];
};

struct summing {
    struct th_log *log;
    const int *to;
    int slots;
    struct log_sums *out;
    struct chains *chains;
    enum topic topic; /* whose they are */
    struct th_arena arena;
    struct th_arena look;
};

static uint64_t with_number(uint64_t sum, uint64_t number)
{
    return th_hash64((struct th_str){(const char *)&number, sizeof number}, sum);
}

/* A topic has ended: its chains, partition after partition, become the sums. */
static void fold_topic(struct summing *s)
{
    for (int part = 0; part < s->to[s->topic]; part++)
        for (int range = 0; range < LOG_SUMS_RANGES; range++) {
            const struct log_sum *chain = &s->chains->at[part][range];
            struct log_sum *sum = &s->out->at[s->topic][range];

            sum->records += chain->records;
            sum->sum = with_number(sum->sum, chain->sum);
        }
    memset(s->chains, 0, sizeof *s->chains);
}

static void go_to_topic(struct summing *s, enum topic topic)
{
    for (; s->topic < topic; s->topic = (enum topic)(s->topic + 1))
        fold_topic(s);
}

static enum th_code add(struct summing *s, const struct log_record *record, struct th_err *err)
{
    enum topic topic = record->place.topic;
    const struct placement placement = {th_log_partitions(s->log, topic), s->to[topic], s->slots};
    int part;

    if (placement_of(&placement, record, &s->look, &part) != TH_OK)
        return th_fail(err, TH_NOMEM, "looking into a record");
    go_to_topic(s, topic);
    struct log_sum *chain =
        &s->chains->at[part][th_hash64(record->key, 0) >> 32 & (LOG_SUMS_RANGES - 1)];
    chain->sum = th_hash64(record->key, chain->sum);
    chain->sum = th_hash64(record->value, chain->sum);
    if (record->headers.n) /* so sums of logs that have none are what they always were */
        chain->sum = th_hash64(record->headers, chain->sum);
    chain->sum = with_number(chain->sum, (uint64_t)record->at_us);
    chain->records++;
    s->out->records++;
    s->out->bytes += log_record_size(record);
    return TH_OK;
}

static void tell(const struct summing *s, const struct log_scan *scan, const char *doing,
                 const struct log_watch *watch)
{
    struct log_progress progress = {
        .doing = doing, .records = s->out->records, .bytes = s->out->bytes};

    if (!watch->told)
        return;
    log_scan_progress(scan, &progress.done, &progress.size);
    watch->told(watch->arg, &progress);
}

static enum th_code sum_all(struct summing *s, const char *doing, const struct log_watch *watch,
                            struct th_err *err)
{
    TH_AUTO(log_scan) struct log_scan *scan = NULL;
    struct log_records records;
    struct log_place behind;

    TH_TRY(log_scan_open(s->log, (struct log_place){0}, &scan, err));
    do {
        th_arena_reset(&s->arena);
        TH_TRY(log_scan_next(scan, READ_BYTES, &s->arena, &records, &behind, err));
        for (size_t i = 0; i < records.n; i++)
            TH_TRY(add(s, &records.at[i], err));
        tell(s, scan, doing, watch);
    } while (records.n > 0);
    go_to_topic(s, TOPIC_COUNT - 1);
    fold_topic(s);
    return TH_OK;
}

enum th_code log_sums_of(struct th_log *log, const int to[TOPIC_COUNT], int slots,
                         const char *doing, const struct log_watch *watch, struct log_sums *out,
                         struct th_err *err)
{
    struct log_sums sums = {0};
    struct summing s = {.log = log, .to = to, .slots = slots, .out = &sums};

    s.chains = calloc(1, sizeof *s.chains);
    if (!s.chains)
        return th_fail(err, TH_NOMEM, "sums");
    th_arena_init(&s.arena, ARENA_BYTES);
    th_arena_init(&s.look, LOOK_BYTES);
    enum th_code code = sum_all(&s, doing, watch, err);
    th_arena_fini(&s.arena);
    th_arena_fini(&s.look);
    free(s.chains);
    if (code == TH_OK)
        *out = sums;
    return code;
}

bool log_sums_agree(const struct log_sums *a, const struct log_sums *b)
{
    bool agree = a->records == b->records && a->bytes == b->bytes;

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int range = 0; range < LOG_SUMS_RANGES; range++)
            agree = agree && a->at[topic][range].records == b->at[topic][range].records &&
                    a->at[topic][range].sum == b->at[topic][range].sum;
    return agree;
}

struct log_sum log_sums_range(const struct log_sums *sums, int range)
{
    struct log_sum all = {0};

    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        all.records += sums->at[topic][range].records;
        all.sum = with_number(all.sum, sums->at[topic][range].sum);
    }
    return all;
}
