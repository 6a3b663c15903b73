/* SPDX-License-Identifier: BSD-3-Clause */
/* Agreement of two partitions of the same cells: classes c and clusters k.
 *
 * With the contingency table n_ck, its margins a_c, b_k and pairs(x) = x (x - 1) / 2:
 *   TP = sum pairs(n_ck), TP + FN = sum pairs(a_c), TP + FP = sum pairs(b_k), T = pairs(N)
 *   Rand    = (TP + TN) / T
 *   ARI     = (TP - E) / (M - E), E = (TP+FN)(TP+FP) / T, M the mean of TP+FN and TP+FP
 *             (Hubert & Arabie 1985)
 *   FM      = TP / sqrt((TP+FP)(TP+FN)), Jaccard = TP / (TP+FP+FN)
 *   NMI     = 2 I(c;k) / (H(c) + H(k))
 *
 * Degenerate cases: ARI, Rand, FM and Jaccard of two partitions without any pair (every cell alone,
 * or a single cell) are 1; NMI of two partitions with one group each is 1; FM is 0 when only one of
 * the partitions has pairs. Cells whose code is negative in either partition are left out; without
 * any cell left the result is SCW_EDATA. */
#ifndef METRIC_CLUSTERING_H
#define METRIC_CLUSTERING_H

#include <stdint.h>

#include "base/status.h"

/* Counts of cells by class and cluster. Only groups that occur have a row or a column. */
typedef struct contingency {
    int64_t n;             /* cells counted */
    int64_t n_rows;        /* classes */
    int64_t n_cols;        /* clusters */
    int64_t *counts;       /* [n_rows, n_cols] */
    int64_t *row_sums;     /* [n_rows] */
    int64_t *col_sums;     /* [n_cols] */
} contingency;

typedef struct clustering {
    int64_t n;
    double ari, nmi, fm, jaccard, rand;
} clustering;

SCW_CHECKED scw_status contingency_build(contingency *out, const int32_t *classes,
                                         const int32_t *clusters, int64_t n);
void contingency_clear(contingency *t);

SCW_CHECKED scw_status clustering_measure(clustering *out, const int32_t *classes,
                                          const int32_t *clusters, int64_t n);

#endif
