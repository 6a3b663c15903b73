/* SPDX-License-Identifier: BSD-3-Clause */
/* Where CLUE sees the cells of a query. */
#include "task/clue.h"
#include "task/paired_embed.h"

static scw_status embed(const scw_model *m, const cells *c, float *joint, float *const *own)
{
    return clue_embed((const clue_model *)m, c, joint, own);
}

scw_status clue_apply(scw_results **out, const scw_model *model, const scw_dataset *query,
                      const scw_task_request *request, const scw_hooks *hooks)
{
    const int64_t d = ((const clue_model *)model)->options.z_dim;
    const paired_embedder by = {.width = model->n_modalities * d, .block = d, .embed = embed};

    return paired_embed(out, model, &by, query, request, hooks);
}
