/* SPDX-License-Identifier: BSD-3-Clause */
/* Two steps for each pair. A product in blocks gives |q|^2 - 2 q.t + |t|^2, whose rounding error
 * has a known bound; pairs that are farther than the k-th found so far by more than that bound are
 * passed over. For the few others (about k log(n / k) a query) the sum of squared differences
 * decides. So the work is that of the products, and the answer that of the definition.
 *
 * Rows are moved by their mean for the products: a far origin would make the bound wide. For the
 * cosine rows are scaled to length one, where |q - t|^2 = 2 (1 - cos). */
#include "embed/neighbors.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"

#define QUERY_BLOCK 128
#define ROW_BLOCK 512
#define GLANCE 16 /* pairs looked at together; divides ROW_BLOCK */

typedef struct plan {
    const neighbors_search *s;
    neighbors *out;
    const float *queries;
    double *mean;      /* [d] of the rows that can be found; zeros for the cosine */
    double *row_scale; /* [n_rows] 1, or 1 / length for the cosine */
    double *row_low;   /* [n_rows + GLANCE] lower bound of |t|^2; INFINITY: never found, or past the end */
    double tolerance;  /* relative error of |q|^2 + |t|^2 - 2 q.t against |q|^2 + |t|^2 */
    const int64_t *than; /* [n_queries] counting: the row to compare with, or -1; NULL: searching */
    int64_t *closer;     /* [n_queries] how many rows are nearer than that one */
} plan;

/* What one thread works with. */
typedef struct desk {
    double *rows;     /* [ROW_BLOCK, d] */
    double *queries;  /* [QUERY_BLOCK, d] */
    double *products; /* [QUERY_BLOCK, ROW_BLOCK] -2 q.t */
    double *scale;    /* [QUERY_BLOCK] */
    double *low;      /* [QUERY_BLOCK] lower bound of |q|^2 */
    double *target;   /* [QUERY_BLOCK] counting: squared distance to the row to compare with */
} desk;

void neighbors_clear(neighbors *n)
{
    mem_free(n->row);
    mem_free(n->distance);
    *n = (neighbors){0};
}

/* 1, or for the cosine 1 / length; 0 for a row of zeros. */
static double scale_of(const float *x, int64_t d, bool cosine)
{
    double sum = 0.0;

    if (!cosine) return 1.0;
    for (int64_t j = 0; j < d; j++)
        sum += (double)x[j] * (double)x[j];
    return sum > 0.0 ? 1.0 / sqrt(sum) : 0.0;
}

static double squared_length(const double *x, int64_t d)
{
    double sum = 0.0;
    for (int64_t j = 0; j < d; j++)
        sum += x[j] * x[j];
    return sum;
}

static void load(double *to, const float *from, double scale, const double *mean, int64_t d)
{
    for (int64_t j = 0; j < d; j++)
        to[j] = (double)from[j] * scale - mean[j];
}

/* The definition, squared; for the cosine twice the distance. Four running sums, always added in
 * the same order. */
