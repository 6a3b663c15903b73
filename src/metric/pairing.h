/* SPDX-License-Identifier: BSD-3-Clause */
/* Do two embeddings of the same cells, one from each modality, put a cell in the same place?
 *
 * Rows x_i of one side and y_j of the other; t(i) is the partner of x_i, the same cell measured the
 * other way. Cells without a partner count among those that can be nearer, and are asked nothing.
 *
 *   FOSCTTM = 1/2 [ mean_i #{j: d(x_i, y_j) < d(x_i, y_t(i))} / n_y
 *                 + mean_j #{i: d(x_i, y_j) < d(x_t'(j), y_j)} / n_x ]        (Liu et al. 2019)
 *   top k   = share of cells with fewer than k rows of the other side strictly nearer than the partner
 *
 * and of a sparse matrix P of matches (rows x, columns y):
 *
 *   match probability = mean over rows with a partner of P_it(i) / sum_j max(P_ij, 0), 0 for a row
 *                       without a positive entry          (NeurIPS 2021 competition, there times 1000)
 *   top 1             = share of them whose largest entry is the partner's, the first of equals
 *   AUROC, AUPR       of P_ij for [j = t(i)] over all n_x n_y entries, absent ones 0 */
#ifndef METRIC_PAIRING_H
#define METRIC_PAIRING_H

#include <stdbool.h>
#include <stdint.h>

#include "data/matrix.h"

#define PAIRING_TOPS 3
extern const int64_t pairing_tops[PAIRING_TOPS]; /* 1, 5, 10 */

typedef struct pairing_input {
    const float *x, *y;     /* [n_x, d], [n_y, d]; rows that are not finite take no part */
    int64_t n_x, n_y, d;
    const int64_t *partner; /* [n_x] row of y, each at most once; -1: none */
    bool cosine;            /* distance 1 - cos instead of the Euclidean one */
} pairing_input;

typedef struct pairing {
    int64_t n_pairs;           /* with both rows finite */
    double foscttm, foscttm_xy, foscttm_yx; /* the mean, and its two halves times two */
    double top[PAIRING_TOPS];  /* mean of both directions */
} pairing;

/* Distances are compared exactly, so ties are ties. SCW_EDATA: no pair. Cost O(n_x n_y d), memory
 * O(n_x + n_y); the same bits for any number of threads. */
SCW_CHECKED scw_status pairing_measure(pairing *out, const pairing_input *input);

typedef struct pairing_match {
    int64_t n_pairs;      /* rows with a partner, both taking part */
    int64_t n_entries;
    double probability, top1, auroc, aupr;
} pairing_match;

/* Which cells take part: those that could be matched. NULL: all. */
typedef struct pairing_cells {
    const uint8_t *x, *y; /* [n_x], [n_y] */
} pairing_cells;

/* p: CSR [n_x, n_y], without entries of cells that take no part. SCW_EDATA: no row has a partner. Cost
 * O(nnz log nnz). */
SCW_CHECKED scw_status pairing_measure_match(pairing_match *out, const matrix *p,
                                             const int64_t *partner, pairing_cells cells);

/* *out [n]: 1 where the row is finite. */
SCW_CHECKED scw_status pairing_finite(uint8_t **out, const float *rows, int64_t n, int64_t d);

#endif
