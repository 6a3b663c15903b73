/* SPDX-License-Identifier: BSD-3-Clause */
/* The embedding of a query by a model that puts several modalities into one space: obsm X_<model> of the
 * cells, of what each has, and of each modality by itself in that modality's own obsm. */
#ifndef TASK_PAIRED_EMBED_H
#define TASK_PAIRED_EMBED_H

#include "task/apply.h"

typedef struct paired_embedder {
    int64_t width; /* of the embedding */
    int64_t block; /* of the part X_<model>_<modality> for each modality; 0: there are no such parts */
    /* joint [n, width] of all that a cell has, own [modalities] of one modality [n, width], or NULL */
    scw_status (*embed)(const scw_model *m, const cells *c, float *joint, float *const *own);
} paired_embedder;

/* For the `apply` of a kind (models/kind.h). */
SCW_CHECKED scw_status paired_embed(scw_results **out, const scw_model *model,
                                    const paired_embedder *by, const scw_dataset *query,
                                    const scw_task_request *request, const scw_hooks *hooks);

#endif
