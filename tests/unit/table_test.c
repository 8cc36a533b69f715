#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "common/eventlog/table.h"
#include "tests/unit/failing_malloc.h"

struct entry {
    struct th_id id;
    uint64_t value;
    struct blob *text;
};

static struct th_id id_of(uint64_t number)
{
    struct th_id id = {0};

    for (size_t i = 0; i < sizeof number; i++)
        id.b[i] = (uint8_t)(number >> (8 * i));
    return id;
}

static struct entry *edited(struct table *table, uint64_t number)
{
    void *entry = NULL;

    assert_int_equal(table_edit(table, id_of(number), &entry), TH_OK);
    return entry;
}

static struct entry *inserted(struct table *table, uint64_t number, uint64_t value)
{
    void *entry = NULL;

    assert_int_equal(table_insert(table, id_of(number), &entry), TH_OK);
    ((struct entry *)entry)->value = value;
    return entry;
}

static const struct entry *got(const struct table *table, uint64_t number)
{
    return table_get(table, id_of(number));
}

static void set_text(struct table *table, struct entry *entry, const char *text)
{
    assert_int_equal(table_drop(table, entry->text), TH_OK);
    assert_int_equal(table_blob(table, th_str(text), &entry->text), TH_OK);
}

/* --- single promises -------------------------------------------------------------------------- */

static void test_an_entry_comes_goes_and_is_bounded(void **unused)
{
    struct table *table = table_new(sizeof(struct entry), 2);
    void *entry;

    (void)unused;
    assert_null(got(table, 1));
    assert_int_equal(table_edit(table, id_of(1), &entry), TH_NOT_FOUND);
    assert_int_equal(table_remove(table, id_of(1)), TH_NOT_FOUND);
    inserted(table, 1, 10);
    assert_true(th_id_eq(got(table, 1)->id, id_of(1)));
    assert_null(got(table, 1)->text);
    assert_int_equal(table_insert(table, id_of(1), &entry), TH_CONFLICT);
    inserted(table, 2, 20);
    assert_int_equal(table_insert(table, id_of(3), &entry), TH_FULL);
    assert_int_equal(table_remove(table, id_of(1)), TH_OK);
    inserted(table, 3, 30);
    assert_null(got(table, 1));
    assert_int_equal(got(table, 2)->value, 20);
    assert_int_equal(table_count(table), 2);
    table_free(table);
    table_free(NULL);
}

static void test_both_batches_are_undone_together(void **unused)
{
    struct table *table = table_new(sizeof(struct entry), 100);

    (void)unused;
    inserted(table, 1, 1);
    inserted(table, 2, 2);
    table_close(table);
    table_forget(table);

    edited(table, 1)->value = 11;
    assert_int_equal(table_remove(table, id_of(2)), TH_OK);
    inserted(table, 3, 3);
    table_close(table);
    edited(table, 1)->value = 111;
    edited(table, 3)->value = 33;
    inserted(table, 2, 22);
    table_undo(table);

    assert_int_equal(table_count(table), 2);
    assert_int_equal(got(table, 1)->value, 1);
    assert_int_equal(got(table, 2)->value, 2);
    assert_null(got(table, 3));
    table_free(table);
}

static void test_a_durable_batch_stays_when_the_next_is_undone(void **unused)
{
    struct table *table = table_new(sizeof(struct entry), 100);

    (void)unused;
    inserted(table, 1, 1);
    table_close(table);
    edited(table, 1)->value = 2;
    table_forget(table);
    table_undo(table);
    assert_int_equal(got(table, 1)->value, 1);
    table_undo(table); /* nothing is gathered: nothing to undo */
    assert_int_equal(got(table, 1)->value, 1);
    table_free(table);
}

