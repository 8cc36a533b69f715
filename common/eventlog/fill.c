#include "common/eventlog/fill.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define SLOT      0
#define WAIT_MS   100
#define WAIT_US   (120 * TH_US_PER_SEC) /* a commit is resolved long before */
#define NOTE_SIZE 96

struct log_fill {
    struct th_log_session *session;
    struct log_place behind; /* of what is committed */
    uint64_t records;
    bool is_sent; /* a transaction runs: what it makes of the two above */
    struct log_place sent_behind;
    uint64_t sent_records;
};

/* The place is one of the source, which may have more partitions than this log: so it lies in the
 * cursor's note, as text. */
static enum th_code parse_note(struct th_str note, struct log_fill *out, struct th_err *err)
{
    char text[NOTE_SIZE];
    int topic;
    int end = 0;

    snprintf(text, sizeof text, "%.*s", TH_ARG(note));
    int found = sscanf(text, "1 %d %d %" SCNd64 " %" SCNu64 "%n", &topic, &out->behind.part,
                       &out->behind.offset, &out->records, &end);
    if (found != 4 || (size_t)end != note.n || topic < 0 || topic >= TOPIC_COUNT)
        return th_fail(err, TH_CORRUPT, "how far this log was filled cannot be understood: %s",
                       text);
    out->behind.topic = (enum topic)topic;
    return TH_OK;
}

static enum th_code resume(struct log_fill *fill, struct th_err *err)
{
    const struct log_cursor *cursors;
    size_t n;

    th_log_session_cursors(fill->session, &cursors, &n);
    if (n == 0)
        return TH_OK;
    return parse_note(cursors[0].note, fill, err);
}

enum th_code log_fill_open(struct th_log *target, struct log_fill **out_fill, struct th_err *err)
{
    TH_AUTO(log_fill) struct log_fill *fill = calloc(1, sizeof *fill);

    if (!fill)
        return th_fail(err, TH_NOMEM, "filling a log");
    TH_TRY(th_log_session_open(target, LOG_APP_COPY, SLOT, &fill->session, err));
    TH_TRY(resume(fill, err));
    *out_fill = TH_TAKE(fill);
    return TH_OK;
}

void log_fill_close(struct log_fill *fill)
{
    if (!fill)
        return;
    th_log_session_close(fill->session, true);
    free(fill);
}

struct log_place log_fill_place(const struct log_fill *fill)
{
    return fill->behind;
}

uint64_t log_fill_records(const struct log_fill *fill)
{
    return fill->records;
}

/* --- one transaction after the other -----------------------------------------------------------
 */

static enum th_code await(struct log_fill *fill, struct th_err *err)
{
    int64_t until_us = th_clock_monotonic_us(&th_clock_real) + WAIT_US;
    struct th_err why = {0};
    bool is_answered;

    for (;;) {
        struct pollfd fd = {.fd = th_log_session_fd(fill->session), .events = POLLIN};
        switch (th_log_commit_poll(fill->session, NULL, &is_answered, &why)) {
        case LOG_COMMITTED:
            fill->behind = fill->sent_behind;
            fill->records = fill->sent_records;
            return TH_OK;
        case LOG_ABORTED:
            return th_fail(err, TH_ABORTED, "filling: %s", why.text);
        case LOG_FENCED:
            return th_fail(err, TH_FENCED, "somebody else fills this log: %s", why.text);
        case LOG_COMMIT_PENDING:
            break;
        }
        if (th_clock_monotonic_us(&th_clock_real) > until_us)
            return th_fail(err, TH_TIMEOUT, "filling: a commit without an answer");
        poll(&fd, 1, WAIT_MS);
    }
}

enum th_code log_fill_flush(struct log_fill *fill, struct th_err *err)
{
    if (!fill->is_sent)
        return TH_OK;
    enum th_code code = await(fill, err);
    fill->is_sent = code == TH_TIMEOUT;
    return code;
}

enum th_code log_fill_put(struct log_fill *fill, const struct log_output *outputs,
                          const int64_t *at_us, size_t n, struct log_place behind,
                          struct th_err *err)
{
    char note[NOTE_SIZE];

    TH_TRY(log_fill_flush(fill, err));
    uint64_t records = fill->records + n;
    int size = snprintf(note, sizeof note, "1 %d %d %" PRId64 " %" PRIu64, (int)behind.topic,
                        behind.part, behind.offset, records);
    const struct log_cursor cursor = {.next = {0, 0, 0}, .note = {note, (size_t)size}};
    TH_TRY(th_log_commit_start(
        fill->session,
        &(struct log_txn){
            .outputs = outputs, .outputs_n = n, .cursors = &cursor, .cursors_n = 1, .at_us = at_us},
        err));
    fill->is_sent = true;
    fill->sent_behind = behind;
    fill->sent_records = records;
    return TH_OK;
}
