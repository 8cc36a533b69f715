/* The views in Postgres, and the audiences that they find, without memory, descriptors or threads:
 * rows and offsets move together or not at all, a rebuilt table equals, and of nobody who is there
 * it is said that he is not. */
#include "tests/failure/fail.h"
#include "tests/failure/settle.h"
#include "tests/failure/small_story.h"
#include "tests/integration/log_cluster.h"
#include "tests/unit/test.h"

#include "connectors/postgres/audience.h"
#include "connectors/postgres/view_store.h"
#include "processors/materialize/materialize.h"
#include "processors/materialize/rebuild.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PARTITIONS  2
#define MANY        80 /* sends; 64 rows and more are copied */
#define ARENA_MAX   ((size_t)16 << 20)
#define KINDS       (FAIL_MEMORY | FAIL_EVENT | FAIL_OPEN)
#define ASKED_SHORT 200 /* times, a millisecond apart */

static struct log_cluster logs;
static struct th_log *log_;
static struct reference *reference;
static char dir[64];
static int sends;

static int64_t ask(const struct pg_statement *statement)
{
    return log_cluster_admin(&logs, statement, NULL);
}

static void assert_excused(enum th_code code, const struct th_err *err)
{
    if (code == TH_OK)
        return;
    if (!fail_was_hit() || !(th_code_is_retriable(code) || code == TH_NOMEM || code == TH_IO))
        fail_msg("%s: %s", th_code_name(code), err->text);
    assert_true(err->text[0] != '\0');
}

/* --- folding ------------------------------------------------------------------------------------
 */

static enum th_code drain(struct th_err *err)
{
    struct materialize_config config = {
        .log = log_, .open_store = pg_view_store_open_current, .context = logs.conninfo};
    struct materialize *m;

    TH_TRY(materialize_new(&config, &m, err));
    enum th_code code = materialize_drain(m, err);
    materialize_free(m);
    return code;
}

static const struct pg_statement sql_sends = {"SELECT count(*)::int8 FROM views.sends"};
static const struct pg_statement sql_attempts = {"SELECT count(*)::int8 FROM views.attempts"};
static const struct pg_statement sql_letters = {"SELECT count(*)::int8 FROM views.dead_letters"};

/* Events of a topic that the tables hold, as they say themselves. */
static int64_t folded(enum topic topic)
{
    static const struct pg_statement sql = {
        "SELECT coalesce(sum(next_offset), 0)::int8 FROM views.progress WHERE topic = $1::int4"};
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int4(&params, (int32_t)topic);
    return log_cluster_admin(&logs, &sql, &params);
}

static void assert_all_folded(void)
{
    assert_int_equal(ask(&sql_sends), sends);
    assert_int_equal(ask(&sql_attempts), sends);
    assert_int_equal(ask(&sql_letters), 0);
}

/* Rows and offsets, in the middle of things. */
static void assert_together(void)
{
    settle(&logs);
    assert_int_equal(ask(&sql_sends), folded(TOPIC_SEND_REQUESTS));
    assert_int_equal(ask(&sql_attempts) * SMALL_STORY_ATTEMPTS, folded(TOPIC_DISPATCH_ATTEMPTS));
}

static void drain_badly(void)
{
    struct th_err err = {0};

    fail_arm();
    enum th_code code = drain(&err);
    fail_disarm();
    assert_excused(code, &err);
    assert_together();
}

static void drain_well(void)
{
    struct th_err err = {0};

    if (drain(&err) != TH_OK)
        fail_msg("%s", err.text);
}

static void fold(void *unused)
{
    (void)unused;
    small_story_sends(log_, sends++, 1);
    drain_badly();
    drain_well();
    assert_all_folded();
}

/* So many rows go by COPY: new ones as they are, changed ones through a temporary table. */
static void fold_many(void *unused)
{
    (void)unused;
    small_story_asked(log_, sends, MANY);
    sends += MANY;
    drain_badly();
    drain_well();
    small_story_answered(log_, sends - MANY, MANY);
    drain_badly();
    drain_well();
    assert_all_folded();
}

/* --- anew ---------------------------------------------------------------------------------------
 */

