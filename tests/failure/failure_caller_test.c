/* dispatch's hands when memory, descriptors, the journal's disk and the network fail: whatever was
 * asked for is answered once, "not sent" is true, nobody is called twice, and who takes over never
 * takes for silent what was sent. */
#include "tests/failure/caller_peer.h"
#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "connectors/http_client/http_client.h"
#include "connectors/twilio/twilio.h"
#include "processors/dispatch/caller.h"
#include "processors/dispatch/dispatch.h"

#include <assert.h>
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SESSION     UINT64_C(4711)
#define WAIT_MS     20
#define WAITS_MAX   250 /* then what was asked for is never answered */
#define WAITS_BROKE 3   /* so many without an answer, and the machine recovers */

static const struct {
    const char *says;
    enum effect_type type;
    enum channel channel;
    bool is_by_id;
    bool has_opted_out;
    int status; /* that a POST is answered */
    int result; /* enum provider_result, or of a look-up enum provider_lookup_result */
} rows[] = {
    {"one has opted out", EFFECT_CALL, CHANNEL_SMS, false, true, 201, PROVIDER_NOT_SENT},
    {"a message is accepted", EFFECT_CALL, CHANNEL_SMS, false, false, 201, PROVIDER_ACCEPTED},
    {"a call is accepted", EFFECT_CALL, CHANNEL_CALL, false, false, 201, PROVIDER_ACCEPTED},
    {"it breaks at the provider", EFFECT_CALL, CHANNEL_SMS, false, false, 500, PROVIDER_UNKNOWN},
    {"a number that is none", EFFECT_CALL, CHANNEL_SMS, false, false, 400, PROVIDER_REJECTED},
    {"too many at a time", EFFECT_CALL, CHANNEL_SMS, false, false, 429, PROVIDER_THROTTLED},
    {"one is repeated", EFFECT_REPEAT, CHANNEL_SMS, false, false, 201, PROVIDER_ACCEPTED},
    {"looked for by its number", EFFECT_LOOKUP, CHANNEL_SMS, false, false, 0, PROVIDER_FOUND},
    {"on the first page", EFFECT_LOOKUP, CHANNEL_SMS, true, false, 0, PROVIDER_FOUND},
    {"on the first page, 2", EFFECT_LOOKUP, CHANNEL_SMS, true, false, 0, PROVIDER_FOUND},
    {"on the first page, 3", EFFECT_LOOKUP, CHANNEL_SMS, true, false, 0, PROVIDER_FOUND},
    {"on the first page, 4", EFFECT_LOOKUP, CHANNEL_SMS, true, false, 0, PROVIDER_FOUND},
    {"on the second page", EFFECT_LOOKUP, CHANNEL_SMS, true, false, 0, PROVIDER_FOUND},
    {"on the second page, 2", EFFECT_LOOKUP, CHANNEL_SMS, true, false, 0, PROVIDER_FOUND},
    {"on the second page, 3", EFFECT_LOOKUP, CHANNEL_SMS, true, false, 0, PROVIDER_FOUND},
    {"on no page", EFFECT_LOOKUP, CHANNEL_SMS, true, false, 0, PROVIDER_FOUND},
    {"and after all that one more", EFFECT_CALL, CHANNEL_SMS, false, false, 201, PROVIDER_ACCEPTED},
};

#define ROWS       ((int)TH_LEN(rows))
#define AFTER      (ROWS - 1) /* the last, when nothing fails any more */
#define PAGE_FROM  8
#define PAGE_2     12
#define PAGE_UNTIL 15

static_assert(TH_LEN(rows) <= CALLER_PEER_PLACES, "the peer's places");

struct world {
    struct caller_peer peer;
    char dir[64];
    char secrets_dir[96];
    char journal_dir[96];
    char base_url[64];
    struct reference *reference;
    struct th_arena arena;

    /* of one run */
    struct secrets *secrets;
    struct http_client *http;
    struct caller *caller;
    struct effects *effects;
    int asked;
    int answered;
    int answers[TH_LEN(rows)];
    int results[TH_LEN(rows)];
    jmp_buf killed;
};

static struct world world;

_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);

/* The process ends; the next one begins. */
_Noreturn void __wrap_abort(void)
{
    if (!fail_was_hit())
        __real_abort();
    longjmp(world.killed, 1);
}

/* --- asking -------------------------------------------------------------------------------------
 */

