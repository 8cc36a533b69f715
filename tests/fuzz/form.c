/* What is posted as a form: what was read is written and read again as the same. */
#include "common/form.h"
#include "tests/fuzz/fuzz.h"

static void assert_stable(const struct form *form, struct th_arena *arena)
{
    struct th_str body;
    struct form back;

    assert(form_encode(form->pairs, form->n, arena, &body) == TH_OK);
    if (body.n > FORM_SIZE_MAX)
        return;
    assert(form_parse(body, arena, &back) == TH_OK);
    assert(back.n == form->n);
    for (size_t i = 0; i < form->n; i++) {
        assert(th_str_eq(back.pairs[i].name, form->pairs[i].name));
        assert(th_str_eq(back.pairs[i].value, form->pairs[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    struct th_str escaped;
    struct th_arena arena;
    struct form form;

    th_arena_init(&arena, FUZZ_ARENA_MAX);
    enum th_code code = form_parse(in, &arena, &form);
    assert(code == TH_OK || code == TH_MALFORMED || code == TH_FULL);
    if (code == TH_OK)
        assert_stable(&form, &arena);
    assert(form_escape_url(in, &arena, &escaped) == TH_OK);
    th_arena_fini(&arena);
    return 0;
}
