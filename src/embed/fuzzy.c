/* SPDX-License-Identifier: BSD-3-Clause */
#include "embed/fuzzy.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/threads.h"

#define BISECTIONS 64
#define TOLERANCE 1e-5    /* of the sum that defines sigma */
#define LEAST_SIGMA 1e-3  /* times the mean distance */
#define INTERPOLATED 1e-5 /* a fraction of a neighbour that counts */

/* One directed edge. */
typedef struct edge {
    int32_t column;
    float weight;
} edge;

void fuzzy_graph_clear(fuzzy_graph *g)
{
    mem_free(g->indptr);
    mem_free(g->column);
    mem_free(g->weight);
    *g = (fuzzy_graph){0};
}

/* ------------------------------------------------------------------ scales */

/* d [k] ascending. */
static double nearest(const double *d, int64_t k, double local_connectivity)
{
    int64_t zeros = 0;

    while (zeros < k && d[zeros] <= 0.0)
        zeros++;
    const double *positive = d + zeros;
    int64_t n = k - zeros, whole = (int64_t)floor(local_connectivity);
    double part = local_connectivity - (double)whole;

    if (n == 0) return 0.0;
    if ((double)n < local_connectivity) return positive[n - 1];
    if (whole == 0) return part * positive[0];
    if (part <= INTERPOLATED) return positive[whole - 1];
    return positive[whole - 1] + part * (positive[whole] - positive[whole - 1]);
}

static double membership(double distance, double rho, double sigma)
{
    return distance > rho ? exp(-(distance - rho) / sigma) : 1.0;
}

static double bandwidth(const double *d, int64_t k, double rho)
{
    double target = log2((double)k + 1.0), low = 0.0, high = INFINITY, middle = 1.0;

    for (int step = 0; step < BISECTIONS; step++) {
        double sum = 0.0;
        for (int64_t j = 0; j < k; j++)
            sum += membership(d[j], rho, middle);
        if (fabs(sum - target) < TOLERANCE) break;
        if (sum > target)
            high = middle;
        else
            low = middle;
        middle = isinf(high) ? 2.0 * middle : (low + high) / 2.0;
    }
    return middle;
}

void fuzzy_scales(double *rho, double *sigma, const neighbors *nn, double local_connectivity)
{
    int64_t k = nn->k;
    double total = 0.0;

    for (int64_t e = 0; e < nn->n * k; e++)
        total += nn->distance[e];
    double overall =
        total / (double)(nn->n * (k + 1)); /* each cell's distance to itself is counted */
    PARALLEL_FOR
    for (int64_t i = 0; i < nn->n; i++) {
        const double *d = nn->distance + i * k;
        double sum = 0.0;
        for (int64_t j = 0; j < k; j++)
            sum += d[j];
        rho[i] = nearest(d, k, local_connectivity);
        double least = LEAST_SIGMA * (rho[i] > 0.0 ? sum / (double)(k + 1) : overall);
        sigma[i] = fmax(bandwidth(d, k, rho[i]), least);
    }
}

/* ------------------------------------------------------------------ union */

static int by_column(const void *a, const void *b)
{
    int32_t x = ((const edge *)a)->column, y = ((const edge *)b)->column;
    return (x > y) - (x < y);
}

/* v [n, k], each row ascending by column. */
static void direct(edge *v, const neighbors *nn, const double *rho, const double *sigma)
{
    PARALLEL_FOR
    for (int64_t i = 0; i < nn->n; i++) {
        edge *row = v + i * nn->k;
        for (int64_t j = 0; j < nn->k; j++) {
            int64_t e = i * nn->k + j;
            row[j] = (edge){nn->row[e], (float)membership(nn->distance[e], rho[i], sigma[i])};
        }
        qsort(row, (size_t)nn->k, sizeof *row, by_column);
    }
}

/* v^T: start [n + 1], back [n * k]; filled row by row, so each list is ascending. */
static scw_status transpose(int64_t **start, edge **back, const edge *v, int64_t n, int64_t k)
{
    scw_status st = SCW_OK;
    int64_t *at = NULL;

    TRY(mem_new(start, n + 1));
    TRY(mem_new(back, n * k));
    TRY(mem_new(&at, n));
    for (int64_t e = 0; e < n * k; e++)
        (*start)[v[e].column + 1]++;
    for (int64_t i = 0; i < n; i++) {
        (*start)[i + 1] += (*start)[i];
        at[i] = (*start)[i];
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++)
            (*back)[at[v[i * k + j].column]++] = (edge){(int32_t)i, v[i * k + j].weight};
done:
    mem_free(at);
    return st;
}

