/* segments.h - how many parts a text message is sent in.
 *
 * Pure. GSM 03.38 (7 bits, 160 or 153 per part) if the text allows it, else UCS-2 (70 or 67).
 * A septet pair and a surrogate pair are never split over two parts.
 */
#ifndef TELEHUB_SANDBOX_SEGMENTS_H
#define TELEHUB_SANDBOX_SEGMENTS_H

#include "common/str.h"

struct segments {
    uint32_t characters; /* code points */
    uint32_t parts;      /* 0 for an empty text */
    bool is_gsm7;
};

/* text is well-formed UTF-8. */
struct segments segments_count(struct th_str text);

#endif
