/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows are centred once by the column means. They are then walked in blocks of BLOCK rows; sums over
 * rows are kept per block and added in order of the blocks. */
#include "metric/kmeans.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/rng.h"
#include "base/threads.h"

#define BLOCK 512

typedef struct run {
    int64_t n, d, k, n_blocks;
    double *x;        /* [n, d] centred */
    double *norms;    /* [n] |x|^2 */
    double *mean;     /* [d] */
    double spread;    /* mean column variance */
    int32_t *clusters;
    double *distance; /* [n] squared, to the own (or nearest) centre */
    double *centres, *moved; /* [k, d] */
    double *centre_norms;    /* [k] */
    double *products;        /* [n, k] in Lloyd, [n, trials] while seeding */
    double *block_sums;      /* [n_blocks, k, d] */
    int64_t *block_counts;   /* [n_blocks, k] */
    int64_t *counts;         /* [k] */
} run;

void kmeans_clear(kmeans *k)
{
    mem_free(k->clusters);
    mem_free(k->centres);
    memset(k, 0, sizeof *k);
}

static int64_t block_end(const run *r, int64_t b)
{
    return (b + 1) * BLOCK < r->n ? (b + 1) * BLOCK : r->n;
}

static double sum_in_order(const double *v, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += v[i];
    return sum;
}

/* products [n, count] = squared distances of all rows to `count` centres. */
static void distances(run *r, const double *centres, int64_t count)
{
    int64_t d = r->d;
    dense_shape s = {.trans_b = true, .m = r->n, .n = count, .k = d,
                     .ld_a = d, .ld_b = d, .ld_c = count, .alpha = -2.0};

    dense_product(&s, r->x, centres, r->products);
    for (int64_t c = 0; c < count; c++) {
        r->centre_norms[c] = 0.0;
        for (int64_t j = 0; j < d; j++)
            r->centre_norms[c] += centres[c * d + j] * centres[c * d + j];
    }
    PARALLEL_FOR_IF(r->n * count > 16384)
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t c = 0; c < count; c++) {
            double square = r->products[i * count + c] + r->norms[i] + r->centre_norms[c];
            r->products[i * count + c] = square > 0.0 ? square : 0.0;
        }
}

/* ------------------------------------------------------------- seeding */

/* Row drawn with probability proportional to its squared distance. */
static int64_t draw_row(const run *r, double total, double u)
{
    double target = u * total, sum = 0.0;
    int64_t last = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (r->distance[i] <= 0.0) continue;
        sum += r->distance[i];
        last = i;
        if (sum > target) return i;
    }
    return last;
}

/* Sum over rows of the smaller of the known distance and that to candidate c of `count`. */
static double potential_with(const run *r, int64_t c, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < r->n; i++) {
        double to = r->products[i * count + c];
        sum += to < r->distance[i] ? to : r->distance[i];
    }
    return sum;
}

/* Greedy k-means++: of 2 + log k candidates drawn by distance, the one that lowers the potential
 * most becomes the next centre. */
static void seed_centres(run *r, rng_key key, uint32_t start, double *candidates)
{
    int64_t d = r->d, n_trials = 2 + (int64_t)log((double)r->k);
    int64_t first = (int64_t)rng_below(key, start, 0, (uint64_t)r->n);

    memcpy(r->centres, r->x + first * d, (size_t)d * sizeof *r->centres);
    distances(r, r->centres, 1);
    memcpy(r->distance, r->products, (size_t)r->n * sizeof *r->distance);
    for (int64_t c = 1; c < r->k; c++) {
        double total = sum_in_order(r->distance, r->n), best_potential = DBL_MAX;
        int64_t best = 0;
        for (int64_t t = 0; t < n_trials; t++) {
            double u = rng_uniform(key, start, (uint64_t)(c * n_trials + t));
            memcpy(candidates + t * d, r->x + draw_row(r, total, u) * d,
                   (size_t)d * sizeof *candidates);
        }
        distances(r, candidates, n_trials);
        for (int64_t t = 0; t < n_trials; t++) {
            double potential = potential_with(r, t, n_trials);
            if (potential >= best_potential) continue;
            best_potential = potential;
            best = t;
        }
        memcpy(r->centres + c * d, candidates + best * d, (size_t)d * sizeof *candidates);
        for (int64_t i = 0; i < r->n; i++) {
            double to = r->products[i * n_trials + best];
            if (to < r->distance[i]) r->distance[i] = to;
        }
    }
}

