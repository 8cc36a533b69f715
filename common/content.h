/* content.h - what is said to one recipient: the section of its language, its variables filled in.
 *
 * Pure. Who sends and who looks for duplicates must get the same text, so both get it here.
 */
#ifndef TELEHUB_COMMON_CONTENT_H
#define TELEHUB_COMMON_CONTENT_H

#include "common/arena.h"
#include "schemas/events.h"

/* Text and language live in arena (or are borrowed from what was given).
 * Errors: TH_INVALID (no such variable, no text), TH_NOMEM */
TH_MUST_USE
enum th_code content_render(const struct text_section_array *texts,
                            const struct string_array *columns, const struct audience_row *row,
                            struct th_arena *arena, struct th_str *out_text,
                            struct th_str *out_lang, struct th_err *err);

/* The plain string of what may be sealed; sealed text cannot be read here: empty. */
static inline struct th_str content_plain(const struct string_or_sealed *value)
{
    return value->is == STRING_OR_SEALED_STRING ? value->as.string : (struct th_str){NULL, 0};
}

#endif
