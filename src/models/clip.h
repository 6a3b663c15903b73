/* SPDX-License-Identifier: BSD-3-Clause */
/* The two-tower network; clip.c has its equations. */
#ifndef MODELS_CLIP_H
#define MODELS_CLIP_H

#include "models/network.h"

#define CLIP_MAX_DEPTH 8

typedef struct clip_modality {
    char name[MODEL_NAME];
    int64_t n_in; /* width of its input */
    double noise; /* deviation of what training adds to it; 0: nothing */
} clip_modality;

typedef struct clip_config {
    int n_modalities;
    clip_modality modality[MODEL_MAX_MODALITIES];
    int64_t z_dim;
    int depth; /* hidden layers of a tower, and their width */
    int64_t width;
    double drop, input_drop; /* of a hidden layer, of the input */
    bool path;           /* a fitted linear map beside each tower */
    double temperature;  /* t at the start */
    double mixup;        /* the largest share of another cell that training mixes in */
} clip_config;

typedef struct clip_net {
    clip_config config;
    params p;
    nn_block layer[MODEL_MAX_MODALITIES][CLIP_MAX_DEPTH];
    nn_linear out[MODEL_MAX_MODALITIES];
    int path[MODEL_MAX_MODALITIES]; /* [d, n_in], a buffer; -1: none */
    int temperature[MODEL_MAX_MODALITIES][MODEL_MAX_MODALITIES]; /* [1] of each pair k < l */
} clip_net;

/* SCW_EINVAL: fewer than two modalities, or too many layers. */
SCW_CHECKED scw_status clip_net_init(clip_net *net, const clip_config *config, uint64_t seed);
void clip_net_clear(clip_net *net);

/* How the optimizer takes the parameters: decay of the weights alone. */
enum { CLIP_GROUP_WEIGHT = 0, CLIP_GROUP_VECTOR, CLIP_GROUPS };

/* A batch of cells: row i is one cell in every modality. */
typedef struct clip_batch {
    int64_t n;
    real *input[MODEL_MAX_MODALITIES];         /* [n, n_in]; anything in rows that lack it */
    const real *present[MODEL_MAX_MODALITIES]; /* [n] 1 or 0; NULL: all 1 */
} clip_batch;

typedef struct clip_outputs {
    tensor *unit[MODEL_MAX_MODALITIES]; /* [n, d] of length one */
} clip_outputs;

void clip_forward(const clip_net *net, const nn_pass *pass, const clip_batch *batch,
                  clip_outputs *out);
void clip_loss(const clip_net *net, const nn_pass *pass, const clip_batch *batch,
               const clip_outputs *out, model_losses *losses);

#endif
