/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE's fitted linear path: regularised canonical correlation of K sets of scores, each pair of sets
 * from the cells that have both (Kettenring 1971, MAXVAR; ridge as in prep/cca.h).
 *
 *   C_k  = covariance of input k + ridge tr / p I,   C_kl = cross-covariance over the cells of both
 *   A    = [C_k^(-1/2) C_kl C_l^(-1/2)]_{k != l},    A v = (K - 1) r v, the d largest r
 *   S_k  = r^power sqrt(K) v_k^T C_k^(-1/2)          d variates, the same in every block
 *
 * So the network starts where canonical correlation ends, and learns what bends. */
#ifndef MODELS_CLUE_PATH_H
#define MODELS_CLUE_PATH_H

#include "models/clue.h"

typedef struct clue_path_cells {
    int64_t n;
    const float *input[MODEL_MAX_MODALITIES];     /* [n, n_in] */
    const uint8_t *present[MODEL_MAX_MODALITIES]; /* [n] */
} clue_path_cells;

typedef struct clue_path_options {
    double ridge, power;
    double gain;  /* length of the path's answers */
    double start; /* deviation of the posterior at the start */
} clue_path_options;

/* Sets the path of a network that has one, with the heads at 0 beside it. *correlation: the
 * largest r. SCW_EDATA: modalities that no two cells tie together. */
SCW_CHECKED scw_status clue_path_fit(double *correlation, clue_net *net, const clue_path_cells *c,
                                     const clue_path_options *options);

#endif
