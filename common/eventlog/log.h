/* log.h - the partitioned log: topics, keyed append, slots that are fenced, transactions, readers.
 *
 * Each driver (memory, Postgres, Kafka) keeps these promises, and one conformance suite holds them
 * all to it:
 *
 * - Order. Within a partition offsets grow from 0 on. Whoever sees a record sees every one before
 *   it. In memory and in Postgres each number is a record's; Kafka leaves numbers out (its marks
 *   of transactions), so nobody may count records by subtracting offsets.
 * - Durability. What th_log_append or a commit reported as done survives kill -9 and power loss
 *   (memory: survives as long as the struct th_log).
 * - Atomicity. A slot's transaction is its outputs and its cursor: both, or neither.
 * - Fencing. A slot has at most one session that can commit: opening one ends every older one,
 *   even one that lives in a frozen process or whose commit is in flight.
 * - No doubt. The outcome of a commit is COMMITTED, ABORTED or FENCED; where the answer was lost
 *   the driver asks the log before it says which.
 *
 * Threads: a struct th_log may be shared. Sessions, readers and listeners belong to one thread
 * each. Nothing calls back.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_LOG_H
#define TELEHUB_COMMON_EVENTLOG_LOG_H

#include "common/arena.h"
#include "common/err.h"
#include "common/eventlog/topic.h"

#define LOG_RECORD_SIZE_MAX   ((size_t)900 * 1024) /* key, headers and value, bytes */
#define LOG_KEY_SIZE_MAX      512
#define LOG_PARTITIONS_MAX    1024
#define LOG_SLOTS_MAX         64
#define LOG_NOTE_SIZE_MAX     4096 /* a cursor's note; Kafka's offset metadata hold no more */
#define LOG_SNAPSHOT_SIZE_MAX ((size_t)64 * 1024 * 1024)

struct th_log;
struct th_log_session;
struct th_log_reader;
struct th_log_listener;

/* Who reads the log under a cursor of its own. Numbers stay for ever. */
enum log_app {
    LOG_APP_CAMPAIGN = 1,
    LOG_APP_RETRY = 2,
    LOG_APP_DISPATCH = 3,
    LOG_APP_MATERIALIZE = 4, /* its cursors lie with its views, not here */
    LOG_APP_COPY = 5,        /* fills a log from another; slot 0 of the log that is filled */
};

/* What a log is not, as its identity says. Numbers stay for ever. */
enum log_mark {
    LOG_MARK_NONE = 0,
    LOG_MARK_COPYING = 1,  /* half a copy: nobody may work on it before the other half is there */
    LOG_MARK_REPLAYED = 2, /* events that happened elsewhere, to be looked at: no processor may
                              carry on from them */
    LOG_MARK_MOVED = 3,    /* its copy, which th_log_origin names, carries on from it */
};

struct log_place {
    enum topic topic;
    int part;
    int64_t offset;
};

/* A record to be written. Bytes are borrowed for the call. */
struct log_output {
    enum topic topic;
    int part; /* TOPIC_BY_LANE: the lane's partition. Otherwise -1: computed from the key, but for
                 what a slot notes for itself alone, which goes to a partition of its own. */
    struct th_str key;
    struct th_str value;
    struct th_str headers; /* encoded (headers.h); n == 0: none */
};

/* A record as read. Bytes live in the arena that the reader was given. */
struct log_record {
    struct log_place place;
    int64_t at_us; /* UTC, when it was appended */
    struct th_str key;
    struct th_str value;
    struct th_str headers; /* as they were written, whole (headers.h); n == 0: none */
};

struct log_records {
    struct log_record *at;
    size_t n;
};

/* What they count as wherever bytes are counted. */
static inline size_t log_output_size(const struct log_output *output)
{
    return output->key.n + output->headers.n + output->value.n;
}

static inline size_t log_record_size(const struct log_record *record)
{
    return record->key.n + record->headers.n + record->value.n;
}

/* --- the log as a whole ---------------------------------------------------------------- */

/* Partitions of a topic; 1 for reference topics. */
int th_log_partitions(const struct th_log *log, enum topic topic);

