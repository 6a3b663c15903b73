/* SPDX-License-Identifier: BSD-3-Clause */
/* Text files: whole, and as tables of cells under a header, separated by tabs or by commas. */
#ifndef TASK_TABLE_H
#define TASK_TABLE_H

#include "io/bytes.h"

/* A regular file as it is or, compressed with gzip, as it was. */
SCW_CHECKED scw_status text_file_open(byte_stream **out, const char *path);

/* Whole text of such a file, terminated; *n: its length. SCW_EIO; SCW_EFORMAT: larger than `limit`
 * bytes, or not text (it holds a zero byte). */
SCW_CHECKED scw_status text_file_read(char **out, int64_t *n, const char *path, int64_t limit);

typedef struct table {
    char *text;    /* the file, cut into cells */
    char **header; /* [n_columns] into text */
    char **cells;  /* [n_rows, n_columns] into text */
    int64_t *line; /* [n_rows] number of the line in the file */
    int64_t n_columns, n_rows;
} table;

/* Cells are separated by tabs where the header has one, else by commas; those separated by commas may
 * stand in double quotes, a quote doubled inside (RFC 4180, but for line ends in quotes). A header one
 * cell short of the first row, as R's write.table leaves it, gets "" in front. Empty lines and lines
 * that begin with # are skipped. SCW_EFORMAT names the line with too few or too many cells. */
SCW_CHECKED scw_status table_read(table *out, const char *path);
void table_clear(table *t);

int64_t table_column(const table *t, const char *name); /* -1: absent */
/* SCW_ENOTFOUND lists the columns there are. */
SCW_CHECKED scw_status table_need_column(int64_t *out, const table *t, const char *name,
                                         const char *path);

static inline const char *table_cell(const table *t, int64_t row, int64_t at)
{
    return t->cells[row * t->n_columns + at];
}

#endif
