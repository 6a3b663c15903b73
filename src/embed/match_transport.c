/* SPDX-License-Identifier: BSD-3-Clause */
/* Entropic optimal transport (Cuturi 2013) by Sinkhorn's iterations on the logarithms.
 *
 *   minimise  sum_ij P_ij C_ij + e sum_ij P_ij (log P_ij - 1),   sum_j P_ij = 1 / n_x, sum_i P_ij = 1 / n_y
 *   P_ij = exp((f_i + g_j - C_ij) / e)
 *   f_i = e log(1 / n_x) - e log sum_j exp((g_j - C_ij) / e),   and g alike
 *
 * C is the cost moved and scaled to [0, 1] within the batch. The entropy's weight falls from 1 to e in
 * steps of a half, each from where the last ended, which saves most of the iterations. Costs are
 * computed anew in blocks each time: nothing of size n_x n_y is kept. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/log.h"
#include "base/threads.h"
#include "embed/match.h"

#define ROW_BLOCK 64
#define COLUMN_BLOCK 512
#define NEGLIGIBLE 40.0      /* exp of minus this does not change a sum */
#define COARSE_ITERATIONS 20 /* at most, of each weight before the last */
#define COARSE_ERROR 0.01
#define LEAST_WEIGHT 1e-4 /* share of its row's mass below which an entry is not kept */

typedef struct plan {
    cost_rows x, y;
    double low, range; /* of the costs; range 1 where they are all the same */
    double *f, *g, *next;
    double **room; /* [n_threads] [ROW_BLOCK, COLUMN_BLOCK] */
    int n_threads;
} plan;

static void plan_clear(plan *p)
{
    cost_rows_clear(&p->x);
    cost_rows_clear(&p->y);
    mem_free(p->f);
    mem_free(p->g);
    mem_free(p->next);
    for (int t = 0; p->room && t < p->n_threads; t++) mem_free(p->room[t]);
    mem_free(p->room);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Smallest and largest cost of the rows of a block with all of y, into the block's pair. */
static void range_of_block(double *pair, double *room, const plan *p, int64_t first)
{
    int64_t n = least(p->x.n - first, ROW_BLOCK);

    pair[0] = INFINITY;
    pair[1] = -INFINITY;
    for (int64_t at = 0; at < p->y.n; at += COLUMN_BLOCK) {
        int64_t m = least(p->y.n - at, COLUMN_BLOCK);
        cost_block(room, COLUMN_BLOCK, &p->x, first, n, &p->y, at, m);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < m; j++) {
                double c = room[i * COLUMN_BLOCK + j];
                pair[0] = c < pair[0] ? c : pair[0];
                pair[1] = c > pair[1] ? c : pair[1];
            }
    }
}

static scw_status find_range(plan *p)
{
    scw_status st = SCW_OK;
    int64_t n_blocks = (p->x.n + ROW_BLOCK - 1) / ROW_BLOCK;
    double *pairs = NULL, high = -INFINITY;

    TRY(mem_new(&pairs, 2 * n_blocks));
    int before = dense_enter();
    PARALLEL_FOR
    for (int t = 0; t < p->n_threads; t++)
        for (int64_t b = t; b < n_blocks; b += p->n_threads)
            range_of_block(pairs + 2 * b, p->room[t], p, b * ROW_BLOCK);
    dense_leave(before);
    p->low = INFINITY;
    for (int64_t b = 0; b < n_blocks; b++) {
        p->low = pairs[2 * b] < p->low ? pairs[2 * b] : p->low;
        high = pairs[2 * b + 1] > high ? pairs[2 * b + 1] : high;
    }
    p->range = high > p->low ? high - p->low : 1.0;
done:
    mem_free(pairs);
    return st;
}

/* A sum of exponentials whose largest exponent is not known in advance. */
typedef struct log_sum {
    double most, sum;
} log_sum;

static void add_exponents(log_sum *s, const double *z, int64_t n)
{
    double most = s->most;

    for (int64_t j = 0; j < n; j++) most = z[j] > most ? z[j] : most;
    if (most > s->most) {
        s->sum *= exp(s->most - most);
        s->most = most;
    }
    for (int64_t j = 0; j < n; j++)
        if (z[j] > most - NEGLIGIBLE) s->sum += exp(z[j] - most);
}

/* out[i], the new potential of the rows of a block. */
static void update_block(double *out, double *room, const plan *p, const cost_rows *a,
                         const cost_rows *b, const double *other, double e, int64_t first)
{
    int64_t n = least(a->n - first, ROW_BLOCK);
    log_sum sums[ROW_BLOCK];

    for (int64_t i = 0; i < n; i++) sums[i] = (log_sum){-INFINITY, 0.0};
    for (int64_t at = 0; at < b->n; at += COLUMN_BLOCK) {
        int64_t m = least(b->n - at, COLUMN_BLOCK);
        cost_block(room, COLUMN_BLOCK, a, first, n, b, at, m);
        for (int64_t i = 0; i < n; i++) {
            double *z = room + i * COLUMN_BLOCK;
            for (int64_t j = 0; j < m; j++) z[j] = (other[at + j] - (z[j] - p->low) / p->range) / e;
            add_exponents(&sums[i], z, m);
        }
    }
    for (int64_t i = 0; i < n; i++)
        out[first + i] = -e * (log((double)a->n) + sums[i].most + log(sums[i].sum));
}

