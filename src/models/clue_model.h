/* SPDX-License-Identifier: BSD-3-Clause */
/* A fitted CLUE: the network, and what stands beside it. */
#ifndef MODELS_CLUE_MODEL_H
#define MODELS_CLUE_MODEL_H

#include "models/modality_input.h"
#include "models/clue_options.h"
#include "models/kind.h"

/* Shares of held-out cells that a prediction interval holds. */
#define CLUE_LEVELS 4
extern const double clue_levels[CLUE_LEVELS]; /* ascending */

typedef struct clue_model {
    scw_model base;
    clue_options options;
    clue_net net;
    modality_input input[MODEL_MAX_MODALITIES];
    /* [CLUE_LEVELS, F_to] half widths of prediction intervals in deviations of the likelihood, from
     * modality to modality (models/clue_translation.h); NULL: none were held out to learn them. */
    float *spread[MODEL_MAX_MODALITIES][MODEL_MAX_MODALITIES];
} clue_model;

SCW_CHECKED scw_status clue_new(clue_model **out, const scw_model_kind *kind,
                                const clue_options *options);
void clue_free(clue_model *m);

/* For the row of the kind (models/kind.h). */
void clue_clear(scw_model *m);
void clue_intake(model_intake *out, const scw_model *m);

/* Of a modality's decoder, as the options choose it. */
clue_likelihood clue_likelihood_of(const clue_options *o, modality_kind kind);
/* Sizes of the network that follow from modalities, inputs, batches, classes and options. */
void clue_config_of(clue_config *out, const clue_model *m);

/* Listed cells of a query as a batch in the tape's memory, for evaluation. counts [K]: rows of raw
 * counts, NULL (as its x) where nothing is decoded from them. Without memory out->n is 0. */
void clue_gather(clue_batch *out, const clue_model *m, tape *t, const cells *c, const int64_t *rows,
                 int64_t n, const row_list *counts);

/* Posterior means, each of length one: `joint` [n, K d] of all that a cell has, `own` [K] of one
 * modality [n, K d], NULL where not asked. Rows that lack it are zeros. In blocks of rows. */
SCW_CHECKED scw_status clue_embed(const clue_model *m, const cells *c, float *joint, float *const *own);

#endif
