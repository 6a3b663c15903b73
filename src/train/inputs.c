/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/inputs.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "prep/symmetric.h"

#define BLOCK_ROWS 1024

void inputs_clear(inputs *x)
{
    mem_free(x->u);
    mem_free((void *)(uintptr_t)x->labels);
    mem_free(x->weight);
    mem_free(x->batch);
    *x = (inputs){0};
}

static void project_block(const matilda_model *m, const model_batch *batch, float *scratch,
                          inputs *x, int64_t row)
{
    for (int k = 0; k < m->base.n_modalities; k++) {
        if (x->from[k] < 0) continue;
        int64_t width = m->net.config.modality[k].n_components;
        kernel_affine_forward(&batch->x[k], NULL, params_value(&m->net.p, m->net.projection[k]),
                              width, scratch);
        for (int64_t i = 0; i < batch->n; i++)
            memcpy(x->u + (row + i) * x->p + x->from[k], scratch + i * width,
                   (size_t)width * sizeof(float));
    }
}

scw_status inputs_gather(inputs *x, const matilda_model *m, const cells *c, const int64_t *rows,
                         int64_t n)
{
    scw_status st = SCW_OK;
    tape *t = NULL;
    float *scratch = NULL;
    int32_t *labels = NULL;
    model_batch batch;

    *x = (inputs){.n = n};
    for (int k = 0; k < m->base.n_modalities; k++) {
        x->from[k] = m->net.projection[k] >= 0 ? x->p : -1;
        x->width[k] = m->net.config.modality[k].n_components;
        x->p += x->width[k];
    }
    TRY(tape_new(&t));
    TRY(mem_new(&x->u, n * x->p));
    TRY(mem_new(&scratch, BLOCK_ROWS * x->p));
    TRY(mem_new(&labels, n));
    for (int64_t i = 0; i < n; i++)
        labels[i] = c->labels ? c->labels[rows[i]] : -1;
    x->labels = labels;
    if (c->weight) {
        TRY(mem_new(&x->weight, n));
        for (int64_t i = 0; i < n; i++)
            x->weight[i] = c->weight[rows[i]];
    }
    if (c->known_batch && model_n_batches(&m->base) > 0) {
        TRY(mem_new(&x->batch, n));
        for (int64_t i = 0; i < n; i++) x->batch[i] = c->known_batch[rows[i]];
    }
    for (int64_t row = 0; row < n; row += BLOCK_ROWS) {
        int64_t size = n - row < BLOCK_ROWS ? n - row : BLOCK_ROWS;
        tape_reset(t, TAPE_EVAL);
        cells_gather(t, c, rows + row, size, &batch);
        TRY(tape_status(t));
        project_block(m, &batch, scratch, x, row);
    }
done:
    tape_free(t);
    mem_free(scratch);
    return st;
}

/* Class means [C, p] of u. */
static scw_status means_by_class(double **out, const inputs *x, int64_t n_classes)
{
    scw_status st = SCW_OK;
    int64_t *count = NULL;

    TRY(mem_new(out, n_classes * x->p));
    TRY(mem_new(&count, n_classes));
    for (int64_t i = 0; i < x->n; i++) {
        double *mean = *out + x->labels[i] * x->p;
        count[x->labels[i]]++;
        for (int64_t j = 0; j < x->p; j++)
            mean[j] += (double)x->u[i * x->p + j];
    }
    for (int64_t k = 0; k < n_classes; k++)
        for (int64_t j = 0; j < x->p && count[k] > 0; j++)
            (*out)[k * x->p + j] /= (double)count[k];
done:
    mem_free(count);
    return st;
}

/* Covariance of u within classes, [p, p], divided by n. */
static scw_status within_covariance(double **out, const inputs *x, int64_t n_classes)
{
    scw_status st = SCW_OK;
    double *means = NULL, *centred = NULL;
    const int64_t p = x->p;

    TRY(means_by_class(&means, x, n_classes));
    TRY(mem_new(out, p * p));
    TRY(mem_new(&centred, x->n * p));
    for (int64_t i = 0; i < x->n; i++)
        for (int64_t j = 0; j < p; j++)
            centred[i * p + j] = (double)x->u[i * p + j] - means[x->labels[i] * p + j];
    PARALLEL_FOR_IF(p > 32)
    for (int64_t a = 0; a < p; a++) {
        double *row = *out + a * p;
        for (int64_t i = 0; i < x->n; i++) {
            double v = centred[i * p + a];
            for (int64_t b = 0; b <= a; b++)
                row[b] += v * centred[i * p + b];
        }
    }
    for (int64_t a = 0; a < p; a++)
        for (int64_t b = 0; b <= a; b++)
            (*out)[b * p + a] = (*out)[a * p + b] = (*out)[a * p + b] / (double)x->n;
done:
    mem_free(means);
    mem_free(centred);
    return st;
}

static double total_variance(const float *u, int64_t n, int64_t p)
{
    double total = 0.0;

    for (int64_t j = 0; j < p; j++) {
        double sum = 0.0, squares = 0.0;
        for (int64_t i = 0; i < n; i++) {
            sum += (double)u[i * p + j];
            squares += (double)u[i * p + j] * (double)u[i * p + j];
        }
        total += squares - sum * sum / (double)n;
    }
    return total / (double)n;
}

void inputs_multiply(float *out, const float *u, const double *t, int64_t n, int64_t p)
{
    PARALLEL_FOR
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a < p; a++) {
            double sum = 0.0;
            for (int64_t b = 0; b < p; b++)
                sum += (double)u[i * p + b] * t[a * p + b];
            out[i * p + a] = (float)sum;
        }
}

scw_status inputs_whiten(double **t, inputs *x, int64_t n_classes, double power, double shrink)
{
    scw_status st = SCW_OK;
    float *turned = NULL;
    double trace = 0.0;
    const int64_t p = x->p;

    TRY(within_covariance(t, x, n_classes));
    for (int64_t a = 0; a < p; a++)
        trace += (*t)[a * p + a];
    for (int64_t e = 0; e < p * p; e++)
        (*t)[e] *= 1.0 - shrink;
    for (int64_t a = 0; a < p; a++)
        (*t)[a * p + a] += trace > 0.0 ? shrink * trace / (double)p : 1.0;
    TRY(symmetric_power(*t, p, -power));
    TRY(mem_new(&turned, x->n * p));
    inputs_multiply(turned, x->u, *t, x->n, p);
    double before = total_variance(x->u, x->n, p), after = total_variance(turned, x->n, p);
    double scale = after > 0.0 ? sqrt(before / after) : 1.0;
    for (int64_t e = 0; e < p * p; e++)
        (*t)[e] *= scale;
    for (int64_t e = 0; e < x->n * p; e++)
        turned[e] = (float)((double)turned[e] * scale);
    mem_free(x->u);
    x->u = turned;
    turned = NULL;
done:
    mem_free(turned);
    return st;
}
