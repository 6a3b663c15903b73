/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference decoder of counts: row by row, summed in double. With p = softmax(eta), l the library and G = d loss /
 * d mu = (s + x) / (s + mu) - x / mu:
 *
 *     nb          d loss / d library = sum_j G_j p_j = D      d / d eta = l p (G - D)
 *                 d / d log s = s (log(1 + mu/s) + (x - mu) / (s + mu))
 *     bernoulli   d / d eta = 1 / (1 + exp(-eta)) - [x > 0]
 *
 * log(1 + exp(eta)) is max(eta, 0) + log(1 + exp(-|eta|)), which cannot overflow. */
#include <math.h>
#include <stddef.h>

#include "kernel/table.h"

enum { LARGEST, OVER_SUM, D_LIBRARY, N_FACTS };

/* One row of X, entry by entry in the order of the columns. */
typedef struct reader {
    const affine_sparse *x;
    int64_t at, end;
} reader;

static double next_value(reader *r, int64_t j)
{
    return r->at < r->end && r->x->indices[r->at] == j ? (double)r->x->values[r->at++] : 0.0;
}

static reader read_row(const affine_sparse *x, int64_t i)
{
    return (reader){x, x->indptr[i], x->indptr[i + 1]};
}

static bool present(const affine_sparse *x, int64_t i)
{
    return !x->row_weight || x->row_weight[i] != 0;
}

/* Row i's place in [n_batches, F]. */
static int64_t features_of(const kernel_counts *c, int64_t i)
{
    return c->batch ? c->batch[i] * c->x->n_cols : 0;
}

static double scale_at(const kernel_counts *c, int64_t bj)
{
    return c->scale ? (double)c->scale[bj] : 1.0;
}

static double eta_at(const kernel_counts *c, int64_t i, int64_t j)
{
    const int64_t bj = features_of(c, i) + j;

    return scale_at(c, bj) * (double)c->logits[i * c->x->n_cols + j] +
           (c->shift ? (double)c->shift[bj] : 0.0) + (c->offset ? (double)c->offset[i] : 0.0);
}

static double share_at(const kernel_counts *c, int64_t i, int64_t j)
{
    const real *fact = c->facts + i * N_FACTS;
    return exp(eta_at(c, i, j) - (double)fact[LARGEST]) * (double)fact[OVER_SUM];
}

static void fill_logits(const kernel_counts *c)
{
    const int64_t f = c->x->n_cols;

    for (int64_t i = 0; i < c->x->n_rows; i++)
        for (int64_t j = 0; j < f; j++) {
            double sum = c->bias ? (double)c->bias[j] : 0.0;
            for (int64_t e = 0; e < c->width; e++)
                sum += (double)c->z[i * c->width + e] * (double)c->weight[j * c->width + e];
            c->logits[i * f + j] = (real)sum;
        }
}

static double bernoulli_row(const kernel_counts *c, int64_t i)
{
    reader x = read_row(c->x, i);
    double loss = 0.0;

    for (int64_t j = 0; j < c->x->n_cols; j++) {
        const double eta = eta_at(c, i, j);
        loss += fmax(eta, 0.0) + log1p(exp(-fabs(eta))) - (next_value(&x, j) > 0.0 ? eta : 0.0);
    }
    return loss;
}

static void normalise_row(const kernel_counts *c, int64_t i)
{
    real *fact = c->facts + i * N_FACTS;
    double most = -INFINITY, sum = 0.0;

    for (int64_t j = 0; j < c->x->n_cols; j++)
        if (eta_at(c, i, j) > most) most = eta_at(c, i, j);
    for (int64_t j = 0; j < c->x->n_cols; j++) sum += exp(eta_at(c, i, j) - most);
    if (c->x->n_cols == 0) return;
    fact[LARGEST] = (real)most;
    fact[OVER_SUM] = (real)(1.0 / sum);
}

static double nb_row(const kernel_counts *c, int64_t i)
{
    reader x = read_row(c->x, i);
    double loss = 0.0, dot = 0.0;

    normalise_row(c, i);
    for (int64_t j = 0; j < c->x->n_cols; j++) {
        const int64_t bj = features_of(c, i) + j;
        const double p = share_at(c, i, j), v = next_value(&x, j), s = exp((double)c->log_shape[bj]);
        const double mu = (double)c->library[i] * p + (double)c->floor;
        loss += s * log1p(mu / s) + v * (log(s + mu) - log(mu));
        dot += p * ((s + v) / (s + mu) - v / mu);
        if (c->d_log_shape) c->d_log_shape[bj] += (real)(s * (log1p(mu / s) + (v - mu) / (s + mu)));
    }
    c->facts[i * N_FACTS + D_LIBRARY] = (real)dot;
    return loss;
}

