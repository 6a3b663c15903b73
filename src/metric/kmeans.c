/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows are centred once by the column means. A start is a serial computation, and the starts are
 * shared out among desks, one a thread: large pieces of work, and nothing to add up across threads.
 */
#include "metric/kmeans.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/rng.h"
#include "base/threads.h"

/* The rows, the same for every start. */
typedef struct rows {
    int64_t n, d;
    double *x;     /* [n, d] centred */
    double *norms; /* [n] |x|^2 */
    double *mean;  /* [d] */
    double spread; /* mean column variance */
} rows;

/* What one thread works with, and the best of the starts it made. */
typedef struct desk {
    const rows *rows;
    int64_t k, n_trials;
    int32_t *clusters;       /* [n] */
    double *distance;        /* [n] squared, to the own (or nearest) centre */
    double *centres, *moved; /* [k, d] */
    double *centre_norms;    /* [width], the larger of k and n_trials */
    double *products;        /* [n, width] */
    double *candidates;      /* [n_trials, d] */
    int64_t *counts;         /* [k] */
    kmeans best;
    int best_start;
} desk;

void kmeans_clear(kmeans *k)
{
    mem_free(k->clusters);
    mem_free(k->centres);
    memset(k, 0, sizeof *k);
}

static double sum_in_order(const double *v, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += v[i];
    return sum;
}

/* products [n, count] = squared distances of all rows to `count` centres. */
static void distances(desk *w, const double *centres, int64_t count)
{
    int64_t d = w->rows->d;
    dense_shape s = {.trans_b = true, .m = w->rows->n, .n = count, .k = d,
                     .ld_a = d, .ld_b = d, .ld_c = count, .alpha = -2.0};

    dense_product_serial(&s, w->rows->x, centres, w->products);
    for (int64_t c = 0; c < count; c++) {
        w->centre_norms[c] = 0.0;
        for (int64_t j = 0; j < d; j++)
            w->centre_norms[c] += centres[c * d + j] * centres[c * d + j];
    }
    for (int64_t i = 0; i < w->rows->n; i++)
        for (int64_t c = 0; c < count; c++) {
            double square = w->products[i * count + c] + w->rows->norms[i] + w->centre_norms[c];
            w->products[i * count + c] = square > 0.0 ? square : 0.0;
        }
}

/* ------------------------------------------------------------- seeding */

/* Row drawn with probability proportional to its squared distance. */
static int64_t draw_row(const desk *w, double total, double u)
{
    double target = u * total, sum = 0.0;
    int64_t last = 0;
    for (int64_t i = 0; i < w->rows->n; i++) {
        if (w->distance[i] <= 0.0) continue;
        sum += w->distance[i];
        last = i;
        if (sum > target) return i;
    }
    return last;
}

/* Sum over rows of the smaller of the known distance and that to candidate c of `count`. */
static double potential_with(const desk *w, int64_t c, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < w->rows->n; i++) {
        double to = w->products[i * count + c];
        sum += to < w->distance[i] ? to : w->distance[i];
    }
    return sum;
}

/* Greedy k-means++: of 2 + log k candidates drawn by distance, the one that lowers the potential
 * most becomes the next centre. */
static void seed_centres(desk *w, rng_key key, uint32_t start)
{
    double *candidates = w->candidates;
    int64_t d = w->rows->d, n_trials = w->n_trials;
    int64_t first = (int64_t)rng_below(key, start, 0, (uint64_t)w->rows->n);

    memcpy(w->centres, w->rows->x + first * d, (size_t)d * sizeof *w->centres);
    distances(w, w->centres, 1);
    memcpy(w->distance, w->products, (size_t)w->rows->n * sizeof *w->distance);
    for (int64_t c = 1; c < w->k; c++) {
        double total = sum_in_order(w->distance, w->rows->n), best_potential = DBL_MAX;
        int64_t best = 0;
        for (int64_t t = 0; t < n_trials; t++) {
            double u = rng_uniform(key, start, (uint64_t)(c * n_trials + t));
            memcpy(candidates + t * d, w->rows->x + draw_row(w, total, u) * d,
                   (size_t)d * sizeof *candidates);
        }
        distances(w, candidates, n_trials);
        for (int64_t t = 0; t < n_trials; t++) {
            double potential = potential_with(w, t, n_trials);
            if (potential >= best_potential) continue;
            best_potential = potential;
            best = t;
        }
        memcpy(w->centres + c * d, candidates + best * d, (size_t)d * sizeof *candidates);
        for (int64_t i = 0; i < w->rows->n; i++) {
            double to = w->products[i * n_trials + best];
            if (to < w->distance[i]) w->distance[i] = to;
        }
    }
}

