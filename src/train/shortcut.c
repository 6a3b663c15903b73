/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/shortcut.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "metric/baseline.h"
#include "train/inputs.h"
#include "train/latent_path.h"
#include "train/split.h"

#define FOLDS 5
#define MOST_CELLS 2000 /* of the inner cross-validation */
#define INNER_ITERATIONS 60
#define FINAL_ITERATIONS 200
#define INNER_TOLERANCE 1e-4 /* largest entry of the gradient, a cell */
#define FINAL_TOLERANCE 1e-6
#define LOWEST_PROBABILITY 1e-6
#define NO_CLASS_BIAS (-30.0) /* of a class that the regression never saw */

/* The first ones are for new batches, which ask for more caution than new cells. */
static const double penalties[] = {0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0};
#define N_CAUTIOUS 2
/* That logits are divided by where left-out batches judge: a strong penalty may tell types apart better
 * and yet be too shy. Confidence is calibrated later. */
static const double temperatures[] = {0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0};
static const double as_they_are[] = {1.0};
#define N_TEMPERATURES ((int)(sizeof temperatures / sizeof *temperatures))
static const double reduced[] = {0.0, 0.3}; /* weights tried for a modality instead of 1 */
#define N_PENALTIES ((int)(sizeof penalties / sizeof *penalties))
#define N_REDUCED ((int)(sizeof reduced / sizeof *reduced))

/* --------------------------------------------------------------- inner cross-validation */

/* Rows of x with fold == k (or != k), modality columns times their weights. */
static scw_status subset(inputs *out, const inputs *x, const int32_t *fold, int32_t k, bool equal,
                         const double *weights)
{
    scw_status st = SCW_OK;
    int32_t *labels = NULL;

    *out = *x;
    out->u = out->weight = NULL;
    out->batch = NULL;
    out->labels = NULL;
    out->n = 0;
    TRY(mem_new(&out->u, x->n * x->p));
    TRY(mem_new(&labels, x->n));
    out->labels = labels;
    if (x->weight) TRY(mem_new(&out->weight, x->n));
    if (x->batch) TRY(mem_new(&out->batch, x->n));
    for (int64_t i = 0; i < x->n; i++) {
        if ((fold[i] == k) != equal) continue;
        for (int64_t j = 0; j < x->p; j++)
            out->u[out->n * x->p + j] = (float)((double)x->u[i * x->p + j] * weights[j]);
        if (x->weight) out->weight[out->n] = x->weight[i];
        if (x->batch) out->batch[out->n] = x->batch[i];
        labels[out->n++] = x->labels[i];
    }
done:
    if (st != SCW_OK) inputs_clear(out);
    return st;
}

/* -log p of each test row's class at a temperature, into loss (in the order of x's rows with fold == k).
 * Where batches judge, a class that none of the others has is no fault of any setting: 0. */
static scw_status test_losses(double *loss, const logistic *fit, const inputs *train,
                              const inputs *test, double temperature)
{
    scw_status st = SCW_OK;
    double *logits = NULL;
    uint8_t *known = NULL;
    const int64_t classes = fit->n_classes;

    TRY(mem_new(&known, classes));
    for (int64_t i = 0; i < train->n; i++) known[train->labels[i]] = 1;
    TRY(mem_new(&logits, test->n * classes));
    TRY(logistic_predict_logits(logits, fit, test->u, test->n));
    for (int64_t i = 0; i < test->n; i++) {
        const double *l = logits + i * classes;
        double top = -INFINITY, sum = 0.0;
        for (int64_t c = 0; c < classes; c++)
            top = fmax(top, l[c]);
        for (int64_t c = 0; c < classes; c++)
            sum += exp((l[c] - top) / temperature);
        double p = exp((l[test->labels[i]] - top) / temperature) / sum;
        loss[i] = test->batch && !known[test->labels[i]] ? 0.0 : -log(fmax(p, LOWEST_PROBABILITY));
    }
done:
    mem_free(known);
    mem_free(logits);
    return st;
}