static void update(double *out, const plan *p, const cost_rows *a, const cost_rows *b,
                   const double *other, double e)
{
    int64_t n_blocks = (a->n + ROW_BLOCK - 1) / ROW_BLOCK;
    int before = dense_enter();

    PARALLEL_FOR
    for (int t = 0; t < p->n_threads; t++)
        for (int64_t k = t; k < n_blocks; k += p->n_threads)
            update_block(out, p->room[t], p, a, b, other, e, k * ROW_BLOCK);
    dense_leave(before);
}

/* One iteration: columns, then rows. Returns by how much the rows' sums were wrong before it: with the
 * old f they were exp((f - next) / e) times what they should be. */
static double iterate(plan *p, double e)
{
    double error = 0.0;

    update(p->g, p, &p->y, &p->x, p->f, e);
    update(p->next, p, &p->x, &p->y, p->g, e);
    for (int64_t i = 0; i < p->x.n; i++)
        error += fabs(expm1((p->f[i] - p->next[i]) / e)) / (double)p->x.n;
    memcpy(p->f, p->next, (size_t)p->x.n * sizeof *p->f);
    return error;
}

static scw_status solve(plan *p, const scw_match_options *o, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double error = INFINITY, e = o->entropy > 1.0 ? o->entropy : 1.0;
    int64_t done_now = 0;

    for (; e > o->entropy; e = 0.5 * e > o->entropy ? 0.5 * e : o->entropy)
        for (int k = 0; k < COARSE_ITERATIONS; k++) {
            TRY(log_check_cancel(hooks));
            if (iterate(p, e) < COARSE_ERROR) break;
        }
    for (; done_now < o->iterations && !(error < o->tolerance); done_now++) {
        TRY(log_check_cancel(hooks));
        error = iterate(p, e);
    }
    if (!isfinite(error)) FAIL(SCW_ENUMERIC, "transport: the potentials are not finite");
    if (error >= o->tolerance)
        log_warning(hooks, "transport ended after %lld iterations with an error of %.2g of the rows' "
                           "sums, asked for: %.2g (--iterations, --entropy)",
                    (long long)done_now, error, o->tolerance);
    log_detail(hooks, "transport: %lld iterations, error %.2g", (long long)done_now, error);
done:
    return st;
}

/* ------------------------------------------------------------------------ what is kept */

/* The largest `keep` weights of a row from large to small, of equals the first; -1: none. */
static void keep_largest(double *weight, int32_t *column, int64_t keep, double w, int32_t j)
{
    int64_t at = keep - 1;

    if (!(w > weight[at])) return;
    for (; at > 0 && w > weight[at - 1]; at--) {
        weight[at] = weight[at - 1];
        column[at] = column[at - 1];
    }
    weight[at] = w;
    column[at] = j;
}

/* f is the last that was updated: the mass of row i is 1 / n_x, and P_ij n_x its share of it. */
static void keep_block(double *weight, int32_t *column, double *room, const plan *p, int64_t keep,
                       double e, int64_t first)
{
    int64_t n = least(p->x.n - first, ROW_BLOCK);

    for (int64_t k = first * keep; k < (first + n) * keep; k++) column[k] = -1;
    for (int64_t at = 0; at < p->y.n; at += COLUMN_BLOCK) {
        int64_t m = least(p->y.n - at, COLUMN_BLOCK);
        cost_block(room, COLUMN_BLOCK, &p->x, first, n, &p->y, at, m);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < m; j++) {
                double c = (room[i * COLUMN_BLOCK + j] - p->low) / p->range;
                double w = (p->f[first + i] + p->g[at + j] - c) / e + log((double)p->x.n);
                if (w < log(LEAST_WEIGHT)) continue;
                keep_largest(weight + (first + i) * keep, column + (first + i) * keep, keep,
                             exp(w), (int32_t)(at + j));
            }
    }
}

static scw_status emit(matrix_builder *out, const plan *p, const scw_match_options *o)
{
    scw_status st = SCW_OK;
    int64_t keep = least(o->keep, p->y.n), n_blocks = (p->x.n + ROW_BLOCK - 1) / ROW_BLOCK;
    double *weight = NULL;
    int32_t *column = NULL;

    TRY(mem_new(&weight, p->x.n * keep));
    TRY(mem_new(&column, p->x.n * keep));
    int before = dense_enter();
    PARALLEL_FOR
    for (int t = 0; t < p->n_threads; t++)
        for (int64_t b = t; b < n_blocks; b += p->n_threads)
            keep_block(weight, column, p->room[t], p, keep, o->entropy, b * ROW_BLOCK);
    dense_leave(before);
    for (int64_t k = 0; k < p->x.n * keep; k++)
        if (column[k] >= 0) TRY(matrix_builder_add(out, k / keep, column[k], weight[k]));
done:
    mem_free(weight);
    mem_free(column);
    return st;
}

scw_status match_transport(matrix_builder *out, const match_batch *b, const scw_match_options *o,
                           const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    plan p = {.n_threads = threads_get()};

    TRY(cost_rows_init(&p.x, b->x, b->n_x, b->d, b->cosine));
    TRY(cost_rows_init(&p.y, b->y, b->n_y, b->d, b->cosine));
    TRY(mem_new(&p.f, b->n_x));
    TRY(mem_new(&p.next, b->n_x));
    TRY(mem_new(&p.g, b->n_y));
    TRY(mem_new(&p.room, p.n_threads));
    for (int t = 0; t < p.n_threads; t++) TRY(mem_new(&p.room[t], ROW_BLOCK * COLUMN_BLOCK));
    TRY(find_range(&p));
    TRY(solve(&p, o, hooks));
    TRY(emit(out, &p, o));
done:
    plan_clear(&p);
    return st;
}
