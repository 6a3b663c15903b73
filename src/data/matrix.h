/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices of measurements, cells x features, dense (row-major) or CSR. */
#ifndef DATA_MATRIX_H
#define DATA_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct matrix {
    int64_t n_rows, n_cols;
    bool sparse;
    /* sparse: row i holds indices[indptr[i] .. indptr[i+1]), sorted, without duplicates */
    int64_t *indptr;  /* [n_rows + 1] */
    int32_t *indices; /* [nnz] */
    float *values;    /* [nnz] or, dense, [n_rows * n_cols] */
} matrix;

void matrix_clear(matrix *m);
SCW_CHECKED scw_status matrix_init_csr(matrix *m, int64_t n_rows, int64_t n_cols, int64_t nnz);
SCW_CHECKED scw_status matrix_init_dense(matrix *m, int64_t n_rows, int64_t n_cols);

static inline int64_t matrix_nnz(const matrix *m)
{
    return m->sparse ? m->indptr[m->n_rows] : m->n_rows * m->n_cols;
}

/* Sort the indices of each row and add up duplicates (a file may hold either). SCW_EFORMAT when an
 * index is out of range or indptr is not monotone. */
SCW_CHECKED scw_status matrix_canonical(matrix *m);

/* CSR copy of the listed rows, in their order (zeros of a dense matrix are dropped). A row number of
 * -1 gives an empty row. `rows` NULL: all. */
SCW_CHECKED scw_status matrix_rows_csr(matrix *out, const matrix *m, const int64_t *rows,
                                       int64_t n_rows);

/* CSR copy with other columns: column j of the result is column from[j] of m, or empty for -1. */
SCW_CHECKED scw_status matrix_select_columns(matrix *out, const matrix *m, const int64_t *from,
                                             int64_t n_cols);

/* What the values look like; found in one pass. */
typedef struct matrix_summary {
    int64_t nnz, n_negative, n_nan, n_infinite, n_fractional;
    double minimum, maximum, sum;
    int64_t n_empty_rows, n_empty_cols;
} matrix_summary;
SCW_CHECKED scw_status matrix_summarise(matrix_summary *out, const matrix *m);

#endif
