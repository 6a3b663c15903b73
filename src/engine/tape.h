/* SPDX-License-Identifier: BSD-3-Clause */
/* The eager tape. An op computes at once and, in training, records what its backward needs;
 * tape_backward walks the records in reverse. All memory comes from the tape's arena, which
 * tape_reset empties: a training step allocates nothing after the first.
 *
 * Errors: the first failure (shape, memory) is kept on the tape with op name and shapes; ops given
 * NULL, or called after a failure, return NULL; tape_status reports. So a model reads like its
 * equations:
 *
 *     tensor *h = op_relu(t, op_linear(t, x, op_param(t, w), NULL));
 *     ...
 *     TRY(tape_backward(t, loss));
 */
#ifndef ENGINE_TAPE_H
#define ENGINE_TAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/real.h"
#include "base/rng.h"
#include "base/status.h"
#include "engine/params.h"
#include "kernel/kernel.h"

typedef struct tensor {
    int n_dims;
    int64_t dim[4]; /* unused dims are 1 */
    int64_t size;
    real *value;
    real *grad; /* same shape; NULL when no gradient is wanted. Zeroed when first needed. */
    kernel_taker taker; /* take: gets the gradient instead of `grad`, which is NULL; of a parameter */
    int64_t grad_pass; /* the tape's own: the backward pass that zeroed grad; -1: a parameter's */
} tensor;

typedef enum tape_mode {
    TAPE_TRAIN = 0, /* record; dropout active; batch norm uses and updates batch statistics */
    TAPE_EVAL,      /* record nothing; dropout is identity; batch norm uses running statistics */
    TAPE_EVAL_GRAD  /* as EVAL, but record, for attribution */
} tape_mode;

typedef struct tape tape;

SCW_CHECKED scw_status tape_new(tape **out);
void tape_free(tape *t);
/* Forget all tensors and records and any failure; the next ops run in `mode`. */
void tape_reset(tape *t, tape_mode mode);
tape_mode tape_get_mode(const tape *t);
/* Products of op_linear in bf16 with sums in fp32 (kernel_gemm_bf16), forward and backward, until the next
 * reset. Everything else stays as it is. */
void tape_use_bf16(tape *t);
bool tape_uses_bf16(const tape *t);
SCW_CHECKED scw_status tape_status(const tape *t);
/* Gradients of the scalar `loss` into every tensor and parameter that led to it. Parameter gradients
 * accumulate over calls. */
SCW_CHECKED scw_status tape_backward(tape *t, tensor *loss);
/* Memory that lives until the next reset, for batches. NULL on failure, which the tape remembers. */
void *tape_alloc(tape *t, int64_t count, size_t size);

/* ---- leaves */
/* Borrowed values, no gradient (wanted = true gives a gradient, for attribution). */
tensor *op_input(tape *t, real *value, int64_t rows, int64_t cols, bool gradient);
/* A parameter: value and gradient are views of the flat block. */
tensor *op_param(tape *t, const params *p, int handle);

/* ---- ops; shapes [rows, cols]; each is one row of the op table in ops.c */
/* y [B, O] = x [B, I] w^T + bias; w [O, I]; bias [O] or NULL */
tensor *op_linear(tape *t, tensor *x, tensor *w, tensor *bias);
/* y [B, H] = X diag(feature_weight) w; w [F, H]; feature_weight [F] or NULL; x must outlive the step */
tensor *op_affine_linear(tape *t, const affine_sparse *x, tensor *w, tensor *feature_weight);
tensor *op_relu(tape *t, tensor *x);
/* x where it is above zero, else slope * x */
tensor *op_leaky_relu(tape *t, tensor *x, double slope);
/* x where it is above zero, else exp(x) - 1 */
tensor *op_elu(tape *t, tensor *x);
/* log(1 + exp(x)) + add */
tensor *op_softplus(tape *t, tensor *x, double add);
typedef struct op_batch_norm_options {
    real *running_mean, *running_var; /* [cols] buffers, updated in TAPE_TRAIN */
    double eps, momentum;
    bool relu;       /* normalise max(x, 0) */
    double drop;     /* dropout of the result, as op_dropout */
    rng_key key;
    uint32_t step;
    const real *mask;
} op_batch_norm_options;
/* Batch norm, gamma and beta [cols]. Training mode with one row uses the running statistics and leaves
 * them as they are (the variance of one row does not exist). */
