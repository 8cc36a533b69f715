/* The real telehub-sandbox: asked over HTTP, reporting to a receiver, killed and restarted. */
#include "tests/unit/test.h"

#include "connectors/sandbox/signature.h"
#include "tests/integration/sandbox_peer.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct sandbox sandbox;
static struct receiver *receiver;

static const char *const quick[] = {
    "--latency-ms", "0-5", "--callback-delay-ms", "20-60", "--price-delay-ms", "0", NULL};

static int set_up(void **unused)
{
    (void)unused;
    sandbox_prepare(&sandbox);
    receiver = receiver_open(0);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    sandbox_remove(&sandbox);
    receiver_close(receiver);
    receiver = NULL;
    return 0;
}

static void pause_ms(int ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

    (void)nanosleep(&time, NULL);
}

static void say_sms(const char *to, const char *tag, char out_form[512])
{
    (void)snprintf(out_form, 512,
                   "To=%%2B%s&From=%%2B14155550100&Body=hello&StatusCallback="
                   "http%%3A%%2F%%2F127.0.0.1%%3A%u%%2Fcb%%3Fattempt%%3D%s",
                   to, receiver_port(receiver), tag);
}

/* Send a message; the status of the answer, its sid ("" if none) and its error code. */
static long send_sms(const char *to, const char *tag, char out_sid[40], int *out_code)
{
    char form[512];
    struct answer answer;

    say_sms(to, tag, form);
    sandbox_ask(&sandbox, "@/Messages.json", form, &answer);
    json_t *json = json_loads(answer.body.p, 0, NULL);
    const char *sid = json_string_value(json_object_get(json, "sid"));
    if (out_sid)
        (void)snprintf(out_sid, 40, "%s", sid ? sid : "");
    if (out_code)
        *out_code = (int)json_integer_value(json_object_get(json, "code"));
    json_decref(json);
    answer_fini(&answer);
    return answer.status;
}

static json_t *ask_json(const char *path, const char *form)
{
    struct answer answer;

    sandbox_ask(&sandbox, path, form, &answer);
    assert_int_equal(answer.status, 200);
    json_t *json = json_loads(answer.body.p, 0, NULL);
    assert_non_null(json);
    answer_fini(&answer);
    return json;
}

static json_int_t summary_of(const char *query, const char *name)
{
    char path[160];

    (void)snprintf(path, sizeof path, "/ledger/summary%s", query);
    json_t *json = ask_json(path, NULL);
    json_t *callbacks = json_object_get(json, "callbacks");
    json_t *value = json_object_get(json, name);
    json_int_t n = json_integer_value(value ? value : json_object_get(callbacks, name));
    json_decref(json);
    return n;
}

static void test_a_message_lives(void **unused)
{
    char sid[40];
    char path[96];

    (void)unused;
    sandbox_start(&sandbox, quick);
    assert_int_equal(send_sms("919876543210", "s1", sid, NULL), 201);
    assert_int_equal(receiver_wait(receiver, 2, 5000), 2);

    struct callback first = receiver_at(receiver, 0);
    struct callback second = receiver_at(receiver, 1);
    assert_string_equal(first.status, "sent");
    assert_string_equal(second.status, "delivered");
    assert_string_equal(first.sid, sid);
    assert_string_equal(second.target, "/cb?attempt=s1");
    assert_true(first.is_signed && second.is_signed);

    (void)snprintf(path, sizeof path, "@/Messages/%s.json", sid);
    json_t *json = ask_json(path, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "status")), "delivered");
    assert_string_equal(json_string_value(json_object_get(json, "price")), "-0.00250");
    assert_string_equal(json_string_value(json_object_get(json, "body")), "hello");
    json_decref(json);

    json = ask_json("@/Balance.json", NULL);
    assert_string_equal(json_string_value(json_object_get(json, "balance")), "9999.99750");
    json_decref(json);
}

