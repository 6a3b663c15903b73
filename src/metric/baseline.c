/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows are cut into PARTS pieces whose bounds depend on n alone. Each piece walks its rows in
 * blocks of BLOCK: block to double, logits, probabilities, and the gradient of the piece; the
 * pieces are then added in order. */
#include "metric/baseline.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"
#include "metric/lbfgs.h"

#define PARTS 16
#define BLOCK 128

logistic_options logistic_defaults(void)
{
    return (logistic_options){.c = 1.0, .max_iterations = 1000, .tolerance = 1e-4};
}

void logistic_clear(logistic *model)
{
    mem_free(model->weight);
    mem_free(model->intercept);
    memset(model, 0, sizeof *model);
}

/* A fit in progress, over the classes that have samples. theta is [c, p] weights, then [c]
 * intercepts. */
typedef struct problem {
    int64_t n, p, c;
    const float *x;
    int32_t *y;      /* [n] compact class, -1 left out */
    double *weight;  /* [n] */
    double penalty;  /* 1 / C */
    double *blocks;  /* [PARTS, BLOCK, p] rows in double */
    double *scores;  /* [PARTS, BLOCK, c] */
    double *partial; /* [PARTS, c * p + c] gradients of the pieces */
    double loss[PARTS];
} problem;

static void load_rows(double *to, const float *from, int64_t count)
{
    for (int64_t e = 0; e < count; e++) to[e] = (double)from[e];
}

/* From logits to the loss of the row; scores become weight * (probability - truth). */
static double row_loss(double *scores, int64_t c, int32_t truth, double weight)
{
    double most = scores[0], sum = 0.0, of_truth = scores[truth];

    for (int64_t k = 1; k < c; k++)
        if (scores[k] > most) most = scores[k];
    for (int64_t k = 0; k < c; k++) {
        scores[k] = exp(scores[k] - most);
        sum += scores[k];
    }
    for (int64_t k = 0; k < c; k++) scores[k] *= weight / sum;
    scores[truth] -= weight;
    return weight * (most + log(sum) - of_truth);
}

/* Loss and gradient of the rows of one piece. */
static void piece_gradient(problem *q, const double *theta, int64_t part)
{
    int64_t c = q->c, p = q->p, size = c * p + c;
    int64_t first = q->n * part / PARTS, end = q->n * (part + 1) / PARTS;
    double *rows = q->blocks + part * BLOCK * p, *scores = q->scores + part * BLOCK * c;
    double *gradient = q->partial + part * size, *d_intercept = gradient + c * p;
    const double *intercept = theta + c * p;

    memset(gradient, 0, (size_t)size * sizeof *gradient);
    q->loss[part] = 0.0;
    for (int64_t at = first; at < end; at += BLOCK) {
        int64_t count = end - at < BLOCK ? end - at : BLOCK;
        dense_shape forward = {.trans_b = true, .m = count, .n = c, .k = p,
                               .ld_a = p, .ld_b = p, .ld_c = c, .alpha = 1.0, .beta = 1.0};
        dense_shape back = {.trans_a = true, .m = c, .n = p, .k = count,
                            .ld_a = c, .ld_b = p, .ld_c = p, .alpha = 1.0, .beta = 1.0};
        load_rows(rows, q->x + at * p, count * p);
        for (int64_t i = 0; i < count; i++)
            memcpy(scores + i * c, intercept, (size_t)c * sizeof *scores);
        dense_product_serial(&forward, rows, theta, scores);
        for (int64_t i = 0; i < count; i++) {
            if (q->y[at + i] < 0) {
                memset(scores + i * c, 0, (size_t)c * sizeof *scores);
                continue;
            }
            q->loss[part] += row_loss(scores + i * c, c, q->y[at + i], q->weight[at + i]);
            for (int64_t k = 0; k < c; k++) d_intercept[k] += scores[i * c + k];
        }
        dense_product_serial(&back, scores, rows, gradient);
    }
}

static scw_status objective(void *user, const double *theta, double *value, double *gradient)
{
    problem *q = user;
    int64_t n_weights = q->c * q->p, size = n_weights + q->c;
    double loss = 0.0, squares = 0.0;
    int before = dense_enter();

    PARALLEL_FOR_IF(q->n * n_weights > 300000)
    for (int64_t part = 0; part < PARTS; part++) piece_gradient(q, theta, part);
    dense_leave(before);
    PARALLEL_FOR_IF(size > 4096)
    for (int64_t e = 0; e < size; e++) {
        double sum = e < n_weights ? q->penalty * theta[e] : 0.0;
        for (int64_t part = 0; part < PARTS; part++) sum += q->partial[part * size + e];
        gradient[e] = sum;
    }
    for (int part = 0; part < PARTS; part++) loss += q->loss[part];
    for (int64_t e = 0; e < n_weights; e++) squares += theta[e] * theta[e];
    *value = loss + 0.5 * q->penalty * squares;
    return SCW_OK;
}

