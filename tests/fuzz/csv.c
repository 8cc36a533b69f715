/* Rows of a CSV: pieces give what the whole gives. The first byte is the size of the pieces. */
#include "common/csv.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_MAX ((size_t)4 * 1024 * 1024)

static void tell(const struct th_csv *csv, enum th_csv_step step, struct th_buf *out)
{
    th_buf_printf(out, "%lld/%lld ", (long long)csv->number, (long long)csv->line);
    if (step == TH_CSV_BAD)
        th_buf_printf(out, "%zu %s\n", csv->column, csv->reason);
    for (size_t i = 0; step == TH_CSV_ROW && i < csv->count; i++) {
        assert(csv->fields[i].n <= TH_CSV_FIELD_MAX);
        assert(th_str_is_utf8(csv->fields[i]));
        th_buf_printf(out, "%zu:", csv->fields[i].n);
        th_buf_add(out, csv->fields[i]);
    }
}

static void read_all(struct th_str text, size_t piece, struct th_buf *out)
{
    TH_AUTO(th_csv) struct th_csv csv = {0};
    enum th_csv_step step;

    while ((step = th_csv_next(&csv)) != TH_CSV_END) {
        size_t n = text.n < piece ? text.n : piece;

        if (step != TH_CSV_MORE) {
            tell(&csv, step, out);
            continue;
        }
        assert(!csv.is_finished);
        assert(th_csv_push(&csv, (struct th_str){text.p, n}) == TH_OK);
        text = (struct th_str){text.p + n, text.n - n};
        if (text.n == 0)
            th_csv_finish(&csv);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TH_AUTO(th_buf) struct th_buf whole = {0};
    TH_AUTO(th_buf) struct th_buf pieces = {0};
    struct th_str in = fuzz_input(data, size);
    size_t piece = 1 + fuzz_byte(&in) % 100;

    read_all(in, in.n + 1, &whole);
    read_all(in, piece, &pieces);
    assert(whole.n < TEXT_MAX);
    assert(th_str_eq(th_buf_str(&whole), th_buf_str(&pieces)));
    return 0;
}