static void test_a_call_lives(void **unused)
{
    static const char *const statuses[] = {"initiated", "ringing", "in-progress", "completed"};
    char form[512];
    struct answer answer;

    (void)unused;
    sandbox_start(&sandbox, quick);
    (void)snprintf(form, sizeof form,
                   "To=%%2B919876543210&From=%%2B14155550100&Twiml=%%3CResponse%%3E%%3CSay%%3Ehi"
                   "%%3C%%2FSay%%3E%%3C%%2FResponse%%3E&StatusCallback=http%%3A%%2F%%2F127.0.0.1"
                   "%%3A%u%%2Fcall&StatusCallbackEvent=initiated&StatusCallbackEvent=ringing"
                   "&StatusCallbackEvent=answered&StatusCallbackEvent=completed",
                   receiver_port(receiver));
    sandbox_ask(&sandbox, "@/Calls.json", form, &answer);
    assert_int_equal(answer.status, 201);
    answer_fini(&answer);
    assert_int_equal(receiver_wait(receiver, 4, 5000), 4);
    for (int i = 0; i < 4; i++) {
        struct callback callback = receiver_at(receiver, (size_t)i);
        assert_int_equal(callback.sequence, i);
        assert_string_equal(callback.status, statuses[i]);
        assert_true(callback.is_signed);
    }
}

static void test_magic_numbers_answer(void **unused)
{
    static const struct {
        const char *says;
        const char *to;
        long status; /* 0: the connection is dropped */
        int code;
        int executed;
    } cases[] = {
        {"invalid", "919855500011", 400, 21211, 0},
        {"unsubscribed", "919855500010", 400, 21610, 0},
        {"no mobile", "919855500014", 400, 21614, 0},
        {"429", "919855500029", 429, 20429, 0},
        {"500 before executing", "919855500050", 500, 20500, 0},
        {"500 after executing", "919855500051", 500, 20500, 1},
        {"dropped before executing", "919855500061", 0, 0, 0},
        {"dropped after executing", "919855500062", 0, 0, 1},
        {"dropped on the first try only: first", "919855500161", 0, 0, 0},
        {"dropped on the first try only: second", "919855500161", 201, 0, 1},
        {"Twilio's own invalid number", "15005550001", 400, 21211, 0},
    };

    (void)unused;
    sandbox_start(&sandbox, quick);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int code = 0;
        json_int_t before = summary_of("", "executions");

        print_message("  %s\n", cases[i].says);
        assert_int_equal(send_sms(cases[i].to, "m", NULL, &code), cases[i].status);
        assert_int_equal(code, cases[i].code);
        assert_int_equal(summary_of("", "executions") - before, cases[i].executed);
    }

    char form[512];
    struct answer answer;
    say_sms("919855500030", "m", form);
    sandbox_ask(&sandbox, "@/Messages.json", form, &answer);
    assert_int_equal(answer.status, 429);
    assert_int_equal(answer.retry_after, 1);
    answer_fini(&answer);
}

static void test_magic_numbers_report(void **unused)
{
    static const struct {
        const char *says;
        const char *to;
        const char *statuses[4];
    } cases[] = {
        {"duplicated", "919855500070", {"sent", "sent", "delivered", "delivered"}},
        {"late", "919855500071", {"sent", "delivered"}},
        {"reordered", "919855500072", {"delivered", "sent"}},
        {"undelivered", "919855500003", {"sent", "undelivered"}},
        {"failed", "919855500009", {"failed"}},
    };
    static const char *const options[] = {
        "--latency-ms", "0", "--callback-delay-ms", "200", "--late-ms", "300", NULL};
    size_t seen = 0;

    (void)unused;
    sandbox_start(&sandbox, options);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        size_t n = 0;

        print_message("  %s\n", cases[i].says);
        while (n < 4 && cases[i].statuses[n])
            n++;
        assert_int_equal(send_sms(cases[i].to, "r", NULL, NULL), 201);
        assert_int_equal(receiver_wait(receiver, seen + n, 5000), seen + n);
        for (size_t k = 0; k < n; k++)
            assert_string_equal(receiver_at(receiver, seen + k).status, cases[i].statuses[k]);
        seen += n;
    }
    print_message("  none at all\n");
    assert_int_equal(send_sms("919855500073", "r", NULL, NULL), 201);
    pause_ms(600);
    assert_int_equal(receiver_wait(receiver, seen, 1), seen);
    assert_int_equal(summary_of("", "pending"), 0);
}