/* Identity of this log, 36 characters; a copy has another. Valid as long as the log is open. */
const char *th_log_id(const struct th_log *log);

/* As it was when this struct th_log was opened, or marked through it. A marked log takes no
 * th_log_append, no th_log_ingest, and no session but LOG_APP_COPY's: TH_CONFLICT. */
enum log_mark th_log_mark(const struct th_log *log);

/* May somebody work on it? TH_CONFLICT: no, by its mark; err says what to do. */
TH_MUST_USE
enum th_code th_log_check_mark(const struct th_log *log, struct th_err *err);

/* th_log_id of the log that this one was filled from, or of one that has moved, of its copy; "" if
 * none. Valid as long as it is open. */
const char *th_log_origin(const struct th_log *log);

/* Durable when it returns TH_OK. Whoever has the log open elsewhere does not notice. origin: 36
 * characters. Errors: TH_UNAVAILABLE, … (it may have happened) */
TH_MUST_USE
enum th_code th_log_set_mark(struct th_log *log, enum log_mark mark, const char *origin,
                             struct th_err *err);

/* For whoever fills a log that is marked: through this struct th_log it takes everything. */
void th_log_admit(struct th_log *log);

/* Append n records in one transaction. When it returns TH_OK all of them are durable, and
 * out_places (n entries, may be NULL) tells where they lie.
 *
 * Errors: TH_INVALID      a record is too large, its headers cannot be read, or a lane topic came
 *                         without a partition
 *         TH_UNAVAILABLE  not acknowledged; it may have been stored all the same
 *         TH_FULL         the log refuses writes (disk) */
TH_MUST_USE
enum th_code th_log_append(struct th_log *log, const struct log_output *outputs, size_t n,
                           struct log_place *out_places, struct th_err *err);

/* One more than the last record's offset; 0 if there is none. */
TH_MUST_USE
enum th_code th_log_end(struct th_log *log, enum topic topic, int part, int64_t *out_end,
                        struct th_err *err);

/* May this process go on with it? After an error a log mends itself; one that broke again and again
 * may need a new process. To be asked every now and then, by whoever can end this one. Cheap.
 * Errors: TH_UNAVAILABLE, with the sentence to leave behind */
TH_MUST_USE
enum th_code th_log_health(struct th_log *log, struct th_err *err);

/* The first offset that is still there; 0 until something was trimmed. */
TH_MUST_USE
enum th_code th_log_start(struct th_log *log, enum topic topic, int part, int64_t *out_start,
                          struct th_err *err);

/* Drop what lies before each place's offset, for ever. A log may drop less (Postgres: whole
 * batches; th_log_start tells), never more, and a partition's last record always stays. Whoever
 * reads what was dropped is told TH_NOT_FOUND. May take minutes; others go on reading and writing.
 * Whether anybody still needs it is not asked here. Errors: TH_UNAVAILABLE, … (some of it may have
 * happened; the same call goes on) */
TH_MUST_USE
enum th_code th_log_trim(struct th_log *log, const struct log_place *places, size_t n,
                         struct th_err *err);

void th_log_close(struct th_log *log);

/* --- ingest: append at most once per idempotency key -------------------------------------- */

#define LOG_IDEM_KEY_MAX 128

enum log_claim_outcome {
    LOG_CLAIM_STORED,   /* the key was new: the records are durable, the answer is kept */
    LOG_CLAIM_REPLAYED, /* key and fingerprint seen before: nothing appended, answer given again */
    LOG_CLAIM_MISMATCH, /* key seen with another fingerprint: nothing appended */
};

/* One request: its records are appended, and its answer remembered, in one transaction. */
struct log_claim {
    struct th_str tenant; /* (tenant, route, key) is unique for 48 h */
    struct th_str route;
    struct th_str key;       /* n == 0: no idempotency asked for; the records are simply appended */
    uint8_t fingerprint[32]; /* SHA-256 of the body */
    int status;              /* HTTP status and body to give now and again */
    struct th_str body;
    const struct log_output *outputs;
    size_t outputs_n;

