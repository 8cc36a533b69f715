#include "common/eventlog/slot.h"

#include "common/log_line.h"

#include <assert.h>
#include <poll.h>

#define READ_BYTES_MAX ((size_t)1024 * 1024)
#define READ_ARENA_MAX ((size_t)16 * 1024 * 1024)
#define SCRATCH_MAX    ((size_t)64 * 1024 * 1024)
#define WAIT_MS        250
#define FAILED_WAIT_MS 1000

static const enum topic topics[] = {TOPIC_CONFIG, TOPIC_CONSENT_EVENTS, TOPIC_CAMPAIGN_CONTROL,
                                    TOPIC_LANE_HEALTH};
#define TOPICS_N TH_LEN(topics)

struct reference_follower {
    struct reference *ref;
    struct th_log_reader *reader;
    struct th_log_listener *listener;
    struct th_arena arena;
    struct th_arena scratch; /* of one decoded record */
    int64_t ends[TOPICS_N];  /* as of opening */
    int64_t folded_to[TOPICS_N];
};

static enum th_code open_all(struct reference_follower *follower, struct th_log *log,
                             struct th_err *err)
{
    struct log_place from[TOPICS_N];
    uint32_t bits = 0;

    for (size_t i = 0; i < TOPICS_N; i++) {
        from[i] = (struct log_place){topics[i], 0, 0};
        bits |= UINT32_C(1) << topics[i];
        TH_TRY(th_log_end(log, topics[i], 0, &follower->ends[i], err));
    }
    TH_TRY(th_log_reader_open(log, from, TOPICS_N, &follower->reader, err));
    return th_log_listener_open(log, bits, &follower->listener, err);
}

enum th_code reference_follower_open(struct th_log *log, struct reference *ref,
                                     struct reference_follower **out_follower, struct th_err *err)
{
    struct reference_follower *follower = calloc(1, sizeof *follower);

    if (!follower)
        return th_fail(err, TH_NOMEM, "reference follower");
    follower->ref = ref;
    th_arena_init(&follower->arena, READ_ARENA_MAX);
    th_arena_init(&follower->scratch, SCRATCH_MAX);
    if (open_all(follower, log, err) != TH_OK) {
        reference_follower_close(follower);
        return th_wrap(err, "reference follower");
    }
    *out_follower = follower;
    return TH_OK;
}

void reference_follower_close(struct reference_follower *follower)
{
    if (!follower)
        return;
    th_log_listener_close(follower->listener);
    th_log_reader_close(follower->reader);
    th_arena_fini(&follower->arena);
    th_arena_fini(&follower->scratch);
    free(follower);
}

static size_t index_of(enum topic topic)
{
    size_t i = 0;

    while (topics[i] != topic) {
        i++;
        assert(i < TOPICS_N);
    }
    return i;
}

/* What cannot be read counts all the same: versions must be the same in every process. */
static enum th_code fold(struct reference_follower *follower, const struct log_record *record)
{
    enum topic topic = record->place.topic;
    struct event event;

    th_arena_reset(&follower->scratch);
    enum th_code code = event_decode(record->value, &follower->scratch, &event, NULL);
    if (code == TH_NOMEM)
        return code;
    if (code == TH_OK)
        TH_TRY(reference_apply(follower->ref, topic, &event));
    else
        reference_skip(follower->ref, topic);
    follower->folded_to[index_of(topic)] = record->place.offset + 1;
    reference_note_read_to(follower->ref, topic, record->place.offset + 1);
    return TH_OK;
}

static enum th_code fold_all(struct reference_follower *follower, const struct log_records *records)
{
    enum th_code code = TH_OK;

    reference_write_lock(follower->ref);
    for (size_t i = 0; i < records->n && code == TH_OK; i++)
        code = fold(follower, &records->at[i]);
    reference_unlock(follower->ref);
    return code;
}

static void seek_back(struct reference_follower *follower)
{
    for (size_t i = 0; i < TOPICS_N; i++)
        th_log_reader_seek(follower->reader,
                           (struct log_place){topics[i], 0, follower->folded_to[i]});
}

enum th_code reference_follower_step(struct reference_follower *follower, bool *out_is_caught_up,
                                     struct th_err *err)
{
    struct log_records records;

    do {
        th_arena_reset(&follower->arena);
        th_log_listener_clear(follower->listener);
        if (th_log_reader_read(follower->reader, READ_BYTES_MAX, &follower->arena, &records, err) !=
            TH_OK)
            return th_wrap(err, "reference topics");
        enum th_code code = fold_all(follower, &records);
        if (code != TH_OK) {
            seek_back(follower);
            return th_fail(err, code, "reference: %s", th_code_text(code));
        }
    } while (records.n > 0);

    *out_is_caught_up = true;
    for (size_t i = 0; i < TOPICS_N; i++)
        *out_is_caught_up = *out_is_caught_up && follower->folded_to[i] >= follower->ends[i];
    return TH_OK;
}

void reference_follower_run(struct reference_follower *follower, int stop_fd)
{
    enum th_code last = TH_OK;
    struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN}, {.events = POLLIN}};

    do {
        struct th_err err = {0};
        bool is_caught_up;
        enum th_code code = reference_follower_step(follower, &is_caught_up, &err);
        if (code != TH_OK && code != last)
            th_log_error(TH_LOG_WARN, "reference.failed", &err);
        last = code;
        /* after a failure a hint would only make us fail again at once */
        fds[1].fd = code == TH_OK ? th_log_listener_fd(follower->listener) : -1;
        poll(fds, TH_LEN(fds), code == TH_OK ? WAIT_MS : FAILED_WAIT_MS);
    } while (!fds[0].revents);
}
