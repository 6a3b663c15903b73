/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODELS_MATILDA_H
#define MODELS_MATILDA_H

#include "models/network.h"

/* One modality as the network knows it. */
typedef struct matilda_modality {
    char name[MODEL_NAME];
    int64_t n_vars;       /* F_m */
    int64_t n_hidden;     /* H_m */
    int64_t n_components; /* K_m of the fitted projection, 0: the encoder reads the features */
} matilda_modality;

typedef struct matilda_config {
    int n_modalities;
    matilda_modality modality[MODEL_MAX_MODALITIES];
    int64_t n_classes, z_dim, n_joint; /* C, d, width of the joint encoder */
    int64_t n_batches;                 /* B that the decoders tell apart, 0: none */
    double drop;                       /* of encoder blocks */
    double latent_drop;         /* of mu and logvar; the authors use 0 with three modalities */
    double input_drop;          /* of the projected input */
    bool feature_weight;        /* the learnable per-feature weight w */
    double feature_weight_init; /* w ~ scale * U(0, 1) */
    bool shortcut;        /* fitted linear paths from the projected inputs (needs components) */
    bool linear_decoder;  /* Linear with bias instead of Linear -> ReLU -> BatchNorm */
    double classify_mean; /* share of the classification loss on mu, the rest on the sample */
    double smoothing, smoothing_classes;
    bool variance_error; /* reconstruction: squared error a cell, a modality; else mean a value */
    double rec_weight, kl_weight, cls_weight;
} matilda_config;

typedef struct matilda_net {
    matilda_config config;
    params p;
    int feature_weight[MODEL_MAX_MODALITIES];
    int projection[MODEL_MAX_MODALITIES]; /* buffer [F_m, K_m], or -1 */
    nn_block encoder[MODEL_MAX_MODALITIES];
    nn_block joint, mu, logvar;
    nn_block decoder[MODEL_MAX_MODALITIES];         /* published */
    nn_linear linear_decoder[MODEL_MAX_MODALITIES]; /* config.linear_decoder */
    nn_linear classifier;
    int latent_path[MODEL_MAX_MODALITIES]; /* A_m [d, K_m], or -1 */
    int shortcut[MODEL_MAX_MODALITIES];    /* S_m [C, K_m], or -1 */
    int shortcut_bias;                     /* [C], or -1 */
} matilda_net;

/* Optimizer groups of the parameters. */
enum {
    MATILDA_GROUP_WEIGHT = 0, /* matrices: decayed */
    MATILDA_GROUP_VECTOR,     /* biases and norms: not decayed */
    MATILDA_GROUP_FIXED,      /* the shortcut: fitted beforehand, the optimizer leaves it alone */
    MATILDA_GROUP_DECODER,    /* + m: matrices of linear decoders, whose scale depends on F_m */
    MATILDA_N_GROUPS = MATILDA_GROUP_DECODER + MODEL_MAX_MODALITIES
};

SCW_CHECKED scw_status matilda_net_init(matilda_net *net, const matilda_config *config,
                                        uint64_t seed);
void matilda_net_clear(matilda_net *net);

/* Dropout streams, for given masks: encoder of modality m is stream m, then these. */
enum {
    MATILDA_STREAM_JOINT = MODEL_MAX_MODALITIES,
    MATILDA_STREAM_MU,
    MATILDA_STREAM_LOGVAR,
    MATILDA_STREAM_INPUT, /* + m */
    MATILDA_N_STREAMS = MATILDA_STREAM_INPUT + MODEL_MAX_MODALITIES
};

/* The network's equations. With `decode` the reconstructions are computed too; outside training
 * out->logits are those of the answer, shortcut included. */
void matilda_forward(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                     bool decode, model_outputs *out);
/* The same in two halves. All that the network does with modality m starts from v_m = x_m V_m [n,
 * width]: V_m = P_m, or, without a projection, diag(w_m) times the weight of the encoder. */
void matilda_first(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                   tensor **v);
void matilda_forward_from(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                          tensor *const *v, bool decode, model_outputs *out);
/* Decode a latent [n, z] into reconstructions; batch as in model_batch. */
void matilda_decode(const matilda_net *net, const nn_pass *pass, tensor *z, const int32_t *batch,
                    model_outputs *out);
/* The loss and its parts: rec, kl, cls. `out` is from matilda_forward; without reconstructions in it they
 * are decoded and compared in one go, which is what training does. */
void matilda_loss(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                  const model_outputs *out, model_losses *losses);

network matilda_network(matilda_net *net);

#endif
