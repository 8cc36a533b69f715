#include "common/text_file.h"

#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "hi", "mai", "zh-Hant", "en-IN" */
static bool is_lang(struct th_str s)
{
    size_t run = 0;
    bool is_first = true;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '-') {
            if (run < 2 || (is_first && run > 3))
                return false;
            run = 0;
            is_first = false;
        } else if (is_letter(s.p[i]) || (!is_first && s.p[i] >= '0' && s.p[i] <= '9'))
            run++;
        else
            return false;
    }
    return run >= 2 && run <= (is_first ? 3 : 8);
}

/* Is the line the beginning of a section, and of which language? */
static bool is_heading(struct th_str line, struct th_str *out_lang)
{
    line = th_str_trim(line);
    if (line.n < 4 || line.p[0] != '[' || line.p[line.n - 1] != ']')
        return false;
    *out_lang = (struct th_str){line.p + 1, line.n - 2};
    return is_lang(*out_lang);
}

static bool same_lang(struct th_str a, struct th_str b)
{
    return a.n == b.n && strncasecmp(a.p ? a.p : "", b.p ? b.p : "", a.n) == 0;
}

static const struct th_text_section *find(const struct th_text_file *file, struct th_str lang)
{
    for (size_t i = 0; i < file->count; i++)
        if (same_lang(file->sections[i].lang, lang))
            return &file->sections[i];
    return NULL;
}

/* The last section ends at end. */
static enum th_code close_section(struct th_text_file *file, const char *end, struct th_err *err)
{
    struct th_text_section *last = &file->sections[file->count - 1];

    last->text.n = (size_t)(end - last->text.p);
    last->text = th_str_trim(last->text);
    if (last->text.n)
        return TH_OK;
    if (last->lang.n)
        return th_fail(err, TH_INVALID, "there is no text behind [%.*s]", TH_ARG(last->lang));
    return th_fail(err, TH_INVALID, "there is no text");
}

static enum th_code open_section(struct th_text_file *file, struct th_str lang, const char *begin,
                                 struct th_err *err)
{
    if (find(file, lang))
        return th_fail(err, TH_INVALID, "[%.*s] is there twice", TH_ARG(lang));
    if (file->count == TH_TEXT_SECTIONS_MAX)
        return th_fail(err, TH_INVALID, "more than %d languages", TH_TEXT_SECTIONS_MAX);
    file->sections[file->count++] = (struct th_text_section){lang, {begin, 0}};
    return TH_OK;
}

/* What stands above a heading: nothing in front of the first, else a section. */
static enum th_code end_at(struct th_text_file *file, struct th_str before, const char *end,
                           struct th_err *err)
{
    if (file->count)
        return close_section(file, end, err);
    before.n = (size_t)(end - before.p);
    if (th_str_trim(before).n)
        return th_fail(err, TH_INVALID, "there is text in front of the first language");
    return TH_OK;
}

enum th_code th_text_file_parse(struct th_str bytes, struct th_text_file *out_file,
                                struct th_err *err)
{
    struct th_text_file file = {0};
    struct th_str line;
    struct th_str lang;

    if (bytes.n > TH_TEXT_FILE_MAX)
        return th_fail(err, TH_INVALID, "a text of more than %d bytes", TH_TEXT_FILE_MAX);
    if (!th_str_is_utf8(bytes) || (bytes.n && memchr(bytes.p, '\0', bytes.n)))
        return th_fail(err, TH_INVALID, "a text that is not UTF-8");
    if (th_str_starts(bytes, TH_STR("\xef\xbb\xbf")))
        bytes = (struct th_str){bytes.p + 3, bytes.n - 3};

    struct th_str rest = bytes;
    for (bool is_more = true; is_more;) {
        is_more = th_str_cut(rest, '\n', &line, &rest);
        if (!is_heading(line, &lang))
            continue;
        TH_TRY(end_at(&file, bytes, line.p, err));
        TH_TRY(open_section(&file, lang, line.p + line.n, err));
    }
    if (file.count == 0)
        TH_TRY(open_section(&file, TH_STR(""), bytes.p ? bytes.p : "", err));
    TH_TRY(close_section(&file, bytes.p ? bytes.p + bytes.n : file.sections[0].text.p, err));
    *out_file = file;
    return TH_OK;
}

const struct th_text_section *th_text_file_pick(const struct th_text_file *file, struct th_str lang)
{
    const struct th_text_section *section = find(file, lang);
    struct th_str rest;

    if (!section && th_str_cut(lang, '-', &lang, &rest))
        section = find(file, lang);
    return section ? section : &file->sections[0];
}