    /* Results; bytes live in the arena. */
    enum log_claim_outcome outcome;
    int replayed_status;
    struct th_str replayed_body;
    struct log_place *places; /* outputs_n entries when stored */
};

/* Many requests in one transaction. Of two claims of one key in one call the first wins.
 * Errors: as th_log_append; then nothing is known of any of them. */
TH_MUST_USE
enum th_code th_log_ingest(struct th_log *log, struct log_claim *claims, size_t n,
                           struct th_arena *arena, struct th_err *err);

/* A key that is remembered: whose it is, its fingerprint and the answer to give. */
typedef enum th_code log_answer_visit(void *arg, const struct log_claim *answer,
                                      struct th_err *err);

/* Every key that is still remembered, in any order, once each, until visit answers something other
 * than TH_OK. The claim (without outputs) is the visitor's to look at only, and only until it
 * returns. visit must not use this log. */
TH_MUST_USE
enum th_code th_log_answers(struct th_log *log, log_answer_visit *visit, void *arg,
                            struct th_err *err);

/* --- readers ------------------------------------------------------------------------------ */

/* Read from each place on. Reads committed records only, never past a gap. */
TH_MUST_USE
enum th_code th_log_reader_open(struct th_log *log, const struct log_place *from, size_t n,
                                struct th_log_reader **out_reader, struct th_err *err);

/* What is there now, at most about bytes_max (at least one record if there is any), in order per
 * partition, partitions interleaved; *out is empty when nothing new is there. Does not wait. The
 * reader moves on past what it returned.
 *
 * What was committed through this struct th_log is seen at once, and so is whatever was there when
 * the reader was opened; what another process commits after that, within 250 ms.
 *
 * Errors: TH_UNAVAILABLE; TH_CORRUPT (checksum, or a gap: stop and alarm); TH_NOT_FOUND (what
 * comes next was dropped by th_log_trim); TH_NOMEM. After an
 * error the reader stands where it stood. */
TH_MUST_USE
enum th_code th_log_reader_read(struct th_log_reader *reader, size_t bytes_max,
                                struct th_arena *arena, struct log_records *out,
                                struct th_err *err);

/* Stand at another offset of a partition that the reader was opened with. */
void th_log_reader_seek(struct th_log_reader *reader, struct log_place place);

void th_log_reader_close(struct th_log_reader *reader);

/* --- listeners: a hint that there may be something new ------------------------------------- */

/* topics: bit t set for topic t. A hint can be lost: poll also, every 250 ms to 2 s. */
TH_MUST_USE
enum th_code th_log_listener_open(struct th_log *log, uint32_t topics,
                                  struct th_log_listener **out_listener, struct th_err *err);

/* Of the topics only partitions p with p % slots == slot are of interest, from now on. A hint may
 * come for others all the same. */
void th_log_listener_narrow(struct th_log_listener *listener, int slot, int slots);

/* For epoll; readable when one of the topics may have grown. */
int th_log_listener_fd(const struct th_log_listener *listener);

/* Make it unreadable again; call before reading. */
void th_log_listener_clear(struct th_log_listener *listener);

void th_log_listener_close(struct th_log_listener *listener);

/* --- slots: sessions that own, and commit --------------------------------------------------- */

/* Where a slot's reading of one partition stands: next is the first offset not settled; note is
 * the owner's own (dispatch keeps there a bitmap of what is settled beyond it). */
struct log_cursor {
    struct log_place next;
    struct th_str note;
};

struct log_txn {
    const struct log_output *outputs;
    size_t outputs_n;
    const struct log_cursor *cursors; /* whole: every partition that the slot reads; at least one */
    size_t cursors_n;
    const int64_t *at_us; /* of each output: when it was appended elsewhere; NULL: now */
};

enum log_commit {
    LOG_COMMIT_PENDING,
    LOG_COMMITTED, /* durable */
    LOG_ABORTED,   /* nothing happened; the same transaction may be started again */
    LOG_FENCED,    /* somebody else owns the slot: close the session, drop all state */
};

