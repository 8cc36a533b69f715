#include "connectors/sandbox/twiml.h"

#include <string.h>

struct reader {
    struct th_str rest;
    struct th_str open[TWIML_DEPTH_MAX]; /* names of the elements around us */
    size_t depth;
    size_t say_depth; /* of the <Say> we are in; 0: in none */
    struct th_buf *said;
    struct th_err *err;
};

static enum th_code malformed(struct reader *r, const char *what)
{
    return th_fail(r->err, TH_MALFORMED, "%s, before \"%.*s\"", what,
                   (int)(r->rest.n < 20 ? r->rest.n : 20), r->rest.n ? r->rest.p : "");
}

static void skip(struct reader *r, size_t n)
{
    r->rest.p += n;
    r->rest.n -= n;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct reader *r)
{
    while (r->rest.n && is_space(r->rest.p[0]))
        skip(r, 1);
}

static bool take(struct reader *r, const char *text)
{
    if (!th_str_starts(r->rest, th_str(text)))
        return false;
    skip(r, strlen(text));
    return true;
}

/* What stands before end, which is skipped too. */
static bool take_until(struct reader *r, const char *end, struct th_str *out)
{
    size_t n = strlen(end);
    const char *at = r->rest.n ? memmem(r->rest.p, r->rest.n, end, n) : NULL;

    if (!at)
        return false;
    *out = (struct th_str){r->rest.p, (size_t)(at - r->rest.p)};
    skip(r, out->n + n);
    return true;
}

static bool is_name_byte(char c, bool is_first)
{
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    bool is_other = (c >= '0' && c <= '9') || c == '-' || c == '.';

    return is_letter || (!is_first && is_other);
}

static bool take_name(struct reader *r, struct th_str *out)
{
    size_t n = 0;

    while (n < r->rest.n && is_name_byte(r->rest.p[n], n == 0))
        n++;
    *out = (struct th_str){r->rest.p, n};
    skip(r, n);
    return n > 0;
}

/* Append one code point as UTF-8; false for one that XML does not have. */
static bool add_character(struct th_buf *out, int64_t c)
{
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
        return false;
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c == 0xfffe || c == 0xffff)
        return false;
    if (c < 0x80) {
        th_buf_add_char(out, (char)c);
        return true;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    th_buf_add_char(out, (char)(leads[more] | (c >> (6 * more))));
    while (more--)
        th_buf_add_char(out, (char)(0x80 | ((c >> (6 * more)) & 0x3f)));
    return true;
}