/* An answer is due, and the journal gets durable, in every order and at every moment of the loop;
 * a client that is alone has nobody whose request would wake it. */
static void test_one_after_the_other(void **unused)
{
    static const char *const options[] = {
        "--latency-ms", "4-6", "--callback-delay-ms", "60000", "--price-delay-ms", "0", NULL};

    (void)unused;
    sandbox_start(&sandbox, options);
    for (int i = 0; i < 200; i++)
        assert_int_equal(send_sms("919876543210", "o", NULL, NULL), 201);
}

static void test_lists_find_by_recipient(void **unused)
{
    (void)unused;
    sandbox_start(&sandbox, quick);
    for (int i = 0; i < 5; i++)
        assert_int_equal(send_sms(i % 2 ? "919876543210" : "919876543211", "l", NULL, NULL), 201);

    json_t *json = ask_json("@/Messages.json?To=%2B919876543211&PageSize=2", NULL);
    assert_int_equal(json_array_size(json_object_get(json, "messages")), 2);
    const char *next = json_string_value(json_object_get(json, "next_page_uri"));
    assert_non_null(next);
    char path[256];
    (void)snprintf(path, sizeof path, "@%s", next + strlen("/2010-04-01/Accounts/" PEER_ACCOUNT));
    json_decref(json);
    json = ask_json(path, NULL);
    assert_int_equal(json_array_size(json_object_get(json, "messages")), 1);
    assert_true(json_is_null(json_object_get(json, "next_page_uri")));
    json_decref(json);

    json = ask_json("@/Messages.json?From=%2B14155550100&DateSent%3E=2026-01-01", NULL);
    assert_int_equal(json_array_size(json_object_get(json, "messages")), 5);
    json_decref(json);
    json = ask_json("@/Messages.json?DateSent%3C=2020-01-01", NULL);
    assert_int_equal(json_array_size(json_object_get(json, "messages")), 0);
    json_decref(json);
    json = ask_json("@/Calls.json", NULL);
    assert_int_equal(json_array_size(json_object_get(json, "calls")), 0);
    json_decref(json);
}

static void test_strangers_are_refused(void **unused)
{
    static const struct {
        const char *path;
        const char *form;
        long status;
    } cases[] = {
        {"/2010-04-01/Accounts/" PEER_ACCOUNT "/Messages.json", "To=%2B919876543210", 401},
        {"/2010-04-01/Accounts/AC00000000000000000000000000000002.json", NULL, 401},
        {"@/Messages/SM00000000000000000000000000000001.json", NULL, 404},
        {"@/Nothing.json", NULL, 404},
        {"/nothing", NULL, 404},
        {"/control", "not json", 400},
        {"/control", "{\"rates\":\"busy=1\",\"colour\":\"red\"}", 400},
        {"/ledger?format=xml", NULL, 400},
        {"/ledger", "x=1", 405},
    };

    (void)unused;
    sandbox_start(&sandbox, quick);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct answer answer;

        print_message("  %s\n", cases[i].path);
        sandbox_ask(&sandbox, cases[i].path, cases[i].form, &answer);
        assert_int_equal(answer.status, cases[i].status);
        answer_fini(&answer);
    }
    json_t *settings = ask_json("/control", NULL);
    assert_string_equal(json_string_value(json_object_get(settings, "rates")), "");
    json_decref(settings);
}

static void test_a_gateway_that_was_down_hears_it_later(void **unused)
{
    (void)unused;
    sandbox_start(&sandbox, quick);
    receiver_answer(receiver, 503);
    assert_int_equal(send_sms("919876543210", "d", NULL, NULL), 201);
    for (int i = 0; i < 200 && receiver_refused(receiver) < 2; i++)
        pause_ms(10);
    assert_int_equal(receiver_refused(receiver), 2);
    receiver_answer(receiver, 200);
    assert_int_equal(receiver_wait(receiver, 2, 5000), 2);

    json_t *settings = ask_json("/control", "{\"callback_retries\":0}");
    json_decref(settings);
    receiver_answer(receiver, 500);
    assert_int_equal(send_sms("919876543211", "d", NULL, NULL), 201);
    for (int i = 0; i < 200 && summary_of("", "gone") < 2; i++)
        pause_ms(10);
    assert_int_equal(summary_of("", "gone"), 2);
    assert_int_equal(summary_of("", "delivered"), 2);
}