static double mean(const double *v, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

/* A row of losses [n] for each setting of the grid: of `all` [n_grid][n_heat][n], that of the best
 * temperature. */
static void take_best(double *loss, const double *all, int n_grid, int n_heat, int64_t n)
{
    for (int g = 0; g < n_grid; g++) {
        const double *rows = all + (int64_t)g * n_heat * n, *best = rows;
        for (int h = 1; h < n_heat; h++)
            if (mean(rows + h * n, n) < mean(best, n)) best = rows + h * n;
        memcpy(loss + g * n, best, (size_t)n * sizeof *loss);
    }
}

/* Losses [n_grid][n] of all rows for the listed penalties, under modality weights. */
static scw_status cross_losses(double *loss, const matilda_model *m, const inputs *x,
                               const int32_t *fold, const double *weights, const double *c_grid,
                               int n_grid)
{
    scw_status st = SCW_OK;
    inputs train = {0}, test = {0};
    const double *heat = x->batch ? temperatures : as_they_are;
    const int n_heat = x->batch ? N_TEMPERATURES : 1;
    double *t = NULL, *part = NULL, *all = NULL;
    float *turned = NULL;
    logistic fit = {0}, previous = {0};

    TRY(mem_new(&part, x->n));
    TRY(mem_new(&all, (int64_t)n_grid * n_heat * x->n));
    for (int32_t k = 0; k < FOLDS; k++) {
        inputs_clear(&train);
        inputs_clear(&test);
        TRY(subset(&train, x, fold, k, false, weights));
        TRY(subset(&test, x, fold, k, true, weights));
        if (test.n == 0) continue;
        TRY(inputs_whiten(&t, &train, m->base.classes.n, m->options.whiten,
                          m->options.whiten_shrink));
        TRY(mem_new(&turned, test.n * test.p));
        inputs_multiply(turned, test.u, t, test.n, test.p);
        memcpy(test.u, turned, (size_t)(test.n * test.p) * sizeof *turned);
        for (int g = 0; g < n_grid; g++) {
            logistic_options o = logistic_defaults();
            o.c = c_grid[g];
            o.max_iterations = INNER_ITERATIONS;
            o.sample_weight = train.weight;
            o.start_weight = previous.weight; /* the grid rises: each fit starts from the last */
            o.start_intercept = previous.intercept;
            o.tolerance = INNER_TOLERANCE * (double)train.n;
            TRY(logistic_fit(&fit, train.u, train.n, train.p, train.labels,
                             (int32_t)m->base.classes.n, &o));
            for (int h = 0; h < n_heat; h++) {
                double *to = all + ((int64_t)g * n_heat + h) * x->n;
                TRY(test_losses(part, &fit, &train, &test, heat[h]));
                for (int64_t i = 0, at = 0; i < x->n; i++)
                    if (fold[i] == k) to[i] = part[at++];
            }
            logistic_clear(&previous);
            previous = fit;
            fit = (logistic){0};
        }
        logistic_clear(&previous);
        mem_free(t);
        mem_free(turned);
        t = NULL;
        turned = NULL;
    }
    take_best(loss, all, n_grid, n_heat, x->n);
done:
    inputs_clear(&train);
    inputs_clear(&test);
    mem_free(t);
    mem_free(part);
    mem_free(all);
    mem_free(turned);
    logistic_clear(&fit);
    logistic_clear(&previous);
    return st;
}

/* Is a better than b by more than one standard error of the paired difference? */
static bool clearly_better(const double *a, const double *b, int64_t n)
{
    double sum = 0.0, squares = 0.0;

    for (int64_t i = 0; i < n; i++) {
        double d = b[i] - a[i];
        sum += d;
        squares += d * d;
    }
    double average = sum / (double)n;
    double variance = fmax(0.0, squares / (double)n - average * average);
    return average > sqrt(variance / (double)n);
}

static void column_weights(double *out, const inputs *x, const matilda_model *m,
                           const double *by_modality)
{
    for (int k = 0; k < m->base.n_modalities; k++)
        for (int64_t j = 0; x->from[k] >= 0 && j < m->net.config.modality[k].n_components; j++)
            out[x->from[k] + j] = by_modality[k];
}

/* Is one modality better turned down? The best single change counts if it is clearly better. */
static scw_status choose_weights(double *by_modality, const matilda_model *m, const inputs *x,
                                 const int32_t *fold, double c, const double *full)
{
    scw_status st = SCW_OK;
    double *loss = NULL, *columns = NULL, best = mean(full, x->n);
    double trial[MODEL_MAX_MODALITIES];

    TRY(mem_new(&loss, x->n));
    TRY(mem_new(&columns, x->p));
    for (int k = 0; k < m->base.n_modalities; k++)
        for (int r = 0; r < N_REDUCED; r++) {
            for (int q = 0; q < m->base.n_modalities; q++)
                trial[q] = q == k ? reduced[r] : 1.0;
            column_weights(columns, x, m, trial);
            TRY(cross_losses(loss, m, x, fold, columns, &c, 1));
            double average = mean(loss, x->n);
            if (average >= best || !clearly_better(loss, full, x->n)) continue;
            best = average;
            memcpy(by_modality, trial, sizeof trial);
        }
done:
    mem_free(loss);
    mem_free(columns);
    return st;
}

/* At most MOST_CELLS cells of x, with the same share of each class. */
static scw_status thin(inputs *out, const matilda_model *m, const inputs *x, uint64_t seed)
{
    scw_status st = SCW_OK;
    int32_t *part = NULL;
    double *ones = NULL;
    int64_t parts = (x->n + MOST_CELLS - 1) / MOST_CELLS;

    TRY(mem_new(&part, x->n));
    TRY(mem_new(&ones, x->p));
    for (int64_t j = 0; j < x->p; j++)
        ones[j] = 1.0;
    TRY(split_folds(part, x->labels, x->n, m->base.classes.n, parts, seed + 1));
    TRY(subset(out, x, part, 0, true, ones));
done:
    mem_free(part);
    mem_free(ones);
    return st;
}

/* The cells of the inner cross-validation, and their folds. */
typedef struct trial_set {
    inputs x;
    int32_t *fold;
    double *ones; /* [p] */
} trial_set;

static void trial_set_clear(trial_set *s)
{
    inputs_clear(&s->x);
    mem_free(s->fold);
    mem_free(s->ones);
    *s = (trial_set){0};
}

/* A fold of whole batches each; false where most cells are of types that no other fold has, so that
 * batches cannot judge. */
static scw_status batch_folds(bool *usable, int32_t *fold, const inputs *x, int64_t n_classes)
{
    scw_status st = SCW_OK;
    uint32_t *folds = NULL; /* that have the class, a bit each */
    int64_t n_judged = 0;

    TRY(mem_new(&folds, n_classes));
    for (int64_t i = 0; i < x->n; i++) {
        fold[i] = x->batch[i] % FOLDS;
        folds[x->labels[i]] |= 1u << fold[i];
    }
    for (int64_t i = 0; i < x->n; i++)
        n_judged += (folds[x->labels[i]] & ~(1u << fold[i])) != 0;
    *usable = 2 * n_judged >= x->n;
done:
    mem_free(folds);
    return st;
}

static scw_status trial_set_init(trial_set *s, const matilda_model *m, const inputs *all,
                                 uint64_t seed)
{
    scw_status st = SCW_OK;
    bool by_batch = false;

    *s = (trial_set){0};
    TRY(thin(&s->x, m, all, seed));
    TRY(mem_new(&s->fold, s->x.n));
    TRY(mem_new(&s->ones, s->x.p));
    for (int64_t j = 0; j < s->x.p; j++)
        s->ones[j] = 1.0;
    if (s->x.batch) TRY(batch_folds(&by_batch, s->fold, &s->x, m->base.classes.n));
    if (by_batch) goto done;
    mem_free(s->x.batch);
    s->x.batch = NULL;
    TRY(split_folds(s->fold, s->x.labels, s->x.n, m->base.classes.n, FOLDS, seed));
done:
    if (st != SCW_OK) trial_set_clear(s);
    return st;
}

scw_status shortcut_judge_inputs(shortcut_choice *out, const matilda_model *m, const inputs *all,
                                 uint64_t seed)
{
    scw_status st = SCW_OK;
    trial_set s = {0};
    double *loss = NULL;
    const bool fixed = m->options.shortcut_c > 0.0;
    const double *grid = &m->options.shortcut_c;
    int n_grid = 1;

    TRY(trial_set_init(&s, m, all, seed));
    if (!fixed) {
        const int first = s.x.batch ? 0 : N_CAUTIOUS;
        grid = penalties + first;
        n_grid = N_PENALTIES - first;
    }
    *out = (shortcut_choice){grid[0], INFINITY};
    TRY(mem_new(&loss, n_grid * s.x.n));
    TRY(cross_losses(loss, m, &s.x, s.fold, s.ones, grid, n_grid));
    for (int g = 0; g < n_grid; g++) {
        double average = mean(loss + g * s.x.n, s.x.n);
        if (average < out->log_loss) *out = (shortcut_choice){grid[g], average};
    }
done:
    trial_set_clear(&s);
    mem_free(loss);
    return st;
}

scw_status shortcut_judge(shortcut_choice *out, const matilda_model *m, const cells *c,
                          const int64_t *rows, int64_t n, uint64_t seed)
{
    scw_status st = SCW_OK;
    inputs all = {0};

    TRY(inputs_gather(&all, m, c, rows, n));
    TRY(shortcut_judge_inputs(out, m, &all, seed));
done:
    inputs_clear(&all);
    return st;
}

static scw_status choose(double *by_modality, const matilda_model *m, const inputs *all, double c,
                         uint64_t seed)
{
    scw_status st = SCW_OK;
    trial_set s = {0};
    double *full = NULL;
    int n_used = 0;

    for (int k = 0; k < m->base.n_modalities; k++) {
        by_modality[k] = 1.0;
        n_used += all->from[k] >= 0;
    }
    if (n_used < 2 || !m->options.modality_weights) return SCW_OK;
    TRY(trial_set_init(&s, m, all, seed));
    TRY(mem_new(&full, s.x.n));
    TRY(cross_losses(full, m, &s.x, s.fold, s.ones, &c, 1));
    TRY(choose_weights(by_modality, m, &s.x, s.fold, c, full));
done:
    trial_set_clear(&s);
    mem_free(full);
    return st;
}

/* ------------------------------------------------------------------------------------ fit */

/* The weight that the record has of modality k, 1 without. */
static double recorded_weight(const matilda_model *m, int k)
{
    const json_t *weights = json_object_get(m->base.record, "modality_weights");
    const json_t *w = json_object_get(weights, m->base.modality[k].name);

    return json_is_number(w) ? json_number_value(w) : 1.0;
}

void shortcut_weigh(matilda_model *m)
{
    for (int k = 0; k < m->base.n_modalities; k++) {
        int handle = m->net.projection[k];
        double weight = recorded_weight(m, k);
        if (handle < 0 || weight == 1.0) continue;
        real *p = params_value(&m->net.p, handle);
        const matilda_modality *x = &m->net.config.modality[k];
        for (int64_t e = 0; e < x->n_vars * x->n_components; e++)
            p[e] = (real)((double)p[e] * weight);
    }
}

/* The same of inputs that were projected before. */
static void weigh_inputs(inputs *x, const matilda_model *m)
{
    for (int k = 0; k < m->base.n_modalities; k++) {
        double weight = recorded_weight(m, k);
        if (x->from[k] < 0 || weight == 1.0) continue;
        for (int64_t i = 0; i < x->n; i++)
            for (int64_t j = 0; j < x->width[k]; j++) {
                float *u = &x->u[i * x->p + x->from[k] + j];
                *u = (float)((double)*u * weight);
            }
    }
}

double shortcut_bias(const logistic *fit, int64_t c)
{
    return fmax(fit->intercept[c], NO_CLASS_BIAS);
}

/* S_m = W T, restricted to modality m's columns. */
static void store(matilda_model *m, const inputs *x, const double *t, const logistic *fit)
{
    const int64_t p = x->p;

    for (int k = 0; k < m->base.n_modalities; k++) {
        if (x->from[k] < 0) continue;
        int64_t width = m->net.config.modality[k].n_components;
        real *s = params_value(&m->net.p, m->net.shortcut[k]); /* [C, width] */
        for (int64_t c = 0; c < m->base.classes.n; c++)
            for (int64_t j = 0; j < width; j++) {
                double sum = 0.0;
                for (int64_t a = 0; a < p; a++)
                    sum += fit->weight[c * p + a] * t[a * p + x->from[k] + j];
                s[c * width + j] = (real)sum;
            }
    }
    real *bias = params_value(&m->net.p, m->net.shortcut_bias);
    for (int64_t c = 0; c < m->base.classes.n; c++)
        bias[c] = (real)shortcut_bias(fit, c);
}

static scw_status record(matilda_model *m, double c, const double *by_modality)
{
    scw_status st = SCW_OK;
    json_t *weights = json_object();

    for (int k = 0; k < m->base.n_modalities; k++)
        json_object_set_new(weights, m->base.modality[k].name, json_real(by_modality[k]));
    int failed = json_object_set_new(m->base.record, "modality_weights", weights);
    failed |= json_object_set_new(m->base.record, "shortcut_c", json_real(c));
    if (failed) FAIL(SCW_ENOMEM, "out of memory in the training record");
done:
    return st;
}

static void report(const matilda_model *m, double c, const double *by_modality,
                   const scw_hooks *hooks)
{
    log_detail(hooks, "linear path: C %g", c);
    for (int k = 0; k < m->base.n_modalities; k++)
        if (by_modality[k] != 1.0)
            log_info(hooks,
                     "modality '%s' tells the classes apart better at %g of its weight: used "
                     "so (--modality-weights off keeps it whole)",
                     m->base.modality[k].name, by_modality[k]);
}

scw_status shortcut_regress(double **t, logistic *fit, const matilda_model *m, inputs *x, double c)
{
    scw_status st = SCW_OK;
    logistic_options o = logistic_defaults();

    TRY(inputs_whiten(t, x, m->base.classes.n, m->options.whiten, m->options.whiten_shrink));
    o.c = c;
    o.max_iterations = FINAL_ITERATIONS;
    o.tolerance = FINAL_TOLERANCE * (double)x->n;
    o.sample_weight = x->weight;
    TRY(logistic_fit(fit, x->u, x->n, x->p, x->labels, (int32_t)m->base.classes.n, &o));
done:
    return st;
}

scw_status shortcut_fit(matilda_model *m, const shortcut_choice *choice, const cells *c,
                        const int64_t *rows, int64_t n, uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    inputs x = {0};
    double *t = NULL, by_modality[MODEL_MAX_MODALITIES];
    logistic fit = {0};

    TRY(inputs_gather(&x, m, c, rows, n));
    if (x.p == 0) goto done;
    TRY(choose(by_modality, m, &x, choice->c, seed));
    TRY(log_check_cancel(hooks));
    report(m, choice->c, by_modality, hooks);
    TRY(record(m, choice->c, by_modality));
    shortcut_weigh(m);
    weigh_inputs(&x, m);
    TRY(shortcut_regress(&t, &fit, m, &x, choice->c));
    store(m, &x, t, &fit);
    TRY(latent_path_set(m, &x, t, &fit, c, rows));
done:
    inputs_clear(&x);
    mem_free(t);
    logistic_clear(&fit);
    return st;
}

scw_status shortcut_refit(matilda_model *m, double penalty, const cells *c, const int64_t *rows,
                          int64_t n, bool latent)
{
    scw_status st = SCW_OK;
    inputs x = {0};
    double *t = NULL;
    logistic fit = {0};

    TRY(inputs_gather(&x, m, c, rows, n));
    if (x.p == 0) goto done;
    TRY(shortcut_regress(&t, &fit, m, &x, penalty));
    store(m, &x, t, &fit);
    if (latent) TRY(latent_path_set(m, &x, t, &fit, c, rows));
done:
    inputs_clear(&x);
    mem_free(t);
    logistic_clear(&fit);
    return st;
}
