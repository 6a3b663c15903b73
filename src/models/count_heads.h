/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoders of counts: for each modality one linear head on the latent, beside the network and fitted
 * after it on its frozen latent, so that they change no label and no embedding.
 *
 *   nb          mean_ij = l_i softmax_j(W z_i + b), l_i the cell's total; shape_j = exp(s_j)
 *               (Lopez et al., Nature Methods 2018, without their hidden layer and zero inflation)
 *   bernoulli   P(x_ij > 0) = 1 / (1 + exp(-(W z_i + b + log(n_i / n)))), n_i the features present in
 *               the cell, n their mean over the training cells
 *
 * Where batches are told apart, z has their columns appended (models/batch_columns.h) and n_in is that
 * much wider. */
#ifndef MODELS_COUNT_HEADS_H
#define MODELS_COUNT_HEADS_H

#include "data/matrix.h"
#include "models/network.h"

typedef enum count_kind { COUNT_NONE = 0, COUNT_NB, COUNT_BERNOULLI } count_kind;

const char *count_kind_name(count_kind kind); /* "gaussian", "nb", "bernoulli" */

typedef struct count_head {
    count_kind kind;
    int64_t n_vars;
    int weight, bias; /* [F, n_in], [F] */
    int log_shape;    /* [F]; nb */
    int depth;        /* buffer [1]: mean depth of the training cells */
} count_head;

typedef struct count_heads {
    int n; /* modalities; 0: no heads */
    int64_t n_in;
    count_head head[MODEL_MAX_MODALITIES];
    params p;
} count_heads;

typedef struct count_head_options {
    const char *name; /* of the modality; parameters are "counts.<name>.weight" and so on */
    count_kind kind;
    int64_t n_vars;
} count_head_options;

/* Weights 0, biases 0, shapes e. */
SCW_CHECKED scw_status count_heads_init(count_heads *h, const count_head_options *options, int n,
                                        int64_t n_in);
void count_heads_clear(count_heads *h);

/* What a cell's depth is to a head: the sum of the row, or for bernoulli the number of its values
 * above zero. */
double count_depth(count_kind kind, const matrix *counts, int64_t row);

/* Expected counts (nb) or probabilities (bernoulli) [n, F] of latents z [n, n_in] at given depths
 * [n], into `out`. */
SCW_CHECKED scw_status count_heads_decode(real *out, const count_heads *h, int k, const real *z,
                                          const real *depth, int64_t n, tape *t);

/* The heads as the trainer sees them: a batch holds raw counts and the latent. */
network count_heads_network(count_heads *h);

#endif
