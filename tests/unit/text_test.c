/* template, text_file, script, sms */
#include "tests/unit/test.h"

#include "common/script.h"
#include "common/sms.h"
#include "common/template.h"
#include "common/text_file.h"

#include <string.h>

static void test_templates(void **unused)
{
    (void)unused;
    static const struct th_var vars[] = {
        {{"name", 4}, {"Asha", 4}},
        {{"school name", 11}, {"{name} & Co", 11}},
        {{"empty", 5}, {NULL, 0}},
    };
    static const struct {
        const char *says;
        const char *text;
        const char *result; /* or, behind '!', the error */
    } cases[] = {
        {"no variable", "Hello.", "Hello."},
        {"one variable", "Hello {name}!", "Hello Asha!"},
        {"at both ends", "{name}{name}", "AshaAsha"},
        {"blanks within braces", "{ name }", "Asha"},
        {"a value is not looked into", "{school name}", "{name} & Co"},
        {"an empty value", "[{empty}]", "[]"},
        {"braces themselves", "{{name}} }}{{", "{name} }{"},
        {"a brace in front of a variable", "{{{name}}}", "{Asha}"},
        {"CRLF", "a\r\nb\rc", "a\nb\rc"},
        {"nothing", "", ""},
        {"an unknown variable", "Hello {nmae}",
         "!{nmae} is not known; known are {name}, {school name}, {empty}"},
        {"an empty name", "{}", "!{} is not known; known are {name}, {school name}, {empty}"},
        {"an open brace", "Hello {name", "!a { without its }; a brace itself is written {{"},
        {"an open brace before another", "{na{name}",
         "!a { without its }; a brace itself is written {{"},
        {"a closing brace alone", "a } b", "!a } without its {; a brace itself is written }}"},
        {"a brace at the end", "a {", "!a { without its }; a brace itself is written {{"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_buf) struct th_buf out = {0};
        struct th_err err = {0};
        bool is_ok = cases[i].result[0] != '!';
        struct th_str text = th_str(cases[i].text);

        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_template_render(text, vars, TH_LEN(vars), &out, &err),
                         is_ok ? TH_OK : TH_INVALID);
        assert_int_equal(th_template_render(text, vars, TH_LEN(vars), NULL, NULL),
                         is_ok ? TH_OK : TH_INVALID);
        if (is_ok)
            assert_str_equal(th_buf_str(&out), th_str(cases[i].result));
        else
            assert_string_equal(err.text, cases[i].result + 1);
    }
    struct th_err err = {0};
    assert_int_equal(th_template_render(TH_STR("{x}"), NULL, 0, NULL, &err), TH_INVALID);
    assert_string_equal(err.text, "{x} is not known; there are no variables");
}

static void test_sections(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *file;
        const char *lang;
        const char *text; /* or, behind '!', the error */
    } cases[] = {
        {"one text for all", "Hello {name}\n", "hi", "Hello {name}"},
        {"a byte order mark", "\xef\xbb\xbfHello", "hi", "Hello"},
        {"the language asked for", "[hi]\nNamaste\n\n[en]\nHello\n", "en", "Hello"},
        {"the first, too", "[hi]\nNamaste\n[en]\nHello\n", "hi", "Namaste"},
        {"CRLF and blanks", " [hi] \r\nNamaste\r\n[en]\r\n\r\nHello\r\nyou\r\n", "en",
         "Hello\r\nyou"},
        {"a variety of the language", "[hi]\nNamaste\n[en]\nHello\n", "en-IN", "Hello"},
        {"in capitals", "[hi]\nNamaste\n[en]\nHello\n", "EN", "Hello"},
        {"an exact variety before its language", "[en]\nHello\n[en-IN]\nNamaste\n", "en-in",
         "Namaste"},
        {"a language that is missing", "[hi]\nNamaste\n[en]\nHello\n", "ta", "Namaste"},
        {"no language", "[hi]\nNamaste\n[en]\nHello\n", "", "Namaste"},
        {"brackets within a line are text", "[hi]\nNamaste [en] all\n", "en", "Namaste [en] all"},
        {"a bracketed word is text", "[note]\nx\n[hi there]", "hi", "[note]\nx\n[hi there]"},
        {"a number is text", "[12]\n", "hi", "[12]"},
        {"nothing", "", "hi", "!there is no text"},
        {"white space", " \n\n", "hi", "!there is no text"},
        {"an empty section", "[hi]\n\n[en]\nHello", "hi", "!there is no text behind [hi]"},
        {"an empty last section", "[hi]\nx\n[en]", "hi", "!there is no text behind [en]"},
        {"a language twice", "[hi]\nx\n[HI]\ny", "hi", "![HI] is there twice"},
        {"text in front", "Hello\n[hi]\nx", "hi", "!there is text in front of the first language"},
        {"no UTF-8", "caf\xe9", "hi", "!a text that is not UTF-8"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_text_file file;
        struct th_err err = {0};
        bool is_ok = cases[i].text[0] != '!';

        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_text_file_parse(th_str(cases[i].file), &file, &err),
                         is_ok ? TH_OK : TH_INVALID);
        if (is_ok)
            assert_str_equal(th_text_file_pick(&file, th_str(cases[i].lang))->text,
                             th_str(cases[i].text));
        else
            assert_string_equal(err.text, cases[i].text + 1);
    }
}

