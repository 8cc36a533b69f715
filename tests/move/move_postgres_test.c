/* From one database to another with a different number of partitions, killed at random moments. */
#include <stdio.h>

#include "connectors/postgres/pg_log.h"
#include "tests/integration/cluster.h"
#include "tests/move/killed.h"
#include "tests/move/story.h"
#include "tests/unit/test.h"

#define CHAPTERS     20
#define KILLS        8
#define LIFE_MS      10
#define CONNINFO_MAX 512

static struct cluster *cluster;
static char source[CONNINFO_MAX];

static enum th_code open_at(void *conninfo, struct th_log **out_log, struct th_err *err)
{
    const struct pg_log_config config = {.conninfo = conninfo, .is_guest = true};

    return pg_log_open(&config, out_log, err);
}

static struct th_log *opened(char *conninfo)
{
    struct th_log *log = NULL;
    struct th_err err = {0};

    if (open_at(conninfo, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

static void make(char *conninfo, int partitions)
{
    struct th_err err = {0};
    int applied;

    if (pg_log_upgrade(conninfo, &applied, &err) != TH_OK ||
        pg_log_create(conninfo, partitions, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static int write_source(void **unused)
{
    (void)unused;
    snprintf(source, sizeof source, "%s", cluster_conninfo(cluster));
    make(source, 4);
    struct th_log *log = opened(source);
    story_write(log, CHAPTERS);
    th_log_close(log);
    return 0;
}

static void test_a_copy_that_is_killed_goes_on(void **unused)
{
    (void)unused;
    static const int partitions[] = {7, 4};
    char from_here[CONNINFO_MAX];

    snprintf(from_here, sizeof from_here, "%s", source);
    for (size_t i = 0; i < TH_LEN(partitions); i++) {
        char target[CONNINFO_MAX], name[32];

        print_message("  to %d partitions\n", partitions[i]);
        snprintf(name, sizeof name, "copy%zu", i);
        cluster_database(cluster, name, target);
        make(target, partitions[i]);
        const struct killed_copy copy = {.source = open_at,
                                         .source_arg = from_here,
                                         .target = open_at,
                                         .target_arg = target,
                                         .slots = STORY_SLOTS,
                                         .kills = KILLS,
                                         .life_ms = LIFE_MS,
                                         .seed = (unsigned)i + 1};
        killed_copy_run(&copy);
        struct th_log *from = opened(from_here);
        struct th_log *to = opened(target);
        story_is_copied(from, to, STORY_SLOTS);
        th_log_close(to);
        th_log_close(from);
        snprintf(from_here, sizeof from_here, "%s", target); /* what was copied is another's past */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_that_is_killed_goes_on),
    };

    cluster = cluster_start();
    int failed = cmocka_run_group_tests(tests, write_source, NULL);
    cluster_stop(cluster);
    return failed;
}
