/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/divergence.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define KEEP 0.98 /* of the smoothed loss, a step */
#define TIMES 10.0
#define PATIENCE 100 /* steps in a row */

/* ------------------------------------------------------------------------------- parameters */

/* One comparison a value and no early way out, so that the loop is a vector loop. */
static bool all_finite(const real *value, int64_t n)
{
    int bad = 0;

    for (int64_t i = 0; i < n; i++) {
        real zero_or_nan = value[i] - value[i];
        bad |= zero_or_nan != 0;
    }
    return !bad;
}

const char *divergence_bad_parameter(const params *p, const real *value, int64_t n)
{
    if (all_finite(value, n)) return NULL;
    for (int k = 0; k < p->n && p->at[k].offset < n; k++)
        if (!all_finite(value + p->at[k].offset, p->at[k].size)) return p->at[k].name;
    return "(padding)";
}

/* --------------------------------------------------------------------------------- features */

/* Squared error of each feature over the batch, added to error [F]. */
static void feature_errors(double *error, const affine_sparse *x, const real *p)
{
    for (int64_t i = 0; i < x->n_rows; i++) {
        if (x->row_weight && x->row_weight[i] == 0) continue;
        double a = x->row_scale ? (double)x->row_scale[i] : 1.0;
        double b = x->row_shift ? (double)x->row_shift[i] : 0.0;
        int64_t at = x->indptr[i];
        for (int64_t j = 0; j < x->n_cols; j++) {
            double v = b + (x->col_shift ? (double)x->col_shift[j] : 0.0);
            if (at < x->indptr[i + 1] && x->indices[at] == j)
                v += a * (x->col_scale ? (double)x->col_scale[j] : 1.0) * (double)x->values[at++];
            double d = (double)p[i * x->n_cols + j] - v;
            error[j] += isfinite(d) ? d * d : INFINITY;
        }
    }
}

/* Size of each feature's largest value in the batch, into most [F]. */
static void feature_sizes(double *most, const affine_sparse *x)
{
    for (int64_t i = 0; i < x->n_rows; i++)
        for (int64_t at = x->indptr[i]; at < x->indptr[i + 1]; at++)
            most[x->indices[at]] = fmax(most[x->indices[at]], fabs((double)x->values[at]));
}

typedef struct culprit {
    int modality; /* -1: none */
    int64_t feature;
    double measure;      /* squared error of the batch, or largest value */
    bool reconstruction; /* by its error; else, where there is no reconstruction, by its size */
} culprit;

/* A step does without reconstructions; here they are wanted, whatever they cost. */
static const model_outputs *decoded(const divergence_step *s, model_outputs *again)
{
    if (!s->net || s->out->recon[0]) return s->out;
    s->net->forward(s->net->self, s->pass, s->batch, true, again);
    return again->recon[0] ? again : s->out;
}

static scw_status find_culprit(culprit *out, const divergence_step *s)
{
    scw_status st = SCW_OK;
    double *measure = NULL;
    model_outputs again;
    const model_outputs *found = decoded(s, &again);

    *out = (culprit){.modality = -1};
    for (int m = 0; m < s->batch->n_modalities; m++) {
        const affine_sparse *x = &s->batch->x[m];
        const tensor *p = found->recon[m];
        out->reconstruction = p && p->size == x->n_rows * x->n_cols;
        mem_free(measure);
        TRY(mem_new(&measure, x->n_cols));
        if (out->reconstruction)
            feature_errors(measure, x, p->value);
        else
            feature_sizes(measure, x);
        for (int64_t j = 0; j < x->n_cols; j++) {
            if (measure[j] <= out->measure) continue;
            out->measure = measure[j];
            out->modality = m;
            out->feature = j;
        }
    }
done:
    mem_free(measure);
    return st;
}

static scw_status name_culprit(const culprit *c, const divergence_step *s, textbuf *why)
{
    scw_status st = SCW_OK;
    const char *modality = NULL, *feature = NULL;

    if (c->reconstruction)
        TRY(text_add(why, "; the reconstruction is farthest off in "));
    else
        TRY(text_add(why, "; the largest value of the batch is %g, in ", c->measure));
    if (s->names) s->names->feature(s->names->self, c->modality, c->feature, &modality, &feature);
    if (feature)
        TRY(text_add(why, "feature '%s' of modality '%s'", feature, modality));
    else
        TRY(text_add(why, "feature %lld of modality %d", (long long)c->feature, c->modality));
done:
    return st;
}

/* Running statistics are not asked: this very batch has gone into them. */
static scw_status blame(const divergence_step *s, textbuf *why)
{
    scw_status st = SCW_OK;
    const char *parameter = divergence_bad_parameter(s->p, s->p->value, s->p->n_trainable);
    culprit found;

    if (parameter) return text_add(why, "; parameter '%s' is not finite", parameter);
    TRY(find_culprit(&found, s));
    if (found.modality >= 0) TRY(name_culprit(&found, s, why));
done:
    return st;
}

/* ------------------------------------------------------------------------------------- loss */

static void smooth(divergence_watch *w, int k, double v)
{
    double n = (double)w->n_steps, keep = fmin(KEEP, n / (n + 1.0));

    w->smooth[k] = n > 0.0 ? keep * w->smooth[k] + (1.0 - keep) * v : v;
    w->best[k] = n > 0.0 ? fmin(w->best[k], w->smooth[k]) : v;
}

/* The part that has grown most against its best. */
static int grown_part(const divergence_watch *w, const double *value)
{
    int worst = 0;
    double most = -INFINITY;

    for (int k = 0; k < w->n_parts; k++) {
        double growth = (value[k] - w->best[k]) / (fabs(w->best[k]) + 1e-12);
        if (growth <= most) continue;
        most = growth;
        worst = k;
    }
    return worst;
}

/* Position of the first value that is not finite, or n. */
static int first_bad(const double *value, int n)
{
    int k = 0;

    while (k < n && isfinite(value[k])) k++;
    return k;
}

scw_status divergence_follow(divergence_watch *w, const divergence_step *s, textbuf *why)
{
    scw_status st = SCW_OK;
    const int n = s->losses->n;
    double value[MODEL_MAX_LOSSES + 1];

    for (int k = 0; k < n; k++)
        value[k] = (double)s->losses->part[k]->value[0];
    value[n] = (double)s->losses->total->value[0];
    int bad = first_bad(value, n + 1);
    if (bad <= n) {
        const char *what = isnan(value[bad]) ? "not a number" : "infinite";
        if (bad < n)
            TRY(text_add(why, "the loss '%s' is %s", s->losses->name[bad], what));
        else
            TRY(text_add(why, "the loss is %s", what));
        TRY(blame(s, why));
        goto done;
    }
    w->n_parts = n;
    for (int k = 0; k <= n; k++)
        smooth(w, k, value[k]);
    if (w->n_steps++ == 0) w->first = value[n];
    double best = w->best[n];
    bool high = value[n] > best + TIMES * fmax(fabs(best), fabs(w->first - best));
    w->n_high = high ? w->n_high + 1 : 0;
    if (w->n_high < PATIENCE) goto done;
    TRY(text_add(why, "the loss stays far above its best (%.4g, it was %.4g), most of all '%s'",
                 value[n], best, s->losses->name[grown_part(w, value)]));
    TRY(blame(s, why));
done:
    return st;
}
