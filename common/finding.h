/* finding.h - what somebody who looks at an installation has to say of it (telehub doctor). */
#ifndef TELEHUB_COMMON_FINDING_H
#define TELEHUB_COMMON_FINDING_H

#include "common/err.h"

enum finding {
    FINDING_FINE,
    FINDING_RISKY, /* works, but not as promised under load or after a crash, or not for long */
    FINDING_BAD,   /* it stops, or something may be lost */
};

/* One check, with a sentence that says what to do unless it is fine. Text is borrowed. */
typedef void finding_say(void *arg, enum finding finding, const char *check, const char *sentence);

struct finding_listener {
    finding_say *say;
    void *arg;
};

/* Sentences of more than 2 kB are cut. */
void finding_tell(const struct finding_listener *listener, enum finding finding, const char *check,
                  const char *fmt, ...) TH_PRINTF(4, 5);

#endif
