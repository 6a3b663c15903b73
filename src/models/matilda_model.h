/* SPDX-License-Identifier: BSD-3-Clause */
/* A fitted Matilda: the network, and what stands beside it. */
#ifndef MODELS_MATILDA_MODEL_H
#define MODELS_MATILDA_MODEL_H

#include "models/calibration.h"
#include "models/class_means.h"
#include "models/count_heads.h"
#include "models/kind.h"
#include "models/matilda.h"
#include "models/matilda_options.h"
#include "models/subsets.h"

typedef struct matilda_model {
    scw_model base;
    matilda_options options;
    matilda_net net;
    calibration calibration;
    subsets subsets; /* answers for cells that lack a modality; empty where the model has none */
    class_means means;
    count_heads counts; /* decoders of counts; empty where the model has none */
} matilda_model;

SCW_CHECKED scw_status matilda_new(matilda_model **out, const scw_model_kind *kind,
                                   const matilda_options *options);
void matilda_free(matilda_model *m);

/* For the row of the kind (models/kind.h). */
void matilda_init(scw_model *m);
void matilda_clear(scw_model *m);
void matilda_intake(model_intake *out, const scw_model *m);

/* Network sizes that follow from the model's modalities, classes and options. `components` [k]:
 * width of modality k's fitted projection, 0 for none. */
void matilda_config_of(const matilda_model *m, const int64_t *components, matilda_config *out);

/* Class scores [n, C] and latent [n, d] of cells; either may be NULL. In blocks of rows. A cell
 * that lacks a modality is answered by m->subsets where there is a path for what it has. Scores
 * become probabilities by calibration_softmax with the temperature of matilda_calibration. */
SCW_CHECKED scw_status matilda_infer(const matilda_model *m, const params *p, const cells *c,
                                     const int64_t *rows, int64_t n, float *logits, float *latent);

/* Whose answer it is to be. */
enum {
    MATILDA_AS_NETWORK = -2, /* the network's, whatever the cells have */
    MATILDA_AS_PRESENT = -1  /* of matilda_infer; k >= 0: of m->subsets.at[k], if the cells have it */
};
SCW_CHECKED scw_status matilda_infer_as(const matilda_model *m, int as, const cells *c,
                                        const int64_t *rows, int64_t n, float *logits,
                                        float *latent);

/* Which path of m->subsets answers for cell i, -1: the network. */
int matilda_path_of(const matilda_model *m, const cells *c, int64_t i);
/* How far the answers of path k can be trusted; -1: the network's, which stands in for a path that
 * has no calibration of its own. */
const calibration *matilda_calibration(const matilda_model *m, int k);

/* Share of the variance of modality k's inputs (about the training mean) that the reconstructions
 * from the posterior mean explain, over all the cells; below zero when they are worse than the
 * mean. NaN for a modality that no cell has. out [n_modalities]. */
SCW_CHECKED scw_status matilda_explained_variance(const matilda_model *m, const cells *c,
                                                  double *out);

#endif