static void test_a_blob_lives_as_long_as_it_may_come_back(void **unused)
{
    struct table *table = table_new(sizeof(struct entry), 100);

    (void)unused;
    set_text(table, inserted(table, 1, 1), "first");
    table_close(table);
    table_forget(table);

    set_text(table, edited(table, 1), "second");
    table_close(table);
    set_text(table, edited(table, 1), "third");
    assert_str_equal(blob_str(got(table, 1)->text), TH_STR("third"));
    table_undo(table);
    assert_str_equal(blob_str(got(table, 1)->text), TH_STR("first"));

    set_text(table, edited(table, 1), "made and dropped in one batch");
    set_text(table, edited(table, 1), "");
    table_close(table);
    table_forget(table);
    assert_int_equal(blob_str(got(table, 1)->text).n, 0);
    assert_int_equal(blob_str(NULL).n, 0);
    assert_int_equal(table_drop(table, NULL), TH_OK);
    table_free(table);
}

static void test_blobs_that_nobody_can_see_again_are_freed(void **unused)
{
    struct table *table = table_new(sizeof(struct entry), 100);
    long live = 0;

    (void)unused;
    set_text(table, inserted(table, 1, 1), "first");
    for (int round = 0; round < 100; round++) {
        table_close(table);
        table_forget(table);
        set_text(table, edited(table, 1), "taken back");
        table_close(table);
        set_text(table, edited(table, 1), "taken back, too");
        table_undo(table);
        set_text(table, edited(table, 1), "kept");
        if (round == 10)
            live = mallocs_live;
    }
    assert_int_equal(mallocs_live, live);
    table_free(table);
}

static void settle(struct table *table)
{
    table_close(table);
    table_forget(table);
}

static void test_an_empty_table_gives_its_memory_back(void **unused)
{
    struct table *table = table_new(sizeof(struct entry), 10000);
    long live;

    (void)unused;
    inserted(table, 1, 1);
    settle(table);
    live = mallocs_live;
    for (uint64_t i = 2; i <= 10000; i++) {
        inserted(table, i, i);
        settle(table);
    }
    assert_true(mallocs_live > live + 10);
    for (uint64_t i = 1; i <= 10000; i++) {
        assert_int_equal(table_remove(table, id_of(i)), TH_OK);
        settle(table);
    }
    assert_true(mallocs_live <= live + 4); /* the lists of what was freed */
    inserted(table, 2, 22);
    settle(table);
    assert_int_equal(got(table, 2)->value, 22);
    table_free(table);
}

/* More batches than their numbers are wide, and what is open then is still told apart. */
static void test_batches_are_numbered_anew(void **unused)
{
    struct table *table = table_new(sizeof(struct entry), 10);

    (void)unused;
    inserted(table, 1, 1);
    settle(table);
    for (uint64_t i = 1; i < (1U << 24) + 100; i++) {
        bool is_near = i % (1U << 24) < 50 || i % (1U << 24) > (1U << 24) - 50;
        if (is_near && i % 2)
            edited(table, 1)->value = i;
        table_close(table);
        if (!is_near) {
            table_forget(table);
            continue;
        }
        edited(table, 1)->value = 0;
        inserted(table, 2, 2);
        table_forget(table);
        assert_int_equal(((const struct entry *)table_get_durable(table, id_of(1)))->value,
                         i - !(i % 2));
        assert_null(table_get_durable(table, id_of(2)));
        table_undo(table);
        assert_int_equal(got(table, 1)->value, i - !(i % 2));
        assert_null(got(table, 2));
    }
    table_free(table);
}

/* Without room for all, those of the first pieces would be searched for one by one: this would take
 * minutes. */
static void test_a_table_is_filled_piece_by_piece(void **unused)
{
    enum { N = 200000 };
    struct table *table = table_new(sizeof(struct entry), N);
    uint32_t place;
    size_t n = 0;

    (void)unused;
    assert_int_equal(table_expect(table, 10 * (size_t)N), TH_OK); /* no more than may come */
    for (int piece = 0; piece < TABLE_PIECES; piece++)
        for (uint64_t i = 0; i < N; i++)
            if (table_piece(id_of(i)) == piece) {
                inserted(table, i, i);
                assert_true(table_place(table, id_of(i), &place));
                assert_ptr_equal(table_at(table, place), got(table, i));
                n++;
            }
    assert_int_equal(table_count(table), n);
    assert_int_equal(n, N);
    table_free(table);
}

