/* gateway_views.h - views for tests of the gateway: what the log holds, looked up when asked, and
 * figures that a test sets.
 */
#ifndef TELEHUB_TESTS_INTEGRATION_GATEWAY_VIEWS_H
#define TELEHUB_TESTS_INTEGRATION_GATEWAY_VIEWS_H

#include <stdatomic.h>

#include "common/views.h"
#include "schemas/events.h"

struct gateway_views {
    struct views views; /* first member */
    struct th_log *log;
    atomic_int waits;      /* calls of wait_for */
    atomic_bool is_down;   /* every question: TH_UNAVAILABLE */
    atomic_bool is_behind; /* wait_for: TH_TIMEOUT, after its time */
    atomic_int hidden;     /* so many questions find nothing, as if not folded yet */
    struct view_certificate certificate;
    struct view_counts counts;
    struct view_recipient recipients[3];
    enum view_command_status command_status;
    struct view_dead_record dead;    /* the only one, if it has an id */
    struct view_exhausted exhausted; /* likewise */
};

void gateway_views_init(struct gateway_views *views, struct th_log *log);

#endif
