/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/sampler_block.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"

#define POOL_CELLS 64      /* cells of other types whose deviations are borrowed */

rng_key sampler_key(const sampler *s, int stream)
{
    return rng_make_key(s->options.seed, RNG_SIMULATE, (uint32_t)stream);
}

int64_t sampler_width(const sampler *s)
{
    return s->model->options.z_dim;
}

int32_t sampler_batch_of(const sampler *s, int64_t i)
{
    return s->cells->known_batch ? s->cells->known_batch[i] : -1;
}

double block_gain(const block *b, int64_t m)
{
    return m > 1 ? sqrt((1.0 - b->share) * (double)m / (double)(m - 1)) : 0.0;
}

double block_dot(const double *weight, const double *values, int64_t n)
{
    double sum = 0.0;
    for (int64_t q = 0; q < n; q++) sum += weight[q] * values[q];
    return sum;
}

/* ------------------------------------------------------------------------------- real cells */

static scw_status posterior_block(sampler *s, int64_t first, int64_t n)
{
    scw_status st = SCW_OK;
    const size_t bytes = (size_t)(n * sampler_width(s)) * sizeof(real);
    int64_t rows[BLOCK_CELLS];
    model_batch batch;
    model_outputs out;

    for (int64_t i = 0; i < n; i++) rows[i] = first + i;
    tape_reset(s->tape, TAPE_EVAL);
    cells_gather(s->tape, s->cells, rows, n, &batch);
    const nn_pass pass = {.t = s->tape, .p = &s->model->net.p};
    matilda_forward(&s->model->net, &pass, &batch, false, &out);
    TRY(tape_status(s->tape));
    memcpy(s->mu + first * sampler_width(s), out.mu->value, bytes);
    memcpy(s->logvar + first * sampler_width(s), out.logvar->value, bytes);
done:
    return st;
}

static void find_class_means(sampler *s)
{
    const int64_t d = sampler_width(s);

    for (int64_t i = 0; i < s->cells->n; i++) {
        int32_t c = s->cells->labels[i];
        if (c < 0) continue;
        s->class_size[c]++;
        for (int64_t q = 0; q < d; q++) s->class_mean[c * d + q] += s->mu[i * d + q];
    }
    for (int64_t c = 0; c < s->model->base.classes.n; c++)
        for (int64_t q = 0; q < d && s->class_size[c] > 0; q++)
            s->class_mean[c * d + q] /= (real)s->class_size[c];
}

scw_status sampler_init(sampler *s, const matilda_model *m, const cells *c, const matrix *counts,
                        const sampler_options *options)
{
    scw_status st = SCW_OK;

    *s = (sampler){.model = m, .cells = c, .counts = counts, .options = *options};
    TRY(tape_new(&s->tape));
    TRY(mem_new(&s->mu, c->n * sampler_width(s)));
    TRY(mem_new(&s->logvar, c->n * sampler_width(s)));
    TRY(mem_new(&s->class_mean, m->base.classes.n * sampler_width(s)));
    TRY(mem_new(&s->class_size, m->base.classes.n));
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

/* --------------------------------------------------------------------------------- latents */

/* Cells of all types of at least two, for their deviations from the mean of their type. */
static int64_t draw_pool(const sampler *s, const block *b, int64_t *pool)
{
    int64_t n = 0;
    rng_key key = sampler_key(s, STREAM_POOL);

    for (uint64_t tries = 0; tries < 20 * POOL_CELLS && n < POOL_CELLS; tries++) {
        int64_t i = (int64_t)rng_below(key, b->step, tries, (uint64_t)s->cells->n);
        int32_t c = s->cells->labels[i];
        if (c >= 0 && s->class_size[c] > 1) pool[n++] = i;
    }
    return n;
}

static void add_borrowed(const sampler *s, block *b)
{
    const int64_t d = sampler_width(s);
    int64_t pool[POOL_CELLS], n = draw_pool(s, b, pool);
    rng_key key = sampler_key(s, STREAM_POOL);

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
    const int64_t d = sampler_width(s);
    double values[BLOCK_CELLS];

    for (int64_t e = 0; e < d; e++) {
        double mean = 0.0;
        for (int64_t q = 0; q < b->m; q++) mean += (double)s->mu[b->sources[q] * d + e];
        mean /= (double)b->m;
        for (int64_t q = 0; q < b->m; q++)
            values[q] = block_gain(b, b->m) * ((double)s->mu[b->sources[q] * d + e] - mean);
        for (int64_t i = 0; i < b->n; i++)
            b->z[i * d + e] = (real)(mean + block_dot(b->mix + i * b->m, values, b->m));
    }
    add_borrowed(s, b);
}

static void draw_latents(const sampler *s, block *b)
{
    const int64_t d = sampler_width(s);
    rng_key key = sampler_key(s, STREAM_LATENT);

    for (int64_t i = 0; i < b->n; i++) {
        b->own[i] = b->sources[i % b->m];
        b->batch[i] = s->options.batch == SAMPLE_BATCH_OBSERVED ? sampler_batch_of(s, b->own[i])
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

/* Without a head: the reconstruction, kept within the range of the sources as the authors do. */
static scw_status draw_values(sampled *out, sampler *s, const block *b)
{
    scw_status st = SCW_OK;
    const matilda_model *m = s->model;
    const nn_pass pass = {.t = s->tape, .p = &m->net.p};
    model_outputs outputs = {0};
    double low = -INFINITY, high = INFINITY;

    if (s->options.from != SAMPLE_PRIOR) TRY(cells_range(s->cells, b->sources, b->m, &low, &high));
    tape_reset(s->tape, TAPE_EVAL);
    matilda_decode(&m->net, &pass, op_input(s->tape, b->z, b->n, sampler_width(s), false), b->batch,
                   &outputs);
    TRY(tape_status(s->tape));
    for (int k = 0; k < m->base.n_modalities; k++) {
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
                                     op_input(s->tape, b->z, b->n, sampler_width(s), false));
    TRY(tape_status(s->tape));
    for (int64_t i = 0; i < b->n; i++) {
        int64_t best = 0, n = s->model->base.classes.n;
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
    TRY(mem_new(&b->z, b->n * sampler_width(s)));
    TRY(mem_new(&b->mix, b->n * b->m));
    if (s->options.from != SAMPLE_PRIOR)
        orthogonal_rows(b->mix, b->n, b->m, sampler_key(s, STREAM_MIX), b->step);
    draw_latents(s, b);
    for (int k = 0; k < s->model->base.n_modalities; k++) {
        all_heads = all_heads && s->depth[k];
        if (s->depth[k]) TRY(block_draw_counts(out, s, b, k));
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
    for (int k = 0; k < s->model->base.n_modalities; k++) {
        matrix *x = &out->x[k];
        if (!x->indptr && s->depth[k]) TRY(matrix_init_csr(x, 0, s->counts[k].n_cols, 0));
        x->n_cols = s->model->base.modality[k].features.n;
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
    rng_permutation(*out, *n, sampler_key(s, STREAM_ORDER), any ? 0 : (uint32_t)c);
    for (int64_t i = 0; i < *n; i++) (*out)[i] = members[(*out)[i]];
    if (*n == 0)
        FAIL(SCW_EDATA, "the reference has no cell of type '%s'",
             any ? "any" : s->model->base.classes.at[c]);
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
