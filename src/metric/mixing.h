/* SPDX-License-Identifier: BSD-3-Clause */
/* How groups of cells (types or batches) lie in neighbourhoods.
 *
 * LISI (Korsunsky et al. 2019): the neighbours of cell i at distances d_j get weights
 * p_j = exp(-beta_i d_j) / sum, beta_i such that the entropy is log(perplexity), found by bisection
 * to 1e-5 within 50 steps; LISI_i = 1 / sum_g (sum of p_j over neighbours of group g)^2, the effective
 * number of groups around the cell.
 *
 * Graph connectivity: of each group the share of its cells that the largest connected piece of its
 * graph of nearest neighbours holds; the mean over groups.
 *
 * kBET (Büttner et al. 2019): chi^2 test, at 5 %, of the batches among the nearest cells against
 * those of all. */
#ifndef METRIC_MIXING_H
#define METRIC_MIXING_H

#include "embed/neighbors.h"

#define LISI_NEIGHBORS 90

/* *out [n, k]: the p_j of every neighbourhood (without the cell itself), new; perplexity is nn->k / 3, at
 * least 1. The same bits for any number of threads. */
SCW_CHECKED scw_status mixing_weights(double **out, const neighbors *nn);

/* lisi [nn->n] from these weights. group [n] codes of n_groups; every cell has all its neighbours. Rows
 * without neighbours: 1. */
SCW_CHECKED scw_status mixing_lisi(double *lisi, const neighbors *nn, const double *weights,
                                   const int32_t *group, int32_t n_groups);

/* *out: mean over the groups that have cells. An edge leads from each cell to its nn->k neighbours
 * and is used both ways. A cell with group -1 is in no group. */
SCW_CHECKED scw_status mixing_connectivity(double *out, const neighbors *nn, const int32_t *group,
                                           int32_t n_groups);

/* *out: share of cells whose neighbourhood (nn->k cells and the cell itself) holds the batches in
 * the proportions of all n cells, p >= 0.05. */
SCW_CHECKED scw_status mixing_kbet(double *out, const neighbors *nn, const int32_t *batch,
                                   int32_t n_batches);

#endif
