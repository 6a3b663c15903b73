/* SPDX-License-Identifier: BSD-3-Clause */
/* Principal components, and the truncated SVD, of a matrix that passes block by block.
 *
 * Of p features only arrays of p rows are kept: G = Xc^T Xc is formed where p is small, and else
 * applied by one pass a block of the Krylov space (prep/eigen.h),
 *     G B = sum_i x_i (x_i^T B) - n mean (mean^T B).
 * With fewer cells than features it is Xc Xc^T, by two passes, and arrays of n rows.
 * The same bits for any number of threads and any cutting into blocks of the same size. */
#ifndef PREP_PCA_STREAM_H
#define PREP_PCA_STREAM_H

#include "data/blocks.h"
#include "scweave/hooks.h"

typedef struct pca_stream_options {
    int64_t k; /* components wanted; at most min(n, p) are given */
    uint64_t seed;
    bool uncentred;          /* keep the column means: a truncated SVD */
    const uint8_t *selected; /* [p] 1: the column takes part; NULL: all. Others have zeros in
                              * `components`. */
} pca_stream_options;

typedef struct pca_stream {
    int64_t n, p, k;
    double *components;      /* [p, k] orthonormal columns; the entry of largest size is positive */
    double *singular_values; /* [k] of the (centred) X */
    double *variances;       /* [k] singular value^2 / (n - 1) */
    double total_variance;   /* sum of squares of the (centred) X, over n - 1 */
    double *mean;            /* [p]; zeros if uncentred */
} pca_stream;

/* SCW_EINVAL: k < 1; SCW_EDATA: fewer than two rows, no column, values that are not finite. Cost:
 * one pass for the moments and one for G (up to 1300 columns that take part), or 4 to 7
 * applications of O(nnz k). Memory: 16 min(n, p) (k + 10) bytes times the number of applications,
 * which is lowered to keep this near 1 GB; 8 p (k + 10) bytes; and a block. */
SCW_CHECKED scw_status pca_stream_fit(pca_stream *out, block_reader *rows,
                                      const pca_stream_options *options, const scw_hooks *hooks);
void pca_stream_clear(pca_stream *c);

/* scores [n, k] = (x - mean) components: one pass. components [p, k], mean [p]. */
SCW_CHECKED scw_status pca_stream_scores(float *scores, block_reader *rows,
                                         const double *components, const double *mean, int64_t k,
                                         const scw_hooks *hooks);

#endif
