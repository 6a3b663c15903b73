/* SPDX-License-Identifier: BSD-3-Clause */
/* A fitted CLIP: the network, and what its towers read. */
#ifndef MODELS_CLIP_MODEL_H
#define MODELS_CLIP_MODEL_H

#include "models/clip_options.h"
#include "models/modality_input.h"
#include "models/kind.h"

typedef struct clip_model {
    scw_model base;
    clip_options options;
    clip_net net;
    modality_input input[MODEL_MAX_MODALITIES];
} clip_model;

SCW_CHECKED scw_status clip_new(clip_model **out, const scw_model_kind *kind,
                                const clip_options *options);
void clip_free(clip_model *m);

/* For the row of the kind (models/kind.h). */
void clip_clear(scw_model *m);
void clip_intake(model_intake *out, const scw_model *m);

/* Sizes of the network that follow from modalities, inputs and options. */
void clip_config_of(clip_config *out, const clip_model *m);

/* Where the cells are: own [modalities] of one modality [n, d], rows of length one, zeros for a cell that
 * lacks it; joint [n, d] their sum over what a cell has, made of length one. In blocks of rows. */
SCW_CHECKED scw_status clip_embed(const scw_model *m, const cells *c, float *joint,
                                  float *const *own);

#endif
