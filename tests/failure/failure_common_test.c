/* The toolbox without memory and with a broken disk: an error and nothing half done, or the answer
 * that there would have been. */
#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "common/conf.h"
#include "common/content.h"
#include "common/csv.h"
#include "common/digest.h"
#include "common/duplicates.h"
#include "common/form.h"
#include "common/json.h"
#include "common/metrics.h"
#include "common/secrets.h"
#include "common/zone.h"
#include "connectors/twilio/twilio.h"
#include "schemas/events.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX ((size_t)1 << 20)

/* What failed is the machine's doing, never the fault of what was given. */
static void assert_code(enum th_code code)
{
    if (!fail_was_hit())
        assert_int_equal(code, TH_OK);
    else
        assert_true(code == TH_OK || code == TH_NOMEM || code == TH_IO || code == TH_FULL);
}

static void make_dir(char *dir, size_t size)
{
    snprintf(dir, size, "/tmp/telehub-failure.XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void remove_dir(const char *dir)
{
    char command[160];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): the path is ours */
}

static void write_file(const char *path, struct th_str bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.p, bytes.n), bytes.n);
    close(fd);
}

/* --- settings --------------------------------------------------------------------------------- */

static const struct th_conf_key keys[] = {
    {"name", TH_CONF_STRING, "hub", "1", "20", NULL, NULL, "A text."},
    {"port", TH_CONF_INT, "8080", "0", "65535", NULL, NULL, "A port."},
    {.name = NULL},
};

static void read_settings(void *arg)
{
    static const struct th_conf_key *const tables[] = {keys, NULL};
    static char *const environment[] = {"TELEHUB_PORT=9", "HOME=/", NULL};
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    struct th_err err = {0};

    fail_arm();
    enum th_code code = th_conf_new(tables, &conf, &err);
    if (code == TH_OK)
        code = th_conf_apply_file(conf, arg, &err);
    if (code == TH_OK)
        code = th_conf_apply_environment(conf, environment, &err);
    fail_disarm();
    assert_code(code);
    if (code != TH_OK)
        return;
    assert_string_equal(th_conf_str(conf, "name"), "another");
    assert_int_equal(th_conf_int(conf, "port"), 9);
}

static void test_settings(void **unused)
{
    (void)unused;
    char dir[64];
    char path[80];

    make_dir(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/telehub.conf", dir);
    write_file(path, TH_STR("TELEHUB_NAME=another\nTELEHUB_PORT=7\n"));
    fail_each("settings are read", FAIL_ALL, read_settings, path);
    remove_dir(dir);
}

/* --- secrets ---------------------------------------------------------------------------------- */

static size_t count_files(const char *dir)
{
    DIR *folder = opendir(dir);
    size_t n = 0;

    if (!folder)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder));)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static enum th_code put_and_get(const char *dir, struct th_arena *arena, struct th_str *out)
{
    TH_AUTO(secrets) struct secrets *secrets = NULL;
    struct th_err err = {0};

    TH_TRY(secrets_open(dir, &secrets, &err));
    TH_TRY(secrets_put(secrets, TH_STR("ngo"), TH_STR("main"), 1, TH_STR("token"), &err));
    return secrets_get(secrets, TH_STR("ngo"), TH_STR("main"), 1, arena, out, &err);
}

/* Whole or not there; and the same again, when the trouble is over, is fine. */
static void store_secret(void *unused)
{
    (void)unused;
    char dir[64];
    char folder[80];
    struct th_arena arena;
    struct th_str value = {NULL, 0};

    make_dir(dir, sizeof dir);
    snprintf(folder, sizeof folder, "%s/ngo", dir);
    th_arena_init(&arena, ARENA_MAX);
    fail_arm();
    enum th_code code = put_and_get(dir, &arena, &value);
    fail_disarm();
    assert_code(code);
    if (code == TH_OK)
        assert_str_equal(value, TH_STR("token"));
    assert_true(count_files(folder) <= 1);
    assert_int_equal(put_and_get(dir, &arena, &value), TH_OK);
    assert_str_equal(value, TH_STR("token"));
    th_arena_fini(&arena);
    remove_dir(dir);
}

