/* SPDX-License-Identifier: BSD-3-Clause */
/* The contract of the kernels: what every implementation computes. Shapes in brackets, row-major.
 *
 * kernel_* are the dispatching front (dispatch.c); the implementations are in ref/ (the readable
 * specification), cpu/, dnnl/ and blas/. For a product the list is tried in order (oneDNN, CBLAS, our
 * own) and an implementation may decline a case. Every kernel but the products gives the same bits
 * for any number of threads; a product gives the same bits for the same number.
 * "+=" kernels accumulate, "=" kernels overwrite; the comment says which. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "base/rng.h"
#include "base/status.h"

/* ------------------------------------------------------------- affine-sparse matrices
 * A batch X [n_rows, n_cols] held as a sparse Y and four vectors:
 *     x_ij = a_i * c_j * y_ij + b_i + t_j
 * Any vector may be NULL: a and c are then all ones, b and t all zeros. */
typedef struct affine_sparse {
    int64_t n_rows, n_cols;
    const int64_t *indptr;  /* [n_rows + 1], starting at 0 */
    const int32_t *indices; /* [nnz] sorted within a row */
    const real *values;     /* [nnz] */
    const real *row_scale;  /* a [n_rows] */
    const real *row_shift;  /* b [n_rows] */
    const real *col_scale;  /* c [n_cols] */
    const real *col_shift;  /* t [n_cols] */
    const real *row_weight; /* [n_rows] 1 present, 0 absent: an absent row contributes nothing anywhere; NULL: all 1 */
} affine_sparse;

/* ------------------------------------------------------------- dense products */

/* C [m, n] = beta * C + op(A) op(B), op(A) is [m, k], op(B) is [k, n]; trans_* says that the matrix is
 * stored as its transpose. Leading dimensions are the stored row lengths. beta is 0 or 1; with 0, C is
 * not read. */
void kernel_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c);

/* bf16 is the upper half of a float: its exponent, and 8 bits of its mantissa. To the nearest, ties to
 * even; past the largest is infinity; NaN stays NaN. As 16 bits, and as the float that they stand for. */
void kernel_to_bf16(int64_t n, const real *x, uint16_t *out);
void kernel_round_bf16(int64_t n, const real *x, real *out);

/* Does this processor multiply bf16, and this build make use of it? Elsewhere the kernel below rounds and
 * multiplies in fp32: the same products, exact in fp32, added up in another order, and not faster. */
bool kernel_bf16_is_native(void);

/* Below so many multiplications a product is in fp32 everywhere: rounding would take longer than it saves. */
#define KERNEL_BF16_LEAST 1000000

/* What bf16 products need from one call to the next: memory for the rounded matrices, and what the
 * library prepared for each shape. For one caller at a time. */
typedef struct kernel_bf16 kernel_bf16;
SCW_CHECKED scw_status kernel_bf16_new(kernel_bf16 **out);
void kernel_bf16_free(kernel_bf16 *w);
/* kernel_gemm of A and B rounded to bf16, added up in fp32. C is undefined after a failure. */
SCW_CHECKED scw_status kernel_gemm_bf16(kernel_bf16 *w, bool trans_a, bool trans_b, int64_t m,
                                        int64_t n, int64_t k, const real *a, const real *b,
                                        real beta, real *c);

/* ------------------------------------------------------------- finished gradients
 * The gradient of a large weight is written to memory only to be read once, by the optimizer. A kernel
 * that has a taker gives it the finished rows instead, a few at a time while they are in cache: `n` values
 * from element `from` of the weight. Called by several threads at once, each element once; the taker
 * may change `gradient`. */
typedef struct kernel_taker {
    void *self;
    int64_t offset; /* of the weight, for the taker's own use */
    void (*take)(const struct kernel_taker *t, int64_t from, int64_t n, real *gradient);
} kernel_taker;

