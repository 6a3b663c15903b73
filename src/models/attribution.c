/* SPDX-License-Identifier: BSD-3-Clause */
/* The network starts from v = x V (matilda.h), so the gradient by x is V times that by v: paths and
 * gradients live in the narrow space of v, and only their end is spread over the features. */
#include "models/attribution.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "prep/symmetric.h"

#define BLOCK_ROWS 256
#define BLOCK_VALUES (8 << 20) /* of the dense block of the widest modality */

typedef struct job {
    const matilda_model *m;
    const cells *c;
    const attribution_options *o;
    const scw_hooks *hooks;
    params p;                            /* the model's, without gradients */
    int64_t width[MODEL_MAX_MODALITIES]; /* of v_k */
    int64_t at[MODEL_MAX_MODALITIES];    /* where v_k stands in [p] */
    int64_t n_first;                     /* p, the sum of the widths */
    double *node, *weight;               /* [steps] of the integral */
    double *share;                       /* [p, p] of the method `shared`, or NULL */
    tape *outer, *inner;                 /* of a block, of one pass through the network */
    int64_t rows;                        /* capacity of a block */
    real *v, *v0;                        /* [rows, p] */
    double *q;                           /* [rows, p] gradient by v */
    double *dx;                          /* [rows, F] of one modality */
    double *change, *total; /* [rows] f(x) - f(x0), and what the attributions sum to */
} job;

/* ------------------------------------------------------------------------------ the network */

static int64_t first_width(const matilda_net *net, int k)
{
    const matilda_modality *x = &net->config.modality[k];
    return net->projection[k] >= 0 ? x->n_components : x->n_hidden;
}

/* V_k [F, width], and the weights of its rows (NULL: ones). */
static const real *first_weight(const matilda_net *net, int k, const real **row_weight)
{
    *row_weight = NULL;
    if (net->projection[k] >= 0) return params_value(&net->p, net->projection[k]);
    if (net->feature_weight[k] >= 0) *row_weight = params_value(&net->p, net->feature_weight[k]);
    return params_value(&net->p, net->encoder[k].weight);
}

/* v of a batch, side by side, [n, p]. Resets the inner tape. */
static scw_status first_values(job *j, const model_batch *batch, real *out)
{
    scw_status st = SCW_OK;
    tensor *v[MODEL_MAX_MODALITIES];
    nn_pass pass = {.t = j->inner, .p = &j->p};

    tape_reset(j->inner, TAPE_EVAL);
    matilda_first(&j->m->net, &pass, batch, v);
    TRY(tape_status(j->inner));
    for (int k = 0; k < j->m->base.n_modalities; k++)
        for (int64_t i = 0; i < batch->n; i++)
            memcpy(out + i * j->n_first + j->at[k], v[k]->value + i * j->width[k],
                   (size_t)j->width[k] * sizeof *out);
done:
    return st;
}

/* v of the baseline. Of a cell that lacks a modality it is zero there, as v itself is. */
static scw_status baseline_values(job *j, const model_batch *batch, real *out)
{
    scw_status st = SCW_OK;
    model_batch empty = *batch;

    if (j->o->baseline == ATTRIBUTION_MEAN) {
        memset(out, 0, (size_t)(batch->n * j->n_first) * sizeof *out);
        goto done;
    }
    int64_t *none = tape_alloc(j->outer, batch->n + 1, sizeof *none);
    if (!none) TRY(tape_status(j->outer));
    memset(none, 0, (size_t)(batch->n + 1) * sizeof *none);
    for (int k = 0; k < batch->n_modalities; k++)
        empty.x[k].indptr = none;
    TRY(first_values(j, &empty, out));
done:
    return st;
}

/* Weight of each class score in the score of `class`. */
static double score_weight(const job *j, int64_t class, int64_t of)
{
    double others = (double)(j->m->base.classes.n - 1);

    if (class == of) return 1.0;
    return j->o->score == ATTRIBUTION_MARGIN && others > 0.0 ? -1.0 / others : 0.0;
}

