/* memory_internal.h - what the files of the memory log share. */
#ifndef TELEHUB_COMMON_EVENTLOG_MEMORY_INTERNAL_H
#define TELEHUB_COMMON_EVENTLOG_MEMORY_INTERNAL_H

#include <pthread.h>

#include "common/eventlog/memory_idem.h"
#include "common/eventlog/memory_log.h"
#include "common/eventlog/memory_snapshots.h"

#define MEMORY_APPS (LOG_APP_COPY + 1)

/* Cursors as they were committed: immutable, shared by a slot and its sessions. */
struct memory_cursors {
    size_t refs;
    size_t n;
    struct log_cursor at[]; /* the notes' bytes follow */
};

struct memory_slot {
    uint64_t epoch; /* grows with every owner */
    uint64_t next_seq;
    uint64_t started; /* commits, by all its sessions */
    struct memory_cursors *cursors;
};

struct memory_session;
struct memory_listener;

struct memory_plan {
    enum log_app app;
    int slot;
    uint64_t at; /* of memory_slot.started */
    enum memory_fate fate;
};

struct memory_log {
    struct th_log base;
    struct memory_log_options options;

    pthread_mutex_t mutex; /* guards all that follows, and what it points to */
    struct memory_store store;
    struct memory_idem idem;
    struct memory_snapshots snapshots;
    struct memory_slot slots[MEMORY_APPS][LOG_SLOTS_MAX];
    struct memory_session *sessions;
    struct memory_listener *listeners;
    struct memory_plan plans[MEMORY_PLANS_MAX];
    size_t plans_n;
    size_t readers_n;
    unsigned down;
    uint64_t random;
};

static inline struct memory_log *memory_of(struct th_log *log)
{
    return (struct memory_log *)log;
}

static inline void memory_lock(struct memory_log *log)
{
    int failed = pthread_mutex_lock(&log->mutex);
    if (failed)
        abort();
}

static inline void memory_unlock(struct memory_log *log)
{
    int failed = pthread_mutex_unlock(&log->mutex);
    if (failed)
        abort();
}

/* 64 bits that follow from the seed. */
uint64_t memory_random(struct memory_log *log);

int64_t memory_now_us(const struct memory_log *log);

/* Wake who listens to one of the topics. */
void memory_wake(struct memory_log *log, uint32_t topics);

/* memory_slot.c: entries of the driver's table. */
enum th_code memory_session_open(struct th_log *base, enum log_app app, int slot,
                                 struct th_log_session **out_session, struct th_err *err);
enum th_code memory_commit_start(struct th_log_session *base, const struct log_txn *txn,
                                 struct th_err *err);
enum log_commit memory_commit_poll(struct th_log_session *base, struct log_place *out_places,
                                   bool *out_is_answered, struct th_err *err);
void memory_session_close(struct th_log_session *base, bool release);
enum th_code memory_slot_cursors(struct th_log *base, enum log_app app, int slot,
                                 struct th_arena *arena, struct log_cursor **out_cursors,
                                 size_t *out_n, struct th_err *err);

/* Drop every slot's memory, and commits in flight that outlived their sessions. */
void memory_slots_fini(struct memory_log *log);

/* memory_tail.c: entries of the driver's table. */
enum th_code memory_reader_open(struct th_log *base, const struct log_place *from, size_t n,
                                struct th_log_reader **out_reader, struct th_err *err);
enum th_code memory_reader_read(struct th_log_reader *base, size_t bytes_max,
                                struct th_arena *arena, struct log_records *out,
                                struct th_err *err);
void memory_reader_seek(struct th_log_reader *base, struct log_place place);
void memory_reader_close(struct th_log_reader *base);
enum th_code memory_listener_open(struct th_log *base, uint32_t topics,
                                  struct th_log_listener **out_listener, struct th_err *err);
void memory_listener_clear(struct th_log_listener *base);
void memory_listener_close(struct th_log_listener *base);

#endif
