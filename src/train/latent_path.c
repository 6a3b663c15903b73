/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/latent_path.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"
#include "models/batch_columns.h"

#define GAIN 3.0            /* standard deviation of the strongest discriminant axis */
#define REST_GAIN 0.9       /* of the strongest axis of the rest */
#define MLP_GAIN 0.1        /* of the nonlinear part of mu at the start */
#define LOG_VARIANCE (-4.0) /* of the posterior at the start */
#define RIDGE 1e-3
#define BLOCK_ROWS 512

typedef struct axes {
    int64_t p, d;      /* inputs, latent width */
    int64_t r, n;      /* discriminant axes, all axes; the latent dimensions beyond stay empty */
    double *direction; /* [n, p], orthonormal rows */
    double *strength;  /* [r] singular values of the regression's weights */
    double *scale;     /* [n] */
} axes;

static void axes_clear(axes *a)
{
    mem_free(a->direction);
    mem_free(a->strength);
    mem_free(a->scale);
    *a = (axes){0};
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Eigenvectors of the symmetric s [p, p] (overwritten), largest first, into rows of out [k, p]; the
 * sign is fixed by the entry of largest size. */
static scw_status top_eigenvectors(double *out, double *values, double *s, int64_t p, int64_t k)
{
    scw_status st = SCW_OK;
    double *w = NULL;

    TRY(mem_new(&w, p));
    int before = dense_enter();
    lapack_int info =
        LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', (lapack_int)p, s, (lapack_int)p, w);
    dense_leave(before);
    if (info != 0)
        FAIL(SCW_ENUMERIC, "the latent axes cannot be found: no eigenvectors");
    for (int64_t a = 0; a < k; a++) {
        double largest = 0.0;
        for (int64_t j = 0; j < p; j++) {
            double v = s[j * p + p - 1 - a];
            if (fabs(v) > fabs(largest)) largest = v;
        }
        for (int64_t j = 0; j < p; j++)
            out[a * p + j] = (largest < 0.0 ? -1.0 : 1.0) * s[j * p + p - 1 - a];
        if (values) values[a] = fmax(0.0, w[p - 1 - a]);
    }
done:
    mem_free(w);
    return st;
}

/* Row space of the class-centred weights: eigenvectors of W^T W. */
static scw_status discriminant_axes(axes *a, const logistic *fit, int64_t n_classes)
{
    scw_status st = SCW_OK;
    const int64_t p = a->p;
    double *centred = NULL, *gram = NULL;

    TRY(mem_new(&centred, n_classes * p));
    TRY(mem_new(&gram, p * p));
    for (int64_t j = 0; j < p; j++) {
        double sum = 0.0;
        for (int64_t c = 0; c < n_classes; c++)
            sum += fit->weight[c * p + j];
        for (int64_t c = 0; c < n_classes; c++)
            centred[c * p + j] = fit->weight[c * p + j] - sum / (double)n_classes;
    }
    for (int64_t c = 0; c < n_classes; c++)
        for (int64_t i = 0; i < p; i++)
            for (int64_t j = 0; j < p; j++)
                gram[i * p + j] += centred[c * p + i] * centred[c * p + j];
    TRY(top_eigenvectors(a->direction, a->strength, gram, p, a->r));
    for (int64_t k = 0; k < a->r; k++)
        a->strength[k] = sqrt(a->strength[k]);
done:
    mem_free(centred);
    mem_free(gram);
    return st;
}

/* Covariance of the inputs [p, p], about the origin as the decoders see them. */
static scw_status second_moments(double **out, const inputs *x)
{
    scw_status st = SCW_OK;
    const int64_t p = x->p;

    TRY(mem_new(out, p * p));
    PARALLEL_FOR_IF(p > 32)
    for (int64_t a = 0; a < p; a++)
        for (int64_t i = 0; i < x->n; i++) {
            double v = (double)x->u[i * p + a] / (double)x->n;
            for (int64_t b = 0; b < p; b++)
                (*out)[a * p + b] += v * (double)x->u[i * p + b];
        }
done:
    return st;
}

/* s <- (I - Q^T Q) s (I - Q^T Q) for the first r rows of Q. */
static scw_status remove_axes(double *s, const double *q, int64_t r, int64_t p)
{
    scw_status st = SCW_OK;
    double *row = NULL;

    TRY(mem_new(&row, p));
    for (int64_t k = 0; k < r; k++) {
        const double *v = q + k * p;
        double quadratic = 0.0;
        for (int64_t i = 0; i < p; i++) {
            row[i] = 0.0;
            for (int64_t j = 0; j < p; j++)
                row[i] += s[i * p + j] * v[j];
        }
        for (int64_t i = 0; i < p; i++)
            quadratic += v[i] * row[i];
        for (int64_t i = 0; i < p; i++)
            for (int64_t j = 0; j < p; j++)
                s[i * p + j] += quadratic * v[i] * v[j] - v[i] * row[j] - row[i] * v[j];
    }
done:
    mem_free(row);
    return st;
}

/* Standard deviation of the cells along each axis. */
static void deviations(double *out, const axes *a, const inputs *x)
{
    PARALLEL_FOR
    for (int64_t k = 0; k < a->n; k++) {
        double sum = 0.0, squares = 0.0;
        for (int64_t i = 0; i < x->n; i++) {
            double v = 0.0;
            for (int64_t j = 0; j < a->p; j++)
                v += (double)x->u[i * a->p + j] * a->direction[k * a->p + j];
            sum += v;
            squares += v * v;
        }
        double mean = sum / (double)x->n;
        out[k] = sqrt(fmax(0.0, squares / (double)x->n - mean * mean)) + 1e-9;
    }
}

/* Discriminant axes in proportion to their strength in the regression, the rest at one scale. */
static scw_status set_scales(axes *a, const inputs *x)
{
    scw_status st = SCW_OK;
    double *sd = NULL, most = 1e-12, rest = 1e-12;

    TRY(mem_new(&sd, a->n));
    deviations(sd, a, x);
    for (int64_t k = 0; k < a->r; k++)
        most = fmax(most, a->strength[k] * sd[k]);
    for (int64_t k = a->r; k < a->n; k++)
        rest = fmax(rest, sd[k]);
    for (int64_t k = 0; k < a->n; k++)
        a->scale[k] = k < a->r ? GAIN * fmax(a->strength[k], 1e-6 * most) / most : REST_GAIN / rest;
done:
    mem_free(sd);
    return st;
}

static scw_status find_axes(axes *a, const matilda_model *m, const inputs *x, const logistic *fit)
{
    scw_status st = SCW_OK;
    double *moments = NULL;

    *a = (axes){.p = x->p, .d = m->options.z_dim};
    a->n = smaller(a->d, a->p);
    a->r = smaller(m->base.classes.n - 1, a->n);
    TRY(mem_new(&a->direction, a->n * a->p));
    TRY(mem_new(&a->strength, a->n));
    TRY(mem_new(&a->scale, a->n));
    TRY(discriminant_axes(a, fit, m->base.classes.n));
    TRY(second_moments(&moments, x));
    TRY(remove_axes(moments, a->direction, a->r, a->p));
    TRY(top_eigenvectors(a->direction + a->r * a->p, NULL, moments, a->p, a->n - a->r));
    TRY(set_scales(a, x));
done:
    mem_free(moments);
    return st;
}

/* A_m = G B T, restricted to modality m's columns. */
static void store_path(matilda_model *m, const axes *a, const inputs *x, const double *t)
{
    for (int k = 0; k < m->base.n_modalities; k++) {
        if (x->from[k] < 0) continue;
        int64_t width = m->net.config.modality[k].n_components;
        real *path = params_value(&m->net.p, m->net.latent_path[k]); /* [d, width] */
        for (int64_t z = 0; z < a->n; z++)
            for (int64_t j = 0; j < width; j++) {
                double sum = 0.0;
                for (int64_t q = 0; q < a->p; q++)
                    sum += a->direction[z * a->p + q] * t[q * a->p + x->from[k] + j];
                path[z * width + j] = (real)(a->scale[z] * sum);
            }
    }
}

/* The classifier on mu repeats the regression: C = W B^T G^-1 on the discriminant axes. */
static void store_classifier(matilda_model *m, const axes *a, const logistic *fit)
{
    real *weight = params_value(&m->net.p, m->net.classifier.weight); /* [C, d] */
    real *bias = params_value(&m->net.p, m->net.classifier.bias);
    const real *shortcut_bias = params_value(&m->net.p, m->net.shortcut_bias);

    memset(weight, 0, (size_t)(m->base.classes.n * a->d) * sizeof *weight);
    for (int64_t c = 0; c < m->base.classes.n; c++) {
        bias[c] = shortcut_bias[c];
        for (int64_t z = 0; z < a->r; z++) {
            double sum = 0.0;
            for (int64_t q = 0; q < a->p; q++)
                sum += fit->weight[c * a->p + q] * a->direction[z * a->p + q];
            weight[c * a->d + z] = (real)(sum / a->scale[z]);
        }
    }
}

/* The nonlinear part starts small, the posterior narrow. */
static void soften(matilda_model *m)
{
    const matilda_net *net = &m->net;
    real *gamma = params_value(&net->p, net->mu.gamma);
    real *gamma_logvar = params_value(&net->p, net->logvar.gamma);
    real *beta_logvar = params_value(&net->p, net->logvar.beta);

    for (int64_t z = 0; z < net->config.z_dim; z++) {
        gamma[z] = (real)MLP_GAIN;
        gamma_logvar[z] = 0;
        beta_logvar[z] = (real)LOG_VARIANCE;
    }
}

/* --------------------------------------------------------------------------------- decoders */

/* What the decoders read of cells under the linear path alone: z, and the batch's columns where there
 * are any, [n, width]. */
static scw_status path_latent(real **out, const axes *a, int64_t width, const inputs *x,
                              const cells *c, const int64_t *rows)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, x->n * width));
    for (int64_t i = 0; i < x->n && width > a->d; i++)
        batch_columns(*out + i * width + a->d, width, c->known_batch + rows[i], 1, width - a->d);
    PARALLEL_FOR
    for (int64_t i = 0; i < x->n; i++)
        for (int64_t z = 0; z < a->n; z++) {
            double sum = 0.0;
            for (int64_t q = 0; q < a->p; q++)
                sum += (double)x->u[i * a->p + q] * a->direction[z * a->p + q];
            (*out)[i * width + z] = (real)(a->scale[z] * sum);
        }
