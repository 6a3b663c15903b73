/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/batch_removal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "prep/symmetric.h"
#include "train/inputs.h"

#define FEWEST_CELLS 2 /* of a class in a batch that say where it lies there */
#define RIDGE 1e-3     /* of S_w, in units of its mean variance */

/* The cells of one modality, sorted into groups: one a class and batch. */
typedef struct groups {
    int64_t n_classes, n_batches, width;
    double *mean;  /* [C * B, K] */
    double *count; /* [C * B] */
    double n;      /* cells that count: their group is large enough */
    bool shared;   /* a class is in two batches */
} groups;

static void groups_clear(groups *g)
{
    mem_free(g->mean);
    mem_free(g->count);
    *g = (groups){0};
}

/* Group of row i of x, -1: it lacks the modality. */
static int64_t group_of(const groups *g, const inputs *x, const cells *c, const int64_t *rows, int k,
                        int64_t i)
{
    if ((cells_mask(c, rows[i]) >> k & 1u) == 0) return -1;
    return x->labels[i] * g->n_batches + c->known_batch[rows[i]];
}

static scw_status find_groups(groups *g, const matilda_model *m, const inputs *x, const cells *c,
                              const int64_t *rows, int k)
{
    scw_status st = SCW_OK;
    const int64_t width = m->net.config.modality[k].n_components;

    *g = (groups){.n_classes = m->base.classes.n, .n_batches = m->base.batches.n, .width = width};
    TRY(mem_new(&g->mean, g->n_classes * g->n_batches * width));
    TRY(mem_new(&g->count, g->n_classes * g->n_batches));
    for (int64_t i = 0; i < x->n; i++) {
        const int64_t q = group_of(g, x, c, rows, k, i);
        if (q < 0) continue;
        g->count[q]++;
        for (int64_t j = 0; j < width; j++)
            g->mean[q * width + j] += (double)x->u[i * x->p + x->from[k] + j];
    }
    for (int64_t class = 0; class < g->n_classes; class++) {
        double cells_here = 0.0, n_groups = 0.0;
        for (int64_t q = class * g->n_batches; q < (class + 1) * g->n_batches; q++) {
            for (int64_t j = 0; j < width && g->count[q] > 0.0; j++)
                g->mean[q * width + j] /= g->count[q];
            if (g->count[q] < FEWEST_CELLS) g->count[q] = 0.0;
            cells_here += g->count[q];
            n_groups += g->count[q] > 0.0;
        }
        g->n += cells_here;
        g->shared = g->shared || n_groups > 1.0;
    }
done:
    return st;
}

/* s [K, K] += weight v v^T, of the lower triangle. */
static void add_square(double *s, const double *v, double weight, int64_t width)
{
    for (int64_t a = 0; a < width; a++)
        for (int64_t b = 0; b <= a; b++) s[a * width + b] += weight * v[a] * v[b];
}

static void mirror(double *s, int64_t width)
{
    for (int64_t a = 0; a < width; a++)
        for (int64_t b = 0; b < a; b++) s[b * width + a] = s[a * width + b];
}

/* S_w, with its ridge. */
static void within(double *s, double *v, const groups *g, const inputs *x, const cells *c,
                   const int64_t *rows, int k)
{
    const int64_t width = g->width;
    double trace = 0.0;

    for (int64_t i = 0; i < x->n; i++) {
        const int64_t q = group_of(g, x, c, rows, k, i);
        if (q < 0 || !(g->count[q] > 0.0)) continue;
        for (int64_t j = 0; j < width; j++)
            v[j] = (double)x->u[i * x->p + x->from[k] + j] - g->mean[q * width + j];
        add_square(s, v, 1.0 / g->n, width);
    }
    for (int64_t a = 0; a < width; a++) trace += s[a * width + a];
    for (int64_t a = 0; a < width; a++)
        s[a * width + a] += trace > 0.0 ? RIDGE * trace / (double)width : 1.0;
    mirror(s, width);
}

/* S_b. */
static void between(double *s, double *v, double *centre, const groups *g)
{
    const int64_t width = g->width;

    for (int64_t class = 0; class < g->n_classes; class++) {
        const int64_t first = class * g->n_batches;
        double n = 0.0;
        memset(centre, 0, (size_t)width * sizeof *centre);
        for (int64_t q = first; q < first + g->n_batches; q++) {
            n += g->count[q];
            for (int64_t j = 0; j < width; j++) centre[j] += g->count[q] * g->mean[q * width + j];
        }
        for (int64_t q = first; q < first + g->n_batches; q++) {
            if (!(g->count[q] > 0.0)) continue;
            for (int64_t j = 0; j < width; j++) v[j] = g->mean[q * width + j] - centre[j] / n;
            add_square(s, v, g->count[q] / g->n, width);
        }
    }
    mirror(s, width);
}

