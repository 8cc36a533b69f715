#include "connectors/sandbox/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPLAY_WINDOW ((size_t)1024 * 1024) /* bytes; holds at least one line */
#define RECENT_SIZE   ((size_t)1024 * 1024) /* bytes at the end that are read without the file */

struct journal {
    int fd;
    int event_fd;
    pthread_t thread;
    bool is_running;
    uint64_t end;    /* of the appending thread alone, like the two below */
    uint64_t opened; /* the end as it was then */
    char *recent;    /* a ring: the byte at offset x lies at x % RECENT_SIZE */
    atomic_uint_least64_t durable;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t wake;
    struct th_buf filling;
    bool is_kicked;
    bool is_stopping;
    int failure; /* errno */
};

static enum th_code write_all(int fd, struct th_str bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return TH_IO;
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
    return TH_OK;
}

static void notify(struct journal *journal)
{
    uint64_t one = 1;
    ssize_t n = write(journal->event_fd, &one, sizeof one);

    (void)n; /* it can only fail when the counter is full, that is: readable already */
}

/* Wait for bytes and swap them out. False when there is nothing left to do. */
static bool next_batch(struct journal *journal, struct th_buf *batch)
{
    (void)pthread_mutex_lock(&journal->mutex);
    while (!journal->is_stopping && !(journal->is_kicked && journal->filling.n))
        (void)pthread_cond_wait(&journal->wake, &journal->mutex);

    struct th_buf empty = *batch;
    *batch = journal->filling;
    journal->filling = empty;
    journal->is_kicked = false;
    bool is_failed = journal->failure != 0;
    (void)pthread_mutex_unlock(&journal->mutex);
    return batch->n > 0 && !is_failed;
}

static void fail(struct journal *journal, int error)
{
    (void)pthread_mutex_lock(&journal->mutex);
    journal->failure = error ? error : EIO;
    (void)pthread_mutex_unlock(&journal->mutex);
    notify(journal);
}

static void *run(void *arg)
{
    struct journal *journal = arg;
    struct th_buf batch = {0};

    while (next_batch(journal, &batch)) {
        if (write_all(journal->fd, th_buf_str(&batch)) != TH_OK || fdatasync(journal->fd) != 0) {
            fail(journal, errno);
            break;
        }
        atomic_fetch_add(&journal->durable, batch.n);
        th_buf_clear(&batch);
        notify(journal);
    }
    th_buf_fini(&batch);
    return NULL;
}

/* A new file is only there for certain once its folder was synced. */
static enum th_code sync_folder(const char *path, struct th_err *err)
{
    TH_AUTO(free) void *copy = strdup(path);

    if (!copy)
        return th_fail(err, TH_NOMEM, "ledger");
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int error = errno;
        if (fd >= 0)
            (void)close(fd);
        return th_fail(err, TH_IO, "folder of %s: %s", path, strerror(error));
    }
    (void)close(fd);
    return TH_OK;
}

static enum th_code open_file(struct journal *journal, const char *path, struct th_err *err)
{
    journal->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal->fd < 0)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    if (flock(journal->fd, LOCK_EX | LOCK_NB) != 0)
        return th_fail(err, TH_CONFLICT, "%s: another sandbox has it open", path);
    journal->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (journal->event_fd < 0)
        return th_fail(err, TH_IO, "eventfd: %s", strerror(errno));
    return sync_folder(path, err);
}

static enum th_code read_some(int fd, uint64_t at, char *to, size_t n, size_t *out_n,
                              struct th_err *err)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = pread(fd, to + have, n - have, (off_t)(at + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return th_fail(err, TH_IO, "ledger: %s", strerror(errno));
        if (got == 0)
            break;
        have += (size_t)got;
    }
    *out_n = have;
    return TH_OK;
}

/* What replaying one window of the file found out. */
struct window {
    struct th_str bytes;
    uint64_t at;       /* of its first byte */
    bool is_last;      /* nothing follows it */
    size_t understood; /* bytes of whole, good lines */
};

static enum th_code replay_window(struct window *window, journal_line_fn *on_line, void *owner,
                                  struct th_err *err)
{
    struct th_str rest = window->bytes;
    struct th_str line;

    while (th_str_cut(rest, '\n', &line, &rest)) {
        uint64_t at = window->at + window->understood;
        enum th_code code = on_line(owner, line, at, err);
        if (code == TH_CORRUPT && window->is_last && rest.n == 0)
            return TH_OK; /* torn: it was never acknowledged */
        if (code != TH_OK)
            return th_wrap(err, "at byte %" PRIu64, at);
        window->understood += line.n + 1;
    }
    return TH_OK;
}

static enum th_code replay(struct journal *journal, journal_line_fn *on_line, void *owner,
                           struct th_err *err)
{
    TH_AUTO(free) void *buffer = malloc(REPLAY_WINDOW);
    struct stat facts;

    if (!buffer)
        return th_fail(err, TH_NOMEM, "ledger");
    if (fstat(journal->fd, &facts) != 0)
        return th_fail(err, TH_IO, "ledger: %s", strerror(errno));

    uint64_t size = (uint64_t)facts.st_size;
    uint64_t at = 0;
    for (;;) {
        size_t n;
        TH_TRY(read_some(journal->fd, at, buffer, REPLAY_WINDOW, &n, err));
        struct window window = {.bytes = {buffer, n}, .at = at, .is_last = at + n >= size};
        TH_TRY(replay_window(&window, on_line, owner, err));
        at += window.understood;
        if (window.is_last)
            break;
        if (window.understood == 0)
            return th_fail(err, TH_CORRUPT, "at byte %" PRIu64 ": a line without end", at);
    }
    if (at < size && (ftruncate(journal->fd, (off_t)at) != 0 || fsync(journal->fd) != 0))
        return th_fail(err, TH_IO, "cutting a torn line: %s", strerror(errno));
    journal->end = at;
    journal->opened = at;
    atomic_store(&journal->durable, at);
    return TH_OK;
}

