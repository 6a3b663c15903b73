/* SPDX-License-Identifier: BSD-3-Clause */
/* The fitted linear path of models that put modalities into one space: regularised canonical correlation
 * of K sets of scores, each pair of sets from the cells that have both (Kettenring 1971, MAXVAR; ridge as
 * in prep/cca.h, whose answer this is for two sets).
 *
 *   C_k  = covariance of input k + ridge tr / p I,   C_kl = cross-covariance over the cells of both
 *   A    = [C_k^(-1/2) C_kl C_l^(-1/2)]_{k != l},    A v = (K - 1) r v, the d largest r
 *   M_k  = C_k^(-1/2) v_k w,  w = r^power sqrt(K)    variates (x - mean_k) M_k, weighted
 *
 * So a network starts where canonical correlation ends, and learns what bends. */
#ifndef MODELS_LINEAR_PATH_H
#define MODELS_LINEAR_PATH_H

#include "models/network.h"

typedef struct linear_path_cells {
    int64_t n;
    const int64_t *rows; /* [n] of the arrays below; NULL: 0, 1, ... */
    int n_sets;
    const char *name[MODEL_MAX_MODALITIES]; /* for messages */
    int64_t width[MODEL_MAX_MODALITIES];
    const float *input[MODEL_MAX_MODALITIES];     /* [., width] */
    const uint8_t *present[MODEL_MAX_MODALITIES]; /* [.]; NULL: all have it */
} linear_path_cells;

typedef struct linear_path_options {
    double ridge, power;
    int64_t components; /* d, at most */
} linear_path_options;

typedef struct linear_path {
    int n_sets;
    int64_t k;                          /* components: as asked, at most all widths together */
    double *map[MODEL_MAX_MODALITIES];  /* M [width, k] */
    double *mean[MODEL_MAX_MODALITIES]; /* [width] over the cells that have the set */
    double *correlation, *weight;       /* [k] r, descending; w */
} linear_path;

/* SCW_EDATA: sets that no two cells tie together. */
SCW_CHECKED scw_status linear_path_fit(linear_path *out, const linear_path_cells *cells,
                                       const linear_path_options *options);
void linear_path_clear(linear_path *path);

/* Has cell i of the n set k? */
bool linear_path_has(const linear_path_cells *cells, int k, int64_t i);
/* (x - mean_k) M_k [n, k] of all cells; rows that lack set k are NaN. */
void linear_path_apply(float *out, const linear_path *path, const linear_path_cells *cells, int k);

#endif
