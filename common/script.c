#include "common/script.h"

#include "common/err.h"

/* Unicode blocks. */
static const struct {
    uint32_t first;
    uint32_t last;
    const char *language;
} scripts[] = {
    {0x0900, 0x097f, "hi"}, /* Devanagari */
    {0x0980, 0x09ff, "bn"}, /* Bengali */
    {0x0a00, 0x0a7f, "pa"}, /* Gurmukhi */
    {0x0a80, 0x0aff, "gu"}, /* Gujarati */
    {0x0b00, 0x0b7f, "or"}, /* Oriya */
    {0x0b80, 0x0bff, "ta"}, /* Tamil */
    {0x0c00, 0x0c7f, "te"}, /* Telugu */
    {0x0c80, 0x0cff, "kn"}, /* Kannada */
    {0x0d00, 0x0d7f, "ml"}, /* Malayalam */
    {0x0d80, 0x0dff, "si"}, /* Sinhala */
    {0x0600, 0x06ff, "ur"}, /* Arabic, which in India is Urdu */
};

/* Marks are counted with the letters that they stand on; the danda serves several scripts. */
static bool is_in(uint32_t c, size_t script)
{
    return c >= scripts[script].first && c <= scripts[script].last && c != 0x0964 && c != 0x0965;
}

static bool is_latin(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0x24f);
}

const char *th_script_language(struct th_str text)
{
    size_t counts[TH_LEN(scripts)] = {0};
    size_t letters = 0;
    size_t most = 0;

    while (text.n) {
        uint32_t c = th_str_take_char(&text);

        letters += is_latin(c);
        for (size_t i = 0; i < TH_LEN(scripts); i++)
            if (is_in(c, i)) {
                counts[i]++;
                letters++;
            }
    }
    for (size_t i = 1; i < TH_LEN(scripts); i++)
        if (counts[i] > counts[most])
            most = i;
    return counts[most] && counts[most] * 3 >= letters ? scripts[most].language : "en";
}
