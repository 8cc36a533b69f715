/* Each route of the gateway: what it does when all is well, and what it refuses. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

static struct world world;

static int start(void **unused)
{
    const struct world_options options = world_options_default();

    (void)unused;
    world_start(&world, &options);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    return 0;
}

/* One call by the tenant; must be answered so. The caller frees. */
static struct http_answer call(const char *method, const char *target, const char *idem,
                               const char *body, int status)
{
    const struct call what = {method, target, world.key, idem, .body = body};
    struct http_answer answer = world_call(&world, &what);

    if (answer.status != status)
        print_message("%s %s: %d %s\n", method, target, answer.status, answer.body);
    assert_int_equal(answer.status, status);
    return answer;
}

static struct http_answer call_as_operator(const char *method, const char *target, const char *idem,
                                           const char *body, int status)
{
    const struct call what = {method, target, WORLD_OPERATOR_KEY, idem, .body = body};
    struct http_answer answer = world_call(&world, &what);

    if (answer.status != status)
        print_message("%s %s: %d %s\n", method, target, answer.status, answer.body);
    assert_int_equal(answer.status, status);
    return answer;
}

static void drop(struct http_answer answer)
{
    answer_free(&answer);
}

static void expect(struct http_answer answer, const char *text)
{
    if (!strstr(answer.body, text))
        print_message("%s\nmisses %s\n", answer.body, text);
    assert_non_null(strstr(answer.body, text));
    answer_free(&answer);
}

/* --- audiences
 * --------------------------------------------------------------------------------------- */

static void make_audience(const char *idem, char out_id[40])
{
    struct http_answer answer =
        call("POST", "/api/v1/audiences", idem, "{\"name\":\"Class 8\"}", 202);

    (void)snprintf(out_id, 40, "%s", answer_member(&answer, "id"));
    answer_free(&answer);
}

static struct http_answer put_part(const char *audience, const char *query, const char *csv,
                                   int status)
{
    char target[160];

    (void)snprintf(target, sizeof target, "/api/v1/audiences/%s/parts/%s", audience, query);
    const struct call what = {"PUT", target, world.key, .type = "text/csv", .body = csv};
    struct http_answer answer = world_call(&world, &what);
    if (answer.status != status)
        print_message("%s: %d %s\n", target, answer.status, answer.body);
    assert_int_equal(answer.status, status);
    return answer;
}

struct part_seen {
    struct th_arena arena;
    struct audience_part part;
    size_t n;
};

static void see_part(void *arg, const struct event *event, const struct log_record *record)
{
    struct part_seen *seen = arg;
    struct event copy;

    (void)record;
    if (event->type != EVENT_AUDIENCE_PART)
        return;
    assert_int_equal(event_copy(event, &seen->arena, &copy), TH_OK);
    seen->part = copy.as.audience_part;
    seen->n++;
}

static void test_audience(void **unused)
{
    struct part_seen seen = {0};
    char id[40];
    char target[160];
    char body[400];
    char sha256[80];

    (void)unused;
    make_audience("audience", id);
    struct http_answer answer = put_part(id, "0?first_row=1001",
                                         "name,phone,lang,amount\n"
                                         "Asha,98765 43210,hi,10\n"
                                         "Ravi,12,hi,20\n"
                                         "Meena,+919876543211,,30\n",
                                         202);
    (void)snprintf(sha256, sizeof sha256, "%s", answer_member(&answer, "sha256"));
    assert_int_equal(strlen(sha256), 64);
    assert_non_null(strstr(answer.body, "\"rows\":2"));
    assert_non_null(strstr(answer.body, "\"rejected_total\":1"));
    expect(answer, "{\"row\":1002,\"column\":\"phone\",");

    th_arena_init(&seen.arena, 1 << 20);
    log_events(world.log, TOPIC_CAMPAIGN_AUDIENCE, see_part, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.part.columns.n, 2);
    assert_str_equal(seen.part.columns.at[1], TH_STR("amount"));
    assert_int_equal(seen.part.rows.n, 2);
    assert_str_equal(seen.part.rows.at[0].phone.as.string, TH_STR("+919876543210"));
    assert_str_equal(seen.part.rows.at[0].variables.as.string, TH_STR("Asha\x1f"
                                                                      "10"));
    assert_int_equal(seen.part.rows.at[1].source_row, 1003);
    th_arena_fini(&seen.arena);

    (void)snprintf(target, sizeof target, "/api/v1/audiences/%s/seal", id);
    (void)snprintf(body, sizeof body,
                   "{\"parts\":[{\"part\":0,\"rows\":2,\"rejected_total\":1,\"sha256\":\"%s\"}]}",
                   sha256);
    expect(call("POST", target, NULL, body, 202), "\"recipients\":2,\"rejected\":1");
    assert_int_equal(world_count(&world, TOPIC_CAMPAIGN_AUDIENCE, EVENT_AUDIENCE_SEALED), 1);
    (void)snprintf(target, sizeof target, "/api/v1/audiences/%s", id);
    expect(call("GET", target, NULL, NULL, 200), "\"name\":\"Class 8\"");
}

