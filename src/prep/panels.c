/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/panels.h"

#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "kernel/kernel.h"

#define PANEL_ROWS 512       /* 60 doubles of each: a quarter of a megabyte */
#define COLUMNS_AT_ONCE 2048 /* of X^T A, that a thread takes */

void panels_clear(panels *p)
{
    mem_free(p->start);
    mem_free(p->row);
    mem_free(p->value);
    *p = (panels){0};
}

static int64_t end_of(const panels *p, int64_t q)
{
    return (q + 1) * PANEL_ROWS < p->n_rows ? (q + 1) * PANEL_ROWS : p->n_rows;
}

/* Panel q by counting: its entries go where its rows have theirs, so that panels do not meet. */
static void set_panel(panels *p, int64_t q, const matrix *x, const int32_t *number)
{
    int64_t *start = p->start + q * (p->m + 1), from = x->indptr[q * PANEL_ROWS],
            to = x->indptr[end_of(p, q)];

    memset(start, 0, (size_t)(p->m + 1) * sizeof *start);
    for (int64_t e = from; e < to; e++)
        if (number[x->indices[e]] >= 0) start[number[x->indices[e]]]++;
    for (int64_t j = 0, at = from; j <= p->m; j++) {
        int64_t count = start[j];
        start[j] = at;
        at += count;
    }
    for (int64_t i = q * PANEL_ROWS; i < end_of(p, q); i++) {
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            int32_t j = number[x->indices[e]];
            if (j < 0) continue;
            int64_t at = start[j]++;
            p->row[at] = (int32_t)i;
            p->value[at] = x->values[e];
        }
    }
    /* Each start is now its column's end. */
    memmove(start + 1, start, (size_t)p->m * sizeof *start);
    start[0] = from;
}

scw_status panels_set(panels *p, const matrix *x, const int32_t *number, int64_t m)
{
    scw_status st = SCW_OK;
    int64_t nnz = x->indptr[x->n_rows];

    p->m = m;
    p->n_rows = x->n_rows;
    p->n = (x->n_rows + PANEL_ROWS - 1) / PANEL_ROWS;
    if (p->n * (m + 1) > p->room_start) {
        p->room_start = 0;
        TRY(mem_resize(&p->start, p->n * (m + 1)));
        p->room_start = p->n * (m + 1);
    }
    if (nnz > p->room) {
        p->room = 0;
        TRY(mem_resize(&p->row, nnz));
        TRY(mem_resize(&p->value, nnz));
        p->room = nnz;
    }
    PARALLEL_FOR
    for (int64_t q = 0; q < p->n; q++) set_panel(p, q, x, number);
done:
    return st;
}

static kernel_lists panel(const panels *p, int64_t q)
{
    return (kernel_lists){p->start + q * (p->m + 1), p->row, p->value};
}

void panels_times(double *out, const panels *p, const double *b, int64_t l)
{
    PARALLEL_FOR
    for (int64_t q = 0; q < p->n; q++) {
        kernel_lists columns = panel(p, q);
        int64_t from = q * PANEL_ROWS;
        memset(out + from * l, 0, (size_t)((end_of(p, q) - from) * l) * sizeof *out);
        kernel_lists_scatter(&columns, 0, p->m, b, l, out);
    }
}

void panels_add_transposed(double *out, const panels *p, const double *a, int64_t l)
{
    int64_t n_parts = (p->m + COLUMNS_AT_ONCE - 1) / COLUMNS_AT_ONCE;

    PARALLEL_FOR
    for (int64_t part = 0; part < n_parts; part++) {
        int64_t first = part * COLUMNS_AT_ONCE, last = first + COLUMNS_AT_ONCE;
        for (int64_t q = 0; q < p->n; q++) {
            kernel_lists columns = panel(p, q);
            kernel_lists_gather(&columns, first, last < p->m ? last : p->m, a, l, out);
        }
    }
}
