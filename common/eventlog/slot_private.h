/* slot_private.h - what the parts of the slot shell share. For slot_*.c only.
 *
 * slot.c           life, the step, what comes next
 * slot_open.c      from a closed slot to a running one: session, snapshots, replay
 * slot_gather.c    inputs are presented to the core
 * slot_batch.c     a batch, and where inputs stood when it began
 * slot_commit.c    a batch is committed; what follows from its outcome
 * slot_answers.c   answers to effects, kept until what they led to is durable
 * slot_dead.c      records that make no sense
 * slot_snapshot.c  state is written down and loaded
 * slot_run.c       a thread that steps and waits
 */
#ifndef TELEHUB_COMMON_EVENTLOG_SLOT_PRIVATE_H
#define TELEHUB_COMMON_EVENTLOG_SLOT_PRIVATE_H

#include "common/buf.h"
#include "common/clock_watch.h"
#include "common/eventlog/core_output.h"
#include "common/eventlog/slot.h"
#include "common/fault.h"

#include <pthread.h>

/* A cursor that moved over records of no consequence is not worth a commit each time. */
#define MOVED_RECORDS_MAX 1000
#define MOVED_WAIT_US     TH_US_PER_SEC

/* --- answers -------------------------------------------------------------------------------- */

struct answer_page;
struct slot;

struct slot_answer {
    struct answer answer;
    struct answer_page *page; /* that its bytes live in; NULL: it has none */
    uint64_t asked_by;        /* batch whose ask it answers; 0: to a committed effect */
};

/* In order of presentation: settled ones are gone, next is the first not yet presented. */
struct slot_answers {
    struct slot_answer *at;
    size_t n;
    size_t cap;
    size_t next;
    size_t reserved; /* places promised to the commit that is running */
    struct answer_page *page;
};

/* Room for one more, and the arena for its bytes. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code answers_reserve(struct slot_answers *answers, struct th_arena **out_arena);

/* Room for n more that have no bytes, until answers_reserve_commit(answers, 0). */
TH_MUST_USE
enum th_code answers_reserve_commit(struct slot_answers *answers, size_t n);

/* Into the room that was reserved. has_bytes: in the arena that answers_reserve gave. */
void answers_add(struct slot_answers *answers, const struct answer *answer, uint64_t asked_by,
                 bool has_bytes);

/* The first n led to something durable, or to nothing. */
void answers_settle(struct slot_answers *answers, size_t n);

/* All are to be presented again, but for those that batches from no on asked for: they will ask
 * again. no 1: whatever any batch asked for. */
void answers_rewind(struct slot_answers *answers, uint64_t no);

void answers_fini(struct slot_answers *answers);

/* --- batches -------------------------------------------------------------------------------- */

/* Where the presentation of inputs stands. */
struct slot_marks {
    int64_t *read_to; /* per input partition: behind the last record presented */
    uint64_t change_at;
    bool is_opened;   /* core.opened was called */
    bool is_offering; /* the whole reference is being offered, and next is: */
    enum reference_kind offer_kind;
    size_t offer_index;
};

struct slot_batch {
    uint64_t no; /* from 1 */
    struct slot_marks start;
    struct core_batch said;
    size_t inputs;
    size_t inputs_bytes;
    size_t answers_n; /* of inputs: how many were answers */
    uint64_t dead_letters;
    bool is_flushed;
};

/* Empty, with the next number, beginning where presentation stands now. */
void slot_begin_batch(struct slot *slot, struct slot_batch *batch);

/* Presentation goes back to where batch began. */
void slot_rewind(struct slot *slot, const struct slot_batch *batch);

/* Can the gathering batch take another input? */
bool slot_has_room(const struct slot *slot);

/* --- the slot ------------------------------------------------------------------------------- */

enum slot_phase {
    SLOT_CLOSED,
    SLOT_CURSORS,   /* the first cursors are being committed */
    SLOT_REPLAY,    /* own events are being folded */
    SLOT_REFERENCE, /* waits until the reference is as new as when the slot was opened */
    SLOT_RUNNING,
    SLOT_STUCK, /* a human must look */
};

/* An input partition. */
struct slot_input {
    enum topic topic;
    int part;
    int64_t committed_to; /* read_to of the last commit */
};

/* A partition of the core's own topic. */
struct slot_own {
    int part;
    int64_t end;   /* offset behind the last durable event */
    int64_t from;  /* replay begins here */
    int64_t *upto; /* per piece: events below are in the snapshot that was loaded */
    int64_t replayed_to;
    size_t bytes_since; /* own log bytes since the last snapshot */
    size_t snapshot_size;
};

/* A record that decide refused after it had said something: the batch is undone, and when the
 * record comes again it is a dead letter at once. */
struct slot_condemned {
    bool is_set;
    struct log_place place;
    enum th_code code;
};

struct slot_snapshot_job {
    bool is_active;
    size_t own;
    int piece;
    size_t size;         /* bytes written so far */
    int64_t retry_at_us; /* boottime */
};

struct slot {
    struct slot_config config;
    const struct core_ops *ops;

    enum slot_phase phase;
    struct th_err stuck;
    struct th_err noted; /* a failure of this step that the session survives */

