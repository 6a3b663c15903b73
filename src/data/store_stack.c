/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/store_stack.h"

#include <string.h>

#include "base/alloc.h"

typedef struct stacked {
    row_store base; /* first */
    int n;
    stack_part *parts;
    int64_t n_rows, n_cols;
} stacked;

void stack_part_clear(stack_part *p)
{
    matrix_clear(&p->x);
    row_store_close(p->store);
    mem_free(p->to);
    *p = (stack_part){0};
}

/* ------------------------------------------------------------------ reading */

typedef struct stack_reader {
    const stacked *s;
    block_reader **readers; /* [n] */
    row_block part;
} stack_reader;

/* Rows of one part, behind what *out holds, under their new columns. */
static scw_status append(row_block *out, const row_block *b, const stack_part *p, int64_t at,
                         bool exact)
{
    scw_status st = SCW_OK;
    const matrix *x = &b->x;
    int64_t next = out->x.indptr[at];

    TRY(row_block_reserve(out, at + x->n_rows, next + x->indptr[x->n_rows], exact));
    for (int64_t i = 0; i < x->n_rows; i++) {
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            const int64_t column = p->to ? p->to[x->indices[e]] : x->indices[e];
            if (column < 0) continue;
            out->x.indices[next] = (int32_t)column;
            if (exact) out->exact[next++] = b->exact[e];
            else out->x.values[next++] = x->values[e];
        }
        out->x.indptr[at + i + 1] = next;
    }
done:
    return st;
}

static scw_status read_stacked(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    stack_reader *s = r->state;
    int64_t first = 0, have = 0;

    TRY(row_block_reserve(out, n, 0, r->exact));
    out->x.indptr[0] = 0;
    for (int k = 0; k < s->s->n && have < n; k++) {
        const int64_t rows = s->s->parts[k].x.n_rows, within = from + have - first;
        if (within < rows) {
            const int64_t take = n - have < rows - within ? n - have : rows - within;
            TRY(block_reader_read(&s->part, s->readers[k], within, take));
            TRY(append(out, &s->part, &s->s->parts[k], have, r->exact));
            have += take;
        }
        first += rows;
    }
    out->from = from;
    out->x.n_rows = n;
    out->x.n_cols = r->n_cols;
    TRY(row_block_canonical(out)); /* columns may stand in another order */
done:
    return st;
}

static void ahead_stacked(block_reader *r, int64_t from, int64_t n)
{
    const stack_reader *s = r->state;
    int64_t first = 0;

    for (int k = 0; k < s->s->n; k++) {
        const int64_t rows = s->s->parts[k].x.n_rows, within = from - first;
        if (within >= 0 && within < rows) {
            block_reader_ahead(s->readers[k], within, n < rows - within ? n : rows - within);
            return;
        }
        first += rows;
    }
}

static void close_reader(block_reader *r)
{
    stack_reader *s = r->state;

    if (!s) return;
    for (int k = 0; s->readers && k < s->s->n; k++) block_reader_free(s->readers[k]);
    mem_free(s->readers);
    row_block_clear(&s->part);
    mem_free(s);
}

static scw_status open_stacked(block_reader **out, const row_store *store, bool exact)
{
    static const block_reader_kind kind = {"stacked", read_stacked, close_reader, ahead_stacked};
    scw_status st = SCW_OK;
    const stacked *s = (const stacked *)(const void *)store;
    block_reader *r = NULL;
    stack_reader *state = NULL;

    *out = NULL;
    TRY(mem_new(&r, 1));
    *r = (block_reader){.kind = &kind, .n_rows = s->n_rows, .n_cols = s->n_cols, .exact = exact};
    TRY(mem_new(&state, 1));
    r->state = state;
    state->s = s;
    TRY(mem_new(&state->readers, s->n));
    for (int k = 0; k < s->n; k++) {
        const stack_part *p = &s->parts[k];
        TRY(p->store ? p->store->open(&state->readers[k], p->store, exact)
                     : block_reader_of_matrix(&state->readers[k], &p->x));
        const block_reader *one = state->readers[k];
        if (one->exact != exact) FAIL(SCW_EINTERNAL, "stacked matrices of different exactness");
        if (k == 0 || one->block_rows < r->block_rows) r->block_rows = one->block_rows;
        r->nnz = one->nnz < 0 || r->nnz < 0 ? -1 : r->nnz + one->nnz;
    }
    for (int k = 0; k < s->n; k++) /* what is left out is counted by no one */
        if (s->parts[k].to) r->nnz = -1;
    *out = r;
    r = NULL;
done:
    block_reader_free(r);
    return st;
}

/* ------------------------------------------------------------------ the store */

static void close_store(row_store *store)
{
    stacked *s = (stacked *)(void *)store;

    for (int k = 0; s->parts && k < s->n; k++) stack_part_clear(&s->parts[k]);
    mem_free(s->parts);
    mem_free(s);
}

static int64_t bytes_of(const stack_part *p)
{
    if (p->store) return p->store->bytes;
    return p->x.sparse ? 8 * (matrix_nnz(&p->x) + p->x.n_rows) : 4 * p->x.n_rows * p->x.n_cols;
}

scw_status row_store_stack(row_store **out, stack_part *parts, int n, int64_t n_cols,
                           int64_t memory_bytes)
{
    scw_status st = SCW_OK;
    stacked *s = NULL;

    *out = NULL;
    TRY(mem_new(&s, 1));
    s->base = (row_store){.open = open_stacked, .close = close_store, .memory_bytes = memory_bytes};
    s->n_cols = n_cols;
    TRY(mem_new(&s->parts, n));
    for (int k = 0; k < n; k++) {
        s->parts[s->n++] = parts[k];
        parts[k] = (stack_part){0};
        const stack_part *p = &s->parts[k];
        s->n_rows += p->x.n_rows;
        s->base.bytes += bytes_of(p);
        if (p->store && !s->base.folder) s->base.folder = p->store->folder;
        s->base.dense = p->store ? p->store->dense : !p->x.sparse;
    }
    if (n > 1) s->base.dense = false;
    *out = &s->base;
    s = NULL;
done:
    if (s) close_store(&s->base);
    return st;
}