static void test_audience_refused(void **unused)
{
    static char rows[20000];
    char id[40];
    char target[160];

    (void)unused;
    make_audience("refused", id);
    size_t n = (size_t)snprintf(rows, sizeof rows, "phone\n");
    for (int i = 0; i < 1001; i++)
        n += (size_t)snprintf(rows + n, sizeof rows - n, "+91987654%04d\n", i);
    print_message("  more than 1,000 rows\n");
    drop(put_part(id, "0", rows, 413));
    print_message("  all or nothing\n");
    expect(put_part(id, "0?all_or_nothing=true", "phone\n9876543210\nno\n", 422),
           "\"row\":2,\"column\":\"phone\"");
    print_message("  no column phone\n");
    expect(put_part(id, "0", "name\nAsha\n", 422), "no column phone");
    print_message("  nothing at all\n");
    expect(put_part(id, "0", "", 422), "no header");
    print_message("  a part that is no number\n");
    drop(put_part(id, "x", "phone\n", 404));
    print_message("  another tenant's audience\n");
    (void)snprintf(target, sizeof target, "/api/v1/audiences/%s/parts/0", id);
    const struct call other = {"PUT", target, world.other_key, .type = "text/csv",
                               .body = "phone\n"};
    expect(world_call(&world, &other), "\"status\":404");
    print_message("  a seal with a gap\n");
    (void)snprintf(target, sizeof target, "/api/v1/audiences/%s/seal", id);
    expect(call("POST", target, NULL,
                "{\"parts\":[{\"part\":1,\"rows\":0,\"rejected_total\":0,\"sha256\":\"\"}]}", 422),
           "\"pointer\":\"#/parts/0/part\"");
}

/* --- campaigns
 * --------------------------------------------------------------------------------------- */

static void make_campaign(const char *idem, char out_id[40])
{
    char audience[40];
    char body[400];

    make_audience(idem, audience);
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"Fees\",\"channel\":\"sms\",\"audience\":\"%s\",\"text\":\"[hi]\\n"
                   "namaste {name}\\n[en]\\nhello {name}\",\"pace\":\"max\",\"window\":{\"from\":"
                   "\"09:00\",\"to\":\"24:00\"}}",
                   audience);
    struct http_answer answer = call("POST", "/api/v1/campaigns", idem, body, 202);
    (void)snprintf(out_id, 40, "%s", answer_member(&answer, "id"));
    answer_free(&answer);
}

struct campaign_seen {
    struct th_arena arena;
    struct campaign_spec spec;
};

static void see_campaign(void *arg, const struct event *event, const struct log_record *record)
{
    struct campaign_seen *seen = arg;
    struct event copy;

    (void)record;
    if (event->type == EVENT_CREATE_CAMPAIGN) {
        assert_int_equal(event_copy(event, &seen->arena, &copy), TH_OK);
        seen->spec = copy.as.create_campaign.spec;
    }
}