/* Can a gradient [., width] of a batch with so many rows be handed on? */
#define KERNEL_TAKE_ROWS 1024
#define KERNEL_TAKE_WIDTH 2048
#define KERNEL_TAKE_VALUES 8192 /* handed on at a time, at most */
static inline bool kernel_can_take(int64_t rows, int64_t width)
{
    return rows >= 1 && rows <= KERNEL_TAKE_ROWS && width >= 1 && width <= KERNEL_TAKE_WIDTH;
}

/* ------------------------------------------------------------- affine-sparse products
 * With V = diag(w) W: w [F] (NULL: ones) is the per-feature weight, W [F, H] (feature-major, so that a
 * non-zero touches one contiguous row). */

/* out [B, H] = X V */
void kernel_affine_forward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                           real *out);
/* d_weight [F, H] += diag(w) X^T g, and, if w is given, d_w [F] += sum_h (X^T g)_jh W_jh. g [B, H].
 * With a taker, where kernel_can_take(B, H), it gets diag(w) X^T g, and d_weight is left alone. */
void kernel_affine_backward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                            const real *g, real *d_w, real *d_weight, const kernel_taker *taker);

/* Sum over present rows i and all j of (p_ij - x_ij)^2, p [B, F]; summed in double over fixed blocks. */
double kernel_affine_squared_error(const affine_sparse *x, const real *p);
/* d_p [B, F] += scale * 2 (p - x) on present rows; with `fresh` d_p is written, 0 on absent ones. */
void kernel_affine_squared_error_backward(const affine_sparse *x, const real *p, real scale,
                                          bool fresh, real *d_p);

/* ------------------------------------------------------------- lists
 * A sparse matrix S as compressed lists, for products in double whatever `real` is: the decompositions
 * of preprocessing need it. Serial: the caller shares lists, or tables of them, among the threads. */
typedef struct kernel_lists {
    const int64_t *start; /* [lists + 1] */
    const int32_t *at;    /* [nnz] ascending within a list */
    const float *values;  /* [nnz] */
} kernel_lists;

/* Lists first .. last - 1 as rows of S: out [r] += sum_e v_e b[at_e]; rows of b and out have l values. */
void kernel_lists_gather(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                         int64_t l, double *out);
/* The same lists as columns of S: out [at_e] += v_e b[r]. */
void kernel_lists_scatter(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                          int64_t l, double *out);

/* ------------------------------------------------------------- elementwise and reductions */

void kernel_relu(int64_t n, const real *x, real *y);                      /* y = max(x, 0) */
void kernel_relu_backward(int64_t n, const real *y, const real *g, real *d_x); /* += g where y > 0 */
void kernel_add(int64_t n, const real *x, const real *y, real *out);      /* = */
void kernel_accumulate(int64_t n, real scale, const real *x, real *y);    /* y += scale * x */
void kernel_scale(int64_t n, real scale, const real *x, real *y);         /* y = scale * x */
void kernel_multiply(int64_t n, const real *x, const real *y, real *out); /* = */
void kernel_multiply_accumulate(int64_t n, const real *x, const real *y, real *out); /* += x * y */
void kernel_exp(int64_t n, const real *x, real *y);                       /* = */
double kernel_sum(int64_t n, const real *x);     /* in double over fixed blocks */
double kernel_sum_squares(int64_t n, const real *x);
/* y [rows, cols] = x + bias [cols]; and the gradient: d_bias [cols] += column sums of g. */
void kernel_add_bias(int64_t rows, int64_t cols, const real *x, const real *bias, real *y);
void kernel_column_sums(int64_t rows, int64_t cols, const real *g, real *d_bias);
/* Softmax of each row. */
void kernel_softmax(int64_t rows, int64_t cols, const real *x, real *y);
void kernel_log_softmax(int64_t rows, int64_t cols, const real *x, real *y);

/* ------------------------------------------------------------- random numbers
 * Element e of a step is the same for any number of threads (base/rng.h; the bits: ref/random.c). */

/* The multiplier of inverted dropout: 0 with probability p, else 1 / (1 - p). A decision has 16 bits:
 * p is `drop` rounded to a multiple of 2^-16, so the mean is 1 exactly. */
void kernel_fill_keep(int64_t n, double drop, rng_key key, uint32_t step, real *out);
/* Standard normal, from 24-bit uniforms. */
void kernel_fill_normal(int64_t n, rng_key key, uint32_t step, real *out);

