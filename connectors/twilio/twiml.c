#include "connectors/twilio/twiml.h"

#include "connectors/twilio/twilio.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *language; /* first part of the BCP 47 tag */
    const char *locale;
    const char *voice;
} voices[] = {
    {"en", "en-IN", "Polly.Aditi"},
    {"hi", "hi-IN", "Polly.Aditi"},
};

static size_t find_voice(struct th_str language)
{
    struct th_str first;
    struct th_str rest;

    (void)th_str_cut(language, '-', &first, &rest);
    for (size_t i = 0; i < TH_LEN(voices); i++) {
        if (first.n == strlen(voices[i].language) &&
            strncasecmp(first.p, voices[i].language, first.n) == 0)
            return i;
    }
    return TH_LEN(voices);
}

/* What stands for c in XML text; NULL where c stands for itself. */
static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&apos;";
    default:
        return NULL;
    }
}

/* XML 1.0, production 2: of control characters only tab and line ends, and neither U+FFFE nor
 * U+FFFF (in UTF-8 EF BF BE, EF BF BF). */
static bool is_xml_text(struct th_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return false;
        if (c == 0xef && s.n - i >= 3 && (unsigned char)s.p[i + 1] == 0xbf &&
            (unsigned char)s.p[i + 2] >= 0xbe)
            return false;
    }
    return th_str_is_utf8(s);
}

static enum th_code escape(struct th_str text, struct th_arena *arena, struct th_str *out_text)
{
    size_t size = 0;

    for (size_t i = 0; i < text.n; i++)
        size += entity_of(text.p[i]) ? strlen(entity_of(text.p[i])) : 1;
    char *escaped = th_arena_alloc(arena, size + 1);
    if (!escaped)
        return TH_NOMEM;

    char *to = escaped;
    for (size_t i = 0; i < text.n; i++) {
        const char *entity = entity_of(text.p[i]);
        if (entity)
            to = stpcpy(to, entity);
        else
            *to++ = text.p[i];
    }
    *out_text = (struct th_str){escaped, size};
    return TH_OK;
}

static size_t count_chars(struct th_str utf8)
{
    size_t n = 0;

    for (size_t i = 0; i < utf8.n; i++)
        n += ((unsigned char)utf8.p[i] & 0xc0) != 0x80;
    return n;
}

enum th_code twiml_say(struct th_str text, struct th_str language, struct th_arena *arena,
                       struct th_str *out_document, struct th_err *err)
{
    size_t voice = find_voice(language);
    struct th_str escaped;

    if (voice == TH_LEN(voices))
        return th_fail(err, TH_INVALID, "no voice speaks this language; there are en and hi");
    if (th_str_trim(text).n == 0)
        return th_fail(err, TH_INVALID, "the call has nothing to say");
    if (text.n > 4 * (size_t)TWILIO_TWIML_CHARS_MAX)
        return th_fail(err, TH_INVALID, "the text is too long: %zu bytes", text.n);
    if (!is_xml_text(text))
        return th_fail(err, TH_INVALID, "the text is not UTF-8, or holds a control character");
    if (escape(text, arena, &escaped) != TH_OK)
        return th_fail(err, TH_NOMEM, "TwiML");
    struct th_str document =
        th_arena_printf(arena, "<Response><Say voice=\"%s\" language=\"%s\">%.*s</Say></Response>",
                        voices[voice].voice, voices[voice].locale, TH_ARG(escaped));
    if (!document.p)
        return th_fail(err, TH_NOMEM, "TwiML");
    if (count_chars(document) > TWILIO_TWIML_CHARS_MAX)
        return th_fail(err, TH_INVALID, "the text is too long: %zu characters as TwiML, at most %d",
                       count_chars(document), TWILIO_TWIML_CHARS_MAX);
    *out_document = document;
    return TH_OK;
}
