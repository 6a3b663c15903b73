/* SPDX-License-Identifier: BSD-3-Clause */
/* The counts of a block of simulated cells: their depths, the normal scores of their counts, and the
 * counts that those stand for under the decoder. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/distribution.h"
#include "base/threads.h"
#include "models/batch_columns.h"
#include "models/sampler_block.h"

#define SCORE_LIMIT 5.0    /* a count beyond all expectation is no further out than this */
#define SMALLEST_MEAN 1e-8

/* What count decoders read, [n, n_in]: latents with the columns of their batches. */
static scw_status head_input(real **out, const sampler *s, const real *z, const int32_t *batch,
                             int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t d = sampler_width(s), n_in = s->model->counts.n_in;

    TRY(mem_new(out, n * n_in));
    for (int64_t i = 0; i < n; i++)
        memcpy(*out + i * n_in, z + i * d, (size_t)d * sizeof **out);
    batch_columns(*out + d, n_in, batch, n, n_in - d);
done:
    return st;
}

/* ---------------------------------------------------------------------------------- depths */

static bool has(const sampler *s, int k, int64_t i)
{
    return (!s->cells->x[k].present || s->cells->x[k].present[i] > 0.0f) && s->depth[k][i] > 0;
}

static int compare_reals(const void *a, const void *b)
{
    real x = *(const real *)a, y = *(const real *)b;
    return (x > y) - (x < y);
}

/* Depths of the block's sources that have the modality and are of the batch (-1: of any), sorted; else
 * of all such cells; else of all that have the modality. */
static scw_status known_depths(real **out, int64_t *n, const sampler *s, const block *b, int k,
                               int32_t batch)
{
    scw_status st = SCW_OK;

    *n = 0;
    TRY(mem_new(out, s->cells->n));
    for (int64_t q = 0; q < b->m; q++)
        if (has(s, k, b->sources[q]) && (batch < 0 || sampler_batch_of(s, b->sources[q]) == batch))
            (*out)[(*n)++] = s->depth[k][b->sources[q]];
    for (int64_t i = 0, none = *n == 0; none && i < s->cells->n; i++)
        if (has(s, k, i) && (batch < 0 || sampler_batch_of(s, i) == batch))
            (*out)[(*n)++] = s->depth[k][i];
    for (int64_t i = 0, none = *n == 0; none && i < s->cells->n; i++)
        if (has(s, k, i)) (*out)[(*n)++] = s->depth[k][i];
    if (*n == 0)
        FAIL(SCW_EDATA, "modality '%s': no cell of the reference has counts of it",
             s->model->base.modality[k].name);
    qsort(*out, (size_t)*n, sizeof **out, compare_reals);
done:
    return st;
}

/* Ranks of the mixed logarithms, among the new cells of the batch, take the quantiles of the real
 * depths. */
static void mixed_depths(real *out, const sampler *s, const block *b, int k, const real *sorted,
                         int64_t n, int32_t batch)
{
    double values[BLOCK_CELLS], score[BLOCK_CELLS], mean = 0.0, count = 0.0;
    int64_t members = 0;

    for (int64_t q = 0; q < b->m; q++) {
        values[q] = has(s, k, b->sources[q]) ? log((double)s->depth[k][b->sources[q]]) : NAN;
        if (isnan(values[q])) continue;
        mean += values[q];
        count++;
    }
    for (int64_t q = 0; q < b->m; q++) values[q] = isnan(values[q]) ? 0.0 : values[q] - mean / count;
    for (int64_t i = 0; i < b->n; i++) /* a little noise orders the cells where all depths agree */
        score[i] = block_dot(b->mix + i * b->m, values, b->m) +
                   1e-9 * rng_normal(sampler_key(s, STREAM_DEPTH), b->step,
                                     (uint64_t)(k * BLOCK_CELLS + i));
    for (int64_t i = 0; i < b->n; i++) members += b->batch[i] == batch;
    for (int64_t i = 0; i < b->n; i++) {
        int64_t rank = 0;
        if (b->batch[i] != batch) continue;
        for (int64_t o = 0; o < b->n; o++) rank += b->batch[o] == batch && score[o] < score[i];
        out[i] = sorted[(2 * rank + 1) * n / (2 * members)];
    }
}

/* Of the new cells of one batch. */
static scw_status draw_depths_of(real *out, const sampler *s, const block *b, int k, int32_t batch)
{
    scw_status st = SCW_OK;
    const double library = s->options.library;
    real *sorted = NULL;
    int64_t n;

    TRY(known_depths(&sorted, &n, s, b, k, batch));
    if (library == SAMPLE_LIBRARY_REAL && s->options.from == SAMPLE_CLASS) {
        mixed_depths(out, s, b, k, sorted, n, batch);
        goto done;
    }
    for (int64_t i = 0; i < b->n; i++) {
        if (b->batch[i] != batch) continue;
        int64_t at = (int64_t)rng_below(sampler_key(s, STREAM_DEPTH), b->step,
                                        (uint64_t)(k * BLOCK_CELLS + i), (uint64_t)n);
        out[i] = s->options.from == SAMPLE_POSTERIOR && has(s, k, b->own[i])
                     ? s->depth[k][b->own[i]]
                     : sorted[at];
        if (library == SAMPLE_LIBRARY_MEDIAN) out[i] = sorted[n / 2];
        if (library > 0.0 && s->model->base.modality[k].kind == MODALITY_RNA)
            out[i] = (real)library;
    }
done:
    mem_free(sorted);
    return st;
}

