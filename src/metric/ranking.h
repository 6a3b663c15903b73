/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential expression: each class against the rest, feature by feature.
 *
 * Welch's t (two samples of unequal variance) and Wilcoxon's rank sum with correction for ties,
 * both two-sided; in scanpy's rank_genes_groups these are `t-test` and `wilcoxon` with tie_correct.
 * The matrix stays sparse: zeros enter as one block. */
#ifndef METRIC_RANKING_H
#define METRIC_RANKING_H

#include <stdint.h>

#include "data/matrix.h"

typedef struct ranking {
    int32_t n_classes;
    int64_t n_cols;
    int64_t *n_cells; /* [n_classes] cells that were tested */
    /* [n_classes, n_cols] each */
    double *mean_in, *mean_out; /* of the class and of the rest; 0 where there is no cell */
    double *t, *p_t;            /* 0 and 1 where a variance needs more cells, or nothing varies */
    double *z, *p_z;            /* of the rank sum, normal approximation without continuity */
} ranking;

/* y: CSR, finite values. classes [y->n_rows]: 0..n_classes-1, or -1 for a cell to leave out.
 * Cost: O(nnz log n) and 48 bytes a class and column. The same bits for any number of threads. */
SCW_CHECKED scw_status ranking_test(ranking *out, const matrix *y, const int32_t *classes,
                                    int32_t n_classes);
void ranking_clear(ranking *r);

/* Benjamini and Hochberg (1995): p [n] becomes the smallest false discovery rate at which the
 * feature is still found. NaN, a feature that was not tested, stays and does not count. */
SCW_CHECKED scw_status ranking_adjust(double *p, int64_t n);

/* order [n]: positions of score from large to small; the first of equals first, NaN last. */
SCW_CHECKED scw_status ranking_order(int64_t *order, const double *score, int64_t n);

/* Two-sided p of Student's t with df > 0 degrees of freedom. */
double ranking_student_p(double t, double df);

#endif
