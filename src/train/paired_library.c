/* SPDX-License-Identifier: BSD-3-Clause */
/* The library size of a fit, chosen by its training cells (train/library_choice.h). */
#include "train/library_choice.h"
#include "train/paired_cells.h"

static bool has_kind(const scw_model *m, modality_kind kind)
{
    for (int k = 0; k < m->n_modalities; k++)
        if (m->modality[k].kind == kind) return true;
    return false;
}

static scw_status score(void *self, double library, linear_path_cells *out)
{
    scw_status st = SCW_OK;
    paired_cells *p = self;

    p->options.library = library;
    TRY(paired_cells_score(p));
    paired_cells_view(out, p, p->train, p->n_train);
done:
    return st;
}

scw_status paired_cells_library(paired_cells *p, double *library, const linear_path_options *options)
{
    scw_status st = SCW_OK;
    const library_scores scores = {p, has_kind(p->model, MODALITY_RNA), score};

    if (p->from) goto done; /* counts are scaled as that model scales them */
    TRY(library_choose(library, &scores, options, p->hooks));
    p->options.library = *library;
done:
    return st;
}
