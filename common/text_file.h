/* text_file.h - what a campaign says, in one language or in several.
 *
 * A line "[hi]" alone begins the text in that language (BCP 47); a file without such lines is one
 * text for everybody. Pure; views point into the bytes that were parsed.
 */
#ifndef TELEHUB_COMMON_TEXT_FILE_H
#define TELEHUB_COMMON_TEXT_FILE_H

#include "common/err.h"
#include "common/str.h"

#define TH_TEXT_FILE_MAX     32768 /* bytes */
#define TH_TEXT_SECTIONS_MAX 32

struct th_text_section {
    struct th_str lang; /* as written; empty in a file without sections */
    struct th_str text; /* without white space at its ends; never empty */
};

struct th_text_file {
    size_t count; /* at least 1 */
    struct th_text_section sections[TH_TEXT_SECTIONS_MAX];
};

/* Errors: TH_INVALID with a sentence: not UTF-8, too long, a language twice, an empty text, text in
 *         front of the first language */
TH_MUST_USE
enum th_code th_text_file_parse(struct th_str bytes, struct th_text_file *out_file,
                                struct th_err *err);

/* The section of lang, or of the language that lang is a variety of ("hi" of "hi-IN"), in any
 * case; else the first. */
const struct th_text_section *th_text_file_pick(const struct th_text_file *file,
                                                struct th_str lang);

#endif