static void test_a_gateway_that_restarts_loses_nothing(void **unused)
{
    unsigned port = receiver_port(receiver);

    (void)unused;
    sandbox_start(&sandbox, quick);
    assert_int_equal(send_sms("919876543210", "g1", NULL, NULL), 201);
    assert_int_equal(receiver_wait(receiver, 2, 5000), 2);
    receiver_close(receiver); /* the kept connections die with it */
    receiver = receiver_open(port);
    assert_int_equal(send_sms("919876543211", "g2", NULL, NULL), 201);
    assert_int_equal(receiver_wait(receiver, 2, 5000), 2);

    receiver_close(receiver);
    receiver = NULL;
    char form[512];
    struct answer answer;
    (void)snprintf(form, sizeof form,
                   "To=%%2B919876543212&From=%%2B14155550100&Body=x&StatusCallback="
                   "http%%3A%%2F%%2F127.0.0.1%%3A%u%%2Fcb",
                   port);
    sandbox_ask(&sandbox, "@/Messages.json", form, &answer);
    assert_int_equal(answer.status, 201);
    answer_fini(&answer);
    pause_ms(200); /* refused by now */
    receiver = receiver_open(port);
    assert_int_equal(receiver_wait(receiver, 2, 8000), 2);
    assert_int_equal(summary_of("", "delivered"), 6);
}

static void test_a_host_name_goes_by_libcurl(void **unused)
{
    char form[512];
    struct answer answer;

    (void)unused;
    sandbox_start(&sandbox, quick);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(form, sizeof form,
                       "To=%%2B91987654321%d&From=%%2B14155550100&Body=x&StatusCallback="
                       "http%%3A%%2F%%2Flocalhost%%3A%u%%2Fcb%%3Fa%%3D1",
                       i, receiver_port(receiver));
        sandbox_ask(&sandbox, "@/Messages.json", form, &answer);
        assert_int_equal(answer.status, 201);
        answer_fini(&answer);
    }
    assert_int_equal(receiver_wait(receiver, 10, 5000), 10);
    for (size_t i = 0; i < 10; i++)
        assert_true(receiver_at(receiver, i).is_signed);
}

/* Everybody's fate, as text, of the numbers from…from+n, asked in steps of stride. */
static void fates(unsigned n, unsigned stride, struct th_buf *out)
{
    long *statuses = calloc(n, sizeof *statuses);
    int *codes = calloc(n, sizeof *codes);

    assert_non_null(statuses);
    assert_non_null(codes);
    for (unsigned k = 0; k < n; k++) {
        unsigned i = k * stride % n;
        char to[16];
        (void)snprintf(to, sizeof to, "9190000%05u", i);
        statuses[i] = send_sms(to, "f", NULL, &codes[i]);
    }
    for (unsigned i = 0; i < n; i++)
        th_buf_printf(out, "%ld/%d ", statuses[i], codes[i]);
    free(statuses);
    free(codes);
}

static void test_a_run_repeats_itself(void **unused)
{
    static const char *const options[] = {
        "--seed", "42",      "--latency-ms",
        "0",      "--rates", "http_429=10,http_500_after=10,drop_before=10,invalid=20",
        NULL};
    TH_AUTO(th_buf) struct th_buf once = {0};
    TH_AUTO(th_buf) struct th_buf again = {0};

    (void)unused;
    sandbox_start(&sandbox, options);
    fates(101, 1, &once);
    sandbox_remove(&sandbox);
    sandbox_prepare(&sandbox);
    sandbox_start(&sandbox, options);
    fates(101, 37, &again); /* another order of arrival */
    assert_str_equal(th_buf_str(&once), th_buf_str(&again));
    assert_non_null(memmem(once.p, once.n, "429/20429", 9));
    assert_non_null(memmem(once.p, once.n, "201/0", 5));
}

/* Clients that send until they are told to stop, and keep the sids they were promised. */
#define CLIENTS  8
#define SIDS_MAX 4000

struct client {
    pthread_t thread;
    unsigned index;
    size_t n;
    size_t sent;
    char sids[SIDS_MAX][40];
};

