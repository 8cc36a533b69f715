/* The gateway on the Postgres log, whose backends die under 64 connections: every send that was
 * accepted is on the log exactly once, and a repeat gives the same id. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/gateway_world.h"
#include "tests/integration/log_cluster.h"
#include "tests/unit/test.h"

#define CONNECTIONS 64
#define PER_THREAD  25
#define KILLS       6
#define TRIES       400

static struct log_cluster logs;
static struct world world;

static int start(void **unused)
{
    struct world_options options = world_options_default();
    struct th_err err = {0};

    (void)unused;
    log_cluster_start(&logs);
    log_cluster_make(&logs, 4);
    const struct pg_log_config config = log_cluster_config(&logs);
    if (pg_log_open(&config, &options.log, &err) != TH_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    world_start(&world, &options);
    return 0;
}

static int stop(void **unused)
{
    struct th_log *log = world.log;

    (void)unused;
    world_stop(&world);
    th_log_close(log);
    log_cluster_stop(&logs);
    return 0;
}

struct sender {
    pthread_t thread;
    int number;
    int refused; /* answers that were no acceptance */
    int accepted;
    char ids[PER_THREAD][40];
};

static atomic_int failures; /* ids that changed, sends that were never accepted */

/* Until it is accepted, with the same key. */
static void send_one(struct sender *sender, int i)
{
    char idem[32];
    const struct call call = {
        "POST", "/api/v1/sends", world.key, idem,
        .body = "{\"channel\":\"sms\",\"to\":\"+919876543210\",\"text\":\"Hello\"}"};

    (void)snprintf(idem, sizeof idem, "key-%d-%d", sender->number, i);
    for (int tries = 0; tries < TRIES; tries++) {
        struct http_answer answer = world_call(&world, &call);
        bool is_accepted = answer.status == 202 || answer.status == 200;
        if (is_accepted)
            (void)snprintf(sender->ids[i], 40, "%s", answer_member(&answer, "id"));
        answer_free(&answer);
        if (is_accepted) {
            sender->accepted++;
            return;
        }
        sender->refused++;
        (void)usleep(20000);
    }
    atomic_fetch_add(&failures, 1);
}

static void *send_all(void *arg)
{
    struct sender *sender = arg;

    for (int i = 0; i < PER_THREAD; i++)
        send_one(sender, i);
    return NULL;
}

struct tally {
    struct sender *senders;
    int found[CONNECTIONS][PER_THREAD];
    size_t all;
};

static void tally_one(void *arg, const struct event *event, const struct log_record *record)
{
    struct tally *tally = arg;
    char id[TH_ID_TEXT_LEN + 1];

    (void)record;
    tally->all++;
    th_id_text(event->as.send_requested.send, id);
    for (int s = 0; s < CONNECTIONS; s++)
        for (int i = 0; i < PER_THREAD; i++)
            tally->found[s][i] += strcmp(tally->senders[s].ids[i], id) == 0;
}

static int kill_backends(void)
{
    static const struct pg_statement sql = {
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"};

    return (int)log_cluster_admin(&logs, &sql, NULL);
}

static void test_backends_die(void **unused)
{
    static struct sender senders[CONNECTIONS];
    static struct tally tally = {.senders = senders};
    int killed = 0;
    int refused = 0;

    (void)unused;
    for (int i = 0; i < CONNECTIONS; i++) {
        senders[i].number = i;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    for (int i = 0; i < KILLS; i++) {
        (void)usleep(60000);
        killed += kill_backends();
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        (void)pthread_join(senders[i].thread, NULL);
        refused += senders[i].refused;
    }
    print_message("  %d backends died, %d answers were no acceptance\n", killed, refused);
    assert_int_equal(failures, 0);
    assert_true(killed > 0);
    log_events(world.log, TOPIC_SEND_REQUESTS, tally_one, &tally);
    assert_int_equal(tally.all, CONNECTIONS * PER_THREAD);
    for (int s = 0; s < CONNECTIONS; s++)
        for (int i = 0; i < PER_THREAD; i++)
            assert_int_equal(tally.found[s][i], 1);
    print_message("  the same key once more: the same id\n");
    for (int s = 0; s < CONNECTIONS; s++) {
        char before[40];
        (void)snprintf(before, sizeof before, "%s", senders[s].ids[0]);
        send_one(&senders[s], 0);
        assert_string_equal(senders[s].ids[0], before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backends_die),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
