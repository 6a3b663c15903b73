/* SPDX-License-Identifier: BSD-3-Clause */
/* The fronts of kernel.h: which implementation runs.
 *
 * Products go down an ordered list (oneDNN, CBLAS, then the table's own); all other kernels go to one
 * table, the best that this CPU runs. The double build has ref only. */
#include "kernel/table.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/threads.h"

#ifdef HAVE_ONEDNN
#include "kernel/dnnl/dnnl.h"
#endif
#ifdef HAVE_CBLAS
#include "kernel/blas/blas.h"
#endif

#ifdef HAVE_CPU_KERNELS
#define DECLARE_CPU(isa_)                                                                          \
    void cpu_fill_affine_##isa_(kernel_table *t);                                                  \
    void cpu_fill_counts_##isa_(kernel_table *t);                                                  \
    void cpu_fill_decoder_##isa_(kernel_table *t);                                                 \
    void cpu_fill_elementwise_##isa_(kernel_table *t);                                             \
    void cpu_fill_gamma_##isa_(kernel_table *t);                                                   \
    void cpu_fill_gemm_##isa_(kernel_table *t);                                                    \
    void cpu_fill_lists_##isa_(kernel_table *t);                                                   \
    void cpu_fill_norm_##isa_(kernel_table *t);                                                    \
    void cpu_fill_optimizer_##isa_(kernel_table *t);                                               \
    void cpu_fill_random_##isa_(kernel_table *t);
#define ADD_CPU(name_, isa_)                                                                       \
    do {                                                                                           \
        kernel_table *added = add_table(name_);                                                    \
        cpu_fill_affine_##isa_(added);                                                             \
        cpu_fill_counts_##isa_(added);                                                             \
        cpu_fill_decoder_##isa_(added);                                                            \
        cpu_fill_elementwise_##isa_(added);                                                        \
        cpu_fill_gamma_##isa_(added);                                                              \
        cpu_fill_gemm_##isa_(added);                                                               \
        cpu_fill_lists_##isa_(added);                                                              \
        cpu_fill_norm_##isa_(added);                                                               \
        cpu_fill_optimizer_##isa_(added);                                                          \
        cpu_fill_random_##isa_(added);                                                             \
    } while (0)
DECLARE_CPU(default)
#ifdef HAVE_CPU_X86
DECLARE_CPU(avx2)
DECLARE_CPU(avx512)
#endif
#endif

#define MOST_TABLES 4

static kernel_table tables[MOST_TABLES];
static int n_tables;
static _Atomic(const kernel_table *) chosen;

static kernel_table *add_table(const char *isa)
{
    kernel_table *t = &tables[n_tables++];

    assert(n_tables <= MOST_TABLES);
    t->isa = isa;
    ref_fill_affine(t);
    ref_fill_counts(t);
    ref_fill_decoder(t);
    ref_fill_elementwise(t);
    ref_fill_lists(t);
    ref_fill_norm(t);
    ref_fill_optimizer(t);
    ref_fill_gemm(t);
    ref_fill_random(t);
    return t;
}

/* Before main, so that no thread can see half a table. */
__attribute__((constructor)) static void build_tables(void)
{
#ifdef HAVE_CPU_KERNELS
#ifdef HAVE_CPU_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        ADD_CPU("avx512f", avx512);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        ADD_CPU("avx2", avx2);
#endif
    ADD_CPU("default", default);
#endif
    (void)add_table("ref");
    atomic_store(&chosen, &tables[0]);
}

const kernel_table *kernel_table_at(int k)
{
    return k >= 0 && k < n_tables ? &tables[k] : NULL;
}

void kernel_table_use(const kernel_table *table)
{
    atomic_store(&chosen, table ? table : &tables[0]);
}

static const kernel_table *table(void)
{
    return atomic_load_explicit(&chosen, memory_order_relaxed);
}

const char *kernel_isa(void)
{
    return table()->isa;
}

/* ------------------------------------------------------------- products */

static const kernel_gemm_row gemm_rows[] = {
#ifdef HAVE_ONEDNN
    {"onednn", onednn_gemm},
#endif
#ifdef HAVE_CBLAS
    {"cblas", blas_gemm},
#endif
    {NULL, NULL},
};

