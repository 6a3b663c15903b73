/* SPDX-License-Identifier: BSD-3-Clause */
/* Canonical correlation of two sets of columns (Hotelling 1936), regularised (Vinod 1976).
 *
 *   Sx = X^T X / n + ridge tr(X^T X / n) / p I,   Sy alike,   both centred by their column means
 *   Sx^(-1/2) (X^T Y / n) Sy^(-1/2) = U diag(r) V^T,   A = Sx^(-1/2) U_k diag(r),  B = Sy^(-1/2) V_k diag(r)
 *
 * Scores are (x - mean) A and (y - mean) B: variates weighted by their correlation r, so that distances
 * and angles in them are led by what both sides see. */
#ifndef PREP_CCA_H
#define PREP_CCA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct cca {
    int64_t p, q, k;      /* k: as asked, at most p and q */
    double *a, *b;        /* [p, k], [q, k]; of each column of a the largest entry is positive */
    double *mean_x, *mean_y;
    double *correlations; /* [k] descending, of the regularised problem */
} cca;

/* x [n, p], y [n, q]: rows are the same cells. SCW_EINVAL: k < 1, ridge < 0; SCW_EDATA: fewer than two
 * rows, no column, or values that are not finite. Cost O(n (p + q)^2 + (p + q)^3). The same bits for any
 * number of threads. */
SCW_CHECKED scw_status cca_fit(cca *out, const float *x, int64_t p, const float *y, int64_t q,
                               int64_t n, int64_t k, double ridge);
void cca_clear(cca *c);

/* scores [n, k] of rows of x (second false) or of y (true). */
void cca_scores(float *scores, const cca *c, const float *rows, int64_t n, bool second);

#endif
