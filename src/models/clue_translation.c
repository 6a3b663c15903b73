/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/clue_translation.h"

#include <math.h>

/* theta of a feature in a batch; on average over the batches, as logarithm, where there is none. */
static double shape_of(const clue_net *net, const nn_pass *pass, int to, int64_t j, int32_t batch)
{
    const int64_t n_vars = net->config.modality[to].n_vars;
    const int64_t n = net->config.n_batches > 1 ? net->config.n_batches : 1;
    const real *log_shape = params_value(pass->p, net->decoder[to].log_shape);
    double sum = 0.0;

    if (n == 1) return exp((double)log_shape[j]);
    if (batch >= 0) return exp((double)log_shape[batch * n_vars + j]);
    for (int64_t b = 0; b < n; b++) sum += (double)log_shape[b * n_vars + j];
    return exp(sum / (double)n);
}

static double deviation_of(const clue_net *net, const nn_pass *pass, int to, int64_t j, int32_t batch,
                           double mean)
{
    switch (net->config.modality[to].likelihood) {
    case CLUE_NB: return sqrt(mean + mean * mean / shape_of(net, pass, to, j, batch));
    case CLUE_BERNOULLI: return sqrt(mean * (1.0 - mean));
    case CLUE_NORMAL: break;
    }
    return 1.0;
}

scw_status clue_translate(clue_translation *out, const clue_model *m, const nn_pass *pass,
                          const clue_batch *batch, int from, int to)
{
    scw_status st = SCW_OK;
    const clue_net *net = &m->net;
    const int64_t n_vars = net->config.modality[to].n_vars;
    const clue_slot *slot = &batch->slot[from];
    tape *t = pass->t;
    clue_outputs o = {0};

    clue_encode(net, pass, batch, from, &o);
    tensor *library = o.library[from] ? op_slice(t, o.library[from], to, to + 1) : NULL;
    tensor *decoded = clue_decode(net, pass, to, o.unit[from], library, slot->batch, 0);
    real *deviation = tape_alloc(t, batch->n * n_vars, sizeof *deviation);
    TRY(tape_status(t));
    *out = (clue_translation){batch->n, n_vars, decoded->value, deviation};
    for (int64_t i = 0; i < batch->n; i++)
        for (int64_t j = 0; j < n_vars; j++) {
            real *v = &decoded->value[i * n_vars + j];
            if (net->config.modality[to].likelihood == CLUE_BERNOULLI)
                *v = (real)(1.0 / (1.0 + exp(-(double)*v)));
            deviation[i * n_vars + j] = (real)deviation_of(
                net, pass, to, j, slot->batch ? slot->batch[i] : -1, (double)*v);
        }
done:
    return st;
}

int clue_level(double share)
{
    for (int q = 0; q < CLUE_LEVELS; q++)
        if (clue_levels[q] >= share - 1e-9) return q;
    return -1;
}

void clue_translation_bounds(float *low, float *high, const clue_translation *t, const clue_model *m,
                             int from, int to, int at)
{
    const float *q = m->spread[from][to] + at * t->n_vars;
    const clue_likelihood kind = m->net.config.modality[to].likelihood;

    for (int64_t e = 0; e < t->n * t->n_vars; e++) {
        const double half = (double)q[e % t->n_vars] * (double)t->deviation[e];
        const double below = (double)t->mean[e] - half, above = (double)t->mean[e] + half;
        low[e] = (float)(kind == CLUE_NORMAL ? below : fmax(0.0, below));
        high[e] = (float)(kind == CLUE_BERNOULLI ? fmin(1.0, above) : above);
    }
}