static double counts_loss(const kernel_counts *c)
{
    double loss = 0.0;

    fill_logits(c);
    for (int64_t e = 0; c->d_log_shape && e < c->n_batches * c->x->n_cols; e++) c->d_log_shape[e] = 0;
    for (int64_t i = 0; i < c->x->n_rows; i++) {
        for (int f = 0; f < N_FACTS && !c->bernoulli; f++) c->facts[i * N_FACTS + f] = 0;
        if (present(c->x, i)) loss += c->bernoulli ? bernoulli_row(c, i) : nb_row(c, i);
    }
    return loss;
}

/* d loss / d eta. */
static double eta_gradient(const kernel_counts *c, int64_t i, int64_t j, double v)
{
    if (c->bernoulli) {
        const double eta = eta_at(c, i, j), small = exp(-fabs(eta));
        return (eta > 0.0 ? 1.0 : small) / (1.0 + small) - (v > 0.0);
    }
    const double p = share_at(c, i, j), l = (double)c->library[i], mu = l * p + (double)c->floor;
    const double s = exp((double)c->log_shape[features_of(c, i) + j]);
    return l * p * ((s + v) / (s + mu) - v / mu - (double)c->facts[i * N_FACTS + D_LIBRARY]);
}

/* += with what a feature's gradient means for the weights and z. */
static void hand_on(const kernel_counts *c, int64_t i, int64_t j, double d,
                    const kernel_counts_gradients *to, real *d_weight)
{
    for (int64_t e = 0; e < c->width; e++) {
        if (to->z) to->z[i * c->width + e] += (real)(d * (double)c->weight[j * c->width + e]);
        if (d_weight) d_weight[e] += (real)(d * (double)c->z[i * c->width + e]);
    }
}

static void feature_backward(const kernel_counts *c, real factor, int64_t j, reader *rows,
                             const kernel_counts_gradients *to, real *d_weight)
{
    for (int64_t i = 0; i < c->x->n_rows; i++) {
        const double v = next_value(&rows[i], j);
        const int64_t bj = features_of(c, i) + j;
        if (!present(c->x, i)) continue;
        const double d_eta = (double)factor * eta_gradient(c, i, j, v);
        const double d = d_eta * scale_at(c, bj);
        if (to->shift) to->shift[bj] += (real)d_eta;
        if (to->scale) to->scale[bj] += (real)(d_eta * (double)c->logits[i * c->x->n_cols + j]);
        if (to->bias) to->bias[j] += (real)d;
        hand_on(c, i, j, d, to, d_weight);
    }
}

static void counts_backward(const kernel_counts *c, real factor, const kernel_counts_gradients *to)
{
    reader *rows = (reader *)(void *)c->scratch;
    real finished[KERNEL_TAKE_WIDTH];

    for (int64_t i = 0; i < c->x->n_rows; i++) rows[i] = read_row(c->x, i);
    for (int64_t j = 0; j < c->x->n_cols; j++) {
        real *d_weight = to->taker ? finished : to->weight ? to->weight + j * c->width : NULL;
        for (int64_t e = 0; to->taker && e < c->width; e++) finished[e] = 0;
        feature_backward(c, factor, j, rows, to, d_weight);
        if (to->taker) to->taker->take(to->taker, j * c->width, c->width, finished);
    }
}

static double gamma_terms(const kernel_gamma *g)
{
    const affine_sparse *x = g->x;
    double sum = 0.0, psi;

    for (int64_t e = 0; g->d_log_shape && e < g->n_batches * x->n_cols; e++) g->d_log_shape[e] = 0;
    for (int64_t i = 0; i < x->n_rows; i++) {
        const int64_t first = g->batch ? g->batch[i] * x->n_cols : 0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1] && present(x, i); e++) {
            const int64_t bj = first + x->indices[e];
            const double s = exp((double)g->log_shape[bj]);
            sum -= kernel_gamma_ratio(s, (double)x->values[e], &psi);
            if (g->d_log_shape) g->d_log_shape[bj] -= (real)(s * psi);
        }
    }
    return sum;
}

void ref_fill_counts(kernel_table *t)
{
    t->counts_loss = counts_loss;
    t->counts_backward = counts_backward;
    t->gamma_terms = gamma_terms;
}
