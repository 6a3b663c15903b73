/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices of measurements, cells x features, dense (row-major) or CSR. */
#ifndef DATA_MATRIX_H
#define DATA_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Type of a number in the file it came from. */
typedef enum number_type {
    NUMBER_F32 = 0,
    NUMBER_F64,
    NUMBER_I8,
    NUMBER_I16,
    NUMBER_I32,
    NUMBER_I64,
    NUMBER_U8,
    NUMBER_U16,
    NUMBER_U32,
    NUMBER_U64
} number_type;

typedef struct matrix {
    int64_t n_rows, n_cols;
    bool sparse;
    number_type stored; /* for whoever writes the values again */
    /* sparse: row i holds indices[indptr[i] .. indptr[i+1]), sorted, without duplicates */
    int64_t *indptr;  /* [n_rows + 1] */
    int32_t *indices; /* [nnz] */
    float *values;    /* [nnz] or, dense, [n_rows * n_cols] */
    double *exact;    /* the same without rounding, from readers asked for it; values is then NULL */
} matrix;

void matrix_clear(matrix *m);
SCW_CHECKED scw_status matrix_init_csr(matrix *m, int64_t n_rows, int64_t n_cols, int64_t nnz);
SCW_CHECKED scw_status matrix_init_dense(matrix *m, int64_t n_rows, int64_t n_cols);
/* Either, with `exact` in the place of `values` where that is asked. */
SCW_CHECKED scw_status matrix_init(matrix *m, int64_t n_rows, int64_t n_cols, bool sparse,
                                   int64_t nnz, bool exact);

static inline double matrix_value(const matrix *m, int64_t k)
{
    return m->exact ? m->exact[k] : (double)m->values[k];
}

static inline void matrix_set_value(matrix *m, int64_t k, double v)
{
    if (m->exact) m->exact[k] = v;
    else m->values[k] = (float)v;
}

static inline int64_t matrix_nnz(const matrix *m)
{
    return m->sparse ? m->indptr[m->n_rows] : m->n_rows * m->n_cols;
}

/* How the indices of one row stand. */
typedef enum row_order { ROW_TIDY = 0, ROW_UNTIDY, ROW_OUT_OF_RANGE } row_order;

static inline row_order matrix_row_order(const int32_t *indices, int64_t n, int64_t n_cols)
{
    row_order order = ROW_TIDY;
    int32_t last = -1;

    for (int64_t k = 0; k < n; k++) {
        if (indices[k] < 0 || indices[k] >= n_cols) return ROW_OUT_OF_RANGE;
        if (indices[k] <= last) order = ROW_UNTIDY;
        last = indices[k];
    }
    return order;
}

/* Sort the indices of each row and add up duplicates (a file may hold either). SCW_EFORMAT when an
 * index is out of range or indptr is not monotone. */
SCW_CHECKED scw_status matrix_canonical(matrix *m);

/* out = m, sparse, with rows and columns exchanged; its rows come out sorted. */
SCW_CHECKED scw_status matrix_transpose(matrix *out, const matrix *m);

/* Entries in any order on their way to a sparse matrix. `major` is filled only from the first entry
 * that is out of order, so entries sorted by row cost no more than the matrix itself. */
typedef struct matrix_builder {
    matrix m;       /* indptr[r + 1] counts the entries of row r */
    int32_t *major; /* [n] row of each entry, or NULL: they are sorted by row */
    int64_t n, capacity, last;
} matrix_builder;
SCW_CHECKED scw_status matrix_builder_init(matrix_builder *b, int64_t n_rows, int64_t n_cols,
                                           bool exact);
/* row and column in range */
SCW_CHECKED scw_status matrix_builder_add(matrix_builder *b, int64_t row, int64_t column,
                                          double value);
/* Make the matrix at least n_rows high. */
SCW_CHECKED scw_status matrix_builder_grow_rows(matrix_builder *b, int64_t n_rows);
/* The canonical matrix; the builder is emptied. */
SCW_CHECKED scw_status matrix_builder_finish(matrix *out, matrix_builder *b);
void matrix_builder_clear(matrix_builder *b);

/* CSR of matrices below each other. Column j of part k becomes column to[k][j], or is left out for -1;
 * to[k] NULL: as it is. All with `exact` or none. `stored` of the result holds every part's values. */
SCW_CHECKED scw_status matrix_stack(matrix *out, const matrix *const *parts,
                                    const int64_t *const *to, int n_parts, int64_t n_cols);
/* The narrowest type that holds the values of both exactly. */
number_type number_type_join(number_type a, number_type b);

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
/* The same of a matrix that comes in parts with the same columns. `seen` [n_cols], 0 at first, marks the
 * columns that hold something; counting those that do not is left to the caller. *any: false at first. */
void matrix_summarise_part(matrix_summary *s, uint8_t *seen, bool *any, const matrix *part);

#endif
