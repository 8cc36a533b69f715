/* err.h - how anything fails: a code for the program, a sentence for a human.
 *
 * A bug is an assert. A business outcome is an event. This is the third kind: an
 * operating failure. Fallible functions return enum th_code and fill struct th_err.
 */
#ifndef TELEHUB_COMMON_ERR_H
#define TELEHUB_COMMON_ERR_H

#include <stdbool.h>
#include <stdlib.h>

/* code, whether waiting can help, what it means */
#define TH_CODES(X)                                                                                \
    X(TH_OK, false, "ok")                                                                          \
    X(TH_NOMEM, true, "out of memory")                                                             \
    X(TH_IO, true, "input or output failed")                                                       \
    X(TH_UNAVAILABLE, true, "peer unavailable")                                                    \
    X(TH_TIMEOUT, true, "took too long")                                                           \
    X(TH_FULL, true, "no room left")                                                               \
    X(TH_ABORTED, true, "rolled back, nothing happened")                                           \
    X(TH_FENCED, false, "somebody else owns this now")                                             \
    X(TH_MALFORMED, false, "malformed input")                                                      \
    X(TH_INVALID, false, "value not allowed")                                                      \
    X(TH_NOT_FOUND, false, "does not exist")                                                       \
    X(TH_CONFLICT, false, "not allowed in this state")                                             \
    X(TH_DENIED, false, "not permitted")                                                           \
    X(TH_UNSUPPORTED, false, "not supported")                                                      \
    X(TH_CORRUPT, false, "stored data is damaged")

enum th_code {
#define TH_CODE_NAME(name, retriable, text) name,
    TH_CODES(TH_CODE_NAME)
#undef TH_CODE_NAME
};

#define TH_ERR_TEXT_MAX 512

/* Zero-initialise. The text is cut, never overrun. */
struct th_err {
    enum th_code code;
    char text[TH_ERR_TEXT_MAX];
};

#define TH_MUST_USE         __attribute__((warn_unused_result))
#define TH_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))

/* May the same call succeed later, with nobody changing anything but time? */
bool th_code_is_retriable(enum th_code code);

/* "TH_NOMEM"; static storage. */
const char *th_code_name(enum th_code code);

/* "out of memory"; static storage. */
const char *th_code_text(enum th_code code);

/* Fill err (which may be NULL) and return code, so that a failure is one statement. */
enum th_code th_fail(struct th_err *err, enum th_code code, const char *fmt, ...) TH_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* it cannot see that what comes back is the code, and never TH_OK */
#define th_fail(err, code, ...) ((void)(err), (code))
#endif

/* Put "fmt: " before the text that err holds and return its code, which must not be TH_OK. */
enum th_code th_wrap(struct th_err *err, const char *fmt, ...) TH_PRINTF(2, 3);

/* The only macro that hides a return. */
#define TH_TRY(call)                                                                               \
    do {                                                                                           \
        enum th_code th_try_code_ = (call);                                                        \
        if (th_try_code_ != TH_OK)                                                                 \
            return th_try_code_;                                                                   \
    } while (0)

/* TH_AUTO(outbox) struct outbox *box: calls outbox_auto(&box) when box leaves its scope.
 * TH_AUTO_DEFINE(outbox, struct outbox *, outbox_close) declares that function; the destructor
 * must accept NULL. */
#define TH_AUTO(name) __attribute__((cleanup(name##_auto)))
#define TH_AUTO_DEFINE(name, type, destroy)                                                        \
    static inline void name##_auto(type *th_auto_)                                                 \
    {                                                                                              \
        destroy(*th_auto_);                                                                        \
    }

/* Ownership leaves the variable: its cleanup then sees NULL. */
#define TH_TAKE(pointer)                                                                           \
    (__extension__({                                                                               \
        __typeof__(pointer) th_taken_ = (pointer);                                                 \
        (pointer) = NULL;                                                                          \
        th_taken_;                                                                                 \
    }))

TH_AUTO_DEFINE(free, void *, free)

#define TH_LEN(array) (sizeof(array) / sizeof *(array))

#endif
