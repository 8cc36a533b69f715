/* The generated decoder of a schema with every type that there is. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/schemas/all.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TH_AUTO(th_buf) struct th_buf bytes = {0};
    TH_AUTO(th_buf) struct th_buf json = {0};
    TH_AUTO(th_buf) struct th_buf again = {0};
    struct th_err err = {0};
    struct th_arena arena;
    struct all_event event;
    struct all_event back;

    th_arena_init(&arena, FUZZ_ARENA_MAX);
    enum th_code code = all_event_decode(fuzz_input(data, size), &arena, &event, &err);
    assert(code == TH_OK || code == TH_MALFORMED || code == TH_UNSUPPORTED);
    assert((code == TH_OK) == (err.text[0] == '\0'));
    if (code == TH_OK) {
        assert(all_event_encode(&event, &bytes) == TH_OK);
        assert(all_event_decode(th_buf_str(&bytes), &arena, &back, NULL) == TH_OK);
        all_event_to_json(&event, &json);
        all_event_to_json(&back, &again);
        assert(th_str_eq(th_buf_str(&json), th_buf_str(&again)));
    }
    th_arena_fini(&arena);
    return 0;
}