/* One pass from v0 + a (v - v0). With q: q += weight * gradient by v. With scores: the score of
 * each cell, added with `weight`. */
static scw_status pass_network(job *j, const model_batch *batch, int64_t class, double a,
                               double weight, double *q, double *scores)
{
    scw_status st = SCW_OK;
    tape *t = j->inner;
    tensor *v[MODEL_MAX_MODALITIES];
    const int64_t n = batch->n, n_classes = j->m->base.classes.n;
    model_outputs out;
    nn_pass pass = {.t = t, .p = &j->p};

    tape_reset(t, q ? TAPE_EVAL_GRAD : TAPE_EVAL);
    for (int k = 0; k < j->m->base.n_modalities; k++) {
        real *at = tape_alloc(t, n * j->width[k], sizeof *at);
        if (!at) TRY(tape_status(t));
        for (int64_t i = 0; i < n; i++)
            for (int64_t e = 0; e < j->width[k]; e++) {
                int64_t from = i * j->n_first + j->at[k] + e;
                at[i * j->width[k] + e] = j->v0[from] + (real)a * (j->v[from] - j->v0[from]);
            }
        v[k] = op_input(t, at, n, j->width[k], q != NULL);
    }
    matilda_forward_from(&j->m->net, &pass, batch, v, false, &out);
    TRY(tape_status(t));
    for (int64_t e = 0; scores && e < n * n_classes; e++)
        scores[e / n_classes] +=
            weight * score_weight(j, class, e % n_classes) * (double)out.logits->value[e];
    if (!q) goto done;
    real *pick = tape_alloc(t, n * n_classes, sizeof *pick);
    for (int64_t e = 0; pick && e < n * n_classes; e++)
        pick[e] = (real)score_weight(j, class, e % n_classes);
    tensor *picked = op_multiply(t, out.logits, op_input(t, pick, n, n_classes, false));
    TRY(tape_backward(t, op_sum(t, picked)));
    for (int k = 0; k < j->m->base.n_modalities; k++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t e = 0; e < j->width[k]; e++)
                q[i * j->n_first + j->at[k] + e] +=
                    weight * (double)v[k]->grad[i * j->width[k] + e];
done:
    return st;
}

/* ------------------------------------------------------------------------------ one block */

/* Mean gradient along the path into j->q, and the sums for completeness. */
static scw_status integrate(job *j, const model_batch *batch, int64_t class)
{
    scw_status st = SCW_OK;
    const int64_t n = batch->n, p = j->n_first;

    memset(j->q, 0, (size_t)(n * p) * sizeof *j->q);
    memset(j->change, 0, (size_t)n * sizeof *j->change);
    if (j->o->method == ATTRIBUTION_SALIENCY) {
        TRY(pass_network(j, batch, class, 1.0, 1.0, j->q, NULL));
        goto done;
    }
    for (int64_t s = 0; s < j->o->steps; s++)
        TRY(pass_network(j, batch, class, j->node[s], j->weight[s], j->q, NULL));
    TRY(pass_network(j, batch, class, 1.0, 1.0, NULL, j->change));
    TRY(pass_network(j, batch, class, 0.0, -1.0, NULL, j->change));
    for (int64_t i = 0; i < n; i++) {
        j->total[i] = 0.0;
        for (int64_t e = i * p; e < (i + 1) * p; e++)
            j->total[i] += j->q[e] * ((double)j->v[e] - (double)j->v0[e]);
    }
done:
    return st;
}

/* q_i becomes T q_i. */
static void share_credit(job *j, int64_t n)
{
    const int64_t p = j->n_first;

    PARALLEL_FOR
    for (int64_t i = 0; i < n; i++) {
        double *q = j->q + i * p, *turned = j->dx + i * p;
        for (int64_t a = 0; a < p; a++) {
            turned[a] = 0.0;
            for (int64_t b = 0; b < p; b++)
                turned[a] += j->share[a * p + b] * q[b];
        }
        memcpy(q, turned, (size_t)p * sizeof *q);
    }
}

