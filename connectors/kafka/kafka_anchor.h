/* kafka_anchor.h - where a slot stands, as its consumer group's committed offset says it.
 *
 * Each slot has a group of its own. Every transaction commits, together with its records, the
 * offset of the slot's partition of the journal: one more than the journal record that holds the
 * cursors. The metadata beside it tell whose transaction that was: the session's nonce, and the
 * transaction's number. A session that opens a slot writes its nonce before anything else, so that
 * whoever asks after a lost answer sees that there is a rival.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_ANCHOR_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_ANCHOR_H

#include "connectors/kafka/kafka_cursors.h"
#include "connectors/kafka/kafka_internal.h"

struct kafka_anchor {
    bool exists;
    uint64_t nonce; /* of the session that wrote it */
    uint64_t seq;   /* of the slot's last transaction; 0: none yet */
    int64_t next;   /* journal: one more than the record's offset; 0: none yet */
};

/* What belongs to one slot of one app. */
struct kafka_seat {
    char group[KAFKA_NAME_MAX]; /* also the transactional id */
    char key[32];               /* of its journal records */
    int part;                   /* of the journal */
};

void kafka_seat_of(const struct kafka_log *log, enum log_app app, int slot,
                   struct kafka_seat *out_seat);

/* is_stable: after a transaction that still runs has ended. Errors: TH_UNAVAILABLE, TH_CORRUPT */
TH_MUST_USE
enum th_code kafka_anchor_read(struct kafka_log *log, const struct kafka_seat *seat, bool is_stable,
                               struct kafka_anchor *out_anchor, struct th_err *err);

/* The same from the journal, for brokers forget the offsets of a group that rests
 * (offsets.retention.minutes), and people delete groups. The slot's last committed record there
 * was written in one transaction with the anchor, so it says the same. To be asked only by who has
 * just become the owner: nothing of the slot is open any more. Waits until nothing of other slots
 * hides a record of this one. Only a slot that never committed has none. */
TH_MUST_USE
enum th_code kafka_anchor_recover(struct kafka_log *log, const struct kafka_seat *seat,
                                  int timeout_ms, struct kafka_anchor *out_anchor,
                                  struct th_err *err);

/* The cursors that it points to. Errors: TH_CORRUPT (the record is not there), TH_NOMEM, … */
TH_MUST_USE
enum th_code kafka_anchor_cursors(struct kafka_log *log, const struct kafka_seat *seat,
                                  const struct kafka_anchor *anchor, struct kafka_cursors *out,
                                  struct th_err *err);

/* Bind it, and the cursors' own offsets for tools that show a group's lag, to the transaction that
 * the producer has begun. */
enum kafka_step kafka_anchor_send(struct kafka_log *log, const struct kafka_seat *seat,
                                  struct kafka_producer *producer,
                                  const struct kafka_anchor *anchor,
                                  const struct kafka_cursors *cursors, struct th_err *err);

#endif
