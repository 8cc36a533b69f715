/* What was archived is what the log gave: bytes, headers, offsets, times; and the next run goes on.
 */
#include <string.h>

#include "common/eventlog/archive/archive_log.h"
#include "common/eventlog/archive/archive_take.h"
#include "common/eventlog/archive/archive_verify.h"
#include "tests/conformance/fixture.h"

#define MANY 300

/* A folder of the test's own. */
static const char *make_dir(struct fixture *f)
{
    char *dir = take(f, 1, 64);

    snprintf(dir, 64, "/tmp/archive-conformance.XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void remove_dir(const char *dir)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder that we made */
}

/* Keys and values of every kind, over several topics, in one call. */
static void append_some(struct fixture *f, const char *prefix)
{
    struct log_output *outputs = take(f, MANY, sizeof *outputs);
    char *large = take(f, 1, 300000);

    memset(large, 0xa5, 300000);
    for (size_t i = 0; i < MANY; i++)
        outputs[i] = i % 3 == 0
                         ? lane_output((int)(i % CONFORMANCE_PARTITIONS), numbered(f, prefix, i))
                         : keyed_output(numbered(f, "t", i % 17), numbered(f, prefix, i));
    outputs[1].value = (struct th_str){large, 300000};
    outputs[2].value = TH_STR("a NUL \0 and \xff\xfe bytes");
    outputs[4].key = TH_STR("t/\0\x80");
    outputs[5].headers = TH_STR("\4null\0\5empty\1\4null\3ab");
    outputs[6].headers = TH_STR("\1a\2b");
    SUCCEEDS(f, th_log_append(f->log, outputs, MANY, NULL, &f->err));
}

static struct archive_taken archive_all(struct fixture *f, const char *dir)
{
    struct archive_plan plan = {0};
    struct archive_taken taken;

    SUCCEEDS(f, archive_take(f->log, dir, 100000, &plan, &taken, &f->err));
    return taken;
}

static struct log_records read_from(struct fixture *f, struct th_log *log, struct log_place place)
{
    struct th_log_reader *reader;

    SUCCEEDS(f, th_log_reader_open(log, &place, 1, &reader, &f->err));
    struct log_records records = drain(f, reader, 100000);
    th_log_reader_close(reader);
    return records;
}

/* Everything, from every partition's beginning; how much that is. */
static size_t assert_same(struct fixture *f, struct th_log *a, struct th_log *b, bool has_offsets)
{
    size_t n = 0;

    for (int t = 0; t < TOPIC_COUNT; t++)
        for (int p = 0; p < th_log_partitions(a, (enum topic)t); p++) {
            struct log_place place = {(enum topic)t, p, 0};
            struct log_records in_a = read_from(f, a, place);
            struct log_records in_b = read_from(f, b, place);
            assert_int_equal(in_a.n, in_b.n);
            for (size_t i = 0; i < in_a.n; i++) {
                if (has_offsets)
                    assert_int_equal(in_a.at[i].place.offset, in_b.at[i].place.offset);
                assert_int_equal(in_a.at[i].at_us, in_b.at[i].at_us);
                assert_str_equal(in_a.at[i].key, in_b.at[i].key);
                assert_str_equal(in_a.at[i].value, in_b.at[i].value);
                assert_str_equal(in_a.at[i].headers, in_b.at[i].headers);
            }
            n += in_a.n;
        }
    return n;
}

static void assert_archived(struct fixture *f, const char *dir, size_t n)
{
    struct archive_totals totals;
    struct th_log *archive;

    SUCCEEDS(f, archive_verify(dir, NULL, NULL, &totals, &f->err));
    assert_int_equal(totals.records, n);
    SUCCEEDS(f, archive_log_open(dir, &archive, &f->err));
    assert_string_equal(th_log_id(archive), th_log_id(f->log));
    assert_int_equal(assert_same(f, f->log, archive, true), n);
    th_log_close(archive);
}

static void test_an_archive_is_what_the_log_gave(void **state)
{
    struct fixture *f = FIXTURE(state);
    const char *dir = make_dir(f);
    struct th_log_session *session = open_session(f, f->log);
    bool is_answered;

    append_some(f, "first");
    /* Transactions take numbers of their own on some logs. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(commit_small(f, session, "of a slot", i, &is_answered), LOG_COMMITTED);
    append_some(f, "second");
    assert_int_equal(archive_all(f, dir).records, 2 * MANY + 3);
    assert_archived(f, dir, 2 * MANY + 3);

    assert_int_equal(archive_all(f, dir).records, 0); /* it has everything */
    assert_int_equal(commit_small(f, session, "later", 9, &is_answered), LOG_COMMITTED);
    th_log_session_close(session, true);
    append_some(f, "third");
    assert_int_equal(archive_all(f, dir).records, MANY + 1);
    assert_archived(f, dir, 3 * MANY + 4);
    remove_dir(dir);
}

/* --- restoring ----------------------------------------------------------------------------------
 */

static void restore_some(struct fixture *f, struct th_log_session *session,
                         const struct log_records *records)
{
    struct log_output *outputs = take(f, records->n, sizeof *outputs);
    int64_t *at_us = take(f, records->n, sizeof *at_us);
    const struct log_cursor cursor = {.next = records->at[records->n - 1].place};
    bool is_answered;

    for (size_t i = 0; i < records->n; i++) {
        const struct log_record *record = &records->at[i];
        outputs[i] = (struct log_output){record->place.topic, record->place.part, record->key,
                                         record->value, record->headers};
        at_us[i] = record->at_us;
    }
    const struct log_txn txn = {outputs, records->n, &cursor, 1, at_us};
    SUCCEEDS(f, th_log_commit_start(session, &txn, &f->err));
    assert_int_equal(finish(session, NULL, &is_answered, &f->err), LOG_COMMITTED);
}

/* All that the archive has, into the log, which is empty. */
static void restore(struct fixture *f, struct th_log *archive)
{
    struct log_place from[TOPIC_COUNT * CONFORMANCE_PARTITIONS];
    struct th_log_session *session;
    struct th_log_reader *reader;
    struct log_records records;
    size_t n = 0;

    for (int t = 0; t < TOPIC_COUNT; t++)
        for (int p = 0; p < th_log_partitions(archive, (enum topic)t); p++)
            from[n++] = (struct log_place){(enum topic)t, p, 0};
    SUCCEEDS(f, th_log_session_open(f->log, LOG_APP_COPY, 0, &session, &f->err));
    SUCCEEDS(f, th_log_reader_open(archive, from, n, &reader, &f->err));
    for (;;) {
        SUCCEEDS(f, th_log_reader_read(reader, 100000, &f->arena, &records, &f->err));
        if (records.n == 0)
            break;
        restore_some(f, session, &records);
    }
    th_log_reader_close(reader);
    th_log_session_close(session, true);
}

/* The log is lost, and made again of its archive: another log, with the same bytes, in the same
 * order, of the same times; at the same offsets where the log numbers its records without gaps. */
static void test_an_archive_is_restored_into_a_new_log(void **state)
{
    struct fixture *f = FIXTURE(state);
    const char *dir = make_dir(f);
    struct th_log *archive;

    append_some(f, "first");
    append_some(f, "second");
    assert_int_equal(archive_all(f, dir).records, 2 * MANY);
    f->with->close(f->with->arg, f->log);
    f->with->destroy(f->with->arg);
    SUCCEEDS(f, f->with->create(f->with->arg, &f->err));
    SUCCEEDS(f, f->with->open(f->with->arg, &f->log, &f->err));
    SUCCEEDS(f, archive_log_open(dir, &archive, &f->err));
    restore(f, archive);
    assert_int_equal(assert_same(f, archive, f->log, !f->with->leaves_numbers_out), 2 * MANY);
    reopen(f);
    assert_int_equal(assert_same(f, archive, f->log, !f->with->leaves_numbers_out), 2 * MANY);
    th_log_close(archive);
    remove_dir(dir);
}

static void test_one_topic_is_archived_alone(void **state)
{
    struct fixture *f = FIXTURE(state);
    const char *dir = make_dir(f);
    struct archive_plan plan = {.topics = UINT32_C(1) << TOPIC_DISPATCH_ATTEMPTS};
    struct archive_taken taken;

    append_some(f, "a");
    SUCCEEDS(f, archive_take(f->log, dir, 0, &plan, &taken, &f->err));
    assert_int_equal(taken.records, MANY / 3);
    assert_int_equal(taken.offsets, taken.offsets_all);
    assert_int_equal(archive_all(f, dir).records, MANY - MANY / 3);
    assert_archived(f, dir, MANY);
    remove_dir(dir);
}

/* --- giving up what is archived -----------------------------------------------------------------
 */

static enum th_code read_at(struct fixture *f, struct log_place place, struct log_records *out)
{
    struct th_log_reader *reader;

    SUCCEEDS(f, th_log_reader_open(f->log, &place, 1, &reader, &f->err));
    enum th_code code = th_log_reader_read(reader, 100000, &f->arena, out, &f->err);
    th_log_reader_close(reader);
    return code;
}

static int64_t start_of(struct fixture *f, struct log_place place)
{
    int64_t start;

    SUCCEEDS(f, th_log_start(f->log, place.topic, place.part, &start, &f->err));
    return start;
}

static void append_one(struct fixture *f, const char *value)
{
    struct log_output output = lane_output(0, th_str(value));

    SUCCEEDS(f, th_log_append(f->log, &output, 1, NULL, &f->err));
}

/* What is before the place is not there, what follows is all there, and so it stays. */
static void assert_trimmed(struct fixture *f, struct log_place place, size_t rest)
{
    struct log_records records;
    struct log_place before = place;

    assert_int_equal(start_of(f, place), place.offset);
    before.offset--;
    assert_int_equal(read_at(f, before, &records), TH_NOT_FOUND);
    before.offset = 0;
    assert_int_equal(read_at(f, before, &records), TH_NOT_FOUND);
    records = read_from(f, f->log, place);
    assert_int_equal(records.n, rest);
    assert_int_equal(records.at[0].place.offset, place.offset);
}

static void test_what_was_trimmed_is_gone_and_the_rest_goes_on(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct log_place place = {TOPIC_DISPATCH_ATTEMPTS, 0, 0};
    struct log_place other = {TOPIC_DISPATCH_ATTEMPTS, 1, 0};
    int64_t end;

    for (int i = 0; i < 6; i++)
        append_one(f, "a value");
    SUCCEEDS(f, th_log_append(f->log,
                              &(struct log_output){.topic = TOPIC_DISPATCH_ATTEMPTS, .part = 1}, 1,
                              NULL, &f->err));
    struct log_records all = read_from(f, f->log, place);
    assert_int_equal(all.n, 6);
    assert_int_equal(start_of(f, place), 0);
    place.offset = all.at[4].place.offset;
    SUCCEEDS(f, th_log_trim(f->log, &place, 1, &f->err));
    assert_trimmed(f, place, 2);
    SUCCEEDS(f, th_log_trim(f->log, &place, 1, &f->err)); /* again: nothing more */
    assert_trimmed(f, place, 2);
    assert_int_equal(start_of(f, other), 0);
    assert_int_equal(read_from(f, f->log, other).n, 1);

    append_one(f, "later");
    reopen(f);
    assert_trimmed(f, place, 3);
    SUCCEEDS(f, th_log_end(f->log, place.topic, place.part, &end, &f->err));
    assert_int_equal(end, read_from(f, f->log, place).at[2].place.offset + 1);

    /* However much is asked for, the last one stays, so that offsets go on behind it. */
    place.offset = end + 100;
    SUCCEEDS(f, th_log_trim(f->log, &place, 1, &f->err));
    place.offset = end - 1;
    assert_trimmed(f, place, 1);
    append_one(f, "behind it");
    assert_trimmed(f, place, 2);
}

/* A reader that stood before it is told; one behind it notices nothing. */
static void test_readers_meet_a_trim(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct log_place place = {TOPIC_DISPATCH_ATTEMPTS, 0, 0};
    struct th_log_reader *behind;
    struct log_records records;

    for (int i = 0; i < 5; i++)
        append_one(f, "a value");
    struct log_records all = read_from(f, f->log, place);
    place.offset = all.at[3].place.offset;
    SUCCEEDS(f, th_log_reader_open(f->log, &place, 1, &behind, &f->err));
    assert_int_equal(drain(f, behind, 1000).n, 2);
    SUCCEEDS(f, th_log_trim(f->log, &place, 1, &f->err));
    append_one(f, "later");
    assert_int_equal(drain(f, behind, 1000).n, 1);
    th_log_reader_seek(behind, (struct log_place){place.topic, 0, 1});
    assert_int_equal(th_log_reader_read(behind, 1000, &f->arena, &records, &f->err), TH_NOT_FOUND);
    th_log_reader_seek(behind, place);
    assert_int_equal(drain(f, behind, 1000).n, 3);
    th_log_reader_close(behind);
}

const struct CMUnitTest conformance_archive_tests[] = {
    cmocka_unit_test(test_an_archive_is_what_the_log_gave),
    cmocka_unit_test(test_one_topic_is_archived_alone),
    cmocka_unit_test(test_an_archive_is_restored_into_a_new_log),
    cmocka_unit_test(test_what_was_trimmed_is_gone_and_the_rest_goes_on),
    cmocka_unit_test(test_readers_meet_a_trim),
};
const size_t conformance_archive_tests_n = TH_LEN(conformance_archive_tests);
