/* caller.c: an attempt leaves once, at the right moment, or it is said that it did not. */
#include "tests/unit/test.h"

#include "common/http_outcome.h"
#include "processors/dispatch/caller.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SESSION UINT64_C(77)
#define WINDOW  INT64_C(5000000)

#define LOOKUP_WAIT INT64_C(3000000)

/* --- a client that does nothing until it is told ------------------------------------------------
 */

struct fake_start {
    struct http_permit permit;
    uint64_t tag;
    bool is_lookup;
};

struct fake_client {
    struct http_client client;
    size_t room;
    struct fake_start started[8];
    size_t n;
    struct http_done ready[8];
    size_t n_ready;
    char url[HTTP_URL_MAX];
};

static enum th_code fake_start(struct http_client *client, const struct http_req *req,
                               struct http_permit permit, uint64_t tag, struct th_err *err)
{
    struct fake_client *f = (struct fake_client *)client;

    if (f->n == f->room)
        return th_fail(err, TH_FULL, "full");
    snprintf(f->url, sizeof f->url, "%.*s", TH_ARG(req->body));
    f->started[f->n++] = (struct fake_start){permit, tag, !permit.may_send};
    return TH_OK;
}

static size_t fake_poll(struct http_client *client, struct http_done *out_done, size_t max)
{
    struct fake_client *f = (struct fake_client *)client;
    size_t n = f->n_ready < max ? f->n_ready : max;

    memcpy(out_done, f->ready, n * sizeof *out_done);
    memmove(f->ready, f->ready + n, (f->n_ready - n) * sizeof *f->ready);
    f->n_ready -= n;
    return n;
}

static int fake_fd(const struct http_client *client)
{
    (void)client;
    return -1;
}

static size_t fake_in_flight(const struct http_client *client)
{
    return ((const struct fake_client *)client)->n;
}

static void fake_close(struct http_client *client)
{
    (void)client;
}

static const struct http_client_ops fake_ops = {fake_start, fake_poll, fake_fd, fake_in_flight,
                                                fake_close};

/* The body of request i is asked for, then its reply comes. */
static bool leave(struct fake_client *f, size_t i)
{
    return f->started[i].permit.may_send(f->started[i].permit.arg);
}

static void reply(struct fake_client *f, size_t i, bool has_left, long status)
{
    struct http_reply r = {
        .phase = has_left ? HTTP_COMPLETE : HTTP_CONNECTED,
        .may_have_left = has_left,
        .is_refused = !has_left,
        .status = status,
        .body = TH_STR("{\"sid\":\"X\",\"to\":\"919812345678\"}"),
        .retry_after_s = -1,
    };

    f->ready[f->n_ready++] = (struct http_done){f->started[i].tag, r};
    f->started[i] = f->started[--f->n];
}

/* --- a wire that says as little as possible -----------------------------------------------------
 */

static enum th_code toy_build(const struct provider_account *account,
                              const struct provider_message *msg, struct th_arena *arena,
                              struct http_req *out_req, struct th_err *err)
{
    if (msg->text.n == 0)
        return th_fail(err, TH_INVALID, "no text");
    assert_str_equal(account->secret, TH_STR("hush"));
    *out_req = (struct http_req){.method = HTTP_POST};
    return th_arena_copy(arena, msg->callback_url, &out_req->body);
}

static enum th_code toy_parse(enum provider_channel channel, const struct http_reply *r,
                              struct th_arena *arena, struct provider_outcome *out)
{
    (void)channel, (void)arena;
    *out = (struct provider_outcome){.retry_after_us = -1};
    switch (http_outcome(r, false)) {
    case HTTP_OUTCOME_SUCCESS:
        out->result = PROVIDER_ACCEPTED;
        out->provider_id = TH_STR("X");
        break;
    case HTTP_OUTCOME_NOT_SENT:
        out->result = PROVIDER_NOT_SENT;
        out->error_class = PROVIDER_TRANSIENT;
        break;
    case HTTP_OUTCOME_UNKNOWN:
    case HTTP_OUTCOME_THROTTLED:
    case HTTP_OUTCOME_REJECTED:
        out->result = PROVIDER_UNKNOWN;
        break;
    }
    return TH_OK;
}

