/* SPDX-License-Identifier: BSD-3-Clause */
/* Quality figures of cells and features in one pass, as scanpy's calculate_qc_metrics defines them.
 * Of a matrix x [n cells, p features]:
 *
 *   cell i     n_genes = #{j: x_ij != 0}, total = sum_j x_ij, share of its k largest values in the
 * total, total and share of each set of features feature j  n_cells = #{i: x_ij != 0}, total =
 * sum_i x_ij; mean and dropout follow from them
 */
#ifndef PREP_QC_H
#define PREP_QC_H

#include "data/blocks.h"
#include "scweave/hooks.h"

#define QC_MAX_SETS 16
#define QC_MAX_TOPS 8

typedef struct qc_options {
    int n_sets;
    const uint8_t *sets[QC_MAX_SETS]; /* [p] each: 1 where the feature belongs to it */
    int n_tops;
    int64_t tops[QC_MAX_TOPS]; /* ascending, each 1 .. p */
    const uint8_t *cells;      /* [n] 1: the cell counts for features; NULL: all do */
} qc_options;

typedef struct qc {
    int64_t n, p, n_counted; /* cells, features, cells that counted for features */
    int n_sets, n_tops;
    int64_t *n_genes;      /* [n] */
    double *total;         /* [n] */
    double *set_total;     /* [n_sets, n] */
    double *top_share;     /* [n_tops, n] percent; NaN for a cell without counts */
    int64_t *n_cells;      /* [p] */
    double *feature_total; /* [p] */
    int64_t n_empty_cells, n_empty_features;
    bool fractional, negative; /* are there such values? */
} qc;

/* SCW_EDATA: a value is not finite. Memory: O(n (n_sets + n_tops) + p) and a block. */
SCW_CHECKED scw_status qc_compute(qc *out, block_reader *rows, const qc_options *options,
                                  const scw_hooks *hooks);
void qc_clear(qc *q);

/* Outliers as scater's isOutlier finds them: further from the median than n_mads times 1.4826 times
 * the median absolute deviation. Values that are not finite are left out, and are no outliers.
 * *low, *high: the bounds; both are NaN when nothing is finite. */
SCW_CHECKED scw_status qc_outlier_bounds(double *low, double *high, const double *values, int64_t n,
                                         double n_mads);

#endif
