/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/blocks.h"

#include <string.h>

#include "base/alloc.h"

#define MEMORY_BLOCK_ROWS 4096

void row_block_clear(row_block *b)
{
    matrix_clear(&b->x);
    mem_free(b->exact);
    *b = (row_block){0};
}

scw_status row_block_reserve(row_block *b, int64_t n_rows, int64_t n_values, bool exact)
{
    scw_status st = SCW_OK;

    if (!b->x.indptr || n_rows > b->room_rows) {
        TRY(mem_resize(&b->x.indptr, n_rows + 1));
        b->room_rows = n_rows;
    }
    if (!b->x.indices || n_values > b->room_values) {
        int64_t room = b->room_values + b->room_values / 2;
        if (room < n_values) room = n_values;
        TRY(mem_resize(&b->x.indices, room));
        if (exact)
            TRY(mem_resize(&b->exact, room));
        else
            TRY(mem_resize(&b->x.values, room));
        b->room_values = room;
    }
done:
    return st;
}

scw_status block_reader_read(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;

    if (from < 0 || n < 0 || from > r->n_rows || n > r->n_rows - from)
        FAIL(SCW_EINVAL, "rows %lld to %lld of a matrix of %lld rows", (long long)from,
             (long long)from + (long long)n, (long long)r->n_rows);
    TRY(r->kind->read(out, r, from, n));
    out->from = from;
    out->x.n_rows = n;
    out->x.n_cols = r->n_cols;
    out->x.sparse = true;
done:
    return st;
}

scw_status block_reader_next(row_block *out, block_reader *r, bool *more)
{
    scw_status st = SCW_OK;
    int64_t from = out->x.indptr ? out->from + out->x.n_rows : 0;
    int64_t left = r->n_rows - from;

    *more = left > 0;
    if (!*more) goto done;
    TRY(block_reader_read(out, r, from, left < r->block_rows ? left : r->block_rows));
done:
    return st;
}

void block_reader_free(block_reader *r)
{
    if (!r) return;
    if (r->kind && r->kind->close) r->kind->close(r);
    mem_free(r);
}

/* ------------------------------------------------------------------ a matrix in memory */

static scw_status read_csr(row_block *out, const matrix *m, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t first = m->indptr[from], nnz = m->indptr[from + n] - first;

    TRY(row_block_reserve(out, n, nnz, false));
    for (int64_t i = 0; i <= n; i++) out->x.indptr[i] = m->indptr[from + i] - first;
    memcpy(out->x.indices, m->indices + first, (size_t)nnz * sizeof *m->indices);
    memcpy(out->x.values, m->values + first, (size_t)nnz * sizeof *m->values);
done:
    return st;
}

static scw_status read_dense(row_block *out, const matrix *m, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const float *x = m->values + from * m->n_cols;
    int64_t nnz = 0, at = 0;

    for (int64_t k = 0; k < n * m->n_cols; k++) nnz += x[k] != 0.0f;
    TRY(row_block_reserve(out, n, nnz, false));
    for (int64_t i = 0; i < n; i++) {
        out->x.indptr[i] = at;
        for (int64_t j = 0; j < m->n_cols; j++) {
            float value = x[i * m->n_cols + j];
            if (value == 0.0f) continue;
            out->x.indices[at] = (int32_t)j;
            out->x.values[at++] = value;
        }
    }
    out->x.indptr[n] = at;
done:
    return st;
}

static scw_status read_memory(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    const matrix *m = r->state;

    return m->sparse ? read_csr(out, m, from, n) : read_dense(out, m, from, n);
}

scw_status block_reader_of_matrix(block_reader **out, const matrix *m)
{
    static const block_reader_kind kind = {"memory", read_memory, NULL};
    scw_status st = SCW_OK;

    *out = NULL;
    TRY(mem_new(out, 1));
    **out = (block_reader){.kind = &kind,
                           .state = (void *)(uintptr_t)m, /* only read from */
                           .n_rows = m->n_rows,
                           .n_cols = m->n_cols,
                           .nnz = m->sparse ? matrix_nnz(m) : -1,
                           .block_rows = MEMORY_BLOCK_ROWS};
done:
    return st;
}
