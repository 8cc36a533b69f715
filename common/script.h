/* script.h - which language a text is probably in, by the letters it is written with.
 *
 * Pure. For a call whose row names no language: a voice must be chosen.
 */
#ifndef TELEHUB_COMMON_SCRIPT_H
#define TELEHUB_COMMON_SCRIPT_H

#include "common/str.h"

/* The most widely spoken language of the script ("hi" for Devanagari) that at least a third of the
 * letters belong to, else "en". text is UTF-8; static storage. */
const char *th_script_language(struct th_str text);

#endif