static struct effect effect_of(int row, char number[CALLER_PEER_TEXT], char sid[CALLER_PEER_TEXT])
{
    struct attempt_ref attempt = {.send = {.b = {9}}, .n = row + 1};

    caller_peer_number(&world.peer, row, number);
    caller_peer_sid(&world.peer, row, sid);
    if (rows[row].type == EFFECT_LOOKUP)
        return (struct effect){
            .type = EFFECT_LOOKUP,
            .as.lookup = {.attempt = attempt,
                          .lane = 1,
                          .channel = rows[row].channel,
                          .provider_id = th_str(rows[row].is_by_id ? sid : ""),
                          .to = th_str(number),
                          .sender = TH_STR("+14155550100"),
                          .started_us = th_clock_realtime_us(&th_clock_real)},
        };
    return (struct effect){
        .type = rows[row].type,
        .as.call = {.attempt = attempt,
                    .tenant = TH_STR("pratham"),
                    .lane = 1,
                    .channel = rows[row].channel,
                    .to = th_str(number),
                    .sender = TH_STR("+14155550100"),
                    .text = TH_STR("hello"),
                    .lang = TH_STR("en"),
                    .contact = rows[row].has_opted_out ? 77 : row + 1000},
    };
}

static void ask(int row)
{
    char number[CALLER_PEER_TEXT];
    char sid[CALLER_PEER_TEXT];
    struct effect effect = effect_of(row, number, sid);

    world.asked++;
    world.effects->ops->run(world.effects, &effect, th_clock_boottime_us(&th_clock_real));
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void take_call(int row, const struct answer *answer)
{
    const struct provider_outcome *outcome = &answer->as.call_ended.outcome;

    assert_int_equal(answer->type,
                     rows[row].type == EFFECT_CALL ? ANSWER_CALL_ENDED : ANSWER_REPEAT_ENDED);
    world.results[row] = (int)outcome->result;
    if (!fail_was_hit() || row == AFTER)
        assert_int_equal(outcome->result, rows[row].result);
    /* What failed was ours: neither the account nor what is said has a fault. */
    assert_false(outcome->is_account_refused);
    assert_int_not_equal(outcome->error_class, PROVIDER_ACCOUNT);
    assert_int_not_equal(outcome->error_class, PROVIDER_CONTENT);
    if (outcome->result != PROVIDER_UNKNOWN && outcome->result != PROVIDER_NOT_SENT)
        assert_int_equal(outcome->result, rows[row].result);
    if (outcome->result == PROVIDER_REJECTED)
        assert_int_equal(outcome->error_class, PROVIDER_PERMANENT);
}

static void take_lookup(int row, const struct answer *answer)
{
    const struct provider_lookup *lookup = &answer->as.lookup_ended.lookup;
    char sid[CALLER_PEER_TEXT];

    caller_peer_sid(&world.peer, row, sid);
    assert_int_equal(answer->type, ANSWER_LOOKUP_ENDED);
    if (!fail_was_hit() || lookup->result != PROVIDER_ASK_AGAIN)
        assert_int_equal(lookup->result, PROVIDER_FOUND);
    if (lookup->result != PROVIDER_FOUND)
        return;
    assert_int_equal(lookup->n_reports, 1);
    assert_str_equal(lookup->reports[0].provider_id, th_str(sid));
    assert_int_equal(lookup->reports[0].status, PROVIDER_SMS_DELIVERED);
    assert_true(lookup->reports[0].has_price);
}

static void take(const struct answer *answer)
{
    bool is_lookup = answer->type == ANSWER_LOOKUP_ENDED;
    int row = (is_lookup ? answer->as.lookup_ended.attempt.n : answer->as.call_ended.attempt.n) - 1;

    assert_true(row >= 0 && row < ROWS);
    assert_int_equal(world.answers[row]++, 0);
    world.answered++;
    if (rows[row].type == EFFECT_LOOKUP)
        take_lookup(row, answer);
    else
        take_call(row, answer);
}

/* Until all is answered. Where nothing works any more it may wait until something does. */
static void finish(void)
{
    struct pollfd ready = {.fd = world.effects->ops->fd(world.effects), .events = POLLIN};
    struct answer answer;

    for (int waits = 0; world.answered < world.asked;) {
        if (world.effects->ops->poll(world.effects, &world.arena, &answer)) {
            take(&answer);
            waits = 0;
            continue;
        }
        if (poll(&ready, 1, WAIT_MS) == 0)
            waits++;
        if (waits == WAITS_BROKE)
            fail_disarm();
        if (waits > WAITS_MAX)
            fail_msg("%d of %d are never answered", world.asked - world.answered, world.asked);
    }
    th_arena_reset(&world.arena);
}

/* --- one run ------------------------------------------------------------------------------------
 */

static enum th_code open_caller(struct th_err *err)
{
    static const struct provider_ops *const wires[] = {&twilio_ops, NULL};
    struct caller_config config = {
        .reference = world.reference,
        .http = world.http,
        .secrets = world.secrets,
        .clock = &th_clock_real,
        .wires = wires,
        .forbids = dispatch_forbids,
        .public_url = "https://hub.example",
        .journal_dir = world.journal_dir,
        .send_window_us = 60 * TH_US_PER_SEC,
        .call_timeout_ms = 5000,
        .lookup_wait_us = 1,
    };

    TH_TRY(caller_open(&config, &world.caller, err));
    world.effects = caller_effects(world.caller);
    return TH_OK;
}

static void close_all(void)
{
    caller_close(world.caller);
    http_client_close(world.http);
    secrets_close(world.secrets);
    world.caller = NULL;
    world.effects = NULL;
    world.http = NULL;
    world.secrets = NULL;
}

static void open_all(void)
{
    const struct http_client_conf conf = {.in_flight_max = 3, .low_speed_s = 1};
    struct th_err err = {0};

    assert_int_equal(secrets_open(world.secrets_dir, &world.secrets, &err), TH_OK);
    assert_int_equal(http_client_open(&conf, &world.http, &err), TH_OK);
    if (open_caller(&err) != TH_OK)
        fail_msg("%s", err.text);
}

static bool is_silent(int row)
{
    struct effect effect = {.type = EFFECT_ASK_JOURNAL,
                            .as.ask_journal = {{.send = {.b = {9}}, .n = row + 1}, SESSION}};
    struct answer answer;

    assert_int_equal(world.effects->ops->ask(world.effects, &effect, &world.arena, &answer), TH_OK);
    return answer.as.journal_told.is_silent;
}

/* Who takes over, against what the provider heard. */
static void judge(void)
{
    close_all();
    caller_peer_settle(&world.peer);
    open_all();
    world.effects->ops->session(world.effects, SESSION + 1);
    for (int row = 0; row < ROWS; row++) {
        int heard = atomic_load(&world.peer.heard[row]);

        if (heard > 1)
            fail_msg("%s: heard %d times", rows[row].says, heard);
        if (world.answers[row] && rows[row].type != EFFECT_LOOKUP &&
            (world.results[row] == PROVIDER_NOT_SENT) != (heard == 0) &&
            world.results[row] != PROVIDER_UNKNOWN)
            fail_msg("%s: result %d, and heard %d times", rows[row].says, world.results[row],
                     heard);
        if (rows[row].type == EFFECT_CALL && heard > 0 && is_silent(row))
            fail_msg("%s: heard, and the journal is silent", rows[row].says);
    }
    if (!fail_was_hit())
        assert_true(is_silent(0));
    world.effects->ops->run(
        world.effects,
        &(struct effect){.type = EFFECT_DROP_JOURNAL, .as.drop_journal = {.keep = SESSION + 1}}, 0);
    close_all();
}

static void empty(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[512];

    while (dir && (entry = readdir(dir))) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            assert_int_equal(unlink(name), 0);
    }
    if (dir)
        closedir(dir);
}