/* dx [n, F] = x - x0 of modality k. */
static void input_change(job *j, const affine_sparse *x)
{
    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        double *to = j->dx + i * x->n_cols, a = x->row_scale ? (double)x->row_scale[i] : 1.0;
        double b = x->row_shift ? (double)x->row_shift[i] : 0.0;
        bool mean = j->o->baseline == ATTRIBUTION_MEAN;
        for (int64_t f = 0; f < x->n_cols; f++)
            to[f] = mean ? b + (x->col_shift ? (double)x->col_shift[f] : 0.0) : 0.0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            int32_t f = x->indices[e];
            to[f] += a * (x->col_scale ? (double)x->col_scale[f] : 1.0) * (double)x->values[e];
        }
    }
}

/* Spread the block's gradients over the features of modality k, and add up. */
static void accumulate(attribution *out, job *j, const affine_sparse *x, int k, int64_t class)
{
    const real *row_weight, *first = first_weight(&j->m->net, k, &row_weight);
    const int64_t width = j->width[k], base = class * x->n_cols;
    const bool saliency = j->o->method == ATTRIBUTION_SALIENCY;

    input_change(j, x);
    PARALLEL_FOR
    for (int64_t f = 0; f < x->n_cols; f++) {
        const real *v = first + f * width;
        double w = row_weight ? (double)row_weight[f] : 1.0;
        for (int64_t i = 0; i < x->n_rows; i++) {
            if (x->row_weight && x->row_weight[i] == 0) continue;
            const double *q = j->q + i * j->n_first + j->at[k];
            double gradient = 0.0, dx = j->dx[i * x->n_cols + f];
            for (int64_t e = 0; e < width; e++)
                gradient += q[e] * (double)v[e];
            double a = saliency ? fabs(w * gradient) : dx * w * gradient;
            out->mean[k][base + f] += a;
            out->se[k][base + f] += a * a;
            out->away[k][base + f] += dx;
        }
    }
    for (int64_t i = 0; i < x->n_rows; i++)
        out->n_cells[k][class] += !x->row_weight || x->row_weight[i] != 0;
}

/* error holds sums of |difference| until the end, and `n_changes` those of |change|. */
static scw_status add_completeness(attribution *out, double **changes, const job *j,
                                   const model_batch *batch)
{
    scw_status st = SCW_OK;

    for (int64_t i = 0; i < batch->n && j->o->method != ATTRIBUTION_SALIENCY; i++) {
        uint32_t present = 0;
        int s = 0;
        for (int k = 0; k < batch->n_modalities; k++)
            if (!batch->x[k].row_weight || batch->x[k].row_weight[i] != 0) present |= 1u << k;
        while (s < out->n_sets && out->sets[s].modalities != present) s++;
        if (s == out->n_sets) {
            TRY(mem_resize(&out->sets, out->n_sets + 1));
            TRY(mem_resize(changes, out->n_sets + 1));
            out->sets[out->n_sets] = (attribution_completeness){.modalities = present};
            (*changes)[out->n_sets++] = 0.0;
        }
        out->sets[s].n_cells++;
        out->sets[s].error += fabs(j->total[i] - j->change[i]);
        (*changes)[s] += fabs(j->change[i]);
    }
done:
    return st;
}

static scw_status attribute_block(attribution *out, double **changes, job *j, const int64_t *rows,
                                  int64_t n, int64_t class)
{
    scw_status st = SCW_OK;
    model_batch batch;

    TRY(log_check_cancel(j->hooks));
    tape_reset(j->outer, TAPE_EVAL);
    cells_gather(j->outer, j->c, rows, n, &batch);
    TRY(tape_status(j->outer));
    TRY(first_values(j, &batch, j->v));
    TRY(baseline_values(j, &batch, j->v0));
    TRY(integrate(j, &batch, class));
    TRY(add_completeness(out, changes, j, &batch));
    if (j->share) share_credit(j, n);
    for (int k = 0; k < batch.n_modalities; k++)
        accumulate(out, j, &batch.x[k], k, class);
done:
    return st;
}