static bool hex_value(struct th_str digits, int64_t *out)
{
    int64_t value = 0;

    if (digits.n == 0 || digits.n > 6)
        return false;
    for (size_t i = 0; i < digits.n; i++) {
        char c = digits.p[i];
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            value = value * 16 + ((c | 32) - 'a' + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

/* name stands between "&" and ";". */
static bool add_entity(struct th_buf *out, struct th_str name)
{
    static const struct {
        const char *name;
        char is;
    } named[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    int64_t c;

    for (size_t i = 0; i < TH_LEN(named); i++)
        if (th_str_eq(name, th_str(named[i].name))) {
            th_buf_add_char(out, named[i].is);
            return true;
        }
    if (th_str_starts(name, TH_STR("#x")))
        return hex_value((struct th_str){name.p + 2, name.n - 2}, &c) && add_character(out, c);
    if (th_str_starts(name, TH_STR("#")))
        return th_str_int((struct th_str){name.p + 1, name.n - 1}, 0, 0x10ffff, &c) &&
               add_character(out, c);
    return false;
}

/* Decode text into out; false at an entity that is none. */
static bool add_text(struct th_buf *out, struct th_str text)
{
    while (text.n) {
        struct th_str plain;
        struct th_str name;

        bool is_entity = th_str_cut(text, '&', &plain, &text);
        th_buf_add(out, plain);
        if (is_entity && (!th_str_cut(text, ';', &name, &text) || !add_entity(out, name)))
            return false;
    }
    return true;
}

static enum th_code read_text(struct reader *r, struct th_str text, bool is_literal)
{
    if (r->depth == 0) {
        if (th_str_trim(text).n || is_literal)
            return malformed(r, "text outside the root element");
        return TH_OK;
    }
    size_t before = r->said->n;
    if (is_literal)
        th_buf_add(r->said, text);
    else if (!add_text(r->said, text))
        return malformed(r, "an entity that does not exist");
    if (!r->say_depth)
        r->said->n = before;
    return TH_OK;
}

static enum th_code read_attributes(struct reader *r)
{
    for (;;) {
        struct th_str name;
        struct th_str value;
        size_t before = r->rest.n;

        skip_space(r);
        if (!r->rest.n || r->rest.p[0] == '>' || r->rest.p[0] == '/')
            return TH_OK;
        if (before == r->rest.n || !take_name(r, &name))
            return malformed(r, "not an attribute");
        skip_space(r);
        if (!take(r, "="))
            return malformed(r, "an attribute without a value");
        skip_space(r);
        if (take(r, "\"") ? !take_until(r, "\"", &value)
                          : !take(r, "'") || !take_until(r, "'", &value))
            return malformed(r, "an attribute value without quotes");

        size_t length = r->said->n;
        bool is_good = !memchr(value.p, '<', value.n) && add_text(r->said, value);
        r->said->n = length;
        if (!is_good)
            return malformed(r, "an attribute value that XML does not allow");
    }
}

static void close_element(struct reader *r)
{
    if (r->say_depth == r->depth) {
        r->say_depth = 0;
        th_buf_add_char(r->said, '\n');
    }
    r->depth--;
}

static enum th_code read_start(struct reader *r)
{
    struct th_str name;

    if (!take_name(r, &name))
        return malformed(r, "not the name of an element");
    if (r->depth == 0 && !th_str_eq(name, TH_STR("Response")))
        return th_fail(r->err, TH_INVALID, "the root element is not <Response>");
    if (r->depth == TWIML_DEPTH_MAX)
        return malformed(r, "elements nested too deep");
    r->open[r->depth++] = name;
    if (!r->say_depth && th_str_eq(name, TH_STR("Say")))
        r->say_depth = r->depth;

    TH_TRY(read_attributes(r));
    if (take(r, "/>"))
        close_element(r);
    else if (!take(r, ">"))
        return malformed(r, "a tag that does not end");
    return TH_OK;
}

static enum th_code read_end(struct reader *r)
{
    struct th_str name;

    if (!take_name(r, &name) || r->depth == 0 || !th_str_eq(name, r->open[r->depth - 1]))
        return malformed(r, "an end tag without its start");
    skip_space(r);
    if (!take(r, ">"))
        return malformed(r, "an end tag that does not end");
    close_element(r);
    return TH_OK;
}

static enum th_code read_tag(struct reader *r)
{
    struct th_str inside;

    if (take(r, "<!--"))
        return take_until(r, "-->", &inside) ? TH_OK : malformed(r, "a comment without end");
    if (take(r, "<![CDATA["))
        return take_until(r, "]]>", &inside) ? read_text(r, inside, true)
                                             : malformed(r, "CDATA without end");
    if (take(r, "</"))
        return read_end(r);
    if (!take(r, "<"))
        return malformed(r, "not a tag");
    return read_start(r);
}

/* The root element, and comments around it. */
static enum th_code read_document(struct reader *r)
{
    bool is_begun = false;

    for (;;) {
        const char *tag = r->rest.n ? memchr(r->rest.p, '<', r->rest.n) : NULL;
        struct th_str text = {r->rest.p, tag ? (size_t)(tag - r->rest.p) : r->rest.n};

        skip(r, text.n);
        TH_TRY(read_text(r, text, false));
        if (!tag)
            break;
        bool is_comment = th_str_starts(r->rest, TH_STR("<!--"));
        if (is_begun && r->depth == 0 && !is_comment)
            return malformed(r, "a second root element");
        TH_TRY(read_tag(r));
        is_begun = is_begun || !is_comment;
    }
    if (!is_begun || r->depth)
        return malformed(r, "the document ends too early");
    return TH_OK;
}

enum th_code twiml_say(struct th_str document, struct th_buf *said, struct th_err *err)
{
    struct reader r = {.rest = th_str_trim(document), .said = said, .err = err};
    size_t before = said->n;
    struct th_str declaration;

    if (take(&r, "<?xml") && !take_until(&r, "?>", &declaration))
        return malformed(&r, "a declaration without end");
    TH_TRY(read_document(&r));
    if (th_buf_status(said) != TH_OK)
        return th_fail(err, TH_NOMEM, "TwiML");
    if (th_str_trim((struct th_str){said->p ? said->p + before : NULL, said->n - before}).n == 0)
        return th_fail(err, TH_NOT_FOUND, "there is no <Say> with a text in it");
    return TH_OK;
}
