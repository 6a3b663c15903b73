/* SPDX-License-Identifier: BSD-3-Clause */
/* k nearest neighbours by exhaustive search: |q - t|^2 = |q|^2 - 2 q.t + |t|^2, products in blocks
 * of queries by blocks of training rows. Rows are moved by the mean of the training rows first, so
 * that a far origin costs no digits. Work memory does not grow with n_train * n_query. */
#include <float.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"
#include "metric/baseline.h"

#define QUERY_BLOCK 64
#define TRAIN_BLOCK 512

typedef struct neighbour {
    double distance; /* squared, less |q|^2 */
    int64_t row;
} neighbour;

typedef struct search {
    int64_t n_train, n_query, p, k;
    const float *train, *query;
    const int32_t *train_y;
    int32_t n_classes;
    double *mean;    /* [p] of the labelled training rows */
    double *norms;   /* [n_train] |t - mean|^2 */
    int32_t *classes;
} search;

/* What one thread works with. */
typedef struct desk {
    double *rows;       /* [TRAIN_BLOCK, p] */
    double *queries;    /* [QUERY_BLOCK, p] */
    double *products;   /* [QUERY_BLOCK, TRAIN_BLOCK] */
    neighbour *nearest; /* [QUERY_BLOCK, k], each row sorted by distance, then row */
    int64_t *votes;     /* [n_classes] */
} desk;

static void load_centred(double *to, const float *from, const double *mean, int64_t n, int64_t p)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < p; j++) to[i * p + j] = (double)from[i * p + j] - mean[j];
}

/* Insert into the sorted list of the k nearest. Rows arrive in order: an equal distance comes
 * after. */
static void offer(neighbour *list, int64_t k, double distance, int64_t row)
{
    if (!(distance < list[k - 1].distance)) return;
    int64_t at = k - 1;
    for (; at > 0 && distance < list[at - 1].distance; at--) list[at] = list[at - 1];
    list[at] = (neighbour){distance, row};
}

static int32_t vote(const search *s, const neighbour *list, int64_t *votes)
{
    if (list[0].row < 0) return -1; /* the query is not finite */
    int32_t best = s->train_y[list[0].row];

    memset(votes, 0, (size_t)s->n_classes * sizeof *votes);
    for (int64_t e = 0; e < s->k && list[e].row >= 0; e++) votes[s->train_y[list[e].row]]++;
    for (int64_t e = 1; e < s->k && list[e].row >= 0;
         e++) { /* from near to far: a tie keeps the nearer class */
        int32_t c = s->train_y[list[e].row];
        if (votes[c] > votes[best]) best = c;
    }
    return best;
}

static void search_block(const search *s, desk *d, int64_t first)
{
    int64_t count = s->n_query - first < QUERY_BLOCK ? s->n_query - first : QUERY_BLOCK, p = s->p;

    load_centred(d->queries, s->query + first * p, s->mean, count, p);
    for (int64_t e = 0; e < count * s->k; e++) d->nearest[e] = (neighbour){DBL_MAX, -1};
    for (int64_t at = 0; at < s->n_train; at += TRAIN_BLOCK) {
        int64_t n_rows = s->n_train - at < TRAIN_BLOCK ? s->n_train - at : TRAIN_BLOCK;
        dense_shape shape = {.trans_b = true, .m = count, .n = n_rows, .k = p,
                             .ld_a = p, .ld_b = p, .ld_c = TRAIN_BLOCK, .alpha = -2.0};
        load_centred(d->rows, s->train + at * p, s->mean, n_rows, p);
        dense_product_serial(&shape, d->queries, d->rows, d->products);
        for (int64_t i = 0; i < count; i++)
            for (int64_t r = 0; r < n_rows; r++)
                if (s->train_y[at + r] >= 0)
                    offer(d->nearest + i * s->k, s->k,
                          d->products[i * TRAIN_BLOCK + r] + s->norms[at + r], at + r);
    }
    for (int64_t i = 0; i < count; i++)
        s->classes[first + i] = vote(s, d->nearest + i * s->k, d->votes);
}

static void prepare(search *s, int64_t n_labelled)
{
    int64_t p = s->p;

    for (int64_t i = 0; i < s->n_train; i++)
        for (int64_t j = 0; j < p && s->train_y[i] >= 0; j++)
            s->mean[j] += (double)s->train[i * p + j];
    for (int64_t j = 0; j < p; j++) s->mean[j] /= (double)n_labelled;
    PARALLEL_FOR
    for (int64_t i = 0; i < s->n_train; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < p; j++) {
            double v = (double)s->train[i * p + j] - s->mean[j];
            sum += v * v;
        }
        s->norms[i] = sum;
    }
}

static void desk_clear(desk *d)
{
    mem_free(d->rows);
    mem_free(d->queries);
    mem_free(d->products);
    mem_free(d->nearest);
    mem_free(d->votes);
}

static scw_status desk_init(desk *d, const search *s)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&d->rows, TRAIN_BLOCK * s->p));
    TRY(mem_new(&d->queries, QUERY_BLOCK * s->p));
    TRY(mem_new(&d->products, QUERY_BLOCK * TRAIN_BLOCK));
    TRY(mem_new(&d->nearest, QUERY_BLOCK * s->k));
    TRY(mem_new(&d->votes, s->n_classes));
done:
    return st;
}

/* Desks first, then one parallel loop over them that takes every n-th block of queries. */
static scw_status search_all(const search *s)
{
    scw_status st = SCW_OK;
    int64_t n_blocks = (s->n_query + QUERY_BLOCK - 1) / QUERY_BLOCK, n_desks = threads_get();
    desk *desks = NULL;

    if (n_desks > n_blocks) n_desks = n_blocks;
    TRY(mem_new(&desks, n_desks));
    for (int64_t t = 0; t < n_desks; t++) TRY(desk_init(&desks[t], s));
    int before = dense_enter();
    PARALLEL_FOR
    for (int64_t t = 0; t < n_desks; t++)
        for (int64_t b = t; b < n_blocks; b += n_desks)
            search_block(s, &desks[t], b * QUERY_BLOCK);
    dense_leave(before);
done:
    for (int64_t t = 0; desks && t < n_desks; t++) desk_clear(&desks[t]);
    mem_free(desks);
    return st;
}

scw_status knn_predict(int32_t *classes, const float *train, const int32_t *train_y,
                       int64_t n_train, const float *query, int64_t n_query, int64_t p,
                       int32_t n_classes, int64_t k)
{
    scw_status st = SCW_OK;
    search s = {.n_train = n_train, .n_query = n_query, .p = p, .k = k, .train = train,
                .query = query, .train_y = train_y, .n_classes = n_classes, .classes = classes};
    int64_t n_labelled = 0;

    for (int64_t i = 0; i < n_train; i++) {
        if (train_y[i] >= n_classes)
            FAIL(SCW_EINVAL, "nearest neighbours: class %d of row %lld, of %d classes", train_y[i],
                 (long long)i, n_classes);
        n_labelled += train_y[i] >= 0;
    }
    if (k < 1) FAIL(SCW_EINVAL, "nearest neighbours: k is %lld, expected 1 or more", (long long)k);
    if (n_labelled == 0) FAIL(SCW_EDATA, "nearest neighbours: no training row has a class");
    if (s.k > n_labelled) s.k = n_labelled;
    TRY(mem_new(&s.mean, p));
    TRY(mem_new(&s.norms, n_train));
    prepare(&s, n_labelled);
    TRY(search_all(&s));
done:
    mem_free(s.mean);
    mem_free(s.norms);
    return st;
}