const kernel_gemm_row *kernel_gemm_rows(void)
{
    return gemm_rows;
}

const char *kernel_gemm_name(void)
{
    return gemm_rows[0].name ? gemm_rows[0].name : "own";
}

void kernel_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c)
{
    if (m <= 0 || n <= 0) return;
    if (k <= 0) {
        if (beta == 0)
            for (int64_t e = 0; e < m * n; e++) c[e] = 0;
        return;
    }
    for (const kernel_gemm_row *row = gemm_rows; row->name; row++)
        if (row->gemm(trans_a, trans_b, m, n, k, a, b, beta, c)) return;
    table()->gemm(trans_a, trans_b, m, n, k, a, b, beta, c);
}

/* ------------------------------------------------------------- all others */

void kernel_affine_forward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                           real *out)
{
    table()->affine_forward(x, w, weight, h, out);
}

void kernel_affine_backward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                            const real *g, real *d_w, real *d_weight,
                            const kernel_taker *taker)
{
    table()->affine_backward(x, w, weight, h, g, d_w, d_weight, taker);
}

double kernel_affine_squared_error(const affine_sparse *x, const real *p)
{
    return table()->affine_squared_error(x, p);
}

void kernel_affine_squared_error_backward(const affine_sparse *x, const real *p, real scale,
                                          bool fresh, real *d_p)
{
    table()->affine_squared_error_backward(x, p, scale, fresh, d_p);
}

void kernel_lists_gather(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                         int64_t l, double *out)
{
    table()->lists_gather(s, first, last, b, l, out);
}

void kernel_lists_scatter(const kernel_lists *s, int64_t first, int64_t last, const double *b,
                          int64_t l, double *out)
{
    table()->lists_scatter(s, first, last, b, l, out);
}

void kernel_to_bf16(int64_t n, const real *x, uint16_t *out)
{
    table()->to_bf16(n, x, out);
}

void kernel_round_bf16(int64_t n, const real *x, real *out)
{
    table()->round_bf16(n, x, out);
}

void kernel_relu(int64_t n, const real *x, real *y)
{
    table()->relu(n, x, y);
}

void kernel_relu_backward(int64_t n, const real *y, const real *g, real *d_x)
{
    table()->relu_backward(n, y, g, d_x);
}

void kernel_add(int64_t n, const real *x, const real *y, real *out)
{
    table()->add(n, x, y, out);
}

void kernel_accumulate(int64_t n, real scale, const real *x, real *y)
{
    table()->accumulate(n, scale, x, y);
}

void kernel_scale(int64_t n, real scale, const real *x, real *y)
{
    table()->scale(n, scale, x, y);
}

void kernel_multiply(int64_t n, const real *x, const real *y, real *out)
{
    table()->multiply(n, x, y, out);
}

void kernel_multiply_accumulate(int64_t n, const real *x, const real *y, real *out)
{
    table()->multiply_accumulate(n, x, y, out);
}

void kernel_exp(int64_t n, const real *x, real *y)
{
    table()->exp(n, x, y);
}

double kernel_sum(int64_t n, const real *x)
{
    return table()->sum(n, x);
}

double kernel_sum_squares(int64_t n, const real *x)
{
    return table()->sum_squares(n, x);
}

void kernel_fill_keep(int64_t n, double drop, rng_key key, uint32_t step, real *out)
{
    table()->fill_keep(n, drop, key, step, out);
}

void kernel_fill_normal(int64_t n, rng_key key, uint32_t step, real *out)
{
    table()->fill_normal(n, key, step, out);
}

void kernel_add_bias(int64_t rows, int64_t cols, const real *x, const real *bias, real *y)
{
    table()->add_bias(rows, cols, x, bias, y);
}

void kernel_column_sums(int64_t rows, int64_t cols, const real *g, real *d_bias)
{
    table()->column_sums(rows, cols, g, d_bias);
}

void kernel_softmax(int64_t rows, int64_t cols, const real *x, real *y)
{
    table()->softmax(rows, cols, x, y);
}

