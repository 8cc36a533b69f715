#include "tests/integration/fold_log.h"

#include "tests/unit/test.h"

void fold_log(struct th_log *log,
              enum th_code (*open_store)(void *context, struct view_store **out_store,
                                         struct th_err *err),
              void *context)
{
    const struct materialize_config config = {
        .log = log, .open_store = open_store, .context = context};
    struct materialize *m;
    struct th_err err = {0};

    assert_int_equal(materialize_new(&config, &m, &err), TH_OK);
    if (materialize_drain(m, &err) != TH_OK)
        fail_msg("%s", err.text);
    materialize_free(m);
}
