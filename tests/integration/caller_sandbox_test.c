/* dispatch's hands against the sandbox: what leaves is executed once, what fails is told apart, and
 * who takes over learns from the journal what never left.
 */
#include "tests/unit/test.h"

#include "connectors/http_client/http_client.h"
#include "connectors/twilio/twilio.h"
#include "processors/dispatch/caller.h"

#define answer sandbox_answer /* the name is taken, by what an effect is answered with */
#include "tests/integration/sandbox_peer.h"
#undef answer

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SESSION     UINT64_C(4711)
#define PATIENCE_MS 20000

static struct sandbox sandbox;
static char dir[64];
static char journal[96];
static struct reference *reference;
static struct secrets *secrets;
static struct http_client *http;
static struct caller *caller;
static struct effects *effects;
static struct th_arena arena;

static const struct provider_ops *const wires[] = {&twilio_ops, NULL};

static const char *forbids(const struct reference *ref, struct th_str tenant,
                           const struct th_id *campaign, int64_t contact, int64_t send_by_us,
                           int64_t now_us)
{
    (void)tenant, (void)campaign, (void)send_by_us, (void)now_us;
    return reference_is_opted_out(ref, contact) ? "opted_out" : NULL;
}

static void configure(void)
{
    static char base_url[64];
    struct th_str sender = TH_STR("+14155550100");
    struct th_err err = {0};

    (void)snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", sandbox.port);
    struct event tenant = {.type = EVENT_TENANT_CREATED,
                           .as.tenant_created = {.meta = {.tenant = TH_STR("pratham")},
                                                 .name = TH_STR("Pratham"),
                                                 .country = TH_STR("IN"),
                                                 .zone = TH_STR("Asia/Kolkata"),
                                                 .currency = TH_STR("INR")}};
    struct event account = {
        .type = EVENT_ACCOUNT_CONFIGURED,
        .as.account_configured = {.meta = {.tenant = TH_STR("pratham")},
                                  .name = TH_STR("sandbox"),
                                  .lane = 1,
                                  .wire = TH_STR("twilio"),
                                  .base_url = th_str(base_url),
                                  .account = TH_STR(PEER_ACCOUNT),
                                  .secret_version = 1,
                                  .senders = {&sender, 1}},
    };
    assert_int_equal(reference_apply(reference, TOPIC_CONFIG, &tenant), TH_OK);
    assert_int_equal(reference_apply(reference, TOPIC_CONFIG, &account), TH_OK);
    assert_int_equal(
        secrets_put(secrets, TH_STR("pratham"), TH_STR("sandbox"), 1, TH_STR(PEER_SECRET), &err),
        TH_OK);
}

static int set_up(void **unused)
{
    static const char *const options[] = {"--latency-ms", "0-5", "--callback-retries", "0", NULL};
    struct http_client_conf conf = {.in_flight_max = 8};
    char folder[96];

    (void)unused;
    sandbox_prepare(&sandbox);
    sandbox_start(&sandbox, options);
    (void)snprintf(dir, sizeof dir, "/tmp/telehub-caller.XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(journal, sizeof journal, "%s/journal", dir);
    (void)snprintf(folder, sizeof folder, "%s/secrets", dir);
    assert_int_equal(secrets_open(folder, &secrets, NULL), TH_OK);
    assert_non_null(reference = reference_new());
    configure();
    assert_int_equal(http_client_open(&conf, &http, NULL), TH_OK);
    th_arena_init(&arena, 64 << 20);
    struct caller_config config = {
        .reference = reference,
        .http = http,
        .secrets = secrets,
        .clock = &th_clock_real,
        .wires = wires,
        .forbids = forbids,
        .public_url = "http://127.0.0.1:9", /* nobody listens: reports are not what is tested */
        .journal_dir = journal,
        .send_window_us = 5 * TH_US_PER_SEC,
        .call_timeout_ms = 15000,
    };
    assert_int_equal(caller_open(&config, &caller, NULL), TH_OK);
    effects = caller_effects(caller);
    effects->ops->session(effects, SESSION);
    return 0;
}

static int tear_down(void **unused)
{
    char command[128];

    (void)unused;
    caller_close(caller);
    http_client_close(http);
    secrets_close(secrets);
    reference_free(reference);
    th_arena_fini(&arena);
    sandbox_remove(&sandbox);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command); /* NOLINT(cert-env33-c): the path is ours */
}

static struct answer next_answer(void)
{
    struct pollfd ready = {.fd = effects->ops->fd(effects), .events = POLLIN};
    struct answer answer;

    while (!effects->ops->poll(effects, &arena, &answer))
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    return answer;
}

static void start_call(int32_t n, const char *to)
{
    struct effect effect = {
        .type = EFFECT_CALL,
        .as.call = {.attempt = {.send = {.b = {9}}, .n = n},
                    .tenant = TH_STR("pratham"),
                    .lane = 1,
                    .channel = CHANNEL_SMS,
                    .to = th_str(to),
                    .sender = TH_STR("+14155550100"),
                    .text = TH_STR("नमस्ते")},
    };

    effects->ops->run(effects, &effect, th_clock_boottime_us(&th_clock_real));
}

static bool is_silent(int32_t n)
{
    struct effect effect = {.type = EFFECT_ASK_JOURNAL,
                            .as.ask_journal = {{.send = {.b = {9}}, .n = n}, SESSION}};
    struct answer answer;

    assert_int_equal(effects->ops->ask(effects, &effect, &arena, &answer), TH_OK);
    return answer.as.journal_told.is_silent;
}

