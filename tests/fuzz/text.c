/* What a campaign says: the file, its sections, and the rendering. The first line is the value
 * that takes the place of {name}. */
#include "common/script.h"
#include "common/sms.h"
#include "common/template.h"
#include "common/text_file.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    const struct th_var vars[] = {{TH_STR("name"), fuzz_field(&in, '\n')},
                                  {TH_STR("lang"), TH_STR("hi")}};
    struct th_text_file file;
    struct th_err err = {0};

    enum th_code code = th_text_file_parse(in, &file, &err);
    assert(code == TH_OK || code == TH_INVALID);
    assert((code == TH_OK) == (err.text[0] == '\0'));
    if (code != TH_OK)
        return 0;
    assert(file.count >= 1 && file.count <= TH_TEXT_SECTIONS_MAX);
    assert(th_text_file_pick(&file, TH_STR("hi-IN")) != NULL);
    for (size_t i = 0; i < file.count; i++) {
        TH_AUTO(th_buf) struct th_buf out = {0};
        struct th_str text = file.sections[i].text;

        assert(text.n > 0 && text.p >= in.p && text.p + text.n <= in.p + in.n);
        assert(th_script_language(text) != NULL);
        enum th_code dry = th_template_render(text, vars, TH_LEN(vars), NULL, NULL);
        code = th_template_render(text, vars, TH_LEN(vars), &out, NULL);
        assert(code == dry && (code == TH_OK || code == TH_INVALID));
    }
    return 0;
}
