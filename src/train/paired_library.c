/* SPDX-License-Identifier: BSD-3-Clause */
/* How a fit reads its cells, where that is left to it: chosen by the training cells
 * (train/path_choice.h). */
#include "base/log.h"
#include "train/path_choice.h"
#include "train/paired_cells.h"

static bool has_kind(const scw_model *m, modality_kind kind)
{
    for (int k = 0; k < m->n_modalities; k++)
        if (m->modality[k].kind == kind) return true;
    return false;
}

static scw_status score(paired_cells *p, linear_path_cells *out)
{
    scw_status st = SCW_OK;

    TRY(paired_cells_score(p));
    paired_cells_view(out, p, p->train, p->n_train);
done:
    return st;
}

static scw_status score_library(void *self, double library, linear_path_cells *out)
{
    paired_cells *p = self;

    p->options.library = library;
    return score(p, out);
}

static scw_status score_rows(void *self, int way, linear_path_cells *out)
{
    paired_cells *p = self;

    p->options.input.unit_rows = way == 1;
    return score(p, out);
}

/* Chromatin by centred components, or by rows as published: these take out the depth, which few
 * peaks hardly show and many do. */
static scw_status choose_rows(paired_cells *p)
{
    scw_status st = SCW_OK;
    static const char *const names[] = {"centred components", "unit rows"};
    const path_ways ways = {p, 2, names, score_rows};
    const double library = p->options.library;
    int way = 0;

    if (library == 0.0) p->options.library = 1e4;
    TRY(path_choose(&way, &ways, &p->options.path, p->fit->hooks));
    p->options.input.unit_rows = way == 1;
    p->options.library = library;
    log_info(p->fit->hooks, "chromatin is read by %s", names[way]);
done:
    return st;
}

scw_status paired_cells_choose(paired_cells *p)
{
    scw_status st = SCW_OK;
    paired_cells_options *o = &p->options;
    const library_scores scores = {p, has_kind(p->model, MODALITY_RNA), score_library};
    double library = o->library;

    if (p->fit->from) goto done; /* cells are read as that model reads them */
    o->input.unit_rows = o->unit_rows == PAIRED_ROWS_ON;
    if (o->unit_rows == PAIRED_ROWS_AUTO && has_kind(p->model, MODALITY_ATAC)) TRY(choose_rows(p));
    o->unit_rows = o->input.unit_rows ? PAIRED_ROWS_ON : PAIRED_ROWS_OFF;
    TRY(library_choose(&library, &scores, &o->path, p->fit->hooks));
    o->library = library;
done:
    return st;
}