static scw_status check_fit(const float *x, int64_t n, int64_t p, const int32_t *y,
                            int32_t n_classes, const logistic_options *options)
{
    scw_status st = SCW_OK;

    if (n < 0 || p < 0 || n_classes < 1)
        FAIL(SCW_EINVAL, "logistic regression: %lld rows, %lld columns, %d classes", (long long)n,
             (long long)p, n_classes);
    if (!(options->c > 0.0))
        FAIL(SCW_EINVAL, "logistic regression: C is %g, expected > 0", options->c);
    for (int64_t i = 0; i < n; i++) {
        if (y[i] >= n_classes)
            FAIL(SCW_EINVAL, "logistic regression: class %d of row %lld, of %d classes", y[i],
                 (long long)i, n_classes);
        if (y[i] < 0) continue;
        float sum = 0.0f; /* any value that is not finite stays visible in 0 * x */
        for (int64_t j = 0; j < p; j++) sum += 0.0f * x[i * p + j];
        if (sum != 0.0f)
            FAIL(SCW_EDATA, "logistic regression: row %lld holds a value that is not finite",
                 (long long)i);
    }
done:
    return st;
}

/* Classes with samples, numbered without gaps: of_class [n_classes], -1 for the others. */
static scw_status number_classes(problem *q, int64_t *of_class, const int32_t *y,
                                 int32_t n_classes, const logistic_options *options)
{
    scw_status st = SCW_OK;

    for (int64_t i = 0; i < q->n; i++)
        if (y[i] >= 0) of_class[y[i]] = 1;
    for (int32_t k = 0; k < n_classes; k++) of_class[k] = of_class[k] ? q->c++ : -1;
    if (q->c == 0) FAIL(SCW_EDATA, "logistic regression: no row has a class");
    TRY(mem_new(&q->y, q->n));
    TRY(mem_new(&q->weight, q->n));
    for (int64_t i = 0; i < q->n; i++) {
        q->y[i] = y[i] < 0 ? -1 : (int32_t)of_class[y[i]];
        if (y[i] < 0) continue;
        q->weight[i] = (options->sample_weight ? (double)options->sample_weight[i] : 1.0) *
                       (options->class_weight ? options->class_weight[y[i]] : 1.0);
        if (!(q->weight[i] >= 0.0) || !isfinite(q->weight[i]))
            FAIL(SCW_EINVAL, "logistic regression: the weight of row %lld is %g, expected >= 0",
                 (long long)i, q->weight[i]);
    }
done:
    return st;
}

static void set_start(double *theta, const problem *q, const int64_t *of_class, int32_t n_classes,
                      const logistic_options *options)
{
    for (int32_t k = 0; k < n_classes; k++) {
        if (of_class[k] < 0) continue;
        if (options->start_weight)
            memcpy(theta + of_class[k] * q->p, options->start_weight + k * q->p,
                   (size_t)q->p * sizeof *theta);
        if (options->start_intercept && isfinite(options->start_intercept[k]))
            theta[q->c * q->p + of_class[k]] = options->start_intercept[k];
    }
}

/* The model over all classes; the intercepts, free up to a common shift, are centred. */
static scw_status make_model(logistic *out, const problem *q, const double *theta,
                             const int64_t *of_class, int32_t n_classes)
{
    scw_status st = SCW_OK;
    const double *intercept = theta + q->c * q->p;
    double mean = 0.0;

    out->n_classes = n_classes;
    out->p = q->p;
    TRY(mem_new(&out->weight, n_classes * q->p));
    TRY(mem_new(&out->intercept, n_classes));
    for (int64_t k = 0; k < q->c; k++) mean += intercept[k] / (double)q->c;
    for (int32_t k = 0; k < n_classes; k++) {
        out->intercept[k] = of_class[k] < 0 ? -(double)INFINITY : intercept[of_class[k]] - mean;
        if (of_class[k] >= 0 && q->p > 0)
            memcpy(out->weight + k * q->p, theta + of_class[k] * q->p,
                   (size_t)q->p * sizeof *theta);
    }
done:
    return st;
}