static scw_status draw_depths(real *out, const sampler *s, const block *b, int k)
{
    scw_status st = SCW_OK;

    for (int32_t batch = -1; batch < (int32_t)model_n_batches(&s->model->base); batch++) {
        bool any = false;
        for (int64_t i = 0; i < b->n; i++) any = any || b->batch[i] == batch;
        if (any) TRY(draw_depths_of(out, s, b, k, batch));
    }
done:
    return st;
}

/* Position of the first of n sorted values that is not below x. */
static int64_t rank_of(const real *sorted, int64_t n, real x)
{
    int64_t low = 0, high = n;

    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (sorted[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---------------------------------------------------------------------------------- scores */

/* The normal score of a count: between its distribution's values below and at it. */
static double score_of(count_kind kind, double x, double mean, double shape, double fill)
{
    double low, high;

    if (kind == COUNT_BERNOULLI) {
        low = x > 0.0 ? 1.0 - mean : 0.0;
        high = x > 0.0 ? 1.0 : 1.0 - mean;
    } else {
        int64_t count = (int64_t)floor(x + 0.5);
        mean = mean > SMALLEST_MEAN ? mean : SMALLEST_MEAN;
        high = count_cdf(count, mean, shape);
        low = count > 0 ? fmax(0.0, high - exp(count_log_pmf(count, mean, shape))) : 0.0;
    }
    double r = normal_quantile(low + fill * (high - low));
    return r < -SCORE_LIMIT ? -SCORE_LIMIT : r > SCORE_LIMIT ? SCORE_LIMIT : r;
}

static double count_of(count_kind kind, double r, double mean, double shape)
{
    double u = normal_cdf(r);

    if (kind == COUNT_BERNOULLI) return u >= 1.0 - mean;
    u = u < 1.0 - 1e-12 ? u : 1.0 - 1e-12;
    return (double)count_quantile(u, mean > SMALLEST_MEAN ? mean : SMALLEST_MEAN, shape);
}

/* r [m, F] of the sources in place of their expected counts; zero where one lacks the modality. */
static void score_sources(const sampler *s, const block *b, int k, real *r)
{
    const count_head *h = &s->model->counts.head[k];
    const matrix *y = &s->counts[k];
    const rng_key key = sampler_key(s, STREAM_FILL + k);

    PARALLEL_FOR
    for (int64_t q = 0; q < b->m; q++) {
        const int64_t i = b->sources[q];
        int64_t e = y->indptr[i];
        for (int64_t j = 0; j < h->n_vars; j++) {
            double x = 0.0, fill = rng_uniform(key, 0, (uint64_t)(i * h->n_vars + j));
            if (e < y->indptr[i + 1] && y->indices[e] == j) x = (double)y->values[e++];
            real *at = &r[q * h->n_vars + j];
            *at = has(s, k, i) ? (real)score_of(h->kind, x, (double)*at, s->shape[k][j], fill)
                               : 0;
        }
    }
}

/* mean [F] of the sources' scores, shrunk; the sources become deviations, scaled. */
static void centre_scores(const sampler *s, const block *b, int k, real *r, real *mean)
{
    const int64_t f = s->model->counts.head[k].n_vars;
    int64_t present = 0;

    for (int64_t q = 0; q < b->m; q++) present += has(s, k, b->sources[q]);
    const double gain = block_gain(b, present);
    const double n = (double)present;
    PARALLEL_FOR
    for (int64_t j = 0; j < f; j++) {
        double sum = 0.0;
        for (int64_t q = 0; q < b->m; q++) sum += (double)r[q * f + j];
        double centre = present > 0 ? sum / n : 0.0;
        for (int64_t q = 0; q < b->m; q++)
            if (has(s, k, b->sources[q]))
                r[q * f + j] = (real)(gain * ((double)r[q * f + j] - centre));
        mean[j] = (real)(centre * n / (n + BORROWED));
    }
}

/* The new cells' scores [n, F] of a feature keep their order and take the quantiles of the sources'
 * r [m, F]: what is not normal in the type (two states, doublets) stays, feature by feature. */
static void take_quantiles(real *out, const real *r, const block *b, int64_t f)
{
    PARALLEL_FOR
    for (int64_t j = 0; j < f; j++) {
        real sorted[BLOCK_CELLS], order[BLOCK_CELLS];
        for (int64_t q = 0; q < b->m; q++) sorted[q] = r[q * f + j];
        for (int64_t i = 0; i < b->n; i++) order[i] = out[i * f + j];
        qsort(sorted, (size_t)b->m, sizeof *sorted, compare_reals);
        qsort(order, (size_t)b->n, sizeof *order, compare_reals);
        for (int64_t i = 0; i < b->n; i++) {
            const int64_t rank = rank_of(order, b->n, out[i * f + j]);
            const double at = ((double)rank + 0.5) / (double)b->n * (double)b->m - 0.5;
            const double inside = fmin(fmax(at, 0.0), (double)(b->m - 1));
            const int64_t low = (int64_t)inside, high = low + 1 < b->m ? low + 1 : low;
            out[i * f + j] = (real)((double)sorted[low] +
                                    (inside - (double)low) * (double)(sorted[high] - sorted[low]));
        }
    }
}

/* out [n, F]: scores of the new cells. `r` [m, F] is scratch for those of the sources. */
static scw_status draw_scores(real *out, sampler *s, const block *b, int k, real *r)
{
    scw_status st = SCW_OK;
    const int64_t f = s->model->counts.head[k].n_vars, d = sampler_width(s);
    real *mean = NULL, *weight = NULL, *z = NULL, *input = NULL, *depth = NULL;
    int32_t batch[BLOCK_CELLS];
    double noise = s->options.from == SAMPLE_PRIOR ? 1.0 : sqrt(b->share);
    const rng_key key = sampler_key(s, STREAM_NOISE + k);

    memset(out, 0, (size_t)(b->n * f) * sizeof *out);
    TRY(mem_new(&mean, f));
    if (s->options.from != SAMPLE_PRIOR) {
        TRY(mem_new(&weight, b->n * b->m));
        TRY(mem_new(&z, b->m * d));
        TRY(mem_new(&depth, b->m));
        for (int64_t q = 0; q < b->m; q++) {
            memcpy(z + q * d, s->mu + b->sources[q] * d, (size_t)d * sizeof *z);
            depth[q] = s->depth[k][b->sources[q]];
            batch[q] = sampler_batch_of(s, b->sources[q]);
        }
        TRY(head_input(&input, s, z, batch, b->m));
        TRY(count_heads_decode(r, &s->model->counts, k, input, depth, b->m, s->tape));
        score_sources(s, b, k, r);
        centre_scores(s, b, k, r, mean);
        for (int64_t e = 0; e < b->n * b->m; e++) weight[e] = (real)b->mix[e];
        kernel_gemm(false, false, b->n, f, b->m, weight, r, 0, out);
    }
    if (s->options.from != SAMPLE_PRIOR) take_quantiles(out, r, b, f);
    PARALLEL_FOR
    for (int64_t i = 0; i < b->n; i++)
        for (int64_t j = 0; j < f; j++)
            out[i * f + j] += mean[j] + (real)(noise * rng_normal(key, b->step, (uint64_t)(i * f + j)));
done:
    mem_free(mean);
    mem_free(weight);
    mem_free(z);
    mem_free(input);
    mem_free(depth);
    return st;
}

/* ---------------------------------------------------------------------------------- counts */

/* Append dense rows [n, F] to a CSR matrix, without their zeros. */
static scw_status append_sparse(matrix *x, int64_t *room, const real *rows, int64_t first, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t nnz = x->indptr[first];
    const int64_t f = x->n_cols;

    for (int64_t e = 0; e < n * f; e++) nnz += rows[e] != 0;
    if (nnz > *room) {
        *room = nnz + nnz / 2;
        TRY(mem_resize(&x->indices, *room));
        TRY(mem_resize(&x->values, *room));
    }
    int64_t at = x->indptr[first];
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < f; j++) {
            if (rows[i * f + j] == 0) continue;
            x->indices[at] = (int32_t)j;
            x->values[at++] = (float)rows[i * f + j];
        }
        x->indptr[first + i + 1] = at;
    }
done:
    return st;
}

scw_status block_draw_counts(sampled *out, sampler *s, const block *b, int k)
{
    scw_status st = SCW_OK;
    const count_head *h = &s->model->counts.head[k];
    const int64_t f = h->n_vars;
    real *r = NULL, *mean = NULL, *input = NULL, depth[BLOCK_CELLS];

    TRY(mem_new(&r, b->n * f));
    TRY(mem_new(&mean, (b->n > b->m ? b->n : b->m) * f));
    TRY(draw_depths(depth, s, b, k));
    TRY(draw_scores(r, s, b, k, mean));
    TRY(head_input(&input, s, b->z, b->batch, b->n));
    TRY(count_heads_decode(mean, &s->model->counts, k, input, depth, b->n, s->tape));
    PARALLEL_FOR
    for (int64_t j = 0; j < f; j++) {
        double shape = s->shape[k][j];
        for (int64_t i = 0; i < b->n; i++)
            r[i * f + j] =
                (real)count_of(h->kind, (double)r[i * f + j], (double)mean[i * f + j], shape);
    }
    TRY(append_sparse(&out->x[k], &out->room[k], r, out->n, b->n));
done:
    mem_free(r);
    mem_free(mean);
    mem_free(input);
    return st;
}
