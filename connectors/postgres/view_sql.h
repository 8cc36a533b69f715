/* view_sql.h - statements and values for the views' tables, made from their descriptions.
 *
 * The texts are put together from our own names of tables and columns, never from values; they name
 * no schema, since the generation's stands in search_path.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_VIEW_SQL_H
#define TELEHUB_CONNECTORS_POSTGRES_VIEW_SQL_H

#include "common/view_rows.h"
#include "connectors/postgres/pg.h"

struct view_sql {
    struct pg_statement load;   /* keys as arrays; number of the key, then all columns */
    struct pg_statement upsert; /* all columns as arrays */
    struct pg_statement remove; /* keys as arrays */
    const char *stage;          /* makes a table of this connection for changed rows */
    const char *copy_stage;     /* COPY into it; it is empty again after the transaction */
    struct pg_statement update; /* the rows that stand there */
    const char *copy;           /* COPY new rows */
    struct th_buf texts[7];
};

/* Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_sql_init(struct view_sql *sql, const struct view_table *table);
void view_sql_fini(struct view_sql *sql);

/* Append the columns' names, quoted, separated by commas: all of them or those of the key. */
void view_sql_names(struct th_buf *out, const struct view_table *table, size_t n);

/* Begin the array of a column, and add a row's value to it. */
void view_sql_begin(struct pg_params *params, const struct view_column *column);
void view_sql_item(struct pg_params *params, const struct view_column *column, const void *row);

/* Read a row's columns from left to right; texts are copied into arena.
 * Errors: TH_NOMEM, TH_MALFORMED (column is not what it should be) */
TH_MUST_USE
enum th_code view_sql_read(struct pg_row *from, const struct view_table *table,
                           struct th_arena *arena, void *out_row, struct th_err *err);

/* Put a generation's schema first in search_path, and keep the planner to index look-ups, which
 * are right for batches of keys whatever the tables' sizes. */
TH_MUST_USE
enum th_code view_sql_enter(struct pg *pg, int gen, struct th_err *err);

#endif
