/* kafka_cursors.h - what a slot's transaction writes into the journal: its number, and the slot's
 * cursors, whole.
 *
 * Offset metadata hold 4,096 characters of text, a cursor's note 4,096 bytes of anything; so the
 * notes lie in a record, and the anchor says where. The number stands in both: brokers forget the
 * offsets of a group that rests. Pure. Bytes from the log are checked.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_CURSORS_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_CURSORS_H

#include "common/buf.h"
#include "common/eventlog/log.h"

struct kafka_cursors {
    struct log_cursor *at; /* owned, the notes' bytes behind the array */
    size_t n;
};

void kafka_cursors_fini(struct kafka_cursors *cursors);

/* Errors: TH_NOMEM */
TH_MUST_USE
enum th_code kafka_cursors_copy(const struct log_cursor *from, size_t n, struct kafka_cursors *out,
                                struct th_err *err);

/* Adds to buf; whether there was memory says th_buf_status. */
void kafka_cursors_encode(uint64_t seq, const struct log_cursor *cursors, size_t n,
                          struct th_buf *buf);

/* Errors: TH_NOMEM, TH_CORRUPT */
TH_MUST_USE
enum th_code kafka_cursors_decode(struct th_str bytes, uint64_t *out_seq, struct kafka_cursors *out,
                                  struct th_err *err);

#endif