done:
    return st;
}

/* Inverse of Z^T Z + ridge n I, [d, d]. */
static scw_status inverse_gram(double **out, const real *z, int64_t n, int64_t d)
{
    scw_status st = SCW_OK;
    double *g = NULL;

    TRY(mem_new(out, d * d));
    TRY(mem_new(&g, d * d));
    PARALLEL_FOR_IF(d > 16)
    for (int64_t a = 0; a < d; a++) {
        for (int64_t i = 0; i < n; i++)
            for (int64_t b = 0; b < d; b++)
                g[a * d + b] += (double)z[i * d + a] * (double)z[i * d + b];
        g[a * d + a] += RIDGE * (double)n;
        (*out)[a * d + a] = 1.0;
    }
    int before = dense_enter();
    lapack_int info = LAPACKE_dposv(LAPACK_ROW_MAJOR, 'U', (lapack_int)d, (lapack_int)d, g,
                                    (lapack_int)d, *out, (lapack_int)d);
    dense_leave(before);
    if (info != 0)
        FAIL(SCW_ENUMERIC, "the decoders cannot be started: singular latent space");
done:
    mem_free(g);
    return st;
}

/* D_m = X_m^T Z (Z^T Z + ridge)^-1, Z [n, d] what the decoders read, in blocks of cells so that X is never dense. */
static scw_status start_decoder(matilda_model *m, int k, const real *z, int64_t d,
                                const double *inverse, const cells *c, const int64_t *rows,
                                int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t f = m->net.config.modality[k].n_vars;
    real *product = NULL;
    real *weight = params_value(&m->net.p, m->net.linear_decoder[k].weight); /* [F, d] */
    real *bias = params_value(&m->net.p, m->net.linear_decoder[k].bias);
    tape *t = NULL;
    model_batch batch;

    TRY(tape_new(&t));
    TRY(mem_new(&product, f * d));
    for (int64_t at = 0; at < n; at += BLOCK_ROWS) {
        tape_reset(t, TAPE_EVAL);
        cells_gather(t, c, rows + at, smaller(BLOCK_ROWS, n - at), &batch);
        TRY(tape_status(t));
        kernel_affine_backward(&batch.x[k], NULL, NULL, d, z + at * d, NULL, product, NULL);
    }
    PARALLEL_FOR
    for (int64_t j = 0; j < f; j++)
        for (int64_t b = 0; b < d; b++) {
            double sum = 0.0;
            for (int64_t q = 0; q < d; q++)
                sum += (double)product[j * d + q] * inverse[q * d + b];
            weight[j * d + b] = (real)sum;
        }
    memset(bias, 0, (size_t)f * sizeof *bias);
done:
    tape_free(t);
    mem_free(product);
    return st;
}

scw_status latent_path_set(matilda_model *m, const inputs *x, const double *t, const logistic *fit,
                           const cells *c, const int64_t *rows)
{
    scw_status st = SCW_OK;
    axes a = {0};
    real *z = NULL;
    double *inverse = NULL;
    const int64_t width = m->options.z_dim + m->net.config.n_batches;

    TRY(find_axes(&a, m, x, fit));
    store_path(m, &a, x, t);
    store_classifier(m, &a, fit);
    soften(m);
    if (!m->options.linear_decoder) goto done;
    TRY(path_latent(&z, &a, width, x, c, rows));
    TRY(inverse_gram(&inverse, z, x->n, width));
    for (int k = 0; k < m->base.n_modalities; k++)
        TRY(start_decoder(m, k, z, width, inverse, c, rows, x->n));
done:
    axes_clear(&a);
    mem_free(z);
    mem_free(inverse);
    return st;
}
