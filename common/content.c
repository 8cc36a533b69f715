#include "common/content.h"

#include "common/script.h"
#include "common/template.h"
#include "common/text_file.h"

#define VARIABLES_MAX 64
#define SEPARATOR     '\x1f'

static const struct text_section *pick(const struct text_section_array *texts, struct th_str lang)
{
    struct th_text_file file = {0};

    for (size_t i = 0; i < texts->n && file.count < TH_TEXT_SECTIONS_MAX; i++)
        file.sections[file.count++] = (struct th_text_section){
            .lang = texts->at[i].lang, .text = content_plain(&texts->at[i].text)};
    if (file.count == 0)
        return NULL;
    return &texts->at[th_text_file_pick(&file, lang) - file.sections];
}

/* Values stand in the order of the columns. A row with fewer leaves the rest empty. */
static size_t variables_of(const struct string_array *columns, struct th_str values,
                           struct th_var vars[VARIABLES_MAX])
{
    size_t n = 0;

    for (; n < columns->n && n < VARIABLES_MAX; n++) {
        struct th_str value;
        th_str_cut(values, SEPARATOR, &value, &values);
        vars[n] = (struct th_var){columns->at[n], value};
    }
    return n;
}

enum th_code content_render(const struct text_section_array *texts,
                            const struct string_array *columns, const struct audience_row *row,
                            struct th_arena *arena, struct th_str *out_text,
                            struct th_str *out_lang, struct th_err *err)
{
    struct th_var vars[VARIABLES_MAX + 2];
    TH_AUTO(th_buf) struct th_buf text = {0};
    const struct text_section *section = pick(texts, row->lang);

    if (!section)
        return th_fail(err, TH_INVALID, "the campaign has no text");
    size_t n = variables_of(columns, content_plain(&row->variables), vars);
    vars[n++] = (struct th_var){TH_STR("phone"), content_plain(&row->phone)};
    vars[n++] = (struct th_var){TH_STR("lang"), row->lang};
    TH_TRY(th_template_render(content_plain(&section->text), vars, n, &text, err));
    TH_TRY(th_buf_status(&text));
    TH_TRY(th_arena_copy(arena, th_buf_str(&text), out_text));
    if (row->lang.n)
        *out_lang = row->lang;
    else
        *out_lang = section->lang.n ? section->lang : th_str(th_script_language(*out_text));
    return TH_OK;
}
