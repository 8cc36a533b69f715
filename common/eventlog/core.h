/* core.h - a processor's pure half: it decides, and it evolves.
 *
 * decide(state, reference, input, now) says events and effects; evolve(state, event) makes the
 * core's own events true. State is what evolve made of own events, and nothing else, so that
 * snapshot + replay gives it back. A core has no clock, no randomness, no I/O, no threads; ids,
 * jitter and ties are derived by hash. What it only caches (waiting plans, answers) is volatile:
 * gone after a restart and asked for again.
 *
 * A batch is the inputs between two commits. A core can take batches back: it remembers the old
 * value of every entry touched, for the batch being gathered and for the one that is committing
 * (common/eventlog/table.h does that).
 */
#ifndef TELEHUB_COMMON_EVENTLOG_CORE_H
#define TELEHUB_COMMON_EVENTLOG_CORE_H

#include "common/eventlog/effect.h"
#include "common/eventlog/log.h"
#include "common/eventlog/reference.h"
#include "common/metrics.h"

struct core_output;

/* What holds as long as a slot's session. */
struct core_env {
    struct reference *reference; /* read-locked during every call that gets an input */
    int slot;
    int slots;
    int partitions;   /* of every topic that is not a reference topic */
    uint64_t session; /* nonce of the log session */
};

enum input_type {
    INPUT_EVENT,     /* a record of an input topic */
    INPUT_TIME,      /* now has reached next_due_us */
    INPUT_REFERENCE, /* an entity of the reference may have changed; all are offered at opening */
    INPUT_ANSWER,    /* to an effect */
};

/* Borrowed for the call. */
struct input {
    enum input_type type;
    int64_t now_us;   /* UTC */
    uint64_t txn_seq; /* of the transaction that this batch will be */
    const struct event *event;
    struct log_place place; /* of the event */
    const struct reference_change *change;
    const struct answer *answer;

    /* By topic: so many records of the slot's inputs are on the log behind those that were
     * presented, as far as the shell knows. It looks once a second and counts down as it reads, so
     * there may be more of them, and that there are none is told at once. NULL: nothing is known.
     */
    const int64_t *unread;
};

#define CORE_FIGURES_MAX 64

/* Something that a core can count about itself, for people who watch: a gauge with the labels
 * slot and lane. */
struct core_figure {
    const struct th_metric_def *def; /* static; the same for every figure of that name */
    int32_t lane;                    /* 0: of the slot as a whole */
    int64_t value;
};

struct core_ops {
    const char *name; /* "retry"; the actor of its events */
    enum log_app app;
    enum topic own;   /* where its own events go */
    uint32_t inputs;  /* bit t: it reads topic t */
    int fold_version; /* raise it when evolve changes: older snapshots are then ignored */

    /* Fresh state. config is the core's own struct. Errors: TH_NOMEM */
    enum th_code (*new)(const void *config, const struct core_env *env, void **out_core);
    void (*free)(void *core); /* accepts NULL */

    /* One input. Says what it wants through core_say, core_emit and core_effect. Answers to what
     * an earlier session of this process ran also come here.
     * Errors: TH_NOMEM       nothing may be half-done: the shell rolls the batch back
     *         TH_MALFORMED, TH_INVALID  the record makes no sense: the shell writes a dead letter
     */
    enum th_code (*decide)(void *core, const struct input *input, struct core_output *out);

    /* Apply one own event, live or replayed. It has happened: unknown or repeated ones change
     * nothing. Errors: TH_NOMEM */
    enum th_code (*evolve)(void *core, const struct event *event);

    /* All own events are replayed, everything of the reference was offered: say what must be done
     * now that a new session owns the slot (resolve what is open, ask again). */
    enum th_code (*opened)(void *core, const struct input *input, struct core_output *out);

    /* The batch is about to be committed: say what was gathered over its inputs (sums, lists).
     * Called once a batch, after its last input; NULL: nothing is. What was gathered is volatile
     * and is dropped by batch_undo. */
    enum th_code (*flush)(void *core, const struct input *input, struct core_output *out);