/* ------------------------------------------------------------- Lloyd */

/* Nearest centre of every row, the first of equals. Returns whether any row changed. */
static bool assign(run *r)
{
    int64_t n_changed = 0;
    distances(r, r->centres, r->k);
    for (int64_t i = 0; i < r->n; i++) {
        const double *to = r->products + i * r->k;
        int32_t best = 0;
        for (int32_t c = 1; c < r->k; c++)
            if (to[c] < to[best]) best = c;
        n_changed += best != r->clusters[i];
        r->clusters[i] = best;
        r->distance[i] = to[best];
    }
    return n_changed > 0;
}

static void add_rows(run *r, int64_t b)
{
    double *sums = r->block_sums + b * r->k * r->d;
    int64_t *counts = r->block_counts + b * r->k;

    memset(sums, 0, (size_t)(r->k * r->d) * sizeof *sums);
    memset(counts, 0, (size_t)r->k * sizeof *counts);
    for (int64_t i = b * BLOCK; i < block_end(r, b); i++) {
        double *to = sums + r->clusters[i] * r->d;
        counts[r->clusters[i]]++;
        for (int64_t j = 0; j < r->d; j++) to[j] += r->x[i * r->d + j];
    }
}

/* Give each empty cluster the row that lies farthest from its centre, taken from a cluster with more
 * than one row. */
static void refill(run *r)
{
    for (int64_t c = 0; c < r->k; c++) {
        if (r->counts[c] > 0) continue;
        int64_t far = -1;
        for (int64_t i = 0; i < r->n; i++)
            if (r->counts[r->clusters[i]] > 1 && (far < 0 || r->distance[i] > r->distance[far]))
                far = i;
        if (far < 0) return;
        int32_t from = r->clusters[far];
        for (int64_t j = 0; j < r->d; j++) {
            r->moved[from * r->d + j] -= r->x[far * r->d + j];
            r->moved[c * r->d + j] = r->x[far * r->d + j];
        }
        r->counts[from]--;
        r->counts[c] = 1;
        r->clusters[far] = (int32_t)c;
        r->distance[far] = 0.0;
    }
}

/* Centres become the means of their rows. Returns their squared movement, summed. */
static double update(run *r)
{
    int64_t size = r->k * r->d;
    double movement = 0.0;

    PARALLEL_FOR
    for (int64_t b = 0; b < r->n_blocks; b++) add_rows(r, b);
    memset(r->counts, 0, (size_t)r->k * sizeof *r->counts);
    for (int64_t b = 0; b < r->n_blocks; b++)
        for (int64_t c = 0; c < r->k; c++) r->counts[c] += r->block_counts[b * r->k + c];
    for (int64_t e = 0; e < size; e++) {
        r->moved[e] = 0.0;
        for (int64_t b = 0; b < r->n_blocks; b++) r->moved[e] += r->block_sums[b * size + e];
    }
    refill(r);
    for (int64_t c = 0; c < r->k; c++) {
        for (int64_t j = 0; j < r->d; j++) {
            int64_t e = c * r->d + j;
            double to = r->counts[c] > 0 ? r->moved[e] / (double)r->counts[c] : r->centres[e];
            movement += (to - r->centres[e]) * (to - r->centres[e]);
            r->centres[e] = to;
        }
    }
    return movement;
}

/* One start to its end. Returns the inertia of the final assignment to the final centres. */
static double lloyd(run *r, int64_t max_iterations, double tolerance, int64_t *iterations)
{
    for (int64_t i = 0; i < r->n; i++) r->clusters[i] = -1;
    *iterations = 0;
    while (assign(r) && *iterations < max_iterations) {
        (*iterations)++;
        if (update(r) <= tolerance * r->spread) {
            assign(r);
            break;
        }
    }
    return sum_in_order(r->distance, r->n);
}

