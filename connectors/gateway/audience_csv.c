#include "connectors/gateway/audience_csv.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "common/csv.h"
#include "common/phone.h"

#define SEPARATOR    '\x1f' /* between a row's variables */
#define NAME_MAX     64
#define LANG_MAX     35
#define VARIABLE_MAX 2000 /* bytes of one value */

/* Not the row's fault: the whole part fails. */
static const char no_memory[] = "there is no memory left";

struct reading {
    struct audience_csv *out;
    struct th_arena *arena;
    const char *country;
    int64_t first_row;
    size_t phone;         /* columns: where each of the row's fields goes */
    size_t lang;          /* SIZE_MAX: none */
    struct th_str *names; /* of all columns */
    size_t names_n;
    struct th_err *err;
};

static bool is_named(struct th_str name, const char *wanted)
{
    return name.n == strlen(wanted) && strncasecmp(name.p, wanted, name.n) == 0;
}

/* --- the header
 * ------------------------------------------------------------------------------------ */

/* What can stand between braces in a text. */
static bool name_is_valid(struct th_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x20 || c == 0x7f || c == '{' || c == '}')
            return false;
    }
    return name.n >= 1 && name.n <= NAME_MAX;
}

/* phone and lang are themselves in any case; variables are written as they are used. */
static bool same_name(struct th_str a, struct th_str b)
{
    return th_str_eq(a, b) || (is_named(a, "phone") && is_named(b, "phone")) ||
           (is_named(a, "lang") && is_named(b, "lang"));
}

static enum th_code add_name(struct reading *reading, struct th_str name)
{
    for (size_t k = 0; k < reading->names_n; k++)
        if (same_name(reading->names[k], name))
            return th_fail(reading->err, TH_MALFORMED, "the column '%.*s' stands there twice",
                           TH_ARG(name));
    if (th_arena_copy(reading->arena, name, &reading->names[reading->names_n]) != TH_OK)
        return th_fail(reading->err, TH_NOMEM, "header");
    reading->names_n++;
    return TH_OK;
}

static enum th_code read_header(struct reading *reading, const struct th_csv *csv)
{
    struct th_str *variables = th_arena_array(reading->arena, csv->count + 1, sizeof *variables);
    size_t n = 0;

    reading->names = th_arena_array(reading->arena, csv->count + 1, sizeof *reading->names);
    if (!variables || !reading->names)
        return th_fail(reading->err, TH_NOMEM, "header");
    if (csv->count > AUDIENCE_COLUMNS_MAX)
        return th_fail(reading->err, TH_MALFORMED, "%zu columns, at most %d", csv->count,
                       AUDIENCE_COLUMNS_MAX);
    reading->phone = reading->lang = SIZE_MAX;
    for (size_t i = 0; i < csv->count; i++) {
        struct th_str name = th_str_trim(csv->fields[i]);
        if (!name_is_valid(name))
            return th_fail(reading->err, TH_MALFORMED,
                           "column %zu of the header: a name of 1 to %d bytes without braces",
                           i + 1, NAME_MAX);
        TH_TRY(add_name(reading, name));
        if (is_named(name, "phone"))
            reading->phone = i;
        else if (is_named(name, "lang"))
            reading->lang = i;
        else
            variables[n++] = reading->names[i];
    }
    if (reading->phone == SIZE_MAX)
        return th_fail(reading->err, TH_MALFORMED, "the header has no column phone");
    reading->out->columns = (struct string_array){variables, n};
    return TH_OK;
}

/* --- rows
 * -------------------------------------------------------------------------------------------- */

static enum th_code reject(struct reading *reading, int64_t row, struct th_str column,
                           const char *reason)
{
    struct audience_csv *out = reading->out;

    out->rejected_total++;
    if (out->rejected_n == AUDIENCE_REJECTED_MAX)
        return TH_OK;
    if (!column.p)
        return th_fail(reading->err, TH_NOMEM, "rejected rows");
    struct rejected_row *at = &out->rejected[out->rejected_n];
    at->row = row;
    at->column = column;
    if (th_arena_copy(reading->arena, th_str(reason), &at->reason) != TH_OK)
        return th_fail(reading->err, TH_NOMEM, "rejected rows");
    out->rejected_n++;
    return TH_OK;
}

static struct th_str column_name(const struct reading *reading, size_t index)
{
    return index < reading->names_n ? reading->names[index]
                                    : th_arena_printf(reading->arena, "%zu", index + 1);
}

static bool lang_is_valid(struct th_str lang)
{
    for (size_t i = 0; i < lang.n; i++) {
        char c = lang.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c == '-' && i > 0)))
            return false;
    }
    return lang.n != 1 && lang.n <= LANG_MAX;
}

/* The values in the order of the columns; NULL, or what is wrong with the column *out_bad. */
static const char *join_variables(struct reading *reading, const struct th_csv *csv,
                                  struct th_str *out, size_t *out_bad)
{
    size_t size = 0;

