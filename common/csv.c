#include "common/csv.h"

#include <assert.h>
#include <string.h>

/* Where in a row the search for its end stands. */
enum {
    AT_FIELD, /* its first character */
    IN_PLAIN,
    IN_QUOTED,
    AT_QUOTE, /* behind a quote within quotes: the first of two, or the closing one */
};

void th_csv_fini(struct th_csv *csv)
{
    th_buf_fini(&csv->window);
    th_buf_fini(&csv->unquoted);
    *csv = (struct th_csv){0};
}

static struct th_str unread(const struct th_csv *csv)
{
    return csv->window.p ? (struct th_str){csv->window.p + csv->used, csv->window.n - csv->used}
                         : (struct th_str){NULL, 0};
}

enum th_code th_csv_push(struct th_csv *csv, struct th_str bytes)
{
    struct th_str kept = unread(csv);

    if (kept.n)
        memmove(csv->window.p, kept.p, kept.n);
    csv->window.n = kept.n;
    csv->used = 0;
    th_buf_add(&csv->window, bytes);
    th_buf_clear(&csv->unquoted);
    if (!th_buf_reserve(&csv->unquoted, TH_CSV_ROW_MAX)) /* so that th_csv_next cannot fail */
        return TH_NOMEM;
    return th_buf_status(&csv->window);
}

void th_csv_finish(struct th_csv *csv)
{
    csv->is_finished = true;
}

/* Leave n bytes behind, which hold so many line ends. */
static void consume(struct th_csv *csv, size_t n, int64_t lines)
{
    csv->used += n;
    csv->lines += lines;
    csv->scanned = 0;
    csv->state = AT_FIELD;
}

static int64_t count_lines(struct th_str text)
{
    int64_t count = 0;

    for (const char *at; text.n && (at = memchr(text.p, '\n', text.n)); count++) {
        text.n -= (size_t)(at + 1 - text.p);
        text.p = at + 1;
    }
    return count;
}

/* A mark at the beginning says UTF-8; it is no part of the first field. False: too few bytes. */
static bool skip_mark(struct th_csv *csv)
{
    struct th_str rest = unread(csv);

    if (csv->is_begun)
        return true;
    if (rest.n < 3 && !csv->is_finished)
        return false;
    if (th_str_starts(rest, TH_STR("\xef\xbb\xbf")))
        csv->used += 3;
    csv->is_begun = true;
    return true;
}

static enum th_csv_step bad(struct th_csv *csv, size_t column, const char *reason)
{
    csv->column = column;
    csv->reason = reason;
    return TH_CSV_BAD;
}

/* Behind the next line end, whatever quotes say. False: it has not come yet. */
static bool skip_line(struct th_csv *csv)
{
    struct th_str rest = unread(csv);
    const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

    csv->is_skipping = !end && !csv->is_finished;
    consume(csv, end ? (size_t)(end + 1 - rest.p) : rest.n, end != NULL);
    return !csv->is_skipping;
}

/* The column that offset lies in, as far as commas outside of quotes tell. */
static size_t column_at(struct th_str row, size_t offset)
{
    size_t column = 1;
    bool is_quoted = false;

    for (size_t i = 0; i < offset && i < row.n; i++) {
        if (row.p[i] == '"')
            is_quoted = !is_quoted;
        column += row.p[i] == ',' && !is_quoted;
    }
    return column;
}

/* Cut one field off row, in place: *is_last if no comma follows. NULL, or what is wrong. */
static const char *take_plain(struct th_str *row, struct th_str *out_field, bool *is_last)
{
    *is_last = !th_str_cut(*row, ',', out_field, row);
    if (out_field->n && memchr(out_field->p, '"', out_field->n))
        return "a quote inside a field that does not begin with one";
    if (out_field->n && memchr(out_field->p, '\r', out_field->n))
        return "a carriage return inside a field";
    return NULL;
}

/* Offset of the quote that closes the field at the beginning of row; row.n if there is none. */
static size_t find_closing(struct th_str row, bool *has_doubled)
{
    size_t i = 1;

    *has_doubled = false;
    for (; i < row.n; i++) {
        if (row.p[i] != '"')
            continue;
        if (i + 1 == row.n || row.p[i + 1] != '"')
            break;
        *has_doubled = true;
        i++;
    }
    return i < row.n ? i : row.n;
}

static struct th_str undouble(struct th_csv *csv, struct th_str field)
{
    size_t from = csv->unquoted.n;

    for (size_t i = 0; i < field.n; i++) {
        th_buf_add_char(&csv->unquoted, field.p[i]);
        i += field.p[i] == '"';
    }
    return (struct th_str){csv->unquoted.p + from, csv->unquoted.n - from};
}

