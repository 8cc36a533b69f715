/* A send journal that somebody else wrote, or a disk made of it. The first byte: 0, the whole file
 * as it is; 1, our header, then the bytes; else our header and whole records, the bytes behind
 * them. Silence is believed only of what is whole, and never of an attempt that it names. */
#include "processors/dispatch/journal.h"

#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SESSION 7
#define NOTED   3
#define RECORD  32 /* bytes */

static char dir[128];

static void remove_dir(void)
{
    char path[192];

    snprintf(path, sizeof path, "%s/dispatch.0.%016" PRIx64, dir, (uint64_t)SESSION);
    unlink(path);
    rmdir(dir);
}

static void make_dir(void)
{
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    snprintf(dir, sizeof dir, "%s/telehub-fuzz-journal.XXXXXX", tmp);
    if (!mkdtemp(dir)) {
        perror(dir);
        exit(1);
    }
    (void)atexit(remove_dir);
}

static struct attempt_ref noted(int i)
{
    return (struct attempt_ref){.send = {.b = {(uint8_t)(1 + i)}}, .n = 1};
}

/* The session's file, as its own writer would leave it. */
static void write_ours(bool has_records)
{
    TH_AUTO(journal) struct journal *writer = NULL;

    assert(journal_open(dir, 0, &writer, NULL) == TH_OK);
    assert(journal_begin(writer, SESSION, NULL) == TH_OK);
    for (int i = 0; has_records && i < NOTED; i++)
        assert(journal_note(writer, noted(i), NULL) == TH_OK);
}

static void add_bytes(struct th_str in)
{
    char path[192];

    snprintf(path, sizeof path, "%s/dispatch.0.%016" PRIx64, dir, (uint64_t)SESSION);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert(fd >= 0);
    assert(write(fd, in.p ? in.p : "", in.n) == (ssize_t)in.n);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TH_AUTO(journal) struct journal *reader = NULL;
    struct th_str in = fuzz_input(data, size);
    uint8_t kind = fuzz_byte(&in) % 3;

    if (!dir[0])
        make_dir();
    if (kind)
        write_ours(kind == 2);
    add_bytes(in);

    assert(journal_open(dir, 0, &reader, NULL) == TH_OK);
    assert(journal_begin(reader, 0, NULL) == TH_OK);
    bool is_silent = journal_is_silent(reader, SESSION, noted(NOTED));
    for (int i = 0; kind == 2 && i < NOTED; i++)
        assert(!journal_is_silent(reader, SESSION, noted(i)));
    if (kind == 0) /* its writer, boot and machine are not ours */
        assert(!is_silent);
    if (kind == 2 && in.n < RECORD) /* the torn end of the last one never left */
        assert(is_silent);
    journal_drop(reader, 0);
    return 0;
}
