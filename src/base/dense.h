/* SPDX-License-Identifier: BSD-3-Clause */
/* Dense products outside of training (PCA, baselines, clustering), row-major, through CBLAS where
 * the build has it.
 *
 * The threaded CBLAS splits a product by the number of its threads, and so its sums change with
 * that number. Here every piece of an output is computed by one thread, and the pieces depend on
 * the shapes alone: the same bits for any number of threads. */
#ifndef BASE_DENSE_H
#define BASE_DENSE_H

#include <stdbool.h>
#include <stdint.h>

/* One product C [m, n] = beta * C + alpha * op(A) op(B); op(A) is [m, k], op(B) is [k, n]; trans_*
 * says that the transpose is stored; ld_* are the stored row lengths. With beta 0, C is not read.
 */
typedef struct dense_shape {
    bool trans_a, trans_b;
    int64_t m, n, k;
    int64_t ld_a, ld_b, ld_c;
    double alpha, beta;
} dense_shape;

/* CBLAS and LAPACK stay on the calling thread between the two calls. enter returns what leave
 * needs. Neither may be called inside a parallel region. */
int dense_enter(void);
void dense_leave(int before);

/* On the calling thread; between dense_enter and dense_leave, inside parallel regions too. */
void dense_product_serial(const dense_shape *s, const double *a, const double *b, double *c);

/* On all threads. Not inside parallel regions; enters and leaves by itself. */
void dense_product(const dense_shape *s, const double *a, const double *b, double *c);

#endif
