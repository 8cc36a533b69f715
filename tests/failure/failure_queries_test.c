/* What the gateway asks the views in Postgres, without memory, descriptors or threads: the right
 * answer or none, and the next question is well. */
#include "tests/failure/fail.h"
#include "tests/failure/small_story.h"
#include "tests/integration/fold_log.h"
#include "tests/integration/log_cluster.h"
#include "tests/unit/test.h"

#include "common/views_json.h"
#include "connectors/postgres/audience.h"
#include "connectors/postgres/queries.h"
#include "connectors/postgres/view_store.h"

#include <stdio.h>
#include <string.h>

#define PARTITIONS 2
#define SENDS      3
#define ARENA_MAX  ((size_t)16 << 20)
#define KINDS      (FAIL_MEMORY | FAIL_EVENT | FAIL_OPEN)
#define LIMIT      10

static struct log_cluster logs;
static struct th_log *log_;
static struct reference *reference;
static struct audience *audience;

struct asking {
    struct views *views;
    struct th_arena *arena;
    struct th_buf *out; /* what the answer said */
    struct th_err *err;
};

/* --- questions ----------------------------------------------------------------------------------
 */

static enum th_code campaign(struct asking *a)
{
    struct view_campaign one;

    TH_TRY(a->views->ops->campaign(a->views, SMALL_STORY_TENANT, small_story_campaign(), a->arena,
                                   &one, a->err));
    fail_disarm();
    th_buf_printf(a->out, "%.*s %.*s %lld", TH_ARG(one.name), TH_ARG(one.phase),
                  (long long)one.recipients);
    return TH_OK;
}

static enum th_code campaigns(struct asking *a)
{
    struct view_campaign *all;
    size_t n;

    TH_TRY(a->views->ops->campaigns(a->views, SMALL_STORY_TENANT, NULL, LIMIT, a->arena, &all, &n,
                                    a->err));
    fail_disarm();
    for (size_t i = 0; i < n; i++)
        th_buf_printf(a->out, "%.*s %.*s\n", TH_ARG(all[i].name), TH_ARG(all[i].phase));
    return TH_OK;
}

static enum th_code progress(struct asking *a)
{
    struct view_progress one;

    TH_TRY(a->views->ops->progress(a->views, SMALL_STORY_TENANT, small_story_campaign(),
                                   INT64_C(1794000000000000), a->arena, &one, a->err));
    fail_disarm();
    th_buf_printf(a->out, "%lld of %lld, %lld reached, eta %lld", (long long)one.done,
                  (long long)one.counts.audience, (long long)one.counts.reached,
                  (long long)one.eta_s);
    return TH_OK;
}

static enum th_code certificate(struct asking *a)
{
    struct view_certificate one;

    TH_TRY(a->views->ops->certificate(a->views, SMALL_STORY_TENANT, small_story_campaign(),
                                      a->arena, &one, a->err));
    fail_disarm();
    struct th_json_out json = {.buf = a->out};
    views_put_certificate(&json, &one);
    return TH_OK;
}

static enum th_code recipients(struct asking *a)
{
    struct view_recipient *all;
    int64_t next = -1;
    size_t n;

    TH_TRY(a->views->ops->recipients(a->views, SMALL_STORY_TENANT, small_story_campaign(),
                                     TH_STR(""), -1, LIMIT, a->arena, &all, &n, &next, a->err));
    fail_disarm();
    for (size_t i = 0; i < n; i++)
        th_buf_printf(a->out, "%lld %.*s %.*s %.*s\n", (long long)all[i].ordinal,
                      TH_ARG(all[i].phone), TH_ARG(all[i].set), TH_ARG(all[i].states));
    th_buf_printf(a->out, "then %lld", (long long)next);
    return TH_OK;
}

static enum th_code send_(struct asking *a)
{
    struct view_send one;

    TH_TRY(a->views->ops->send(a->views, SMALL_STORY_TENANT, small_story_send(1), a->arena, &one,
                               a->err));
    fail_disarm();
    /* A send is worth seeing without the number, which stands in the audience. */
    if (one.phone.n > 0 || !fail_was_hit())
        assert_str_equal(one.phone, TH_STR("+919000000001"));
    th_buf_printf(a->out, "%.*s\n", TH_ARG(one.set));
    for (size_t i = 0; i < one.attempts_n; i++)
        th_buf_printf(a->out, "%.*s %lld\n", TH_ARG(one.attempts[i].status),
                      (long long)one.attempts[i].cost.micros);
    for (size_t i = 0; i < one.timeline_n; i++)
        th_buf_printf(a->out, "%.*s %.*s\n", TH_ARG(one.timeline[i].type),
                      TH_ARG(one.timeline[i].json));
    return TH_OK;
}

static enum th_code audience_(struct asking *a)
{
    struct view_audience one;

    TH_TRY(a->views->ops->audience(a->views, SMALL_STORY_TENANT, small_story_audience(), a->arena,
                                   &one, a->err));
    fail_disarm();
    th_buf_printf(a->out, "%.*s %d %lld", TH_ARG(one.name), one.is_sealed,
                  (long long)one.recipients);
    return TH_OK;
}

static enum th_code opt_outs(struct asking *a)
{
    struct view_opt_out *all;
    size_t n;

    TH_TRY(a->views->ops->opt_outs(a->views, SMALL_STORY_TENANT, INT64_MIN, LIMIT, a->arena, &all,
                                   &n, a->err));
    fail_disarm();
    th_buf_printf(a->out, "%zu", n);
    return TH_OK;
}

static enum th_code lag(struct asking *a)
{
    int64_t events[TOPIC_COUNT];

