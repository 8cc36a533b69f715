#include "processors/cli/split.h"

#include <errno.h>
#include <string.h>

#define READ_SIZE 65536

void split_fini(struct split *split)
{
    th_buf_fini(&split->part);
    th_buf_fini(&split->header);
    th_buf_fini(&split->row);
    th_csv_fini(&split->csv);
}

/* Quoted where it must be, and nothing else changed: the gateway sees what the file says. */
static void put_field(struct th_buf *out, struct th_str field)
{
    bool is_plain = field.n > 0 && !memchr(field.p, '"', field.n) &&
                    !memchr(field.p, ',', field.n) && !memchr(field.p, '\n', field.n) &&
                    !memchr(field.p, '\r', field.n) && th_str_trim(field).n == field.n;

    if (is_plain) {
        th_buf_add(out, field);
        return;
    }
    th_buf_add_char(out, '"');
    for (size_t i = 0; i < field.n; i++) {
        if (field.p[i] == '"')
            th_buf_add_char(out, '"');
        th_buf_add_char(out, field.p[i]);
    }
    th_buf_add_char(out, '"');
}

static void put_row(struct th_buf *out, const struct th_csv *csv)
{
    th_buf_clear(out);
    for (size_t i = 0; i < csv->count; i++) {
        if (i > 0)
            th_buf_add_char(out, ',');
        put_field(out, csv->fields[i]);
    }
    th_buf_add_char(out, '\n');
}

static enum th_code read_step(struct split *split, enum th_csv_step *out_step, struct th_err *err)
{
    char bytes[READ_SIZE];

    while ((*out_step = th_csv_next(&split->csv)) == TH_CSV_MORE) {
        size_t n = fread(bytes, 1, sizeof bytes, split->file);

        if (n == 0 && ferror(split->file))
            return th_fail(err, TH_IO, "the file cannot be read: %s", strerror(errno));
        if (n == 0)
            th_csv_finish(&split->csv);
        else
            TH_TRY(th_csv_push(&split->csv, (struct th_str){bytes, n}));
    }
    return TH_OK;
}

static enum th_code read_header(struct split *split, struct th_err *err)
{
    const struct th_csv *csv = &split->csv;
    enum th_csv_step step;

    TH_TRY(read_step(split, &step, err));
    if (step == TH_CSV_BAD)
        return th_fail(err, TH_INVALID, "the header, column %zu: %s", csv->column, csv->reason);
    if (step != TH_CSV_ROW)
        return th_fail(err, TH_INVALID, "the file is empty: its first row names the columns");
    put_row(&split->header, csv);
    split->names_n = csv->count;
    for (size_t i = 0; i < csv->count; i++)
        snprintf(split->names[i], sizeof split->names[i], "%.*s", TH_ARG(csv->fields[i]));
    return th_buf_status(&split->header);
}

/* The next row into split->row. Errors: TH_NOT_FOUND at the end */
static enum th_code read_row(struct split *split, struct th_err *err)
{
    const struct th_csv *csv = &split->csv;
    enum th_csv_step step;

    TH_TRY(read_step(split, &step, err));
    if (step == TH_CSV_END)
        return TH_NOT_FOUND;
    split->rows_read++;
    split->row_bad = (struct split_bad){.row = split->rows_read};
    if (step == TH_CSV_ROW) {
        put_row(&split->row, csv);
    } else {
        split->row_bad.reason = csv->reason;
        if (csv->column >= 1 && csv->column <= split->names_n)
            snprintf(split->row_bad.column, sizeof split->row_bad.column, "%s",
                     split->names[csv->column - 1]);
        else
            snprintf(split->row_bad.column, sizeof split->row_bad.column, "%zu", csv->column);
        th_buf_clear(&split->row);
        th_buf_add(&split->row, TH_STR("\"\"\n"));
    }
    split->has_row = true;
    return th_buf_status(&split->row);
}

static void take_row(struct split *split)
{
    th_buf_add(&split->part, th_buf_str(&split->row));
    if (split->row_bad.reason)
        split->bad[split->bad_n++] = split->row_bad;
    split->rows++;
    split->has_row = false;
}

static enum th_code make_part(struct split *split, struct th_err *err)
{
    enum th_code code = TH_OK;

    if (!split->header.n)
        TH_TRY(read_header(split, err));
    th_buf_clear(&split->part);
    th_buf_add(&split->part, th_buf_str(&split->header));
    split->first_row = split->rows_read + (split->has_row ? 0 : 1);
    split->rows = 0;
    split->bad_n = 0;
    while (split->rows < SPLIT_ROWS_MAX) {
        if (!split->has_row)
            code = read_row(split, err);
        if (code != TH_OK)
            break;
        if (split->rows > 0 && split->part.n + split->row.n > SPLIT_BYTES_MAX)
            break;
        take_row(split);
    }
    if (code != TH_OK && code != TH_NOT_FOUND)
        return code;
    TH_TRY(th_buf_status(&split->part));
    return split->rows > 0 ? TH_OK : TH_NOT_FOUND;
}

enum th_code split_next(struct split *split, struct th_err *err)
{
    enum th_code code = make_part(split, err);

    return code == TH_NOMEM ? th_fail(err, code, "no memory for a part of the file") : code;
}