/* Batch norm over the rows of x' = x or max(x, 0), then dropout:
 *     y = ((x' - mean) inv_std gamma + beta) keep
 * specs: eps inside the root, biased variance for normalising, unbiased for the running one:
 * run = (1 - momentum) * run + momentum * batch. */
typedef struct kernel_norm {
    int64_t rows, cols;
    const real *x;            /* [rows, cols] */
    bool relu;                /* normalise max(x, 0) */
    const real *gamma, *beta; /* [cols] */
    real eps;
    const real *keep;     /* [rows, cols] or NULL: ones */
    real *mean, *inv_std; /* [cols] outputs of the training forward, inputs of the backward */
} kernel_norm;

void kernel_batch_norm_train(const kernel_norm *b, real momentum, real *running_mean,
                             real *running_var, real *y);
void kernel_batch_norm_eval(const kernel_norm *b, const real *running_mean, const real *running_var,
                            real *y);
/* Training-mode gradient of g [rows, cols]. d_gamma, d_beta accumulate; d_x does, or with `fresh` is
 * written; it may be NULL. */
void kernel_batch_norm_backward(const kernel_norm *b, const real *g, bool fresh, real *d_x,
                                real *d_gamma, real *d_beta);

/* ------------------------------------------------------------- a decoder and its squared error
 * With z [B, width], the weights W [F, width] and a target X [B, F]:
 *
 *     p = z W^T + bias                             linear, or
 *     p = batch norm of relu(z W^T)                where gamma is given: over the rows, as above
 *     error = sum over present rows and all columns of (p - x)^2
 *
 * Both p and its gradient would be [B, F] arrays that are written and read again several times; here
 * a strip of features is decoded, compared and taken back to z while it is in the nearest caches, and
 * what is left for the weights is one array: the gradient of z W^T, transposed. */
typedef struct kernel_decoder {
    const affine_sparse *x;          /* [B, F] */
    int64_t width;                   /* at least 1 */
    const real *z, *weight;          /* [B, width], [F, width] */
    const real *bias;                /* [F]; NULL: zeros */
    const real *gamma, *beta;        /* [F]; NULL: linear */
    real eps, momentum;
    real *running_mean, *running_var; /* [F] updated */
    /* Outputs, all of them gradients of the error. */
    real *g;       /* [F, kernel_decoder_stride(B)] of z W^T; columns from B on are zeros */
    real *d_z;     /* [B, width] */
    real *d_bias;  /* [F], or NULL */
    real *d_gamma, *d_beta; /* [F]; not for a linear one */
    real *scratch; /* [kernel_decoder_scratch], aligned to 8 bytes */
} kernel_decoder;

int64_t kernel_decoder_stride(int64_t rows);
int64_t kernel_decoder_scratch(const kernel_decoder *d);
/* Returns the error, summed in double. With batch norm there must be two rows. */
double kernel_decoder_error(const kernel_decoder *d);
/* d_weight [F, width] += scale * g z after kernel_decoder_error; with `fresh` written. With a taker, where
 * kernel_can_take(B, width), it gets that, and d_weight is left alone. */
void kernel_decoder_weights(const kernel_decoder *d, real scale, bool fresh, real *d_weight,
                            const kernel_taker *taker);

/* ------------------------------------------------------------- a decoder of counts and its likelihood
 * With z [B, width], the weights W [F, width], counts X [B, F] and row i of batch b:
 *
 *     eta_ij = scale_bj (z_i . W_j + bias_j) + shift_bj + offset_i
 *     nb          mu = library_i softmax_j(eta) + floor, s = exp(log_shape_bj)
 *                 loss = sum of x (log(s + mu) - log mu) + s log(1 + mu / s): -log NB without what x and s
 *                 alone decide, which is kernel_gamma_terms
 *     bernoulli   loss = sum of log(1 + exp(eta)) - eta [x > 0]
 *
 * over the present rows and all columns. Of [B, F] there is one array, z W^T, between a first pass
 * that finds the softmax's denominators, a second one for the loss, and a third one for the gradients;
 * each works on a strip of features while that is in the nearest caches. */