void kernel_log_softmax(int64_t rows, int64_t cols, const real *x, real *y)
{
    table()->log_softmax(rows, cols, x, y);
}

void kernel_batch_norm_train(const kernel_norm *b, real momentum, real *running_mean,
                             real *running_var, real *y)
{
    table()->batch_norm_train(b, momentum, running_mean, running_var, y);
}

void kernel_batch_norm_eval(const kernel_norm *b, const real *running_mean, const real *running_var,
                            real *y)
{
    table()->batch_norm_eval(b, running_mean, running_var, y);
}

void kernel_batch_norm_backward(const kernel_norm *b, const real *g, bool fresh, real *d_x,
                                real *d_gamma, real *d_beta)
{
    table()->batch_norm_backward(b, g, fresh, d_x, d_gamma, d_beta);
}

int64_t kernel_decoder_stride(int64_t rows)
{
    return (rows + 15) / 16 * 16;
}

/* z packed, and again, padded; for each slice strips of the target, sums of d_z and a place in each
 * row; three facts of a row. */
int64_t kernel_decoder_scratch(const kernel_decoder *d)
{
    const int64_t rows = d->x->n_rows, stride = kernel_decoder_stride(rows);
    const int64_t wide = d->width < 16 ? 16 : d->width;
    const int64_t packed = (rows + 63) / 64 * 64 * wide;
    const int64_t of_slice = DECODER_STRIP * stride + rows * wide + DECODER_STRIP * 16 +
                             (rows + 1) * (int64_t)(sizeof(int64_t) / sizeof(real));

    return 2 * packed + 3 * stride + DECODER_SLICES * of_slice;
}

double kernel_decoder_error(const kernel_decoder *d)
{
    return table()->decoder_error(d);
}

void kernel_decoder_weights(const kernel_decoder *d, real scale, bool fresh, real *d_weight,
                            const kernel_taker *taker)
{
    table()->decoder_weights(d, scale, fresh, d_weight, taker);
}

int64_t kernel_counts_size(int64_t rows, int64_t cols)
{
    return (cols + COUNTS_STRIP - 1) / COUNTS_STRIP * COUNTS_STRIP * rows;
}

/* z with wide rows, and for each slice: the gradient of a strip, the entries of a few rows, a strip of W twice
 * over, the numbers of each batch's features, sums of z's gradient, and of each row two places and two
 * sums of as many lanes as a vector has at most. */
int64_t kernel_counts_scratch(const kernel_counts *c)
{
    const int64_t rows = c->x->n_rows, wide = c->width < 16 ? 16 : c->width;
    const int64_t of_slice = (rows + COUNTS_GROUP + 2 * wide + 8 * c->n_batches) * COUNTS_STRIP +
                             rows * (wide + 32) +
                             (2 * rows + 1) * (int64_t)(sizeof(int64_t) / sizeof(real));

    return rows * wide + COUNTS_SLICES * of_slice;
}

double kernel_counts_loss(const kernel_counts *c)
{
    return table()->counts_loss(c);
}

void kernel_counts_backward(const kernel_counts *c, real factor, const kernel_counts_gradients *to)
{
    table()->counts_backward(c, factor, to);
}

/* Each slice's place in each row, and the rows by batch. */
int64_t kernel_gamma_scratch(int64_t rows)
{
    return (COUNTS_SLICES + 1) * (rows + 1) * (int64_t)(sizeof(int64_t) / sizeof(real));
}

double kernel_gamma_terms(const kernel_gamma *g)
{
    return table()->gamma_terms(g);
}

void kernel_adam(int64_t n, real *theta, real *grad, real *m, real *v,
                 const kernel_adam_options *options)
{
    table()->adam(n, theta, grad, m, v, options);
}

void kernel_rmsprop(int64_t n, real *theta, real *grad, real *v, double lr, double alpha,
                    double eps)
{
    table()->rmsprop(n, theta, grad, v, lr, alpha, eps);
}

void kernel_average(int64_t n, double keep, const real *x, real *average)
{
    table()->average(n, keep, x, average);
}
