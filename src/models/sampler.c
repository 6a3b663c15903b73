/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/distribution.h"
#include "base/log.h"
#include "base/threads.h"
#include "models/batch_columns.h"

#define BLOCK_CELLS 256    /* cells drawn from as many real ones at a time */
#define BORROWED 1.0       /* a type counts as if so many cells were added that say nothing of it */
#define POOL_CELLS 64      /* cells of other types whose deviations are borrowed */
#define SCORE_LIMIT 5.0    /* a count beyond all expectation is no further out than this */
#define SMALLEST_MEAN 1e-8

/* Sub-streams of RNG_SIMULATE; 0 is the trainer's (train/balance.c). */
enum {
    STREAM_ORDER = 1,
    STREAM_MIX,
    STREAM_LATENT,
    STREAM_POOL,
    STREAM_DEPTH,
    STREAM_FILL = 16,                               /* + modality */
    STREAM_NOISE = STREAM_FILL + MODEL_MAX_MODALITIES /* + modality */
};

/* One block: n new cells from m real ones. */
typedef struct block {
    int32_t class;
    int64_t n, m;
    int64_t sources[BLOCK_CELLS];
    uint32_t step;
    double share;  /* of the variance that is borrowed */
    double *mix;   /* [n, m] rows of an orthogonal matrix */
    real *z;       /* [n, d] */
    int64_t own[BLOCK_CELLS]; /* the source of each new cell: posterior, and for its batch */
    int32_t batch[BLOCK_CELLS]; /* that each new cell is drawn for, -1: none in particular */
} block;

static rng_key stream_key(const sampler *s, int stream)
{
    return rng_make_key(s->options.seed, RNG_SIMULATE, (uint32_t)stream);
}

static int64_t width(const sampler *s)
{
    return s->model->options.z_dim;
}

static int32_t batch_of(const sampler *s, int64_t i)
{
    return s->cells->known_batch ? s->cells->known_batch[i] : -1;
}

/* What count decoders read, [n, n_in]: latents with the columns of their batches. */
static scw_status head_input(real **out, const sampler *s, const real *z, const int32_t *batch,
                             int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t d = width(s), n_in = s->model->counts.n_in;

    TRY(mem_new(out, n * n_in));
    for (int64_t i = 0; i < n; i++)
        memcpy(*out + i * n_in, z + i * d, (size_t)d * sizeof **out);
    batch_columns(*out + d, n_in, batch, n, n_in - d);
done:
    return st;
}

/* ------------------------------------------------------------------------------- real cells */

static scw_status posterior_block(sampler *s, int64_t first, int64_t n)
{
    scw_status st = SCW_OK;
    const size_t bytes = (size_t)(n * width(s)) * sizeof(real);
    int64_t rows[BLOCK_CELLS];
    model_batch batch;
    model_outputs out;

    for (int64_t i = 0; i < n; i++) rows[i] = first + i;
    tape_reset(s->tape, TAPE_EVAL);
    cells_gather(s->tape, s->cells, rows, n, &batch);
    const nn_pass pass = {.t = s->tape, .p = &s->model->net.p};
    matilda_forward(&s->model->net, &pass, &batch, false, &out);
    TRY(tape_status(s->tape));
    memcpy(s->mu + first * width(s), out.mu->value, bytes);
    memcpy(s->logvar + first * width(s), out.logvar->value, bytes);
done:
    return st;
}

static void find_class_means(sampler *s)
{
    const int64_t d = width(s);

    for (int64_t i = 0; i < s->cells->n; i++) {
        int32_t c = s->cells->labels[i];
        if (c < 0) continue;
        s->class_size[c]++;
        for (int64_t q = 0; q < d; q++) s->class_mean[c * d + q] += s->mu[i * d + q];
    }
    for (int64_t c = 0; c < s->model->classes.n; c++)
        for (int64_t q = 0; q < d && s->class_size[c] > 0; q++)
            s->class_mean[c * d + q] /= (real)s->class_size[c];
}

