/* One connection to Postgres when memory and the network fail: a statement that is said to have
 * failed while the connection lives did not happen, what is said to be done is done, and what runs
 * next is well. libpq answers for itself where it could not take what the server said. */
#include "tests/failure/fail.h"
#include "tests/integration/cluster.h"
#include "tests/unit/test.h"

#include "common/crc32c.h"
#include "connectors/postgres/pg.h"
#include "connectors/postgres/pg_batch.h"

#include <poll.h>
#include <unistd.h>

#define ROWS        200 /* that a COPY adds */
#define PACKED_SIZE 100000

static struct cluster *cluster;
static struct pg *admin;

static const struct pg_statement sql_add = {
    "UPDATE public.counted SET n = n + $1::int8 RETURNING n::int8"};
static const struct pg_statement sql_n = {"SELECT n::int8 FROM public.counted"};
static const struct pg_statement sql_rows = {"SELECT count(*)::int8 FROM public.copied"};
static const struct pg_statement sql_others = {
    "SELECT count(*)::int8 FROM pg_stat_activity WHERE backend_type = 'client backend'"
    " AND pid <> pg_backend_pid()"};

static struct pg *open_one(void)
{
    const struct pg_config config = {.conninfo = cluster_conninfo(cluster)};
    struct pg *pg = NULL;
    struct th_err err = {0};

    if (pg_open(&config, &pg, &err) != TH_OK)
        fail_msg("%s", err.text);
    return pg;
}

static int64_t ask(const struct pg_statement *statement)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct th_err err = {0};

    if (pg_execute(admin, statement, NULL, &result, &err) != TH_OK)
        fail_msg("%s", err.text);
    struct pg_row row = pg_row(result, 0);
    return pg_next_int8(&row);
}

/* The last word of a connection that was given up may still be on its way. */
static void close_one(struct pg *pg)
{
    pg_close(pg);
    while (ask(&sql_others) > 0)
        (void)usleep(1000);
}

static void assert_excused(enum th_code code, const struct th_err *err)
{
    if (code != TH_OK && (!fail_was_hit() || !th_code_is_retriable(code)))
        fail_msg("%s: %s", th_code_name(code), err->text);
}

/* --- connecting ------------------------------------------------------------------------------- */

static void connect_and_close(void *unused)
{
    const struct pg_config config = {.conninfo = cluster_conninfo(cluster)};
    struct pg *pg = NULL;
    struct th_err err = {0};

    (void)unused;
    fail_arm();
    enum th_code code = pg_open(&config, &pg, &err);
    fail_disarm();
    assert_excused(code, &err);
    pg_close(pg);
}

/* libpq had no memory to keep the server's version: that was called too old, which nobody repeats.
 */
static void test_a_version_that_was_not_kept_is_not_an_old_one(void **unused)
{
    (void)unused;
    fail_each("a connection is opened", FAIL_MEMORY, connect_and_close, NULL);
}

/* --- statements ------------------------------------------------------------------------------- */

typedef enum th_code statement_fn(struct pg *pg, struct th_err *err);

static enum th_code add_at_once(struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int8(&params, 1);
    return pg_execute(pg, &sql_add, &params, NULL, err);
}

static enum th_code add_unwaited(struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct pg_progress progress = {0};
    enum th_code code = TH_OK;

    pg_add_int8(&params, 1);
    TH_TRY(pg_prepare(pg, &sql_add, err));
    TH_TRY(pg_send(pg, &sql_add, &params, err));
    while (code == TH_OK && !progress.is_done) {
        struct pollfd ready = {.fd = pg_socket(pg), .events = POLLIN};
        (void)poll(&ready, 1, 10);
        code = pg_poll(pg, &progress, &result, err);
    }
    return code;
}

/* Done when it is said; not done when it is said and the connection lives. */
static void add(void *arg)
{
    statement_fn *statement = *(statement_fn **)arg;
    struct pg *pg = open_one();
    struct th_err err = {0};
    int64_t before = ask(&sql_n);

    fail_arm();
    enum th_code code = statement(pg, &err);
    fail_disarm();
    assert_excused(code, &err);
    bool is_alive = pg_is_alive(pg);
    if (code == TH_OK || is_alive)
        assert_int_equal(ask(&sql_n) - before, code == TH_OK);
    if (is_alive && add_at_once(pg, &err) != TH_OK)
        fail_msg("the next: %s", err.text);
    close_one(pg);
    assert_in_range(ask(&sql_n) - before - is_alive, 0, 1);
}