/* ------------------------------------------------------------- Lloyd */

/* Nearest centre of every row, the first of equals. Returns whether any row changed. */
static bool assign(desk *w)
{
    int64_t n_changed = 0;
    distances(w, w->centres, w->k);
    for (int64_t i = 0; i < w->rows->n; i++) {
        const double *to = w->products + i * w->k;
        int32_t best = 0;
        for (int32_t c = 1; c < w->k; c++)
            if (to[c] < to[best]) best = c;
        n_changed += best != w->clusters[i];
        w->clusters[i] = best;
        w->distance[i] = to[best];
    }
    return n_changed > 0;
}

/* Give each empty cluster the row that lies farthest from its centre, taken from a cluster with
 * more than one row. */
static void refill(desk *w)
{
    for (int64_t c = 0; c < w->k; c++) {
        if (w->counts[c] > 0) continue;
        int64_t far = -1;
        for (int64_t i = 0; i < w->rows->n; i++)
            if (w->counts[w->clusters[i]] > 1 && (far < 0 || w->distance[i] > w->distance[far]))
                far = i;
        if (far < 0) return;
        int32_t from = w->clusters[far];
        for (int64_t j = 0; j < w->rows->d; j++) {
            w->moved[from * w->rows->d + j] -= w->rows->x[far * w->rows->d + j];
            w->moved[c * w->rows->d + j] = w->rows->x[far * w->rows->d + j];
        }
        w->counts[from]--;
        w->counts[c] = 1;
        w->clusters[far] = (int32_t)c;
        w->distance[far] = 0.0;
    }
}

/* Centres become the means of their rows. Returns their squared movement, summed. */
static double update(desk *w)
{
    const rows *all = w->rows;
    double movement = 0.0;

    memset(w->counts, 0, (size_t)w->k * sizeof *w->counts);
    memset(w->moved, 0, (size_t)(w->k * all->d) * sizeof *w->moved);
    for (int64_t i = 0; i < all->n; i++) {
        double *to = w->moved + w->clusters[i] * all->d;
        w->counts[w->clusters[i]]++;
        for (int64_t j = 0; j < all->d; j++) to[j] += all->x[i * all->d + j];
    }
    refill(w);
    for (int64_t c = 0; c < w->k; c++) {
        for (int64_t j = 0; j < w->rows->d; j++) {
            int64_t e = c * w->rows->d + j;
            double to = w->counts[c] > 0 ? w->moved[e] / (double)w->counts[c] : w->centres[e];
            movement += (to - w->centres[e]) * (to - w->centres[e]);
            w->centres[e] = to;
        }
    }
    return movement;
}

/* One start to its end. Returns the inertia of the final assignment to the final centres. */
static double lloyd(desk *w, int64_t max_iterations, double tolerance, int64_t *iterations)
{
    for (int64_t i = 0; i < w->rows->n; i++) w->clusters[i] = -1;
    *iterations = 0;
    while (assign(w) && *iterations < max_iterations) {
        (*iterations)++;
        if (update(w) <= tolerance * w->rows->spread) {
            assign(w);
            break;
        }
    }
    return sum_in_order(w->distance, w->rows->n);
}

/* ------------------------------------------------------------- all starts */