static double measure(const float *q, double q_scale, const float *t, double t_scale, int64_t d)
{
    double sum[4] = {0.0};
    int64_t j = 0;

    if (q_scale == 0.0 || t_scale == 0.0) return q_scale == t_scale ? 0.0 : 2.0;
    for (; j + 4 <= d; j += 4)
        for (int l = 0; l < 4; l++) {
            double v = (double)q[j + l] * q_scale - (double)t[j + l] * t_scale;
            sum[l] += v * v;
        }
    for (; j < d; j++) {
        double v = (double)q[j] * q_scale - (double)t[j] * t_scale;
        sum[0] += v * v;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Insert into the ascending list. Rows arrive in order, so an equal distance goes behind. */
static void offer(int32_t *row, double *distance, int64_t k, double value, int64_t candidate)
{
    int64_t low = 0, high = k - 1;

    if (!(value < distance[high])) return;
    while (low < high) { /* the first that is farther */
        int64_t middle = low + (high - low) / 2;
        if (value < distance[middle])
            high = middle;
        else
            low = middle + 1;
    }
    memmove(distance + low + 1, distance + low, (size_t)(k - 1 - low) * sizeof *distance);
    memmove(row + low + 1, row + low, (size_t)(k - 1 - low) * sizeof *row);
    distance[low] = value;
    row[low] = (int32_t)candidate;
}

/* Is one of GLANCE pairs near enough for a closer look? Summed as doubles, in lanes: so written, the
 * comparison becomes vector instructions. */
static bool any_near(const double *product, const double *low, double limit)
{
    double near[GLANCE], some[2] = {0.0};

    for (int r = 0; r < GLANCE; r++)
        near[r] = product[r] + low[r] < limit ? 1.0 : 0.0;
    for (int r = 0; r < GLANCE; r += 2) {
        some[0] += near[r];
        some[1] += near[r + 1];
    }
    return some[0] + some[1] > 0.0;
}

/* One query against one block of rows, whose products are at hand. A comparison with NaN is false,
 * and so a query or row that is not finite finds nothing and is not found. */
static void compare(const plan *p, const desk *d, int64_t query, int64_t in_block, int64_t first,
                    int64_t count)
{
    const neighbors_search *s = p->s;
    int64_t k = p->out->k, width = s->d;
    int32_t *row = p->out->row + query * k;
    double *distance = p->out->distance + query * k;
    const double *product = d->products + in_block * ROW_BLOCK, *low = p->row_low + first;
    const float *q = p->queries + query * width;
    double limit = distance[k - 1] - d->low[in_block];

    for (int64_t at = 0; at < count; at += GLANCE) {
        int64_t end = at + GLANCE < count ? at + GLANCE : count;
        if (!any_near(product + at, low + at, limit)) continue;
        for (int64_t r = at; r < end; r++) {
            if (!(product[r] + low[r] < limit)) continue;
            if (!s->queries && first + r == query) continue;
            double value = measure(q, d->scale[in_block], s->rows + (first + r) * width,
                                   p->row_scale[first + r], width);
            offer(row, distance, k, value, first + r);
            limit = distance[k - 1] - d->low[in_block];
        }
    }
}

/* How many pairs may be, and how many must be, nearer than the target: numbers up to ROW_BLOCK, in lanes
 * as in any_near. GLANCE divides the length; what lies past the end has low INFINITY. */
static void count_bounds(double *may, double *must, const double *product, const double *low,
                         double may_limit, double must_limit, double wide, int64_t count)
{
    double may_lane[4] = {0.0}, must_lane[4] = {0.0};

    for (int64_t r = 0; r < count; r += 4)
        for (int l = 0; l < 4; l++) {
            double least = product[r + l] + low[r + l], most = least + wide * low[r + l];
            may_lane[l] += least < may_limit ? 1.0 : 0.0;
            must_lane[l] += most < must_limit ? 1.0 : 0.0;
        }
    *may = (may_lane[0] + may_lane[1]) + (may_lane[2] + may_lane[3]);
    *must = (must_lane[0] + must_lane[1]) + (must_lane[2] + must_lane[3]);
}

/* The same when rows nearer than a given one are counted: nearly all are decided by the bounds. */
static void count_closer(const plan *p, const desk *d, int64_t query, int64_t in_block,
                         int64_t first, int64_t count)
{
    const neighbors_search *s = p->s;
    const double *product = d->products + in_block * ROW_BLOCK, *low = p->row_low + first;
    const float *q = p->queries + query * s->d;
    double target = d->target[in_block], q_low = d->low[in_block], wide = 3.0 * p->tolerance;
    double may_limit = target - q_low, must_limit = target - q_low * (1.0 + wide), may, must;
    int64_t closer = 0;

    count_bounds(&may, &must, product, low, may_limit, must_limit, wide,
                 (count + GLANCE - 1) / GLANCE * GLANCE);
    if (may == must) {
        p->closer[query] += (int64_t)must;
        return;
    }
    for (int64_t r = 0; r < count; r++) {
        double least = product[r] + low[r];
        if (!(least < may_limit)) continue; /* NaN too */
        closer += least + wide * low[r] < must_limit ||
                  measure(q, d->scale[in_block], s->rows + (first + r) * s->d,
                          p->row_scale[first + r], s->d) < target;
    }
    p->closer[query] += closer;
}

/* What the block's queries are compared with. */
static void load_targets(const plan *p, desk *d, int64_t first, int64_t count)
{
    const neighbors_search *s = p->s;

    for (int64_t i = 0; i < count; i++) {
        int64_t than = p->than[first + i];
        d->target[i] = than < 0 || isinf(p->row_low[than])
                           ? NAN
                           : measure(p->queries + (first + i) * s->d, d->scale[i],
                                     s->rows + than * s->d, p->row_scale[than], s->d);
        p->closer[first + i] = isfinite(d->target[i]) ? 0 : -1;
    }
}

/* A block of queries against all rows, block by block. */
static void compare_block(const plan *p, desk *d, int64_t first, int64_t count)
{
    const neighbors_search *s = p->s;
    int64_t width = s->d;

    for (int64_t at = 0; at < s->n_rows; at += ROW_BLOCK) {
        int64_t n_rows = s->n_rows - at < ROW_BLOCK ? s->n_rows - at : ROW_BLOCK;
        dense_shape shape = {.trans_b = true,
                             .m = count,
                             .n = n_rows,
                             .k = width,
                             .ld_a = width,
                             .ld_b = width,
                             .ld_c = ROW_BLOCK,
                             .alpha = -2.0};
        for (int64_t r = 0; r < n_rows; r++)
            load(d->rows + r * width, s->rows + (at + r) * width, p->row_scale[at + r], p->mean,
                 width);
        dense_product_serial(&shape, d->queries, d->rows, d->products);
        for (int64_t i = 0; i < count; i++) {
            if (p->than)
                count_closer(p, d, first + i, i, at, n_rows);
            else
                compare(p, d, first + i, i, at, n_rows);
        }
    }
}

static void search_block(const plan *p, desk *d, int64_t first)
{
    const neighbors_search *s = p->s;
    int64_t n = p->out->n, k = p->out->k, width = s->d;
    int64_t count = n - first < QUERY_BLOCK ? n - first : QUERY_BLOCK;

    for (int64_t i = 0; i < count; i++) {
        const float *q = p->queries + (first + i) * width;
        d->scale[i] = scale_of(q, width, s->cosine);
        load(d->queries + i * width, q, d->scale[i], p->mean, width);
        d->low[i] = squared_length(d->queries + i * width, width) * (1.0 - p->tolerance);
    }
    if (p->than) {
        load_targets(p, d, first, count);
        compare_block(p, d, first, count);
        return;
    }
    for (int64_t e = first * k; e < (first + count) * k; e++) {
        p->out->row[e] = -1;
        p->out->distance[e] = INFINITY;
    }
    compare_block(p, d, first, count);
    for (int64_t e = first * k; e < (first + count) * k; e++)
        p->out->distance[e] = s->cosine ? p->out->distance[e] / 2.0 : sqrt(p->out->distance[e]);
}
static bool can_be_found(const neighbors_search *s, int64_t i)
{
    if (s->hidden && s->hidden[i]) return false;
    for (int64_t j = 0; j < s->d; j++)
        if (!isfinite(s->rows[i * s->d + j])) return false;
    return true;
}

/* Scales, mean and bounds of the rows. *n_found: how many can be found. */
static scw_status prepare(plan *p, int64_t *n_found)
{
    scw_status st = SCW_OK;
    const neighbors_search *s = p->s;
    double *centred = NULL;

    *n_found = 0;
    p->tolerance = 8.0 * (double)(s->d + 8) * DBL_EPSILON;
    TRY(mem_new(&p->mean, s->d));
    TRY(mem_new(&p->row_scale, s->n_rows));
    TRY(mem_new(&p->row_low, s->n_rows + GLANCE));
    TRY(mem_new(&centred, s->d));
    for (int64_t i = s->n_rows; i < s->n_rows + GLANCE; i++) p->row_low[i] = INFINITY;
    for (int64_t i = 0; i < s->n_rows; i++) {
        bool found = can_be_found(s, i);
        p->row_low[i] = found ? 0.0 : INFINITY;
        *n_found += found;
        for (int64_t j = 0; j < s->d && found && !s->cosine; j++)
            p->mean[j] += (double)s->rows[i * s->d + j];
    }
    for (int64_t j = 0; j < s->d && *n_found; j++)
        p->mean[j] /= (double)*n_found;
    for (int64_t i = 0; i < s->n_rows; i++) {
        const float *row = s->rows + i * s->d;
        p->row_scale[i] = scale_of(row, s->d, s->cosine);
        if (p->row_low[i] > 0.0) continue;
        load(centred, row, p->row_scale[i], p->mean, s->d);
        p->row_low[i] = squared_length(centred, s->d) * (1.0 - p->tolerance);
    }
done:
    mem_free(centred);
    return st;
}

static scw_status desk_init(desk *d, int64_t width)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&d->rows, ROW_BLOCK * width));
    TRY(mem_new(&d->queries, QUERY_BLOCK * width));
    TRY(mem_new(&d->products, QUERY_BLOCK * ROW_BLOCK));
    TRY(mem_new(&d->scale, QUERY_BLOCK));
    TRY(mem_new(&d->low, QUERY_BLOCK));
    TRY(mem_new(&d->target, QUERY_BLOCK));
