/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/clue_path.h"

#include <math.h>
#include <string.h>


/* The path of modality k, the same variates in every block, of the wanted length. */
static void set_path(clue_net *net, const linear_path *path, int k, double gain)
{
    const clue_config *c = &net->config;
    const int64_t p = c->modality[k].n_in, d = c->z_dim;
    real *s = params_value(&net->p, net->path[k]); /* [K d, p] */

    for (int64_t m = 0; m < c->n_modalities; m++)
        for (int64_t e = 0; e < path->k; e++)
            for (int64_t j = 0; j < p; j++)
                s[(m * d + e) * p + j] = (real)(gain * path->map[k][j * path->k + e]);
}

/* Heads that say nothing yet but what centres the path. */
static void set_heads(clue_net *net, const linear_path *path, int k, double start)
{
    const clue_config *c = &net->config;
    const int64_t p = c->modality[k].n_in, d = c->z_dim;
    const real *s = params_value(&net->p, net->path[k]);

    for (int64_t row = 0; row < c->n_modalities * d; row++) {
        const clue_encoder *e = &net->encoder[k][c->share_encoders ? 0 : row / d];
        const int64_t at = c->share_encoders ? row : row % d;
        double shift = 0.0;
        for (int64_t j = 0; j < p; j++) shift -= (double)s[row * p + j] * path->mean[k][j];
        params_value(&net->p, e->loc.bias)[at] = (real)shift;
        params_value(&net->p, e->std.bias)[at] = (real)log(expm1(start));
    }
    for (int t = 0; t < (c->share_encoders ? 1 : c->n_modalities); t++) {
        const clue_encoder *e = &net->encoder[k][t];
        const int64_t rows = c->share_encoders ? c->n_modalities * d : d;
        const int64_t cols = c->encoder_depth > 0 ? c->encoder_width : p;
        memset(params_value(&net->p, e->loc.weight), 0, (size_t)(rows * cols) * sizeof(real));
        memset(params_value(&net->p, e->std.weight), 0, (size_t)(rows * cols) * sizeof(real));
    }
}

void clue_path_set(clue_net *net, const linear_path *path, double gain, double start)
{
    double size = 0.0;

    /* A variate has a variance of about 1 / K before its weight, and stands in K blocks. */
    for (int64_t e = 0; e < path->k; e++) size += path->weight[e] * path->weight[e];
    for (int k = 0; k < net->config.n_modalities; k++) {
        set_path(net, path, k, size > 0.0 ? gain / sqrt(size) : 0.0);
        set_heads(net, path, k, start);
    }
}
