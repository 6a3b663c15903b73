/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/source.h"

/* Columns of the projected inputs, modality by modality. */
static bool gather_projected(const inputs *x, tape *t, const int64_t *entries, int64_t n,
                             model_batch *batch)
{
    for (int k = 0; k < batch->n_modalities; k++) {
        if (x->from[k] < 0) continue;
        int64_t width = x->width[k];
        real *out = batch->projected[k] = tape_alloc(t, n * width, sizeof *out);
        if (!out) return false;
        for (int64_t i = 0; i < n; i++) {
            const float *u = x->u + entries[i] * x->p + x->from[k];
            for (int64_t j = 0; j < width; j++)
                out[i * width + j] = (real)u[j];
        }
    }
    return true;
}

static void gather(const void *self, tape *t, const int64_t *entries, int64_t n, model_batch *batch)
{
    const row_source *s = self;
    int64_t *rows = tape_alloc(t, n, sizeof *rows);

    *batch = (model_batch){0};
    if (!rows) return;
    for (int64_t i = 0; i < n; i++)
        rows[i] = s->rows[entries[i]];
    cells_gather(t, s->cells, rows, n, batch);
    if (s->projected && batch->n == n && !gather_projected(s->projected, t, entries, n, batch))
        batch->n = 0;
}

static void ahead(const void *self, const int64_t *entries, int64_t n)
{
    const row_source *s = self;

    for (int m = 0; m < s->cells->n_modalities; m++) {
        const row_list *l = &s->cells->x[m].packed;
        for (int64_t i = 0; l->packed && i < n; i++)
            packed_rows_ahead(l->packed, &l->rows[s->rows[entries[i]]], 1);
    }
}

train_source row_source_as_source(const row_source *s)
{
    return (train_source){.n = s->n, .self = s, .gather = gather, .ahead = ahead};
}
