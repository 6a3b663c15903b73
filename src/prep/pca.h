/* SPDX-License-Identifier: BSD-3-Clause */
/* Principal components of a sparse matrix that is never densified.
 *
 * Of X [n, p], x_ij = c_j * y_ij with y in CSR, minus its column means: the k orthogonal directions
 * of largest variance. The eigenproblem is that of the smaller of X^T X and X X^T. Where that has
 * at most 1300 rows it is solved exactly by LAPACK, otherwise in a block Krylov space (Musco &
 * Musco 2015) from a seeded random start. The same bits for any number of threads. */
#ifndef PREP_PCA_H
#define PREP_PCA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "data/matrix.h"

typedef struct pca_options {
    int64_t k;              /* components wanted */
    uint64_t seed;
    bool uncentred;         /* keep the column means: a truncated SVD */
    const float *col_scale; /* c [p], or NULL: ones */
} pca_options;

typedef struct pca {
    int64_t p, k;       /* k: as asked, at most min(n, p) */
    double *components; /* [p, k] orthonormal columns; the entry of largest size is positive.
                         * Components beyond the rank of X are zero. */
    double *singular_values; /* [k] of the centred X */
    double *variances;       /* [k] of the scores: singular value^2 / (n - 1) */
    double total_variance;   /* of all p columns */
    double *mean;            /* [p] of c_j y_ij; zeros if uncentred */
    double *col_scale;       /* [p] copy of c */
} pca;

/* y: sparse, at least two rows. SCW_EINVAL: dense matrix or k < 1; SCW_EDATA: fewer than two rows,
 * no column, or values that are not finite. Cost: O(nnz k) per block of the space plus O(min(n,p)^2
 * k); memory: a second copy of y, and 8 min(n,p)^2 bytes where min(n,p) <= 3000. */
SCW_CHECKED scw_status pca_fit(pca *out, const matrix *y, const pca_options *options);
void pca_clear(pca *c);

/* scores [n, k] = (c y - mean) components, of the rows of any sparse y with the same p columns. */
SCW_CHECKED scw_status pca_scores(float *scores, const pca *c, const matrix *y);

#endif
