/* Readers and listeners of the memory log. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/eventlog/memory_internal.h"

/* --- readers ------------------------------------------------------------------------------ */

struct memory_reader {
    struct th_log_reader base;
    size_t turn;             /* the partition that the next read begins with */
    struct log_record *seen; /* records of one read, before they are copied out */
    size_t seen_cap;
    size_t n;
    struct log_place at[];
};

enum th_code memory_reader_open(struct th_log *base, const struct log_place *from, size_t n,
                                struct th_log_reader **out_reader, struct th_err *err)
{
    struct memory_log *log = memory_of(base);
    struct memory_reader *reader = calloc(1, sizeof *reader + n * sizeof *from);

    if (!reader)
        return th_fail(err, TH_NOMEM, "reader of %zu partitions", n);
    reader->base.log = base;
    reader->n = n;
    memcpy(reader->at, from, n * sizeof *from);
    memory_lock(log);
    log->readers_n++;
    memory_unlock(log);
    *out_reader = &reader->base;
    return TH_OK;
}

static enum th_code reserve_seen(struct memory_reader *reader, size_t n)
{
    if (n < reader->seen_cap)
        return TH_OK;
    size_t cap = reader->seen_cap ? reader->seen_cap * 2 : 64;
    struct log_record *seen = reallocarray(reader->seen, cap, sizeof *seen);
    if (!seen)
        return TH_NOMEM;
    reader->seen = seen;
    reader->seen_cap = cap;
    return TH_OK;
}

/* Does one of them stand before what is still there? */
static enum th_code check_starts(struct memory_log *log, const struct memory_reader *reader,
                                 struct th_err *err)
{
    for (size_t i = 0; i < reader->n; i++) {
        const struct log_place *from = &reader->at[i];
        const struct memory_part *part = memory_store_part(&log->store, from->topic, from->part);
        if ((size_t)from->offset < part->start)
            return th_fail(err, TH_NOT_FOUND,
                           "%s/%d: offset %lld was dropped from the log, which begins at %zu: its "
                           "archive has it",
                           topic_name(from->topic), from->part, (long long)from->offset,
                           part->start);
    }
    return TH_OK;
}

/* Views of what there is, into the log itself; at most bytes_max, but at least one record. Each
 * partition may fill its share of what those before it left over, so that a full one cannot starve
 * the others. */
static enum th_code look(struct memory_log *log, struct memory_reader *reader, size_t bytes_max,
                         size_t *out_n)
{
    size_t bytes = 0;
    size_t n = 0;

    for (size_t k = 0; k < reader->n; k++) {
        const struct log_place *from = &reader->at[(reader->turn + k) % reader->n];
        const struct memory_part *part = memory_store_part(&log->store, from->topic, from->part);
        size_t share_end = bytes + (bytes_max - bytes) / (reader->n - k);

        for (size_t i = (size_t)from->offset; i < part->n; i++) {
            const struct memory_record *at = &part->at[i];
            size_t size = (size_t)at->key_n + at->value_n + at->headers_n;
            if (n > 0 && (bytes >= share_end || size > bytes_max - bytes))
                break;
            TH_TRY(reserve_seen(reader, n));
            reader->seen[n++] = (struct log_record){
                .place = {from->topic, from->part, (int64_t)i},
                .at_us = at->at_us,
                .key = {at->bytes, at->key_n},
                .value = {at->bytes + at->key_n, at->value_n},
                .headers = {at->bytes + at->key_n + at->value_n, at->headers_n},
            };
            bytes += size;
            if (bytes >= bytes_max) {
                *out_n = n;
                return TH_OK;
            }
        }
    }
    *out_n = n;
    return TH_OK;
}

static enum th_code copy_out(const struct memory_reader *reader, size_t n, struct th_arena *arena,
                             struct log_records *out)
{
    struct log_record *copies = th_arena_array(arena, n, sizeof *copies);

    if (!copies)
        return TH_NOMEM;
    for (size_t i = 0; i < n; i++) {
        copies[i] = reader->seen[i];
        TH_TRY(th_arena_copy(arena, reader->seen[i].key, &copies[i].key));
        TH_TRY(th_arena_copy(arena, reader->seen[i].value, &copies[i].value));
        if (reader->seen[i].headers.n)
            TH_TRY(th_arena_copy(arena, reader->seen[i].headers, &copies[i].headers));
    }
    *out = (struct log_records){copies, n};
    return TH_OK;
}