static atomic_bool is_over;

static void *client_run(void *arg)
{
    struct client *client = arg;

    while (!atomic_load(&is_over) && client->n < SIDS_MAX) {
        char to[16];
        (void)snprintf(to, sizeof to, "9190%02u%06zu", client->index, client->sent++);
        if (send_sms(to, "k", client->sids[client->n], NULL) == 201)
            client->n++;
        else
            pause_ms(5); /* it has just been killed */
    }
    return NULL;
}

/* Every sid that a client was promised is in the ledger; then they are only a part of it. */
static void check_ledger(const struct client *clients)
{
    struct answer answer;
    size_t promised = 0;

    sandbox_ask(&sandbox, "/ledger", NULL, &answer);
    assert_int_equal(answer.status, 200);
    for (size_t c = 0; c < CLIENTS; c++)
        for (size_t i = 0; i < clients[c].n; i++, promised++)
            if (!strstr(answer.body.p, clients[c].sids[i]))
                fail_msg("%s was promised and is lost", clients[c].sids[i]);
    answer_fini(&answer);
    assert_in_range(promised, 100, summary_of("", "executions"));
    print_message("  %zu promised, %" JSON_INTEGER_FORMAT " executed\n", promised,
                  summary_of("", "executions"));
}

static void test_kill_forgets_nothing(void **unused)
{
    static const char *const options[] = {"--latency-ms", "0-30", "--callback-delay-ms", "50-400",
                                          NULL};
    struct client *clients = calloc(CLIENTS, sizeof *clients);

    (void)unused;
    assert_non_null(clients);
    atomic_store(&is_over, false);
    sandbox_start(&sandbox, options);
    for (unsigned c = 0; c < CLIENTS; c++) {
        clients[c].index = c;
        assert_int_equal(pthread_create(&clients[c].thread, NULL, client_run, &clients[c]), 0);
    }
    for (int kills = 0; kills < 4; kills++) {
        pause_ms(350);
        assert_int_equal(sandbox_stop(&sandbox, SIGKILL), -1);
        sandbox_start(&sandbox, options);
    }
    pause_ms(200);
    atomic_store(&is_over, true);
    for (unsigned c = 0; c < CLIENTS; c++)
        assert_int_equal(pthread_join(clients[c].thread, NULL), 0);

    check_ledger(clients);
    for (int i = 0; i < 1000 && summary_of("", "pending") > 0; i++)
        pause_ms(10);
    assert_int_equal(summary_of("", "pending"), 0);
    assert_int_equal(summary_of("", "ended"), summary_of("", "executions"));
    assert_int_equal(summary_of("", "gone"), 0);
    assert_int_equal(summary_of("", "recipients_executed_again"), 0);
    assert_int_equal(sandbox_stop(&sandbox, SIGTERM), 0);
    sandbox_start(&sandbox, options);
    assert_int_equal(summary_of("", "pending"), 0);
    check_ledger(clients);
    free(clients);
}

static void append_to_ledger(const char *bytes)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/ledger", sandbox.folder);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    assert_true(fputs(bytes, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_a_torn_line_is_cut_and_damage_is_told(void **unused)
{
    char path[128];

    (void)unused;
    sandbox_start(&sandbox, quick);
    assert_int_equal(send_sms("919876543210", "t", NULL, NULL), 201);
    assert_int_equal(sandbox_stop(&sandbox, SIGKILL), -1);
    append_to_ledger("E\t2\t17");
    sandbox_start(&sandbox, quick);
    assert_int_equal(summary_of("", "executions"), 1);
    assert_int_equal(send_sms("919876543211", "t", NULL, NULL), 201);
    assert_int_equal(summary_of("", "executions"), 2);
    assert_int_equal(sandbox_stop(&sandbox, SIGTERM), 0);

    (void)snprintf(path, sizeof path, "%s/ledger", sandbox.folder);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "#", 1, 100), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(sandbox_run(&sandbox, quick), 1);
}