/* ------------------------------------------------------------------------------ sharing */

/* Covariance of v over the cells that have a class, [p, p]. */
static scw_status covariance_of_first(double **out, job *j, const int32_t *classes)
{
    scw_status st = SCW_OK;
    const int64_t p = j->n_first;
    int64_t rows[BLOCK_ROWS], n = 0;
    double *mean = NULL;
    model_batch batch;

    TRY(mem_new(out, p * p));
    TRY(mem_new(&mean, p));
    for (int64_t i = 0; i < j->c->n; i++)
        n += classes[i] >= 0;
    for (int64_t next = 0; next < j->c->n;) {
        int64_t size = 0;
        TRY(log_check_cancel(j->hooks));
        for (; next < j->c->n && size < j->rows; next++)
            if (classes[next] >= 0) rows[size++] = next;
        if (size == 0) break;
        tape_reset(j->outer, TAPE_EVAL);
        cells_gather(j->outer, j->c, rows, size, &batch);
        TRY(tape_status(j->outer));
        TRY(first_values(j, &batch, j->v));
        PARALLEL_FOR
        for (int64_t a = 0; a < p; a++)
            for (int64_t i = 0; i < size; i++) {
                double x = (double)j->v[i * p + a];
                mean[a] += x / (double)n;
                for (int64_t b = 0; b <= a; b++)
                    (*out)[a * p + b] += x * (double)j->v[i * p + b] / (double)n;
            }
    }
    for (int64_t a = 0; a < p; a++)
        for (int64_t b = 0; b <= a; b++) {
            (*out)[a * p + b] -= mean[a] * mean[b];
            (*out)[b * p + a] = (*out)[a * p + b];
        }
done:
    mem_free(mean);
    return st;
}

/* G = V^T V [p, p]: inner products of the directions that the network reads; those of different
 * modalities have no feature in common. */
static scw_status gram_of_first(double **out, const job *j)
{
    scw_status st = SCW_OK;
    const int64_t p = j->n_first;

    TRY(mem_new(out, p * p));
    for (int k = 0; k < j->m->base.n_modalities; k++) {
        const real *row_weight, *first = first_weight(&j->m->net, k, &row_weight);
        const int64_t width = j->width[k], n_vars = j->m->base.modality[k].features.n;
        PARALLEL_FOR
        for (int64_t a = 0; a < width; a++) {
            double *to = *out + (j->at[k] + a) * p + j->at[k];
            for (int64_t f = 0; f < n_vars; f++) {
                double w = row_weight ? (double)row_weight[f] : 1.0;
                double x = w * w * (double)first[f * width + a];
                for (int64_t b = 0; b < width; b++)
                    to[b] += x * (double)first[f * width + b];
            }
        }
    }
done:
    return st;
}

/* With B = V G^-1/2 orthonormal, a gradient V q = B G^1/2 q and the covariance of B^T x is
 * M = G^-1/2 C G^-1/2 (C that of v). Then B (M / tr M)^1/2 B^T V q = V T q with
 * T = G^-1/2 (M / tr M)^1/2 G^1/2. */
static scw_status build_share(job *j, const int32_t *classes)
{
    scw_status st = SCW_OK;
    const int64_t p = j->n_first, bytes = p * p * (int64_t)sizeof(double);
    double *g = NULL, *inverse = NULL, *c = NULL, *work = NULL, trace = 0.0;

    TRY(covariance_of_first(&c, j, classes));
    TRY(gram_of_first(&g, j));
    TRY(mem_new(&inverse, p * p));
    TRY(mem_new(&work, p * p));
    memcpy(inverse, g, (size_t)bytes);
    TRY(symmetric_power(inverse, p, -0.5));
    TRY(symmetric_power(g, p, 0.5));
    symmetric_multiply(work, inverse, c, p);
    symmetric_multiply(c, work, inverse, p);
    for (int64_t a = 0; a < p; a++)
        trace += c[a * p + a];
    if (!(trace > 0.0))
        FAIL(SCW_EDATA, "the cells are all alike: no feature varies with another; use --method ig");
    for (int64_t a = 0; a < p; a++) /* exactly symmetric again */
        for (int64_t b = 0; b <= a; b++)
            c[a * p + b] = c[b * p + a] = 0.5 * (c[a * p + b] + c[b * p + a]) / trace;
    TRY(symmetric_power(c, p, 0.5));
    symmetric_multiply(work, inverse, c, p);
    TRY(mem_new(&j->share, p * p));
    symmetric_multiply(j->share, work, g, p);
done:
    mem_free(g);
    mem_free(inverse);
    mem_free(c);
    mem_free(work);
    return st;
}

