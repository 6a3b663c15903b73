/* SPDX-License-Identifier: BSD-3-Clause */
/* What a network sees and what it says, the same for every model. */
#ifndef MODELS_NETWORK_H
#define MODELS_NETWORK_H

#include "engine/tape.h"
#include "nn/layers.h"

#define MODEL_MAX_MODALITIES 16
#define MODEL_MAX_LOSSES 8
#define MODEL_NAME 64 /* bytes of a modality's name */

/* One batch of cells. */
typedef struct model_batch {
    int64_t n;
    int n_modalities;
    affine_sparse x[MODEL_MAX_MODALITIES]; /* [n, F_m] each */
    real *projected[MODEL_MAX_MODALITIES]; /* [n, K_m] x_m P_m where it is known, or NULL */
    const int32_t *labels;                 /* [n] class or -1, or NULL */
    const int32_t *batch;                  /* [n] batch or -1, for the decoders; NULL: none is known */
    const real *weight; /* [n] weight of a cell in the classification loss, or NULL */
    const real *eps;    /* given latent noise [n, z], or NULL: random */
    const real *latent; /* given latent [n, z], for heads on a frozen network; else NULL */
    const void *more;   /* what only a kind's own source and network know; else NULL */
} model_batch;

typedef struct model_outputs {
    tensor *mu, *logvar; /* [n, z] posterior */
    tensor *z;           /* [n, z] the sample, or mu at inference */
    tensor *logits;      /* [n, C] of the latent; outside training of the final answer */
    tensor *mean_logits; /* [n, C] of the posterior mean; NULL where not asked */
    tensor *recon[MODEL_MAX_MODALITIES]; /* [n, F_m]; only where asked */
    tensor *decoder_input; /* [n, z + B] what they are decoded from; in training always */
    const void *more;    /* what only a kind's own forward and loss know; else NULL */
} model_outputs;

/* Named parts of the loss, and their weighted total. */
typedef struct model_losses {
    int n;
    const char *name[MODEL_MAX_LOSSES];
    tensor *part[MODEL_MAX_LOSSES]; /* scalars */
    tensor *total;
} model_losses;

/* A network as the trainer sees it. */
typedef struct network {
    void *self;
    params *p;
    void (*forward)(const void *self, const nn_pass *pass, const model_batch *batch, bool decode,
                    model_outputs *out);
    /* Needs no reconstructions in `out`, but uses them where they are. */
    void (*loss)(const void *self, const nn_pass *pass, const model_batch *batch,
                 const model_outputs *out, model_losses *losses);
} network;

#endif
