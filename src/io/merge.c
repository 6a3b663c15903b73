/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/merge.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "data/stack.h"

/* Cell Ranger's words for the kinds of features. */
static const char *type_of(const char *modality_name)
{
    static const char *const known[][2] = {
        {"rna", "Gene Expression"}, {"adt", "Antibody Capture"}, {"atac", "Peaks"}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(modality_name, known[i][0]) == 0) return known[i][1];
    return modality_name;
}

/* Features that do not say what they are get the modality's kind. */
static scw_status add_types(frame *var, const char *modality_name)
{
    scw_status st = SCW_OK;
    column c = {0};

    if (frame_find(var, "feature_types")) goto done;
    TRY(column_init(&c, "feature_types", COLUMN_CATEGORICAL, var->n_rows));
    TRY(strings_add(&c.categories, type_of(modality_name)));
    TRY(frame_add(var, &c));
done:
    column_clear(&c);
    return st;
}

static scw_status join_features(frame *out, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    const frame **all = NULL;
    int64_t n_changed;

    TRY(mem_new(&all, d->n_modalities));
    for (int k = 0; k < d->n_modalities; k++) {
        TRY(add_types(&d->modalities[k].var, d->modalities[k].name));
        all[k] = &d->modalities[k].var;
    }
    TRY(frame_stack(out, all, d->n_modalities));
    TRY(strings_make_unique(&out->index, &n_changed));
done:
    mem_free(all);
    return st;
}

static scw_status needs_memory(const modality *m, const char *what)
{
    if (!m->store) return SCW_OK;
    return status_fail(SCW_ENOMEM, "modality '%s': %lld MB in memory are needed to %s; allow more than "
                       "the %lld MB it has with --mem", m->name, (long long)(m->store->bytes / 1000000),
                       what, (long long)(m->store->memory_bytes / 1000000));
}

static scw_status join_rows(matrix *out, const scw_dataset *d, int64_t n_cols)
{
    scw_status st = SCW_OK;
    matrix_builder b = {0};

    for (int k = 0; k < d->n_modalities; k++)
        TRY(needs_memory(&d->modalities[k], "put modalities side by side"));
    TRY(matrix_builder_init(&b, d->n_obs, n_cols, d->modalities[0].x.exact != NULL));
    b.m.stored = d->modalities[0].x.stored;
    for (int k = 1; k < d->n_modalities; k++)
        b.m.stored = number_type_join(b.m.stored, d->modalities[k].x.stored);
    for (int64_t i = 0; i < d->n_obs; i++) {
        int64_t first = 0;
        for (int k = 0; k < d->n_modalities; first += d->modalities[k++].x.n_cols) {
            const matrix *m = &d->modalities[k].x;
            int64_t r = d->modalities[k].row_of_obs[i];
            if (r < 0) continue;
            int64_t from = m->sparse ? m->indptr[r] : r * m->n_cols;
            int64_t end = m->sparse ? m->indptr[r + 1] : from + m->n_cols;
            for (int64_t e = from; e < end; e++) {
                double v = matrix_value(m, e);
                if (!m->sparse && v == 0) continue;
                TRY(matrix_builder_add(&b, i, first + (m->sparse ? m->indices[e] : e - from), v));
            }
        }
    }
    TRY(matrix_builder_finish(out, &b));
done:
    matrix_builder_clear(&b);
    return st;
}

scw_status dataset_merge(scw_dataset *d, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    modality all = {0};

    for (int k = 0; k < d->n_modalities; k++)
        if (d->modalities[k].n_present < d->n_obs)
            log_warning(hooks, "%lld cells lack modality '%s'; they get zeros there",
                        (long long)(d->n_obs - d->modalities[k].n_present), d->modalities[k].name);
    TRY(mem_strdup(&all.name, "merged"));
    TRY(join_features(&all.var, d));
    TRY(join_rows(&all.x, d, all.var.n_rows));
    TRY(mem_new(&all.row_of_obs, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++) all.row_of_obs[i] = i;
    all.n_present = d->n_obs;
    for (int k = 0; k < d->n_modalities; k++) modality_clear(&d->modalities[k]);
    d->modalities[0] = all;
    d->n_modalities = 1;
    all = (modality){0};
done:
    modality_clear(&all);
    return st;
}

scw_status dataset_own_cells(scw_dataset *d)
{
    scw_status st = SCW_OK;
    modality *m = &d->modalities[0];
    int64_t *cells = NULL;
    frame obs = {0};
    matrix x = {0};
    int64_t n = 0;
    bool in_order = m->n_present == d->n_obs && m->x.n_rows == d->n_obs;

    for (int64_t i = 0; in_order && i < d->n_obs; i++) in_order = m->row_of_obs[i] == i;
    if (in_order) goto done;
    TRY(needs_memory(m, "bring its cells into the order of the set"));
    TRY(mem_new(&cells, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++)
        if (m->row_of_obs[i] >= 0) cells[n++] = i;
    TRY(frame_gather(&obs, &d->obs, cells, n));
    for (int64_t i = 0; i < n; i++) cells[i] = m->row_of_obs[cells[i]];
    TRY(matrix_rows_csr(&x, &m->x, cells, n));
    matrix_clear(&m->x);
    m->x = x;
    frame_clear(&d->obs);
    d->obs = obs;
    d->n_obs = m->n_present = n;
    for (int64_t i = 0; i < n; i++) m->row_of_obs[i] = i;
    for (int k = 0; k < m->n_arrays; k++) { /* in the old order of rows */
        mem_free(m->arrays[k].name);
        matrix_clear(&m->arrays[k].x);
    }
    m->n_arrays = 0;
done:
    mem_free(cells);
    return st;
}
