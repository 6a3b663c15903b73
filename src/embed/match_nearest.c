/* SPDX-License-Identifier: BSD-3-Clause */
/* Matching by nearest neighbours: shared ones, and mutual ones. */
#include "embed/match.h"

#include "base/alloc.h"
#include "embed/neighbors.h"

/* Who has whom as neighbour: entry of `to` lists the rows of the other side that found it. */
typedef struct found_by {
    int64_t *indptr; /* [n + 1] */
    int32_t *row;
} found_by;

static void found_by_clear(found_by *f)
{
    mem_free(f->indptr);
    mem_free(f->row);
}

static scw_status found_by_init(found_by *f, const neighbors *nn, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *at = NULL;

    TRY(mem_new(&f->indptr, n + 1));
    TRY(mem_new(&f->row, nn->n * nn->k));
    TRY(mem_new(&at, n));
    for (int64_t e = 0; e < nn->n * nn->k; e++) f->indptr[nn->row[e] + 1]++;
    for (int64_t i = 0; i < n; i++) {
        f->indptr[i + 1] += f->indptr[i];
        at[i] = f->indptr[i];
    }
    for (int64_t e = 0; e < nn->n * nn->k; e++) f->row[at[nn->row[e]]++] = (int32_t)(e / nn->k);
done:
    mem_free(at);
    return st;
}

/* Neighbours across the sides, and within them k - 1 others beside the cell itself. */
typedef struct graphs {
    neighbors xy, yx, xx, yy;
    found_by by_y; /* rows of y that found a row of x */
    found_by near_y; /* rows of y that found a row of y */
} graphs;

static void graphs_clear(graphs *g)
{
    neighbors_clear(&g->xy);
    neighbors_clear(&g->yx);
    neighbors_clear(&g->xx);
    neighbors_clear(&g->yy);
    found_by_clear(&g->by_y);
    found_by_clear(&g->near_y);
}

static scw_status find(neighbors *out, const match_batch *b, bool from_x, bool to_x, int64_t k)
{
    neighbors_search s = {.rows = to_x ? b->x : b->y, .n_rows = to_x ? b->n_x : b->n_y, .d = b->d,
                          .k = k, .cosine = b->cosine};
    if (from_x != to_x) {
        s.queries = from_x ? b->x : b->y;
        s.n_queries = from_x ? b->n_x : b->n_y;
    }
    return neighbors_find(out, &s);
}

static scw_status graphs_init(graphs *g, const match_batch *b, int64_t k, bool within)
{
    scw_status st = SCW_OK;

    TRY(find(&g->xy, b, true, false, k));
    TRY(find(&g->yx, b, false, true, k));
    TRY(found_by_init(&g->by_y, &g->yx, b->n_x));
    if (!within) goto done;
    TRY(find(&g->xx, b, true, true, k - 1));
    TRY(find(&g->yy, b, false, false, k - 1));
    TRY(found_by_init(&g->near_y, &g->yy, b->n_y));
done:
    return st;
}

/* Weights of one row on their way: `touched` lists the columns that are not 0. */
typedef struct row_sums {
    double *value;    /* [n_y] */
    int32_t *touched; /* [n_y] */
    int64_t n;
} row_sums;

static void add(row_sums *r, int32_t column)
{
    if (r->value[column] == 0.0) r->touched[r->n++] = column;
    r->value[column] += 1.0;
}

/* Emit the row, scaled to sum 1, and empty it. */
static scw_status emit(matrix_builder *out, row_sums *r, int64_t row)
{
    scw_status st = SCW_OK;
    double sum = 0.0;

    for (int64_t e = 0; e < r->n; e++) sum += r->value[r->touched[e]];
    for (int64_t e = 0; e < r->n; e++) {
        TRY(matrix_builder_add(out, row, r->touched[e], r->value[r->touched[e]] / sum));
        r->value[r->touched[e]] = 0.0;
    }
    r->n = 0;
done:
    return st;
}

/* Row i of A Sy^T + (B Sx^T)^T: the paths i -> l in y, j -> l in y, and i -> l in x, j -> l in x, where
 * a step within a side may stay. */
static void count_paths(row_sums *r, const graphs *g, int64_t i)
{
    for (int64_t e = i * g->xy.k; e < (i + 1) * g->xy.k; e++) {
        int32_t l = g->xy.row[e];
        add(r, l);
        if (!g->near_y.row) continue; /* k = 1: a step within a side stays */
        for (int64_t f = g->near_y.indptr[l]; f < g->near_y.indptr[l + 1]; f++)
            add(r, g->near_y.row[f]);
    }
    for (int64_t e = -1; e < g->xx.k; e++) {
        int64_t l = e < 0 ? i : g->xx.row[i * g->xx.k + e];
        for (int64_t f = g->by_y.indptr[l]; f < g->by_y.indptr[l + 1]; f++) add(r, g->by_y.row[f]);
    }
}

/* The competition's way (specification: J_ij / (2 k_x + 2 k_y - J_ij), rows scaled to sum 1). */
scw_status match_shared(matrix_builder *out, const match_batch *b, const scw_match_options *o,
                        const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    graphs g = {0};
    row_sums r = {0};
    (void)hooks;

    TRY(graphs_init(&g, b, o->neighbors, o->neighbors > 1));
    TRY(mem_new(&r.value, b->n_y));
    TRY(mem_new(&r.touched, b->n_y));
    double most = 2.0 * (double)(g.xy.k + g.yx.k); /* k is less where there are fewer cells */
    for (int64_t i = 0; i < b->n_x; i++) {
        count_paths(&r, &g, i);
        for (int64_t e = 0; e < r.n; e++) {
            double *v = &r.value[r.touched[e]];
            *v /= most - *v;
        }
        TRY(emit(out, &r, i));
    }
done:
    graphs_clear(&g);
    mem_free(r.value);
    mem_free(r.touched);
    return st;
}

scw_status match_mutual(matrix_builder *out, const match_batch *b, const scw_match_options *o,
                        const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    graphs g = {0};
    row_sums r = {0};
    (void)hooks;

    TRY(graphs_init(&g, b, o->neighbors, false));
    TRY(mem_new(&r.value, b->n_y));
    TRY(mem_new(&r.touched, b->n_y));
    for (int64_t i = 0; i < b->n_x; i++) {
        for (int64_t e = i * g.xy.k; e < (i + 1) * g.xy.k; e++)
            for (int64_t f = g.by_y.indptr[i]; f < g.by_y.indptr[i + 1]; f++)
                if (g.by_y.row[f] == g.xy.row[e]) add(&r, g.xy.row[e]);
        TRY(emit(out, &r, i));
    }
done:
    graphs_clear(&g);
    mem_free(r.value);
    mem_free(r.touched);
    return st;
}