/* Merge two ascending lists into `out` (NULL: only count); entries that underflowed to zero are
 * dropped. Returns the number of entries. */
static int64_t merge(edge *out, const edge *a, int64_t n_a, const edge *b, int64_t n_b)
{
    int64_t i = 0, j = 0, n = 0;

    while (i < n_a || j < n_b) {
        bool in_a = i < n_a && (j == n_b || a[i].column <= b[j].column);
        bool in_b = j < n_b && (i == n_a || b[j].column <= a[i].column);
        float x = in_a ? a[i].weight : 0.0f, y = in_b ? b[j].weight : 0.0f;
        edge joined = {in_a ? a[i].column : b[j].column, x + y - x * y};
        i += in_a;
        j += in_b;
        if (!(joined.weight > 0.0f)) continue;
        if (out) out[n] = joined;
        n++;
    }
    return n;
}

static scw_status unite(fuzzy_graph *out, const edge *v, const int64_t *start, const edge *back,
                        int64_t n, int64_t k)
{
    scw_status st = SCW_OK;
    edge *joined = NULL;

    TRY(mem_new(&out->indptr, n + 1));
    for (int64_t i = 0; i < n; i++)
        out->indptr[i + 1] =
            out->indptr[i] + merge(NULL, v + i * k, k, back + start[i], start[i + 1] - start[i]);
    int64_t nnz = out->indptr[n];
    TRY(mem_new(&joined, nnz));
    TRY(mem_new(&out->column, nnz));
    TRY(mem_new(&out->weight, nnz));
    PARALLEL_FOR
    for (int64_t i = 0; i < n; i++)
        (void)merge(joined + out->indptr[i], v + i * k, k, back + start[i],
                    start[i + 1] - start[i]);
    PARALLEL_FOR
    for (int64_t e = 0; e < nnz; e++) {
        out->column[e] = joined[e].column;
        out->weight[e] = joined[e].weight;
    }
done:
    mem_free(joined);
    return st;
}

scw_status fuzzy_graph_build(fuzzy_graph *out, const neighbors *nn, double local_connectivity)
{
    scw_status st = SCW_OK;
    double *rho = NULL, *sigma = NULL;
    edge *v = NULL, *back = NULL;
    int64_t *start = NULL, n = nn->n, k = nn->k;

    *out = (fuzzy_graph){.n = n};
    TRY(mem_new(&rho, n));
    TRY(mem_new(&sigma, n));
    TRY(mem_new(&v, n * k));
    fuzzy_scales(rho, sigma, nn, local_connectivity);
    direct(v, nn, rho, sigma);
    TRY(transpose(&start, &back, v, n, k));
    TRY(unite(out, v, start, back, n, k));
done:
    mem_free(rho);
    mem_free(sigma);
    mem_free(v);
    mem_free(back);
    mem_free(start);
    if (st != SCW_OK) fuzzy_graph_clear(out);
    return st;
}

scw_status fuzzy_graph_count_pieces(int64_t *out, const fuzzy_graph *g)
{
    scw_status st = SCW_OK;
    uint8_t *seen = NULL;
    int64_t *waiting = NULL;

    *out = 0;
    TRY(mem_new(&seen, g->n));
    TRY(mem_new(&waiting, g->n));
    for (int64_t first = 0; first < g->n; first++) {
        int64_t n = 0;
        if (seen[first]) continue;
        ++*out;
        seen[first] = 1;
        waiting[n++] = first;
        while (n > 0) {
            int64_t i = waiting[--n];
            for (int64_t e = g->indptr[i]; e < g->indptr[i + 1]; e++) {
                if (seen[g->column[e]]) continue;
                seen[g->column[e]] = 1;
                waiting[n++] = g->column[e];
            }
        }
    }
done:
    mem_free(seen);
    mem_free(waiting);
    return st;
}
