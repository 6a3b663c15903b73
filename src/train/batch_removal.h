/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes out of the projected inputs what sets the batches of the reference apart, within classes.
 *
 * For each modality, over the n training cells, with S_w the covariance within classes and batches and
 * S_b that of the batches' means about those of their classes:
 *
 *   L = S_w^-1/2 S_b S_w^-1/2,  T = S_w^-1/2 (I + weight L)^-1/2 S_w^1/2,  P_m becomes s P_m T
 *
 * so a direction along which batches lie one standard deviation of a cell apart shrinks by
 * sqrt(1 + weight), and what no batch moves stays; s keeps the total variance. It is the whitening by a
 * nuisance covariance of speaker recognition (within-class covariance normalisation, Hatch et al.,
 * Interspeech 2006) with batches as the nuisance. T is fitted on the reference alone and is part of the
 * projection: whatever reads u_m (encoders, linear paths, answers for subsets, lining up) is behind it,
 * and a query's cell is treated by itself. */
#ifndef TRAIN_BATCH_REMOVAL_H
#define TRAIN_BATCH_REMOVAL_H

#include "models/matilda_model.h"

/* c->known_batch must be set; rows [n] are the labelled training cells. Nothing happens to a modality
 * without a projection, or without a class that two batches share. */
SCW_CHECKED scw_status batch_removal_fit(matilda_model *m, const cells *c, const int64_t *rows,
                                         int64_t n, double weight);

#endif
