/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/dense.h"

#include "base/threads.h"

#ifdef SCW_HAVE_CBLAS
#include <cblas.h>
#endif

/* Rows or columns of C that one call computes. */
#define PIECE 128

#ifdef SCW_HAVE_CBLAS
/* CBLAS wants a row length of at least one, for an empty matrix too. */
static blasint row_length(int64_t ld)
{
    return (blasint)(ld > 0 ? ld : 1);
}
#endif

int dense_enter(void)
{
#ifdef SCW_HAVE_CBLAS
    int before = openblas_get_num_threads();
    if (before != 1) openblas_set_num_threads(1);
    return before;
#else
    return 1;
#endif
}

void dense_leave(int before)
{
#ifdef SCW_HAVE_CBLAS
    if (before != 1) openblas_set_num_threads(before);
#else
    (void)before;
#endif
}

#ifdef SCW_HAVE_CBLAS
void dense_product_serial(const dense_shape *s, const double *a, const double *b, double *c)
{
    if (s->m == 0 || s->n == 0) return;
    cblas_dgemm(CblasRowMajor, s->trans_a ? CblasTrans : CblasNoTrans,
                s->trans_b ? CblasTrans : CblasNoTrans, (blasint)s->m, (blasint)s->n,
                (blasint)s->k, s->alpha, a, row_length(s->ld_a), b, row_length(s->ld_b), s->beta, c,
                row_length(s->ld_c));
}
#else
static double dot(const double *a, int64_t step_a, const double *b, int64_t step_b, int64_t k)
{
    double sum = 0.0;
    for (int64_t l = 0; l < k; l++) sum += a[l * step_a] * b[l * step_b];
    return sum;
}

void dense_product_serial(const dense_shape *s, const double *a, const double *b, double *c)
{
    int64_t step_row = s->trans_a ? 1 : s->ld_a, step_a = s->trans_a ? s->ld_a : 1;

    for (int64_t i = 0; i < s->m; i++) {
        const double *row = a + i * step_row;
        double *to = c + i * s->ld_c;
        for (int64_t j = 0; j < s->n; j++) to[j] = s->beta == 0.0 ? 0.0 : s->beta * to[j];
        if (s->trans_b) {
            for (int64_t j = 0; j < s->n; j++)
                to[j] += s->alpha * dot(row, step_a, b + j * s->ld_b, 1, s->k);
            continue;
        }
        for (int64_t l = 0; l < s->k; l++) { /* rows of B pass through the cache in order */
            double weight = s->alpha * row[l * step_a];
            const double *from = b + l * s->ld_b;
            for (int64_t j = 0; j < s->n; j++) to[j] += weight * from[j];
        }
    }
}
#endif

void dense_product(const dense_shape *s, const double *a, const double *b, double *c)
{
    bool by_rows = s->m >= s->n;
    int64_t extent = by_rows ? s->m : s->n, n_pieces = (extent + PIECE - 1) / PIECE;
    double work = (double)s->m * (double)s->n * (double)s->k;
    int before = dense_enter();

    PARALLEL_FOR_IF(work > 1e6)
    for (int64_t q = 0; q < n_pieces; q++) {
        dense_shape piece = *s;
        int64_t first = q * PIECE, count = extent - first < PIECE ? extent - first : PIECE;
        if (by_rows) {
            piece.m = count;
            dense_product_serial(&piece, a + first * (s->trans_a ? 1 : s->ld_a), b,
                                 c + first * s->ld_c);
        } else {
            piece.n = count;
            dense_product_serial(&piece, a, b + first * (s->trans_b ? s->ld_b : 1), c + first);
        }
    }
    dense_leave(before);
}