static void begin_run(void)
{
    caller_peer_next(&world.peer);
    empty(world.journal_dir);
    world.asked = world.answered = 0;
    memset(world.answers, 0, sizeof world.answers);
    memset(world.results, 0, sizeof world.results);
}

static void work(void *unused)
{
    (void)unused;
    begin_run();
    open_all();
    if (setjmp(world.killed) == 0) {
        fail_arm();
        world.effects->ops->session(world.effects, SESSION);
        for (int row = 0; row < AFTER; row++)
            ask(row);
        finish();
        fail_disarm();
        ask(AFTER);
        finish();
    }
    fail_disarm();
    judge();
}

/* Look-ups that wait to be asked for together, when there is no memory to ask with: it was tried
 * again and again at once, and the slot stood still. */
static void gather(void *unused)
{
    (void)unused;
    begin_run();
    open_all();
    world.effects->ops->session(world.effects, SESSION);
    for (int row = PAGE_FROM; row < PAGE_UNTIL; row++)
        ask(row);
    fail_arm();
    finish();
    fail_disarm();
    close_all();
}

static void test_a_list_waits_for_memory(void **unused)
{
    (void)unused;
    fail_each("look-ups wait for memory, and the slot does not", FAIL_MEMORY, gather, NULL);
}

static void open_badly(void *unused)
{
    const struct http_client_conf conf = {.in_flight_max = 3};
    struct th_err err = {0};

    (void)unused;
    assert_int_equal(http_client_open(&conf, &world.http, &err), TH_OK);
    fail_arm();
    enum th_code code = secrets_open(world.secrets_dir, &world.secrets, &err);
    if (code == TH_OK)
        code = open_caller(&err);
    fail_disarm();
    if (code != TH_OK) {
        assert_true(fail_was_hit());
        assert_true(code == TH_NOMEM || code == TH_IO);
    }
    close_all();
}

