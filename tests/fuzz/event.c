/* The generated decoders of every event. The first byte says where the frame's schema id comes
 * from: 0, from the input; else from the table, by the second byte. */
#include "schemas/events.h"
#include "tests/fuzz/fuzz.h"

static enum th_code decode(struct th_str in, struct th_arena *arena, struct th_buf *value,
                           struct event *out)
{
    struct th_err err = {0};

    if (fuzz_byte(&in))
        avro_write_frame(value, schema_at(fuzz_byte(&in) % schema_count())->id);
    th_buf_add(value, in);
    assert(th_buf_status(value) == TH_OK);
    enum th_code code = event_decode(th_buf_str(value), arena, out, &err);
    assert(code == TH_OK || code == TH_MALFORMED || code == TH_UNSUPPORTED);
    assert((code == TH_OK) == (err.text[0] == '\0'));
    return code;
}

/* What was read is written as it was, and reads as the same; a copy says the same. */
static void assert_stable(const struct event *event, struct th_arena *arena)
{
    TH_AUTO(th_buf) struct th_buf bytes = {0};
    TH_AUTO(th_buf) struct th_buf json = {0};
    TH_AUTO(th_buf) struct th_buf again = {0};
    struct event back;
    struct event copy;

    assert(event_encode(event, &bytes) == TH_OK);
    assert(event_decode(th_buf_str(&bytes), arena, &back, NULL) == TH_OK);
    assert(event_copy(&back, arena, &copy) == TH_OK);
    event_to_json(event, &json);
    event_to_json(&copy, &again);
    assert(th_buf_status(&json) == TH_OK);
    assert(th_str_eq(th_buf_str(&json), th_buf_str(&again)));
    assert(event_meta(event) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    struct th_arena arena;
    struct event event;

    th_arena_init(&arena, FUZZ_ARENA_MAX);
    if (decode(fuzz_input(data, size), &arena, &value, &event) == TH_OK)
        assert_stable(&event, &arena);
    th_arena_fini(&arena);
    return 0;
}
