/* What filling a log from another asks of it besides reading and committing: its mark, and where
 * its slots stand. */
#include <stdio.h>

#include "connectors/kafka/kafka_anchor.h"
#include "connectors/kafka/kafka_wire.h"

/* --- the mark --------------------------------------------------------------------------------- */

/* Version, mark (1 byte each), origin. A later record replaces an earlier one. */
#define MARK_VERSION 1

enum th_code kafka_set_mark(struct th_log *base, enum log_mark mark, const char *origin,
                            struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    TH_AUTO(th_buf) struct th_buf value = {0};

    wire_put(&value, MARK_VERSION, 1);
    wire_put(&value, (uint64_t)mark, 1);
    th_buf_add(&value, th_str(origin));
    if (th_buf_status(&value) != TH_OK)
        return th_fail(err, TH_NOMEM, "a mark");
    return kafka_write_meta(&log->config, log->scout, TH_STR(KAFKA_MARK_KEY), th_buf_str(&value),
                            err);
}

enum th_code kafka_take_mark(struct kafka_log *log, struct th_str value, struct th_err *err)
{
    struct wire wire = {.rest = value};
    uint64_t version = wire_take(&wire, 1);
    uint64_t mark = wire_take(&wire, 1);

    if (wire.is_cut || version != MARK_VERSION || mark > LOG_MARK_MOVED ||
        wire.rest.n != LOG_ID_LEN)
        return th_fail(err, TH_CORRUPT, "%s holds a mark that is not known",
                       log->inner[KAFKA_META]);
    log->base.mark = (enum log_mark)mark;
    snprintf(log->base.origin, sizeof log->base.origin, "%.*s", TH_ARG(wire.rest));
    return TH_OK;
}

/* --- where a slot stands ---------------------------------------------------------------------- */

static enum th_code copy_cursors(const struct kafka_cursors *from, struct th_arena *arena,
                                 struct log_cursor **out_cursors)
{
    struct log_cursor *cursors = th_arena_array(arena, from->n + 1, sizeof *cursors);

    if (!cursors)
        return TH_NOMEM;
    for (size_t i = 0; i < from->n; i++) {
        cursors[i].next = from->at[i].next;
        TH_TRY(th_arena_copy(arena, from->at[i].note, &cursors[i].note));
    }
    *out_cursors = cursors;
    return TH_OK;
}

enum th_code kafka_slot_cursors(struct th_log *base, enum log_app app, int slot,
                                struct th_arena *arena, struct log_cursor **out_cursors,
                                size_t *out_n, struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    struct kafka_cursors cursors = {0};
    struct log_cursor *copied = NULL;
    struct kafka_anchor anchor;
    struct kafka_seat seat;

    kafka_seat_of(log, app, slot, &seat);
    TH_TRY(kafka_anchor_read(log, &seat, true, &anchor, err));
    if (!anchor.exists)
        TH_TRY(kafka_anchor_recover(log, &seat, log->config.open_timeout_ms, &anchor, err));
    TH_TRY(kafka_anchor_cursors(log, &seat, &anchor, &cursors, err));
    enum th_code code = copy_cursors(&cursors, arena, &copied);
    size_t n = cursors.n;
    kafka_cursors_fini(&cursors);
    if (code != TH_OK)
        return th_fail(err, code, "%zu cursors", n);
    *out_cursors = copied;
    *out_n = n;
    return TH_OK;
}
