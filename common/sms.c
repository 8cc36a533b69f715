#include "common/sms.h"

#include "common/err.h"

#define GSM_ALONE  160 /* septets of a message of one segment */
#define GSM_PART   153 /* of each segment of a longer one: a header takes seven */
#define UCS2_ALONE 70
#define UCS2_PART  67

/* The alphabet's characters that are not ASCII, and the ASCII ones that it lacks or only has behind
 * an escape. */
static const uint32_t others[] = {
    0xa3,  0xa5,  0xe8,  0xe9,  0xf9,  0xec,  0xf2,  0xc7,  0xd8,  0xf8, 0xc5, 0xe5, 0x394,
    0x3a6, 0x393, 0x39b, 0x3a9, 0x3a0, 0x3a8, 0x3a3, 0x398, 0x39e, 0xc6, 0xe6, 0xdf, 0xc9,
    0xa4,  0xa1,  0xc4,  0xd6,  0xd1,  0xdc,  0xa7,  0xbf,  0xe4,  0xf6, 0xf1, 0xfc, 0xe0,
};
static const uint32_t escaped[] = {'\f', '^', '{', '}', '\\', '[', '~', ']', '|', 0x20ac};

static bool is_one_of(uint32_t c, const uint32_t *set, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (set[i] == c)
            return true;
    return false;
}

/* Septets of a character; 0 if the alphabet lacks it. */
static size_t septets(uint32_t c)
{
    if (is_one_of(c, escaped, TH_LEN(escaped)))
        return 2;
    if (c < 0x80)
        return c == '\n' || c == '\r' || (c >= ' ' && c < 0x7f && c != '`') ? 1 : 0;
    return is_one_of(c, others, TH_LEN(others)) ? 1 : 0;
}

static size_t utf16_units(uint32_t c)
{
    return c > 0xffff ? 2 : 1;
}

static bool is_gsm(struct th_str text)
{
    while (text.n)
        if (septets(th_str_take_char(&text)) == 0)
            return false;
    return true;
}

/* A character of two units must not be cut in two, so a part may end one unit early. */
static size_t count_parts(struct th_str text, bool gsm)
{
    size_t part = gsm ? GSM_PART : UCS2_PART;
    size_t parts = 1;
    size_t used = 0;

    while (text.n) {
        uint32_t c = th_str_take_char(&text);
        size_t n = gsm ? septets(c) : utf16_units(c);

        if (used + n > part) {
            parts++;
            used = 0;
        }
        used += n;
    }
    return parts;
}

struct th_sms th_sms_measure(struct th_str text)
{
    struct th_sms sms = {.is_gsm = is_gsm(text)};

    for (struct th_str rest = text; rest.n;) {
        uint32_t c = th_str_take_char(&rest);
        sms.units += sms.is_gsm ? septets(c) : utf16_units(c);
    }
    if (sms.units == 0)
        sms.segments = 0;
    else if (sms.units <= (sms.is_gsm ? GSM_ALONE : UCS2_ALONE))
        sms.segments = 1;
    else
        sms.segments = count_parts(text, sms.is_gsm);
    return sms;
}