/* ------------------------------------------------------------------------------ the job */

/* Nodes and weights of Gauss and Legendre on (0, 1): roots of the Legendre polynomial by Newton's
 * method from their asymptotic places (DLMF 18.16, 3.5). */
static void gauss_legendre(int64_t n, double *node, double *weight)
{
    for (int64_t i = 0; i < n; i++) {
        double x = cos(M_PI * ((double)i + 0.75) / ((double)n + 0.5)), slope = 1.0;
        for (int turn = 0; turn < 100; turn++) {
            double before = 1.0, value = x;
            for (int64_t k = 2; k <= n; k++) {
                double next = ((2.0 * (double)k - 1.0) * x * value - ((double)k - 1.0) * before) /
                              (double)k;
                before = value;
                value = next;
            }
            slope = (double)n * (x * value - before) / (x * x - 1.0);
            double step = value / slope;
            x -= step;
            if (fabs(step) < 1e-15) break;
        }
        node[i] = 0.5 * (1.0 - x);
        weight[i] = 1.0 / ((1.0 - x * x) * slope * slope);
    }
}

static void job_clear(job *j)
{
    mem_free(j->node);
    mem_free(j->weight);
    mem_free(j->share);
    tape_free(j->outer);
    tape_free(j->inner);
    mem_free(j->v);
    mem_free(j->v0);
    mem_free(j->q);
    mem_free(j->dx);
    mem_free(j->change);
    mem_free(j->total);
}

static scw_status job_init(job *j, const int32_t *classes)
{
    scw_status st = SCW_OK;
    int64_t widest = 1;

    j->p = j->m->net.p;
    j->p.grad = NULL; /* nothing is trained: the model stays as it is */
    for (int k = 0; k < j->m->base.n_modalities; k++) {
        j->width[k] = first_width(&j->m->net, k);
        j->at[k] = j->n_first;
        j->n_first += j->width[k];
        if (j->m->base.modality[k].features.n > widest) widest = j->m->base.modality[k].features.n;
    }
    if (j->n_first > widest) widest = j->n_first;
    j->rows = BLOCK_VALUES / widest;
    if (j->rows > BLOCK_ROWS) j->rows = BLOCK_ROWS;
    if (j->rows < 1) j->rows = 1;
    TRY(mem_new(&j->node, j->o->steps));
    TRY(mem_new(&j->weight, j->o->steps));
    gauss_legendre(j->o->steps, j->node, j->weight);
    TRY(tape_new(&j->outer));
    TRY(tape_new(&j->inner));
    TRY(mem_new(&j->v, j->rows * j->n_first));
    TRY(mem_new(&j->v0, j->rows * j->n_first));
    TRY(mem_new(&j->q, j->rows * j->n_first));
    TRY(mem_new(&j->dx, j->rows * widest));
    TRY(mem_new(&j->change, j->rows));
    TRY(mem_new(&j->total, j->rows));
    if (j->o->method == ATTRIBUTION_SHARED) TRY(build_share(j, classes));
done:
    return st;
}

