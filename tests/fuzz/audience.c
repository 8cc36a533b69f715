/* A part of an audience, as a CSV from outside. */
#include "common/phone.h"
#include "connectors/gateway/audience_csv.h"
#include "tests/fuzz/fuzz.h"

static struct th_str text_of(const struct string_or_sealed *value)
{
    assert(value->is == STRING_OR_SEALED_STRING);
    return value->as.string;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    const char *country = fuzz_byte(&in) % 2 ? "IN" : NULL;
    struct audience_csv csv;
    struct th_err err = {0};
    struct th_arena arena;

    th_arena_init(&arena, FUZZ_ARENA_MAX);
    enum th_code code = audience_csv_read(in, country, 1, &arena, &csv, &err);
    assert(code == TH_OK || code == TH_MALFORMED || code == TH_FULL);
    if (code == TH_OK) {
        assert(csv.rows_n <= AUDIENCE_ROWS_MAX);
        assert(csv.rejected_n <= AUDIENCE_REJECTED_MAX);
        assert(csv.rejected_total >= (int64_t)csv.rejected_n);
        for (size_t i = 0; i < csv.rows_n; i++)
            assert(th_phone_is_e164(text_of(&csv.rows[i].phone)));
    }
    th_arena_fini(&arena);
    return 0;
}