    /* time, as of this step */
    struct clock_watch watch;
    bool is_watching;
    int64_t now_us;       /* UTC, as believed */
    int64_t boot_us;      /* boottime */
    int64_t reopen_at_us; /* boottime, as all waits below */
    int64_t wait_until_us;
    int64_t read_at_us;
    int64_t read_wait_us;
    int64_t moved_at_us; /* since when the cursor has moved without a commit; -1: it has not */
    int64_t measure_at_us;

    /* as long as a session */
    struct th_log_session *session;
    struct th_log_reader *reader;
    struct th_log_listener *listener;
    void *core;
    struct core_env env;
    int64_t reference_ends[TOPIC_COUNT];
    bool is_caught_up;           /* the last read found nothing */
    int64_t unread[TOPIC_COUNT]; /* as input.unread: what was measured, less what was read since */

    struct slot_input *inputs;
    size_t inputs_n;
    struct slot_own *own;
    size_t own_n;

    /* presentation */
    struct slot_marks at;
    struct th_arena inbox_arena;
    struct log_records inbox;
    size_t inbox_next;
    struct th_arena scratch; /* of one decoded record */
    struct slot_answers answers;
    uint64_t ids; /* made in this session */

    /* batches */
    struct slot_batch batches[2];
    struct slot_batch *gathering;
    struct slot_batch *committing; /* NULL: no commit runs */
    uint64_t batch_no;
    struct log_place *places; /* of the committing batch's outputs */
    size_t places_cap;
    int64_t commit_started_us; /* monotonic */
    int64_t commit_boot_us;    /* before anything of it was sent */
    unsigned aborts_in_row;
    bool is_poisoned; /* the gathering batch must be undone as soon as no commit runs */
    enum th_code poison;
    size_t poison_after; /* inputs that had succeeded */
    size_t inputs_max;   /* of the next batch only; 0: as always */
    struct slot_condemned condemned;
    bool is_stopping; /* nothing new is begun */
    bool was_open;

    struct slot_snapshot_job snapshot;

    struct slot_status status; /* this thread's */
    struct th_err aborted;     /* why, the last time */

    pthread_mutex_t mutex; /* guards published */
    struct slot_status published;
    struct core_figure figures[CORE_FIGURES_MAX];
    size_t figures_n;
};

/* A failure that the slot survives with its session: slot_step reports it. */
void slot_note(struct slot *slot, enum th_code code, const char *fmt, ...) TH_PRINTF(3, 4);

/* Say to the fault points what the thread works on: the processor; and of dispatch, whether the
 * batch starts calls, whether it holds answers to them. */
static inline void slot_name_fault(const struct slot *slot, const struct slot_batch *batch)
{
#ifdef TELEHUB_FAULTS
    bool has_calls = false;

    for (size_t i = 0; i < batch->said.effects.n; i++)
        has_calls = has_calls || batch->said.effects.at[i].type == EFFECT_CALL;
    TH_FAULT_SCOPE("%s%s%s", slot->ops->name, has_calls ? ".start" : "",
                   slot->ops->app == LOG_APP_DISPATCH && batch->answers_n ? ".result" : "");
#else
    (void)slot, (void)batch;
#endif
}

/* Nothing is presented or committed for a while. */
void slot_wait(struct slot *slot, int64_t us);

/* Everything of the session is dropped, but for answers to what this process did. */
void slot_drop(struct slot *slot, bool release);

/* slot_open.c: one slice of opening. */
enum th_code slot_open(struct slot *slot, struct th_err *err);
enum th_code slot_open_cursors(struct slot *slot, struct th_err *err);
enum th_code slot_open_replay(struct slot *slot, struct th_err *err);
enum th_code slot_open_reference(struct slot *slot, struct th_err *err);
void slot_settle_core(struct slot *slot);

/* slot_gather.c: present what is there. */
enum th_code slot_gather(struct slot *slot, struct th_err *err);

/* Carry out what the gathering batch asks to be answered at once; the answers are presented next.
 * Errors: TH_NOMEM */
enum th_code slot_answer_asks(struct slot *slot);

/* What one input may say into the gathering batch. */
struct core_output slot_output(struct slot *slot, const struct input *input);

/* The number of the transaction that the gathering batch will be. */
uint64_t slot_txn_seq(const struct slot *slot);

/* One call of the core. What it refuses is dealt with: the record becomes a dead letter, or the
 * batch is undone as soon as it can be. Errors: what no core may answer; the session must end. */
enum th_code slot_decide(struct slot *slot, struct input *input,
                         enum th_code (*decide)(void *core, const struct input *input,
                                                struct core_output *out),
                         struct th_err *err);

/* slot_commit.c: look after the running commit; start one when there is something to commit. */
enum th_code slot_poll_commit(struct slot *slot, struct th_err *err);
enum th_code slot_start_commit(struct slot *slot, struct th_err *err);
int64_t slot_moved(const struct slot *slot); /* records presented since the last commit */

/* slot_dead.c: instead of deciding. event: decoded, or NULL. */
enum th_code slot_dead_letter(struct slot *slot, const struct log_record *record,
                              const struct event *event, enum th_code code, struct th_str detail);

/* slot_snapshot.c */
enum th_code slot_load(struct slot *slot, struct th_err *err);
bool slot_is_folded(const struct slot *slot, const struct slot_own *own, const struct event *event,
                    int64_t offset);
void slot_write_snapshots(struct slot *slot);

#endif