    TH_TRY(a->views->ops->lag(a->views, events, a->err));
    fail_disarm();
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        th_buf_printf(a->out, "%lld ", (long long)events[topic]);
    return TH_OK;
}

static enum th_code dead_letters(struct asking *a)
{
    struct view_dead_letter *all;
    size_t n;

    TH_TRY(a->views->ops->dead_letters(a->views, false, NULL, LIMIT, a->arena, &all, &n, a->err));
    fail_disarm();
    th_buf_printf(a->out, "%zu", n);
    return TH_OK;
}

static enum th_code exhausted(struct asking *a)
{
    struct view_exhausted *all;
    struct th_id next;
    size_t n;

    TH_TRY(a->views->ops->exhausted(a->views, NULL, LIMIT, a->arena, &all, &n, &next, a->err));
    fail_disarm();
    th_buf_printf(a->out, "%zu", n);
    return TH_OK;
}

static enum th_code troubles(struct asking *a)
{
    struct view_troubles one;

    TH_TRY(a->views->ops->troubles(a->views, &one, a->err));
    fail_disarm();
    th_buf_printf(a->out, "%lld %lld", (long long)one.in_doubt, (long long)one.dead_letters);
    return TH_OK;
}

static enum th_code nobody(struct asking *a)
{
    struct view_campaign one;

    return a->views->ops->campaign(a->views, TH_STR("other"), small_story_campaign(), a->arena,
                                   &one, a->err);
}

static const struct {
    const char *says;
    enum th_code (*ask)(struct asking *a);
    enum th_code code;
} questions[] = {
    {"a campaign", campaign, TH_OK},
    {"campaigns", campaigns, TH_OK},
    {"progress", progress, TH_OK},
    {"a certificate", certificate, TH_OK},
    {"recipients", recipients, TH_OK},
    {"a send", send_, TH_OK},
    {"an audience", audience_, TH_OK},
    {"opt-outs", opt_outs, TH_OK},
    {"lag", lag, TH_OK},
    {"dead letters", dead_letters, TH_OK},
    {"sends that were given up", exhausted, TH_OK},
    {"troubles", troubles, TH_OK},
    {"somebody else's campaign", nobody, TH_NOT_FOUND},
};

static struct th_buf expected[TH_LEN(questions)];

/* --- asking -------------------------------------------------------------------------------------
 */

static enum th_code ask(struct views *views, size_t i, bool is_armed, struct th_buf *out,
                        struct th_err *err)
{
    struct th_arena arena;
    struct asking asking = {views, &arena, out, err};

    th_arena_init(&arena, ARENA_MAX);
    if (is_armed)
        fail_arm();
    enum th_code code = questions[i].ask(&asking);
    fail_disarm();
    th_arena_fini(&arena);
    return code;
}

static void check(struct views *views, size_t i, bool is_armed)
{
    TH_AUTO(th_buf) struct th_buf said = {0};
    struct th_err err = {0};
    enum th_code code = ask(views, i, is_armed, &said, &err);

    if (is_armed && fail_was_hit() && code != questions[i].code) {
        if (!th_code_is_retriable(code) && code != TH_NOMEM && code != TH_IO)
            fail_msg("%s: %s, %s", questions[i].says, th_code_name(code), err.text);
        assert_true(err.text[0] != '\0');
        return;
    }
    if (code != questions[i].code)
        fail_msg("%s: %s", questions[i].says, err.text);
    assert_str_equal(th_buf_str(&said), th_buf_str(&expected[i]));
}

/* Nothing of it is remembered from run to run. */
static struct views *open_views(bool is_armed)
{
    struct views *views = NULL;
    struct th_err err = {0};

    if (is_armed)
        fail_arm();
    enum th_code code = pg_views_open(logs.conninfo, log_, audience, &views, &err);
    fail_disarm();
    if (code != TH_OK && !fail_was_hit())
        fail_msg("%s", err.text);
    return code == TH_OK ? views : NULL;
}

static void play(void *unused)
{
    struct views *views = open_views(true);

    (void)unused;
    if (!views)
        return;
    for (size_t i = 0; i < TH_LEN(questions); i++)
        check(views, i, true);
    for (size_t i = 0; i < TH_LEN(questions); i++)
        check(views, i, false);
    pg_views_close(views);
}

static void test_questions(void **unused)
{
    struct views *views = open_views(false);
    struct th_err err = {0};

    (void)unused;
    for (size_t i = 0; i < TH_LEN(questions); i++)
        assert_int_equal(ask(views, i, false, &expected[i], &err), questions[i].code);
    pg_views_close(views);
    fail_each_stride("the views are asked everything", KINDS, fail_stride(29, 29), play, NULL);
    for (size_t i = 0; i < TH_LEN(questions); i++)
        th_buf_fini(&expected[i]);
}

/* --- the world ----------------------------------------------------------------------------------
 */

static int start(void **unused)
{
    struct th_err err = {0};

    (void)unused;
    log_cluster_start(&logs);
    log_cluster_make(&logs, PARTITIONS);
    struct pg_log_config config = log_cluster_config(&logs);
    config.is_guest = true;
    assert_non_null(reference = reference_new());
    if (pg_log_open(&config, &log_, &err) != TH_OK ||
        pg_audience_open(logs.conninfo, log_, reference, "/tmp", &audience, &err) != TH_OK)
        fail_msg("%s", err.text);
    small_story_begin(log_);
    small_story_sends(log_, 0, SENDS);
    small_story_end(log_);
    fold_log(log_, pg_view_store_open_current, logs.conninfo);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    pg_audience_close(audience);
    th_log_close(log_);
    reference_free(reference);
    log_cluster_stop(&logs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_questions)};

    return cmocka_run_group_tests(tests, start, stop);
}
