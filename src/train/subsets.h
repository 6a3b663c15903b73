/* SPDX-License-Identifier: BSD-3-Clause */
/* Fits the answers for cells that lack a modality (models/subsets.h), beside the finished network. */
#ifndef TRAIN_SUBSETS_H
#define TRAIN_SUBSETS_H

#include "models/matilda_model.h"

/* A path for each proper subset of two or three projected modalities that at least ten of the listed
 * cells have and two classes among them; maps are zero until subsets_fit, penalties chosen by
 * cross-validation as the shortcut's. Leaves m->subsets empty where the options say so, where there
 * is no shortcut, or with another number of modalities. */
SCW_CHECKED scw_status subsets_plan(matilda_model *m, const cells *c, const int64_t *rows,
                                    int64_t n, uint64_t seed, const scw_hooks *hooks);

/* Set the maps from the listed cells and the network as it is. Logistic regressions use every cell
 * that has the subset, the maps to mu the whole cells among them where those are enough. */
SCW_CHECKED scw_status subsets_fit(matilda_model *m, const cells *c, const int64_t *rows,
                                   int64_t n);

#endif
