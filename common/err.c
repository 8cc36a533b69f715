#include "common/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
    bool retriable;
} codes[] = {
#define TH_CODE_ROW(name, retriable, text) [name] = {#name, text, retriable},
    TH_CODES(TH_CODE_ROW)
#undef TH_CODE_ROW
};

bool th_code_is_retriable(enum th_code code)
{
    assert((size_t)code < TH_LEN(codes));
    return codes[code].retriable;
}

const char *th_code_name(enum th_code code)
{
    assert((size_t)code < TH_LEN(codes));
    return codes[code].name;
}

const char *th_code_text(enum th_code code)
{
    assert((size_t)code < TH_LEN(codes));
    return codes[code].text;
}

#undef th_fail /* of the analyzer */

enum th_code th_fail(struct th_err *err, enum th_code code, const char *fmt, ...)
{
    assert(code != TH_OK);
    if (!err)
        return code;

    va_list args;
    va_start(args, fmt);
    err->code = code;
    (void)vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return code;
}

enum th_code th_wrap(struct th_err *err, const char *fmt, ...)
{
    assert(err && err->code != TH_OK);

    char inner[TH_ERR_TEXT_MAX];
    memcpy(inner, err->text, sizeof inner);

    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        (void)snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", inner);
    return err->code;
}
