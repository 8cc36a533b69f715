/* retained.h - what is archived is dropped from a log, and the views made anew from the archive and
 * the rest are those that were folded live, byte for byte. Whatever the log's driver. */
#ifndef TELEHUB_TESTS_INTEGRATION_RETAINED_H
#define TELEHUB_TESTS_INTEGRATION_RETAINED_H

#include "common/eventlog/log.h"

struct retained {
    enum th_code (*open)(void *arg, struct th_log **out_log, struct th_err *err); /* an empty one */
    void *arg;
    const char *conninfo; /* of a migrated database: the views' */

    /* What a driver has to show besides; each may be NULL. log is borrowed. */
    void (*was_written)(void *arg, struct th_log *log); /* nothing is folded yet */
    void (*was_trimmed)(void *arg, struct th_log *log);
};

/* The whole story, in a folder of its own; ends the test on failure. */
void retained_story(const struct retained *retained);

#endif