static enum th_code make_anew(struct th_err *err)
{
    struct view_generations *gens = NULL;
    uint64_t events = 0;
    int gen = 0;

    TH_TRY(pg_view_generations_open(logs.conninfo, &gens, err));
    enum th_code code = view_rebuild(log_, gens, &gen, &events, err);
    pg_view_generations_close(gens);
    return code;
}

/* Whether it came to an end or not, what people see is whole. */
static void rebuild(void *unused)
{
    struct th_err err = {0};

    (void)unused;
    fail_arm();
    enum th_code code = make_anew(&err);
    fail_disarm();
    assert_excused(code, &err);
    assert_all_folded();
}

static enum th_code compare(bool *out_is_equal, struct th_err *err)
{
    static struct view_report report;
    struct view_generations *gens = NULL;
    struct th_arena arena;

    TH_TRY(pg_view_generations_open(logs.conninfo, &gens, err));
    th_arena_init(&arena, ARENA_MAX);
    enum th_code code = view_verify(log_, gens, &arena, &report, err);
    *out_is_equal = report.is_equal && report.differences_n == 0;
    th_arena_fini(&arena);
    pg_view_generations_close(gens);
    return code;
}

/* Without memory nobody knows whether they are equal; never are they called different. */
static void verify(void *unused)
{
    bool is_equal = false;
    struct th_err err = {0};

    (void)unused;
    fail_arm();
    enum th_code code = compare(&is_equal, &err);
    fail_disarm();
    assert_excused(code, &err);
    if (code == TH_OK)
        assert_true(is_equal);
}

static void test_views(void **unused)
{
    bool is_equal = false;
    struct th_err err = {0};

    (void)unused;
    fail_each_stride("a send is folded into tables", KINDS, fail_stride(23, 31), fold, NULL);
    fail_each_stride("the views are made anew", KINDS, fail_stride(257, 257), rebuild, NULL);
    fail_each_stride("the views are verified", KINDS, fail_stride(257, 257), verify, NULL);
    assert_int_equal(compare(&is_equal, &err), TH_OK);
    assert_true(is_equal);
}

static void test_views_by_copy(void **unused)
{
    bool is_equal = false;
    struct th_err err = {0};

    (void)unused;
    fail_each_stride("many sends are folded into tables", KINDS, fail_stride(601, 41), fold_many,
                     NULL);
    assert_int_equal(compare(&is_equal, &err), TH_OK);
    assert_true(is_equal);
}

/* --- audiences ----------------------------------------------------------------------------------
 */

static struct effect open_effect(void)
{
    return (struct effect){
        .type = EFFECT_OPEN_AUDIENCE,
        .as.open_audience = {SMALL_STORY_TENANT, small_story_campaign(), small_story_audience()}};
}

static struct effect part_effect(int32_t part)
{
    return (struct effect){.type = EFFECT_READ_PART,
                           .as.read_part = {SMALL_STORY_TENANT, small_story_campaign(),
                                            small_story_audience(), part, true}};
}

static struct effect recipient_effect(void)
{
    return (struct effect){.type = EFFECT_READ_RECIPIENT,
                           .as.read_recipient = {SMALL_STORY_TENANT,
                                                 small_story_campaign(),
                                                 {small_story_audience(), 1, 2}}};
}

static enum th_code code_of(const struct answer *answer)
{
    if (answer->type == ANSWER_AUDIENCE_OPENED)
        return answer->as.audience_opened.code;
    if (answer->type == ANSWER_PART_READ)
        return answer->as.part_read.code;
    assert_int_equal(answer->type, ANSWER_RECIPIENT_READ);
    return answer->as.recipient_read.code;
}