static scw_status rows_init(rows *r, const float *x)
{
    scw_status st = SCW_OK;
    int64_t n = r->n, d = r->d;

    TRY(mem_new(&r->x, n * d));
    TRY(mem_new(&r->norms, n));
    TRY(mem_new(&r->mean, d));
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

static void rows_clear(rows *r)
{
    mem_free(r->x);
    mem_free(r->norms);
    mem_free(r->mean);
}

static scw_status desk_init(desk *w, const rows *r, int64_t k)
{
    scw_status st = SCW_OK;
    int64_t width;

    w->rows = r;
    w->k = k;
    w->n_trials = 2 + (int64_t)log((double)k);
    w->best.inertia = DBL_MAX;
    width = k > w->n_trials ? k : w->n_trials;
    TRY(mem_new(&w->clusters, r->n));
    TRY(mem_new(&w->distance, r->n));
    TRY(mem_new(&w->centres, k * r->d));
    TRY(mem_new(&w->moved, k * r->d));
    TRY(mem_new(&w->centre_norms, width));
    TRY(mem_new(&w->products, r->n * width));
    TRY(mem_new(&w->candidates, w->n_trials * r->d));
    TRY(mem_new(&w->counts, k));
    TRY(mem_new(&w->best.clusters, r->n));
    TRY(mem_new(&w->best.centres, k * r->d));
done:
    return st;
}

static void desk_clear(desk *w)
{
    mem_free(w->clusters);
    mem_free(w->distance);
    mem_free(w->centres);
    mem_free(w->moved);
    mem_free(w->centre_norms);
    mem_free(w->products);
    mem_free(w->candidates);
    mem_free(w->counts);
    kmeans_clear(&w->best);
}

/* One start; keeps it if it is the best of this desk so far. */
static void make_start(desk *w, int start, const kmeans_options *options)
{
    const rows *r = w->rows;
    int64_t iterations;

    if (options->start)
        for (int64_t e = 0; e < w->k * r->d; e++)
            w->centres[e] = options->start[e] - r->mean[e % r->d];
    else
        seed_centres(w, rng_make_key(options->seed, RNG_KMEANS, 0), (uint32_t)start);
    double inertia = lloyd(w, options->max_iterations, options->tolerance, &iterations);
    if (inertia >= w->best.inertia) return;
    w->best_start = start;
    w->best.k = w->k;
    w->best.inertia = inertia;
    w->best.iterations = iterations;
    memcpy(w->best.clusters, w->clusters, (size_t)r->n * sizeof *w->clusters);
    for (int64_t e = 0; e < w->k * r->d; e++)
        w->best.centres[e] = w->centres[e] + r->mean[e % r->d];
}

/* The lowest inertia, of equals the first start, whatever desk made it. */
static desk *best_desk(desk *desks, int64_t n_desks)
{
    desk *best = desks;
    for (int64_t t = 1; t < n_desks; t++) {
        const kmeans *other = &desks[t].best;
        if (other->inertia < best->best.inertia ||
            (other->inertia == best->best.inertia && desks[t].best_start < best->best_start))
            best = &desks[t];
    }
    return best;
}

scw_status kmeans_fit(kmeans *out, const float *x, int64_t n, int64_t d,
                      const kmeans_options *options)
{
    scw_status st = SCW_OK;
    rows r = {.n = n, .d = d};
    kmeans_options how = *options;
    desk *desks = NULL;
    int64_t n_desks = 0;

    memset(out, 0, sizeof *out);
    if (how.k < 1)
        FAIL(SCW_EINVAL, "k-means: %lld clusters asked for, expected 1 or more", (long long)how.k);
    if (n < 1) FAIL(SCW_EDATA, "k-means: there are no rows");
    if (how.start && how.k > n)
        FAIL(SCW_EINVAL, "k-means: %lld centres to start from for %lld rows", (long long)how.k,
             (long long)n);
    if (how.n_starts <= 0) how.n_starts = 10;
    if (how.start) how.n_starts = 1;
    if (how.max_iterations <= 0) how.max_iterations = 300;
    if (!(how.tolerance > 0.0)) how.tolerance = 1e-4;
    TRY(rows_init(&r, x));
    n_desks = threads_get() < how.n_starts ? threads_get() : how.n_starts;
    TRY(mem_new(&desks, n_desks));
    for (int64_t t = 0; t < n_desks; t++) TRY(desk_init(&desks[t], &r, how.k < n ? how.k : n));
    int before = dense_enter();
    PARALLEL_FOR
    for (int64_t t = 0; t < n_desks; t++)
        for (int s = (int)t; s < how.n_starts; s += (int)n_desks) make_start(&desks[t], s, &how);
    dense_leave(before);
    desk *best = best_desk(desks, n_desks);
    *out = best->best;
    memset(&best->best, 0, sizeof best->best);
done:
    for (int64_t t = 0; desks && t < n_desks; t++) desk_clear(&desks[t]);
    mem_free(desks);
    rows_clear(&r);
    return st;
}
