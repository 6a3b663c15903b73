/* SPDX-License-Identifier: BSD-3-Clause */
/* Distances come from products in blocks and are added up by group at once; none is kept. */
#include "metric/silhouette.h"

#include <math.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"

#define QUERY_BLOCK 64
#define ROW_BLOCK 512

typedef struct plan {
    const silhouette_input *in;
    double *rows;  /* [n, d] centred; of length one for the cosine */
    double *norms; /* [n] squared lengths */
    int64_t *size; /* [n_groups] */
    double *s;
} plan;

typedef struct desk {
    double *products; /* [QUERY_BLOCK, ROW_BLOCK] */
    double *sums;     /* [QUERY_BLOCK, n_groups] of distances */
} desk;

static void add_distances(const plan *p, desk *w, int64_t query, int64_t in_block, int64_t first,
                          int64_t count)
{
    const silhouette_input *in = p->in;
    const double *product = w->products + in_block * ROW_BLOCK;
    double *sums = w->sums + in_block * in->n_groups;

    for (int64_t r = 0; r < count; r++) {
        if (first + r == query) continue;
        double square = p->norms[query] + p->norms[first + r] - 2.0 * product[r];
        double distance = in->cosine ? 1.0 - product[r] : square > 0.0 ? sqrt(square) : 0.0;
        sums[in->group[first + r]] += distance;
    }
}

static double width_of(const plan *p, const double *sums, int32_t own)
{
    double nearest = INFINITY, others = 0.0;
    int64_t n_others = 0;

    if (p->size[own] < 2) return 0.0;
    for (int32_t g = 0; g < p->in->n_groups; g++) {
        if (g == own || p->size[g] == 0) continue;
        others += sums[g];
        n_others += p->size[g];
        double mean = sums[g] / (double)p->size[g];
        if (mean < nearest) nearest = mean;
    }
    double a = sums[own] / (double)(p->size[own] - 1);
    double b = p->in->mean_other ? others / (double)n_others : nearest;
    double larger = a > b ? a : b;
    return larger > 0.0 ? (b - a) / larger : 0.0;
}

static void measure_block(const plan *p, desk *w, int64_t first)
{
    const silhouette_input *in = p->in;
    int64_t count = in->n - first < QUERY_BLOCK ? in->n - first : QUERY_BLOCK;

    for (int64_t e = 0; e < count * in->n_groups; e++) w->sums[e] = 0.0;
    for (int64_t at = 0; at < in->n; at += ROW_BLOCK) {
        int64_t n_rows = in->n - at < ROW_BLOCK ? in->n - at : ROW_BLOCK;
        dense_shape shape = {.trans_b = true, .m = count, .n = n_rows, .k = in->d,
                             .ld_a = in->d, .ld_b = in->d, .ld_c = ROW_BLOCK, .alpha = 1.0};
        dense_product_serial(&shape, p->rows + first * in->d, p->rows + at * in->d, w->products);
        for (int64_t i = 0; i < count; i++) add_distances(p, w, first + i, i, at, n_rows);
    }
    for (int64_t i = 0; i < count; i++)
        p->s[first + i] = width_of(p, w->sums + i * in->n_groups, in->group[first + i]);
}

/* Rows in double, moved by their mean so that little is lost in the products. */
static scw_status prepare(plan *p)
{
    scw_status st = SCW_OK;
    const silhouette_input *in = p->in;
    double *mean = NULL;
    int32_t n_used = 0;

    TRY(mem_new(&p->rows, in->n * in->d));
    TRY(mem_new(&p->norms, in->n));
    TRY(mem_new(&p->size, in->n_groups));
    TRY(mem_new(&mean, in->d));
    for (int64_t i = 0; i < in->n; i++) n_used += p->size[in->group[i]]++ == 0;
    if (n_used < 2) FAIL(SCW_EDATA, "silhouette: the cells are of %d groups, at least 2 are needed", n_used);
    for (int64_t e = 0; e < in->n * in->d && !in->cosine; e++)
        mean[e % in->d] += (double)in->x[e] / (double)in->n;
    for (int64_t i = 0; i < in->n; i++) {
        double *row = p->rows + i * in->d, square = 0.0;
        for (int64_t j = 0; j < in->d; j++) {
            row[j] = (double)in->x[i * in->d + j] - mean[j];
            square += row[j] * row[j];
        }
        if (!isfinite(square)) FAIL(SCW_EDATA, "silhouette: the rows hold a value that is not finite");
        p->norms[i] = square;
        for (int64_t j = 0; j < in->d && in->cosine && square > 0.0; j++) row[j] /= sqrt(square);
    }
done:
    mem_free(mean);
    return st;
}

scw_status silhouette_widths(double *s, const silhouette_input *in)
{
    scw_status st = SCW_OK;
    plan p = {.in = in, .s = s};
    desk *desks = NULL;
    int64_t n_blocks = (in->n + QUERY_BLOCK - 1) / QUERY_BLOCK, n_desks = threads_get();

    if (n_desks > n_blocks) n_desks = n_blocks;
    TRY(prepare(&p));
    TRY(mem_new(&desks, n_desks));
    for (int64_t t = 0; t < n_desks; t++) {
        TRY(mem_new(&desks[t].products, QUERY_BLOCK * ROW_BLOCK));
        TRY(mem_new(&desks[t].sums, QUERY_BLOCK * in->n_groups));
    }
    int before = dense_enter();
    PARALLEL_FOR
    for (int64_t t = 0; t < n_desks; t++)
        for (int64_t b = t; b < n_blocks; b += n_desks) measure_block(&p, &desks[t], b * QUERY_BLOCK);
    dense_leave(before);
done:
    for (int64_t t = 0; desks && t < n_desks; t++) {
        mem_free(desks[t].products);
        mem_free(desks[t].sums);
    }
    mem_free(desks);
    mem_free(p.rows);
    mem_free(p.norms);
    mem_free(p.size);
    return st;
}