done:
    return st;
}

static void desk_clear(desk *d)
{
    mem_free(d->rows);
    mem_free(d->queries);
    mem_free(d->products);
    mem_free(d->scale);
    mem_free(d->low);
    mem_free(d->target);
}

/* Desks first, then one parallel loop over them that takes every n-th block of queries. */
static scw_status search_all(const plan *p)
{
    scw_status st = SCW_OK;
    int64_t n_blocks = (p->out->n + QUERY_BLOCK - 1) / QUERY_BLOCK, n_desks = threads_get();
    desk *desks = NULL;

    if (n_desks > n_blocks) n_desks = n_blocks;
    TRY(mem_new(&desks, n_desks));
    for (int64_t t = 0; t < n_desks; t++)
        TRY(desk_init(&desks[t], p->s->d));
    int before = dense_enter();
    PARALLEL_FOR
    for (int64_t t = 0; t < n_desks; t++)
        for (int64_t b = t; b < n_blocks; b += n_desks)
            search_block(p, &desks[t], b * QUERY_BLOCK);
    dense_leave(before);
done:
    for (int64_t t = 0; desks && t < n_desks; t++)
        desk_clear(&desks[t]);
    mem_free(desks);
    return st;
}

scw_status neighbors_find(neighbors *out, const neighbors_search *search)
{
    scw_status st = SCW_OK;
    const neighbors_search *s = search;
    plan p = {.s = s, .out = out, .queries = s->queries ? s->queries : s->rows};
    int64_t n_found;

    *out = (neighbors){.n = s->queries ? s->n_queries : s->n_rows, .k = s->k};
    if (s->k < 1)
        FAIL(SCW_EINVAL, "nearest neighbours: k is %lld, expected 1 or more", (long long)s->k);
    if (s->n_rows > INT32_MAX)
        FAIL(SCW_EDATA, "nearest neighbours: %lld rows, at most %d can be searched",
             (long long)s->n_rows, INT32_MAX);
    TRY(prepare(&p, &n_found));
    if (!s->queries) n_found--; /* not itself */
    if (out->k > n_found) out->k = n_found > 0 ? n_found : 0;
    TRY(mem_new(&out->row, out->n * out->k));
    TRY(mem_new(&out->distance, out->n * out->k));
    if (out->k > 0) TRY(search_all(&p));
done:
    mem_free(p.mean);
    mem_free(p.row_scale);
    mem_free(p.row_low);
    if (st != SCW_OK) neighbors_clear(out);
    return st;
}

scw_status neighbors_count_closer(int64_t *closer, int64_t *n_found,
                                  const neighbors_search *search, const int64_t *than)
{
    scw_status st = SCW_OK;
    neighbors shape = {.n = search->n_queries};
    plan p = {.s = search, .out = &shape, .queries = search->queries, .than = than,
              .closer = closer};

    TRY(prepare(&p, n_found));
    TRY(search_all(&p));
done:
    mem_free(p.mean);
    mem_free(p.row_scale);
    mem_free(p.row_low);
    return st;
}
