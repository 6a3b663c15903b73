/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/align.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "train/inputs.h"

#define ROUNDS 5
#define PRIOR_CELLS 10.0 /* that speak for no shift */
#define LEAST_KNOWN 0.5  /* of a cell's probability must be on classes with a mean */

/* ----------------------------------------------------------------------------------- learn */

static scw_status learn_modality(matilda_model *m, int k, const inputs *x, const cells *c,
                                 const int64_t *rows)
{
    scw_status st = SCW_OK;
    const int64_t width = m->net.config.modality[k].n_components, n_classes = m->base.classes.n;
    real *to = params_value(&m->means.p, m->means.mean[k]);
    double *sum = NULL, *count = NULL;

    TRY(mem_new(&sum, n_classes * width));
    TRY(mem_new(&count, n_classes));
    for (int64_t i = 0; i < x->n; i++) {
        if ((cells_mask(c, rows[i]) >> k & 1u) == 0) continue;
        count[x->labels[i]]++;
        for (int64_t j = 0; j < width; j++)
            sum[x->labels[i] * width + j] += (double)x->u[i * x->p + x->from[k] + j];
    }
    for (int64_t q = 0; q < n_classes; q++)
        for (int64_t j = 0; j < width; j++)
            to[q * width + j] = (real)(count[q] > 0.0 ? sum[q * width + j] / count[q] : NAN);
done:
    mem_free(sum);
    mem_free(count);
    return st;
}

scw_status align_learn(matilda_model *m, const cells *c, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    inputs x = {0};

    class_means_clear(&m->means);
    TRY(class_means_init(&m->means, &m->net.config));
    if (m->means.n == 0) goto done;
    TRY(inputs_gather(&x, m, c, rows, n));
    for (int k = 0; k < m->base.n_modalities; k++)
        if (m->means.mean[k] >= 0) TRY(learn_modality(m, k, &x, c, rows));
done:
    inputs_clear(&x);
    return st;
}

/* ------------------------------------------------------------------------------------ query */

/* residual [width] = u - the mean expected of a cell with class probabilities p; false: too much of
 * p is on classes without a mean. */
static bool residual(double *out, const float *u, const real *means, const float *p,
                     int64_t n_classes, int64_t width)
{
    double known = 0.0;

    for (int64_t q = 0; q < n_classes; q++)
        if (!isnan(means[q * width])) known += (double)p[q];
    if (known < LEAST_KNOWN) return false;
    for (int64_t j = 0; j < width; j++) out[j] = (double)u[j];
    for (int64_t q = 0; q < n_classes; q++) {
        if (isnan(means[q * width])) continue;
        const double share = (double)p[q] / known;
        for (int64_t j = 0; j < width; j++) out[j] -= share * (double)means[q * width + j];
    }
    return true;
}

/* The shifts of modality k, from what the model says of the cells as they stand. */
static scw_status set_shift(cells *c, const matilda_model *m, int k, const inputs *x,
                            const float *probabilities, int64_t n_batches)
{
    scw_status st = SCW_OK;
    const int64_t width = m->net.config.modality[k].n_components, n_classes = m->base.classes.n;
    const real *means = params_value(&m->means.p, m->means.mean[k]);
    double *sum = NULL, *count = NULL, *r = NULL;

    TRY(mem_new(&sum, n_batches * width));
    TRY(mem_new(&count, n_batches));
    TRY(mem_new(&r, width));
    for (int64_t i = 0; i < x->n; i++) {
        if ((cells_mask(c, i) >> k & 1u) == 0) continue;
        if (!residual(r, x->u + i * x->p + x->from[k], means, probabilities + i * n_classes,
                      n_classes, width))
            continue;
        count[c->batch[i]]++;
        for (int64_t j = 0; j < width; j++) sum[c->batch[i] * width + j] += r[j];
    }
    for (int64_t b = 0; b < n_batches; b++)
        for (int64_t j = 0; j < width; j++)
            c->shift[k][b * width + j] =
                (float)(sum[b * width + j] / (count[b] + PRIOR_CELLS));
done:
    mem_free(sum);
    mem_free(count);
    mem_free(r);
    return st;
}

static scw_status probabilities_of(float *out, const matilda_model *m, const cells *c)
{
    scw_status st = SCW_OK;

    TRY(matilda_infer(m, &m->net.p, c, NULL, c->n, out, NULL));
    for (int64_t i = 0; i < c->n; i++)
        calibration_softmax(out + i * m->base.classes.n, 1, m->base.classes.n,
                            matilda_calibration(m, matilda_path_of(m, c, i))->temperature);
done:
    return st;
}

scw_status align_query(cells *c, const matilda_model *m, const int32_t *batch, int64_t n_batches,
                       const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    inputs x = {0};
    float *p = NULL;
    int64_t *rows = NULL;

    if (m->means.n == 0)
        FAIL(SCW_EUNSUPPORTED, "this model cannot line up a query: it has no class means (fitted by an "
                         "earlier version, or without components)");
    TRY(mem_new(&c->batch, c->n));
    memcpy(c->batch, batch, (size_t)c->n * sizeof *batch);
    TRY(mem_new(&rows, c->n));
    for (int64_t i = 0; i < c->n; i++) rows[i] = i;
    TRY(inputs_gather(&x, m, c, rows, c->n));
    TRY(mem_new(&p, c->n * m->base.classes.n));
    for (int k = 0; k < m->base.n_modalities; k++)
        if (m->means.mean[k] >= 0)
            TRY(mem_new(&c->shift[k], n_batches * m->net.config.modality[k].n_components));
    for (int round = 0; round < ROUNDS; round++) {
        TRY(log_check_cancel(hooks));
        TRY(probabilities_of(p, m, c));
        for (int k = 0; k < m->base.n_modalities; k++)
            if (m->means.mean[k] >= 0) TRY(set_shift(c, m, k, &x, p, n_batches));
    }
done:
    inputs_clear(&x);
    mem_free(p);
    mem_free(rows);
    return st;
}
