/* SPDX-License-Identifier: BSD-3-Clause */
/* From cells that have any modalities to a fitted CLUE. */
#ifndef TRAIN_CLUE_FIT_H
#define TRAIN_CLUE_FIT_H

#include "models/clue_model.h"
#include "train/checkpoint.h"
#include "train/reference.h"

/* Fit on all cells of the reference. `from`: a fitted model whose transforms, scores and parameters the fit
 * starts from, of a reference like it (reference_build_like); it learns no intervals then, because that
 * model may have seen the cells they would be judged on. NULL: there is none.
 * `plan`: as for fit_model (train/fit.h). SCW_EDATA: fewer than
 * two modalities, one that hardly any cell has, or modalities that no cell has together. */
SCW_CHECKED scw_status clue_fit(clue_model **out, const scw_model_kind *kind, const reference *ref,
                                const clue_model *from, const clue_options *options, uint64_t seed,
                                const checkpoint_plan *plan, const scw_hooks *hooks);

#endif