static enum th_code toy_lookup_build(const struct provider_account *account,
                                     enum provider_channel channel, struct th_str provider_id,
                                     struct th_arena *arena, struct http_req *out_req,
                                     struct th_err *err)
{
    (void)account, (void)channel, (void)arena, (void)err;
    *out_req = (struct http_req){.method = HTTP_GET, .body = provider_id};
    return TH_OK;
}

static enum th_code toy_lookup_parse(enum provider_channel channel, const struct http_reply *r,
                                     struct th_arena *arena, struct provider_lookup *out)
{
    (void)channel, (void)r, (void)arena;
    *out = (struct provider_lookup){.result = PROVIDER_ABSENT, .retry_after_us = -1};
    return TH_OK;
}

static enum th_code toy_list_build(const struct provider_account *account,
                                   enum provider_channel channel, struct th_str next,
                                   struct th_arena *arena, struct http_req *out_req,
                                   struct th_err *err)
{
    (void)account, (void)channel, (void)err;
    *out_req = (struct http_req){.method = HTTP_GET};
    out_req->body = th_arena_printf(arena, "list %.*s", TH_ARG(next));
    return TH_OK;
}

static struct provider_page toy_page; /* what the next page says */

static enum th_code toy_list_parse(enum provider_channel channel, const struct http_reply *r,
                                   struct th_arena *arena, struct provider_page *out)
{
    (void)channel, (void)arena;
    *out = r->status == 200 ? toy_page : (struct provider_page){.result = PROVIDER_ASK_AGAIN};
    return TH_OK;
}

static const struct provider_ops toy_wire = {
    .list_build = toy_list_build,
    .list_parse = toy_list_parse,
    .name = "toy",
    .build = toy_build,
    .parse = toy_parse,
    .lookup_build = toy_lookup_build,
    .lookup_parse = toy_lookup_parse,
};

static const struct provider_ops *const wires[] = {&toy_wire, NULL};

/* --- the world ----------------------------------------------------------------------------------
 */

static const char *forbidden_by; /* what the rule says now */

static const char *toy_forbids(const struct reference *ref, struct th_str tenant,
                               const struct th_id *campaign, int64_t contact, int64_t send_by_us,
                               int64_t now_us)
{
    (void)ref, (void)campaign, (void)contact, (void)send_by_us, (void)now_us;
    assert_str_equal(tenant, TH_STR("pratham"));
    return forbidden_by;
}

struct world {
    char dir[64];
    char journal[96];
    struct reference *reference;
    struct secrets *secrets;
    struct fake_client http;
    struct th_virtual_clock clock;
    int64_t commit_us; /* what the commits take */
    struct caller *caller;
    struct effects *effects;
    struct th_arena arena;
    struct th_err err;
};

static void configure_lane(struct world *w, int32_t lane, const char *wire)
{
    struct event event = {
        .type = EVENT_ACCOUNT_CONFIGURED,
        .as.account_configured =
            {
                .meta = {.tenant = TH_STR("pratham")},
                .name = lane == 1 ? TH_STR("main") : TH_STR("spare"),
                .lane = lane,
                .wire = th_str(wire),
                .base_url = TH_STR("http://127.0.0.1:1"),
                .account = TH_STR("AC1"),
                .secret_version = 1,
            },
    };

    assert_int_equal(reference_apply(w->reference, TOPIC_CONFIG, &event), TH_OK);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char secrets[96];

    forbidden_by = NULL;
    snprintf(w->dir, sizeof w->dir, "/tmp/telehub-caller.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->journal, sizeof w->journal, "%s/journal", w->dir);
    snprintf(secrets, sizeof secrets, "%s/secrets", w->dir);
    assert_non_null(w->reference = reference_new());
    configure_lane(w, 1, "toy");
    configure_lane(w, 2, "unheard");
    assert_int_equal(secrets_open(secrets, &w->secrets, &w->err), TH_OK);
    assert_int_equal(
        secrets_put(w->secrets, TH_STR("pratham"), TH_STR("main"), 1, TH_STR("hush"), &w->err),
        TH_OK);
    w->http = (struct fake_client){.client = {&fake_ops}, .room = 2};
    th_virtual_clock_init(&w->clock, INT64_C(1800000000000000));
    th_arena_init(&w->arena, 1 << 20);

    struct caller_config config = {
        .reference = w->reference,
        .http = &w->http.client,
        .secrets = w->secrets,
        .clock = &w->clock.clock,
        .wires = wires,
        .forbids = toy_forbids,
        .public_url = "https://hub.example",
        .journal_dir = w->journal,
        .send_window_us = WINDOW,
        .call_timeout_ms = 15000,
        .lookup_wait_us = LOOKUP_WAIT,
    };
    assert_int_equal(caller_open(&config, &w->caller, &w->err), TH_OK);
    w->effects = caller_effects(w->caller);
    w->effects->ops->session(w->effects, SESSION);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];

    caller_close(w->caller);
    secrets_close(w->secrets);
    reference_free(w->reference);
    th_arena_fini(&w->arena);
    snprintf(command, sizeof command, "rm -rf %s", w->dir);
    free(w);
    return system(command); /* NOLINT(cert-env33-c): the path is ours */
}

