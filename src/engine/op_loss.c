/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops whose result is one number: sums and losses. g below is the gradient of that number. */
#include <math.h>
#include <stdio.h>

#include "engine/ops.h"

/* ------------------------------------------------------------- sum, mean */

static void sum_forward(tape *t, op_record *r)
{
    (void)t;
    r->out->value[0] = (real)kernel_sum(r->in[0]->size, r->in[0]->value);
}

static void add_constant(tensor *x, real constant)
{
    for (int64_t e = 0; e < x->size && x->grad; e++) x->grad[e] += constant;
}

static void sum_backward(tape *t, op_record *r)
{
    (void)t;
    add_constant(r->in[0], r->out->grad[0]);
}

static tensor *sum_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    *n_wrt = 1;
    return op_sum(t, wrt[0]);
}

const op_spec spec_sum = {"sum", 1, op_shape_scalar, sum_forward, sum_backward, sum_sample, false, 0};

tensor *op_sum(tape *t, tensor *x)
{
    return tape_apply(t, &spec_sum, &x, 1, NULL);
}

static bool mean_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    if (r->in[0]->size > 0) return op_shape_scalar(r, out, why, size);
    (void)snprintf(why, size, "the mean of nothing does not exist");
    return false;
}

static void mean_forward(tape *t, op_record *r)
{
    int64_t n = r->in[0]->size;

    (void)t;
    r->out->value[0] = (real)(kernel_sum(n, r->in[0]->value) / (double)n);
}

static void mean_backward(tape *t, op_record *r)
{
    (void)t;
    add_constant(r->in[0], r->out->grad[0] / (real)r->in[0]->size);
}

static tensor *mean_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *s = sum_sample(t, variant, wrt, n_wrt);
    return s ? op_mean(t, wrt[0]) : NULL;
}

const op_spec spec_mean = {"mean", 1, mean_shape, mean_forward, mean_backward, mean_sample, false, 0};

tensor *op_mean(tape *t, tensor *x)
{
    return tape_apply(t, &spec_mean, &x, 1, NULL);
}

/* ------------------------------------------------------------- sum_squares */

static void sum_squares_forward(tape *t, op_record *r)
{
    (void)t;
    r->out->value[0] = (real)kernel_sum_squares(r->in[0]->size, r->in[0]->value);
}

static void sum_squares_backward(tape *t, op_record *r)
{
    tensor *x = r->in[0];

    (void)t;
    if (x->grad) kernel_accumulate(x->size, 2 * r->out->grad[0], x->value, x->grad);
}

static tensor *sum_squares_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *s = sum_sample(t, variant, wrt, n_wrt);
    return s ? op_sum_squares(t, wrt[0]) : NULL;
}

const op_spec spec_sum_squares = {"sum_squares", 1, op_shape_scalar, sum_squares_forward,
                                    sum_squares_backward, sum_squares_sample, false, 0};

tensor *op_sum_squares(tape *t, tensor *x)
{
    return tape_apply(t, &spec_sum_squares, &x, 1, NULL);
}

/* ------------------------------------------------------------- gaussian_kl
 * mean of -1/2 (1 + logvar - mu^2 - exp(logvar)) */

static bool gaussian_kl_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    tensor same = *out;

    if (!op_shape_same(r, &same, why, size)) return false;
    return mean_shape(r, out, why, size);
}

/* `saved` is exp(logvar). */
static void gaussian_kl_forward(tape *t, op_record *r)
{
    const real *mu = r->in[0]->value, *logvar = r->in[1]->value;
    int64_t n = r->in[0]->size;
    real *var = op_memory(t, n);
    double total = 0.0;

    if (!var) return;
    r->saved = var;
    kernel_exp(n, logvar, var);
    for (int64_t e = 0; e < n; e++)
        total += 1.0 + (double)logvar[e] - (double)mu[e] * (double)mu[e] - (double)var[e];
    r->out->value[0] = (real)(-0.5 * total / (double)n);
}

static void gaussian_kl_backward(tape *t, op_record *r)
{
    const real *var = r->saved;
    real *d_logvar = r->in[1]->grad;
    int64_t n = r->in[0]->size;
    real g = r->out->grad[0] / (real)n;

    (void)t;
    if (r->in[0]->grad) kernel_accumulate(n, g, r->in[0]->value, r->in[0]->grad);
    for (int64_t e = 0; e < n && d_logvar; e++) d_logvar[e] += g * (real)0.5 * (var[e] - 1);
}

static tensor *gaussian_kl_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *s = sum_sample(t, variant, wrt, n_wrt);

    if (!s) return NULL;
    wrt[1] = sample_input(t, wrt[0]->dim[0], wrt[0]->dim[1], 2);
    *n_wrt = 2;
    return op_gaussian_kl(t, wrt[0], wrt[1]);
}

