/* SPDX-License-Identifier: BSD-3-Clause */
/* Leading eigenpairs of a symmetric G that has no negative eigenvalue: exactly by LAPACK, or in a
 * block Krylov space (Musco & Musco 2015) from a seeded random start, for which G need only be
 * applied. The same bits for any number of threads if `apply` has them. */
#ifndef PREP_EIGEN_H
#define PREP_EIGEN_H

#include <stdint.h>

#include "base/status.h"

#define EIGEN_OVERSAMPLE 10 /* a block of the space has so many columns more than are wanted */

typedef struct eigen_problem {
    int64_t m;
    /* out [m, l] = G b, b [m, l] */
    scw_status (*apply)(double *out, void *context, const double *b, int64_t l);
    void *context;
} eigen_problem;

/* The k largest eigenvalues, descending, and their vectors [m, k] of the symmetric a [m, m], which
 * is destroyed. */
SCW_CHECKED scw_status eigen_top(double *values, double *vectors, double *a, int64_t m, int64_t k);

/* The same by n_blocks applications to blocks of k + EIGEN_OVERSAMPLE columns; (k +
 * EIGEN_OVERSAMPLE) n_blocks <= m. Memory: 16 m bytes for each column of the space. */
SCW_CHECKED scw_status eigen_krylov(double *values, double *vectors, const eigen_problem *q,
                                    int64_t k, int64_t n_blocks, uint64_t seed);

#endif
