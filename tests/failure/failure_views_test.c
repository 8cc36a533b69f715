/* The views when memory fails: rows and offsets move together or not at all, what was not folded is
 * folded later, and a certificate from the log is the right one or none. */
#include "tests/failure/fail.h"
#include "tests/failure/small_story.h"
#include "tests/unit/test.h"

#include "common/eventlog/memory_log.h"
#include "common/json_out.h"
#include "common/views_json.h"
#include "processors/materialize/fold.h"
#include "processors/materialize/materialize.h"
#include "processors/materialize/memory_store.h"
#include "processors/materialize/recount.h"

#define PARTITIONS 2
#define SENDS      3
#define STEPS_MAX  ((size_t)TOPIC_COUNT * PARTITIONS)
#define READ_BYTES 1024 /* so that there are several batches */

static struct th_log *log_;
static struct view_store *whole; /* all of the log, folded in peace */
static struct th_buf certificate;

static void assert_excused(enum th_code code, const struct th_err *err)
{
    assert_true(fail_was_hit());
    assert_true(code == TH_NOMEM || code == TH_IO);
    assert_true(err->text[0] != '\0');
}

/* --- a store that outlives those who use it -----------------------------------------------------
 */

static struct view_store_ops lent_ops;

static void keep_open(struct view_store *store)
{
    (void)store;
}

static struct view_store *new_store(void)
{
    struct view_store *store;
    struct th_err err = {0};

    assert_int_equal(memory_store_new(&store, &err), TH_OK);
    return store;
}

static enum th_code lend(void *context, struct view_store **out_store, struct th_err *err)
{
    struct view_store *store = context;

    (void)err;
    lent_ops = *store->ops;
    lent_ops.close = keep_open;
    store->ops = &lent_ops;
    *out_store = store;
    return TH_OK;
}

static void close_store(struct view_store *store)
{
    struct view_store *any = new_store();
    const struct view_store_ops *ops = any->ops;

    any->ops->close(any);
    ops->close(store);
}

/* --- folding ------------------------------------------------------------------------------------
 */

static enum th_code drain(struct view_store *store, const struct view_step *until, size_t until_n,
                          struct th_err *err)
{
    struct materialize_config config = {.log = log_,
                                        .open_store = lend,
                                        .context = store,
                                        .read_bytes = READ_BYTES,
                                        .batch_bytes = 1,
                                        .is_bounded = until != NULL,
                                        .until = until,
                                        .until_n = until_n};
    struct materialize *m;

    TH_TRY(materialize_new(&config, &m, err));
    enum th_code code = materialize_drain(m, err);
    materialize_free(m);
    return code;
}

static void assert_same(const struct view_store *a, const struct view_store *b)
{
    TH_AUTO(th_buf) struct th_buf why = {0};

    if (!memory_store_equal(a, b, &why))
        fail_msg("%.*s", TH_ARG(th_buf_str(&why)));
}

/* The rows are those of the events up to where the offsets say, and no others. */
static void assert_together(struct view_store *store)
{
    struct view_step steps[STEPS_MAX];
    struct view_store *fresh = new_store();
    struct th_err err = {0};
    size_t n = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int part = 0; part < th_log_partitions(log_, (enum topic)topic); part++)
            steps[n++] = (struct view_step){.topic = (enum topic)topic, .part = part};
    assert_int_equal(store->ops->progress(store, steps, n, &err), TH_OK);
    assert_int_equal(drain(fresh, steps, n, &err), TH_OK);
    assert_same(fresh, store);
    close_store(fresh);
}

static void fold(void *unused)
{
    struct view_store *store = new_store();
    struct th_err err = {0};

    (void)unused;
    fail_arm();
    enum th_code code = drain(store, NULL, 0, &err);
    fail_disarm();
    if (code != TH_OK)
        assert_excused(code, &err);
    assert_together(store);
    assert_int_equal(drain(store, NULL, 0, &err), TH_OK);
    assert_same(store, whole);
    assert_int_equal(memory_store_count(store, VIEW_TABLE_DEAD_LETTERS), 0);
    close_store(store);
}

/* A row of a change that found no memory, and those before it stood in the tables: the offsets did
 * not. */
static void test_rows_and_offsets_move_together(void **unused)
{
    (void)unused;
    fail_each("a log is folded into tables in memory", FAIL_ALL, fold, NULL);
}

/* --- the certificate ----------------------------------------------------------------------------
 */

static enum th_code count(struct th_buf *out, struct th_err *err)
{
    struct recount recount;
    struct th_arena arena;

    th_arena_init(&arena, 1 << 22);
    enum th_code code = recount_certificate(log_, SMALL_STORY_TENANT, small_story_campaign(), 2,
                                            &arena, &recount, err);
    fail_disarm();
    if (code == TH_OK) {
        struct th_json_out json = {.buf = out};
        assert_int_equal(recount.undecodable, 0);
        views_put_certificate(&json, &recount.certificate);
    }
    th_arena_fini(&arena);
    return code;
}

static void recount(void *unused)
{
    TH_AUTO(th_buf) struct th_buf said = {0};
    struct th_err err = {0};

    (void)unused;
    fail_arm();
    enum th_code code = count(&said, &err);
    if (code == TH_OK) {
        assert_str_equal(th_buf_str(&said), th_buf_str(&certificate));
        return;
    }
    assert_excused(code, &err);
}

static void test_a_certificate_is_right_or_none(void **unused)
{
    (void)unused;
    fail_each("a certificate is counted from the log", FAIL_ALL, recount, NULL);
}

/* --- the world ----------------------------------------------------------------------------------
 */

static int set_up(void **unused)
{
    const struct memory_log_options options = {
        .partitions = PARTITIONS, .bytes_max = 1 << 22, .clock = &th_clock_real, .seed = 1};
    struct th_err err = {0};

    (void)unused;
    assert_int_equal(memory_log_new(&options, &log_, &err), TH_OK);
    small_story_begin(log_);
    small_story_sends(log_, 0, SENDS);
    small_story_end(log_);
    whole = new_store();
    assert_int_equal(drain(whole, NULL, 0, &err), TH_OK);
    assert_int_equal(memory_store_count(whole, VIEW_TABLE_SENDS), SENDS);
    assert_int_equal(memory_store_count(whole, VIEW_TABLE_ATTEMPTS), SENDS);
    assert_int_equal(count(&certificate, &err), TH_OK);
    assert_non_null(memmem(certificate.p, certificate.n, "\"reached\":3", 11));
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    close_store(whole);
    th_log_close(log_);
    th_buf_fini(&certificate);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_offsets_move_together),
        cmocka_unit_test(test_a_certificate_is_right_or_none),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