const op_spec spec_gaussian_kl = {"gaussian_kl", 2, gaussian_kl_shape, gaussian_kl_forward,
                                    gaussian_kl_backward, gaussian_kl_sample, false, 0};

tensor *op_gaussian_kl(tape *t, tensor *mu, tensor *logvar)
{
    return tape_apply(t, &spec_gaussian_kl, (tensor *[]){mu, logvar}, 2, NULL);
}

/* ------------------------------------------------------------- normal_kl
 * mean of 1/2 (mu^2 + std^2 - 1) - log std */

static void normal_kl_forward(tape *t, op_record *r)
{
    const real *mu = r->in[0]->value, *std = r->in[1]->value;
    const int64_t n = r->in[0]->size;
    double total = 0.0;

    (void)t;
    for (int64_t e = 0; e < n; e++) {
        const double m = (double)mu[e], s = (double)std[e];
        total += 0.5 * (m * m + s * s - 1.0) - log(s);
    }
    r->out->value[0] = (real)(total / (double)n);
}

static void normal_kl_backward(tape *t, op_record *r)
{
    const real *mu = r->in[0]->value, *std = r->in[1]->value;
    const int64_t n = r->in[0]->size;
    const real g = r->out->grad[0] / (real)n;

    (void)t;
    if (r->in[0]->grad) kernel_accumulate(n, g, mu, r->in[0]->grad);
    for (int64_t e = 0; e < n && r->in[1]->grad; e++)
        r->in[1]->grad[e] += g * (std[e] - 1 / std[e]);
}

static tensor *normal_kl_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, rows, cols, 2);
    *n_wrt = 2;
    for (int64_t e = 0; wrt[1] && e < wrt[1]->size; e++)
        wrt[1]->value[e] = real_fabs(wrt[1]->value[e]);
    return op_normal_kl(t, wrt[0], wrt[1]);
}

const op_spec spec_normal_kl = {"normal_kl", 2, gaussian_kl_shape, normal_kl_forward,
                                normal_kl_backward, normal_kl_sample, false, 0};

tensor *op_normal_kl(tape *t, tensor *mu, tensor *std)
{
    return tape_apply(t, &spec_normal_kl, (tensor *[]){mu, std}, 2, NULL);
}

/* ------------------------------------------------------------- affine_squared_error */

static bool squared_error_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const affine_sparse *x = r->attr.x;
    const tensor *p = r->in[0];

    if (x && p->n_dims == 2 && p->dim[0] == x->n_rows && p->dim[1] == x->n_cols)
        return op_shape_scalar(r, out, why, size);
    (void)snprintf(why, size, "p does not have the shape of x [%lld, %lld]",
                   x ? (long long)x->n_rows : 0LL, x ? (long long)x->n_cols : 0LL);
    return false;
}

static void squared_error_forward(tape *t, op_record *r)
{
    (void)t;
    r->out->value[0] = (real)kernel_affine_squared_error(r->attr.x, r->in[0]->value);
}

static void squared_error_backward(tape *t, op_record *r)
{
    (void)t;
    if (r->in[0]->grad)
        kernel_affine_squared_error_backward(r->attr.x, r->in[0]->value, r->out->grad[0],
                                             op_is_fresh(r, 0), r->in[0]->grad);
}

static tensor *squared_error_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant / 32, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    *n_wrt = 1;
    return op_affine_squared_error(t, wrt[0], sample_affine(t, rows, cols, variant % 32, 2));
}

const op_spec spec_affine_squared_error = {"affine_squared_error", 1, squared_error_shape,
                                             squared_error_forward, squared_error_backward,
                                             squared_error_sample, true, 0};

tensor *op_affine_squared_error(tape *t, tensor *p, const affine_sparse *x)
{
    return tape_apply(t, &spec_affine_squared_error, &p, 1, &(op_attributes){.x = x});
}

/* ------------------------------------------------------------- cross_entropy
 * number[0] = smoothing s, number[1] = smoothing classes K, given = row weights. With the targets
 * t_ic = (1 - s) 1[c = y_i] + s / K, whose sum over the C columns is T = 1 - s + s C / K, and
 * p = softmax(logits):  d logits_ic = g w_i (T p_ic - t_ic) / sum w. */

typedef struct cross_entropy_state {
    real *log_p;  /* [rows, cols] */
    real *p;      /* its exponential */
    double total; /* sum of the weights of the rows that count */
} cross_entropy_state;

