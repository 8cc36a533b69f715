/* fold_log.h - all of a log into the views, at once, for tests. */
#ifndef TELEHUB_TESTS_INTEGRATION_FOLD_LOG_H
#define TELEHUB_TESTS_INTEGRATION_FOLD_LOG_H

#include "processors/materialize/materialize.h"

/* By one slot; ends the test on failure. open_store and context as in materialize_config. */
void fold_log(struct th_log *log,
              enum th_code (*open_store)(void *context, struct view_store **out_store,
                                         struct th_err *err),
              void *context);

#endif
