/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/source.h"

static void gather(const void *self, tape *t, const int64_t *entries, int64_t n, model_batch *batch)
{
    const row_source *s = self;
    int64_t *rows = tape_alloc(t, n, sizeof *rows);

    *batch = (model_batch){0};
    if (!rows) return;
    for (int64_t i = 0; i < n; i++)
        rows[i] = s->rows[entries[i]];
    cells_gather(t, s->cells, rows, n, batch);
}

train_source row_source_as_source(const row_source *s)
{
    return (train_source){s->n, s, gather, NULL, NULL};
}
