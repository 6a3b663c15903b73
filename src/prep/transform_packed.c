/* SPDX-License-Identifier: BSD-3-Clause */
/* Cells whose counts stay packed: what the network's input needs of them is a few numbers a cell, which
 * are kept, and y, which is made anew for the cells of a batch. */
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "prep/pass.h"
#include "prep/transform.h"

typedef struct application {
    prepared *out;
    const transform *t;
    const uint8_t *present; /* of all rows, or NULL */
} application;

static scw_status copy_part(float **to, const float *part, int64_t from, int64_t n, int64_t n_all)
{
    scw_status st = SCW_OK;

    if (!part) return SCW_OK;
    if (!*to) TRY(mem_new(to, n_all));
    memcpy(*to + from, part, (size_t)n * sizeof *part);
done:
    return st;
}

static scw_status visit(void *state, const row_block *b)
{
    scw_status st = SCW_OK;
    const application *a = state;
    prepared part = {0}, *out = a->out;
    const int64_t n = b->x.n_rows, from = b->from, n_all = out->y.n_rows;

    TRY(transform_apply(&part, a->t, &b->x, NULL, a->present ? a->present + from : NULL, false));
    TRY(copy_part(&out->row_scale, part.row_scale, from, n, n_all));
    TRY(copy_part(&out->row_shift, part.row_shift, from, n, n_all));
    TRY(copy_part(&out->present, part.present, from, n, n_all));
    for (int64_t i = 0; i < n; i++)
        out->y.indptr[from + i + 1] = out->y.indptr[from] + b->x.indptr[i + 1];
    out->n_empty += part.n_empty;
    if (!out->col_scale) {
        out->col_scale = part.col_scale;
        part.col_scale = NULL;
    }
    if (!out->col_shift) {
        out->col_shift = part.col_shift;
        part.col_shift = NULL;
    }
done:
    prepared_clear(&part);
    return st;
}

scw_status transform_apply_packed(prepared *out, const transform *t, const row_list *counts,
                                  const uint8_t *present, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    block_reader *rows = NULL;

    *out = (prepared){.packed = *counts, .prep = t};
    out->y = (matrix){.n_rows = counts->n, .n_cols = counts->x->n_cols, .sparse = true};
    TRY(mem_new(&out->y.indptr, counts->n + 1));
    TRY(row_list_reader(&rows, counts));
    TRY(blocks_each(rows, "normalisation", hooks, visit, &(application){out, t, present}));
done:
    block_reader_free(rows);
    if (st != SCW_OK) prepared_clear(out);
    return st;
}

/* ------------------------------------------------------------------ y block by block */

scw_status prepared_reader(block_reader **out, const prepared *p, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *listed = NULL;
    block_reader *counts = NULL;

    *out = NULL;
    if (!p->packed.packed) return row_list_reader(out, &(row_list){&p->y, NULL, rows, n});
    TRY(mem_new(&listed, n));
    for (int64_t i = 0; i < n; i++) listed[i] = p->packed.rows[rows[i]];
    TRY(row_list_reader(&counts, &(row_list){&p->y, p->packed.packed, listed, n}));
    TRY(block_reader_mapped(out, counts, transform_map, p->prep));
done:
    mem_free(listed);
    return st;
}
