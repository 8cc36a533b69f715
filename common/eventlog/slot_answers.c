#include "common/eventlog/slot_private.h"

#include <assert.h>

#define PAGE_BYTES_MAX  ((size_t)16 * 1024 * 1024)
#define PAGE_BYTES_FULL ((size_t)48 * 1024) /* then the next answer begins a new page */

/* Answers come and go in order, so memory is given back page by page. */
struct answer_page {
    struct th_arena arena;
    size_t answers_n;
};

static void page_free(struct answer_page *page)
{
    th_arena_fini(&page->arena);
    free(page);
}

static enum th_code fresh_page(struct slot_answers *answers)
{
    struct answer_page *page = answers->page;

    if (page && page->answers_n == 0) {
        th_arena_reset(&page->arena);
        return TH_OK;
    }
    if (page && page->arena.used < PAGE_BYTES_FULL)
        return TH_OK;
    page = calloc(1, sizeof *page);
    if (!page)
        return TH_NOMEM;
    th_arena_init(&page->arena, PAGE_BYTES_MAX);
    answers->page = page; /* the one before goes with its last answer */
    return TH_OK;
}

static enum th_code reserve(struct slot_answers *answers, size_t n)
{
    size_t wanted = answers->n + answers->reserved + n;
    size_t cap = answers->cap ? answers->cap : 64;

    if (wanted <= answers->cap)
        return TH_OK;
    while (cap < wanted)
        cap *= 2;
    struct slot_answer *at = reallocarray(answers->at, cap, sizeof *at);
    if (!at)
        return TH_NOMEM;
    answers->at = at;
    answers->cap = cap;
    return TH_OK;
}

enum th_code answers_reserve(struct slot_answers *answers, struct th_arena **out_arena)
{
    TH_TRY(reserve(answers, 1));
    TH_TRY(fresh_page(answers));
    *out_arena = &answers->page->arena;
    return TH_OK;
}

enum th_code answers_reserve_commit(struct slot_answers *answers, size_t n)
{
    answers->reserved = 0;
    TH_TRY(reserve(answers, n));
    answers->reserved = n;
    return TH_OK;
}

void answers_add(struct slot_answers *answers, const struct answer *answer, uint64_t asked_by,
                 bool has_bytes)
{
    assert(answers->n < answers->cap);
    struct slot_answer *added = &answers->at[answers->n++];
    *added = (struct slot_answer){.answer = *answer, .asked_by = asked_by};
    if (!has_bytes)
        return;
    added->page = answers->page;
    added->page->answers_n++;
}

static void let_go(struct slot_answers *answers, const struct slot_answer *answer)
{
    struct answer_page *page = answer->page;

    if (page && --page->answers_n == 0 && page != answers->page)
        page_free(page);
}

void answers_settle(struct slot_answers *answers, size_t n)
{
    assert(n <= answers->next);
    for (size_t i = 0; i < n; i++)
        let_go(answers, &answers->at[i]);
    for (size_t i = n; i < answers->n; i++)
        answers->at[i - n] = answers->at[i];
    answers->n -= n;
    answers->next -= n;
}

void answers_rewind(struct slot_answers *answers, uint64_t no)
{
    size_t kept = 0;

    for (size_t i = 0; i < answers->n; i++)
        if (answers->at[i].asked_by >= no)
            let_go(answers, &answers->at[i]);
        else
            answers->at[kept++] = answers->at[i];
    answers->n = kept;
    answers->next = 0;
}

void answers_fini(struct slot_answers *answers)
{
    answers->next = answers->n;
    answers_settle(answers, answers->n);
    if (answers->page)
        page_free(answers->page);
    free(answers->at);
    *answers = (struct slot_answers){0};
}
