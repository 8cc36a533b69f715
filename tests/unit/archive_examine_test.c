/* What the doctor says of an archive: fine, or what is wrong and what to do. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/eventlog/archive/archive_examine.h"
#include "common/eventlog/archive/archive_take.h"
#include "common/eventlog/memory_log.h"

#define RECORDS 40
#define NOW_US  (INT64_C(1790000000) * TH_US_PER_SEC)
#define PART    1
#define SEGMENT "send.events/1/00000000000000000000.seg"

/* What the world is like. */
enum deed {
    NOT_ARCHIVED = 1,
    TRIMMED = 2,
    EXPECTED = 4,      /* log_retention is set */
    MORE = 8,          /* records came since */
    OLD = 16,          /* since it was written three days have passed */
    OTHER_LOG = 32,    /* is looked at with this archive */
    MANIFEST_HIT = 64, /* a byte of it is another */
    FILE_GONE = 128,
    FILE_SHORT = 256,
    GAP = 512,     /* the log begins behind the archive's end */
    SHRUNK = 1024, /* the log ends before it */
};

static const struct {
    const char *says;
    int deeds;
    enum finding finding;
    const char *check;
    const char *words; /* in its sentence */
} cases[] = {
    {"an archive that has everything", 0, FINDING_FINE, "archive reach",
     "written 0 h ago; has all of the log"},
    {"where it lies", 0, FINDING_FINE, "archive", "lies in /tmp/archive-examine."},
    {"its files", 0, FINDING_FINE, "archive files", "40 records, "},
    {"one whose log was trimmed", TRIMMED, FINDING_FINE, "archive reach", "has all of the log"},
    {"how far it is behind, and of what", MORE, FINDING_FINE, "archive reach",
     "records behind the log: send.events 2, dead.letters 1"},
    {"one that is old, and the log has more", MORE | OLD, FINDING_RISKY, "archive reach",
     "written 72 h ago; records behind the log: send.events 2, dead.letters 1: let telehub archive "
     "run"},
    {"one that is old, and nothing came since", OLD, FINDING_FINE, "archive reach",
     "written 72 h ago; has all"},
    {"none, and none is wanted", NOT_ARCHIVED, FINDING_FINE, "archive", "has everything"},
    {"none, and log_retention is set", NOT_ARCHIVED | EXPECTED, FINDING_RISKY, "archive",
     "run telehub archive"},
    {"none, and the log was trimmed", NOT_ARCHIVED | TRIMMED, FINDING_BAD, "archive",
     "set TELEHUB_ARCHIVE"},
    {"another log's", OTHER_LOG, FINDING_RISKY, "archive", "telehub archive refuses this one"},
    {"another log's, and this one was trimmed", OTHER_LOG | TRIMMED, FINDING_BAD, "archive",
     "where its own lies"},
    {"a manifest that is damaged", MANIFEST_HIT, FINDING_BAD, "archive", "MANIFEST: byte "},
    {"a file that is gone", FILE_GONE, FINDING_BAD, "archive files",
     "1 of 1 are not as they were written, the first: " SEGMENT ": No such file"},
    {"a file that is too short", FILE_SHORT, FINDING_BAD, "archive files", SEGMENT " has 9 "},
    {"something that is in neither", MORE | GAP, FINDING_BAD, "archive reach",
     "send.events/1: the log begins at 41 and its archive ends at 40"},
    {"a log that went backwards", SHRUNK, FINDING_BAD, "archive reach", "went backwards"},
    {"room", 0, FINDING_FINE, "archive disk", " MB free where /tmp/archive-examine."},
};

struct heard {
    const char *check;
    enum finding finding; /* of that check */
    char sentence[2048];
    int bad; /* of all */
    int n;
};

static void hear(void *arg, enum finding finding, const char *check, const char *sentence)
{
    struct heard *heard = arg;

    heard->n++;
    heard->bad += finding == FINDING_BAD;
    if (strcmp(check, heard->check) != 0)
        return;
    assert_int_equal(heard->sentence[0], 0); /* each is said once */
    heard->finding = finding;
    snprintf(heard->sentence, sizeof heard->sentence, "%s", sentence);
}

