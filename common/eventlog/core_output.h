/* core_output.h - where what a core says goes: one batch of outputs and effects, in memory.
 *
 * For shells, and for tests that hold a core in their hands; a core knows core.h only. Pure, one
 * thread. A batch is zero-initialised but for core_batch_init; its bytes live in its arena.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_CORE_OUTPUT_H
#define TELEHUB_COMMON_EVENTLOG_CORE_OUTPUT_H

#include "common/eventlog/core.h"

struct core_effects {
    struct effect *at;
    size_t n;
    size_t cap;
};

struct core_batch {
    struct th_arena arena; /* of all that the batch holds */
    struct log_output *outputs;
    size_t outputs_n;
    size_t outputs_cap;
    size_t outputs_bytes;        /* keys and values */
    struct core_effects effects; /* to be carried out after the commit */
    struct core_effects asks;    /* to be answered at once */
    struct th_buf encoded;       /* of one event */
};

/* What decide, opened and flush are handed. */
struct core_output {
    const struct core_ops *ops;
    void *core;
    const struct core_env *env;
    struct core_batch *batch;
    const struct input *input; /* its now_us is that of metas, its event their cause */
    uint64_t *ids;             /* counts the ids made in the session of env */
    bool has_said;             /* something that would have to be undone */
};

void core_batch_init(struct core_batch *batch);

/* Empty; the memory is kept. */
void core_batch_clear(struct core_batch *batch);
void core_batch_fini(struct core_batch *batch);

#endif
