#include "processors/dispatch/journal.h"

#include "common/eventlog/hash_set.h"
#include "common/fault.h"
#include "common/hash.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_MAGIC     0x314c4e524a485401 /* the bytes 01 "THJRNL1" on a little-endian machine */
#define JOURNAL_NAME_SIZE 64
#define RECORDS_PER_READ  2048

/* Files never leave the machine, nor the boot, that wrote them: native byte order. */
struct header {
    uint64_t magic;
    uint64_t session;
    uint64_t boot; /* hash of the boot id */
    uint64_t pid_namespace;
    uint64_t pid_started; /* clock ticks after boot: tells apart two processes with one pid */
    int32_t pid;
    int32_t slot;
    uint64_t check; /* hash of all before */
};

struct record {
    struct th_id send;
    int64_t n;
    uint32_t boot;  /* low half of the hash */
    uint32_t check; /* likewise, of all before */
};

static_assert(sizeof(struct header) == 56, "no padding: it is hashed and compared");
static_assert(sizeof(struct record) == 32, "one record, one write of 32 bytes");

struct journal {
    char *dir;
    int slot;
    struct header self; /* what this process writes at the head of its files, but for the session */
    int fd;             /* of the current session; -1: it has no file, and has sent nothing */
    off_t end;          /* of the whole records in it */
    bool is_torn;       /* a part of one follows */
    uint64_t session;   /* 0: none */

    uint64_t read_session; /* whose records read holds; 0: none */
    bool is_believed;
    struct hash_set read;
};

static uint64_t hash_of(const void *bytes, size_t n)
{
    return th_hash64((struct th_str){bytes, n}, JOURNAL_MAGIC);
}

/* --- who writes: this process, in this boot --------------------------------------------------- */

static bool read_small_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, text, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

/* Ticks after boot at which a process started; false: it is dead (or dying). The second field of
 * proc_pid_stat(5) may hold anything, a ")" too, so what counts begins behind the last one. */
static bool pid_started(int32_t pid, uint64_t *out_ticks)
{
    char path[32];
    char text[1024];
    char state;
    const char *p;

    snprintf(path, sizeof path, "/proc/%" PRId32 "/stat", pid);
    if (!read_small_file(path, text, sizeof text) || !(p = strrchr(text, ')')))
        return false;
    state = p[1] ? p[2] : '\0';
    if (state == 'Z' || state == 'X')
        return false;
    for (int field = 2; field < 22; field++)
        if (!(p = strchr(p + 1, ' ')))
            return false;
    *out_ticks = strtoull(p + 1, NULL, 10);
    return true;
}

static enum th_code describe_self(struct journal *journal, struct th_err *err)
{
    struct header *self = &journal->self;
    char boot[64];
    struct stat st;

    if (!read_small_file("/proc/sys/kernel/random/boot_id", boot, sizeof boot) ||
        stat("/proc/self/ns/pid", &st) != 0)
        return th_fail(err, TH_IO, "journal: /proc must be mounted: %s", strerror(errno));
    *self = (struct header){
        .magic = JOURNAL_MAGIC,
        .boot = hash_of(boot, TH_FAULT(boot_changed) ? 1 : strlen(boot)),
        .pid_namespace = st.st_ino,
        .pid = getpid(),
        .slot = journal->slot,
    };
    if (!pid_started(self->pid, &self->pid_started))
        return th_fail(err, TH_IO, "journal: /proc must show this process");
    return TH_OK;
}

enum th_code journal_open(const char *dir, int slot, struct journal **out_journal,
                          struct th_err *err)
{
    TH_AUTO(journal) struct journal *journal = calloc(1, sizeof *journal);

    if (!journal)
        return th_fail(err, TH_NOMEM, "journal");
    journal->fd = -1;
    journal->slot = slot;
    journal->dir = strdup(dir);
    if (!journal->dir)
        return th_fail(err, TH_NOMEM, "journal");
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return th_fail(err, TH_IO, "%s: %s", dir, strerror(errno));
    TH_TRY(describe_self(journal, err));
    *out_journal = TH_TAKE(journal);
    return TH_OK;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    if (journal->fd >= 0)
        close(journal->fd);
    hash_set_fini(&journal->read);
    free(journal->dir);
    free(journal);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void path_of(const struct journal *journal, uint64_t session,
                    char out_path[4096 + JOURNAL_NAME_SIZE])
{
    snprintf(out_path, 4096 + JOURNAL_NAME_SIZE, "%s/dispatch.%d.%016" PRIx64, journal->dir,
             journal->slot, session);
}

static int open_file(const struct journal *journal, uint64_t session, int flags)
{
    char path[4096 + JOURNAL_NAME_SIZE];

    path_of(journal, session, path);
    return open(path, flags | O_CLOEXEC, 0600);
}

static void remove_file(const struct journal *journal, uint64_t session)
{
    char path[4096 + JOURNAL_NAME_SIZE];

    path_of(journal, session, path);
    unlink(path);
}

enum th_code journal_begin(struct journal *journal, uint64_t session, struct th_err *err)
{
    struct header header = journal->self;

    if (journal->fd >= 0)
        close(journal->fd);
    journal->fd = -1;
    journal->session = session;
    if (!session)
        return TH_OK;

