/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the classes of the reference lie in the projected inputs u_m, for lining up a query with them
 * (train/align.h). A model without projections, or of an earlier version, has none. */
#ifndef MODELS_CLASS_MEANS_H
#define MODELS_CLASS_MEANS_H

#include "models/matilda.h"

typedef struct class_means {
    int n; /* modalities; 0: none */
    int mean[MODEL_MAX_MODALITIES]; /* [C, K_m], NaN for a class that lacks it; -1: no projection */
    params p;                       /* "means.<modality>" */
} class_means;

/* All NaN. Stays empty where no modality has a projection. */
SCW_CHECKED scw_status class_means_init(class_means *c, const matilda_config *config);
void class_means_clear(class_means *c);

#endif