/* Cells of a class in the order of the file, or a seeded sample of them, in that order too. */
static scw_status class_rows(int64_t **out, int64_t *n, const job *j, const int32_t *classes,
                             int64_t class)
{
    scw_status st = SCW_OK;
    int64_t *all = NULL, *order = NULL, count = 0, kept = 0;
    const int64_t limit = j->o->max_cells;
    uint8_t *keep = NULL;

    *n = 0;
    TRY(mem_new(&all, j->c->n));
    for (int64_t i = 0; i < j->c->n; i++)
        if (classes[i] == class) all[count++] = i;
    if (limit > 0 && count > limit) {
        TRY(mem_new(&order, count));
        TRY(mem_new(&keep, count));
        rng_permutation(order, count, rng_make_key(j->o->seed, RNG_SAMPLE, 0), (uint32_t)class);
        for (int64_t i = 0; i < limit; i++)
            keep[order[i]] = 1;
        for (int64_t i = 0; i < count; i++)
            if (keep[i]) all[kept++] = all[i];
        count = kept;
    }
    *n = count;
    *out = all;
    all = NULL;
done:
    mem_free(all);
    mem_free(order);
    mem_free(keep);
    return st;
}

/* From sums to means, standard errors and relative errors. */
static void finish(attribution *a, const double *changes)
{
    for (int k = 0; k < a->n_modalities; k++)
        for (int64_t e = 0; e < a->n_classes * a->n_vars[k]; e++) {
            double n = (double)a->n_cells[k][e / a->n_vars[k]], sum = a->mean[k][e];
            double squares = fmax(0.0, a->se[k][e] - (n > 0.0 ? sum * sum / n : 0.0));
            a->mean[k][e] = n > 0.0 ? sum / n : 0.0;
            a->se[k][e] = n > 1.0 ? sqrt(squares / (n - 1.0) / n) : NAN;
            a->away[k][e] = n > 0.0 ? a->away[k][e] / n : 0.0;
        }
    for (int s = 0; s < a->n_sets; s++)
        a->sets[s].error = changes[s] > 0.0 ? a->sets[s].error / changes[s] : 0.0;
}

static scw_status make_room(attribution *out, const matilda_model *m)
{
    scw_status st = SCW_OK;

    *out = (attribution){.n_modalities = m->base.n_modalities, .n_classes = m->base.classes.n};
    for (int k = 0; k < m->base.n_modalities; k++) {
        out->n_vars[k] = m->base.modality[k].features.n;
        TRY(mem_new(&out->n_cells[k], out->n_classes));
        TRY(mem_new(&out->mean[k], out->n_classes * out->n_vars[k]));
        TRY(mem_new(&out->se[k], out->n_classes * out->n_vars[k]));
        TRY(mem_new(&out->away[k], out->n_classes * out->n_vars[k]));
    }
done:
    return st;
}

scw_status attribution_compute(attribution *out, const matilda_model *m, const cells *c,
                               const int32_t *classes, const attribution_options *options,
                               const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.m = m, .c = c, .o = options, .hooks = hooks};
    int64_t *rows = NULL, n = 0, n_all = 0;
    double *changes = NULL;

    TRY(make_room(out, m));
    for (int64_t i = 0; i < c->n; i++)
        n_all += classes[i] >= 0;
    if (n_all == 0) FAIL(SCW_EDATA, "there is no cell whose class score could be explained");
    TRY(job_init(&j, classes));
    for (int64_t k = 0; k < m->base.classes.n; k++) {
        mem_free(rows);
        rows = NULL;
        TRY(class_rows(&rows, &n, &j, classes, k));
        for (int64_t from = 0; from < n; from += j.rows)
            TRY(attribute_block(out, &changes, &j, rows + from,
                                n - from < j.rows ? n - from : j.rows, k));
    }
    finish(out, changes);
done:
    mem_free(rows);
    mem_free(changes);
    job_clear(&j);
    if (st != SCW_OK) attribution_clear(out);
    return st;
}

void attribution_clear(attribution *a)
{
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) {
        mem_free(a->n_cells[k]);
        mem_free(a->mean[k]);
        mem_free(a->se[k]);
        mem_free(a->away[k]);
    }
    mem_free(a->sets);
    *a = (attribution){0};
}