scw_status sampler_init(sampler *s, const scw_model *m, const cells *c, const matrix *counts,
                        const sampler_options *options)
{
    scw_status st = SCW_OK;

    *s = (sampler){.model = m, .cells = c, .counts = counts, .options = *options};
    TRY(tape_new(&s->tape));
    TRY(mem_new(&s->mu, c->n * width(s)));
    TRY(mem_new(&s->logvar, c->n * width(s)));
    TRY(mem_new(&s->class_mean, m->classes.n * width(s)));
    TRY(mem_new(&s->class_size, m->classes.n));
    for (int64_t i = 0; i < c->n; i += BLOCK_CELLS)
        TRY(posterior_block(s, i, c->n - i < BLOCK_CELLS ? c->n - i : BLOCK_CELLS));
    find_class_means(s);
    for (int k = 0; k < m->counts.n; k++) {
        if (m->counts.head[k].kind == COUNT_NONE) continue;
        TRY(mem_new(&s->depth[k], c->n));
        for (int64_t i = 0; i < c->n; i++)
            s->depth[k][i] = (real)count_depth(m->counts.head[k].kind, &counts[k], i);
        TRY(mem_new(&s->shape[k], m->counts.head[k].n_vars));
        for (int64_t j = 0; j < m->counts.head[k].n_vars && m->counts.head[k].log_shape >= 0; j++)
            s->shape[k][j] = exp((double)params_value(&m->counts.p, m->counts.head[k].log_shape)[j]);
    }
done:
    if (st != SCW_OK) sampler_clear(s);
    return st;
}

void sampler_clear(sampler *s)
{
    mem_free(s->mu);
    mem_free(s->logvar);
    mem_free(s->class_mean);
    mem_free(s->class_size);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) {
        mem_free(s->depth[k]);
        mem_free(s->shape[k]);
    }
    tape_free(s->tape);
    *s = (sampler){0};
}

/* --------------------------------------------------------------------------------- weights */

/* n orthonormal rows of m values from normal numbers: Gram-Schmidt, twice for accuracy. */
static void orthogonal_rows(double *out, int64_t n, int64_t m, rng_key key, uint32_t step)
{
    for (int64_t i = 0; i < n; i++) {
        double *row = out + i * m, norm = 0.0;
        for (int64_t q = 0; q < m; q++) row[q] = rng_normal(key, step, (uint64_t)(i * m + q));
        for (int64_t other = 0; other < 2 * i; other++) {
            const double *done = out + other % i * m;
            double dot = 0.0;
            for (int64_t q = 0; q < m; q++) dot += row[q] * done[q];
            for (int64_t q = 0; q < m; q++) row[q] -= dot * done[q];
        }
        for (int64_t q = 0; q < m; q++) norm += row[q] * row[q];
        for (int64_t q = 0; q < m; q++) row[q] /= norm > 0.0 ? sqrt(norm) : 1.0;
    }
}

/* What a deviation of the sources is multiplied by: unbiased variance, less what is borrowed. */
static double own_gain(const block *b, int64_t m)
{
    return m > 1 ? sqrt((1.0 - b->share) * (double)m / (double)(m - 1)) : 0.0;
}

static double dot(const double *weight, const double *values, int64_t n)
{
    double sum = 0.0;
    for (int64_t q = 0; q < n; q++) sum += weight[q] * values[q];
    return sum;
}

/* --------------------------------------------------------------------------------- latents */

/* Cells of all types of at least two, for their deviations from the mean of their type. */
static int64_t draw_pool(const sampler *s, const block *b, int64_t *pool)
{
    int64_t n = 0;
    rng_key key = stream_key(s, STREAM_POOL);

    for (uint64_t tries = 0; tries < 20 * POOL_CELLS && n < POOL_CELLS; tries++) {
        int64_t i = (int64_t)rng_below(key, b->step, tries, (uint64_t)s->cells->n);
        int32_t c = s->cells->labels[i];
        if (c >= 0 && s->class_size[c] > 1) pool[n++] = i;
    }
    return n;
}