    /* When it wants an INPUT_TIME, µs UTC; INT64_MAX: not at all. */
    int64_t (*next_due_us)(const void *core);

    /* Batches: the gathered one becomes the committing one; that one is durable; both are undone
     * (or the gathered one alone, while none commits), and with them whatever was only cached or
     * asked for because of their inputs: those come again. Replay is made of batches, too. */
    void (*batch_close)(void *core);
    void (*batch_forget)(void *core);
    void (*batch_undo)(void *core);

    /* Where reading of an input partition stands, for cores that leave records waiting: the first
     * unsettled offset, and a note on settled ones beyond it, which lives in arena. NULL: every
     * record that was presented is settled. read_to is the offset behind the last one presented. */
    enum th_code (*cursor)(void *core, enum topic topic, int part, int64_t read_to,
                           struct th_arena *arena, struct log_cursor *out);

    /* At opening: the cursor that the last commit left; records from its offset on will be
     * presented again, also settled ones. Until they were, read_to lies before what the note tells,
     * and the next cursor must go on telling it. NULL together with cursor. */
    enum th_code (*resume)(void *core, const struct log_cursor *cursor);

    /* State as bytes, in pieces 0 to pieces-1, without what an uncommitted batch did; and back.
     * load returns TH_CORRUPT for bytes that it cannot take. */
    int pieces;
    enum th_code (*save)(const void *core, int part, int piece, struct th_buf *out);
    enum th_code (*load)(void *core, int part, int piece, struct th_str bytes);

    /* The piece that an own event's changes lie in. With it pieces are written one by one, between
     * batches; without it (NULL) all pieces of a partition at once, which holds batches up. A
     * negative answer: in several; such an event is replayed whatever the snapshots hold. */
    int (*piece)(const struct event *event);

    /* What it counts now: up to CORE_FIGURES_MAX; the number written. Once a second at most, so it
     * may walk over lanes, but not over sends. NULL: nothing. */
    size_t (*figures)(const void *core, struct core_figure *out);
};

/* How its snapshots are stored: a core with pieces of their own has one of each, else there is one
 * of a partition's pieces together. The two forms never meet: they are of different versions. */
static inline int core_stored_pieces(const struct core_ops *core)
{
    return core->piece ? core->pieces : 1;
}

static inline int core_stored_version(const struct core_ops *core)
{
    return 2 * core->fold_version + (core->piece ? 1 : 0);
}

/* --- what decide may say ---------------------------------------------------------------------- */

/* An empty meta for a new event of this tenant: a fresh id, now, caused by the input's event. */
struct meta core_meta(struct core_output *out, struct th_str tenant);

/* An own event: encoded, put into the batch, and evolved at once. key is "tenant/…"; part as in
 * struct log_output.
 * Errors: TH_NOMEM
 *         TH_FULL     the batch is as large as it may get; the input comes again in the next one.
 *                     A single input may say several MB
 *         TH_INVALID  it cannot be encoded, is larger than a record may be, or lies in a partition
 *                     of another slot */
TH_MUST_USE
enum th_code core_say(struct core_output *out, int part, struct th_str key,
                      const struct event *event);

/* An event for others. Errors: as core_say. */
TH_MUST_USE
enum th_code core_emit(struct core_output *out, enum topic topic, int part, struct th_str key,
                       const struct event *event);

/* Likewise with headers, which are whole (headers.h) and are copied. */
TH_MUST_USE
enum th_code core_emit_with_headers(struct core_output *out, enum topic topic, int part,
                                    struct th_str key, struct th_str headers,
                                    const struct event *event);

/* The event is copied deep. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code core_effect(struct core_output *out, const struct effect *effect);

/* Memory that lives until this batch is committed. */
struct th_arena *core_arena(struct core_output *out);

/* "tenant/id" in the batch's arena; p is NULL when there is no memory. */
struct th_str core_key(struct core_output *out, struct th_str tenant, struct th_id id);

#endif