static scw_status solve(logistic *out, problem *q, double *theta, const logistic_options *options)
{
    scw_status st = SCW_OK;
    int64_t size = q->c * q->p + q->c;
    lbfgs_options how = {.max_iterations = options->max_iterations,
                         .gradient_tolerance = options->tolerance,
                         .value_tolerance = 1e-10,
                         .history = 10};
    lbfgs_report report;

    TRY(mem_new(&q->blocks, PARTS * BLOCK * q->p));
    TRY(mem_new(&q->scores, PARTS * BLOCK * q->c));
    TRY(mem_new(&q->partial, PARTS * size));
    TRY(lbfgs_minimise(theta, size, objective, q, &how, &report));
    out->iterations = report.iterations;
    out->objective = report.value;
    out->converged = report.converged;
done:
    return st;
}

scw_status logistic_fit(logistic *out, const float *x, int64_t n, int64_t p, const int32_t *y,
                        int32_t n_classes, const logistic_options *options)
{
    scw_status st = SCW_OK;
    logistic model = {0};
    logistic_options defaults = logistic_defaults();
    problem q = {.n = n, .p = p, .x = x};
    int64_t *of_class = NULL;
    double *theta = NULL;

    memset(out, 0, sizeof *out);
    if (!options) options = &defaults;
    TRY(check_fit(x, n, p, y, n_classes, options));
    TRY(mem_new(&of_class, n_classes));
    TRY(number_classes(&q, of_class, y, n_classes, options));
    q.penalty = 1.0 / options->c;
    TRY(mem_new(&theta, q.c * p + q.c));
    set_start(theta, &q, of_class, n_classes, options);
    model.converged = 1;
    if (q.c > 1) TRY(solve(&model, &q, theta, options));
    TRY(make_model(&model, &q, theta, of_class, n_classes));
    *out = model;
    memset(&model, 0, sizeof model);
done:
    logistic_clear(&model);
    mem_free(of_class);
    mem_free(theta);
    mem_free(q.y);
    mem_free(q.weight);
    mem_free(q.blocks);
    mem_free(q.scores);
    mem_free(q.partial);
    return st;
}

scw_status logistic_predict_logits(double *logits, const logistic *model, const float *x,
                                   int64_t n)
{
    scw_status st = SCW_OK;
    int64_t p = model->p, c = model->n_classes;
    double *blocks = NULL;
    int before = 1;

    TRY(mem_new(&blocks, PARTS * BLOCK * p));
    before = dense_enter();
    PARALLEL_FOR
    for (int64_t part = 0; part < PARTS; part++) {
        int64_t end = n * (part + 1) / PARTS;
        double *rows = blocks + part * BLOCK * p;
        for (int64_t at = n * part / PARTS; at < end; at += BLOCK) {
            int64_t count = end - at < BLOCK ? end - at : BLOCK;
            dense_shape s = {.trans_b = true, .m = count, .n = c, .k = p,
                             .ld_a = p, .ld_b = p, .ld_c = c, .alpha = 1.0, .beta = 1.0};
            load_rows(rows, x + at * p, count * p);
            for (int64_t i = at; i < at + count; i++)
                memcpy(logits + i * c, model->intercept, (size_t)c * sizeof *logits);
            dense_product_serial(&s, rows, model->weight, logits + at * c);
        }
    }
    dense_leave(before);
done:
    mem_free(blocks);
    return st;
}

scw_status logistic_predict(int32_t *classes, const logistic *model, const float *x, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t c = model->n_classes;
    double *logits = NULL;

    TRY(mem_new(&logits, n * c));
    TRY(logistic_predict_logits(logits, model, x, n));
    for (int64_t i = 0; i < n; i++) {
        int32_t best = 0;
        for (int32_t k = 1; k < c; k++)
            if (logits[i * c + k] > logits[i * c + best]) best = k;
        classes[i] = best;
    }
done:
    mem_free(logits);
    return st;
}

int32_t majority_class(const int32_t *y, int64_t n, int32_t n_classes)
{
    int32_t best = -1;
    int64_t best_count = 0;

    /* Counting without a table: this cannot fail, and n_classes is small. */
    for (int32_t k = 0; k < n_classes; k++) {
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++) count += y[i] == k;
        if (count > best_count) {
            best = k;
            best_count = count;
        }
    }
    return best;
}