static void check_answer(const struct effect *effect, const struct answer *answer)
{
    const struct audience_row *row = &answer->as.recipient_read.row;

    switch ((int)effect->type) {
    case EFFECT_OPEN_AUDIENCE:
        assert_int_equal(answer->as.audience_opened.parts, 2);
        assert_int_equal(answer->as.audience_opened.recipients, 2 * SMALL_STORY_ROWS);
        break;
    case EFFECT_READ_PART:
        assert_int_equal(answer->as.part_read.rows, SMALL_STORY_ROWS);
        /* who stands in both parts is contacted in the first */
        assert_int_equal(answer->as.part_read.duplicates[0], effect->as.read_part.part);
        break;
    default:
        assert_str_equal(row->phone.as.string, TH_STR("+919000001002"));
        assert_int_equal(answer->as.recipient_read.columns.n, 1);
        break;
    }
}

/* The right answer, or "ask again". False: that. */
static bool question(struct audience *audience, const struct effect *effect)
{
    struct answer answer = {0};
    struct th_arena arena;

    th_arena_init(&arena, ARENA_MAX);
    enum th_code code = audience_answer(audience, effect, &arena, &answer);
    if (code == TH_OK)
        code = code_of(&answer);
    else
        assert_int_equal(code, TH_NOMEM);
    if (code == TH_OK)
        check_answer(effect, &answer);
    else if (code != TH_UNAVAILABLE && code != TH_NOMEM)
        fail_msg("%s", th_code_name(code));
    th_arena_fini(&arena);
    return code == TH_OK;
}

static void question_until(struct audience *audience, const struct effect *effect)
{
    for (int tries = 0; !question(audience, effect); tries++) {
        if (tries == ASKED_SHORT / 2)
            fail_disarm();
        if (tries == ASKED_SHORT * 10)
            fail_msg("effect %d is never answered", (int)effect->type);
        (void)usleep(1000);
    }
}

static void look(void *unused)
{
    const struct effect effects[] = {open_effect(), part_effect(0), part_effect(1),
                                     recipient_effect()};
    struct audience *audience = NULL;
    struct th_err err = {0};
    char path[128];
    char id[TH_ID_TEXT_LEN + 1];

    (void)unused;
    th_id_text(small_story_campaign(), id);
    snprintf(path, sizeof path, "%s/twice.%s", dir, id);
    (void)unlink(path); /* what was found before is not believed here */
    fail_arm();
    enum th_code code = pg_audience_open(logs.conninfo, log_, reference, dir, &audience, &err);
    for (size_t i = 0; code == TH_OK && i < TH_LEN(effects); i++)
        question_until(audience, &effects[i]);
    fail_disarm();
    assert_excused(code, &err);
    pg_audience_close(audience);
}

static void test_audience(void **unused)
{
    (void)unused;
    fail_each_stride("an audience is opened and read", FAIL_ALL & ~FAIL_CONNECT, fail_stride(5, 13),
                     look, NULL);
}

/* --- the world ----------------------------------------------------------------------------------
 */

static void define(void)
{
    static const struct text_section texts[] = {
        {.text = {.is = STRING_OR_SEALED_STRING, .as.string = {"hello", 5}}}};
    struct event event = {
        .type = EVENT_CAMPAIGN_DEFINED,
        .as.campaign_defined = {.meta = {.tenant = SMALL_STORY_TENANT},
                                .campaign = small_story_campaign(),
                                .run = 1,
                                .spec = {.channel = CHANNEL_SMS, .texts = {texts, 1}}}};

    assert_non_null(reference = reference_new());
    assert_int_equal(reference_apply(reference, TOPIC_CAMPAIGN_CONTROL, &event), TH_OK);
}

static int start(void **unused)
{
    struct th_err err = {0};

    (void)unused;
    log_cluster_start(&logs);
    log_cluster_make(&logs, PARTITIONS);
    struct pg_log_config config = log_cluster_config(&logs);
    config.is_guest = true;
    if (pg_log_open(&config, &log_, &err) != TH_OK)
        fail_msg("%s", err.text);
    snprintf(dir, sizeof dir, "/tmp/telehub-failure.XXXXXX");
    assert_non_null(mkdtemp(dir));
    define();
    small_story_begin(log_);
    if (drain(&err) != TH_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int stop(void **unused)
{
    char command[96];

    (void)unused;
    th_log_close(log_);
    reference_free(reference);
    log_cluster_stop(&logs);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command); /* NOLINT(cert-env33-c): the path is ours */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audience),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_views_by_copy),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
