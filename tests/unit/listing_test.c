#include "tests/unit/test.h"

#include "common/provider.h"
#include "processors/dispatch/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A provider whose list holds a message every EVERY_US, and prices asked for PRICE_US later. */
#define EVERY_US INT64_C(200) /* 5,000 a second */
#define PRICE_US INT64_C(2000000)
#define START_US INT64_C(1700000000000000)
#define ASKED    2000
#define LANE     3

struct world {
    struct listing listing;
    struct job_list singles;
    int64_t now_us;
    int64_t sent;   /* messages, numbered from 0 */
    int64_t others; /* the account's other messages in front of each of ours */
};

static void begin(struct world *w)
{
    *w = (struct world){.now_us = START_US};
    listing_init(&w->listing);
    job_list_init(&w->singles);
}

static size_t free_all(struct job_list *list)
{
    struct job *job;
    size_t n = 0;

    for (; (job = job_list_take(list)); n++) {
        free(job->text);
        free(job);
    }
    return n;
}

static void end(struct world *w)
{
    struct job *job;

    while ((job = listing_take_all(&w->listing)))
        job_list_put(&w->singles, job);
    free_all(&w->singles);
    listing_fini(&w->listing);
}

static void send_for(struct world *w, int64_t us)
{
    for (int64_t until_us = w->now_us + us; w->now_us < until_us; w->now_us += EVERY_US) {
        listing_count_call(&w->listing, w->now_us);
        w->sent++;
    }
}

static void ask(struct world *w, int64_t message)
{
    struct job *job = calloc(1, sizeof *job);
    char text[32];

    assert_non_null(job);
    snprintf(text, sizeof text, "M%jd", (intmax_t)message);
    job->text = strdup(text);
    assert_non_null(job->text);
    job->as.lookup = (struct effect_lookup){.lane = LANE,
                                            .channel = CHANNEL_SMS,
                                            .provider_id = th_str(job->text),
                                            .started_us = START_US + message * EVERY_US};
    listing_gather(&w->listing, job);
}

/* For the prices of the last that are old enough. */
static void ask_many(struct world *w)
{
    int64_t newest = w->sent - PRICE_US / EVERY_US;

    for (int64_t i = 0; i < ASKED; i++)
        ask(w, newest - ASKED + i);
}

/* One page from next on; a place is the number of the list's entry, counted from the oldest. */
static struct th_str read_page(struct world *w, struct th_str next, char room[32])
{
    int64_t entries = w->sent * (1 + w->others);
    int64_t at = entries;
    struct job *job;
    char id[32];

    if (next.n > 0)
        assert_true(th_str_int(next, 0, entries, &at));
    for (int i = 0; i < PROVIDER_PAGE_MAX && at > 0; i++) {
        at--;
        snprintf(id, sizeof id, "M%jd", (intmax_t)(at / (1 + w->others)));
        if (at % (1 + w->others) != 0 || !(job = listing_find(&w->listing, th_str(id))))
            continue;
        free(job->text);
        free(job);
    }
    snprintf(room, 32, "%jd", (intmax_t)at);
    return at > 0 ? th_str(room) : TH_STR("");
}

/* Pages read until nothing is wanted. */
static int list(struct world *w)
{
    char rooms[2][32];
    struct th_str next = {NULL, 0};
    int pages = 0;

    if (!listing_begin(&w->listing, w->now_us, &w->singles))
        return 0;
    while ((pages == 0 || next.n > 0) && listing_wants_page(&w->listing)) {
        next = listing_go_on(&w->listing, read_page(w, next, rooms[pages % 2]));
        pages++;
    }
    listing_end(&w->listing, true, &w->singles);
    return pages;
}

/* So many pages are read, and so many are asked for by themselves after it. */
static void assert_listed(struct world *w, int pages_min, int pages_max, size_t singles)
{
    assert_in_range(list(w), pages_min, pages_max);
    assert_int_equal(free_all(&w->singles), singles);
}

#define PAGES (ASKED / PROVIDER_PAGE_MAX)

static void test_reading_begins_at_a_place_that_is_as_old(void **unused)
{
    struct world w;

    (void)unused;
    begin(&w);
    print_message("  10,000 newer ones stand in front: one by one, but a place is kept\n");
    send_for(&w, 3 * PRICE_US);
    ask_many(&w);
    assert_listed(&w, 1, 1, ASKED);
    print_message("  when those behind it are asked for, reading goes on there\n");
    send_for(&w, PRICE_US - 400000);
    ask_many(&w);
    assert_listed(&w, PAGES + 1, 3 * PAGES, 0);
    print_message("  and each list keeps a place for the next\n");
    send_for(&w, PRICE_US - 400000);
    ask_many(&w);
    assert_listed(&w, PAGES + 1, 3 * PAGES, 0);
    end(&w);
}

static void test_a_place_that_the_provider_does_not_know_is_dropped(void **unused)
{
    struct world w;

    (void)unused;
    begin(&w);
    send_for(&w, 3 * PRICE_US);
    ask_many(&w);
    assert_listed(&w, 1, 1, ASKED);
    send_for(&w, PRICE_US - 400000);
    ask_many(&w);
    assert_true(listing_begin(&w.listing, w.now_us, &w.singles));
    listing_end(&w.listing, false, &w.singles);
    assert_int_equal(free_all(&w.singles), ASKED);
    ask_many(&w);
    assert_listed(&w, 1, 1, ASKED);
    end(&w);
}

static void test_others_of_the_account_cost_pages_or_questions_and_no_answer(void **unused)
{
    static const struct {
        int64_t others;
        size_t singles_max;
        const char *sentence;
    } rows[] = {
        {1, 0, "  as many as ours: read past\n"},
        {20, ASKED, "  twenty times as many: not all are found, those are asked one by one\n"},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(rows); i++) {
        struct world w;

        print_message("%s", rows[i].sentence);
        begin(&w);
        w.others = rows[i].others;
        send_for(&w, 3 * PRICE_US);
        ask_many(&w);
        assert_listed(&w, 1, 1, ASKED);
        send_for(&w, PRICE_US - 400000);
        ask_many(&w);
        assert_in_range(list(&w), PAGES, 8 * PAGES);
        assert_in_range(free_all(&w.singles), 0, rows[i].singles_max);
        assert_null(listing_take_all(&w.listing));
        end(&w);
    }
}

static void test_few_are_not_worth_a_list(void **unused)
{
    struct world w;

    (void)unused;
    begin(&w);
    send_for(&w, 3 * PRICE_US);
    for (int64_t i = 1; i < LISTING_JOBS_MIN; i++)
        ask(&w, w.sent - i);
    assert_listed(&w, 0, 0, LISTING_JOBS_MIN - 1);
    print_message("  nor are more, far apart\n");
    for (int64_t i = 1; i <= LISTING_JOBS_MIN; i++)
        ask(&w, w.sent - i * PROVIDER_PAGE_MAX);
    assert_listed(&w, 0, 0, LISTING_JOBS_MIN);
    print_message("  but they are when they stand side by side\n");
    for (int64_t i = 1; i <= PROVIDER_PAGE_MAX; i++)
        ask(&w, w.sent - i);
    assert_listed(&w, 1, 1, 0);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading_begins_at_a_place_that_is_as_old),
        cmocka_unit_test(test_a_place_that_the_provider_does_not_know_is_dropped),
        cmocka_unit_test(test_others_of_the_account_cost_pages_or_questions_and_no_answer),
        cmocka_unit_test(test_few_are_not_worth_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
