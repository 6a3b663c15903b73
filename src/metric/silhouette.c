/* SPDX-License-Identifier: BSD-3-Clause */
/* Distances come from products in blocks and are added up by group at once; none is kept. The rows are
 * put in the order of their groups, so that a group's distances stand side by side. */
#include "metric/silhouette.h"

#include <math.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"

#define QUERY_BLOCK 64
#define ROW_BLOCK 512

typedef struct plan {
    const silhouette_input *in;
    int64_t *order;  /* [n] where row i of `rows` came from */
    int64_t *first;  /* [n_groups + 1] of each group among them */
    double *rows;    /* [n, d] centred; of length one for the cosine */
    double *norms;   /* [n] squared lengths */
    double *s;
} plan;

typedef struct desk {
    double *products; /* [QUERY_BLOCK, ROW_BLOCK] */
    double *sums;     /* [QUERY_BLOCK, n_groups] of distances */
} desk;

static int64_t size_of(const plan *p, int32_t group)
{
    return p->first[group + 1] - p->first[group];
}

/* From products to distances, in place. */
static void to_distances(const plan *p, double *product, int64_t query, int64_t first, int64_t count)
{
    const double *norms = p->norms + first, own = p->norms[query];

    if (p->in->cosine) {
        for (int64_t r = 0; r < count; r++) product[r] = 1.0 - product[r];
    } else {
        for (int64_t r = 0; r < count; r++) {
            double square = own + norms[r] - 2.0 * product[r];
            product[r] = sqrt(square > 0.0 ? square : 0.0);
        }
    }
    if (query >= first && query < first + count) product[query - first] = 0.0;
}

/* In lanes, always the same ones. */
static double sum(const double *v, int64_t n)
{
    double lane[4] = {0.0};
    int64_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (int l = 0; l < 4; l++) lane[l] += v[i + l];
    for (; i < n; i++) lane[0] += v[i];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* `group`: of the first row of the block. */
static void add_distances(const plan *p, desk *w, int64_t query, int64_t in_block, int32_t group,
                          int64_t first, int64_t count)
{
    double *distance = w->products + in_block * ROW_BLOCK;
    double *sums = w->sums + in_block * p->in->n_groups;

    to_distances(p, distance, query, first, count);
    for (int64_t at = 0; at < count; group++) {
        int64_t end = p->first[group + 1] - first < count ? p->first[group + 1] - first : count;
        sums[group] += sum(distance + at, end - at);
        at = end;
    }
}

static double width_of(const plan *p, const double *sums, int32_t own)
{
    double nearest = INFINITY, others = 0.0;
    int64_t n_others = 0;

    if (size_of(p, own) < 2) return 0.0;
    for (int32_t g = 0; g < p->in->n_groups; g++) {
        if (g == own || size_of(p, g) == 0) continue;
        others += sums[g];
        n_others += size_of(p, g);
        double mean = sums[g] / (double)size_of(p, g);
        if (mean < nearest) nearest = mean;
    }
    double a = sums[own] / (double)(size_of(p, own) - 1);
    double b = p->in->mean_other ? others / (double)n_others : nearest;
    double larger = a > b ? a : b;
    return larger > 0.0 ? (b - a) / larger : 0.0;
}

static int32_t group_at(const plan *p, int64_t row)
{
    return p->in->group[p->order[row]];
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
        for (int64_t i = 0; i < count; i++)
            add_distances(p, w, first + i, i, group_at(p, at), at, n_rows);
    }
    for (int64_t i = 0; i < count; i++)
        p->s[p->order[first + i]] = width_of(p, w->sums + i * in->n_groups, group_at(p, first + i));
}

/* Stable, so that nothing depends on how it is done. */
static scw_status sort_by_group(plan *p)
{
    scw_status st = SCW_OK;
    const silhouette_input *in = p->in;
    int64_t *at = NULL;
    int32_t n_used = 0;

    TRY(mem_new(&p->order, in->n));
    TRY(mem_new(&p->first, in->n_groups + 1));
    TRY(mem_new(&at, in->n_groups));
    for (int64_t i = 0; i < in->n; i++) n_used += p->first[in->group[i] + 1]++ == 0;
    if (n_used < 2) FAIL(SCW_EDATA, "silhouette: the cells are of %d groups, at least 2 are needed", n_used);
    for (int32_t g = 0; g < in->n_groups; g++) {
        p->first[g + 1] += p->first[g];
        at[g] = p->first[g];
    }
    for (int64_t i = 0; i < in->n; i++) p->order[at[in->group[i]]++] = i;
done:
    mem_free(at);
    return st;
}

/* Rows in double, moved by their mean so that little is lost in the products. */
static scw_status prepare(plan *p)
{
    scw_status st = SCW_OK;
    const silhouette_input *in = p->in;
    double *mean = NULL;

    TRY(mem_new(&p->rows, in->n * in->d));
    TRY(mem_new(&p->norms, in->n));
    TRY(mem_new(&mean, in->d));
    TRY(sort_by_group(p));
    for (int64_t e = 0; e < in->n * in->d && !in->cosine; e++)
        mean[e % in->d] += (double)in->x[e] / (double)in->n;
    for (int64_t i = 0; i < in->n; i++) {
        double *row = p->rows + i * in->d, square = 0.0;
        for (int64_t j = 0; j < in->d; j++) {
            row[j] = (double)in->x[p->order[i] * in->d + j] - mean[j];
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
    mem_free(p.order);
    mem_free(p.first);
    return st;
}
