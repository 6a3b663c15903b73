/* SPDX-License-Identifier: BSD-3-Clause */
/* A block of rows cut into panels of few rows, each held by columns.
 *
 *     rows 0 .. 511      column 0: rows, values;  column 1: ...
 *     rows 512 .. 1023   column 0: ...
 *
 * Both X B and X^T A then run over the columns of a panel, and what is touched out of order, the
 * panel's rows of B's product or of A, stays in a core's cache. Sums run over ascending columns in the
 * one and over ascending rows in the other, as they would row by row: the same bits however the rows
 * are cut, and for any number of threads. */
#ifndef PREP_PANELS_H
#define PREP_PANELS_H

#include "data/matrix.h"

typedef struct panels {
    int64_t m, n_rows, n; /* columns, rows of the block, panels */
    int64_t *start;       /* [n, m + 1] of a panel's column in `row` and `value` */
    int32_t *row;         /* [nnz] of the block */
    float *value;         /* [nnz] */
    int64_t room_start, room;
} panels;

void panels_clear(panels *p);

/* The columns of x, of which column j is number[j] here, of m, ascending with j; -1: left out. The
 * buffers are used again. */
SCW_CHECKED scw_status panels_set(panels *p, const matrix *x, const int32_t *number, int64_t m);

/* out [n_rows, l] = X b, b [m, l] */
void panels_times(double *out, const panels *p, const double *b, int64_t l);
/* out [m, l] += X^T a, a [n_rows, l] */
void panels_add_transposed(double *out, const panels *p, const double *a, int64_t l);

#endif