static void test_caller(void **unused)
{
    (void)unused;
    fail_each("a caller is opened", FAIL_ALL, open_badly, NULL);
    fail_each("calls, repeats and look-ups are made", FAIL_ALL, work, NULL);
}

/* --- the world ----------------------------------------------------------------------------------
 */

static void configure(void)
{
    struct th_str sender = TH_STR("+14155550100");
    struct event tenant = {.type = EVENT_TENANT_CREATED,
                           .as.tenant_created = {.meta = {.tenant = TH_STR("pratham")},
                                                 .name = TH_STR("Pratham"),
                                                 .country = TH_STR("IN"),
                                                 .zone = TH_STR("Asia/Kolkata"),
                                                 .currency = TH_STR("INR")}};
    struct event account = {
        .type = EVENT_ACCOUNT_CONFIGURED,
        .as.account_configured = {.meta = {.tenant = TH_STR("pratham")},
                                  .name = TH_STR("main"),
                                  .lane = 1,
                                  .wire = TH_STR("twilio"),
                                  .base_url = th_str(world.base_url),
                                  .account = TH_STR("AC01"),
                                  .secret_version = 1,
                                  .senders = {&sender, 1}},
    };
    struct event opt_out = {.type = EVENT_OPTED_OUT,
                            .as.opted_out = {.meta = {.tenant = TH_STR("pratham")},
                                             .contact = 77,
                                             .source = TH_STR("api")}};

    assert_int_equal(reference_apply(world.reference, TOPIC_CONFIG, &tenant), TH_OK);
    assert_int_equal(reference_apply(world.reference, TOPIC_CONFIG, &account), TH_OK);
    assert_int_equal(reference_apply(world.reference, TOPIC_CONSENT_EVENTS, &opt_out), TH_OK);
}

static int set_up(void **unused)
{
    struct th_err err = {0};

    (void)unused;
    snprintf(world.dir, sizeof world.dir, "/tmp/telehub-failure.XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    snprintf(world.secrets_dir, sizeof world.secrets_dir, "%s/secrets", world.dir);
    snprintf(world.journal_dir, sizeof world.journal_dir, "%s/journal", world.dir);
    for (int row = 0; row < ROWS; row++)
        world.peer.statuses[row] = rows[row].status;
    world.peer.listed_from = PAGE_FROM;
    world.peer.listed_until = PAGE_2;
    world.peer.listed_end = PAGE_UNTIL;
    fail_exempt(true);
    caller_peer_start(&world.peer);
    fail_exempt(false);
    snprintf(world.base_url, sizeof world.base_url, "http://127.0.0.1:%d", world.peer.port);
    assert_non_null(world.reference = reference_new());
    configure();
    th_arena_init(&world.arena, 1 << 20);
    assert_int_equal(secrets_open(world.secrets_dir, &world.secrets, &err), TH_OK);
    assert_int_equal(
        secrets_put(world.secrets, TH_STR("pratham"), TH_STR("main"), 1, TH_STR("hush"), &err),
        TH_OK);
    close_all();
    return 0;
}

static int tear_down(void **unused)
{
    char command[96];

    (void)unused;
    caller_peer_stop(&world.peer);
    reference_free(world.reference);
    th_arena_fini(&world.arena);
    snprintf(command, sizeof command, "rm -rf %s", world.dir);
    return system(command); /* NOLINT(cert-env33-c): the path is ours */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caller),
        cmocka_unit_test(test_a_list_waits_for_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