typedef struct kernel_counts {
    const affine_sparse *x;  /* without scales and shifts */
    bool bernoulli;
    int64_t width;           /* at least 1 */
    const real *z, *weight;  /* [B, width], [F, width] */
    const real *bias;        /* [F]; NULL: zeros */
    const int32_t *batch;    /* [B] in 0 .. n_batches - 1; NULL: all 0 */
    int64_t n_batches;
    const real *scale, *shift; /* [n_batches, F]; NULL: ones, zeros */
    const real *offset;      /* [B]; NULL: zeros */
    const real *library;     /* [B], nb */
    const real *log_shape;   /* [n_batches, F], nb */
    real floor;              /* nb, above zero */
    /* Written by the loss. */
    real *logits;      /* [kernel_counts_size(B, F)] z W^T, in a form of the kernel's own */
    real *facts;       /* [B, 3] nb: the largest eta; 1 / sum exp(eta - largest); d loss / d library */
    real *d_log_shape; /* [n_batches, F] of the loss, nb; NULL: not wanted */
    real *scratch;     /* [kernel_counts_scratch], aligned to 8 bytes */
} kernel_counts;

int64_t kernel_counts_size(int64_t rows, int64_t cols);
int64_t kernel_counts_scratch(const kernel_counts *c);
/* Returns the loss, summed in double. */
double kernel_counts_loss(const kernel_counts *c);

/* Where gradients go; NULL: not wanted. */
typedef struct kernel_counts_gradients {
    real *z, *weight, *bias, *scale, *shift;
    const kernel_taker *taker; /* gets the weight's, where kernel_can_take(B, width); `weight` is not used */
} kernel_counts_gradients;

/* After kernel_counts_loss: each gradient += factor * that of the loss. */
void kernel_counts_backward(const kernel_counts *c, real factor, const kernel_counts_gradients *to);

/* Sum over the present rows i and the entries x > 0 of -log G(x + s) / (G(s) x!), s = exp(log_shape_bj), G the
 * gamma function: of -log NB what no mean has a part in. d_log_shape (NULL: not wanted) is written. */
typedef struct kernel_gamma {
    const affine_sparse *x; /* without scales and shifts */
    const int32_t *batch;   /* [B] in 0 .. n_batches - 1; NULL: all 0 */
    int64_t n_batches;
    const real *log_shape;  /* [n_batches, F] */
    real *d_log_shape;      /* [n_batches, F] */
    real *scratch;          /* [kernel_gamma_scratch(B)], aligned to 8 bytes */
} kernel_gamma;
int64_t kernel_gamma_scratch(int64_t rows);
double kernel_gamma_terms(const kernel_gamma *g);

/* ------------------------------------------------------------- optimizers: one fused pass
 * Serial: train/optimizer.c shares chunks of the block among the threads. */

typedef struct kernel_adam_options {
    double lr, beta1, beta2, eps;
    double weight_decay;
    bool decoupled; /* true: AdamW (theta *= 1 - lr * wd); false: wd * theta is added to the gradient */
    int64_t step;   /* 1 for the first */
} kernel_adam_options;

/* theta, grad, m, v [n]; grad is set to zero in the same pass. */
void kernel_adam(int64_t n, real *theta, real *grad, real *m, real *v,
                 const kernel_adam_options *options);
/* v <- alpha v + (1 - alpha) g^2; theta -= lr g / (sqrt(v) + eps); grad is set to zero. */
void kernel_rmsprop(int64_t n, real *theta, real *grad, real *v, double lr, double alpha,
                    double eps);
/* Running average of values x [n]: average <- keep average + (1 - keep) x. */
void kernel_average(int64_t n, double keep, const real *x, real *average);

/* Name of the instruction set the CPU kernels use here: "avx512f", "avx2", "default", "ref". */
const char *kernel_isa(void);
/* Name of the first implementation of products: "onednn", "cblas", "own". */
const char *kernel_gemm_name(void);

#endif
