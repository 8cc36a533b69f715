/* A schema from outside: refused with a sentence, or one whose text is a schema again, the same,
 * and that reads what it wrote. */
#include "schemas/avro_resolution.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* A type whose namespace is emptied within another namespace has no text of its own: the parsing
 * canonical form leaves namespaces out. */
static bool may_leave_a_namespace(struct th_str text)
{
    return memmem(text.p, text.n, "namespace", 9) || memchr(text.p, '\\', text.n);
}

static void check_text(const struct avro_schema *schema, bool is_exact, struct th_arena *arena)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    TH_AUTO(th_buf) struct th_buf again = {0};
    const struct avro_schema *same = NULL;
    struct th_err err = {0};

    avro_schema_put(schema, &text);
    assert(th_buf_status(&text) == TH_OK);
    enum th_code code = avro_schema_parse(th_buf_str(&text), arena, &same, &err);
    if (!is_exact || code == TH_FULL) /* names that were given their namespaces are longer */
        return;
    assert(code == TH_OK);
    avro_schema_put(same, &again);
    assert(th_str_eq(th_buf_str(&again), th_buf_str(&text)));
}

static void check_reads_itself(const struct avro_schema *schema, struct th_arena *arena)
{
    struct th_err why = {0};
    bool can_read = false;

    enum th_code code = avro_resolve(schema, schema, arena, &can_read, &why);
    assert(code == TH_OK || code == TH_FULL);
    assert(code != TH_OK || can_read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct avro_schema *schema = NULL;
    struct th_str text = fuzz_input(data, size);
    struct th_err err = {0};
    struct th_arena arena;

    th_arena_init(&arena, FUZZ_ARENA_MAX);
    enum th_code code = avro_schema_parse(text, &arena, &schema, &err);
    assert(code == TH_OK || code == TH_MALFORMED || code == TH_INVALID || code == TH_FULL);
    assert((code == TH_OK) == (err.text[0] == '\0'));
    assert((code == TH_OK) == (schema != NULL));
    if (schema) {
        check_text(schema, !may_leave_a_namespace(text), &arena);
        check_reads_itself(schema, &arena);
    }
    th_arena_fini(&arena);
    return 0;
}