    for (size_t i = 0; i < csv->count; i++) {
        *out_bad = i;
        if (i == reading->phone || i == reading->lang)
            continue;
        if (csv->fields[i].n > VARIABLE_MAX)
            return "longer than 2000 bytes";
        if (csv->fields[i].n && memchr(csv->fields[i].p, SEPARATOR, csv->fields[i].n))
            return "holds a control character";
        size += csv->fields[i].n + 1;
    }
    char *to = th_arena_alloc(reading->arena, size + 1);
    if (!to)
        return no_memory;
    *out = (struct th_str){to, 0};
    for (size_t i = 0; i < csv->count; i++) {
        if (i == reading->phone || i == reading->lang)
            continue;
        if (out->n)
            to[out->n - 1] = SEPARATOR;
        if (csv->fields[i].n)
            memcpy(to + out->n, csv->fields[i].p, csv->fields[i].n);
        out->n += csv->fields[i].n + 1;
    }
    if (out->n)
        out->n--;
    return NULL;
}

/* NULL, or what is wrong with the column *out_bad. */
static const char *read_fields(struct reading *reading, const struct th_csv *csv, int64_t number,
                               size_t *out_bad, struct th_err *why)
{
    struct audience_row *row = &reading->out->rows[reading->out->rows_n];
    struct th_phone phone;
    struct th_str lang = {0};

    *out_bad = csv->count < reading->names_n ? csv->count : reading->names_n;
    if (csv->count != reading->names_n)
        return csv->count < reading->names_n ? "this column is missing"
                                             : "more fields than columns";
    *out_bad = reading->phone;
    if (th_phone_parse(csv->fields[reading->phone], reading->country, &phone, why) != TH_OK)
        return why->text;
    if (reading->lang != SIZE_MAX) {
        lang = th_str_trim(csv->fields[reading->lang]);
        *out_bad = reading->lang;
        if (!lang_is_valid(lang))
            return "no language tag, as hi or en-IN";
    }
    struct th_str text = {0};
    const char *wrong = join_variables(reading, csv, &text, out_bad);
    if (wrong)
        return wrong;
    struct th_str number_text = {0};
    if (th_arena_copy(reading->arena, th_str(phone.text), &number_text) != TH_OK ||
        th_arena_copy(reading->arena, lang, &lang) != TH_OK)
        return no_memory;
    *row = (struct audience_row){
        .phone = {.is = STRING_OR_SEALED_STRING, .as.string = number_text},
        .lang = lang,
        .variables = {.is = STRING_OR_SEALED_STRING, .as.string = text},
        .source_row = (int32_t)number,
    };
    return NULL;
}

static enum th_code read_row(struct reading *reading, const struct th_csv *csv, int64_t number)
{
    struct th_err why = {0};
    size_t bad = 0;
    const char *wrong = read_fields(reading, csv, number, &bad, &why);

    if (wrong == no_memory)
        return th_fail(reading->err, TH_NOMEM, "row %" PRId64, number);
    if (wrong)
        return reject(reading, number, column_name(reading, bad), wrong);
    reading->out->rows_n++;
    return TH_OK;
}

static enum th_code read_rows(struct reading *reading, struct th_csv *csv)
{
    for (int64_t rows = 0;; rows++) {
        enum th_csv_step step = th_csv_next(csv);
        int64_t number = reading->first_row + rows;
        if (step == TH_CSV_END || step == TH_CSV_MORE)
            return TH_OK;
        if (rows == AUDIENCE_ROWS_MAX)
            return th_fail(reading->err, TH_FULL, "more than %d rows", AUDIENCE_ROWS_MAX);
        if (step == TH_CSV_ROW)
            TH_TRY(read_row(reading, csv, number));
        else
            TH_TRY(reject(reading, number, column_name(reading, csv->column - 1), csv->reason));
    }
}

static enum th_code read_all(struct reading *reading, struct th_csv *csv, struct th_str bytes)
{
    struct audience_csv *out = reading->out;

    out->rows = th_arena_array(reading->arena, AUDIENCE_ROWS_MAX, sizeof *out->rows);
    out->rejected = th_arena_array(reading->arena, AUDIENCE_REJECTED_MAX, sizeof *out->rejected);
    if (!out->rows || !out->rejected || th_csv_push(csv, bytes) != TH_OK)
        return th_fail(reading->err, TH_NOMEM, "a part of %zu bytes", bytes.n);
    th_csv_finish(csv);
    switch (th_csv_next(csv)) {
    case TH_CSV_ROW:
        TH_TRY(read_header(reading, csv));
        return read_rows(reading, csv);
    case TH_CSV_BAD:
        return th_fail(reading->err, TH_MALFORMED, "column %zu of the header: %s", csv->column,
                       csv->reason);
    case TH_CSV_MORE:
    case TH_CSV_END:
        break;
    }
    return th_fail(reading->err, TH_MALFORMED, "there is no header");
}

enum th_code audience_csv_read(struct th_str bytes, const char *country, int64_t first_row,
                               struct th_arena *arena, struct audience_csv *out_csv,
                               struct th_err *err)
{
    struct audience_csv result = {0};
    struct reading reading = {
        .out = &result, .arena = arena, .country = country, .first_row = first_row, .err = err};
    struct th_csv csv = {0};

    enum th_code code = read_all(&reading, &csv, bytes);
    th_csv_fini(&csv);
    if (code == TH_OK)
        *out_csv = result;
    return code;
}
