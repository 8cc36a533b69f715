/* slot_world.h - a log in memory, a clock, a telephone exchange and a few slots: all on one seed.
 */
#ifndef TELEHUB_TESTS_UNIT_SLOT_WORLD_H
#define TELEHUB_TESTS_UNIT_SLOT_WORLD_H

#include "common/eventlog/memory_log.h"
#include "common/eventlog/slot.h"
#include "tests/unit/slot_toy.h"

#define WORLD_PARTITIONS   4
#define WORLD_SLOTS        2
#define WORLD_REQUESTS_MAX 4096
#define WORLD_RUNNERS      3 /* slot structs: one per slot, and a rival of slot 0 */

struct world;

/* A slot struct with the process that it lives in. */
struct runner {
    struct world *world;
    int slot;
    struct toy_config config;
    struct world_effects *effects;
    struct slot *is;
    int64_t next_us;
};

/* How likely what is, of 1000. */
struct world_odds {
    unsigned abort, lost_committed, lost_aborted, hold; /* of a commit */
    unsigned fence, crash, down;                        /* of a turn */
    unsigned nomem_per;
    unsigned oom; /* of a step: memory runs out at some point of it */
};

struct world {
    uint64_t seed;
    uint64_t rng;
    struct world_odds odds;
    struct th_virtual_clock clock;
    struct th_log *log;
    struct reference *ref;
    struct reference_follower *follower;
    const struct core_ops *core;
    size_t snapshot_bytes_min;
    int processes;
    bool has_rival; /* runners[2] competes for slot 0 */
    struct runner runners[WORLD_RUNNERS];

    int requests;
    int calls[WORLD_REQUESTS_MAX]; /* made, by request: what the provider would bill */
    uint64_t asks;
    int64_t begun_us[WORLD_SLOTS]; /* the newest commit of a slot */
    int refused_calls;             /* answered NOT_SENT by the exchange */
};

void world_init(struct world *world, uint64_t seed, const struct core_ops *core);
void world_fini(struct world *world);

/* A number below n. */
unsigned world_roll(struct world *world, unsigned n);

struct th_id world_send(int request);
int world_request_of(struct th_id send);

/* Append the next request. */
void world_request(struct world *world, enum channel channel);
void world_append(struct world *world, enum topic topic, struct th_str key, struct th_str value);

/* One turn: something happens, somebody steps, a little time passes. */
void world_turn(struct world *world);

/* No more faults; until nothing moves any more. Fails when that takes too long. */
void world_settle(struct world *world);

/* The ith runner for 200 ms; the ith process dies and another begins. */
void world_step(struct world *world, int i);
void world_crash(struct world *world, int i);

void world_step_all(struct world *world, int turns);

/* All values of a topic, in order per partition. */
typedef void world_visit(void *arg, const struct log_record *record, const struct event *event);
void world_read(struct world *world, enum topic topic, world_visit *visit, void *arg);

/* What all slots know, as bytes. */
void world_save(struct world *world, struct th_buf *out);

/* Every request: admitted once, copied once, released once, ended once, called as often as its
 * end says; sums are right. is_unknown_allowed: processes died. */
void world_check(struct world *world, bool is_unknown_allowed);

#endif