static void add_borrowed(const sampler *s, block *b)
{
    const int64_t d = width(s);
    int64_t pool[POOL_CELLS], n = draw_pool(s, b, pool);
    rng_key key = stream_key(s, STREAM_POOL);

    for (int64_t i = 0; i < b->n; i++)
        for (int64_t q = 0; q < n; q++) {
            int32_t c = s->cells->labels[pool[q]];
            double size = (double)s->class_size[c];
            double w = rng_normal(key, b->step, (uint64_t)(1 << 20) + (uint64_t)(i * POOL_CELLS + q));
            w *= sqrt(b->share * size / (size - 1.0) / (double)n);
            for (int64_t e = 0; e < d; e++)
                b->z[i * d + e] +=
                    (real)(w * (double)(s->mu[pool[q] * d + e] - s->class_mean[c * d + e]));
        }
}

static void class_latents(const sampler *s, block *b)
{
    const int64_t d = width(s);
    double values[BLOCK_CELLS];

    for (int64_t e = 0; e < d; e++) {
        double mean = 0.0;
        for (int64_t q = 0; q < b->m; q++) mean += (double)s->mu[b->sources[q] * d + e];
        mean /= (double)b->m;
        for (int64_t q = 0; q < b->m; q++)
            values[q] = own_gain(b, b->m) * ((double)s->mu[b->sources[q] * d + e] - mean);
        for (int64_t i = 0; i < b->n; i++)
            b->z[i * d + e] = (real)(mean + dot(b->mix + i * b->m, values, b->m));
    }
    add_borrowed(s, b);
}

static void draw_latents(const sampler *s, block *b)
{
    const int64_t d = width(s);
    rng_key key = stream_key(s, STREAM_LATENT);

    for (int64_t i = 0; i < b->n; i++) {
        b->own[i] = b->sources[i % b->m];
        b->batch[i] = s->options.batch == SAMPLE_BATCH_OBSERVED ? batch_of(s, b->own[i])
                      : s->options.batch == SAMPLE_BATCH_MEAN   ? -1
                                                                : s->options.batch - 1;
    }
    if (s->options.from == SAMPLE_CLASS) {
        class_latents(s, b);
        return;
    }
    for (int64_t i = 0; i < b->n; i++)
        for (int64_t e = 0; e < d; e++) {
            double eps = rng_normal(key, b->step, (uint64_t)(i * d + e));
            const int64_t at = b->own[i] * d + e;
            b->z[i * d + e] =
                s->options.from == SAMPLE_PRIOR
                    ? (real)eps
                    : (real)((double)s->mu[at] + eps * exp(0.5 * (double)s->logvar[at]));
        }
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
        if (has(s, k, b->sources[q]) && (batch < 0 || batch_of(s, b->sources[q]) == batch))
            (*out)[(*n)++] = s->depth[k][b->sources[q]];
    for (int64_t i = 0, none = *n == 0; none && i < s->cells->n; i++)
        if (has(s, k, i) && (batch < 0 || batch_of(s, i) == batch))
            (*out)[(*n)++] = s->depth[k][i];
    for (int64_t i = 0, none = *n == 0; none && i < s->cells->n; i++)
        if (has(s, k, i)) (*out)[(*n)++] = s->depth[k][i];
    if (*n == 0)
        FAIL(SCW_EDATA, "modality '%s': no cell of the reference has counts of it",
             s->model->modality[k].name);
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
        score[i] = dot(b->mix + i * b->m, values, b->m) +
                   1e-9 * rng_normal(stream_key(s, STREAM_DEPTH), b->step,
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
        int64_t at = (int64_t)rng_below(stream_key(s, STREAM_DEPTH), b->step,
                                        (uint64_t)(k * BLOCK_CELLS + i), (uint64_t)n);
        out[i] = s->options.from == SAMPLE_POSTERIOR && has(s, k, b->own[i])
                     ? s->depth[k][b->own[i]]
                     : sorted[at];
        if (library == SAMPLE_LIBRARY_MEDIAN) out[i] = sorted[n / 2];
        if (library > 0.0 && s->model->modality[k].kind == MODALITY_RNA) out[i] = (real)library;
    }
done:
    mem_free(sorted);
    return st;
}

