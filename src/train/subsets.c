/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/subsets.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/log.h"
#include "train/inputs.h"
#include "train/shortcut.h"

#define FEWEST_CELLS 10
#define RIDGE 0.01 /* of the map to mu, in units of the inputs' mean variance */

static bool has(uint32_t mask, int m)
{
    return (mask >> m & 1u) != 0;
}

/* Projected inputs of the rows, the columns of the mask's modalities alone. */
static scw_status gather(inputs *x, const matilda_model *m, uint32_t mask, const cells *c,
                         const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t at[MODEL_MAX_MODALITIES], p = 0;

    TRY(inputs_gather(x, m, c, rows, n));
    for (int k = 0; k < m->base.n_modalities; k++) {
        at[k] = has(mask, k) ? p : -1;
        p += has(mask, k) ? m->net.config.modality[k].n_components : 0;
    }
    /* Columns move to the left only, and a row never past where it stood. */
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < m->base.n_modalities; k++)
            if (at[k] >= 0)
                memmove(x->u + i * p + at[k], x->u + i * x->p + x->from[k],
                        (size_t)m->net.config.modality[k].n_components * sizeof *x->u);
    memcpy(x->from, at, (size_t)m->base.n_modalities * sizeof *at);
    x->p = p;
done:
    return st;
}

/* ------------------------------------------------------------------------------------ plan */

static bool enough(const cells *c, const int64_t *rows, int64_t n)
{
    bool two = false;

    for (int64_t i = 1; i < n; i++) two = two || c->labels[rows[i]] != c->labels[rows[0]];
    return two && n >= FEWEST_CELLS;
}

/* Does a modality of the mask say anything? One that the shortcut turned down to nothing does not. */
static bool speaks(const inputs *x)
{
    for (int64_t e = 0; e < x->n * x->p; e++)
        if (x->u[e] < 0.0f || x->u[e] > 0.0f) return true;
    return false;
}

static bool wanted(const matilda_model *m)
{
    if (!m->options.subsets || m->base.n_modalities < 2 ||
        m->base.n_modalities > SUBSETS_MAX_MODALITIES)
        return false;
    for (int k = 0; k < m->base.n_modalities; k++)
        if (m->net.shortcut[k] < 0) return false;
    return true;
}

scw_status subsets_plan(matilda_model *m, const cells *c, const int64_t *rows, int64_t n,
                        uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    uint32_t mask[SUBSETS_MAX];
    double penalty[SUBSETS_MAX];
    int64_t *listed = NULL, n_listed;
    inputs x = {0};
    int n_masks = 0;

    subsets_clear(&m->subsets);
    if (!wanted(m)) return SCW_OK;
    for (uint32_t s = 1; s + 1 < 1u << m->base.n_modalities; s++) {
        char name[SUBSET_NAME];
        shortcut_choice choice;
        TRY(cells_with(&listed, &n_listed, s, c, rows, n));
        if (enough(c, listed, n_listed)) {
            TRY(gather(&x, m, s, c, listed, n_listed));
            if (speaks(&x)) {
                TRY(shortcut_judge_inputs(&choice, m, &x, seed));
                subset_name(name, &m->net.config, s);
                log_detail(hooks, "cells with %s alone: log loss %.4f at C %g", name,
                           choice.log_loss, choice.c);
                mask[n_masks] = s;
                penalty[n_masks++] = choice.c;
            }
            inputs_clear(&x);
        }
        mem_free(listed);
        listed = NULL;
        TRY(log_check_cancel(hooks));
    }
    if (n_masks == 0) goto done;
    TRY(subsets_init(&m->subsets, &m->net.config, mask, n_masks));
    for (int k = 0; k < n_masks; k++) m->subsets.at[k].penalty = penalty[k];
done:
    inputs_clear(&x);
    mem_free(listed);
    return st;
}

/* ------------------------------------------------------------------------------------- fit */

/* S_s = W T and its bias. */
static scw_status fit_answer(matilda_model *m, int k, const cells *c, const int64_t *rows,
                             int64_t n)
{
    scw_status st = SCW_OK;
    const subset_path *path = &m->subsets.at[k];
    real *weight = params_value(&m->subsets.p, path->answer);
    real *bias = params_value(&m->subsets.p, path->bias);
    inputs x = {0};
    double *t = NULL;
    logistic fit = {0};

    TRY(gather(&x, m, path->mask, c, rows, n));
    TRY(shortcut_regress(&t, &fit, m, &x, path->penalty));
    for (int64_t q = 0; q < m->base.classes.n; q++) {
        bias[q] = (real)shortcut_bias(&fit, q);
        for (int64_t j = 0; j < x.p; j++) {
            double sum = 0.0;
            for (int64_t a = 0; a < x.p; a++) sum += fit.weight[q * x.p + a] * t[a * x.p + j];
            weight[q * x.p + j] = (real)sum;
        }
    }
done:
    inputs_clear(&x);
    mem_free(t);
    logistic_clear(&fit);
    return st;
}

