/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "data/rules.h"

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
    if (!b->x.indices || n_values > b->room_values || (exact ? !b->exact : !b->x.values)) {
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

/* ------------------------------------------------------------------ canonical form */

typedef struct entry {
    int32_t column;
    double value;
    int64_t order; /* position in the file */
} entry;

static int by_column(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    if (x->column != y->column) return x->column < y->column ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Entries [from, to), sorted and added up, to position `at`, not behind `from`; how many remain. */
static int64_t tidy_row(row_block *b, int64_t from, int64_t to, int64_t at, entry *scratch)
{
    int64_t kept = 0;

    for (int64_t k = 0; k < to - from; k++)
        scratch[k] = (entry){b->x.indices[from + k],
                             b->exact ? b->exact[from + k] : (double)b->x.values[from + k], k};
    qsort(scratch, (size_t)(to - from), sizeof *scratch, by_column);
    for (int64_t k = 0; k < to - from; k++) {
        const entry *e = &scratch[k];
        bool again = kept && b->x.indices[at + kept - 1] == e->column;
        if (!again) b->x.indices[at + kept++] = e->column;
        int64_t place = at + kept - 1;
        if (b->exact)
            b->exact[place] = again ? b->exact[place] + e->value : e->value;
        else
            b->x.values[place] = again ? b->x.values[place] + (float)e->value : (float)e->value;
    }
    return kept;
}

/* The worst verdict of the rows, and the first row that has it. */
static scw_status judge(row_order *verdict, int64_t *row, const row_block *b)
{
    scw_status st = SCW_OK;
    uint8_t *each = NULL;
    const int64_t n = b->x.n_rows;

    *verdict = ROW_TIDY;
    TRY(mem_new(&each, n));
    PARALLEL_FOR_IF(b->x.indptr[n] > 65536)
    for (int64_t i = 0; i < n; i++)
        each[i] = (uint8_t)matrix_row_order(b->x.indices + b->x.indptr[i],
                                            b->x.indptr[i + 1] - b->x.indptr[i], b->x.n_cols);
    for (int64_t i = 0; i < n; i++) {
        if (each[i] <= *verdict) continue;
        *verdict = (row_order)each[i];
        *row = i;
    }
done:
    mem_free(each);
    return st;
}

static bool is_unsorted(const matrix *x, int64_t from, int64_t to)
{
    for (int64_t k = from + 1; k < to; k++)
        if (x->indices[k] < x->indices[k - 1]) return true;
    return false;
}

static int32_t first_outside(const row_block *b, int64_t row)
{
    int64_t k = b->x.indptr[row];
    while (b->x.indices[k] >= 0 && b->x.indices[k] < b->x.n_cols) k++;
    return b->x.indices[k];
}

scw_status row_block_canonical(row_block *b)
{
    scw_status st = SCW_OK;
    entry *scratch = NULL;
    row_order verdict;
    int64_t row = 0, longest = 0, at = 0;

    b->n_unsorted = b->n_repeated = 0;
    TRY(judge(&verdict, &row, b));
    if (verdict == ROW_OUT_OF_RANGE)
        BREAK(RULE_INDICES_IN_RANGE, SCW_EFORMAT, "row %lld has column index %d, expected 0 to %lld",
              (long long)(b->from + row), (int)first_outside(b, row), (long long)b->x.n_cols - 1);
    if (verdict == ROW_TIDY) goto done;
    for (int64_t i = 0; i < b->x.n_rows; i++) {
        int64_t length = b->x.indptr[i + 1] - b->x.indptr[i];
        if (length > longest) longest = length;
    }
    TRY(mem_new(&scratch, longest));
    for (int64_t i = 0, from = 0; i < b->x.n_rows; i++) {
        int64_t to = b->x.indptr[i + 1], kept;
        b->n_unsorted += is_unsorted(&b->x, from, to);
        b->x.indptr[i] = at;
        kept = to > from ? tidy_row(b, from, to, at, scratch) : 0;
        b->n_repeated += kept < to - from;
        at += kept;
        from = to;
    }
    b->x.indptr[b->x.n_rows] = at;
done:
    mem_free(scratch);
    return st;
}

/* ------------------------------------------------------------------ reading */

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
    int64_t n = left < r->block_rows ? left : r->block_rows;
    TRY(block_reader_read(out, r, from, n));
    left -= n;
    block_reader_ahead(r, from + n, left < r->block_rows ? left : r->block_rows);
done:
    return st;
}

void block_reader_ahead(block_reader *r, int64_t from, int64_t n)
{
    if (!r->kind->ahead || from < 0 || n < 1 || from > r->n_rows || n > r->n_rows - from) return;
    r->kind->ahead(r, from, n);
}

void block_reader_free(block_reader *r)
{
    if (!r) return;
    if (r->kind && r->kind->close) r->kind->close(r);
    mem_free(r);
}

row_store *row_store_share(row_store *s)
{
    s->n_more++;
    return s;
}

void row_store_close(row_store *s)
{
    if (!s || s->n_more-- > 0) return;
    block_reader_free(s->reader);
    s->close(s);
}

/* ------------------------------------------------------------------ a matrix in memory */

static scw_status read_csr(row_block *out, const matrix *m, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t first = m->indptr[from], nnz = m->indptr[from + n] - first;

    TRY(row_block_reserve(out, n, nnz, m->exact != NULL));
    for (int64_t i = 0; i <= n; i++) out->x.indptr[i] = m->indptr[from + i] - first;
    if (nnz == 0) goto done;
    memcpy(out->x.indices, m->indices + first, (size_t)nnz * sizeof *m->indices);
    if (m->exact) memcpy(out->exact, m->exact + first, (size_t)nnz * sizeof *m->exact);
    else memcpy(out->x.values, m->values + first, (size_t)nnz * sizeof *m->values);
done:
    return st;
}

static scw_status read_dense(row_block *out, const matrix *m, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t first = from * m->n_cols;
    int64_t nnz = 0, at = 0;

    for (int64_t k = 0; k < n * m->n_cols; k++) nnz += matrix_value(m, first + k) != 0;
    TRY(row_block_reserve(out, n, nnz, m->exact != NULL));
    for (int64_t i = 0; i < n; i++) {
        out->x.indptr[i] = at;
        for (int64_t j = 0; j < m->n_cols; j++) {
            double value = matrix_value(m, first + i * m->n_cols + j);
            if (value == 0) continue;
            out->x.indices[at] = (int32_t)j;
            if (m->exact) out->exact[at++] = value;
            else out->x.values[at++] = (float)value;
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
    static const block_reader_kind kind = {"memory", read_memory, NULL, NULL};
    scw_status st = SCW_OK;

    *out = NULL;
    TRY(mem_new(out, 1));
    **out = (block_reader){.kind = &kind,
                           .state = (void *)(uintptr_t)m, /* only read from */
                           .n_rows = m->n_rows,
                           .n_cols = m->n_cols,
                           .nnz = m->sparse ? matrix_nnz(m) : -1,
                           .exact = m->exact != NULL,
                           .block_rows = BLOCK_READER_ROWS};
done:
    return st;
}
