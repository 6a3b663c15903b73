/* SPDX-License-Identifier: BSD-3-Clause */
/* From labelled cells to a fitted Matilda. */
#ifndef TRAIN_FIT_H
#define TRAIN_FIT_H

#include "models/matilda_model.h"
#include "train/checkpoint.h"
#include "train/reference.h"

/* Fit on the listed cells of the reference. Classes are those that occur among them. `plan`: how the
 * fit is kept on disk while it runs, and where it continues from; NULL: not at all. A plan's checkpoint
 * must come from the same call with the same data; SCW_EFORMAT when it cannot. */
SCW_CHECKED scw_status fit_model(matilda_model **out, const scw_model_kind *kind,
                                 const reference *ref, const int64_t *rows, int64_t n,
                                 const matilda_options *options, uint64_t seed,
                                 const checkpoint_plan *plan, const scw_hooks *hooks);

/* The listed cells of a reference as input of a model that was fitted on its features; labels are
 * the model's classes, -1 for a class it does not know. */
SCW_CHECKED scw_status fit_prepare(cells *out, const matilda_model *m, const reference *ref,
                                   const int64_t *rows, int64_t n);

/* Stratified split: each class of at least 10 cells gives round(share * size) cells, smaller ones
 * none. Order within the two lists is that of `rows`. */
SCW_CHECKED scw_status fit_split(int64_t *train, int64_t *n_train, int64_t *validation,
                                 int64_t *n_validation, const int32_t *labels, const int64_t *rows,
                                 int64_t n, int64_t n_classes, double share, uint64_t seed);

#endif