/* A key that was told stays the key, or none was told. */
static void draw_key(void *unused)
{
    (void)unused;
    TH_AUTO(secrets) struct secrets *secrets = NULL;
    TH_AUTO(secrets) struct secrets *again = NULL;
    struct th_err err = {0};
    struct th_str told = {NULL, 0};
    struct th_str key;
    char dir[64];

    make_dir(dir, sizeof dir);
    fail_arm();
    enum th_code code = secrets_open(dir, &secrets, &err);
    if (code == TH_OK)
        code = secrets_callback_key(secrets, &told, &err);
    fail_disarm();
    assert_code(code);
    assert_true(count_files(dir) <= 1);
    assert_int_equal(secrets_open(dir, &again, &err), TH_OK);
    assert_int_equal(secrets_callback_key(again, &key, &err), TH_OK);
    if (code == TH_OK)
        assert_str_equal(told, key);
    remove_dir(dir);
}

static void test_secrets(void **unused)
{
    (void)unused;
    fail_each("a secret is stored and read", FAIL_ALL, store_secret, NULL);
    fail_each("the callback key is drawn", FAIL_ALL, draw_key, NULL);
}

/* --- duplicates: sorted in files -------------------------------------------------------------- */

#define PEOPLE 40
#define FITS   8

struct found {
    int n;
    int64_t sum;
};

static void note_found(void *arg, int64_t ordinal)
{
    struct found *found = arg;

    found->n++;
    found->sum += ordinal;
}

static enum th_code find_all(const char *dir, struct found *found)
{
    TH_AUTO(duplicates) struct duplicates *duplicates = NULL;
    struct th_err err = {0};

    TH_TRY(duplicates_new(dir, FITS, &duplicates, &err));
    for (int64_t i = 0; i < PEOPLE; i++)
        TH_TRY(duplicates_add(duplicates, (uint64_t)i % 30, i, &err));
    return duplicates_find(duplicates, note_found, found, &err);
}

/* Either it says that it failed, or it found them all. */
static void look_for_duplicates(void *arg)
{
    struct found found = {0};

    fail_arm();
    enum th_code code = find_all(arg, &found);
    fail_disarm();
    assert_code(code);
    if (code == TH_OK) {
        assert_int_equal(found.n, 10);
        assert_int_equal(found.sum, 30 + 31 + 32 + 33 + 34 + 35 + 36 + 37 + 38 + 39);
    }
    assert_int_equal(count_files(arg), 0);
}

static void test_duplicates(void **unused)
{
    (void)unused;
    char dir[64];

    make_dir(dir, sizeof dir);
    fail_each("who is on a list twice", FAIL_ALL, look_for_duplicates, dir);
    remove_dir(dir);
}

/* --- zones ------------------------------------------------------------------------------------ */

static void open_zone(void *unused)
{
    (void)unused;
    TH_AUTO(th_zone) struct th_zone *zone = NULL;
    struct th_err err = {0};

    fail_arm();
    enum th_code code = th_zone_open("/usr/share/zoneinfo", TH_STR("Asia/Kolkata"), &zone, &err);
    fail_disarm();
    assert_code(code);
    if (code == TH_OK)
        assert_int_equal(th_zone_local(zone, 0).offset_s, 19800);
}

static void test_zone(void **unused)
{
    (void)unused;
    fail_each("a zone is read", FAIL_ALL, open_zone, NULL);
}

/* --- what is read from outside ---------------------------------------------------------------- */

static void read_csv(void *unused)
{
    (void)unused;
    TH_AUTO(th_csv) struct th_csv csv = {0};
    enum th_csv_step step;
    enum th_code code = TH_OK;
    int rows = 0;

    fail_arm();
    while (code == TH_OK && (step = th_csv_next(&csv)) != TH_CSV_END) {
        rows += step == TH_CSV_ROW;
        if (step == TH_CSV_BAD) /* no memory for a row that was unquoted */
            assert_true(fail_was_hit());
        if (step != TH_CSV_MORE)
            continue;
        code = th_csv_push(&csv, TH_STR("a,\"b \"\"c\"\"\"\nd,e\n"));
        th_csv_finish(&csv);
    }
    fail_disarm();
    assert_code(code);
    if (!fail_was_hit())
        assert_int_equal(rows, 2);
}

static void read_form(void *unused)
{
    (void)unused;
    struct th_arena arena;
    struct th_str body = {NULL, 0};
    struct form form = {NULL, 0};

    th_arena_init(&arena, ARENA_MAX);
    fail_arm();
    enum th_code code = form_parse(TH_STR("a=1&b=%20+&c"), &arena, &form);
    if (code == TH_OK)
        code = form_encode(form.pairs, form.n, &arena, &body);
    fail_disarm();
    assert_code(code);
    if (code == TH_OK)
        assert_str_equal(body, TH_STR("a=1&b=++&c="));
    th_arena_fini(&arena);
}

