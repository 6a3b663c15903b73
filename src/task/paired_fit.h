/* SPDX-License-Identifier: BSD-3-Clause */
/* `fit` of kinds that put modalities into one space: the cells, the checkpoint, the record. */
#ifndef TASK_PAIRED_FIT_H
#define TASK_PAIRED_FIT_H

#include "models/kind.h"
#include "train/paired_fit.h"

/* For the row of the kind (models/kind.h), by its fitter. fractional: of its options. */
SCW_CHECKED scw_status paired_fit_data(scw_model **out, const scw_model_kind *kind,
                                       const scw_dataset *data, const scw_fit_request *request,
                                       const void *options, int fractional, paired_fitter *fitter,
                                       const scw_hooks *hooks);

#endif