    header.session = session;
    header.check = hash_of(&header, offsetof(struct header, check));
    journal->fd = open_file(journal, session, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
    if (journal->fd < 0)
        return th_fail(err, TH_IO, "journal in %s: %s", journal->dir, strerror(errno));
    if (write(journal->fd, &header, sizeof header) != (ssize_t)sizeof header) {
        th_fail(err, TH_IO, "journal in %s: %s", journal->dir, strerror(errno));
        remove_file(journal, session);
        close(journal->fd);
        journal->fd = -1;
        return TH_IO;
    }
    journal->end = sizeof header;
    journal->is_torn = false;
    return TH_OK;
}

/* A write that failed refuses one send, not all that follow: a slot that can start attempts and
 * send none would hand them round for ever. What the file holds is complete, since what could not
 * be noted was not sent. */
static enum th_code mend(struct journal *journal, struct th_err *err)
{
    if (journal->fd < 0 && journal->session)
        return journal_begin(journal, journal->session, err);
    if (journal->fd < 0)
        return th_fail(err, TH_IO, "journal: no session");
    if (journal->is_torn && ftruncate(journal->fd, journal->end) != 0)
        return th_fail(err, TH_IO, "journal in %s: %s", journal->dir, strerror(errno));
    journal->is_torn = false;
    return TH_OK;
}

enum th_code journal_note(struct journal *journal, struct attempt_ref attempt, struct th_err *err)
{
    struct record record = {
        .send = attempt.send,
        .n = attempt.n,
        .boot = (uint32_t)journal->self.boot,
    };
    ssize_t written;

    TH_TRY(mend(journal, err));
    record.check = (uint32_t)hash_of(&record, offsetof(struct record, check));
    errno = ENOSPC;
    written = TH_FAULT(journal_note) ? -1 : write(journal->fd, &record, sizeof record);
    if (written == (ssize_t)sizeof record) {
        journal->end += written;
        return TH_OK;
    }
    th_fail(err, TH_IO, "journal in %s: %s", journal->dir,
            written < 0 ? strerror(errno) : "written in part");
    journal->is_torn = written > 0;
    return TH_IO;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Can nobody write to it any more, and would we see all of what was written? */
static bool header_is_believed(const struct journal *journal, const struct header *header,
                               uint64_t session)
{
    uint64_t started;

    if (header->magic != JOURNAL_MAGIC || header->session != session ||
        header->slot != journal->slot ||
        header->check != hash_of(header, offsetof(struct header, check)))
        return false;
    if (header->boot != journal->self.boot || header->pid_namespace != journal->self.pid_namespace)
        return false;
    if (header->pid == journal->self.pid && header->pid_started == journal->self.pid_started)
        return true; /* ours; it is not the current session's, which was asked before */
    return !pid_started(header->pid, &started) || started != header->pid_started;
}

static uint64_t attempt_hash(struct attempt_ref attempt)
{
    struct record record = {.send = attempt.send, .n = attempt.n};

    return hash_of(&record, offsetof(struct record, boot));
}

/* Two attempts with one hash make an attempt look sent that was not: the harmless side. */
static bool add_records(struct journal *journal, const struct record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct record *r = &records[i];

        if (r->boot != (uint32_t)journal->self.boot ||
            r->check != (uint32_t)hash_of(r, offsetof(struct record, check)))
            return false;
        if (hash_set_add(&journal->read,
                         attempt_hash((struct attempt_ref){r->send, (int32_t)r->n})) != TH_OK)
            return false;
    }
    return true;
}

/* Fill a buffer as far as the file reaches. */
static ssize_t read_whole(int fd, void *bytes, size_t size)
{
    size_t n = 0;

    while (n < size) {
        ssize_t got = read(fd, (char *)bytes + n, size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static bool load_file(struct journal *journal, int fd, uint64_t session)
{
    struct header header;
    struct record *records;
    ssize_t n;
    bool is_fine = true;

    if (read_whole(fd, &header, sizeof header) != (ssize_t)sizeof header ||
        !header_is_believed(journal, &header, session))
        return false;
    records = calloc(RECORDS_PER_READ, sizeof *records);
    if (!records)
        return false;
    do {
        n = read_whole(fd, records, RECORDS_PER_READ * sizeof *records);
        is_fine = n >= 0 && add_records(journal, records, (size_t)n / sizeof *records);
    } while (is_fine && n == (ssize_t)(RECORDS_PER_READ * sizeof *records));
    free(records);
    return is_fine;
}

/* Of one session at a time: an owner that takes over asks for all attempts of its predecessor. */
static void load(struct journal *journal, uint64_t session)
{
    int fd = open_file(journal, session, O_RDONLY);

    hash_set_fini(&journal->read);
    journal->read = (struct hash_set){0};
    journal->read_session = session;
    journal->is_believed = fd >= 0 && load_file(journal, fd, session);
    if (fd >= 0)
        close(fd);
}

bool journal_is_silent(struct journal *journal, uint64_t session, struct attempt_ref attempt)
{
    if (!session || session == journal->session)
        return false;
    if (session != journal->read_session || !journal->is_believed)
        load(journal, session);
    return journal->is_believed && !hash_set_has(&journal->read, attempt_hash(attempt));
}

void journal_drop(struct journal *journal, uint64_t keep)
{
    char prefix[JOURNAL_NAME_SIZE];
    struct dirent *entry;
    DIR *dir = opendir(journal->dir);
    size_t n;

    hash_set_fini(&journal->read);
    journal->read = (struct hash_set){0};
    journal->read_session = 0;
    if (!dir)
        return;
    n = (size_t)snprintf(prefix, sizeof prefix, "dispatch.%d.", journal->slot);
    while ((entry = readdir(dir))) {
        uint64_t session;
        char *end;

        if (strncmp(entry->d_name, prefix, n) != 0 || strlen(entry->d_name) != n + 16)
            continue;
        session = strtoull(entry->d_name + n, &end, 16);
        if (*end == '\0' && session != keep && session != journal->session)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}
