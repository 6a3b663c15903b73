/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODELS_CLUE_H
#define MODELS_CLUE_H

#include "models/network.h"

#define CLUE_MAX_DEPTH 4
#define CLUE_FLOOR 1e-7 /* of deviations and of expected counts */

/* How a decoder explains the values of its modality. */
typedef enum clue_likelihood {
    CLUE_NB = 0,    /* counts: negative binomial about library size times share */
    CLUE_BERNOULLI, /* counts: present or not */
    CLUE_NORMAL     /* values: squared error */
} clue_likelihood;

typedef struct clue_modality {
    char name[MODEL_NAME];
    int64_t n_in;      /* width of the encoders' input */
    bool sparse_input; /* which is affine-sparse, not a dense block */
    int64_t n_vars;    /* F_k, features that the decoder explains */
    clue_likelihood likelihood;
    double weight; /* w_k of its losses; those of all modalities are scaled to mean 1 */
} clue_modality;

typedef struct clue_config {
    int n_modalities; /* K */
    clue_modality modality[MODEL_MAX_MODALITIES];
    int64_t z_dim; /* d, of one modality's block */
    int encoder_depth, decoder_depth, discriminator_depth;
    int64_t encoder_width, decoder_width, discriminator_width;
    int64_t n_batches; /* B that decoders and discriminator tell apart; 0 or 1: none */
    int64_t n_classes; /* of the label head; 0: none */
    double drop, decoder_drop; /* dropout of encoders and discriminator, of decoders */
    bool share_encoders; /* one trunk a modality with a head a block: cost linear in K; else K
                            trunks */
    bool path;           /* a fitted linear map of the input is added to loc; inputs are dense then */
    bool sphere;         /* the discriminator sees embeddings of length one, as the decoders do */
    bool target_library; /* `joint` uses the target's own library size, a leak (published); else the
                          * mean of what the other modalities that are there predict */
    double floor;     /* of deviations; 0: CLUE_FLOOR */
    double sharpness; /* of `match`: one over its temperature */
    double lam_data, lam_kl, lam_align, lam_joint, lam_cross, lam_cos, lam_label, lam_match;
} clue_config;

/* Groups of parameters for the optimizer. */
enum {
    CLUE_ENCODING = 0, /* encoders, label head, discriminator */
    CLUE_DECODING      /* decoders, library sizes */
};

typedef struct clue_encoder {
    nn_block layer[CLUE_MAX_DEPTH];
    nn_linear loc, std;
} clue_encoder;

typedef struct clue_decoder {
    nn_block layer[CLUE_MAX_DEPTH];
    nn_linear loc;
    int scale, shift, log_shape; /* [B, F]; -1 where the likelihood has none */
} clue_decoder;

typedef struct clue_net {
    clue_config config;
    params p;         /* encoders, decoders, label head */
    params adversary; /* the discriminator, which has an optimizer of its own */
    clue_encoder encoder[MODEL_MAX_MODALITIES][MODEL_MAX_MODALITIES];      /* [modality][trunk] */
    int path[MODEL_MAX_MODALITIES]; /* S [K d, n_in], which training leaves alone; -1: none */
    int library[MODEL_MAX_MODALITIES], library_bias[MODEL_MAX_MODALITIES]; /* [F, K], [K], or -1 */
    clue_decoder decoder[MODEL_MAX_MODALITIES];
    nn_linear label;
    nn_block critic[CLUE_MAX_DEPTH];
    nn_linear critic_answer;
} clue_net;

SCW_CHECKED scw_status clue_net_init(clue_net *net, const clue_config *config, uint64_t seed);
void clue_net_clear(clue_net *net);

/* The cells of one modality in a batch. Row i is the i-th cell of the batch, or, where that lacks
 * the modality, another that has it: `present` is 0 there, and all but the batch and the counts of
 * the other cell is forgotten. */
typedef struct clue_slot {
    const affine_sparse *x; /* [n, n_in] the encoders' input, where it is sparse */
    const real *dense;      /* [n, n_in] where it is dense */
    const real *unit;       /* [n, K d] embeddings of encoders that are done; NULL: encode */
    affine_sparse counts;   /* [n, F_k] what the decoder explains; without row weights. Of zeros:
                             * nothing is to be decoded, and no library sizes are predicted */
    const real *present;    /* [n] 1 or 0; NULL: all 1 */
    const int32_t *batch;   /* [n] of the slot's cells, in 0..B-1; -1: none of them; NULL: all 0 */
    const int32_t *labels;  /* [n] class or -1; NULL: none */
    const real *eps;        /* [n, K d] given latent noise; NULL: random */
    const real *noise;      /* [n, K d] given noise of the discriminator's input; NULL: random */
} clue_slot;

typedef struct clue_batch {
    int64_t n;
    clue_slot slot[MODEL_MAX_MODALITIES];
    double noise; /* a, of the discriminator's input: 1 at the start of the burn-in, 0 after it */
} clue_batch;

/* One pass: both sets of parameters. To train one of them, freeze the other. */
typedef struct clue_pass {
    nn_pass vae, adversary;
} clue_pass;

/* The same parameters without gradients, which are then not computed. */
params clue_frozen(const params *p);

typedef struct clue_outputs {
    tensor *loc[MODEL_MAX_MODALITIES], *std[MODEL_MAX_MODALITIES]; /* [n, K d] posterior */
    tensor *unit[MODEL_MAX_MODALITIES];    /* [n, K d] the sample, of length one; its mean at evaluation */
    tensor *library[MODEL_MAX_MODALITIES]; /* [n, K] library sizes predicted from it; NULL: no nb */
    tensor *joint;                         /* [n, K d] mean over what is there, of length one */
} clue_outputs;

/* Posterior and sample of every slot; at evaluation the samples' mean, which is shorter than one. Where
 * embeddings are given there is no posterior. */
void clue_forward(const clue_net *net, const nn_pass *pass, const clue_batch *batch,
                  clue_outputs *out);
/* The same for one modality: out->joint is left alone. */
void clue_encode(const clue_net *net, const nn_pass *pass, const clue_batch *batch, int k,
                 clue_outputs *out);
/* Modality k from an embedding [n, K d] of length one: expected counts (nb; library [n, 1]), logits
 * (bernoulli) or values. `use` tells applications in one pass apart: each has dropout of its own.
 */
tensor *clue_decode(const clue_net *net, const nn_pass *pass, int k, tensor *unit, tensor *library,
                    const int32_t *batch, int use);

/* What the discriminator minimises: its cross-entropy times lam_align. */
tensor *clue_adversary_loss(const clue_net *net, const clue_pass *pass, const clue_batch *batch,
                            const clue_outputs *out);
/* What everything else minimises: nll, kl, joint, cross, cos, align, label, match. A part of weight 0 or
 * without cells is left out; align also where pass->adversary has no parameters; where embeddings are
 * given all but nll, joint and cross. */
void clue_loss(const clue_net *net, const clue_pass *pass, const clue_batch *batch,
               const clue_outputs *out, model_losses *losses);

#endif
