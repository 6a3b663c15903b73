/* SPDX-License-Identifier: BSD-3-Clause */
/* Which features speak for a class? Attribution of a fitted model's class score to its inputs,
 * through the posterior mean, so that no chance is in it.
 *
 * With f_c(x) the score of class c, x_i an input cell of that class and x_i0 its baseline:
 *
 *   saliency   |df_c / dx_f (x_i)|                              (Simonyan, Vedaldi, Zisserman 2014)
 *   ig         (x_if - x_i0f) g_if,   g_i = integral over a in (0, 1) of
 *              grad f_c(x_i0 + a (x_i - x_i0))                  (Sundararajan, Taly, Yan 2017)
 *   shared     (x_if - x_i0f) (R g_i)_f                         (docs/markers.md)
 *
 * The integral is by Gauss-Legendre nodes. R = (S / tr S)^(1/2) with S the covariance of the
 * explained cells' inputs, in the subspace that the network reads: of features that vary together
 * the network needs only some, and R shares the credit of those with the others. */
#ifndef MODELS_ATTRIBUTION_H
#define MODELS_ATTRIBUTION_H

#include "models/matilda_model.h"

typedef enum attribution_method {
    ATTRIBUTION_SHARED = 0,
    ATTRIBUTION_IG,
    ATTRIBUTION_SALIENCY
} attribution_method;

typedef enum attribution_baseline {
    ATTRIBUTION_MEAN = 0, /* x0 = 0: the training mean, as inputs are centred (z-scored inputs of
                           * the authors' transform: their zero baseline) */
    ATTRIBUTION_ZERO      /* the input of a cell without a count */
} attribution_baseline;

typedef enum attribution_score {
    ATTRIBUTION_MARGIN = 0, /* class score less the mean of the others' */
    ATTRIBUTION_LOGIT       /* class score (published) */
} attribution_score;

typedef struct attribution_options {
    attribution_method method;
    attribution_baseline baseline;
    attribution_score score;
    int64_t steps;     /* Gauss-Legendre nodes, 1..1000 */
    int64_t max_cells; /* of a class, a seeded sample; 0: all */
    uint64_t seed;
} attribution_options;

/* How well attributions add up to the change of the score, over the cells that have the same
 * modalities: sum_i |sum_f a_if - (f(x_i) - f(x_i0))| / sum_i |f(x_i) - f(x_i0)|, by the plain
 * integrated gradients, shared or not. */
typedef struct attribution_completeness {
    uint32_t modalities; /* bit k: modality k is present */
    int64_t n_cells;
    double error;
} attribution_completeness;

typedef struct attribution {
    int n_modalities;
    int64_t n_classes;
    int64_t n_vars[MODEL_MAX_MODALITIES];
    int64_t *n_cells[MODEL_MAX_MODALITIES]; /* [C] cells attributed that have the modality */
    double *mean[MODEL_MAX_MODALITIES];     /* [C, F_k] mean attribution over them; 0 without any */
    double *se[MODEL_MAX_MODALITIES];       /* [C, F_k] its standard error; NaN under two cells */
    double *away[MODEL_MAX_MODALITIES];     /* [C, F_k] mean of x - x0 */
    int n_sets;
    attribution_completeness *sets; /* [n_sets]; none for saliency */
} attribution;

/* classes [c->n]: the class to attribute a cell's score of, or -1 for a cell to leave out. Memory:
 * one block of at most 256 cells, dense, beside the result. SCW_EDATA: no cell is to be attributed;
 * SCW_ENUMERIC: the covariance is not finite. */
SCW_CHECKED scw_status attribution_compute(attribution *out, const matilda_model *m, const cells *c,
                                           const int32_t *classes,
                                           const attribution_options *options,
                                           const scw_hooks *hooks);
void attribution_clear(attribution *a);

#endif
