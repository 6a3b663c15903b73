/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of counts in a file without a name: what stands in for a CSR matrix that does not fit in memory.
 *
 *   a row   0, then (distance to the column before, count) as two varints an entry, or
 *           1, then distances as varints with 4 bytes of float each: values that are no counts
 *
 * Two to three bytes a non-zero, so the file is about as large as the compressed original, and what of
 * it is in use stays in the system's cache. Where each row begins is in memory: any rows can be had, in
 * any order, exactly as they were added. */
#ifndef DATA_PACKED_ROWS_H
#define DATA_PACKED_ROWS_H

#include "base/spill.h"
#include "data/blocks.h"

typedef struct packed_rows {
    int64_t n_rows, n_cols;
    int64_t *indptr; /* [n_rows + 1] entries before each row */
    int64_t *at;     /* [n_rows + 1] bytes before each row */
    int64_t room;    /* rows that the two have room for */
    spill file;
} packed_rows;

/* For rows of n_cols columns; `folder` as in spill.h. */
SCW_CHECKED scw_status packed_rows_new(packed_rows **out, int64_t n_cols, const char *folder);
void packed_rows_free(packed_rows *p); /* NULL-safe */

/* Append the rows of a canonical CSR matrix. SCW_EIO: the folder cannot be written to or is full. */
SCW_CHECKED scw_status packed_rows_add(packed_rows *p, const matrix *x);

/* Bytes of the listed rows, for the scratch of packed_rows_get; a row number of -1 has none. */
int64_t packed_rows_bytes(const packed_rows *p, const int64_t *rows, int64_t n);
/* The listed rows: indptr [n + 1] counts from 0, indices and values [nnz] have room for them. */
SCW_CHECKED scw_status packed_rows_get(int64_t *indptr, int32_t *indices, float *values,
                                       uint8_t *scratch, const packed_rows *p,
                                       const int64_t *rows, int64_t n);

/* A hint: these rows will be asked for soon. */
void packed_rows_ahead(const packed_rows *p, const int64_t *rows, int64_t n);

/* A matrix whose rows are in memory, or packed: then x has only its shape. */
typedef struct row_list {
    const matrix *x;
    const packed_rows *packed; /* NULL: in x */
    const int64_t *rows;       /* [n] in any order; -1: an empty row */
    int64_t n;
} row_list;

/* CSR copy, as matrix_rows_csr gives it. */
SCW_CHECKED scw_status row_list_take(matrix *out, const row_list *l);
/* The same in blocks of BLOCK_READER_ROWS rows; x and packed must outlive the reader. */
SCW_CHECKED scw_status row_list_reader(block_reader **out, const row_list *l);

#endif
