/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers for cells that have some of a model's modalities only.
 *
 * The network and its linear paths are fitted on whole cells; a modality that is absent would enter
 * them at its training mean, as if the cell had been measured and found average. So each proper
 * subset s of at most three modalities has linear maps of its own from u_s, the projected inputs of
 * the modalities it has side by side:
 *
 *   mu_s     = L_s u_s + l_s     ridge regression of the network's posterior mean: what the whole
 *                                cell's embedding would be, as far as its parts tell
 *   answer_s = S_s u_s + t_s     logistic regression of the class, as the shortcut of the whole
 *
 * train/subsets.h fits them when the network is finished, so that nothing changes for whole cells. */
#ifndef MODELS_SUBSETS_H
#define MODELS_SUBSETS_H

#include "models/calibration.h"
#include "models/matilda.h"

#define SUBSETS_MAX_MODALITIES 3
#define SUBSETS_MAX 6 /* proper subsets of three */
#define SUBSET_NAME 256

typedef struct subset_path {
    uint32_t mask;      /* bit k: the cell has modality k */
    int64_t width;      /* of u_s */
    double penalty;     /* of the logistic regression */
    int answer, bias;   /* S_s [C, width], t_s [C] */
    int latent, centre; /* L_s [d, width], l_s [d] */
    calibration calibration;
} subset_path;

typedef struct subsets {
    int n; /* 0: none */
    subset_path at[SUBSETS_MAX];
    params p;
} subsets;

/* Paths for the listed masks, all maps zero. */
SCW_CHECKED scw_status subsets_init(subsets *s, const matilda_config *c, const uint32_t *mask,
                                    int n);
void subsets_clear(subsets *s);

/* "rna+adt" */
void subset_name(char out[SUBSET_NAME], const matilda_config *c, uint32_t mask);

/* The path for exactly the modalities of the mask, -1: none. */
int subsets_find(const subsets *s, uint32_t mask);

/* Path k's answer [C] and mu [d], either may be NULL, of row i of the projected inputs v_m [n, K_m].
 */
void subset_path_apply(const subsets *s, int k, const matilda_config *c, tensor *const *v, int64_t i,
                       float *logits, float *latent);

#endif
