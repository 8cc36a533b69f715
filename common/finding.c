#include "common/finding.h"

#include <stdarg.h>
#include <stdio.h>

#define SENTENCE_MAX 2048

void finding_tell(const struct finding_listener *listener, enum finding finding, const char *check,
                  const char *fmt, ...)
{
    char sentence[SENTENCE_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    listener->say(listener->arg, finding, check, sentence);
}