static bool cross_entropy_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const tensor *x = r->in[0];
    const int32_t *labels = r->attr.labels;

    if (x->n_dims != 2 || !labels) {
        (void)snprintf(why, size, "logits must be [rows, classes] and the labels given");
        return false;
    }
    if (!(r->attr.number[0] >= 0 && r->attr.number[0] <= 1) ||
        (r->attr.number[0] > 0 && !(r->attr.number[1] > 0))) {
        (void)snprintf(why, size, "smoothing %g over %g classes", r->attr.number[0],
                       r->attr.number[1]);
        return false;
    }
    for (int64_t i = 0; i < x->dim[0]; i++) {
        if (labels[i] >= -1 && labels[i] < x->dim[1]) continue;
        (void)snprintf(why, size, "row %lld has label %d of %lld classes", (long long)i,
                       (int)labels[i], (long long)x->dim[1]);
        return false;
    }
    return op_shape_scalar(r, out, why, size);
}

static double row_weight(const op_record *r, int64_t i)
{
    if (r->attr.labels[i] < 0) return 0.0;
    return r->attr.given ? (double)r->attr.given[i] : 1.0;
}

static double smoothed_share(const op_record *r)
{
    return r->attr.number[0] > 0 ? r->attr.number[0] / r->attr.number[1] : 0.0;
}

static void cross_entropy_forward(tape *t, op_record *r)
{
    int64_t rows = r->in[0]->dim[0], cols = r->in[0]->dim[1];
    double share = smoothed_share(r), sum = 0.0;
    cross_entropy_state *s = tape_alloc(t, 1, sizeof *s);

    if (!s) return;
    *s = (cross_entropy_state){.log_p = op_memory(t, rows * cols), .p = op_memory(t, rows * cols)};
    r->saved = s;
    if (!s->log_p || !s->p) return;
    kernel_log_softmax(rows, cols, r->in[0]->value, s->log_p);
    if (r->out->grad) kernel_exp(rows * cols, s->log_p, s->p);
    for (int64_t i = 0; i < rows; i++) {
        const real *log_p = s->log_p + i * cols;
        double w = row_weight(r, i), all = 0.0;
        if (w == 0.0) continue;
        for (int64_t c = 0; c < cols; c++) all += (double)log_p[c];
        sum -= w * ((1.0 - r->attr.number[0]) * (double)log_p[r->attr.labels[i]] + share * all);
        s->total += w;
    }
    r->out->value[0] = s->total > 0.0 ? (real)(sum / s->total) : 0; /* no row counts: no loss */
}

static void cross_entropy_backward(tape *t, op_record *r)
{
    const cross_entropy_state *s = r->saved;
    int64_t rows = r->in[0]->dim[0], cols = r->in[0]->dim[1];
    double share = smoothed_share(r), sharp = 1.0 - r->attr.number[0];
    double target_sum = sharp + share * (double)cols;

    (void)t;
    for (int64_t i = 0; i < rows && r->in[0]->grad && s->total > 0.0; i++) {
        const real *p = s->p + i * cols;
        real *d = r->in[0]->grad + i * cols;
        double w = row_weight(r, i) / s->total * (double)r->out->grad[0];
        if (w == 0.0) continue;
        for (int64_t c = 0; c < cols; c++)
            d[c] += (real)(w * (target_sum * (double)p[c] - share));
        d[r->attr.labels[i]] -= (real)(w * sharp);
    }
}

static tensor *cross_entropy_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    static const double smoothing[] = {0, 0.1, 0.1};
    static const double classes[] = {0, 17, 3};
    int64_t rows, cols;
    int way = variant % 3;
    bool weighted = variant / 3 % 2 == 1;

    if (!sample_shape(variant / 6, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    *n_wrt = 1;
    int32_t *labels = tape_alloc(t, rows, sizeof *labels);
    real *weight = op_memory(t, rows);
    if (!labels || !weight) return NULL;
    for (int64_t i = 0; i < rows; i++) {
        labels[i] = i == 1 ? -1 : (int32_t)((5 * i + 1) % cols);
        weight[i] = (real)(0.5 + (double)(i % 4));
    }
    return op_cross_entropy(t, wrt[0], labels, smoothing[way], classes[way],
                            weighted ? weight : NULL);
}

const op_spec spec_cross_entropy = {"cross_entropy", 1, cross_entropy_shape,
                                      cross_entropy_forward, cross_entropy_backward,
                                      cross_entropy_sample, false, 0};

tensor *op_cross_entropy(tape *t, tensor *logits, const int32_t *labels, double smoothing,
                         double smoothing_classes, const real *weight)
{
    op_attributes attr = {.labels = labels, .number = {smoothing, smoothing_classes},
                          .given = weight};
    return tape_apply(t, &spec_cross_entropy, &logits, 1, &attr);
}