static void test_files_are_bounded(void **unused)
{
    (void)unused;
    static char bytes[TH_TEXT_FILE_MAX + 1];
    struct th_text_file file;
    struct th_err err = {0};
    size_t n = 0;

    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(th_text_file_parse((struct th_str){bytes, sizeof bytes - 1}, &file, NULL),
                     TH_OK);
    assert_int_equal(th_text_file_parse((struct th_str){bytes, sizeof bytes}, &file, &err),
                     TH_INVALID);
    for (int i = 0; i <= TH_TEXT_SECTIONS_MAX; i++) {
        const char section[] = {'[', (char)('a' + i / 26), (char)('a' + i % 26), ']', '\n', 'x',
                                '\n'};
        memcpy(bytes + n, section, sizeof section);
        n += sizeof section;
    }
    assert_int_equal(th_text_file_parse((struct th_str){bytes, n}, &file, &err), TH_INVALID);
    assert_string_equal(err.text, "more than 32 languages");
}

static void test_languages_by_script(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        const char *language;
    } cases[] = {
        {"English", "Dear parents", "en"},
        {"Hindi", "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87", "hi"},
        {"Hindi with a name in Latin letters",
         "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87 Alexander",
         "hi"},
        {"one letter in an English text", "Dear parents of \xe0\xa4\xa8, good morning", "en"},
        {"Tamil", "\xe0\xae\xb5\xe0\xae\xa3", "ta"},
        {"Bengali with a danda", "\xe0\xa6\x95\xe0\xa5\xa4\xe0\xa5\xa4\xe0\xa5\xa4", "bn"},
        {"Urdu", "\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85", "ur"},
        {"no letters", "123!", "en"},
        {"nothing", "", "en"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_string_equal(th_script_language(th_str(cases[i].text)), cases[i].language);
    }
}

#define A     "\xe0\xa4\x85"     /* of Devanagari */
#define SMILE "\xf0\x9f\x98\x80" /* two UTF-16 units */
#define EURO  "\xe2\x82\xac"     /* two septets */

static void test_segments(void **unused)
{
    (void)unused;
    static const struct {
        size_t repeat;
        const char *text;
        size_t units;
        size_t segments;
        bool is_gsm;
    } cases[] = {
        {0, "a", 0, 0, true},          {1, "a", 1, 1, true},
        {160, "a", 160, 1, true},      {161, "a", 161, 2, true},
        {306, "a", 306, 2, true},      {307, "a", 307, 3, true},
        {80, EURO, 160, 1, true},      {81, EURO, 162, 2, true},
        {152, EURO, 304, 2, true},     {153, EURO, 306, 3, true},
        {70, A, 70, 1, false},         {71, A, 71, 2, false},
        {134, A, 134, 2, false},       {135, A, 135, 3, false},
        {35, SMILE, 70, 1, false},     {36, SMILE, 72, 2, false},
        {66, SMILE, 132, 2, false},    {67, SMILE, 134, 3, false},
        {1, "`", 1, 1, false},         {1, "\xe2\x82\xb9", 1, 1, false}, /* the rupee */
        {1, "{}[]~|^\\", 16, 1, true}, {1, "@\xc2\xa3$\xc3\xa9\n\r\xc3\x84\xce\xa9", 8, 1, true},
        {1, "\t", 1, 1, false},        {1, "\xe2\x80\x99", 1, 1, false},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char text[1024];
        size_t size = strlen(cases[i].text);
        size_t n = 0;

        for (size_t k = 0; k < cases[i].repeat; k++, n += size)
            memcpy(text + n, cases[i].text, size);
        struct th_sms sms = th_sms_measure((struct th_str){text, n});
        print_message("  %zu times %s\n", cases[i].repeat, cases[i].text);
        assert_int_equal(sms.units, cases[i].units);
        assert_int_equal(sms.segments, cases[i].segments);
        assert_int_equal(sms.is_gsm, cases[i].is_gsm);
    }
}

/* The whole 7-bit alphabet: 128 places, one of which is the escape, and ten behind it. */
static void test_the_alphabet_is_complete(void **unused)
{
    (void)unused;
    size_t single = 0;
    size_t doubled = 0;

    for (uint32_t c = 1; c < 0xd800; c++) {
        char text[4];
        size_t n = 0;

        if (c < 0x80)
            text[n++] = (char)c;
        else if (c < 0x800) {
            text[n++] = (char)(0xc0 | c >> 6);
            text[n++] = (char)(0x80 | (c & 0x3f));
        } else {
            text[n++] = (char)(0xe0 | c >> 12);
            text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
            text[n++] = (char)(0x80 | (c & 0x3f));
        }
        struct th_sms sms = th_sms_measure((struct th_str){text, n});
        single += sms.is_gsm && sms.units == 1;
        doubled += sms.is_gsm && sms.units == 2;
    }
    assert_int_equal(single, 127);
    assert_int_equal(doubled, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),         cmocka_unit_test(test_sections),
        cmocka_unit_test(test_files_are_bounded), cmocka_unit_test(test_languages_by_script),
        cmocka_unit_test(test_segments),          cmocka_unit_test(test_the_alphabet_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