/* Become the owner of a slot: fences every earlier session and waits for a commit of theirs that
 * is in flight. On one host a previous owner that is another live process is killed first, unless
 * it released the slot.
 *
 * Errors: TH_CONFLICT     a live owner holds it and could not be ended; try later
 *         TH_UNAVAILABLE  the log cannot be reached */
TH_MUST_USE
enum th_code th_log_session_open(struct th_log *log, enum log_app app, int slot,
                                 struct th_log_session **out_session, struct th_err *err);

/* Does this session know where its slot stood? Call it after opening, with every partition that
 * the slot reads or writes as its own (offsets are ignored). The very first session of a slot has
 * no cursors and finds them empty; later ones have cursors that lie within the log.
 *
 * Errors: TH_CORRUPT  no cursors although there are records (begun again, everybody would be
 *                     called again), or a cursor beyond the end: stop and alarm
 *         TH_UNAVAILABLE */
TH_MUST_USE
enum th_code th_log_session_check(const struct th_log_session *session,
                                  const struct log_place *parts, size_t n, struct th_err *err);

/* 64 random bits, new at each opening. */
uint64_t th_log_session_nonce(const struct th_log_session *session);

/* The number that the next transaction will carry; goes on across sessions, without holes. */
uint64_t th_log_session_next_seq(const struct th_log_session *session);

/* What the last commit of this slot left; *out_n is 0 if it never committed. Valid until the next
 * commit. */
void th_log_session_cursors(const struct th_log_session *session,
                            const struct log_cursor **out_cursors, size_t *out_n);

/* What the last commit of a slot left, without becoming its owner: cursors and notes live in the
 * arena; *out_n is 0 if it never committed. Errors: TH_UNAVAILABLE, TH_CORRUPT, TH_NOMEM */
TH_MUST_USE
enum th_code th_log_slot_cursors(struct th_log *log, enum log_app app, int slot,
                                 struct th_arena *arena, struct log_cursor **out_cursors,
                                 size_t *out_n, struct th_err *err);

/* Send one transaction off. One at a time: the one before must have been polled to its end. The
 * txn is copied; it may be freed when this returns.
 * Not allowed after LOG_FENCED.
 * Errors: TH_INVALID (as th_log_append; no cursor, or a partition's cursor twice), TH_NOMEM.
 *         Everything else is an outcome. */
TH_MUST_USE
enum th_code th_log_commit_start(struct th_log_session *session, const struct log_txn *txn,
                                 struct th_err *err);

/* For epoll; readable when th_log_commit_poll may have news. May change after a poll. */
int th_log_session_fd(const struct th_log_session *session);

/* Does not wait, but for the resolution of a commit whose answer was lost (bounded, seconds).
 * out_places (may be NULL): outputs_n entries on COMMITTED. *out_is_answered is false when
 * COMMITTED was found only by asking: such a commit grants no permission to act, what it
 * announced is known not to have been done. err says why on ABORTED and FENCED. */
enum log_commit th_log_commit_poll(struct th_log_session *session, struct log_place *out_places,
                                   bool *out_is_answered, struct th_err *err);

/* release: mark the slot as given up, so that the next owner need not kill this process. */
void th_log_session_close(struct th_log_session *session, bool release);

/* --- snapshots: a cache of a slot's state, never the truth ------------------------------------ */

struct log_snapshot {
    int part;
    int piece;           /* a hash range of the keys */
    int64_t upto_offset; /* of the app's own topic: events below it are folded in */
    int fold_version;
    struct th_str body;
};

struct log_pieces {
    int first;
    int end; /* behind the last */
};

/* Replaces older ones of the same piece (two are kept). */
TH_MUST_USE
enum th_code th_log_snapshot_put(struct th_log *log, enum log_app app,
                                 const struct log_snapshot *snapshot, struct th_err *err);

/* Of the pieces from the first up to before the end: the newest intact snapshot of each of one
 * partition with that fold_version; damaged ones
 * are left out. */
TH_MUST_USE
enum th_code th_log_snapshot_get(struct th_log *log, enum log_app app, int part,
                                 struct log_pieces pieces, int fold_version, struct th_arena *arena,
                                 struct log_snapshot **out_snapshots, size_t *out_n,
                                 struct th_err *err);

#endif
