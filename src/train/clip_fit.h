/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAIN_CLIP_FIT_H
#define TRAIN_CLIP_FIT_H

#include "models/clip_model.h"
#include "train/checkpoint.h"
#include "train/reference.h"

/* Fit on all cells of the reference. `from`: a fitted model to start from, of a reference like it
 * (reference_build_like); NULL: there is none. `plan`: as for fit_model (train/fit.h). SCW_EDATA: fewer than two
 * modalities, one that hardly any cell has, or modalities that no cell has together. */
SCW_CHECKED scw_status clip_fit(clip_model **out, const scw_model_kind *kind, const reference *ref,
                                const clip_model *from, const clip_options *options, uint64_t seed,
                                const checkpoint_plan *plan, const scw_hooks *hooks);

#endif
