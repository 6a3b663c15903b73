/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers: parameters declared once, applied on a tape each step. */
#ifndef NN_LAYERS_H
#define NN_LAYERS_H

#include "engine/params.h"
#include "engine/tape.h"

/* One forward pass: where, with which parameters, and the address of its random numbers. */
typedef struct nn_pass {
    tape *t;
    const params *p;
    uint64_t seed;
    uint32_t step;
    const real *const *masks; /* given dropout masks by layer stream, or NULL: random */
} nn_pass;

/* Linear, with or without bias. Weight [out, in], or [in, out] behind an affine-sparse input. */
typedef struct nn_linear {
    int weight, bias; /* handles; bias -1: none */
} nn_linear;

/* "<name>.weight" and "<name>.bias", both U(-1/sqrt(fan_in), 1/sqrt(fan_in)) (specs section 1). */
SCW_CHECKED scw_status nn_linear_add(nn_linear *out, params *p, const char *name, int64_t n_in,
                                     int64_t n_out, bool bias, int group, int vector_group);
tensor *nn_linear_apply(const nn_pass *pass, const nn_linear *layer, tensor *x);

/* Linear -> ReLU, LeakyReLU or ELU (optional) -> BatchNorm (unless plain) -> Dropout. */
typedef struct nn_block {
    int weight, bias, gamma, beta, running_mean, running_var; /* handles; bias -1: none */
    bool relu, plain, elu;
    double slope; /* LeakyReLU with this slope; 0: not */
    bool sparse_input; /* weight is [in, out] and x is affine-sparse */
    double drop;
    uint32_t stream; /* address of its dropout */
} nn_block;

typedef struct nn_block_options {
    int64_t n_in, n_out;
    bool relu, sparse_input;
    bool bias, plain; /* the linear map has a bias; no BatchNorm */
    bool elu;
    double slope;
    double drop;
    uint32_t stream;
    int group;        /* optimizer group of the weight */
    int vector_group; /* of the bias and the norm's weight and bias */
} nn_block_options;

SCW_CHECKED scw_status nn_block_add(nn_block *out, params *p, const char *name,
                                    const nn_block_options *options);
tensor *nn_block_apply(const nn_pass *pass, const nn_block *block, tensor *x);
/* The same in two halves for an affine-sparse input: its linear map with the bias, and what follows.
 * feature_weight: handle of a [n_in] parameter, or -1. */
tensor *nn_block_linear_sparse(const nn_pass *pass, const nn_block *block, const affine_sparse *x,
                               int feature_weight);
tensor *nn_block_after_linear(const nn_pass *pass, const nn_block *block, tensor *h);

/* Squared error (op_affine_squared_error) of what a layer makes of z. In training, and for a block of
 * relu and batch norm, without that being written down. */
tensor *nn_linear_error(const nn_pass *pass, const nn_linear *layer, tensor *z,
                        const affine_sparse *x);
tensor *nn_block_error(const nn_pass *pass, const nn_block *block, tensor *z,
                       const affine_sparse *x);

#endif
