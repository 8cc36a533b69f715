#include "common/duplicates.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PIECES_MAX 1024

struct entry {
    uint64_t hash;
    int64_t ordinal;
};

struct duplicates {
    const char *dir;
    struct entry *entries;
    size_t n;
    size_t max;
    FILE *pieces[PIECES_MAX]; /* each sorted */
    struct entry heads[PIECES_MAX];
    bool has_head[PIECES_MAX];
    size_t pieces_n;
};

enum th_code duplicates_new(const char *dir, size_t entries_max, struct duplicates **out,
                            struct th_err *err)
{
    TH_AUTO(duplicates) struct duplicates *d = calloc(1, sizeof *d);

    if (!d || !(d->entries = malloc(entries_max * sizeof *d->entries)))
        return th_fail(err, TH_NOMEM, "looking for duplicates");
    d->dir = dir;
    d->max = entries_max;
    *out = TH_TAKE(d);
    return TH_OK;
}

void duplicates_free(struct duplicates *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->pieces_n; i++)
        (void)fclose(d->pieces[i]);
    free(d->entries);
    free(d);
}

static int compare(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

static enum th_code io_failed(const struct duplicates *d, struct th_err *err)
{
    return th_fail(err, errno == ENOSPC ? TH_FULL : TH_IO, "a piece of the sort in %s: %s", d->dir,
                   strerror(errno));
}

/* A file without a name: nothing is left behind, however the process ends. */
static enum th_code make_piece(const struct duplicates *d, FILE **out, struct th_err *err)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/duplicates.XXXXXX", d->dir);

    if (n < 0 || (size_t)n >= sizeof path)
        return th_fail(err, TH_INVALID, "the path of the scratch folder is too long");
    int fd = mkstemp(path);
    if (fd < 0)
        return io_failed(d, err);
    (void)unlink(path);
    *out = fdopen(fd, "w+");
    if (*out)
        return TH_OK;
    (void)close(fd);
    return io_failed(d, err);
}

static enum th_code spill(struct duplicates *d, struct th_err *err)
{
    FILE *piece = NULL;

    if (d->pieces_n == PIECES_MAX)
        return th_fail(err, TH_FULL, "too many recipients to look for duplicates");
    qsort(d->entries, d->n, sizeof *d->entries, compare);
    TH_TRY(make_piece(d, &piece, err));
    d->pieces[d->pieces_n++] = piece;
    if (fwrite(d->entries, sizeof *d->entries, d->n, piece) != d->n || fflush(piece) != 0)
        return io_failed(d, err);
    d->n = 0;
    return TH_OK;
}

enum th_code duplicates_add(struct duplicates *d, uint64_t hash, int64_t ordinal,
                            struct th_err *err)
{
    if (d->n == d->max)
        TH_TRY(spill(d, err));
    d->entries[d->n++] = (struct entry){hash, ordinal};
    return TH_OK;
}

/* --- merging: a heap of the pieces' first entries
 * ---------------------------------------------------- */

static enum th_code read_head(struct duplicates *d, size_t piece, struct th_err *err)
{
    d->has_head[piece] = fread(&d->heads[piece], sizeof d->heads[piece], 1, d->pieces[piece]) == 1;
    return !d->has_head[piece] && ferror(d->pieces[piece]) ? io_failed(d, err) : TH_OK;
}

static bool stands_before(const struct duplicates *d, size_t a, size_t b)
{
    return compare(&d->heads[a], &d->heads[b]) < 0;
}

static void sift_down(const struct duplicates *d, size_t *heap, size_t n, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (stands_before(d, heap[child], heap[least]))
                least = child;
        if (least == i)
            return;
        size_t swapped = heap[i];
        heap[i] = heap[least];
        heap[least] = swapped;
        i = least;
    }
}

struct finder {
    void (*found)(void *arg, int64_t ordinal);
    void *arg;
    uint64_t last;
    bool has_last;
};

static void look(struct finder *finder, const struct entry *entry)
{
    if (finder->has_last && finder->last == entry->hash)
        finder->found(finder->arg, entry->ordinal);
    finder->last = entry->hash;
    finder->has_last = true;
}

static enum th_code merge(struct duplicates *d, struct finder *finder, struct th_err *err)
{
    size_t heap[PIECES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < d->pieces_n; i++) {
        rewind(d->pieces[i]);
        TH_TRY(read_head(d, i, err));
        if (d->has_head[i])
            heap[n++] = i;
    }
    for (size_t i = n; i-- > 0;)
        sift_down(d, heap, n, i);
    while (n > 0) {
        look(finder, &d->heads[heap[0]]);
        TH_TRY(read_head(d, heap[0], err));
        if (!d->has_head[heap[0]])
            heap[0] = heap[--n];
        sift_down(d, heap, n, 0);
    }
    return TH_OK;
}

enum th_code duplicates_find(struct duplicates *d, void (*found)(void *arg, int64_t ordinal),
                             void *arg, struct th_err *err)
{
    struct finder finder = {found, arg, 0, false};

    if (d->pieces_n > 0) {
        TH_TRY(spill(d, err));
        return merge(d, &finder, err);
    }
    qsort(d->entries, d->n, sizeof *d->entries, compare);
    for (size_t i = 0; i < d->n; i++)
        look(&finder, &d->entries[i]);
    return TH_OK;
}