static struct log_place *place_of(struct memory_reader *reader, struct log_place place)
{
    for (size_t i = 0; i < reader->n; i++)
        if (reader->at[i].topic == place.topic && reader->at[i].part == place.part)
            return &reader->at[i];
    return NULL;
}

/* Records of a partition stand together, so each run needs one look for its place. */
static void move_on(struct memory_reader *reader, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct log_place place = reader->seen[i].place;
        bool is_last = i + 1 == n || reader->seen[i + 1].place.topic != place.topic ||
                       reader->seen[i + 1].place.part != place.part;
        if (is_last)
            place_of(reader, place)->offset = place.offset + 1;
    }
    reader->turn = (reader->turn + 1) % reader->n;
}

enum th_code memory_reader_read(struct th_log_reader *base, size_t bytes_max,
                                struct th_arena *arena, struct log_records *out, struct th_err *err)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    struct memory_log *log = memory_of(base->log);
    size_t n = 0;

    memory_lock(log);
    bool is_down = log->down & MEMORY_DOWN_READ;
    enum th_code code = is_down ? TH_OK : check_starts(log, reader, err);
    if (code != TH_OK) {
        memory_unlock(log);
        return code;
    }
    code = is_down ? TH_UNAVAILABLE : look(log, reader, bytes_max, &n);
    memory_unlock(log);
    /* Published bytes neither move nor change: they are copied outside the lock. */
    if (code == TH_OK && n)
        code = copy_out(reader, n, arena, out);
    if (code != TH_OK)
        return th_fail(err, code, "memory log: reading");
    move_on(reader, n);
    return TH_OK;
}

void memory_reader_seek(struct th_log_reader *base, struct log_place place)
{
    struct log_place *at = place_of((struct memory_reader *)base, place);

    assert(at);
    at->offset = place.offset;
}

void memory_reader_close(struct th_log_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    struct memory_log *log = memory_of(base->log);

    memory_lock(log);
    log->readers_n--;
    memory_unlock(log);
    free(reader->seen);
    free(reader);
}

/* --- listeners ---------------------------------------------------------------------------- */

struct memory_listener {
    struct th_log_listener base;
    struct memory_listener *next;
    uint32_t topics;
    bool is_readable; /* spares a system call for each append */
};

enum th_code memory_listener_open(struct th_log *base, uint32_t topics,
                                  struct th_log_listener **out_listener, struct th_err *err)
{
    struct memory_log *log = memory_of(base);
    struct memory_listener *listener = calloc(1, sizeof *listener);

    if (!listener)
        return th_fail(err, TH_NOMEM, "listener");
    listener->base = (struct th_log_listener){.log = base, .fd = -1};
    listener->topics = topics;
    if (!log->options.is_quiet) {
        listener->base.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (listener->base.fd < 0) {
            int failed = errno;
            free(listener);
            return th_fail(err, TH_IO, "eventfd: %s", strerror(failed));
        }
    }
    memory_lock(log);
    listener->next = log->listeners;
    log->listeners = listener;
    memory_unlock(log);
    *out_listener = &listener->base;
    return TH_OK;
}

void memory_wake(struct memory_log *log, uint32_t topics)
{
    if (log->options.is_quiet)
        return;
    for (struct memory_listener *at = log->listeners; at; at = at->next)
        if ((at->topics & topics) && !at->is_readable)
            at->is_readable = eventfd_write(at->base.fd, 1) == 0;
}

void memory_listener_clear(struct th_log_listener *base)
{
    struct memory_listener *listener = (struct memory_listener *)base;
    struct memory_log *log = memory_of(base->log);
    eventfd_t count;

    memory_lock(log);
    if (listener->is_readable && eventfd_read(base->fd, &count) == 0)
        listener->is_readable = false;
    memory_unlock(log);
}

void memory_listener_close(struct th_log_listener *base)
{
    struct memory_listener *listener = (struct memory_listener *)base;
    struct memory_log *log = memory_of(base->log);

    memory_lock(log);
    struct memory_listener **at = &log->listeners;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    memory_unlock(log);
    if (base->fd >= 0)
        close(base->fd);
    free(listener);
}
