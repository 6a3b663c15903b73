/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fit of paired modalities is asked for, whatever the kind of its model. */
#ifndef TRAIN_PAIRED_FIT_H
#define TRAIN_PAIRED_FIT_H

#include "train/checkpoint.h"
#include "train/reference.h"

typedef struct paired_fit {
    const scw_model_kind *kind;
    const void *options;         /* of the kind */
    const reference *ref;        /* all its cells are learnt from */
    const scw_model *from;       /* of the kind, fitted: transforms, scores and parameters start as
                                  * its are, of a reference like its own (reference_build_like);
                                  * NULL: there is none */
    const checkpoint_plan *plan; /* as for fit_model (train/fit.h) */
    uint64_t seed;
    const scw_hooks *hooks;
} paired_fit;

/* SCW_EDATA: fewer than two modalities, one that hardly any cell has, or modalities that no cell
 * has together. */
typedef scw_status paired_fitter(scw_model **out, const paired_fit *f);

#endif