/* ------------------------------------------------------------- all starts */

static scw_status run_init(run *r, const float *x)
{
    scw_status st = SCW_OK;
    int64_t n = r->n, d = r->d, width = 2 + (int64_t)log((double)r->k);

    if (r->k > width) width = r->k;
    r->n_blocks = (n + BLOCK - 1) / BLOCK;
    TRY(mem_new(&r->x, n * d));
    TRY(mem_new(&r->norms, n));
    TRY(mem_new(&r->mean, d));
    TRY(mem_new(&r->clusters, n));
    TRY(mem_new(&r->distance, n));
    TRY(mem_new(&r->centres, r->k * d));
    TRY(mem_new(&r->moved, r->k * d));
    TRY(mem_new(&r->centre_norms, width));
    TRY(mem_new(&r->products, n * width));
    TRY(mem_new(&r->block_sums, r->n_blocks * r->k * d));
    TRY(mem_new(&r->block_counts, r->n_blocks * r->k));
    TRY(mem_new(&r->counts, r->k));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) r->mean[j] += (double)x[i * d + j] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) {
            double v = (double)x[i * d + j] - r->mean[j];
            r->x[i * d + j] = v;
            r->norms[i] += v * v;
        }
        r->spread += d > 0 ? r->norms[i] / (double)n / (double)d : 0.0;
    }
    if (!isfinite(r->spread)) FAIL(SCW_EDATA, "k-means: the rows hold a value that is not finite");
done:
    return st;
}

static void run_clear(run *r)
{
    mem_free(r->x);
    mem_free(r->norms);
    mem_free(r->mean);
    mem_free(r->clusters);
    mem_free(r->distance);
    mem_free(r->centres);
    mem_free(r->moved);
    mem_free(r->centre_norms);
    mem_free(r->products);
    mem_free(r->block_sums);
    mem_free(r->block_counts);
    mem_free(r->counts);
}

scw_status kmeans_fit(kmeans *out, const float *x, int64_t n, int64_t d,
                      const kmeans_options *options)
{
    scw_status st = SCW_OK;
    run r = {.n = n, .d = d, .k = options->k < n ? options->k : n};
    kmeans best = {.k = r.k, .inertia = DBL_MAX};
    int n_starts = options->n_starts > 0 ? options->n_starts : 10;
    int64_t max_iterations = options->max_iterations > 0 ? options->max_iterations : 300;
    double tolerance = options->tolerance > 0.0 ? options->tolerance : 1e-4, *candidates = NULL;

    memset(out, 0, sizeof *out);
    if (options->k < 1)
        FAIL(SCW_EINVAL, "k-means: %lld clusters asked for, expected 1 or more",
             (long long)options->k);
    if (n < 1) FAIL(SCW_EDATA, "k-means: there are no rows");
    TRY(run_init(&r, x));
    TRY(mem_new(&candidates, (2 + (int64_t)log((double)r.k)) * d));
    TRY(mem_new(&best.clusters, n));
    TRY(mem_new(&best.centres, r.k * d));
    rng_key key = rng_make_key(options->seed, RNG_KMEANS, 0);
    int before = dense_enter(); /* once, not for each small product */
    for (int s = 0; s < n_starts; s++) {
        int64_t iterations;
        seed_centres(&r, key, (uint32_t)s, candidates);
        double inertia = lloyd(&r, max_iterations, tolerance, &iterations);
        if (inertia >= best.inertia) continue;
        best.inertia = inertia;
        best.iterations = iterations;
        memcpy(best.clusters, r.clusters, (size_t)n * sizeof *best.clusters);
        for (int64_t e = 0; e < r.k * d; e++) best.centres[e] = r.centres[e] + r.mean[e % d];
    }
    dense_leave(before);
    *out = best;
    memset(&best, 0, sizeof best);
done:
    kmeans_clear(&best);
    run_clear(&r);
    mem_free(candidates);
    return st;
}
