/* effects_audience.h - the effects of campaign and retry: reading what was uploaded. */
#ifndef TELEHUB_PROCESSORS_EFFECTS_AUDIENCE_H
#define TELEHUB_PROCESSORS_EFFECTS_AUDIENCE_H

#include "common/audience.h"

struct effects_audience {
    struct effects effects; /* hand in its address; first member */
    struct audience *audience;
};

/* May be shared by slots: it keeps nothing. audience is borrowed. */
void effects_audience_init(struct effects_audience *effects, struct audience *audience);

#endif
