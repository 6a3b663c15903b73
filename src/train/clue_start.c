/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/clue_start.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define PRIOR_CELLS 20.0 /* of all batches, that a batch's means are drawn to */
#define START_SHAPE 10.0 /* near Poisson, so that large counts weigh; from a small one they never catch up */
#define LEAST 1e-3 /* counts of a feature that was never seen */

/* Sums over cells that have the modality; the last "batch" holds all cells. */
typedef struct sums {
    int64_t n_vars, n_batches;
    double *count;  /* [B + 1, F] of counts */
    double *there;  /* [B + 1, F] of cells with any */
    double *cells;  /* [B + 1] */
} sums;

static void sums_clear(sums *s)
{
    mem_free(s->count);
    mem_free(s->there);
    mem_free(s->cells);
    *s = (sums){0};
}

static void add_row(sums *s, const matrix *x, int64_t row, int64_t b)
{
    const int64_t n = s->n_vars, all = s->n_batches;

    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) {
        const int64_t j = x->indices[e];
        const double v = (double)x->values[e];
        s->count[all * n + j] += v;
        s->there[all * n + j] += v > 0.0;
        if (b < 0) continue;
        s->count[b * n + j] += v;
        s->there[b * n + j] += v > 0.0;
    }
    s->cells[all]++;
    if (b >= 0) s->cells[b]++;
}

static scw_status gather(sums *s, const clue_net *net, int k, const paired_set *of,
                         const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *listed = NULL, *who = NULL, size = 0;
    block_reader *counts = NULL;
    row_block b = {0};
    bool more;

    s->n_vars = net->config.modality[k].n_vars;
    s->n_batches = net->config.n_batches > 1 ? net->config.n_batches : 1;
    TRY(mem_new(&s->count, (s->n_batches + 1) * s->n_vars));
    TRY(mem_new(&s->there, (s->n_batches + 1) * s->n_vars));
    TRY(mem_new(&s->cells, s->n_batches + 1));
    TRY(mem_new(&listed, n));
    TRY(mem_new(&who, n));
    for (int64_t i = 0; i < n; i++) {
        if (!of->present[k][rows[i]]) continue;
        who[size] = rows[i];
        listed[size++] = of->counts[k].rows[rows[i]];
    }
    TRY(row_list_reader(&counts, &(row_list){of->counts[k].x, of->counts[k].packed, listed, size}));
    for (;;) {
        TRY(block_reader_next(&b, counts, &more));
        if (!more) break;
        for (int64_t i = 0; i < b.x.n_rows; i++) {
            const bool known = of->batch && net->config.n_batches > 1;
            add_row(s, &b.x, i, known ? of->batch[who[b.from + i]] : 0);
        }
    }
done:
    row_block_clear(&b);
    block_reader_free(counts);
    mem_free(listed);
    mem_free(who);
    return st;
}

/* Mean of a batch's sums, drawn to that of all cells. */
static double mean_of(const double *sum, const sums *s, int64_t b, int64_t j)
{
    const int64_t all = s->n_batches;
    const double whole = sum[all * s->n_vars + j] / fmax(1.0, s->cells[all]);

    return (sum[b * s->n_vars + j] + PRIOR_CELLS * whole) / (s->cells[b] + PRIOR_CELLS);
}

static double total_of(const sums *s, int64_t b)
{
    double total = 0.0;

    for (int64_t j = 0; j < s->n_vars; j++) total += mean_of(s->count, s, b, j) + LEAST;
    return total;
}

static void start_decoder(clue_net *net, int k, const sums *s)
{
    const clue_decoder *d = &net->decoder[k];
    const int64_t n = s->n_vars, all = s->n_batches;
    const double n_cells = fmax(1.0, s->cells[all]);

    for (int64_t b = 0; b < all; b++) {
        const double total = total_of(s, b);
        for (int64_t j = 0; j < n; j++) {
            const double mean = mean_of(s->count, s, b, j), there = mean_of(s->there, s, b, j);
            const double odds = (there + LEAST) / (1.0 - there + LEAST);
            const double raw = s->count[all * n + j] / n_cells;
            switch (net->config.modality[k].likelihood) {
            case CLUE_NB:
                params_value(&net->p, d->shift)[b * n + j] = (real)log((mean + LEAST) / total);
                params_value(&net->p, d->log_shape)[b * n + j] = (real)log(START_SHAPE);
                break;
            case CLUE_BERNOULLI:
                params_value(&net->p, d->shift)[b * n + j] = (real)log(odds);
                break;
            case CLUE_NORMAL: params_value(&net->p, d->loc.bias)[j] = (real)raw; break;
            }
        }
    }
}

static double mean_total(const sums *s)
{
    double total = 0.0;

    for (int64_t j = 0; j < s->n_vars; j++) total += s->count[s->n_batches * s->n_vars + j];
    return total / fmax(1.0, s->cells[s->n_batches]);
}

scw_status clue_start(clue_net *net, const paired_set *of, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const int K = net->config.n_modalities;
    double mean[MODEL_MAX_MODALITIES];
    sums s = {0};

    for (int k = 0; k < K; k++) {
        sums_clear(&s);
        TRY(gather(&s, net, k, of, rows, n));
        start_decoder(net, k, &s);
        mean[k] = mean_total(&s);
    }
    for (int k = 0; k < K; k++) {
        if (net->library[k] < 0 || !(mean[k] > 0.0)) continue;
        real *w = params_value(&net->p, net->library[k]); /* [F, K] */
        for (int64_t e = 0; e < net->config.modality[k].n_vars * K; e++)
            w[e] = (real)(mean[e % K] / mean[k]);
        memset(params_value(&net->p, net->library_bias[k]), 0, (size_t)K * sizeof(real));
    }
done:
    sums_clear(&s);
    return st;
}