/* t = S_w^-1/2 (I + weight L)^-1/2 S_w^1/2. */
static scw_status shrinkage(double *t, const double *s_w, const double *s_b, int64_t width,
                            double weight)
{
    scw_status st = SCW_OK;
    const int64_t size = width * width;
    double *whiten = NULL, *colour = NULL, *part = NULL, *l = NULL;

    TRY(mem_new(&whiten, size));
    TRY(mem_new(&colour, size));
    TRY(mem_new(&part, size));
    TRY(mem_new(&l, size));
    memcpy(whiten, s_w, (size_t)size * sizeof *whiten);
    memcpy(colour, s_w, (size_t)size * sizeof *colour);
    TRY(symmetric_power(whiten, width, -0.5));
    TRY(symmetric_power(colour, width, 0.5));
    symmetric_multiply(part, whiten, s_b, width);
    symmetric_multiply(l, part, whiten, width);
    for (int64_t a = 0; a < width; a++) /* rounding leaves it not quite symmetric */
        for (int64_t b = 0; b < a; b++)
            l[a * width + b] = l[b * width + a] = 0.5 * (l[a * width + b] + l[b * width + a]);
    for (int64_t e = 0; e < size; e++) l[e] *= weight;
    for (int64_t a = 0; a < width; a++) l[a * width + a] += 1.0;
    TRY(symmetric_power(l, width, -0.5));
    symmetric_multiply(part, whiten, l, width);
    symmetric_multiply(t, part, colour, width);
done:
    mem_free(whiten);
    mem_free(colour);
    mem_free(part);
    mem_free(l);
    return st;
}

/* P_m <- s P_m T, with s such that u_m keeps its total variance. */
static scw_status turn(matilda_model *m, const double *t, const inputs *x, int k)
{
    scw_status st = SCW_OK;
    const int64_t width = m->net.config.modality[k].n_components;
    const int64_t n_vars = m->net.config.modality[k].n_vars;
    real *p = params_value(&m->net.p, m->net.projection[k]);
    double *row = NULL, *sum = NULL, before = 0.0, after = 0.0;

    TRY(mem_new(&row, width));
    TRY(mem_new(&sum, 2 * width));
    for (int64_t i = 0; i < x->n; i++) {
        const float *u = x->u + i * x->p + x->from[k];
        for (int64_t j = 0; j < width; j++) {
            double v = 0.0;
            for (int64_t q = 0; q < width; q++) v += (double)u[q] * t[q * width + j];
            sum[j] += (double)u[j];
            sum[width + j] += v;
            before += (double)u[j] * (double)u[j];
            after += v * v;
        }
    }
    for (int64_t j = 0; j < width; j++) {
        before -= sum[j] * sum[j] / (double)x->n;
        after -= sum[width + j] * sum[width + j] / (double)x->n;
    }
    const double scale = after > 0.0 ? sqrt(before / after) : 1.0;
    for (int64_t f = 0; f < n_vars; f++) {
        for (int64_t j = 0; j < width; j++) {
            row[j] = 0.0;
            for (int64_t q = 0; q < width; q++) row[j] += (double)p[f * width + q] * t[q * width + j];
        }
        for (int64_t j = 0; j < width; j++) p[f * width + j] = (real)(scale * row[j]);
    }
done:
    mem_free(row);
    mem_free(sum);
    return st;
}

static scw_status remove_from(matilda_model *m, int k, const inputs *x, const cells *c,
                              const int64_t *rows, double weight)
{
    scw_status st = SCW_OK;
    const int64_t width = m->net.config.modality[k].n_components;
    groups g = {0};
    double *s_w = NULL, *s_b = NULL, *t = NULL, *v = NULL;

    TRY(find_groups(&g, m, x, c, rows, k));
    if (!g.shared) goto done;
    TRY(mem_new(&s_w, width * width));
    TRY(mem_new(&s_b, width * width));
    TRY(mem_new(&t, width * width));
    TRY(mem_new(&v, 2 * width));
    within(s_w, v, &g, x, c, rows, k);
    between(s_b, v, v + width, &g);
    TRY(shrinkage(t, s_w, s_b, width, weight));
    TRY(turn(m, t, x, k));
done:
    groups_clear(&g);
    mem_free(s_w);
    mem_free(s_b);
    mem_free(t);
    mem_free(v);
    return st;
}

scw_status batch_removal_fit(matilda_model *m, const cells *c, const int64_t *rows, int64_t n,
                             double weight)
{
    scw_status st = SCW_OK;
    inputs x = {0};

    TRY(inputs_gather(&x, m, c, rows, n));
    for (int k = 0; k < m->base.n_modalities; k++)
        if (x.from[k] >= 0) TRY(remove_from(m, k, &x, c, rows, weight));
done:
    inputs_clear(&x);
    return st;
}
