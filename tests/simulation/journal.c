#include "tests/simulation/journal.h"

#include "tests/simulation/world.h"

#include <assert.h>

struct journal {
    const struct process *writer;
    int slot;
    uint64_t session;
    bool is_there;
    struct attempt_ref *at;
    size_t n;
    size_t cap;
};

struct journals {
    struct journal *at;
    size_t n;
    size_t cap;
};

struct journals *journals_new(void)
{
    struct journals *journals = calloc(1, sizeof *journals);

    assert(journals);
    return journals;
}

void journals_free(struct journals *journals)
{
    if (!journals)
        return;
    for (size_t i = 0; i < journals->n; i++)
        free(journals->at[i].at);
    free(journals->at);
    free(journals);
}

static struct journal *find(const struct journals *journals, uint64_t session)
{
    for (size_t i = journals->n; i-- > 0;)
        if (journals->at[i].session == session)
            return &journals->at[i];
    return NULL;
}

void journal_open(struct journals *journals, const struct process *process, int slot,
                  uint64_t session)
{
    if (journals->n == journals->cap) {
        journals->cap = journals->cap ? 2 * journals->cap : 16;
        journals->at = reallocarray(journals->at, journals->cap, sizeof *journals->at);
        assert(journals->at);
    }
    journals->at[journals->n++] =
        (struct journal){.writer = process, .slot = slot, .session = session, .is_there = true};
}

bool journal_write(struct journals *journals, uint64_t session, struct attempt_ref attempt,
                   bool must_fail)
{
    struct journal *journal = find(journals, session);

    if (!journal || must_fail)
        return false;
    if (journal->n == journal->cap) {
        journal->cap = journal->cap ? 2 * journal->cap : 16;
        journal->at = reallocarray(journal->at, journal->cap, sizeof *journal->at);
        assert(journal->at);
    }
    journal->at[journal->n++] = attempt;
    return true;
}

bool journal_is_silent(const struct journals *journals, const struct process *asking,
                       uint64_t asking_session, uint64_t session, struct attempt_ref attempt)
{
    const struct journal *journal = find(journals, session);

    if (!journal || !journal->is_there || session == asking_session)
        return false;
    if (journal->writer != asking && journal->writer->is_alive)
        return false;
    for (size_t i = 0; i < journal->n; i++)
        if (journal->at[i].n == attempt.n && th_id_eq(journal->at[i].send, attempt.send))
            return false;
    return true;
}

void journal_drop(struct journals *journals, int slot, uint64_t keep)
{
    for (size_t i = 0; i < journals->n; i++)
        if (journals->at[i].slot == slot && journals->at[i].session != keep)
            journals->at[i].is_there = false;
}

void journals_reboot(struct journals *journals)
{
    for (size_t i = 0; i < journals->n; i++)
        journals->at[i].is_there = false;
}