static struct th_log *make_log(int records, uint64_t seed)
{
    const struct memory_log_options options = {
        .partitions = 2, .bytes_max = 1 << 20, .clock = &th_clock_real, .seed = seed};
    const struct log_output output = {
        .topic = TOPIC_SEND_EVENTS, .part = PART, .key = TH_STR("t/a"), .value = TH_STR("v")};
    struct th_err err = {0};
    struct th_log *log;

    assert_int_equal(memory_log_new(&options, &log, &err), TH_OK);
    for (int i = 0; i < records; i++)
        assert_int_equal(th_log_append(log, &output, 1, NULL, &err), TH_OK);
    return log;
}

static void archive(struct th_log *log, const char *dir)
{
    struct archive_plan plan = {0};
    struct archive_taken taken;
    struct th_err err = {0};

    assert_int_equal(archive_take(log, dir, 0, &plan, &taken, &err), TH_OK);
}

static void append_more(struct th_log *log)
{
    const struct log_output output[] = {
        {.topic = TOPIC_SEND_EVENTS, .part = PART, .key = TH_STR("t/a"), .value = TH_STR("v")},
        {.topic = TOPIC_SEND_EVENTS, .part = 0, .key = TH_STR("t/b"), .value = TH_STR("v")},
        {.topic = TOPIC_DEAD_LETTERS, .part = 0, .key = TH_STR("t/b"), .value = TH_STR("v")},
    };
    struct th_err err = {0};

    assert_int_equal(th_log_append(log, output, 3, NULL, &err), TH_OK);
}

/* Whoever wrote it last did so hours before NOW_US. */
static void set_age(const char *dir, int64_t hours)
{
    const time_t then = (time_t)(NOW_US / TH_US_PER_SEC - hours * 3600);
    const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    char path[128];

    snprintf(path, sizeof path, "%s/MANIFEST", dir);
    (void)utimensat(AT_FDCWD, path, times, 0); /* not there: not archived */
}

static void spoil(const char *dir, int deeds)
{
    char command[256];

    if (deeds & MANIFEST_HIT)
        snprintf(command, sizeof command,
                 "printf X | dd of='%s/MANIFEST' bs=1 seek=30 conv=notrunc status=none", dir);
    else if (deeds & FILE_GONE)
        snprintf(command, sizeof command, "rm '%s/" SEGMENT "'", dir);
    else if (deeds & FILE_SHORT)
        snprintf(command, sizeof command, "truncate -s 9 '%s/" SEGMENT "'", dir);
    else
        return;
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder that we made */
}

static void play(const char *dir, int deeds, struct heard *heard)
{
    struct th_err err = {0};
    struct th_log *log = make_log(RECORDS, 5);
    struct log_place trim = {TOPIC_SEND_EVENTS, PART, deeds & GAP ? RECORDS + 1 : 30};

    if (!(deeds & NOT_ARCHIVED))
        archive(log, dir);
    if (deeds & MORE)
        append_more(log);
    if (deeds & GAP)
        append_more(log);
    if (deeds & (OTHER_LOG | SHRUNK)) {
        th_log_close(log);
        log = make_log(deeds & SHRUNK ? 3 : RECORDS, deeds & SHRUNK ? 5 : 6);
    }
    if (deeds & (TRIMMED | GAP))
        assert_int_equal(th_log_trim(log, &trim, 1, &err), TH_OK);
    set_age(dir, deeds & OLD ? 72 : 0);
    spoil(dir, deeds);
    const struct archive_examined examined = {
        .dir = dir, .log = log, .is_expected = (deeds & EXPECTED) != 0, .now_us = NOW_US};
    archive_examine(&examined, hear, heard);
    th_log_close(log);
}

static void test_what_is_said(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char dir[] = "/tmp/archive-examine.XXXXXX";
        struct heard heard = {.check = cases[i].check};
        char command[64];

        print_message("  %s\n", cases[i].says);
        assert_non_null(mkdtemp(dir));
        play(dir, cases[i].deeds, &heard);
        if (!strstr(heard.sentence, cases[i].words))
            fail_msg("%s: \"%s\"", cases[i].check, heard.sentence);
        if (strcmp(cases[i].check, "archive disk") != 0) /* that is this machine's */
            assert_int_equal(heard.finding, cases[i].finding);
        assert_int_equal(heard.bad, cases[i].finding == FINDING_BAD);
        snprintf(command, sizeof command, "rm -rf '%s'", dir);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder that we made */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_said)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
