/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/subsets.h"

#include <stdio.h>
#include <string.h>

static bool has(uint32_t mask, int m)
{
    return (mask >> m & 1u) != 0;
}

void subset_name(char out[SUBSET_NAME], const matilda_config *c, uint32_t mask)
{
    size_t at = 0;

    out[0] = '\0';
    for (int m = 0; m < c->n_modalities && at < SUBSET_NAME; m++)
        if (has(mask, m))
            at += (size_t)snprintf(out + at, SUBSET_NAME - at, "%s%s", at > 0 ? "+" : "",
                                   c->modality[m].name);
}

/* ------------------------------------------------------------------------------- parameters */

static scw_status add_map(params *p, int *weight, int *bias, int subset, const char *what,
                          int64_t n_out, int64_t width)
{
    scw_status st = SCW_OK;
    const int64_t shape[2] = {n_out, width};
    char name[64];

    (void)snprintf(name, sizeof name, "subset.%d.%s.weight", subset, what);
    TRY(params_add(p, weight, name, 2, shape, PARAM_ZERO, 0, 0, false, 0));
    (void)snprintf(name, sizeof name, "subset.%d.%s.bias", subset, what);
    TRY(params_add(p, bias, name, 1, shape, PARAM_ZERO, 0, 0, false, 0));
done:
    return st;
}

scw_status subsets_init(subsets *s, const matilda_config *c, const uint32_t *mask, int n)
{
    scw_status st = SCW_OK;

    *s = (subsets){.n = n};
    for (int k = 0; k < n; k++) {
        subset_path *path = &s->at[k];
        *path = (subset_path){.mask = mask[k], .calibration = {.temperature = 1.0}};
        for (int m = 0; m < c->n_modalities; m++)
            path->width += has(mask[k], m) ? c->modality[m].n_components : 0;
        TRY(add_map(&s->p, &path->answer, &path->bias, k, "answer", c->n_classes, path->width));
        TRY(add_map(&s->p, &path->latent, &path->centre, k, "latent", c->z_dim, path->width));
    }
    TRY(params_build(&s->p, 0));
done:
    if (st != SCW_OK) subsets_clear(s);
    return st;
}

void subsets_clear(subsets *s)
{
    for (int k = 0; k < s->n; k++) calibration_clear(&s->at[k].calibration);
    params_clear(&s->p);
    *s = (subsets){0};
}

/* ---------------------------------------------------------------------------------- answers */

int subsets_find(const subsets *s, uint32_t mask)
{
    for (int k = 0; k < s->n; k++)
        if (s->at[k].mask == mask) return k;
    return -1;
}

/* out [n_out] = W u_s + b */
static void map(float *out, const subsets *s, const subset_path *path, int weight, int bias,
                int64_t n_out, const matilda_config *c, tensor *const *v, int64_t i)
{
    const real *b = params_value(&s->p, bias);

    for (int64_t a = 0; a < n_out; a++) {
        const real *w = params_value(&s->p, weight) + a * path->width;
        double sum = (double)b[a];
        for (int m = 0; m < c->n_modalities; m++) {
            if (!has(path->mask, m)) continue;
            const int64_t width = c->modality[m].n_components;
            const real *u = v[m]->value + i * width;
            for (int64_t j = 0; j < width; j++) sum += (double)w[j] * (double)u[j];
            w += width;
        }
        out[a] = (float)sum;
    }
}

void subset_path_apply(const subsets *s, int k, const matilda_config *c, tensor *const *v, int64_t i,
                       float *logits, float *latent)
{
    const subset_path *path = &s->at[k];

    if (logits) map(logits, s, path, path->answer, path->bias, c->n_classes, c, v, i);
    if (latent) map(latent, s, path, path->latent, path->centre, c->z_dim, c, v, i);
}
