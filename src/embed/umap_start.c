/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the layout begins. Both starts are eigenvectors: of the graph's normalised affinities (the
 * Laplacian eigenmap), or of the covariance of the rows. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/threads.h"
#include "embed/lanczos.h"
#include "embed/umap.h"

#define SIZE 10.0      /* of the start */
#define NOISE 1e-4     /* standard deviation; parts what coincides */
#define TOLERANCE 1e-4 /* a start need not be exact */
#define MOST_PRODUCTS 3000

/* ------------------------------------------------------------------ common */

static void place(float *y, const double *vectors, int64_t n, uint64_t seed)
{
    rng_key key = rng_make_key(seed, RNG_UMAP, 2);
    double largest = 0.0;

    for (int64_t e = 0; e < UMAP_DIM * n; e++)
        largest = fmax(largest, fabs(vectors[e]));
    double scale = largest > 0.0 ? SIZE / largest : 0.0;
    for (int c = 0; c < UMAP_DIM; c++) {
        double low = INFINITY, high = -INFINITY;
        for (int64_t i = 0; i < n; i++) {
            double v =
                scale * vectors[c * n + i] + NOISE * rng_normal(key, (uint32_t)c, (uint64_t)i);
            y[i * UMAP_DIM + c] = (float)v;
            low = fmin(low, (double)y[i * UMAP_DIM + c]);
            high = fmax(high, (double)y[i * UMAP_DIM + c]);
        }
        double stretch = high > low ? SIZE / (high - low) : 0.0;
        for (int64_t i = 0; i < n; i++)
            y[i * UMAP_DIM + c] = (float)(((double)y[i * UMAP_DIM + c] - low) * stretch);
    }
}

/* The leading two eigenvectors of a problem, and zeros where it has fewer. */
static scw_status find_two(double *vectors, lanczos_problem *p, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int64_t room = p->n - (p->known != NULL);
    double values[UMAP_DIM], residual;

    p->tolerance = TOLERANCE;
    p->most = MOST_PRODUCTS;
    p->k = room < UMAP_DIM ? room : UMAP_DIM;
    if (p->k < 1) goto done;
    TRY(lanczos_find(values, vectors, &residual, p, hooks));
    log_detail(hooks, "start: eigenvalues %.6g and %.6g, residual %.2g", values[0],
               p->k > 1 ? values[1] : 0.0, residual);
done:
    return st;
}

/* ------------------------------------------------------------------ spectral */

typedef struct affinity {
    const fuzzy_graph *g;
    const double *inverse_root; /* [n] 1 / sqrt(degree) */
} affinity;

/* out = D^-1/2 W D^-1/2 x */
static void apply_affinity(double *out, const double *x, const void *with)
{
    const affinity *a = with;

    PARALLEL_FOR
    for (int64_t i = 0; i < a->g->n; i++) {
        double sum = 0.0;
        for (int64_t e = a->g->indptr[i]; e < a->g->indptr[i + 1]; e++) {
            int32_t j = a->g->column[e];
            sum += (double)a->g->weight[e] * a->inverse_root[j] * x[j];
        }
        out[i] = a->inverse_root[i] * sum;
    }
}

scw_status umap_start_spectral(float *y, const fuzzy_graph *g, uint64_t seed,
                               const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double *inverse_root = NULL, *known = NULL, *vectors = NULL, total = 0.0;
    affinity a = {.g = g};

    TRY(mem_new(&inverse_root, g->n));
    TRY(mem_new(&known, g->n));
    TRY(mem_new(&vectors, UMAP_DIM * g->n));
    for (int64_t i = 0; i < g->n; i++) {
        double degree = 0.0;
        for (int64_t e = g->indptr[i]; e < g->indptr[i + 1]; e++)
            degree += (double)g->weight[e];
        known[i] = sqrt(degree); /* the first eigenvector: value 1, tells nothing */
        inverse_root[i] = degree > 0.0 ? 1.0 / known[i] : 0.0;
        total += degree;
    }
    for (int64_t i = 0; i < g->n && total > 0.0; i++)
        known[i] /= sqrt(total);
    a.inverse_root = inverse_root;
    lanczos_problem p = {
        .n = g->n, .apply = apply_affinity, .with = &a, .known = known, .seed = seed};
    TRY(find_two(vectors, &p, hooks));
    place(y, vectors, g->n, seed);
done:
    mem_free(inverse_root);
    mem_free(known);
    mem_free(vectors);
    return st;
}

/* ------------------------------------------------------------------ principal components */

typedef struct rows {
    int64_t n, d;
    const float *x;     /* [n, d] */
    const double *mean; /* [d] */
    double *through;    /* [d] Xc^T v of the product under way */
} rows;

/* out [d] = Xc^T v, v [n]: each column is one thread's sum, in blocks that share the cache lines.
 */
static void transposed_product(double *out, const rows *r, const double *v)
{
    PARALLEL_FOR
    for (int64_t first = 0; first < r->d; first += 16) {
        int64_t last = first + 16 < r->d ? first + 16 : r->d;
        for (int64_t j = first; j < last; j++)
            out[j] = 0.0;
        for (int64_t i = 0; i < r->n; i++)
            for (int64_t j = first; j < last; j++)
                out[j] += ((double)r->x[i * r->d + j] - r->mean[j]) * v[i];
    }
}

/* out [n] = Xc Xc^T v: its eigenvectors are the scores, so rows and graph need one kind of start.
 */
static void apply_rows(double *out, const double *v, const void *with)
{
    const rows *r = with;

    transposed_product(r->through, r, v);
    PARALLEL_FOR
    for (int64_t i = 0; i < r->n; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < r->d; j++)
            sum += ((double)r->x[i * r->d + j] - r->mean[j]) * r->through[j];
        out[i] = sum;
    }
}

/* Scores, not eigenvectors of length one: the first component is to be the longer one. */
static void scale_scores(double *vectors, rows *r, double *product)
{
    for (int c = 0; c < UMAP_DIM; c++) {
        double *v = vectors + c * r->n, value = 0.0;
        apply_rows(product, v, r);
        for (int64_t i = 0; i < r->n; i++)
            value += v[i] * product[i];
        for (int64_t i = 0; i < r->n; i++)
            v[i] *= sqrt(fmax(value, 0.0));
    }
}

scw_status umap_start_pca(float *y, const float *x, int64_t n, int64_t d, uint64_t seed,
                          const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double *mean = NULL, *vectors = NULL, *product = NULL;
    rows r = {.n = n, .d = d, .x = x};

    TRY(mem_new(&mean, d));
    TRY(mem_new(&r.through, d));
    TRY(mem_new(&vectors, UMAP_DIM * n));
    TRY(mem_new(&product, n));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            mean[j] += (double)x[i * d + j];
    for (int64_t j = 0; j < d; j++)
        mean[j] /= (double)n;
    r.mean = mean;
    lanczos_problem p = {.n = n, .apply = apply_rows, .with = &r, .seed = seed};
    TRY(find_two(vectors, &p, hooks));
    scale_scores(vectors, &r, product);
    place(y, vectors, n, seed);
done:
    mem_free(mean);
    mem_free(r.through);
    mem_free(vectors);
    mem_free(product);
    return st;
}
