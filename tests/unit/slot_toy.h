/* slot_toy.h - a core small enough to be sure of, and the effects it asks for, for tests of slots.
 *
 * Of each SendRequested: it admits the send, asks for its recipient, and when that is there makes
 * one call; the call's answer ends the send. Its counts are not proof against repetition, so that
 * an input presented twice, or an event folded twice, is seen.
 */
#ifndef TELEHUB_TESTS_UNIT_SLOT_TOY_H
#define TELEHUB_TESTS_UNIT_SLOT_TOY_H

#include "common/eventlog/core.h"
#include "common/eventlog/table.h"

/* What is known of one send. */
struct toy_send {
    struct th_id id;
    int64_t admitted; /* times */
    int64_t released;
    int64_t ended;
    uint64_t session; /* that released it */
    int32_t process;
};

struct toy_config {
    int process;        /* number of the process that runs it; a crash begins another */
    unsigned nomem_per; /* one decide in so many has no memory; 0: all have */
};

/* Answered recipients are not asked for again, so this is kept in a core that can be undone. */
extern const struct core_ops toy_core;          /* pieces of one moment */
extern const struct core_ops toy_core_by_piece; /* the same, with a piece for each event */

const struct toy_send *toy_send(const void *core, struct th_id id);

/* Events folded by this core since it was made. */
int64_t toy_evolved(const void *core);

/* Times that an entity of this kind was offered. */
int64_t toy_offered(const void *core, enum reference_kind kind);

/* SendsMoved.accepted over all batches is the number of requests presented. */

/* A send whose requests the core refuses, after it has said something, or before. */
#define TOY_REFUSED_LATE  CHANNEL_CALL
#define TOY_REFUSED_EARLY CHANNEL_WHATSAPP

#endif
