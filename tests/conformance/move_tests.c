/* What filling a log from another asks of it: times that are not its own, where slots stand without
 * owning them, what is remembered, and a mark that keeps everybody else out. */
#include <string.h>

#include "tests/conformance/fixture.h"

#define ORIGIN "00000000-0000-8000-8000-0123456789ab"

static void test_a_record_keeps_the_time_it_was_given(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = NULL;
    const struct log_output outputs[] = {
        lane_output(1, TH_STR("newer")),
        lane_output(1, TH_STR("older")),
        lane_output(2, TH_STR("elsewhere")),
        lane_output(1, TH_STR("to the microsecond")),
    };
    static const int64_t times[] = {1700000000123456, 1600000000654321, 1, 1700000000123457};
    const struct log_cursor cursor = {{TOPIC_CAMPAIGN_COMMANDS, 0, 4}, TH_STR("a place elsewhere")};
    bool is_answered;

    SUCCEEDS(f, th_log_session_open(f->log, LOG_APP_COPY, 0, &session, &f->err));
    SUCCEEDS(f, th_log_commit_start(session,
                                    &(struct log_txn){.outputs = outputs,
                                                      .outputs_n = TH_LEN(outputs),
                                                      .cursors = &cursor,
                                                      .cursors_n = 1,
                                                      .at_us = times},
                                    &f->err));
    assert_int_equal(finish(session, NULL, &is_answered, &f->err), LOG_COMMITTED);
    th_log_session_close(session, true);
    for (int round = 0; round < 2; round++) { /* from memory, and from where it lies */
        struct log_records records = read_all(f, TOPIC_DISPATCH_ATTEMPTS, 1);
        assert_int_equal(records.n, 3);
        assert_int_equal(records.at[0].at_us, times[0]);
        assert_int_equal(records.at[1].at_us, times[1]);
        assert_int_equal(records.at[2].at_us, times[3]);
        assert_str_equal(records.at[1].value, TH_STR("older"));
        assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 2).at[0].at_us, times[2]);
        reopen(f);
    }
}

static void test_a_slot_can_be_asked_where_it_stands(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    const struct log_cursor cursors[] = {
        {{TOPIC_SEND_OUTCOMES, 1, 7}, TH_STR("a note\0with a NUL")},
        {{TOPIC_SEND_REQUESTS, 3, 0}, {NULL, 0}},
    };
    struct log_cursor *seen = NULL;
    bool is_answered;
    size_t n = 77;

    SUCCEEDS(f, th_log_slot_cursors(f->log, APP, SLOT, &f->arena, &seen, &n, &f->err));
    assert_int_equal(n, 0);
    SUCCEEDS(f, th_log_commit_start(
                    session, &(struct log_txn){.cursors = cursors, .cursors_n = TH_LEN(cursors)},
                    &f->err));
    assert_int_equal(finish(session, NULL, &is_answered, &f->err), LOG_COMMITTED);
    SUCCEEDS(f, th_log_slot_cursors(f->log, APP, SLOT, &f->arena, &seen, &n, &f->err));
    assert_int_equal(n, TH_LEN(cursors));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(seen[i].next.topic, cursors[i].next.topic);
        assert_int_equal(seen[i].next.part, cursors[i].next.part);
        assert_int_equal(seen[i].next.offset, cursors[i].next.offset);
        assert_str_equal(seen[i].note, cursors[i].note);
    }
    SUCCEEDS(f, th_log_slot_cursors(f->log, APP, SLOT + 1, &f->arena, &seen, &n, &f->err));
    assert_int_equal(n, 0);

    /* Its owner was not disturbed. */
    assert_int_equal(commit_small(f, session, "mine", 1, &is_answered), LOG_COMMITTED);
    th_log_session_close(session, true);
}

/* --- what is remembered ----------------------------------------------------------------------- */

#define KEYS 3

struct remembered {
    struct fixture *f;
    int seen[KEYS];
};

static enum th_code look(void *arg, const struct log_claim *answer, struct th_err *err)
{
    struct remembered *all = arg;
    int i = answer->key.p[answer->key.n - 1] - '0';

    (void)err;
    assert_in_range(i, 0, KEYS - 1);
    assert_str_equal(answer->tenant, TH_STR("pratham"));
    assert_str_equal(answer->route, TH_STR("POST /sends"));
    assert_str_equal(answer->key, numbered(all->f, "key", (size_t)i));
    assert_str_equal(answer->body, numbered(all->f, "answer", (size_t)i));
    assert_int_equal(answer->status, 200 + i);
    for (size_t k = 0; k < sizeof answer->fingerprint; k++)
        assert_int_equal(answer->fingerprint[k], i + 1);
    all->seen[i]++;
    return TH_OK;
}

static enum th_code stop_at_once(void *arg, const struct log_claim *answer, struct th_err *err)
{
    (void)answer;
    ++*(int *)arg;
    return th_fail(err, TH_FULL, "enough");
}