/* Subtracts the mean of each column, which goes to mean [p]. */
static void centre(double *v, double *mean, int64_t n, int64_t p)
{
    for (int64_t j = 0; j < p; j++) {
        mean[j] = 0.0;
        for (int64_t i = 0; i < n; i++) mean[j] += v[i * p + j] / (double)n;
        for (int64_t i = 0; i < n; i++) v[i * p + j] -= mean[j];
    }
}

/* b [p, d] = (u^T u + ridge I)^-1 u^T mu, all centred; u [n, p], mu [n, d]. */
static scw_status ridge(double *b, const double *u, const double *mu, int64_t n, int64_t p,
                        int64_t d)
{
    scw_status st = SCW_OK;
    double *gram = NULL, trace = 0.0;

    TRY(mem_new(&gram, p * p));
    dense_product(&(dense_shape){.trans_a = true, .m = p, .n = p, .k = n, .ld_a = p, .ld_b = p,
                                 .ld_c = p, .alpha = 1.0},
                  u, u, gram);
    dense_product(&(dense_shape){.trans_a = true, .m = p, .n = d, .k = n, .ld_a = p, .ld_b = d,
                                 .ld_c = d, .alpha = 1.0},
                  u, mu, b);
    for (int64_t j = 0; j < p; j++) trace += gram[j * p + j];
    for (int64_t j = 0; j < p; j++)
        gram[j * p + j] += trace > 0.0 ? RIDGE * trace / (double)p : 1.0;
    int before = dense_enter();
    lapack_int info = LAPACKE_dposv(LAPACK_ROW_MAJOR, 'U', (lapack_int)p, (lapack_int)d, gram,
                                    (lapack_int)p, b, (lapack_int)d);
    dense_leave(before);
    if (info != 0)
        FAIL(SCW_ENUMERIC, "the embedding of incomplete cells cannot be fitted: singular inputs");
done:
    mem_free(gram);
    return st;
}

/* L_s and l_s: mu of the network against u_s. */
static scw_status fit_latent(matilda_model *m, int k, const cells *c, const int64_t *rows,
                             int64_t n)
{
    scw_status st = SCW_OK;
    const subset_path *path = &m->subsets.at[k];
    const int64_t d = m->options.z_dim, p = path->width;
    real *weight = params_value(&m->subsets.p, path->latent);
    real *bias = params_value(&m->subsets.p, path->centre);
    inputs x = {0};
    float *latent = NULL;
    double *u = NULL, *mu = NULL, *b = NULL, *mean_u = NULL, *mean_mu = NULL;

    TRY(gather(&x, m, path->mask, c, rows, n));
    TRY(mem_new(&latent, n * d));
    TRY(matilda_infer_as(m, MATILDA_AS_NETWORK, c, rows, n, NULL, latent));
    TRY(mem_new(&u, n * p));
    TRY(mem_new(&mu, n * d));
    TRY(mem_new(&b, p * d));
    TRY(mem_new(&mean_u, p));
    TRY(mem_new(&mean_mu, d));
    for (int64_t e = 0; e < n * p; e++) u[e] = (double)x.u[e];
    for (int64_t e = 0; e < n * d; e++) mu[e] = (double)latent[e];
    centre(u, mean_u, n, p);
    centre(mu, mean_mu, n, d);
    TRY(ridge(b, u, mu, n, p, d));
    for (int64_t z = 0; z < d; z++) {
        double start = mean_mu[z];
        for (int64_t j = 0; j < p; j++) {
            weight[z * p + j] = (real)b[j * d + z];
            start -= mean_u[j] * b[j * d + z];
        }
        bias[z] = (real)start;
    }
done:
    inputs_clear(&x);
    mem_free(latent);
    mem_free(u);
    mem_free(mu);
    mem_free(b);
    mem_free(mean_u);
    mem_free(mean_mu);
    return st;
}

scw_status subsets_fit(matilda_model *m, const cells *c, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const uint32_t whole = (1u << m->base.n_modalities) - 1u;
    int64_t *listed = NULL, *complete = NULL, n_listed, n_complete;

    for (int k = 0; k < m->subsets.n; k++) {
        const subset_path *path = &m->subsets.at[k];
        TRY(cells_with(&listed, &n_listed, path->mask, c, rows, n));
        TRY(cells_with(&complete, &n_complete, whole, c, rows, n));
        bool few = n_complete < 2 * path->width;
        if (n_listed > 0) {
            TRY(fit_answer(m, k, c, listed, n_listed));
            TRY(fit_latent(m, k, c, few ? listed : complete, few ? n_listed : n_complete));
        }
        mem_free(listed);
        mem_free(complete);
        listed = complete = NULL;
    }
done:
    mem_free(listed);
    mem_free(complete);
    return st;
}
