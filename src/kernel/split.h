/* SPDX-License-Identifier: BSD-3-Clause */
/* A product in parts: the longer side of C is cut among our threads, and each part is one serial call
 * into a library. Measured on the products of training (bench/LOG.md), this beats the libraries' own
 * threads, and OpenBLAS's pool does not wait busily beside OpenMP's. */
#ifndef KERNEL_SPLIT_H
#define KERNEL_SPLIT_H

#include "base/threads.h"
#include "kernel/kernel.h"

/* op(A) [m, k], op(B) [k, n], C [m, n] with their stored row lengths. */
typedef struct gemm_part {
    bool trans_a, trans_b;
    int64_t m, n, k;
    const real *a, *b;
    int64_t lda, ldb, ldc;
    real beta;
    real *c;
} gemm_part;

/* Part p of `parts`: its shape, and where it starts in the arrays. */
typedef struct gemm_cut {
    int64_t m, n;    /* k is the whole's */
    int64_t a, b, c; /* elements */
} gemm_cut;

/* May not fail: other parts have been added to C by then. */
typedef void gemm_serial(const gemm_part *part);

#define SPLIT_WORK 400000 /* multiplications from which a second thread pays */
#define SPLIT_UNIT 16     /* rows or columns: a cut falls between cache lines */

static inline int64_t gemm_n_parts(const gemm_part *whole)
{
    const int64_t side = whole->m > whole->n ? whole->m : whole->n;
    const int64_t units = (side + SPLIT_UNIT - 1) / SPLIT_UNIT;
    const int64_t parts = whole->m * whole->n >= SPLIT_WORK / whole->k ? threads_get() : 1;

    return parts < units ? parts : units;
}

static inline gemm_cut gemm_cut_at(const gemm_part *whole, int64_t p, int64_t parts)
{
    const bool by_rows = whole->m > whole->n;
    const int64_t side = by_rows ? whole->m : whole->n;
    const int64_t units = (side + SPLIT_UNIT - 1) / SPLIT_UNIT;
    const int64_t from = SPLIT_UNIT * (units * p / parts);
    const int64_t end = SPLIT_UNIT * (units * (p + 1) / parts);
    const int64_t size = (end < side ? end : side) - from;

    if (by_rows)
        return (gemm_cut){size, whole->n, whole->trans_a ? from : from * whole->lda, 0,
                          from * whole->ldc};
    return (gemm_cut){whole->m, size, 0, whole->trans_b ? from * whole->ldb : from, from};
}

static inline void gemm_split(gemm_serial *serial, const gemm_part *whole)
{
    const int64_t parts = gemm_n_parts(whole);

    if (parts <= 1) {
        serial(whole);
        return;
    }
    PARALLEL_FOR
    for (int64_t p = 0; p < parts; p++) {
        const gemm_cut cut = gemm_cut_at(whole, p, parts);
        gemm_part part = *whole;
        part.m = cut.m;
        part.n = cut.n;
        part.a += cut.a;
        part.b += cut.b;
        part.c += cut.c;
        serial(&part);
    }
}

/* By the definition: for a part that a library refuses. */
static inline void gemm_plain(const gemm_part *p)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = p->beta == 0 ? 0.0 : (double)(p->beta * p->c[i * p->ldc + j]);
            for (int64_t e = 0; e < p->k; e++)
                sum += (double)(p->trans_a ? p->a[e * p->lda + i] : p->a[i * p->lda + e]) *
                       (double)(p->trans_b ? p->b[j * p->ldb + e] : p->b[e * p->ldb + j]);
            p->c[i * p->ldc + j] = (real)sum;
        }
}

static inline gemm_part gemm_whole(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k,
                                   const real *a, const real *b, real beta, real *c)
{
    return (gemm_part){trans_a, trans_b, m, n, k, a, b, trans_a ? m : k, trans_b ? k : n, n,
                       beta, c};
}

#endif
