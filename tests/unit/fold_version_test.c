/* The rows that the fold makes of a story, by a digest: who changes the rules is told to say so. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/eventlog/memory_log.h"
#include "processors/materialize/fold.h"
#include "processors/materialize/memory_store.h"
#include "tests/integration/fold_log.h"
#include "tests/integration/views_story.h"

/* What the story comes to by the rules of this number. */
static const struct {
    int fold_version;
    const char *sha256;
} noted = {1, "b3bb572c54b9c7a0c676786516f4a3438a1d9d0f6ef915f55b2c0c4289b8b2d8"};

static void no_close(struct view_store *store)
{
    (void)store;
}

static enum th_code open_store(void *store, struct view_store **out_store, struct th_err *err)
{
    (void)err;
    *out_store = store;
    return TH_OK;
}

/* Over all tables, rows and columns. */
static void digest_of(const struct view_store *store, char out_hex[2 * TH_SHA256_SIZE + 1])
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    uint8_t sha256[TH_SHA256_SIZE];

    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        for (size_t i = 0; i < memory_store_count(store, id); i++) {
            th_buf_printf(&text, "%s ", view_table(id)->name);
            view_row_print(view_table(id), memory_store_row(store, id, i), &text);
            th_buf_add_char(&text, '\n');
        }
    assert_int_equal(th_buf_status(&text), TH_OK);
    th_sha256(th_buf_str(&text), sha256);
    for (size_t i = 0; i < TH_SHA256_SIZE; i++)
        (void)snprintf(out_hex + 2 * i, 3, "%02x", sha256[i]);
}

static void test_other_rows_have_another_number(void **unused)
{
    (void)unused;
    char hex[2 * TH_SHA256_SIZE + 1];
    struct th_log *log;
    struct view_store *store;
    struct view_store_ops ops;
    struct th_err err = {0};
    const struct memory_log_options options = {
        .partitions = 4, .bytes_max = (size_t)64 << 20, .clock = &th_clock_real};

    assert_int_equal(memory_store_new(&store, &err), TH_OK);
    const struct view_store_ops *own = store->ops;
    ops = *own;
    ops.close = no_close; /* the shell closes it, and we read on */
    store->ops = &ops;
    assert_int_equal(memory_log_new(&options, &log, &err), TH_OK);
    story_append(log, "pratham", 0);
    fold_log(log, open_store, store);
    digest_of(store, hex);
    own->close(store);
    th_log_close(log);
    if (noted.fold_version != FOLD_VERSION || strcmp(noted.sha256, hex) != 0)
        fail_msg("the rules of the fold have changed, or the story. Rules: raise FOLD_VERSION in "
                 "processors/materialize/fold.h, so that views filled by the old ones are made "
                 "anew. Then note here {%d, \"%s\"}",
                 FOLD_VERSION, hex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_rows_have_another_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