enum th_code journal_open(const char *path, journal_line_fn *on_line, void *owner,
                          struct journal **out_journal, struct th_err *err)
{
    TH_AUTO(journal) struct journal *journal = calloc(1, sizeof *journal);

    if (!journal)
        return th_fail(err, TH_NOMEM, "ledger");
    journal->fd = -1;
    journal->event_fd = -1;
    journal->recent = malloc(RECENT_SIZE);
    if (!journal->recent)
        return th_fail(err, TH_NOMEM, "ledger");
    (void)pthread_mutex_init(&journal->mutex, NULL);
    (void)pthread_cond_init(&journal->wake, NULL);
    TH_TRY(open_file(journal, path, err));
    if (replay(journal, on_line, owner, err) != TH_OK)
        return th_wrap(err, "%s", path);
    if (pthread_create(&journal->thread, NULL, run, journal) != 0)
        return th_fail(err, TH_NOMEM, "thread of the ledger");
    journal->is_running = true;
    *out_journal = TH_TAKE(journal);
    return TH_OK;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    if (journal->is_running) {
        (void)pthread_mutex_lock(&journal->mutex);
        journal->is_stopping = true;
        (void)pthread_cond_signal(&journal->wake);
        (void)pthread_mutex_unlock(&journal->mutex);
        (void)pthread_join(journal->thread, NULL);
    }
    if (journal->fd >= 0)
        (void)close(journal->fd);
    if (journal->event_fd >= 0)
        (void)close(journal->event_fd);
    th_buf_fini(&journal->filling);
    free(journal->recent);
    (void)pthread_cond_destroy(&journal->wake);
    (void)pthread_mutex_destroy(&journal->mutex);
    free(journal);
}

static void remember(struct journal *journal, struct th_str bytes)
{
    uint64_t at = journal->end;

    if (bytes.n > RECENT_SIZE) {
        at += bytes.n - RECENT_SIZE;
        bytes = (struct th_str){bytes.p + bytes.n - RECENT_SIZE, RECENT_SIZE};
    }
    size_t from = (size_t)(at % RECENT_SIZE);
    size_t first = bytes.n < RECENT_SIZE - from ? bytes.n : RECENT_SIZE - from;
    memcpy(journal->recent + from, bytes.p, first);
    memcpy(journal->recent, bytes.p + first, bytes.n - first);
}

static bool is_recent(const struct journal *journal, uint64_t at, size_t n)
{
    uint64_t oldest = journal->end > RECENT_SIZE ? journal->end - RECENT_SIZE : 0;

    return at >= oldest && at >= journal->opened && n <= journal->end && at <= journal->end - n;
}

static void recall(const struct journal *journal, uint64_t at, char *to, size_t n)
{
    size_t from = (size_t)(at % RECENT_SIZE);
    size_t first = n < RECENT_SIZE - from ? n : RECENT_SIZE - from;

    memcpy(to, journal->recent + from, first);
    memcpy(to + first, journal->recent, n - first);
}

enum th_code journal_append(struct journal *journal, struct th_str bytes, uint64_t *out_end)
{
    enum th_code code = TH_OK;

    (void)pthread_mutex_lock(&journal->mutex);
    if (journal->filling.n + bytes.n > JOURNAL_PENDING_MAX) {
        code = TH_FULL;
    } else {
        th_buf_add(&journal->filling, bytes);
        code = th_buf_status(&journal->filling);
        journal->filling.is_failed = false; /* what was there before is still whole */
    }
    (void)pthread_mutex_unlock(&journal->mutex);
    if (code != TH_OK)
        return code;
    remember(journal, bytes);
    journal->end += bytes.n;
    *out_end = journal->end;
    return TH_OK;
}

uint64_t journal_end(const struct journal *journal)
{
    return journal->end;
}

void journal_kick(struct journal *journal)
{
    (void)pthread_mutex_lock(&journal->mutex);
    if (journal->filling.n && !journal->is_kicked) {
        journal->is_kicked = true;
        (void)pthread_cond_signal(&journal->wake);
    }
    (void)pthread_mutex_unlock(&journal->mutex);
}

uint64_t journal_durable(const struct journal *journal)
{
    return atomic_load(&journal->durable);
}

int journal_fd(const struct journal *journal)
{
    return journal->event_fd;
}

void journal_acknowledge(struct journal *journal)
{
    uint64_t count;
    ssize_t n = read(journal->event_fd, &count, sizeof count);

    (void)n; /* EAGAIN: nothing to clear */
}

enum th_code journal_failure(struct journal *journal, struct th_err *err)
{
    (void)pthread_mutex_lock(&journal->mutex);
    int failure = journal->failure;
    (void)pthread_mutex_unlock(&journal->mutex);
    return failure ? th_fail(err, TH_IO, "ledger: %s", strerror(failure)) : TH_OK;
}

enum th_code journal_read(const struct journal *journal, uint64_t at, char *to, size_t n,
                          size_t *out_n, struct th_err *err)
{
    if (!is_recent(journal, at, n) || at + n > journal_durable(journal))
        return read_some(journal->fd, at, to, n, out_n, err);
    recall(journal, at, to, n);
    *out_n = n;
    return TH_OK;
}