/* By the sandbox's own ledger. */
static size_t executions_of(const char *to)
{
    struct sandbox_answer ledger = {0};
    char wanted[64];
    size_t n = 0;

    sandbox_ask(&sandbox, "/ledger", NULL, &ledger);
    assert_int_equal(ledger.status, 200);
    (void)snprintf(wanted, sizeof wanted, "\"to\":\"%s\"", to);
    for (struct th_str rest = th_buf_str(&ledger.body), line; rest.n > 0;) {
        th_str_cut(rest, '\n', &line, &rest);
        n += line.n > 0 && memmem(line.p, line.n, wanted, strlen(wanted));
    }
    answer_fini(&ledger);
    return n;
}

static const struct {
    const char *says;
    const char *to;
    enum provider_result result;
    enum provider_class class;
    size_t executions;
} cases[] = {
    {"a message is accepted", "+919855500000", PROVIDER_ACCEPTED, PROVIDER_CLASS_NONE, 1},
    {"a number that is none is refused", "+919855500011", PROVIDER_REJECTED, PROVIDER_PERMANENT, 0},
    {"429 was not executed", "+919855500029", PROVIDER_THROTTLED, PROVIDER_TRANSIENT, 0},
    {"500 says nothing of what was done", "+919855500050", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, 0},
    {"an answer that was lost neither", "+919855500062", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, 1},
};

static void test_every_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int32_t n = (int32_t)i + 1;

        print_message("  %s\n", cases[i].says);
        start_call(n, cases[i].to);
        struct answer answer = next_answer();
        assert_int_equal(answer.type, ANSWER_CALL_ENDED);
        assert_int_equal(answer.as.call_ended.attempt.n, n);
        assert_int_equal(answer.as.call_ended.outcome.result, cases[i].result);
        assert_int_equal(answer.as.call_ended.outcome.error_class, cases[i].class);
        assert_int_equal(executions_of(cases[i].to), cases[i].executions);
    }
}

static void test_lookups(void **state)
{
    struct effect effect = {
        .type = EFFECT_LOOKUP,
        .as.lookup = {.attempt = {.send = {.b = {9}}, .n = 5},
                      .lane = 1,
                      .channel = CHANNEL_SMS,
                      .to = TH_STR("+919855500062"),
                      .sender = TH_STR("+14155550100"),
                      .started_us = th_clock_realtime_us(&th_clock_real)},
    };

    (void)state;
    print_message("  a lost answer is found again by recipient and time\n");
    effects->ops->run(effects, &effect, th_clock_boottime_us(&th_clock_real));
    struct answer answer = next_answer();
    assert_int_equal(answer.type, ANSWER_LOOKUP_ENDED);
    assert_int_equal(answer.as.lookup_ended.lookup.result, PROVIDER_FOUND);
    assert_int_equal(answer.as.lookup_ended.lookup.n_reports, 1);
    print_message("  and then by its id\n");
    effect.as.lookup.provider_id = answer.as.lookup_ended.lookup.reports[0].provider_id;
    effects->ops->run(effects, &effect, th_clock_boottime_us(&th_clock_real));
    answer = next_answer();
    assert_int_equal(answer.as.lookup_ended.lookup.result, PROVIDER_FOUND);
}

static void opt_out(const char *phone)
{
    struct event event = {
        .type = EVENT_OPTED_OUT,
        .as.opted_out = {.meta = {.tenant = TH_STR("pratham")},
                         .contact = contact_hash(TH_STR("pratham"), th_str(phone)),
                         .source = TH_STR("api")}};

    reference_write_lock(reference);
    assert_int_equal(reference_apply(reference, TOPIC_CONSENT_EVENTS, &event), TH_OK);
    reference_unlock(reference);
}

static void test_an_opt_out_wins(void **state)
{
    struct effect effect = {
        .type = EFFECT_CALL,
        .as.call = {.attempt = {.send = {.b = {9}}, .n = 40},
                    .tenant = TH_STR("pratham"),
                    .lane = 1,
                    .channel = CHANNEL_SMS,
                    .to = TH_STR("+919855500100"),
                    .sender = TH_STR("+14155550100"),
                    .text = TH_STR("नमस्ते"),
                    .contact = contact_hash(TH_STR("pratham"), TH_STR("+919855500100"))},
    };

    (void)state;
    print_message("  who opted out after the plan was made is not called\n");
    opt_out("+919855500100");
    effects->ops->run(effects, &effect, th_clock_boottime_us(&th_clock_real));
    struct answer answer = next_answer();
    assert_int_equal(answer.as.call_ended.outcome.result, PROVIDER_NOT_SENT);
    assert_str_equal(answer.as.call_ended.outcome.reason, TH_STR("opted_out"));
    assert_int_equal(executions_of("+919855500100"), 0);
}

/* Last: the sandbox ends, and the session, too. */
static void test_the_journal(void **state)
{
    (void)state;
    print_message("  where nobody answers, nothing was sent\n");
    (void)sandbox_stop(&sandbox, SIGKILL);
    start_call(50, "+919855500000");
    struct answer answer = next_answer();
    assert_int_equal(answer.as.call_ended.outcome.result, PROVIDER_NOT_SENT);
    assert_int_equal(answer.as.call_ended.outcome.error_class, PROVIDER_TRANSIENT);
    print_message("  the next session believes the journal of this one\n");
    effects->ops->session(effects, SESSION + 1);
    for (size_t i = 0; i < TH_LEN(cases); i++)
        assert_false(is_silent((int32_t)i + 1));
    assert_true(is_silent(40));
    assert_true(is_silent(50));
    print_message("  until it is dropped\n");
    effects->ops->run(
        effects,
        &(struct effect){.type = EFFECT_DROP_JOURNAL, .as.drop_journal = {.keep = SESSION + 1}}, 0);
    assert_false(is_silent(50));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_answer),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_an_opt_out_wins),
        cmocka_unit_test(test_the_journal),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