static void test_pieces_are_fixed_for_ever(void **unused)
{
    size_t of_piece[TABLE_PIECES] = {0};

    (void)unused;
    for (uint64_t i = 0; i < 100000; i++)
        of_piece[table_piece(id_of(i))]++;
    for (size_t i = 0; i < TABLE_PIECES; i++)
        assert_in_range(of_piece[i], 250, 550); /* 390 on average */
    assert_int_equal(table_piece(id_of(1)), (int)(th_id_hash(id_of(1)) >> 56));
}

/* --- against a model ----------------------------------------------------------------------------
 */

#define IDS_MAX  5000
#define TEXT_MAX 24

struct fact {
    bool is_there;
    uint64_t value;
    char text[TEXT_MAX];
};

/* What the log has, what it will have, and what is gathered on top: whole copies. */
struct model {
    struct fact durable[IDS_MAX];
    struct fact committing[IDS_MAX];
    struct fact gathering[IDS_MAX];
    bool is_committing;
    size_t ids;
};

static struct model model;
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void assert_is(const struct entry *entry, const struct fact *fact)
{
    assert_int_equal(entry != NULL, fact->is_there);
    if (!entry)
        return;
    assert_int_equal(entry->value, fact->value);
    assert_str_equal(blob_str(entry->text), th_str(fact->text));
}

static uint64_t number_of(const struct entry *entry)
{
    uint64_t number = 0;

    for (size_t i = 0; i < sizeof number; i++)
        number |= (uint64_t)entry->id.b[i] << (8 * i);
    return number;
}

struct visited {
    int piece;
    size_t n;
    struct th_id last;
};

static enum th_code check_durable(void *arg, const void *entry_)
{
    const struct entry *entry = entry_;
    struct visited *visited = arg;

    assert_int_equal(table_piece(entry->id), visited->piece);
    assert_true(visited->n == 0 || th_id_cmp(visited->last, entry->id) < 0);
    assert_is(entry, &model.durable[number_of(entry)]);
    visited->last = entry->id;
    visited->n++;
    return TH_OK;
}

static void check_all(const struct table *table)
{
    size_t now_n = 0, durable_n = 0, seen_n = 0;

    for (size_t i = 0; i < model.ids; i++) {
        assert_is(got(table, i), &model.gathering[i]);
        assert_is(table_get_durable(table, id_of(i)), &model.durable[i]);
        now_n += model.gathering[i].is_there;
        durable_n += model.durable[i].is_there;
    }
    assert_int_equal(table_count(table), now_n);
    for (size_t at = 0; table_next(table, &at);)
        seen_n++;
    assert_int_equal(seen_n, now_n);
    for (int piece = 0; piece < TABLE_PIECES; piece++) {
        struct visited visited = {.piece = piece};
        assert_int_equal(table_each_durable(table, piece, check_durable, &visited), TH_OK);
        durable_n -= visited.n;
    }
    assert_int_equal(durable_n, 0);
}

/* In OK the entry has a text of its own; NOMEM leaves the old one, dropped or not is undone. */
static enum th_code change_text(struct table *table, struct entry *entry, const char *text)
{
    struct blob *blob;

    TH_TRY(table_blob(table, th_str(text), &blob));
    enum th_code code = table_drop(table, entry->text);
    if (code != TH_OK)
        return code; /* the blob stays unused until the batch is undone */
    entry->text = blob;
    return TH_OK;
}

static enum th_code step_change(struct table *table, uint64_t number)
{
    struct fact *fact = &model.gathering[number];
    uint64_t value = draw(UINT32_MAX);
    char text[TEXT_MAX];
    void *entry;

