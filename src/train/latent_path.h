/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAIN_LATENT_PATH_H
#define TRAIN_LATENT_PATH_H

#include "metric/baseline.h"
#include "train/inputs.h"

/* Start the latent space, the classifier and (if linear) the decoders from a fitted regression:
 * x holds the whitened inputs u T of the listed cells, `fit` the regression on them. See
 * shortcut.h. */
SCW_CHECKED scw_status latent_path_set(matilda_model *m, const inputs *x, const double *t,
                                       const logistic *fit, const cells *c, const int64_t *rows);

#endif
