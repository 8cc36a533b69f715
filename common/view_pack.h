/* view_pack.h - rows of the views in little memory: about 200 bytes, where the struct and its texts
 * take 1,000.
 *
 * For memory alone: the form may be another one with the next version. Two rows have the same bytes
 * if they are equal in all columns, and only then; the bytes begin with those of the key.
 *
 * Pure.
 */
#ifndef TELEHUB_COMMON_VIEW_PACK_H
#define TELEHUB_COMMON_VIEW_PACK_H

#include "common/view_rows.h"

/* Append the row, or its key alone. out's status says whether there was memory. */
void view_pack(const struct view_table *table, const void *row, struct th_buf *out);
void view_pack_key(const struct view_table *table, const void *row, struct th_buf *out);

/* What view_pack made of a row of this table. The row's texts lie in packed. */
void view_unpack(const struct view_table *table, struct th_str packed, void *out_row);

/* By the key: an order of the packed rows of one table, though not that of view_row_cmp. */
int view_packed_cmp(struct th_str a, struct th_str b);

#endif
