#include "common/eventlog/fill.h"

#include <assert.h>
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
    struct th_str tails[TOPIC_COUNT]; /* views into the session's cursors */
    bool is_sent;                     /* a transaction runs: what it makes of the two above */
    struct log_place sent_behind;
    uint64_t sent_records;
};

/* The place is one of the source, which may have more partitions than this log: so it lies in the
 * note of the first topic's cursor, as text, and the tail behind it; in each other topic's its
 * tail.
 */
static enum th_code parse_note(struct th_str note, struct log_fill *out, struct th_str *out_tail,
                               struct th_err *err)
{
    char text[NOTE_SIZE];
    int topic;
    int end = 0;

    snprintf(text, sizeof text, "%.*s", TH_ARG(note));
    int found = sscanf(text, "1 %d %d %" SCNd64 " %" SCNu64 "%n", &topic, &out->behind.part,
                       &out->behind.offset, &out->records, &end);
    bool has_tail = found == 4 && (size_t)end < note.n && note.p[end] == ' ';
    if (found != 4 || (!has_tail && (size_t)end != note.n) || topic < 0 || topic >= TOPIC_COUNT)
        return th_fail(err, TH_CORRUPT, "how far this log was filled cannot be understood: %s",
                       text);
    out->behind.topic = (enum topic)topic;
    *out_tail =
        has_tail ? (struct th_str){note.p + end + 1, note.n - (size_t)end - 1} : (struct th_str){0};
    return TH_OK;
}

static enum th_code resume(struct log_fill *fill, struct th_err *err)
{
    const struct log_cursor *cursors;
    size_t n;

    th_log_session_cursors(fill->session, &cursors, &n);
    for (size_t i = 0; i < n; i++) {
        enum topic topic = cursors[i].next.topic;
        if (topic == 0)
            TH_TRY(parse_note(cursors[i].note, fill, &fill->tails[0], err));
        else
            fill->tails[topic] = cursors[i].note;
    }
    return TH_OK;
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

struct th_str log_fill_tail(const struct log_fill *fill, enum topic topic)
{
    return fill->tails[topic];
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

/* The first topic's, which everybody has, and of the others those with a tail. */
static size_t make_cursors(const struct th_str *tails, struct th_str head,
                           struct log_cursor out[TOPIC_COUNT])
{
    size_t n = 0;

    out[n++] = (struct log_cursor){.note = head};
    for (int t = 1; tails && t < TOPIC_COUNT; t++)
        if (tails[t].n > 0)
            out[n++] = (struct log_cursor){.next = {(enum topic)t, 0, 0}, .note = tails[t]};
    return n;
}

enum th_code log_fill_put(struct log_fill *fill, const struct log_output *outputs,
                          const int64_t *at_us, size_t n, struct log_place behind,
                          const struct th_str *tails, struct th_err *err)
{
    char note[NOTE_SIZE + LOG_FILL_TAIL_MAX];
    struct log_cursor cursors[TOPIC_COUNT];
    struct th_str tail = tails ? tails[0] : (struct th_str){0};

    assert(tail.n <= LOG_FILL_TAIL_MAX);
    TH_TRY(log_fill_flush(fill, err));
    uint64_t records = fill->records + n;
    int size =
        snprintf(note, sizeof note, "1 %d %d %" PRId64 " %" PRIu64 "%s%.*s", (int)behind.topic,
                 behind.part, behind.offset, records, tail.n > 0 ? " " : "", TH_ARG(tail));
    size_t cursors_n = make_cursors(tails, (struct th_str){note, (size_t)size}, cursors);
    TH_TRY(th_log_commit_start(fill->session,
                               &(struct log_txn){.outputs = outputs,
                                                 .outputs_n = n,
                                                 .cursors = cursors,
                                                 .cursors_n = cursors_n,
                                                 .at_us = at_us},
                               err));
    fill->is_sent = true;
    fill->sent_behind = behind;
    fill->sent_records = records;
    return TH_OK;
}
