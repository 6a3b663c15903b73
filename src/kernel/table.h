/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels of one implementation as a table of functions; the members have the names, arguments
 * and meaning of the kernel_* functions in kernel.h.
 *
 * ref/ is the specification: scalar, readable, for float and double. cpu/ is compiled once for each
 * instruction set, from the same sources (see cpu/cpu.h for why). A table starts as a copy of ref's,
 * and each cpu file puts its own kernels in place, so a kernel without a fast version still works.
 *
 * How to add a kernel: declare kernel_x in kernel.h, add the member here and the front in dispatch.c,
 * write it in ref/, compare in tests/grad; then, if it is hot, write it in cpu/. */
#ifndef KERNEL_TABLE_H
#define KERNEL_TABLE_H

#include "kernel/kernel.h"

typedef struct kernel_table {
    const char *isa;

    void (*gemm)(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c);

    void (*affine_forward)(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                           real *out);
    void (*affine_backward)(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                            const real *g, real *d_w, real *d_weight,
                            const kernel_taker *taker);
    double (*affine_squared_error)(const affine_sparse *x, const real *p);
    void (*affine_squared_error_backward)(const affine_sparse *x, const real *p, real scale,
                                          bool fresh, real *d_p);

    void (*lists_gather)(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                         int64_t l, double *out);
    void (*lists_scatter)(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                          int64_t l, double *out);

    void (*to_bf16)(int64_t n, const real *x, uint16_t *out);
    void (*round_bf16)(int64_t n, const real *x, real *out);
    void (*relu)(int64_t n, const real *x, real *y);
    void (*relu_backward)(int64_t n, const real *y, const real *g, real *d_x);
    void (*add)(int64_t n, const real *x, const real *y, real *out);
    void (*accumulate)(int64_t n, real scale, const real *x, real *y);
    void (*scale)(int64_t n, real scale, const real *x, real *y);
    void (*multiply)(int64_t n, const real *x, const real *y, real *out);
    void (*multiply_accumulate)(int64_t n, const real *x, const real *y, real *out);
    void (*exp)(int64_t n, const real *x, real *y);
    double (*sum)(int64_t n, const real *x);
    double (*sum_squares)(int64_t n, const real *x);
    void (*fill_keep)(int64_t n, double drop, rng_key key, uint32_t step, real *out);
    void (*fill_normal)(int64_t n, rng_key key, uint32_t step, real *out);
    void (*add_bias)(int64_t rows, int64_t cols, const real *x, const real *bias, real *y);
    void (*column_sums)(int64_t rows, int64_t cols, const real *g, real *d_bias);
    void (*softmax)(int64_t rows, int64_t cols, const real *x, real *y);
    void (*log_softmax)(int64_t rows, int64_t cols, const real *x, real *y);

    void (*batch_norm_train)(const kernel_norm *b, real momentum, real *running_mean,
                             real *running_var, real *y);
    void (*batch_norm_eval)(const kernel_norm *b, const real *running_mean, const real *running_var,
                            real *y);
    void (*batch_norm_backward)(const kernel_norm *b, const real *g, bool fresh, real *d_x,
                                real *d_gamma, real *d_beta);

    double (*decoder_error)(const kernel_decoder *d);
    void (*decoder_weights)(const kernel_decoder *d, real scale, bool fresh, real *d_weight,
                            const kernel_taker *taker);

    double (*counts_loss)(const kernel_counts *c);
    void (*counts_backward)(const kernel_counts *c, real factor, const kernel_counts_gradients *to);
    double (*gamma_terms)(const kernel_gamma *g);

    void (*adam)(int64_t n, real *theta, real *grad, real *m, real *v,
                 const kernel_adam_options *options);
    void (*rmsprop)(int64_t n, real *theta, real *grad, real *v, double lr, double alpha,
                    double eps);
    void (*average)(int64_t n, double keep, const real *x, real *average);
} kernel_table;

/* Table number k of those this CPU can run: the best first, ref last; NULL past the end. */
const kernel_table *kernel_table_at(int k);
/* Use this table from now on (NULL: the best). For tests and measurements. */
void kernel_table_use(const kernel_table *table);

void ref_fill_affine(kernel_table *t);
void ref_fill_counts(kernel_table *t);
void ref_fill_decoder(kernel_table *t);
void ref_fill_lists(kernel_table *t);
void ref_fill_elementwise(kernel_table *t);
void ref_fill_norm(kernel_table *t);
void ref_fill_optimizer(kernel_table *t);
void ref_fill_gemm(kernel_table *t);
void ref_fill_random(kernel_table *t);

/* How a decoder is cut (kernel_decoder): its features into slices, each the work of one thread, and
 * those into strips. Fixed, so that sums do not depend on the threads. */
#define DECODER_SLICES 16
#define DECODER_STRIP 48
/* The same for a decoder of counts (kernel_counts). */
#define COUNTS_SLICES 16
#define COUNTS_STRIP 64
#define COUNTS_GROUP 16 /* rows whose entries are spread out at a time */

/* log G(x + s) / (G(s) x!) and psi(x + s) - psi(s), psi the logarithmic derivative of G. */
double kernel_gamma_ratio(double s, double x, double *psi);

/* A 16-bit number below this drops its element. */
static inline uint32_t kernel_keep_limit(double drop)
{
    uint32_t limit = (uint32_t)(drop * 65536.0 + 0.5);
    return limit < 65535 ? limit : 65535;
}

/* One implementation of products. False: the case is declined, and C is untouched. */
typedef struct kernel_gemm_row {
    const char *name;
    bool (*gemm)(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c);
} kernel_gemm_row;

/* The ordered list of this build, without ref; ends with a NULL name. For tests. */
const kernel_gemm_row *kernel_gemm_rows(void);

/* kernel_bf16_new, with the oneDNN of this build even where it has to emulate. For tests. */
SCW_CHECKED scw_status kernel_bf16_new_onednn(kernel_bf16 **out);
/* How many products of it a library computed. */
int64_t kernel_bf16_n_onednn(const kernel_bf16 *w);

#endif