static const char *take_quoted(struct th_csv *csv, struct th_str *row, struct th_str *out_field,
                               bool *is_last)
{
    bool has_doubled;
    size_t end = find_closing(*row, &has_doubled);

    if (end == row->n)
        return "a quote that is not closed";
    struct th_str field = {row->p + 1, end - 1};
    struct th_str rest = {row->p + end + 1, row->n - end - 1};
    if (rest.n && rest.p[0] != ',')
        return "text behind a closing quote";
    *out_field = has_doubled ? undouble(csv, field) : field;
    *is_last = rest.n == 0;
    *row = *is_last ? rest : (struct th_str){rest.p + 1, rest.n - 1};
    return NULL;
}

static const char *check_field(struct th_str field)
{
    if (field.n > TH_CSV_FIELD_MAX)
        return "a field of more than 8192 bytes";
    if (!th_str_is_utf8(field))
        return "not UTF-8";
    if (field.n && memchr(field.p, '\0', field.n))
        return "a NUL character";
    return NULL;
}

static enum th_csv_step take_fields(struct th_csv *csv, struct th_str row)
{
    bool is_last = false;

    csv->count = 0;
    csv->unquoted.n = 0;
    while (!is_last) {
        struct th_str field = {NULL, 0};
        size_t column = csv->count + 1;

        if (column > TH_CSV_FIELDS_MAX)
            return bad(csv, column, "more than 200 columns");
        const char *reason = row.n && row.p[0] == '"' ? take_quoted(csv, &row, &field, &is_last)
                                                      : take_plain(&row, &field, &is_last);
        if (!reason)
            reason = check_field(field);
        if (reason)
            return bad(csv, column, reason);
        csv->fields[csv->count++] = field;
    }
    return TH_CSV_ROW;
}

static int step_over(int state, char c)
{
    if (state == IN_QUOTED)
        return c == '"' ? AT_QUOTE : IN_QUOTED;
    if (c == '"' && state != IN_PLAIN) /* a quote inside a plain field opens nothing */
        return IN_QUOTED;
    return c == ',' ? AT_FIELD : IN_PLAIN;
}

/* Bytes of the row that begins at used, without its line end; SIZE_MAX if it has not come yet or
 * would make the row too long: then scanned is past TH_CSV_ROW_MAX. */
static size_t find_end(struct th_csv *csv)
{
    struct th_str rest = unread(csv);

    for (; csv->scanned < rest.n && csv->scanned <= TH_CSV_ROW_MAX; csv->scanned++) {
        char c = rest.p[csv->scanned];

        if (c == '\n' && csv->state != IN_QUOTED)
            return csv->scanned;
        csv->state = step_over(csv->state, c);
    }
    return SIZE_MAX;
}

/* The row cannot be read as it stands: it costs the line on which it begins, no more. */
static enum th_csv_step give_line_up(struct th_csv *csv, const char *reason)
{
    struct th_str rest = unread(csv);
    size_t column = column_at(rest, rest.n < TH_CSV_ROW_MAX ? rest.n : TH_CSV_ROW_MAX);

    (void)skip_line(csv); /* if its end has not come, the next call goes on skipping */
    return bad(csv, column, reason);
}

/* whole is the row without its line feed, if it has one. */
static enum th_csv_step take_row(struct th_csv *csv, struct th_str whole)
{
    bool has_end = whole.n < unread(csv).n;
    struct th_str row = whole;
    int64_t inner = count_lines(whole);

    if (row.n && row.p[row.n - 1] == '\r')
        row.n--;
    enum th_csv_step step = take_fields(csv, row);
    /* A bad row of several lines may have taken in good ones by a stray quote. */
    if (step == TH_CSV_BAD && inner)
        (void)skip_line(csv);
    else
        consume(csv, whole.n + has_end, inner + has_end);
    return step;
}

static bool skip_empty_lines(struct th_csv *csv)
{
    struct th_str rest = unread(csv);
    size_t n = th_str_starts(rest, TH_STR("\r\n")) ? 2 : th_str_starts(rest, TH_STR("\n")) ? 1 : 0;

    if (n)
        consume(csv, n, 1);
    return n > 0;
}

enum th_csv_step th_csv_next(struct th_csv *csv)
{
    if (!skip_mark(csv) || (csv->is_skipping && !skip_line(csv)))
        return TH_CSV_MORE;
    while (skip_empty_lines(csv))
        continue;

    struct th_str rest = unread(csv);
    size_t size = find_end(csv);
    bool is_over = csv->scanned > TH_CSV_ROW_MAX;
    if (size == SIZE_MAX && !is_over && !csv->is_finished)
        return TH_CSV_MORE;
    if (rest.n == 0)
        return TH_CSV_END;

    csv->number = csv->rows++;
    csv->line = csv->lines + 1;
    if (size == SIZE_MAX && csv->state == IN_QUOTED)
        return give_line_up(csv, "a quote that is not closed");
    if (is_over)
        return give_line_up(csv, "a row of more than 65536 bytes");
    return take_row(csv, (struct th_str){rest.p, size == SIZE_MAX ? rest.n : size});
}
