/* fill.h - a marked log is filled from elsewhere, each record once.
 *
 * Records and how far the source was read are committed together, by the one who holds slot 0 of
 * LOG_APP_COPY in the log that is filled; so whoever goes on after a kill -9 finds what is there
 * and where to go on. One thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_FILL_H
#define TELEHUB_COMMON_EVENTLOG_FILL_H

#include "common/eventlog/log.h"

struct log_fill;

/* Errors: as th_log_session_open; TH_CORRUPT (what it says of the source makes no sense) */
TH_MUST_USE
enum th_code log_fill_open(struct th_log *target, struct log_fill **out_fill, struct th_err *err);

/* Up to where the source was read by what is committed: {0} at first. */
struct log_place log_fill_place(const struct log_fill *fill);

/* Records committed so far, by all who filled it. */
uint64_t log_fill_records(const struct log_fill *fill);

/* What whoever filled it last wrote down beside the place; nothing: n == 0. Valid until the next
 * put.
 */
#define LOG_FILL_TAIL_MAX 3900 /* bytes of printable text, of each topic */
struct th_str log_fill_tail(const struct log_fill *fill, enum topic topic);

/* Send a transaction off, when the one before is committed; everything is copied. outputs may be
 * none. at_us: of each output. tails: TOPIC_COUNT texts to be found by log_fill_tail when it is
 * opened again; NULL: none.
 * Errors: TH_ABORTED  of the one before nothing happened, and this one was not sent: read again
 *                     from log_fill_place on
 *         TH_FENCED   somebody else fills this log now
 *         TH_UNAVAILABLE, TH_NOMEM, TH_INVALID */
TH_MUST_USE
enum th_code log_fill_put(struct log_fill *fill, const struct log_output *outputs,
                          const int64_t *at_us, size_t n, struct log_place behind,
                          const struct th_str *tails, struct th_err *err);

/* Wait for the last one. Errors: as log_fill_put */
TH_MUST_USE
enum th_code log_fill_flush(struct log_fill *fill, struct th_err *err);

/* Without flush: what was not committed is not said to be. Accepts NULL. */
void log_fill_close(struct log_fill *fill);

TH_AUTO_DEFINE(log_fill, struct log_fill *, log_fill_close)

#endif
