/* SPDX-License-Identifier: BSD-3-Clause */
/* New cells from a fitted model and the real cells of a reference.
 *
 * A cell is a latent z, a depth for each modality, and for each feature a normal score r that says
 * where in its distribution the count lies:  x_j = Q(Phi(r_j); mean_j(z), shape_j).
 * Scores of the real cells are the inverse of that at z = mu_i, the step of the distribution at x_ij
 * filled by a uniform number (randomised quantile residuals, Dunn and Smyth 1996); they hold what the
 * latent does not explain, among it the correlation of features within a type.
 *
 *   class      z = mean + sum_i g_i (mu_i - mean), and r and the logarithm of the depth alike, over
 *              the real cells i of the type, g a row of a random orthogonal matrix: a Gaussian with
 *              the covariance of (z, r) in the type, so that what the latent explains and what it
 *              leaves stay together. Types of few cells borrow: a share 1 / n of the
 *              variance of z is that of deviations of other types, of r independent noise.
 *              In each feature the new scores keep their order and take the quantiles of the
 *              sources' scores, so that what is not normal in the type stays.
 *   posterior  z = mu_i + eps sigma_i of a real cell i, and its depth (Liu et al. 2023); r as above
 *   prior      z ~ N(0, 1), r independent, the depth of any real cell
 *
 * Where the model tells batches apart, a cell is drawn for one: sources are scored under the decoder of
 * their own batch, new cells are decoded for the one asked for, with depths of its cells.
 *
 * Equal sources, request and seed give equal cells for any number of threads. */
#ifndef MODELS_SAMPLER_H
#define MODELS_SAMPLER_H

#include "models/matilda_model.h"

typedef enum sample_from { SAMPLE_CLASS = 0, SAMPLE_POSTERIOR, SAMPLE_PRIOR } sample_from;

#define SAMPLE_BATCH_OBSERVED 0 /* those of the sources */
#define SAMPLE_BATCH_MEAN (-1)  /* none in particular */

#define SAMPLE_LIBRARY_REAL 0.0
#define SAMPLE_LIBRARY_MEDIAN (-1.0)

typedef struct sampler_options {
    sample_from from;
    double library; /* REAL: as the real cells; MEDIAN: of the type; else total RNA counts of a cell */
    int32_t batch;  /* OBSERVED, MEAN, or 1 + the model's batch that cells are drawn for */
    uint64_t seed;
} sampler_options;

typedef struct sampler {
    const matilda_model *model;
    const cells *cells;    /* prepared real cells, labels of the model's classes or -1 */
    const matrix *counts;  /* [n_modalities] their raw counts; NULL for a model without heads */
    sampler_options options;
    real *mu, *logvar;     /* [n, d] posterior of the real cells */
    real *class_mean;      /* [C, d] of mu */
    int64_t *class_size;   /* [C] */
    real *depth[MODEL_MAX_MODALITIES]; /* [n] of the real cells */
    double *shape[MODEL_MAX_MODALITIES]; /* [F] of a head; 0 for bernoulli */
    uint32_t n_blocks;     /* drawn so far: the address of random numbers */
    tape *tape;
} sampler;

/* What was drawn: `x[k]` counts as CSR, or, of a modality without a head, expected transformed values,
 * dense. Rows append from call to call. */
typedef struct sampled {
    int64_t n, capacity;
    matrix x[MODEL_MAX_MODALITIES];
    int64_t room[MODEL_MAX_MODALITIES]; /* entries allocated */
    int32_t *label;                     /* [n] class */
    int64_t *source;                    /* [n] real cell (posterior), or -1 */
    int32_t *batch;                     /* [n] of the model's, -1: none in particular */
} sampled;

/* Borrows model, cells and counts. */
SCW_CHECKED scw_status sampler_init(sampler *s, const matilda_model *m, const cells *c,
                                    const matrix *counts, const sampler_options *options);
void sampler_clear(sampler *s);

/* Draw n cells of class c (SAMPLE_PRIOR: of no class, labelled by the classifier; c is not read). */
SCW_CHECKED scw_status sampler_draw(sampler *s, sampled *out, int32_t c, int64_t n,
                                    const scw_hooks *hooks);
void sampled_clear(sampled *x);

#endif