    TH_TRY(fact->is_there ? table_edit(table, id_of(number), &entry)
                          : table_insert(table, id_of(number), &entry));
    if (!fact->is_there)
        *fact = (struct fact){.is_there = true};
    ((struct entry *)entry)->value = fact->value = value;
    if (draw(3) == 0) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)value);
        TH_TRY(change_text(table, entry, text));
        memcpy(fact->text, text, sizeof text);
    }
    return TH_OK;
}

static enum th_code step_remove(struct table *table, uint64_t number)
{
    struct fact *fact = &model.gathering[number];
    const struct entry *entry = got(table, number);

    if (!entry) {
        assert_int_equal(table_remove(table, id_of(number)), TH_NOT_FOUND);
        return TH_OK;
    }
    struct blob *text = entry->text;
    TH_TRY(table_remove(table, id_of(number)));
    *fact = (struct fact){0};
    return table_drop(table, text);
}

static void step_batch(struct table *table)
{
    if (!model.is_committing) {
        table_close(table);
        memcpy(model.committing, model.gathering, sizeof model.committing);
        model.is_committing = true;
    } else {
        table_forget(table);
        memcpy(model.durable, model.committing, sizeof model.durable);
        model.is_committing = false;
    }
}

static void step_undo(struct table *table)
{
    table_undo(table);
    memcpy(model.gathering, model.durable, sizeof model.gathering);
    model.is_committing = false;
}

static enum th_code step(struct table *table)
{
    uint64_t number = draw(model.ids);

    switch (draw(100)) {
    case 0:
    case 1:
    case 2:
        step_batch(table);
        return TH_OK;
    case 3:
        step_undo(table);
        return TH_OK;
    default:
        return draw(3) ? step_change(table, number) : step_remove(table, number);
    }
}

static void run_model(size_t ids, uint64_t with_seed, size_t steps, bool memory_is_short)
{
    struct table *table = table_new(sizeof(struct entry), ids);

    assert_non_null(table);
    memset(&model, 0, sizeof model);
    model.ids = ids;
    seed = with_seed;
    for (size_t i = 0; i < steps; i++) {
        mallocs_left = memory_is_short && draw(4) == 0 ? (long)draw(2) : -1;
        enum th_code code = step(table);
        mallocs_left = -1;
        if (code != TH_OK) { /* as a shell does: the batch is taken back */
            assert_true(memory_is_short);
            assert_int_equal(code, TH_NOMEM);
            step_undo(table);
        }
        if (i % (steps / 50) == 0)
            check_all(table);
    }
    check_all(table);
    table_free(table);
}

static void test_it_is_what_whole_copies_would_be(void **unused)
{
    static const size_t ids[] = {1, 3, 12, 13, 60, 400, IDS_MAX};

    (void)unused;
    for (size_t i = 0; i < TH_LEN(ids); i++)
        for (uint64_t with_seed = 1; with_seed <= 5; with_seed++)
            run_model(ids[i], with_seed, 20000, false);
}

static void test_without_memory_nothing_is_half_done(void **unused)
{
    (void)unused;
    for (uint64_t with_seed = 1; with_seed <= 20; with_seed++)
        run_model(300, with_seed, 5000, true);
    mallocs_left = 0;
    assert_null(table_new(sizeof(struct entry), 1));
    mallocs_left = 1;
    assert_null(table_new(sizeof(struct entry), 1));
    mallocs_left = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_comes_goes_and_is_bounded),
        cmocka_unit_test(test_both_batches_are_undone_together),
        cmocka_unit_test(test_a_durable_batch_stays_when_the_next_is_undone),
        cmocka_unit_test(test_a_blob_lives_as_long_as_it_may_come_back),
        cmocka_unit_test(test_blobs_that_nobody_can_see_again_are_freed),
        cmocka_unit_test(test_an_empty_table_gives_its_memory_back),
        cmocka_unit_test(test_batches_are_numbered_anew),
        cmocka_unit_test(test_a_table_is_filled_piece_by_piece),
        cmocka_unit_test(test_pieces_are_fixed_for_ever),
        cmocka_unit_test(test_it_is_what_whole_copies_would_be),
        cmocka_unit_test(test_without_memory_nothing_is_half_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