static scw_status draw_depths(real *out, const sampler *s, const block *b, int k)
{
    scw_status st = SCW_OK;

    for (int32_t batch = -1; batch < (int32_t)model_n_batches(s->model); batch++) {
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
    const rng_key key = stream_key(s, STREAM_FILL + k);

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
    const double gain = own_gain(b, present);
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
    const int64_t f = s->model->counts.head[k].n_vars, d = width(s);
    real *mean = NULL, *weight = NULL, *z = NULL, *input = NULL, *depth = NULL;
    int32_t batch[BLOCK_CELLS];
    double noise = s->options.from == SAMPLE_PRIOR ? 1.0 : sqrt(b->share);
    const rng_key key = stream_key(s, STREAM_NOISE + k);

    memset(out, 0, (size_t)(b->n * f) * sizeof *out);
    TRY(mem_new(&mean, f));
    if (s->options.from != SAMPLE_PRIOR) {
        TRY(mem_new(&weight, b->n * b->m));
        TRY(mem_new(&z, b->m * d));
        TRY(mem_new(&depth, b->m));
        for (int64_t q = 0; q < b->m; q++) {
            memcpy(z + q * d, s->mu + b->sources[q] * d, (size_t)d * sizeof *z);
            depth[q] = s->depth[k][b->sources[q]];
            batch[q] = batch_of(s, b->sources[q]);
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

/* --------------------------------------------------------------------------------- the rows */

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

static scw_status draw_counts(sampled *out, sampler *s, const block *b, int k)
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

/* Without a head: the reconstruction, kept within the range of the sources as the authors do. */
static scw_status draw_values(sampled *out, sampler *s, const block *b)
{
    scw_status st = SCW_OK;
    const scw_model *m = s->model;
    const nn_pass pass = {.t = s->tape, .p = &m->net.p};
    model_outputs outputs = {0};
    double low = -INFINITY, high = INFINITY;

    if (s->options.from != SAMPLE_PRIOR) cells_range(s->cells, b->sources, b->m, &low, &high);
    tape_reset(s->tape, TAPE_EVAL);
    matilda_decode(&m->net, &pass, op_input(s->tape, b->z, b->n, width(s), false), b->batch,
                   &outputs);
    TRY(tape_status(s->tape));
    for (int k = 0; k < m->n_modalities; k++) {
        if (s->depth[k]) continue;
        matrix *x = &out->x[k];
        float *to = x->values + out->n * x->n_cols;
        for (int64_t e = 0; e < b->n * x->n_cols; e++)
            to[e] = (float)fmin(high, fmax(low, (double)outputs.recon[k]->value[e]));
    }
done:
    return st;
}

static scw_status label_block(sampled *out, const sampler *s, const block *b)
{
    scw_status st = SCW_OK;
    const nn_pass pass = {.t = s->tape, .p = &s->model->net.p};

    for (int64_t i = 0; i < b->n; i++) {
        out->label[out->n + i] = b->class;
        out->batch[out->n + i] = b->batch[i];
        out->source[out->n + i] = s->options.from == SAMPLE_POSTERIOR ? b->own[i] : -1;
    }
    if (s->options.from != SAMPLE_PRIOR) goto done;
    tape_reset(s->tape, TAPE_EVAL);
    tensor *logits = nn_linear_apply(&pass, &s->model->net.classifier,
                                     op_input(s->tape, b->z, b->n, width(s), false));
    TRY(tape_status(s->tape));
    for (int64_t i = 0; i < b->n; i++) {
        int64_t best = 0, n = s->model->classes.n;
        for (int64_t c = 1; c < n; c++)
            if (logits->value[i * n + c] > logits->value[i * n + best]) best = c;
        out->label[out->n + i] = (int32_t)best;
    }
done:
    return st;
}

static scw_status draw_block(sampled *out, sampler *s, block *b)
{
    scw_status st = SCW_OK;
    bool all_heads = true;

    b->step = s->n_blocks++;
    TRY(mem_new(&b->z, b->n * width(s)));
    TRY(mem_new(&b->mix, b->n * b->m));
    if (s->options.from != SAMPLE_PRIOR)
        orthogonal_rows(b->mix, b->n, b->m, stream_key(s, STREAM_MIX), b->step);
    draw_latents(s, b);
    for (int k = 0; k < s->model->n_modalities; k++) {
        all_heads = all_heads && s->depth[k];
        if (s->depth[k]) TRY(draw_counts(out, s, b, k));
    }
    if (!all_heads) TRY(draw_values(out, s, b));
    TRY(label_block(out, s, b));
    out->n += b->n;
done:
    mem_free(b->z);
    mem_free(b->mix);
    b->z = NULL;
    b->mix = NULL;
    return st;
}

/* Room for n more rows. */
static scw_status reserve(sampled *out, const sampler *s, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t rows = out->n + n;

    TRY(mem_resize(&out->label, rows));
    TRY(mem_resize(&out->source, rows));
    TRY(mem_resize(&out->batch, rows));
    for (int k = 0; k < s->model->n_modalities; k++) {
        matrix *x = &out->x[k];
        if (!x->indptr && s->depth[k]) TRY(matrix_init_csr(x, 0, s->counts[k].n_cols, 0));
        x->n_cols = s->model->modality[k].features.n;
        if (s->depth[k]) {
            TRY(mem_resize(&x->indptr, rows + 1));
        } else {
            int64_t size = rows * x->n_cols;
            TRY(mem_resize(&x->values, size));
        }
        x->n_rows = rows;
    }
done:
    return st;
}

/* Real cells of class c (all for the prior) in random order. */
static scw_status list_sources(int64_t **out, int64_t *n, const sampler *s, int32_t c)
{
    scw_status st = SCW_OK;
    int64_t *members = NULL;
    const bool any = s->options.from == SAMPLE_PRIOR;

    *n = 0;
    TRY(mem_new(&members, s->cells->n));
    TRY(mem_new(out, s->cells->n));
    for (int64_t i = 0; i < s->cells->n; i++)
        if (any ? s->cells->labels[i] >= 0 : s->cells->labels[i] == c) members[(*n)++] = i;
    rng_permutation(*out, *n, stream_key(s, STREAM_ORDER), any ? 0 : (uint32_t)c);
    for (int64_t i = 0; i < *n; i++) (*out)[i] = members[(*out)[i]];
    if (*n == 0)
        FAIL(SCW_EDATA, "the reference has no cell of type '%s'",
             any ? "any" : s->model->classes.at[c]);
done:
    mem_free(members);
    return st;
}

scw_status sampler_draw(sampler *s, sampled *out, int32_t c, int64_t n, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int64_t *sources = NULL, n_sources, at = 0;
    block b = {.class = c};

    TRY(list_sources(&sources, &n_sources, s, c));
    TRY(reserve(out, s, n));
    /* Sources are dealt to blocks of equal size, so that n as many cells use each of them once. */
    int64_t blocks = (n_sources + BLOCK_CELLS - 1) / BLOCK_CELLS;
    b.m = (n_sources + blocks - 1) / blocks;
    b.share = s->options.from == SAMPLE_PRIOR ? 0.0
                                              : BORROWED / (BORROWED + (double)(n_sources - 1));
    for (int64_t drawn = 0; drawn < n; drawn += b.n) {
        TRY(log_check_cancel(hooks));
        b.n = n - drawn < b.m ? n - drawn : b.m;
        for (int64_t q = 0; q < b.m; q++) b.sources[q] = sources[(at + q) % n_sources];
        at += b.m;
        TRY(draw_block(out, s, &b));
    }
done:
    mem_free(sources);
    return st;
}

void sampled_clear(sampled *x)
{
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) matrix_clear(&x->x[k]);
    mem_free(x->label);
    mem_free(x->source);
    mem_free(x->batch);
    *x = (sampled){0};
}
