/* SPDX-License-Identifier: BSD-3-Clause */
/* Cells are independent and go to threads; sums of features run in the order of the cells. */
#include "prep/qc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "prep/pass.h"
#include "prep/select.h"

#define MAD_SCALE 1.4826 /* makes the deviation that of a normal distribution */

typedef struct pass {
    qc *q;
    const qc_options *o;
    float *sorted; /* [nnz of the block] */
    int64_t room;
} pass;

void qc_clear(qc *q)
{
    mem_free(q->n_genes);
    mem_free(q->total);
    mem_free(q->set_total);
    mem_free(q->top_share);
    mem_free(q->n_cells);
    mem_free(q->feature_total);
    *q = (qc){0};
}

/* Shares of the largest values in percent. The first pass puts the largest tops[last] in front, the
 * next ones work within those. */
static void top_shares(const pass *p, float *v, int64_t n, int64_t cell, double total)
{
    const qc_options *o = p->o;

    for (int t = o->n_tops - 1; t >= 0; t--) {
        double sum = 0.0;
        if (o->tops[t] < n) select_largest(v, n, o->tops[t]);
        n = o->tops[t] < n ? o->tops[t] : n;
        for (int64_t e = 0; e < n; e++)
            sum += (double)v[e];
        p->q->top_share[t * p->q->n + cell] = total != 0.0 ? 100.0 * sum / total : (double)NAN;
    }
}

static void one_cell(const pass *p, const row_block *b, int64_t i)
{
    qc *q = p->q;
    const matrix *x = &b->x;
    int64_t cell = b->from + i, first = x->indptr[i], last = x->indptr[i + 1], n_genes = 0;
    double total = 0.0;

    for (int64_t e = first; e < last; e++) {
        total += (double)x->values[e];
        n_genes += x->values[e] != 0.0f;
    }
    q->n_genes[cell] = n_genes;
    q->total[cell] = total;
    for (int s = 0; s < q->n_sets; s++) {
        double sum = 0.0;
        for (int64_t e = first; e < last; e++)
            if (p->o->sets[s][x->indices[e]]) sum += (double)x->values[e];
        q->set_total[s * q->n + cell] = sum;
    }
    if (q->n_tops == 0) return;
    memcpy(p->sorted + first, x->values + first, (size_t)(last - first) * sizeof *p->sorted);
    top_shares(p, p->sorted + first, last - first, cell, total);
}

static scw_status visit(void *state, const row_block *b)
{
    scw_status st = SCW_OK;
    pass *p = state;
    qc *q = p->q;
    const matrix *x = &b->x;
    int64_t nnz = x->indptr[x->n_rows];

    if (p->o->n_tops && nnz > p->room) {
        TRY(mem_resize(&p->sorted, nnz));
        p->room = nnz;
    }
    for (int64_t e = 0; e < nnz; e++) {
        float v = x->values[e];
        if (!isfinite(v))
            FAIL(SCW_EDATA, "a value is not finite (feature %lld); quality figures need numbers",
                 (long long)x->indices[e] + 1);
        q->negative |= v < 0.0f;
        q->fractional |= v != floorf(v);
    }
    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++)
        one_cell(p, b, i);
    for (int64_t i = 0; i < x->n_rows; i++) {
        if (p->o->cells && !p->o->cells[b->from + i]) continue;
        q->n_counted++;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            q->n_cells[x->indices[e]] += x->values[e] != 0.0f;
            q->feature_total[x->indices[e]] += (double)x->values[e];
        }
    }
done:
    return st;
}

scw_status qc_compute(qc *out, block_reader *rows, const qc_options *options,
                      const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    qc q = {
        .n = rows->n_rows, .p = rows->n_cols, .n_sets = options->n_sets, .n_tops = options->n_tops};
    pass p = {.q = &q, .o = options};

    *out = (qc){0};
    TRY(mem_new(&q.n_genes, q.n));
    TRY(mem_new(&q.total, q.n));
    TRY(mem_new(&q.set_total, q.n * q.n_sets));
    TRY(mem_new(&q.top_share, q.n * q.n_tops));
    TRY(mem_new(&q.n_cells, q.p));
    TRY(mem_new(&q.feature_total, q.p));
    TRY(blocks_each(rows, "quality", hooks, visit, &p));
    for (int64_t i = 0; i < q.n; i++)
        q.n_empty_cells += q.n_genes[i] == 0;
    for (int64_t j = 0; j < q.p; j++)
        q.n_empty_features += q.n_cells[j] == 0;
    *out = q;
    q = (qc){0};
done:
    mem_free(p.sorted);
    qc_clear(&q);
    return st;
}

scw_status qc_outlier_bounds(double *low, double *high, const double *values, int64_t n,
                             double n_mads)
{
    scw_status st = SCW_OK;
    double *finite = NULL;
    int64_t m = 0;

    *low = *high = (double)NAN;
    TRY(mem_new(&finite, n));
    for (int64_t i = 0; i < n; i++)
        if (isfinite(values[i])) finite[m++] = values[i];
    if (m == 0) goto done;
    double middle = select_median(finite, m);
    for (int64_t i = 0; i < m; i++)
        finite[i] = fabs(finite[i] - middle);
    double reach = n_mads * MAD_SCALE * select_median(finite, m);
    *low = middle - reach;
    *high = middle + reach;
done:
    mem_free(finite);
    return st;
}
