/* fixture.h - what the files of the conformance suite share. */
#ifndef TELEHUB_TESTS_CONFORMANCE_FIXTURE_H
#define TELEHUB_TESTS_CONFORMANCE_FIXTURE_H

#include <stdio.h>

#include "tests/conformance/conformance.h"
#include "tests/unit/test.h"

#define APP     LOG_APP_RETRY
#define SLOT    1
#define WAIT_MS 30000 /* longer than any resolution of a lost answer takes */

struct fixture {
    const struct log_conformance *with;
    struct th_log *log;
    struct th_arena arena; /* emptied between tests */
    struct th_err err;
};

#define FIXTURE(state) ((struct fixture *)*(state))

/* The call succeeds; otherwise the test fails with the sentence that came with the code. */
#define SUCCEEDS(f, call)                                                                          \
    do {                                                                                           \
        enum th_code code_ = (call);                                                               \
        if (code_ != TH_OK)                                                                        \
            fail_msg("%s: %s: %s", #call, th_code_name(code_), (f)->err.text);                     \
    } while (0)

/* End this test, which has opened nothing yet, as skipped; return after it. */
void leave_out(void);

/* n things of size bytes each, zeroed, until the test ends. */
void *take(struct fixture *f, size_t n, size_t size);

/* Records whose partition follows from the lane or the key. */
struct log_output lane_output(int part, struct th_str value);
struct log_output keyed_output(struct th_str key, struct th_str value);

/* A value "PREFIX-NUMBER", in the fixture's arena. */
struct th_str numbered(struct fixture *f, const char *prefix, size_t number);

/* Close the log and open it again, as after a restart. Everything opened from it is closed. */
void reopen(struct fixture *f);

/* Everything that a partition holds, read by a reader of its own. */
struct log_records read_all(struct fixture *f, enum topic topic, int part);

/* This is the offset of a partition's nth record: n, or where numbers are left out at least that.
 */
void assert_nth(struct fixture *f, int64_t offset, size_t n);

/* The partition holds exactly these values, in this order; th_log_end is behind the last. */
void assert_holds(struct fixture *f, enum topic topic, int part, const char *const *values,
                  size_t n);

/* What the reader returns until it returns nothing, bytes_max at a time. */
struct log_records drain(struct fixture *f, struct th_log_reader *reader, size_t bytes_max);

struct th_log_session *open_session(struct fixture *f, struct th_log *log);

/* Poll a started commit to its end, waiting at its descriptor. */
enum log_commit finish(struct th_log_session *session, struct log_place *out_places,
                       bool *out_is_answered, struct th_err *err);

/* One value to lane partition 0 of dispatch.attempts, and the cursor of send.requests/0. */
struct small_txn {
    struct log_output output;
    struct log_cursor cursor;
    struct log_txn txn;
};
void small_txn(struct small_txn *txn, const char *value, int64_t next_offset);

/* Start one and poll it to its end. */
enum log_commit commit_small(struct fixture *f, struct th_log_session *session, const char *value,
                             int64_t next_offset, bool *out_is_answered);

/* The session's only cursor stands at this offset. */
void assert_cursor(const struct th_log_session *session, int64_t next_offset);

bool is_readable(int fd, int timeout_ms);

/* The parts of the suite. */
extern const struct CMUnitTest conformance_append_tests[];
extern const struct CMUnitTest conformance_archive_tests[];
extern const struct CMUnitTest conformance_header_tests[];
extern const struct CMUnitTest conformance_read_tests[];
extern const struct CMUnitTest conformance_slot_tests[];
extern const struct CMUnitTest conformance_fence_tests[];
extern const struct CMUnitTest conformance_ingest_tests[];
extern const struct CMUnitTest conformance_snapshot_tests[];
extern const struct CMUnitTest conformance_move_tests[];
extern const size_t conformance_append_tests_n;
extern const size_t conformance_archive_tests_n;
extern const size_t conformance_header_tests_n;
extern const size_t conformance_read_tests_n;
extern const size_t conformance_slot_tests_n;
extern const size_t conformance_fence_tests_n;
extern const size_t conformance_ingest_tests_n;
extern const size_t conformance_snapshot_tests_n;
extern const size_t conformance_move_tests_n;

#endif