static void test_campaign(void **unused)
{
    static const char *const commands[] = {"start", "pause", "resume", "cancel", "pace"};
    static const enum event_type types[] = {EVENT_START_CAMPAIGN, EVENT_PAUSE_CAMPAIGN,
                                            EVENT_RESUME_CAMPAIGN, EVENT_CANCEL_CAMPAIGN,
                                            EVENT_SET_CAMPAIGN_PACE};
    static const char *const bodies[] = {"{\"recipients\":2}", NULL, NULL, NULL, "{\"pace\":1200}"};
    struct campaign_seen seen = {0};
    char id[40];
    char target[160];

    (void)unused;
    make_campaign("campaign", id);
    th_arena_init(&seen.arena, 1 << 20);
    log_events(world.log, TOPIC_CAMPAIGN_COMMANDS, see_campaign, &seen);
    assert_int_equal(seen.spec.texts.n, 2);
    assert_str_equal(seen.spec.texts.at[1].lang, TH_STR("en"));
    assert_int_equal(seen.spec.pace_per_min, 0);
    assert_int_equal(seen.spec.window_from_min, 540);
    assert_int_equal(seen.spec.window_to_min, 1440);
    assert_int_equal(seen.spec.category, CATEGORY_SERVICE_IMPLICIT);
    assert_int_equal(seen.spec.attempts_max, 4);
    th_arena_fini(&seen.arena);

    for (size_t i = 0; i < TH_LEN(commands); i++) {
        print_message("  %s\n", commands[i]);
        (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s/%s", id, commands[i]);
        struct http_answer answer = call("POST", target, commands[i], bodies[i], 202);
        assert_string_equal(answer_member(&answer, "id"), id);
        (void)snprintf(target, sizeof target, "/api/v1/commands/%s",
                       answer_member(&answer, "command"));
        answer_free(&answer);
        assert_int_equal(world_count(&world, TOPIC_CAMPAIGN_COMMANDS, types[i]), 1);
        world.views.command_status = i ? VIEW_COMMAND_REFUSED : VIEW_COMMAND_PENDING;
        expect(call("GET", target, NULL, NULL, 200),
               i ? "\"status\":\"refused\",\"code\":\"conflict\"" : "\"kind\":\"StartCampaign\"");
    }
    (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s", id);
    expect(call("GET", target, NULL, NULL, 200), "\"status\":\"draft\"");
}

static void test_campaign_views(void **unused)
{
    static struct view_reason reasons[] = {{{"busy", 4}, 3}};
    static struct view_cost cost[] = {{{1234500, "INR"}, true}};
    char id[40];
    char target[160];

    (void)unused;
    make_campaign("views", id);
    world.views.counts = (struct view_counts){.audience = 10, .reached = 6, .unsent = 4};
    (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s/progress", id);
    expect(call("GET", target, NULL, NULL, 200),
           "\"audience\":10,\"done\":6,\"reached\":6,\"accepted_no_report\":0,\"unreached\":0,"
           "\"suppressed\":0,\"in_doubt\":0,\"unsent\":4,\"in_flight\":0,\"rate_per_s\":12.345,"
           "\"eta_s\":null");
    world.views.certificate = (struct view_certificate){.is_final = true,
                                                        .audience = 9,
                                                        .reached = 6,
                                                        .unreached = reasons,
                                                        .unreached_n = 1,
                                                        .cost = cost,
                                                        .cost_n = 1};
    (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s/certificate", id);
    expect(call("GET", target, NULL, NULL, 200),
           "\"final\":true,\"audience\":9,\"reached\":6,\"accepted_no_report\":0,\"unreached\":{"
           "\"busy\":3},\"suppressed\":{},\"in_doubt\":0,\"unsent\":0,\"cost\":[{\"amount\":\"1."
           "2345\",\"currency\":\"INR\",\"estimated\":true}]");
}

static void test_recipients(void **unused)
{
    char id[40];
    char target[160];

    (void)unused;
    make_campaign("recipients", id);
    for (int i = 0; i < 3; i++)
        world.views.recipients[i] = (struct view_recipient){.ordinal = 1000 + i,
                                                            .phone = TH_STR("+919876543210"),
                                                            .lang = TH_STR("hi"),
                                                            .set = TH_STR("unreached"),
                                                            .reason = TH_STR("=busy()"),
                                                            .attempts = 2,
                                                            .states = TH_STR("returned,accepted")};
    (void)snprintf(target, sizeof target,
                   "/api/v1/campaigns/%s/recipients?outcome=unreached&limit=2", id);
    struct http_answer answer = call("GET", target, NULL, NULL, 200);
    assert_non_null(strstr(answer.body, "\"next_cursor\":\"1\""));
    expect(answer, "\"part\":1,\"row\":1,");
    print_message("  the next page is the last; as CSV, a formula is text\n");
    (void)snprintf(target, sizeof target,
                   "/api/v1/campaigns/%s/recipients?outcome=unreached&limit=2&cursor=1", id);
    const struct call csv = {"GET", target, world.key, .headers = "Accept: text/csv\r\n"};
    answer = world_call(&world, &csv);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "TeleHub-Next-Cursor"), "");
    assert_string_equal(answer.body,
                        "phone,lang,outcome,reason,send,attempts,at,part,row,source_row,"
                        "attempt_states"
                        "\r\n+919876543210,hi,unreached,'=busy(),,2,,1,2,0,"
                        "\"returned,accepted\"\r\n");
    answer_free(&answer);
    print_message("  without an outcome, all; each with what its attempts came to\n");
    (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s/recipients?limit=2", id);
    expect(call("GET", target, NULL, NULL, 200),
           "\"attempts\":2,\"attempt_states\":[\"returned\",\"accepted\"],");
    print_message("  an outcome that is none\n");
    (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s/recipients?outcome=lost", id);
    expect(call("GET", target, NULL, NULL, 422), "no such outcome");
}

static void test_campaign_list(void **unused)
{
    char id[40];
    char target[160];

    (void)unused;
    make_campaign("list-one", id);
    make_campaign("list-two", id);
    struct http_answer answer = call("GET", "/api/v1/campaigns?limit=1", NULL, NULL, 200);
    assert_int_equal(strlen(answer_member(&answer, "next_cursor")), 36);
    (void)snprintf(target, sizeof target, "/api/v1/campaigns?limit=1&cursor=%s",
                   answer_member(&answer, "next_cursor"));
    answer_free(&answer);
    drop(call("GET", target, NULL, NULL, 200));
}

/* A slip of the pen in a text is said at once. */
static void test_unknown_variable(void **unused)
{
    char audience[40];
    char body[300];

    (void)unused;
    make_audience("variable", audience);
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"a\",\"channel\":\"sms\",\"audience\":\"%s\",\"text\":\"hello "
                   "{nmae}\"}",
                   audience);
    print_message("  while nothing is known of the columns\n");
    drop(call("POST", "/api/v1/campaigns", "variable-1", body, 202));
    drop(put_part(audience, "0", "phone,name,class\n9876543210,Asha,8\n", 202));
    print_message("  when they are known\n");
    expect(call("POST", "/api/v1/campaigns", "variable-2", body, 422),
           "\"pointer\":\"#/text\",\"code\":\"unknown_variable\",\"detail\":\"{nmae} is not known; "
           "known are {name}, {class}\"");
    print_message("  when parts differ they are not known\n");
    drop(put_part(audience, "1", "phone,nmae\n9876543210,Asha\n", 202));
    drop(call("POST", "/api/v1/campaigns", "variable-3", body, 202));
    print_message("  an audience without variables\n");
    make_audience("variable-4", audience);
    drop(put_part(audience, "0", "phone\n9876543210\n", 202));
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"a\",\"channel\":\"sms\",\"audience\":\"%s\",\"text\":\"hello "
                   "{name}\"}",
                   audience);
    expect(call("POST", "/api/v1/campaigns", "variable-5", body, 422), "there are no variables");
}

/* What is written is found at once, also by who sends no token: where the views do not know it yet
 * the gateway waits for them. */
static void test_read_your_writes(void **unused)
{
    char id[40];
    char target[160];
    char header[128];

    (void)unused;
    make_campaign("own", id);
    (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s", id);
    int before = world.views.waits;
    world.views.hidden = 1;
    drop(call("GET", target, NULL, NULL, 200));
    assert_int_equal(world.views.waits, before + 1);

    print_message("  a token is waited for\n");
    struct http_answer answer = call("POST", "/api/v1/audiences", "own2", "{\"name\":\"a\"}", 202);
    (void)snprintf(target, sizeof target, "/api/v1/audiences/%s", answer_member(&answer, "id"));
    (void)snprintf(header, sizeof header, "TeleHub-Token: %s\r\n",
                   answer_header(&answer, "TeleHub-Token"));
    answer_free(&answer);
    const struct call get = {"GET", target, world.key, .headers = header};
    before = world.views.waits;
    answer = world_call(&world, &get);
    assert_int_equal(answer.status, 200);
    assert_int_equal(world.views.waits, before + 1);
    answer_free(&answer);

    print_message("  one that is none is refused\n");
    const struct call bad = {"GET", target, world.key, .headers = "TeleHub-Token: abc\r\n"};
    answer = world_call(&world, &bad);
    assert_int_equal(answer.status, 400);
    answer_free(&answer);
}

/* A pause must not wait for the views. */
static void test_pause_without_views(void **unused)
{
    char id[40];
    char target[160];

    (void)unused;
    make_campaign("noviews", id);
    world.views.is_down = true;
    (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s/pause", id);
    struct http_answer answer = call("POST", target, NULL, NULL, 202);
    answer_free(&answer);
    (void)snprintf(target, sizeof target, "/api/v1/campaigns/%s", id);
    answer = call("GET", target, NULL, NULL, 503);
    answer_free(&answer);
    expect(call("GET", "/health", NULL, NULL, 503), "\"views\":\"failing\"");
    expect(call("GET", "/health/ready", NULL, NULL, 200), "\"status\":\"ok\"");
    world.views.is_down = false;
    expect(call("GET", "/health", NULL, NULL, 200), "\"views\":\"ok\"");
}

/* --- sends and consent
 * ------------------------------------------------------------------------------- */

static void test_send_is_shown(void **unused)
{
    char target[160];
    char why[168];

    (void)unused;
    struct http_answer answer = call(
        "POST", "/api/v1/sends", "shown",
        "{\"channel\":\"sms\",\"to\":\"09876543210\",\"text\":\"Hi\",\"expires_in_s\":60}", 202);
    (void)snprintf(target, sizeof target, "/api/v1/sends/%s", answer_member(&answer, "id"));
    answer_free(&answer);
    answer = call("GET", target, NULL, NULL, 200);
    assert_non_null(strstr(answer.body, "\"to\":\"+919876543210\""));
    assert_non_null(strstr(answer.body, "\"cost\":{\"amount\":\"0.1200\""));
    expect(answer, "\"event\":\"SendPlanned\",\"detail\":{\"n\":1}");
    const struct call other = {.method = "GET", .target = target, .key = world.other_key};
    expect(world_call(&world, &other), "\"status\":404");
    print_message("  and why, to its own tenant\n");
    (void)snprintf(why, sizeof why, "%s/why", target);
    answer = call("GET", why, NULL, NULL, 200);
    assert_non_null(strstr(answer.body, "\"status\":\"accepted_no_report\""));
    expect(answer, "\"rule\":\"route\",\"text\":\"Attempt 1 goes to ");
    const struct call others = {.method = "GET", .target = why, .key = world.other_key};
    expect(world_call(&world, &others), "\"status\":404");
}

static void test_consent(void **unused)
{
    const int64_t contact = contact_hash(TH_STR(WORLD_TENANT), TH_STR("+919876543210"));

    (void)unused;
    expect(call("POST", "/api/v1/opt-outs", NULL, "{\"phone\":\"98765 43210\"}", 200),
           "{\"phone\":\"+919876543210\",\"opted_out\":true}");
    print_message("  it binds when it is answered\n");
    reference_read_lock(world.reference);
    assert_true(reference_is_opted_out(world.reference, contact));
    reference_unlock(world.reference);
    expect(call("DELETE", "/api/v1/opt-outs", NULL, "{\"phone\":\"+919876543210\"}", 200),
           "\"opted_out\":false");
    reference_read_lock(world.reference);
    assert_false(reference_is_opted_out(world.reference, contact));
    reference_unlock(world.reference);
    expect(call("GET", "/api/v1/opt-outs?limit=1", NULL, NULL, 200), "\"next_cursor\":\"-5\"");
    struct http_answer answer = call("GET", "/api/v1/opt-outs?cursor=-5", NULL, NULL, 200);
    assert_null(strstr(answer.body, "+919876543210"));
    expect(answer, "\"source\":\"cli\"");
}

static void test_stop(void **unused)
{
    (void)unused;
    expect(call("POST", "/api/v1/stop", NULL, NULL, 200), "{\"stopped\":true}");
    expect(call_as_operator("GET", "/api/v1/tenants", NULL, NULL, 200),
           "\"currency\":\"INR\",\"stopped\":true}");
    expect(call("DELETE", "/api/v1/stop", NULL, NULL, 200), "{\"stopped\":false}");
    struct http_answer answer = call_as_operator("GET", "/api/v1/tenants", NULL, NULL, 200);
    assert_null(strstr(answer.body, "\"stopped\":true"));
    answer_free(&answer);
}

/* --- dead letters
 * -------------------------------------------------------------------------------------- */

#define LETTER   "0190f000-0000-8000-8000-00000000dead"
#define LETTER_V "\x00\x00\x00\x00\x63 no such schema"

#define LETTER_H "\5trace\3ab\4null\0\12dlq_origin\20send.requests/3"

static void see_letter(void *arg, const struct event *event, const struct log_record *record)
{
    bool *is_settled = arg;

    (void)record;
    *is_settled |= event->type == EVENT_DEAD_LETTER_SETTLED;
}

static void have_letter(const char *topic, const char *key, const char *consumer)
{
    struct view_dead_record *dead = &world.views.dead;

    *dead = (struct view_dead_record){
        .letter = {.tenant = TH_STR(WORLD_TENANT),
                   .at_us = 1,
                   .topic = th_str(topic),
                   .consumer = th_str(consumer),
                   .code = TH_STR("TH_MALFORMED"),
                   .detail = TH_STR("it has no schema")},
        .letter_key = th_str(key),
        .key = th_str(key),
        .value = {LETTER_V, sizeof LETTER_V - 1},
        .headers = TH_STR(LETTER_H),
    };
    assert_true(th_id_parse(TH_STR(LETTER), &dead->letter.id));
}

/* With the headers of the letter, so with dlq_origin. */
static void assert_replayed(struct log_place place)
{
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(th_log_reader_open(world.log, &place, 1, &reader, NULL), TH_OK);
    assert_int_equal(th_log_reader_read(reader, 1, &arena, &records, NULL), TH_OK);
    assert_int_equal(records.n, 1);
    assert_str_equal(records.at[0].value, TH_STR(LETTER_V));
    assert_str_equal(records.at[0].headers, TH_STR(LETTER_H));
    th_log_reader_close(reader);
    th_arena_fini(&arena);
}

static void test_dead_letters(void **unused)
{
    bool is_settled = false;
    struct th_err err = {0};
    int64_t before;
    int64_t after;
    int part = topic_partition_of_key(TH_STR(WORLD_TENANT "/x"),
                                      th_log_partitions(world.log, TOPIC_SEND_REQUESTS));

    (void)unused;
    have_letter("send.requests", WORLD_TENANT "/x", "retry");
    expect(call("GET", "/api/v1/dead-letters", NULL, NULL, 403), "forbidden");
    expect(call_as_operator("GET", "/api/v1/dead-letters", NULL, NULL, 200),
           "\"detail\":\"it has no schema\",\"settled\":null");
    expect(call_as_operator("GET", "/api/v1/dead-letters/" LETTER, NULL, NULL, 200),
           "\"value_base64\":\"AAAAAGMgbm8gc3VjaCBzY2hlbWE=\",\"headers\":[{\"name\":\"trace\","
           "\"value_base64\":\"YWI=\"},{\"name\":\"null\",\"value_base64\":null},"
           "{\"name\":\"dlq_origin\",\"value_base64\":\"c2VuZC5yZXF1ZXN0cy8z\"}],"
           "\"record\":null,\"event\":null,\"decode_error\":\"");
    print_message("  replayed: its bytes lie on its topic again, and its end in dead.letters\n");
    assert_int_equal(th_log_end(world.log, TOPIC_SEND_REQUESTS, part, &before, &err), TH_OK);
    expect(call_as_operator("POST", "/api/v1/dead-letters/" LETTER "/replay", "again-1", NULL, 202),
           "\"settled\":\"replayed\"");
    assert_int_equal(th_log_end(world.log, TOPIC_SEND_REQUESTS, part, &after, &err), TH_OK);
    assert_int_equal(after, before + 1);
    assert_replayed((struct log_place){TOPIC_SEND_REQUESTS, part, before});
    log_events(world.log, TOPIC_DEAD_LETTERS, see_letter, &is_settled);
    assert_true(is_settled);
    print_message("  what is settled is not settled again\n");
    world.views.dead.letter.settled = TH_STR("replayed");
    expect(
        call_as_operator("POST", "/api/v1/dead-letters/" LETTER "/discard", "again-2", NULL, 409),
        "it was replayed already");
    expect(call_as_operator("GET", "/api/v1/dead-letters", NULL, NULL, 200), "{\"data\":[]");
    expect(call_as_operator("GET", "/api/v1/dead-letters?settled=also", NULL, NULL, 200), LETTER);
}

static void test_sends_that_were_given_up(void **unused)
{
    static const char *const bad[] = {"kind=", "kind=lost", "kind=exhausted&settled=also",
                                      "kind=exhausted&cursor=x"};
    struct view_exhausted *send = &world.views.exhausted;

    (void)unused;
    *send = (struct view_exhausted){.tenant = TH_STR(WORLD_TENANT),
                                    .channel = TH_STR("sms"),
                                    .attempts = 3,
                                    .account = TH_STR("main"),
                                    .reason = TH_STR("throttled"),
                                    .at_us = 1};
    assert_true(th_id_parse(TH_STR(LETTER), &send->send));
    expect(call("GET", "/api/v1/dead-letters?kind=exhausted", NULL, NULL, 403), "forbidden");
    expect(call_as_operator("GET", "/api/v1/dead-letters?kind=exhausted", NULL, NULL, 200),
           "{\"data\":[{\"id\":\"" LETTER "\",\"kind\":\"exhausted\",\"tenant\":\"" WORLD_TENANT
           "\",\"at\":\"1970-01-01T00:00:00.000001Z\",\"campaign\":null,\"channel\":\"sms\","
           "\"attempts\":3,\"account\":\"main\",\"reason\":\"throttled\"}],"
           "\"next_cursor\":\"" LETTER "\"}");
    expect(call_as_operator("GET", "/api/v1/dead-letters?kind=exhausted&cursor=" LETTER, NULL, NULL,
                            200),
           "{\"data\":[],\"next_cursor\":null}");
    have_letter("send.requests", WORLD_TENANT "/x", "retry");
    expect(call_as_operator("GET", "/api/v1/dead-letters?kind=record", NULL, NULL, 200),
           "it has no schema");
    world.views.dead = (struct view_dead_record){0};
    for (size_t i = 0; i < TH_LEN(bad); i++) {
        char path[128];

        print_message("  %s\n", bad[i]);
        (void)snprintf(path, sizeof path, "/api/v1/dead-letters?%s", bad[i]);
        expect(call_as_operator("GET", path, NULL, NULL, 422), "invalid_query");
    }
}

static void test_dead_letters_that_cannot_be_replayed(void **unused)
{
    static const struct {
        const char *topic;
        const char *key;
        const char *consumer;
        const char *why;
    } cases[] = {
        {"send.events", WORLD_TENANT "/x", "materialize", "telehub view rebuild"},
        {"no.topic", WORLD_TENANT "/x", "retry", "telehub view rebuild"},
        {"dispatch.requests", WORLD_TENANT "/nobody", "dispatch", "no lane that is known"},
        {"dispatch.requests", "nothing", "dispatch", "no lane that is known"},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char key[16];

        (void)snprintf(key, sizeof key, "never-%zu", i);
        have_letter(cases[i].topic, cases[i].key, cases[i].consumer);
        expect(call_as_operator("POST", "/api/v1/dead-letters/" LETTER "/replay", key, NULL, 409),
               cases[i].why);
    }
    expect(call_as_operator("POST", "/api/v1/dead-letters/" LETTER "/discard", "never", NULL, 202),
           "\"settled\":\"discarded\"");
    world.views.dead = (struct view_dead_record){0};
    expect(call_as_operator("GET", "/api/v1/dead-letters/" LETTER, NULL, NULL, 404), "not_found");
}

/* --- tenants and accounts
 * ------------------------------------------------------------------------------ */

static void test_tenants(void **unused)
{
    const char *body = "{\"tenant\":\"third\",\"name\":\"Third\",\"country\":\"NP\",\"zone\":"
                       "\"Asia/Kathmandu\",\"currency\":\"NPR\"}";
    char key[80];

    (void)unused;
    struct http_answer answer = call_as_operator("POST", "/api/v1/tenants", "third", body, 201);
    (void)snprintf(key, sizeof key, "%s", answer_member(&answer, "key"));
    answer_free(&answer);
    const struct call get = {.method = "GET", .target = "/api/v1/campaigns", .key = key};
    answer = world_call(&world, &get);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
    print_message("  the key is shown once\n");
    expect(call_as_operator("POST", "/api/v1/tenants", "third", body, 200), "\"key\":null");
    print_message("  a tenant is made once\n");
    expect(call_as_operator("POST", "/api/v1/tenants", "third-again", body, 409), "conflict");
    print_message("  another key\n");
    answer = call_as_operator("POST", "/api/v1/tenants/third/keys", "another", NULL, 201);
    assert_string_not_equal(answer_member(&answer, "key"), key);
    answer_free(&answer);
    expect(call_as_operator("POST", "/api/v1/tenants/nobody/keys", "none", NULL, 404), "not_found");
    expect(call_as_operator("POST", "/api/v1/tenants", "zone",
                            "{\"tenant\":\"x\",\"name\":\"x\",\"zone\":\"Asia/Nowhere\"}", 422),
           "\"pointer\":\"#/zone\"");
}

#define ACCOUNT(name, more)                                                                        \
    "{\"tenant\":\"pratham\",\"name\":\"" name                                                     \
    "\",\"wire\":\"twilio\",\"account\":\"AC1\",\"secret\":\"s3cret\",\"senders\":["               \
    "\"+912071531234\"]," more "}"

static void test_providers(void **unused)
{
    char path[160];
    struct stat status;

    (void)unused;
    struct http_answer answer = call_as_operator(
        "POST", "/api/v1/providers", "sandbox",
        ACCOUNT("sandbox", "\"base_url\":\"http://127.0.0.1:9\",\"sms_estimate\":{\"amount\":"
                           "\"0.12\",\"currency\":\"INR\"}"),
        201);
    assert_null(strstr(answer.body, "s3cret"));
    expect(answer, "\"lane\":1,");
    (void)snprintf(path, sizeof path, "%s/pratham/sandbox.1", world.dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);

    print_message("  the same secret keeps its version, another gets the next; the lane stays\n");
    expect(call_as_operator("POST", "/api/v1/providers", "again",
                            ACCOUNT("sandbox", "\"base_url\":\"http://127.0.0.1:9\",\"weight\":5"),
                            201),
           "\"secret_version\":1,");
    expect(call_as_operator(
               "POST", "/api/v1/providers", "new-secret",
               "{\"tenant\":\"pratham\",\"name\":\"sandbox\",\"wire\":\"twilio\",\"account\":"
               "\"AC1\",\"secret\":\"other\",\"senders\":[\"+912071531234\"],\"base_url\":\"http://"
               "127.0.0.1:9\"}",
               201),
           "\"secret_version\":2,");

    print_message("  a live one sends nothing before it is enabled\n");
    answer = call_as_operator(
        "POST", "/api/v1/providers", "live",
        ACCOUNT("live", "\"base_url\":\"https://api.twilio.com\",\"mode\":\"live\""), 201);
    assert_non_null(strstr(answer.body, "\"lane\":2,"));
    expect(answer, "\"enabled\":false");
    expect(
        call_as_operator("POST", "/api/v1/providers/live/enable?tenant=pratham", NULL, NULL, 200),
        "\"enabled\":true");
    expect(call("GET", "/api/v1/providers", NULL, NULL, 200), "\"name\":\"live\"");
    expect(
        call_as_operator("POST", "/api/v1/providers/live/disable?tenant=pratham", NULL, NULL, 200),
        "\"enabled\":false");
    print_message("  a tenant sees its own\n");
    const struct call other = {
        .method = "GET", .target = "/api/v1/providers", .key = world.other_key};
    expect(world_call(&world, &other), "\"data\":[]");
}

static const struct {
    const char *says;
    const char *body;
    const char *pointer;
} refused_accounts[] = {
    {"a test account on the internet", ACCOUNT("a", "\"base_url\":\"https://api.twilio.com\""),
     "#/base_url"},
    {"a live account without TLS",
     ACCOUNT("a", "\"base_url\":\"http://api.twilio.com\",\"mode\":\"live\""), "#/base_url"},
    {"a URL that ends with a slash", ACCOUNT("a", "\"base_url\":\"http://127.0.0.1:9/\""),
     "#/base_url"},
    {"a name that would leave its folder", ACCOUNT("../a", "\"base_url\":\"http://127.0.0.1:9\""),
     "#/name"},
    {"a weight below nothing", ACCOUNT("a", "\"base_url\":\"http://127.0.0.1:9\",\"weight\":-1"),
     "#/weight"},
    {"a member that nobody knows", ACCOUNT("a", "\"base_url\":\"http://127.0.0.1:9\",\"wait\":1"),
     "#/wait"},
};

static void test_providers_refused(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(refused_accounts); i++) {
        print_message("  %s\n", refused_accounts[i].says);
        expect(
            call_as_operator("POST", "/api/v1/providers", "refused", refused_accounts[i].body, 422),
            refused_accounts[i].pointer);
    }
    expect(call_as_operator("POST", "/api/v1/providers/none/check?tenant=pratham", NULL, NULL, 404),
           "not_found");
}

/* --- what is refused, everywhere
 * ------------------------------------------------------------------------ */

static const struct {
    const char *says;
    const char *method;
    const char *target;
    enum { NO_KEY, BAD_KEY, TENANT_KEY, OPERATOR_KEY } key;
    const char *idem;
    const char *type;
    const char *body;
    int status;
    const char *holds;
} refusals[] = {
    {"no key", "GET", "/api/v1/campaigns", NO_KEY, NULL, NULL, NULL, 401, "unauthorized"},
    {"a key nobody has", "GET", "/api/v1/campaigns", BAD_KEY, NULL, NULL, NULL, 401,
     "unauthorized"},
    {"the operator's where a tenant's is needed", "GET", "/api/v1/campaigns", OPERATOR_KEY, NULL,
     NULL, NULL, 403, "a tenant"},
    {"a tenant's where the operator's is needed", "GET", "/api/v1/tenants", TENANT_KEY, NULL, NULL,
     NULL, 403, "the operator"},
    {"figures without a key", "GET", "/metrics", NO_KEY, NULL, NULL, NULL, 401, "unauthorized"},
    {"no such path", "GET", "/api/v1/none", TENANT_KEY, NULL, NULL, NULL, 404, "not_found"},
    {"an escape in a path", "GET", "/api/v1/%63ampaigns", TENANT_KEY, NULL, NULL, NULL, 404,
     "not_found"},
    {"an id that is none", "GET", "/api/v1/campaigns/1", TENANT_KEY, NULL, NULL, NULL, 404,
     "not_found"},
    {"an id that nobody has", "GET", "/api/v1/campaigns/0190a0a0-0000-7000-8000-000000000000",
     TENANT_KEY, NULL, NULL, NULL, 404, "not_found"},
    {"a method that this path lacks", "DELETE", "/api/v1/campaigns", TENANT_KEY, NULL, NULL, NULL,
     405, "GET, POST"},
    {"no Idempotency-Key", "POST", "/api/v1/sends", TENANT_KEY, NULL, NULL, "{}", 400,
     "idempotency_key_required"},
    {"an Idempotency-Key with a blank", "POST", "/api/v1/sends", TENANT_KEY, "a b", NULL, "{}", 400,
     "idempotency_key_malformed"},
    {"a form where JSON is needed", "POST", "/api/v1/sends", TENANT_KEY, "a",
     "application/x-www-form-urlencoded", "a=b", 415, "unsupported_media_type"},
    {"no JSON", "POST", "/api/v1/sends", TENANT_KEY, "a", NULL, "{", 400, "malformed_body"},
    {"a member twice", "POST", "/api/v1/sends", TENANT_KEY, "a", NULL,
     "{\"channel\":\"sms\",\"channel\":\"call\"}", 400, "malformed_body"},
    {"no channel", "POST", "/api/v1/sends", TENANT_KEY, "a", NULL,
     "{\"to\":\"+919876543210\",\"text\":\"a\"}", 422, "\"pointer\":\"#/channel\""},
    {"a channel that is none", "POST", "/api/v1/sends", TENANT_KEY, "a", NULL,
     "{\"channel\":\"fax\",\"to\":\"+919876543210\",\"text\":\"a\"}", 422, "sms, call"},
    {"a number that is none", "POST", "/api/v1/sends", TENANT_KEY, "a", NULL,
     "{\"channel\":\"sms\",\"to\":\"123\",\"text\":\"a\"}", 422, "\"pointer\":\"#/to\""},
    {"an account that is not there", "POST", "/api/v1/sends", TENANT_KEY, "a", NULL,
     "{\"channel\":\"sms\",\"to\":\"+919876543210\",\"text\":\"a\",\"providers\":[\"none\"]}", 422,
     "\"pointer\":\"#/providers/0\""},
    {"a campaign without an audience", "POST", "/api/v1/campaigns", TENANT_KEY, "a", NULL,
     "{\"name\":\"a\",\"channel\":\"sms\",\"audience\":\"0190a0a0-0000-7000-8000-000000000000\","
     "\"text\":\"a\"}",
     422, "\"pointer\":\"#/audience\""},
    {"a window that ends before it begins", "POST", "/api/v1/campaigns", TENANT_KEY, "a", NULL,
     "{\"name\":\"a\",\"channel\":\"sms\",\"audience\":\"0190a0a0-0000-7000-8000-000000000000\","
     "\"text\":\"a\",\"window\":{\"from\":\"21:00\",\"to\":\"09:00\"}}",
     422, "\"pointer\":\"#/window\""},
    {"a pace that is none", "POST", "/api/v1/campaigns", TENANT_KEY, "a", NULL,
     "{\"name\":\"a\",\"channel\":\"sms\",\"audience\":\"0190a0a0-0000-7000-8000-000000000000\","
     "\"text\":\"a\",\"pace\":\"fast\"}",
     422, "\"pointer\":\"#/pace\""},
    {"another pace that is none", "POST",
     "/api/v1/campaigns/0190a0a0-0000-7000-8000-000000000000/pace", TENANT_KEY, "a", NULL,
     "{\"pace\":0}", 422, "must be max, or sends per minute"},
    {"another pace, and not which", "POST",
     "/api/v1/campaigns/0190a0a0-0000-7000-8000-000000000000/pace", TENANT_KEY, "a", NULL, "{}",
     422, "\"pointer\":\"#/pace\""},
    {"another pace of a campaign that nobody has", "POST",
     "/api/v1/campaigns/0190a0a0-0000-7000-8000-000000000000/pace", TENANT_KEY, "a", NULL,
     "{\"pace\":60}", 404, "not_found"},
    {"a language that comes twice", "POST", "/api/v1/campaigns", TENANT_KEY, "a", NULL,
     "{\"name\":\"a\",\"channel\":\"sms\",\"audience\":\"0190a0a0-0000-7000-8000-000000000000\","
     "\"text\":\"[hi]\\na\\n[hi]\\nb\"}",
     422, "\"pointer\":\"#/text\""},
    {"an opt-out of nobody", "POST", "/api/v1/opt-outs", TENANT_KEY, NULL, NULL, "{}", 422,
     "\"pointer\":\"#/phone\""},
    {"a limit above the bound", "GET", "/api/v1/campaigns?limit=1001", TENANT_KEY, NULL, NULL, NULL,
     422, "limit"},
    {"a cursor that is none", "GET", "/api/v1/campaigns?cursor=x", TENANT_KEY, NULL, NULL, NULL,
     422, "cursor"},
};

static void test_refusals(void **unused)
{
    const char *keys[] = {[NO_KEY] = NULL,
                          [BAD_KEY] = "none",
                          [TENANT_KEY] = world.key,
                          [OPERATOR_KEY] = WORLD_OPERATOR_KEY};

    (void)unused;
    for (size_t i = 0; i < TH_LEN(refusals); i++) {
        const struct call what = {refusals[i].method,       refusals[i].target,
                                  keys[refusals[i].key],    refusals[i].idem,
                                  .type = refusals[i].type, .body = refusals[i].body};
        print_message("  %s\n", refusals[i].says);
        struct http_answer answer = world_call(&world, &what);
        if (answer.status != refusals[i].status)
            print_message("%d %s\n", answer.status, answer.body);
        assert_int_equal(answer.status, refusals[i].status);
        assert_string_equal(answer_header(&answer, "Content-Type"), "application/problem+json");
        assert_int_equal(strlen(answer_member(&answer, "request_id")), 24);
        expect(answer, refusals[i].holds);
    }
}

static void test_service(void **unused)
{
    (void)unused;
    expect(call("GET", "/health/live", NULL, NULL, 200), "ok");
    expect(call_as_operator("GET", "/metrics", NULL, NULL, 200),
           "telehub_http_requests_total{route=\"/health/live\",status=\"2xx\"}");
    expect(call_as_operator("GET", "/metrics", NULL, NULL, 200),
           "telehub_ingest_claims_bucket{lane=\"api\",le=\"1\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audience),
        cmocka_unit_test(test_audience_refused),
        cmocka_unit_test(test_campaign),
        cmocka_unit_test(test_campaign_views),
        cmocka_unit_test(test_recipients),
        cmocka_unit_test(test_campaign_list),
        cmocka_unit_test(test_unknown_variable),
        cmocka_unit_test(test_read_your_writes),
        cmocka_unit_test(test_pause_without_views),
        cmocka_unit_test(test_send_is_shown),
        cmocka_unit_test(test_consent),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_dead_letters_that_cannot_be_replayed),
        cmocka_unit_test(test_sends_that_were_given_up),
        cmocka_unit_test(test_tenants),
        cmocka_unit_test(test_providers),
        cmocka_unit_test(test_providers_refused),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_service),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
