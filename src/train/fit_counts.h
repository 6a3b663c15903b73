/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAIN_FIT_COUNTS_H
#define TRAIN_FIT_COUNTS_H

#include "train/fit_state.h"
#include "train/reference.h"

/* Fit the count decoders (models/count_heads.h) that the options ask for on the posterior means of
 * the listed cells; c holds the cells rows[0..] of the reference, train [n_train] positions among
 * them. Nothing of the network changes. The training is the current one of `state`. */
SCW_CHECKED scw_status fit_counts(matilda_model *m, const cells *c, const reference *ref,
                                  const int64_t *rows, const int64_t *train, int64_t n_train,
                                  uint64_t seed, fit_state *state, const scw_hooks *hooks);

#endif