tensor *op_batch_norm(tape *t, tensor *x, tensor *gamma, tensor *beta, const op_batch_norm_options *options);
/* Inverted dropout. `mask`: NULL, or given 0/1 values [size] used instead of random ones. */
tensor *op_dropout(tape *t, tensor *x, double drop, rng_key key, uint32_t step, const real *mask);
tensor *op_concat(tape *t, tensor *const *x, int n);             /* along cols */
tensor *op_slice(tape *t, tensor *x, int64_t from, int64_t to); /* cols from..to-1 */
tensor *op_add(tape *t, tensor *x, tensor *y);                   /* same shape */
tensor *op_scale(tape *t, tensor *x, double scale);
tensor *op_multiply(tape *t, tensor *x, tensor *y);              /* same shape */
/* y_ij = x_ij * weight_i; weight [rows] borrowed, no gradient (presence masks) */
tensor *op_row_scale(tape *t, tensor *x, const real *weight);
/* y_ij = x_ij * weight_j; weight [cols] tensor with gradient */
tensor *op_col_scale(tape *t, tensor *x, tensor *weight);
/* y_ij = x_ij + bias_j; bias [cols] tensor with gradient */
tensor *op_add_bias(tape *t, tensor *x, tensor *bias);
/* y_ij = x_ij * weight_i + add; weight [rows] tensor with gradient */
tensor *op_row_multiply(tape *t, tensor *x, tensor *weight, double add);
/* y_i = x_i / max(|x_i|, 1e-12) */
tensor *op_normalise_rows(tape *t, tensor *x);
/* y_ij = scale_bj x_ij + shift_bj with b = batch[i]; scale and shift [batches, cols]. -1: the mean of the
 * batches' scales and shifts. batch [rows] or NULL: all 0. */
tensor *op_batch_affine(tape *t, tensor *x, tensor *scale, tensor *shift, const int32_t *batch);
tensor *op_exp(tape *t, tensor *x);
tensor *op_softmax(tape *t, tensor *x);
tensor *op_sum(tape *t, tensor *x);  /* scalar [1, 1] */
tensor *op_mean(tape *t, tensor *x); /* scalar [1, 1] */
tensor *op_sum_squares(tape *t, tensor *x); /* scalar: penalty terms */
/* z = mu + eps * exp(logvar / 2). eps: NULL for random normals, or given values [size]. In TAPE_EVAL
 * modes and eps NULL: z = mu. */
tensor *op_reparameterise(tape *t, tensor *mu, tensor *logvar, rng_key key, uint32_t step,
                          const real *eps);
/* scalar: mean over elements of -1/2 (1 + logvar - mu^2 - exp(logvar)) */
tensor *op_gaussian_kl(tape *t, tensor *mu, tensor *logvar);
/* scalar: mean over elements of 1/2 (mu^2 + std^2 - 1) - log std; std > 0 */
tensor *op_normal_kl(tape *t, tensor *mu, tensor *std);
/* scalar: sum over present rows and all columns of (p - x)^2 */
tensor *op_affine_squared_error(tape *t, tensor *p, const affine_sparse *x);
/* op_affine_squared_error of p = op_linear(z, weight, bias), or of p = op_batch_norm(op_linear(z, weight,
 * NULL), gamma, beta) with relu and without dropout, in less memory and time. TAPE_TRAIN only; the
 * second takes at least two rows. x must outlive the step. */
tensor *op_decoder_error(tape *t, tensor *z, tensor *weight, tensor *bias, const affine_sparse *x);
tensor *op_decoder_norm_error(tape *t, tensor *z, tensor *weight, tensor *gamma, tensor *beta,
                              const op_batch_norm_options *options, const affine_sparse *x);
/* scalar: sum_i weight_i * -sum_c t_ic log softmax(logits)_ic / sum_i weight_i, with
 * t = (1 - smoothing) 1[c = y_i] + smoothing / smoothing_classes. labels [rows] in 0..cols-1, or -1:
 * the row does not count. weight [rows] or NULL (ones; the sum is then the number of rows that count). */
tensor *op_cross_entropy(tape *t, tensor *logits, const int32_t *labels, double smoothing,
                         double smoothing_classes, const real *weight);
/* scalar: of eta = scale_b (z W^T + bias) + shift_b + offset_i, b = batch[i], sums over present rows and all
 * columns. Without a library -log Bernoulli(x > 0; eta). With one, and op_gamma_terms added, -log NB(x; mean mu =
 * library_i softmax(eta) + floor, shape exp(log_shape_b)), whose variance is mu + mu^2 / shape. x holds counts,
 * without scales and shifts, and must outlive the step, as must batch and offset. */
typedef struct op_count_decoder_options {
    tensor *bias;         /* [F] or NULL: 0 */
    tensor *scale, *shift; /* [n_batches, F] or NULL: 1, 0 */
    tensor *library;      /* [B, 1] */
    tensor *log_shape;    /* [n_batches, F] */
    double floor;         /* above zero */
    const real *offset;   /* [B] or NULL: 0 */
    const int32_t *batch; /* [B] in 0 .. n_batches - 1; NULL: all 0 */
    int64_t n_batches;
} op_count_decoder_options;
tensor *op_count_decoder(tape *t, tensor *z, tensor *weight, const affine_sparse *x,
                         const op_count_decoder_options *options);
/* scalar: sum over present rows and all columns of -log G(x + s) / (G(s) x!), s = exp(log_shape_b), G the gamma
 * function; 0 where x is. log_shape [batches, F], batch as above. x must outlive the step. */
tensor *op_gamma_terms(tape *t, tensor *log_shape, const affine_sparse *x, const int32_t *batch);
/* scalar: the contrastive loss of x and y [B, d], row i of one belonging to row i of the other, both ways:
 * 1/2 mean over rows of -log softmax(exp(t) x_i y^T)_i + the same of y. t: one value. present [B] borrowed,
 * 1 or 0, NULL: all; what is absent is no candidate either. No row: 0. */
tensor *op_contrast(tape *t, tensor *x, tensor *y, tensor *temperature, const real *present);

#endif