static void read_json(void *unused)
{
    (void)unused;
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_err err = {0};
    int64_t number = 0;

    fail_arm();
    enum th_code code = th_json_parse(
        TH_STR("{\"a\":[1,2.5,\"x\\u0041\",true,null,{\"b\":{}}],\"n\":7}"), 4096, &document, &err);
    fail_disarm();
    assert_code(code);
    if (code == TH_OK)
        assert_int_equal(th_json_int(th_json_at(th_json_root(document), "n"), 0, 9, &number, NULL),
                         TH_OK);
}

/* Without memory a yes must not become anything else: the caller asks again with the same bytes. */
static void read_answer(void *unused)
{
    (void)unused;
    const struct http_reply reply = {
        .phase = HTTP_COMPLETE,
        .may_have_left = true,
        .status = 201,
        .body = TH_STR("{\"sid\":\"SM00000000000000000000000000000001\"}"),
        .retry_after_s = -1,
    };
    struct provider_outcome outcome = {.result = PROVIDER_NOT_SENT};
    struct th_arena arena;

    th_arena_init(&arena, ARENA_MAX);
    fail_arm();
    enum th_code code = twilio_ops.parse(PROVIDER_SMS, &reply, &arena, &outcome);
    fail_disarm();
    assert_code(code);
    if (code == TH_OK) {
        assert_int_equal(outcome.result, PROVIDER_ACCEPTED);
        assert_str_equal(outcome.provider_id, TH_STR("SM00000000000000000000000000000001"));
    } else {
        assert_int_equal(outcome.result, PROVIDER_NOT_SENT); /* untouched */
    }
    th_arena_fini(&arena);
}

static void read_callback(void *unused)
{
    (void)unused;
    const struct provider_callback callback = {
        .url = TH_STR("https://hub.example/webhooks/twilio/t"),
        .content_type = TH_STR("application/x-www-form-urlencoded"),
        .body = TH_STR("MessageSid=SM00000000000000000000000000000001&MessageStatus=delivered"),
        .signature = TH_STR("vLmd+GgMDXpwE2AMTJnFFRVKM0c="),
    };
    struct provider_report report;
    struct th_err err = {0};
    struct th_arena arena;

    th_arena_init(&arena, ARENA_MAX);
    fail_arm();
    enum th_code verified = twilio_ops.callback_verify(&callback, TH_STR("x"), &arena);
    enum th_code code = twilio_ops.callback_parse(callback.body, &arena, &report, &err);
    fail_disarm();
    assert_true(verified == TH_DENIED || (fail_was_hit() && verified == TH_NOMEM));
    assert_code(code);
    if (code == TH_OK)
        assert_int_equal(report.status, PROVIDER_SMS_DELIVERED);
    th_arena_fini(&arena);
}

static void test_outside(void **unused)
{
    (void)unused;
    fail_each("a CSV is read", FAIL_MEMORY, read_csv, NULL);
    fail_each("a form is read and written", FAIL_MEMORY, read_form, NULL);
    fail_each("JSON is read", FAIL_MEMORY, read_json, NULL);
    fail_each("a provider's answer is read", FAIL_MEMORY, read_answer, NULL);
    fail_each("a callback is verified and read", FAIL_MEMORY, read_callback, NULL);
}

/* --- events ----------------------------------------------------------------------------------- */

static const struct th_str columns[] = {{"name", 4}, {"place", 5}};
static const struct audience_row rows[] = {
    {.phone = {.as.string = {"+919876543210", 13}},
     .variables = {.as.string = {"Asha\x1fPune", 9}},
     .source_row = 1},
    {.phone = {.as.string = {"+919876543211", 13}},
     .lang = {"hi", 2},
     .variables = {.as.string = {"Ravi\x1fGoa", 8}},
     .source_row = 2},
};
static const struct text_section texts[] = {
    {{"", 0}, {.as.string = {"Namaste {name} of {place}", 25}}},
    {{"hi", 2}, {.as.string = {"{name}", 6}}},
};
static const struct th_str accounts[] = {{"main", 4}};
static const struct route_candidate candidates[] = {{1, {"main", 4}, 80, {"", 0}},
                                                    {2, {"other", 5}, 20, {"circuit_open", 12}}};
static const struct th_id ids[] = {{{1}}, {{2}}, {{3}}};

static const struct event events[] = {
    {EVENT_AUDIENCE_PART,
     {.audience_part = {.columns = {columns, TH_LEN(columns)}, .rows = {rows, TH_LEN(rows)}}}},
    {EVENT_CREATE_CAMPAIGN,
     {.create_campaign = {.spec = {.texts = {texts, TH_LEN(texts)}, .accounts = {accounts, 1}}}}},
    {EVENT_SEND_PLANNED,
     {.send_planned = {.candidates = {candidates, TH_LEN(candidates)}, .n = 1}}},
    {EVENT_RELEASE_WANTED, {.release_wanted = {.sends = {ids, TH_LEN(ids)}}}},
    {EVENT_ATTEMPT_PRICED, {.attempt_priced = {.price = {true, {1, {"INR", 3}}}}}},
};