static void test_every_remembered_key_is_shown_once(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct remembered all = {f, {0}};
    struct log_claim claims[KEYS] = {0};
    int shown = 0;

    SUCCEEDS(f, th_log_answers(f->log, look, &all, &f->err));
    for (size_t i = 0; i < KEYS; i++) {
        claims[i] = (struct log_claim){
            .tenant = TH_STR("pratham"),
            .route = TH_STR("POST /sends"),
            .key = numbered(f, "key", i),
            .status = 200 + (int)i,
            .body = numbered(f, "answer", i),
        };
        memset(claims[i].fingerprint, (int)i + 1, sizeof claims[i].fingerprint);
    }
    SUCCEEDS(f, th_log_ingest(f->log, claims, 1, &f->arena, &f->err));
    SUCCEEDS(f, th_log_ingest(f->log, claims, KEYS, &f->arena, &f->err));
    for (int round = 1; round <= 2; round++) {
        SUCCEEDS(f, th_log_answers(f->log, look, &all, &f->err));
        for (size_t i = 0; i < KEYS; i++)
            assert_int_equal(all.seen[i], round);
        reopen(f);
    }
    assert_int_equal(th_log_answers(f->log, stop_at_once, &shown, &f->err), TH_FULL);
    assert_int_equal(shown, 1);
}

/* --- marks ------------------------------------------------------------------------------------ */

static void is_refused(struct fixture *f, const char *why)
{
    const struct log_output output = lane_output(0, TH_STR("not here"));
    struct log_claim claim = {.outputs = &output, .outputs_n = 1};
    struct th_log_session *session = NULL;
    int64_t end = 77;

    assert_int_equal(th_log_append(f->log, &output, 1, NULL, &f->err), TH_CONFLICT);
    assert_non_null(strstr(f->err.text, why));
    assert_int_equal(th_log_ingest(f->log, &claim, 1, &f->arena, &f->err), TH_CONFLICT);
    for (int app = LOG_APP_CAMPAIGN; app <= LOG_APP_MATERIALIZE; app++) {
        f->err.text[0] = '\0';
        assert_int_equal(th_log_session_open(f->log, (enum log_app)app, 0, &session, &f->err),
                         TH_CONFLICT);
        assert_non_null(strstr(f->err.text, why));
    }
    assert_null(session);
    SUCCEEDS(f, th_log_end(f->log, TOPIC_DISPATCH_ATTEMPTS, 0, &end, &f->err));
    assert_int_equal(end, 0);
}

static void test_a_marked_log_keeps_everybody_out(void **state)
{
    static const struct {
        const char *says;
        enum log_mark mark;
        const char *why;
    } cases[] = {
        {"half a copy is finished first", LOG_MARK_COPYING, "run telehub log copy again"},
        {"what was replayed is only looked at", LOG_MARK_REPLAYED, "only materialize works on it"},
        {"what was copied lives on in its copy", LOG_MARK_MOVED, "which goes on from it"},
    };
    struct fixture *f = FIXTURE(state);
    bool is_answered;

    assert_int_equal(th_log_mark(f->log), LOG_MARK_NONE);
    assert_string_equal(th_log_origin(f->log), "");
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        SUCCEEDS(f, th_log_set_mark(f->log, cases[i].mark, ORIGIN, &f->err));
        for (int round = 0; round < 2; round++) {
            assert_int_equal(th_log_mark(f->log), cases[i].mark);
            assert_string_equal(th_log_origin(f->log), ORIGIN);
            is_refused(f, cases[i].why);
            reopen(f);
        }
    }
    SUCCEEDS(f, th_log_set_mark(f->log, LOG_MARK_NONE, ORIGIN, &f->err));
    reopen(f);
    assert_int_equal(th_log_mark(f->log), LOG_MARK_NONE);
    struct th_log_session *session = open_session(f, f->log);
    assert_int_equal(commit_small(f, session, "welcome", 1, &is_answered), LOG_COMMITTED);
    th_log_session_close(session, true);
}

static void test_who_fills_a_marked_log_is_let_in(void **state)
{
    struct fixture *f = FIXTURE(state);
    const struct log_output output = lane_output(0, TH_STR("filled in"));
    struct th_log_session *session = NULL;

    SUCCEEDS(f, th_log_set_mark(f->log, LOG_MARK_COPYING, ORIGIN, &f->err));
    SUCCEEDS(f, th_log_session_open(f->log, LOG_APP_COPY, 0, &session, &f->err));
    th_log_session_close(session, true);
    th_log_admit(f->log);
    SUCCEEDS(f, th_log_append(f->log, &output, 1, NULL, &f->err));
    th_log_session_close(open_session(f, f->log), true);
}

const struct CMUnitTest conformance_move_tests[] = {
    cmocka_unit_test(test_a_record_keeps_the_time_it_was_given),
    cmocka_unit_test(test_a_slot_can_be_asked_where_it_stands),
    cmocka_unit_test(test_every_remembered_key_is_shown_once),
    cmocka_unit_test(test_a_marked_log_keeps_everybody_out),
    cmocka_unit_test(test_who_fills_a_marked_log_is_let_in),
};
const size_t conformance_move_tests_n = TH_LEN(conformance_move_tests);
