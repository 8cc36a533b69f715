/* Headers of a record, as a log or somebody's program gave them: what is read is written again as
 * it was, byte for byte, and what is damaged is refused where it is damaged. */
#include <string.h>

#include "common/eventlog/headers.h"
#include "tests/fuzz/fuzz.h"

static bool lies_in(struct th_str view, struct th_str in)
{
    return view.n == 0 || (view.p >= in.p && view.p + view.n <= in.p + in.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    struct th_str rest = in;
    struct log_header header;
    TH_AUTO(th_buf) struct th_buf again = {0};

    while (log_headers_next(&rest, &header)) {
        assert(lies_in(header.name, in) && lies_in(header.value, in));
        assert(!header.is_null || header.value.n == 0);
        log_headers_add(&again, &header);
    }
    assert(th_buf_status(&again) == TH_OK);
    assert(again.n == in.n - rest.n && (again.n == 0 || memcmp(again.p, in.p, again.n) == 0));
    assert(log_headers_are_whole(in) == (rest.n == 0)); /* inputs are too short to be too many */
    return 0;
}