static void test_campaigns_are_told_apart(void **unused)
{
    struct answer answer;
    char query[64];

    (void)unused;
    sandbox_start(&sandbox, quick);
    assert_int_equal(send_sms("919876543210", "red", NULL, NULL), 201);
    assert_int_equal(send_sms("919876543210", "blue", NULL, NULL), 201);
    pause_ms(5);
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    (void)snprintf(query, sizeof query, "?since_us=%" PRId64,
                   (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    assert_int_equal(send_sms("919876543212", "blue", NULL, NULL), 201);

    assert_int_equal(summary_of("", "executions"), 3);
    assert_int_equal(summary_of("", "recipients"), 2);
    assert_int_equal(summary_of("", "recipients_executed_again"), 1);
    assert_int_equal(summary_of("", "executions_per_60s_max"), 3);
    assert_int_equal(summary_of("?callback_contains=attempt%3Dblue", "executions"), 2);
    assert_int_equal(summary_of("?callback_contains=attempt%3Dblue", "recipients"), 2);
    assert_int_equal(summary_of("?callback_contains=attempt%3Dblue", "recipients_executed_again"),
                     0);
    assert_int_equal(summary_of(query, "executions"), 1);
    assert_int_equal(summary_of("?callback_contains=green", "executions"), 0);

    sandbox_ask(&sandbox, "/ledger?format=csv&callback_contains=red", NULL, &answer);
    assert_int_equal(answer.status, 200);
    size_t lines = 0;
    for (const char *p = answer.body.p; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 2);
    answer_fini(&answer);
}

static void test_control(void **unused)
{
    int code = 0;

    (void)unused;
    sandbox_start(&sandbox, quick);
    json_t *settings =
        ask_json("/control", "{\"rates\":\"invalid=100\",\"latency_ms\":3,\"currency\":\"INR\"}");
    assert_string_equal(json_string_value(json_object_get(settings, "latency_ms")), "3-3");
    json_decref(settings);
    assert_int_equal(send_sms("919876543210", "c", NULL, &code), 400);
    assert_int_equal(code, 21211);
    settings = ask_json("/control", "{\"rates\":\"\"}");
    json_decref(settings);
    char sid[40];
    char path[96];
    assert_int_equal(send_sms("919876543210", "c", sid, NULL), 201);
    (void)snprintf(path, sizeof path, "@/Messages/%s.json", sid);
    json_t *json = ask_json(path, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "price_unit")), "INR");
    json_decref(json);
}

static void test_wrong_use(void **unused)
{
    static const struct {
        const char *says;
        const char *options[5];
        int status;
    } cases[] = {
        {"an option that does not exist", {"--colour", "red"}, 2},
        {"a value that is none", {"--rates", "busy=101"}, 2},
        {"an address that everybody reaches", {"--listen", "0.0.0.0:0"}, 2},
        {"an account that is none", {"--account", "AC1"}, 2},
        {"a secret that is not there", {"--secret-file", "/nonexistent"}, 1},
        {"a ledger in no folder", {"--ledger", "/nonexistent/ledger"}, 1},
        {"help", {"--help"}, 0},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(sandbox_run(&sandbox, cases[i].options), cases[i].status);
    }

    print_message("  a ledger that another one has open\n");
    sandbox_start(&sandbox, quick);
    struct sandbox second = sandbox;
    second.port = 0;
    assert_int_equal(sandbox_run(&second, quick), 1);

    print_message("  another account's ledger\n");
    static const char *const other[] = {"--account", "AC00000000000000000000000000000002", NULL};
    assert_int_equal(sandbox_stop(&sandbox, SIGTERM), 0);
    assert_int_equal(sandbox_run(&sandbox, other), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_message_lives),
        TEST(test_a_call_lives),
        TEST(test_magic_numbers_answer),
        TEST(test_magic_numbers_report),
        TEST(test_one_after_the_other),
        TEST(test_lists_find_by_recipient),
        TEST(test_strangers_are_refused),
        TEST(test_a_gateway_that_was_down_hears_it_later),
        TEST(test_a_gateway_that_restarts_loses_nothing),
        TEST(test_a_host_name_goes_by_libcurl),
        TEST(test_a_run_repeats_itself),
        TEST(test_kill_forgets_nothing),
        TEST(test_a_torn_line_is_cut_and_damage_is_told),
        TEST(test_campaigns_are_told_apart),
        TEST(test_control),
        TEST(test_wrong_use),
    };

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