/* The server had prepared it, libpq could not say so: at the next try its name was taken. */
static void test_what_was_prepared_unheard_is_not_in_the_way(void **unused)
{
    statement_fn *statement = add_at_once;

    (void)unused;
    fail_each("a statement is run", FAIL_MEMORY, add, &statement);
}

/* libpq's own error stood for the server's answer: a commit was taken for one that was refused. */
static void test_an_answer_that_was_not_heard_is_no_refusal(void **unused)
{
    statement_fn *statement = add_unwaited;

    (void)unused;
    fail_each("a statement is sent, and polled for", FAIL_MEMORY, add, &statement);
}

/* --- COPY ------------------------------------------------------------------------------------- */

static enum th_code copy_rows(struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    struct th_str bytes;

    pg_copy_begin(&params);
    for (int i = 0; i < ROWS; i++) {
        pg_copy_row(&params, 1);
        pg_item_bytes(&params, TH_STR("so much text that it does not go out in one piece, a line "
                                      "and another line, and a third"));
    }
    TH_TRY(pg_copy_end(&params, &bytes, err));
    return pg_copy(pg, "COPY public.copied (body) FROM STDIN WITH (FORMAT binary)", bytes, err);
}

static void copy(void *unused)
{
    struct pg *pg = open_one();
    struct th_err err = {0};
    int64_t before = ask(&sql_rows);

    (void)unused;
    fail_arm();
    enum th_code code = copy_rows(pg, &err);
    fail_disarm();
    assert_excused(code, &err);
    bool is_alive = pg_is_alive(pg);
    if (code == TH_OK || is_alive)
        assert_int_equal(ask(&sql_rows) - before, code == TH_OK ? ROWS : 0);
    if (is_alive && add_at_once(pg, &err) != TH_OK)
        fail_msg("the next: %s", err.text);
    close_one(pg);
    int64_t added = ask(&sql_rows) - before;
    assert_true(added == 0 || added == ROWS);
}

/* A connection in the middle of a COPY that could not be written was used again. */
static void test_rows_are_copied_all_or_none(void **unused)
{
    (void)unused;
    fail_each("rows are copied", FAIL_MEMORY, copy, NULL);
}

/* --- what is stored compressed ---------------------------------------------------------------- */

struct packed {
    struct th_str stored;
    struct th_str bytes;
};

static void unpack(void *arg)
{
    const struct packed *packed = arg;
    TH_AUTO(pg_block) struct pg_block *block = NULL;
    struct th_err err = {0};

    fail_arm();
    enum th_code code = pg_block_of_stored(packed->stored, PG_CODEC_LZ4, packed->bytes.n,
                                           crc32c(packed->stored), 1, &block, &err);
    fail_disarm();
    if (code != TH_OK) {
        assert_true(fail_was_hit());
        assert_int_equal(code, TH_NOMEM);
        return;
    }
    assert_memory_equal(block->bytes, packed->bytes.p, packed->bytes.n);
}

/* A sound batch was called corrupt, and a sound snapshot was passed over. */
static void test_what_cannot_be_unpacked_for_want_of_memory_is_not_corrupt(void **unused)
{
    static char text[PACKED_SIZE];
    struct th_buf scratch = {0};
    struct packed packed = {.bytes = {text, sizeof text}};
    enum pg_codec codec;

    (void)unused;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i / 7 % 13);
    packed.stored = pg_compress(packed.bytes, &scratch, &codec);
    assert_int_equal(codec, PG_CODEC_LZ4);
    fail_each("a batch is unpacked", FAIL_MEMORY, unpack, &packed);
    th_buf_fini(&scratch);
}

/* --- the world -------------------------------------------------------------------------------- */

static int start(void **unused)
{
    struct th_err err = {0};

    (void)unused;
    cluster = cluster_start();
    admin = open_one();
    if (pg_run(admin,
               "CREATE TABLE public.counted (n int8); INSERT INTO public.counted VALUES (0);"
               "CREATE TABLE public.copied (body text)",
               &err) != TH_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    pg_close(admin);
    cluster_stop(cluster);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_version_that_was_not_kept_is_not_an_old_one),
        cmocka_unit_test(test_what_was_prepared_unheard_is_not_in_the_way),
        cmocka_unit_test(test_an_answer_that_was_not_heard_is_no_refusal),
        cmocka_unit_test(test_rows_are_copied_all_or_none),
        cmocka_unit_test(test_what_cannot_be_unpacked_for_want_of_memory_is_not_corrupt),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