static void call(struct world *w, int32_t n, int32_t lane, const char *text)
{
    struct effect effect = {
        .type = EFFECT_CALL,
        .as.call = {.attempt = {.send = {.b = {9}}, .n = n},
                    .tenant = TH_STR("pratham"),
                    .lane = lane,
                    .channel = CHANNEL_SMS,
                    .to = TH_STR("+919812345678"),
                    .sender = TH_STR("+911"),
                    .text = th_str(text)},
    };

    w->effects->ops->run(w->effects, &effect, th_clock_boottime_us(&w->clock.clock) - w->commit_us);
}

static bool next(struct world *w, struct answer *out)
{
    return w->effects->ops->poll(w->effects, &w->arena, out);
}

static bool is_readable(const struct world *w)
{
    struct pollfd p = {.fd = w->effects->ops->fd(w->effects), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void assert_ended(struct world *w, int32_t n, enum provider_result result,
                         enum provider_class class, const char *reason)
{
    struct answer answer;

    assert_true(next(w, &answer));
    assert_int_equal(answer.type, ANSWER_CALL_ENDED);
    assert_int_equal(answer.as.call_ended.attempt.n, n);
    assert_int_equal(answer.as.call_ended.outcome.result, result);
    assert_int_equal(answer.as.call_ended.outcome.error_class, class);
    assert_str_equal(answer.as.call_ended.outcome.reason, th_str(reason));
}

static bool journal_knows(struct world *w, int32_t n)
{
    struct effect effect = {.type = EFFECT_ASK_JOURNAL,
                            .as.ask_journal = {{.send = {.b = {9}}, .n = n}, SESSION}};
    struct answer answer;

    w->effects->ops->session(w->effects, SESSION + 1);
    assert_int_equal(w->effects->ops->ask(w->effects, &effect, &w->arena, &answer), TH_OK);
    return !answer.as.journal_told.is_silent;
}

/* --- the tests ----------------------------------------------------------------------------------
 */

static void test_it_leaves_once(void **state)
{
    struct world *w = *state;
    struct answer answer;

    call(w, 1, 1, "hello");
    assert_int_equal(w->http.n, 1);
    print_message("  the callback's address names wire and attempt\n");
    assert_non_null(strstr(w->http.url, "https://hub.example/webhooks/toy/"));
    print_message("  the first byte may leave, a second time it may not\n");
    assert_true(leave(&w->http, 0));
    assert_false(leave(&w->http, 0));
    reply(&w->http, 0, true, 201);
    assert_ended(w, 1, PROVIDER_ACCEPTED, PROVIDER_CLASS_NONE, "");
    assert_false(next(w, &answer));
    print_message("  and the journal knows of it\n");
    assert_true(journal_knows(w, 1));
}

static void test_the_last_check(void **state)
{
    static const struct {
        const char *says;
        const char *forbidden;
        int64_t committed_us;
        int64_t waited_us;
        uint64_t session;
        const char *reason; /* NULL: it leaves */
    } cases[] = {
        {"nothing forbids it: it leaves", NULL, 0, WINDOW - 1, SESSION, NULL},
        {"an opt-out came", "opted_out", 0, 0, SESSION, "opted_out"},
        {"the campaign was paused", "paused", 0, 0, SESSION, "paused"},
        {"the window is over", NULL, 0, WINDOW, SESSION, "permit"},
        {"the commit took most of the window", NULL, WINDOW - 10, 10, SESSION, "permit"},
        {"and not quite all of it", NULL, WINDOW - 10, 9, SESSION, NULL},
        {"the slot has another session", NULL, 0, 0, SESSION + 5, "permit"},
        {"the slot has no session", NULL, 0, 0, 0, "permit"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int32_t n = (int32_t)i + 1;

        print_message("  %s\n", cases[i].says);
        forbidden_by = NULL;
        w->commit_us = cases[i].committed_us;
        call(w, n, 1, "hello");
        assert_int_equal(w->http.n, 1);
        forbidden_by = cases[i].forbidden;
        th_virtual_clock_advance(&w->clock, cases[i].waited_us);
        if (cases[i].session != SESSION)
            w->effects->ops->session(w->effects, cases[i].session);
        assert_int_equal(leave(&w->http, 0), !cases[i].reason);
        reply(&w->http, 0, !cases[i].reason, cases[i].reason ? 0 : 201);
        if (cases[i].reason)
            assert_ended(w, n, PROVIDER_NOT_SENT, PROVIDER_CLASS_NONE, cases[i].reason);
        else
            assert_ended(w, n, PROVIDER_ACCEPTED, PROVIDER_CLASS_NONE, "");
        if (cases[i].session != SESSION)
            w->effects->ops->session(w->effects, SESSION + 100 + i);
        w->effects->ops->session(w->effects, SESSION + 10 + i);
    }
}

static void test_what_cannot_start(void **state)
{
    struct world *w = *state;
    struct answer answer;

    print_message("  what the wire cannot say is refused for good, and said at once\n");
    assert_false(is_readable(w));
    call(w, 1, 1, "");
    assert_true(is_readable(w));
    assert_ended(w, 1, PROVIDER_REJECTED, PROVIDER_CONTENT, "not_on_this_wire");
    assert_false(next(w, &answer));
    assert_false(is_readable(w));
    print_message("  a wire that nobody speaks, a lane that is not there: the account's fault\n");
    call(w, 2, 2, "hello");
    assert_ended(w, 2, PROVIDER_REJECTED, PROVIDER_ACCOUNT, "account_unusable");
    call(w, 3, 99, "hello");
    assert_ended(w, 3, PROVIDER_REJECTED, PROVIDER_ACCOUNT, "account_unusable");
    assert_int_equal(w->http.n, 0);
}

static void test_waiting_for_room(void **state)
{
    struct world *w = *state;

    print_message("  what finds no room waits, and starts when something ended\n");
    call(w, 1, 1, "a");
    call(w, 2, 1, "b");
    call(w, 3, 1, "c");
    call(w, 4, 1, "d");
    assert_int_equal(w->http.n, 2);
    assert_true(leave(&w->http, 0));
    reply(&w->http, 0, true, 201);
    assert_ended(w, 1, PROVIDER_ACCEPTED, PROVIDER_CLASS_NONE, "");
    assert_int_equal(w->http.n, 2);
    print_message("  what waited too long does not start any more\n");
    th_virtual_clock_advance(&w->clock, WINDOW);
    assert_false(leave(&w->http, 0));
    reply(&w->http, 0, false, 0);
    assert_ended(w, 2, PROVIDER_NOT_SENT, PROVIDER_CLASS_NONE, "permit");
    assert_ended(w, 4, PROVIDER_NOT_SENT, PROVIDER_CLASS_NONE, "permit");
    assert_false(leave(&w->http, 0));
    reply(&w->http, 0, false, 0);
    assert_ended(w, 3, PROVIDER_NOT_SENT, PROVIDER_CLASS_NONE, "permit");
}

static void test_a_lost_answer(void **state)
{
    struct world *w = *state;
    struct answer answer;

    print_message("  a lost answer is unknown, and its excerpt shows no number\n");
    call(w, 1, 1, "hello");
    assert_true(leave(&w->http, 0));
    reply(&w->http, 0, true, 500);
    assert_true(next(w, &answer));
    assert_int_equal(answer.as.call_ended.outcome.result, PROVIDER_UNKNOWN);
    assert_int_equal(answer.as.call_ended.http_status, 500);
    assert_null(
        memmem(answer.as.call_ended.excerpt.p, answer.as.call_ended.excerpt.n, "12345678", 8));
    assert_non_null(
        memmem(answer.as.call_ended.excerpt.p, answer.as.call_ended.excerpt.n, "sid", 3));
}

static void test_lookups(void **state)
{
    struct world *w = *state;
    struct effect effect = {.type = EFFECT_LOOKUP,
                            .as.lookup = {.attempt = {.send = {.b = {9}}, .n = 1},
                                          .lane = 1,
                                          .provider_id = TH_STR("X")}};
    struct answer answer;

    print_message("  one by id waits for others, but not for ever\n");
    w->effects->ops->run(w->effects, &effect, th_clock_boottime_us(&w->clock.clock));
    assert_false(next(w, &answer));
    assert_int_equal(w->http.n, 0);
    th_virtual_clock_advance(&w->clock, LOOKUP_WAIT);
    assert_false(next(w, &answer));
    print_message("  a look-up asks nobody's permission\n");
    assert_true(w->http.started[0].is_lookup);
    reply(&w->http, 0, true, 404);
    assert_true(next(w, &answer));
    assert_int_equal(answer.type, ANSWER_LOOKUP_ENDED);
    assert_int_equal(answer.as.lookup_ended.lookup.result, PROVIDER_ABSENT);
    print_message("  without an id, on a wire that cannot search, it is refused\n");
    effect.as.lookup.provider_id = TH_STR("");
    w->effects->ops->run(w->effects, &effect, th_clock_boottime_us(&w->clock.clock));
    assert_true(next(w, &answer));
    assert_int_equal(answer.as.lookup_ended.lookup.result, PROVIDER_ASK_REFUSED);
}

static void look_up(struct world *w, int32_t n, const char *provider_id)
{
    struct effect effect = {
        .type = EFFECT_LOOKUP,
        .as.lookup = {.attempt = {.send = {.b = {9}}, .n = n},
                      .lane = 1,
                      .channel = CHANNEL_SMS,
                      .provider_id = th_str(provider_id),
                      .started_us = th_clock_realtime_us(&w->clock.clock)},
    };

    w->effects->ops->run(w->effects, &effect, th_clock_boottime_us(&w->clock.clock));
}

#define MANY 10

static const char *const many[MANY] = {"A", "B", "C", "D", "E", "F", "G", "H", "I", "J"};

/* MANY calls leave, and MANY look-ups are waiting for their time. */
static void gather_many(struct world *w, int32_t calls)
{
    for (int32_t n = 0; n < calls; n++) {
        call(w, n, 1, "hello");
        assert_true(leave(&w->http, 0));
        reply(&w->http, 0, true, 201);
        assert_ended(w, n, PROVIDER_ACCEPTED, PROVIDER_CLASS_NONE, "");
    }
    for (int32_t n = 0; n < MANY; n++)
        look_up(w, n, many[n]);
    assert_int_equal(w->http.n, 0);
    th_virtual_clock_advance(&w->clock, LOOKUP_WAIT);
}

static void assert_looked_up(struct world *w, int32_t n, enum provider_lookup_result result,
                             const char *id)
{
    struct answer answer;

    assert_true(next(w, &answer));
    assert_int_equal(answer.type, ANSWER_LOOKUP_ENDED);
    assert_int_equal(answer.as.lookup_ended.attempt.n, n);
    assert_int_equal(answer.as.lookup_ended.lookup.result, result);
    if (result == PROVIDER_FOUND)
        assert_str_equal(answer.as.lookup_ended.lookup.reports[0].provider_id, th_str(id));
}

static void test_many_are_asked_for_together(void **state)
{
    struct world *w = *state;
    struct answer answer;
    struct provider_report first[] = {
        {.provider_id = TH_STR("C"), .provider_code = TH_STR("30005")},
        {.provider_id = TH_STR("somebody else's")},
        {.provider_id = TH_STR("A")}};
    struct provider_report second[] = {{.provider_id = TH_STR("B")}, {.provider_id = TH_STR("A")}};

    gather_many(w, MANY);
    print_message("  as a list\n");
    assert_false(next(w, &answer));
    assert_int_equal(w->http.n, 1);
    assert_string_equal(w->http.url, "list ");
    print_message("  whose page answers those that stand on it\n");
    toy_page = (struct provider_page){PROVIDER_FOUND, first, TH_LEN(first), TH_STR("2")};
    reply(&w->http, 0, true, 200);
    assert_true(next(w, &answer));
    assert_int_equal(answer.as.lookup_ended.attempt.n, 2);
    assert_str_equal(answer.as.lookup_ended.lookup.reports[0].provider_code, TH_STR("30005"));
    assert_looked_up(w, 0, PROVIDER_FOUND, "A");
    print_message("  and names the next\n");
    assert_string_equal(w->http.url, "list 2");
    toy_page = (struct provider_page){PROVIDER_FOUND, second, TH_LEN(second), TH_STR("")};
    reply(&w->http, 0, true, 200);
    assert_looked_up(w, 1, PROVIDER_FOUND, "B");
    print_message("  whom no page names is asked for alone\n");
    for (int32_t n = 3; n < MANY; n++) {
        reply(&w->http, 0, true, 404);
        assert_true(next(w, &answer));
        assert_int_equal(answer.as.lookup_ended.lookup.result, PROVIDER_ABSENT);
    }
    assert_false(next(w, &answer));
    assert_int_equal(w->http.n, 0);
}

static void test_no_list(void **state)
{
    struct world *w = *state;
    struct answer answer;

    print_message("  a list that cannot be read: all are asked for again, later\n");
    gather_many(w, 1);
    assert_false(next(w, &answer));
    reply(&w->http, 0, true, 503);
    for (int32_t n = 0; n < MANY; n++)
        assert_looked_up(w, n, PROVIDER_ASK_AGAIN, "");
    assert_int_equal(w->http.n, 0);
    print_message("  too much else was sent meanwhile: one by one\n");
    gather_many(w, 5 * MANY);
    assert_false(next(w, &answer));
    assert_int_equal(w->http.n, 2);
    assert_string_equal(w->http.url, "B");
}

#define TOO_MANY 6000

/* Those that came last are told so at once; the others wait for the list. */
static void test_too_many_lookups_are_put_off(void **state)
{
    struct world *w = *state;
    struct answer answer;
    int32_t put_off_n = 0;

    for (int32_t n = 0; n < TOO_MANY; n++)
        look_up(w, n, "A");
    while (next(w, &answer)) {
        assert_true(answer.as.lookup_ended.is_put_off);
        assert_int_equal(answer.as.lookup_ended.lookup.result, PROVIDER_ASK_AGAIN);
        put_off_n++;
        assert_true(answer.as.lookup_ended.attempt.n >= TOO_MANY / 2);
    }
    assert_in_range(put_off_n, 1, TOO_MANY / 2);
    print_message("  a list that cannot be read puts nobody off\n");
    reply(&w->http, 0, true, 503);
    assert_true(next(w, &answer));
    assert_int_equal(answer.as.lookup_ended.lookup.result, PROVIDER_ASK_AGAIN);
    assert_false(answer.as.lookup_ended.is_put_off);
}

static void test_no_journal_no_send(void **state)
{
    struct world *w = *state;
    char command[128];

    print_message("  a session whose journal could not be made sends nothing\n");
    snprintf(command, sizeof command, "rm -rf %s", w->journal);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): the path is ours */
    w->effects->ops->session(w->effects, SESSION + 1);
    call(w, 1, 1, "hello");
    assert_false(leave(&w->http, 0));
    reply(&w->http, 0, false, 0);
    assert_ended(w, 1, PROVIDER_NOT_SENT, PROVIDER_CLASS_NONE, "journal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_leaves_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_last_check, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting_for_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_lost_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lookups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_are_asked_for_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_lookups_are_put_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_journal_no_send, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
