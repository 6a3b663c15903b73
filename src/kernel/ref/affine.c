/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels of affine-sparse matrices. A row is expanded value by value in the order of its
 * columns, so each kernel reads like its definition on the dense matrix. */
#include "kernel/table.h"

static bool present(const affine_sparse *x, int64_t i)
{
    return !x->row_weight || x->row_weight[i] != 0;
}

/* x_ij, walking along row i with a cursor that starts at indptr[i]. */
static double next_value(const affine_sparse *x, int64_t i, int64_t j, int64_t *cursor)
{
    double v = 0.0;

    if (*cursor < x->indptr[i + 1] && x->indices[*cursor] == j) {
        v = (double)x->values[(*cursor)++];
        if (x->row_scale) v *= (double)x->row_scale[i];
        if (x->col_scale) v *= (double)x->col_scale[j];
    }
    if (x->row_shift) v += (double)x->row_shift[i];
    if (x->col_shift) v += (double)x->col_shift[j];
    return v;
}

static void affine_forward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                           real *out)
{
    for (int64_t i = 0; i < x->n_rows; i++) {
        real *row = out + i * h;
        int64_t cursor = x->indptr[i];
        for (int64_t e = 0; e < h; e++) row[e] = 0;
        if (!present(x, i)) continue;
        for (int64_t j = 0; j < x->n_cols; j++) {
            double v = next_value(x, i, j, &cursor) * (w ? (double)w[j] : 1.0);
            if (v == 0.0) continue;
            for (int64_t e = 0; e < h; e++) row[e] += (real)(v * (double)weight[j * h + e]);
        }
    }
}

#define PIECE KERNEL_TAKE_WIDTH

/* Row j of diag(w) X^T g, columns from .. from + n - 1, into row; and what they add to d_w. */
static double feature_gradient(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                               const real *g, int64_t j, int64_t from, int64_t n, double *row)
{
    double dot = 0.0;

    for (int64_t e = 0; e < n; e++) row[e] = 0.0;
    for (int64_t i = 0; i < x->n_rows; i++) {
        int64_t cursor = x->indptr[i];
        if (!present(x, i)) continue;
        while (cursor < x->indptr[i + 1] && x->indices[cursor] < j) cursor++;
        double v = next_value(x, i, j, &cursor);
        for (int64_t e = 0; e < n && v != 0.0; e++) {
            double product = v * (double)g[i * h + from + e];
            row[e] += product * (w ? (double)w[j] : 1.0);
            if (w) dot += product * (double)weight[j * h + from + e];
        }
    }
    return dot;
}

static void affine_backward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                            const real *g, real *d_w, real *d_weight, const kernel_taker *taker)
{
    double row[PIECE];
    real finished[PIECE];

    for (int64_t j = 0; j < x->n_cols; j++)
        for (int64_t from = 0; from < h; from += PIECE) {
            int64_t n = h - from < PIECE ? h - from : PIECE;
            double dot = feature_gradient(x, w, weight, h, g, j, from, n, row);
            for (int64_t e = 0; e < n; e++)
                finished[e] = (real)(row[e] + (taker ? 0.0 : (double)d_weight[j * h + from + e]));
            if (taker)
                taker->take(taker, j * h, n, finished);
            else
                for (int64_t e = 0; e < n; e++) d_weight[j * h + from + e] = finished[e];
            if (w) d_w[j] += (real)dot;
        }
}

static double affine_squared_error(const affine_sparse *x, const real *p)
{
    double sum = 0.0;

    for (int64_t i = 0; i < x->n_rows; i++) {
        int64_t cursor = x->indptr[i];
        if (!present(x, i)) continue;
        for (int64_t j = 0; j < x->n_cols; j++) {
            double d = (double)p[i * x->n_cols + j] - next_value(x, i, j, &cursor);
            sum += d * d;
        }
    }
    return sum;
}

static void affine_squared_error_backward(const affine_sparse *x, const real *p, real scale,
                                          bool fresh, real *d_p)
{
    for (int64_t i = 0; i < x->n_rows; i++) {
        int64_t cursor = x->indptr[i];
        for (int64_t j = 0; j < x->n_cols && fresh; j++) d_p[i * x->n_cols + j] = 0;
        if (!present(x, i)) continue;
        for (int64_t j = 0; j < x->n_cols; j++) {
            int64_t e = i * x->n_cols + j;
            d_p[e] += (real)(2.0 * (double)scale *
                             ((double)p[e] - next_value(x, i, j, &cursor)));
        }
    }
}

void ref_fill_affine(kernel_table *t)
{
    t->affine_forward = affine_forward;
    t->affine_backward = affine_backward;
    t->affine_squared_error = affine_squared_error;
    t->affine_squared_error_backward = affine_squared_error_backward;
}
