/* top.h - what an installation does now, as a screen of text. Pure. */
#ifndef TELEHUB_PROCESSORS_CLI_TOP_H
#define TELEHUB_PROCESSORS_CLI_TOP_H

#include "common/buf.h"
#include "processors/cli/samples.h"

/* Two readings of /metrics, and the seconds between them. */
struct top {
    const struct samples *before;
    const struct samples *now;
    double seconds;
};

/* Lines of at most 100 columns. Errors: th_buf_status of out */
void top_draw(const struct top *top, struct th_buf *out);

/* The same figures as one JSON object. Errors: th_buf_status of out */
void top_json(const struct top *top, struct th_buf *out);

#endif