static enum th_code there_and_back(const struct event *event, struct th_arena *arena,
                                   struct th_buf *value, struct th_buf *json)
{
    struct event decoded;
    struct event copy;
    struct th_err err = {0};

    TH_TRY(event_encode(event, value));
    TH_TRY(event_decode(th_buf_str(value), arena, &decoded, &err));
    TH_TRY(event_copy(&decoded, arena, &copy));
    event_to_json(&copy, json);
    return th_buf_status(json);
}

static void code_one(void *arg)
{
    const struct event *event = arg;
    TH_AUTO(th_buf) struct th_buf value = {0};
    TH_AUTO(th_buf) struct th_buf json = {0};
    TH_AUTO(th_buf) struct th_buf expected = {0};
    struct th_arena arena;

    event_to_json(event, &expected);
    th_arena_init(&arena, ARENA_MAX);
    fail_arm();
    enum th_code code = there_and_back(event, &arena, &value, &json);
    fail_disarm();
    assert_code(code);
    if (code == TH_OK)
        assert_str_equal(th_buf_str(&json), th_buf_str(&expected));
    th_arena_fini(&arena);
}

static void render(void *unused)
{
    (void)unused;
    const struct text_section_array of = {texts, TH_LEN(texts)};
    const struct string_array names = {columns, TH_LEN(columns)};
    struct th_str text = {NULL, 0};
    struct th_str lang;
    struct th_err err = {0};
    struct th_arena arena;

    th_arena_init(&arena, ARENA_MAX);
    fail_arm();
    enum th_code code = content_render(&of, &names, &rows[0], &arena, &text, &lang, &err);
    fail_disarm();
    assert_code(code);
    if (code == TH_OK)
        assert_str_equal(text, TH_STR("Namaste Asha of Pune"));
    th_arena_fini(&arena);
}

static void test_events(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(events); i++) {
        struct event event = events[i];
        fail_each(event_type_name(event.type), FAIL_MEMORY, code_one, &event);
    }
    fail_each("a text is rendered", FAIL_MEMORY, render, NULL);
}

/* --- metrics ---------------------------------------------------------------------------------- */

/* What finds no room is counted under "other", or not at all; nothing stops for it. */
static void count(void *unused)
{
    (void)unused;
    static const struct th_metric_def def = {
        .name = "things_total", .help = "Things.", .labels = {"kind"}};
    TH_AUTO(th_metrics) struct th_metrics *metrics = NULL;
    TH_AUTO(th_buf) struct th_buf out = {0};
    struct th_family *family = NULL;
    struct th_err err = {0};

    fail_arm();
    enum th_code code = th_metrics_new(&metrics, &err);
    if (code == TH_OK)
        code = th_metrics_family(metrics, &def, &family, &err);
    for (int i = 0; code == TH_OK && i < 3; i++) {
        char kind[8];
        snprintf(kind, sizeof kind, "k%d", i);
        th_count(th_family_series(family, (struct th_str[]){th_str(kind)}), 1);
    }
    if (code == TH_OK)
        th_metrics_print(metrics, &out);
    fail_disarm();
    assert_code(code);
    if (!fail_was_hit())
        assert_int_equal(th_buf_status(&out), TH_OK);
}

static void test_metrics(void **unused)
{
    (void)unused;
    fail_each("things are counted", FAIL_MEMORY, count, NULL);
}

static void *hash_first(void *unused)
{
    uint8_t digest[TH_SHA256_SIZE];

    fail_arm();
    th_sha256(TH_STR("abc"), digest);
    fail_disarm();
    return unused;
}

/* A thread without memory ended the process at its first hash; and then OpenSSL's EVP at any. */
static void test_a_hash_asks_for_no_memory(void **unused)
{
    pthread_t thread;

    (void)unused;
    fail_plan(FAIL_MEMORY, 1, FAIL_FROM_THEN_ON);
    assert_int_equal(pthread_create(&thread, NULL, hash_first, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(fail_was_hit());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),   cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_duplicates), cmocka_unit_test(test_zone),
        cmocka_unit_test(test_outside),    cmocka_unit_test(test_events),
        cmocka_unit_test(test_metrics),    cmocka_unit_test(test_a_hash_asks_for_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
