/* SPDX-License-Identifier: BSD-3-Clause */
/* Every fast kernel, for every instruction set this CPU has, against the reference, in single
 * precision: shapes with edges (0, 1, primes, one past a block, large). All kernels of a table run on
 * a case and leave named results; two lists of results are compared, so a kernel cannot be forgotten
 * in one test and tested in another. Tolerance: 2e-5 of the largest value (ref sums in double). */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "base/threads.h"
#include "kernel/table.h"

#define TOLERANCE 2e-5
#define MOST_RESULTS 32
#define MOST_VALUES (67 * 2003)
#define N_STREAMS 16

typedef struct result {
    const char *name;
    real *at;
    int64_t n;
} result;

typedef struct results {
    arena memory;
    result of[MOST_RESULTS];
    int n;
} results;

static real *new_values(results *r, int64_t n)
{
    real *at = arena_alloc(&r->memory, n, sizeof *at);
    assert_non_null(at);
    return at;
}

/* Normal numbers, the same for the same stream. Drawn once: drawing took half of this program's
 * time. */
static real *random_values(results *r, int64_t n, uint32_t stream)
{
    static real drawn[N_STREAMS][MOST_VALUES];
    static bool ready[N_STREAMS];
    real *at = new_values(r, n);

    assert_true(stream < N_STREAMS && n <= MOST_VALUES);
    if (!ready[stream])
        kernel_fill_normal(MOST_VALUES, rng_make_key(7, RNG_TEST, stream), 0, drawn[stream]);
    ready[stream] = true;
    if (n) memcpy(at, drawn[stream], (size_t)n * sizeof *at);
    return at;
}

static real *positive_values(results *r, int64_t n, uint32_t stream)
{
    real *at = random_values(r, n, stream);
    for (int64_t e = 0; e < n; e++) at[e] = fabsf(at[e]) + 0.1f;
    return at;
}

static real *keep(results *r, const char *name, real *at, int64_t n)
{
    assert_true(r->n < MOST_RESULTS);
    r->of[r->n++] = (result){name, at, n};
    return at;
}

static void keep_number(results *r, const char *name, double x)
{
    real *at = new_values(r, 1);
    at[0] = (real)x;
    (void)keep(r, name, at, 1);
}

static void results_reset(results *r)
{
    arena_reset(&r->memory);
    r->n = 0;
}

/* ------------------------------------------------------------- the cases */

typedef struct test_case {
    int64_t rows, cols, h;
    int parts; /* as in sample_affine of engine/ops.h */
    bool weighted;
    double density;
} test_case;

static void run_flat(const kernel_table *t, const test_case *c, results *r)
{
    int64_t n = c->rows * c->cols;
    real *x = random_values(r, n, 1), *y = random_values(r, n, 2), *wide = new_values(r, n);

    for (int64_t e = 0; e < n; e++) wide[e] = -40 * fabsf(x[e]); /* also below the normal range */
    t->relu(n, x, keep(r, "relu", new_values(r, n), n));
    t->relu_backward(n, x, y, keep(r, "relu_backward", random_values(r, n, 3), n));
    t->add(n, x, y, keep(r, "add", new_values(r, n), n));
    t->accumulate(n, 1.5f, x, keep(r, "accumulate", random_values(r, n, 3), n));
    t->scale(n, -0.7f, x, keep(r, "scale", new_values(r, n), n));
    t->multiply(n, x, y, keep(r, "multiply", new_values(r, n), n));
    t->multiply_accumulate(n, x, y, keep(r, "multiply_accumulate", random_values(r, n, 3), n));
    t->exp(n, x, keep(r, "exp", new_values(r, n), n));
    real *small = keep(r, "exp wide", new_values(r, n), n);
    t->exp(n, wide, small);
    for (int64_t e = 0; e < n; e++) small[e] = logf(small[e] + 1e-37f);
    keep_number(r, "sum", t->sum(n, x));
    keep_number(r, "sum_squares", t->sum_squares(n, x));
}

/* Plain or, in the second round of the shapes, with relu and dropout around it. */
static void run_norm(const kernel_table *t, kernel_norm *b, bool around, results *r)
{
    int64_t cols = b->cols, n = b->rows * cols;
    real *mask = new_values(r, n), *g = random_values(r, n, 2);
    real *run_mean = keep(r, "running_mean", random_values(r, cols, 5), cols);
    real *run_var = keep(r, "running_var", positive_values(r, cols, 6), cols);

    kernel_fill_keep(n, 0.3, rng_make_key(7, RNG_TEST, 16), 0, mask);
    b->relu = around;
    b->keep = around ? mask : NULL;
    t->batch_norm_eval(b, run_mean, run_var, keep(r, "batch_norm_eval", new_values(r, n), n));
    if (b->rows == 1) return; /* no variance: 1 / sqrt(eps) of rounding noise would be compared */
    t->batch_norm_train(b, 0.1f, run_mean, run_var,
                        keep(r, "batch_norm_train", new_values(r, n), n));
    for (int fresh = 0; fresh < 2; fresh++)
        t->batch_norm_backward(b, g, fresh, keep(r, "batch_norm d_x", random_values(r, n, 8), n),
                               keep(r, "batch_norm d_gamma", random_values(r, cols, 9), cols),
                               keep(r, "batch_norm d_beta", random_values(r, cols, 10), cols));
    t->batch_norm_backward(b, g, false, NULL,
                           keep(r, "without d_x: d_gamma", random_values(r, cols, 9), cols),
                           keep(r, "without d_x: d_beta", random_values(r, cols, 10), cols));
}

static void run_matrix(const kernel_table *t, const test_case *c, results *r)
{
    int64_t rows = c->rows, cols = c->cols, n = rows * cols;
    real *x = random_values(r, n, 1), *g = random_values(r, n, 2);
    real *gamma = random_values(r, cols, 3), *beta = random_values(r, cols, 4);
    real *mean = keep(r, "batch_norm mean", new_values(r, cols), cols);
    real *inv_std = keep(r, "batch_norm inv_std", new_values(r, cols), cols);

    memset(mean, 0, (size_t)cols * sizeof *mean);
    memset(inv_std, 0, (size_t)cols * sizeof *inv_std);
    t->add_bias(rows, cols, x, gamma, keep(r, "add_bias", new_values(r, n), n));
    t->column_sums(rows, cols, g, keep(r, "column_sums", random_values(r, cols, 7), cols));
    t->softmax(rows, cols, x, keep(r, "softmax", new_values(r, n), n));
    t->log_softmax(rows, cols, x, keep(r, "log_softmax", new_values(r, n), n));
    kernel_norm b = {.rows = rows, .cols = cols, .x = x, .gamma = gamma, .beta = beta,
                     .eps = 1e-3f, .mean = mean, .inv_std = inv_std};
    run_norm(t, &b, c->weighted, r);
}

static affine_sparse random_affine(results *r, const test_case *c)
{
    rng_key key = rng_make_key(8, RNG_TEST, 0);
    int64_t *indptr = arena_alloc(&r->memory, c->rows + 1, sizeof *indptr), nnz = 0;
    int32_t *indices = arena_alloc(&r->memory, c->rows * c->cols, sizeof *indices);
    real *weight = new_values(r, c->rows);

    assert_true(indptr && indices);
    for (int64_t i = 0; i < c->rows; i++) {
        indptr[i] = nnz;
        weight[i] = i % 3 == 0 ? 0.0f : 1.0f;
        for (int64_t j = 0; j < c->cols; j++)
            if (rng_uniform(key, 0, (uint64_t)(i * c->cols + j)) < c->density)
                indices[nnz++] = (int32_t)j;
    }
    indptr[c->rows] = nnz;
    return (affine_sparse){
        .n_rows = c->rows, .n_cols = c->cols, .indptr = indptr, .indices = indices,
        .values = random_values(r, nnz, 11),
        .row_scale = c->parts & 1 ? random_values(r, c->rows, 12) : NULL,
        .row_shift = c->parts & 2 ? random_values(r, c->rows, 13) : NULL,
        .col_scale = c->parts & 4 ? random_values(r, c->cols, 14) : NULL,
        .col_shift = c->parts & 8 ? random_values(r, c->cols, 15) : NULL,
        .row_weight = c->parts & 16 ? weight : NULL};
}

/* Collects what is handed on; what comes twice shows, and what never comes. */
typedef struct basket {
    real *at;
    kernel_taker taker;
} basket;

static void put_in(const kernel_taker *t, int64_t from, int64_t n, real *gradient)
{
    real *at = t->self;

    assert_true(n <= KERNEL_TAKE_VALUES);
    for (int64_t e = 0; e < n; e++) {
        at[from + e] += 1 + gradient[e];
        gradient[e] = 7;
    }
}

static basket new_basket(results *r, const char *name, int64_t n)
{
    basket b = {.at = keep(r, name, new_values(r, n), n)};

    for (int64_t e = 0; e < n; e++) b.at[e] = 0;
    b.taker = (kernel_taker){b.at, 0, put_in};
    return b;
}

static void run_affine(const kernel_table *t, const test_case *c, results *r)
{
    int64_t n = c->rows * c->cols, n_weight = c->cols * c->h, n_out = c->rows * c->h;
    affine_sparse x = random_affine(r, c);
    real *w = c->weighted ? random_values(r, c->cols, 1) : NULL;
    real *weight = random_values(r, n_weight, 2), *g = random_values(r, n_out, 3);
    real *p = random_values(r, n, 4);
    real *d_w = c->weighted ? keep(r, "d_w", random_values(r, c->cols, 5), c->cols) : NULL;

    t->affine_forward(&x, w, weight, c->h, keep(r, "forward", new_values(r, n_out), n_out));
    t->affine_backward(&x, w, weight, c->h, g, d_w,
                       keep(r, "d_weight", random_values(r, n_weight, 6), n_weight), NULL);
    if (kernel_can_take(c->rows, c->h)) {
        basket b = new_basket(r, "taken", n_weight);
        d_w = c->weighted ? keep(r, "d_w beside taker", random_values(r, c->cols, 5), c->cols) : NULL;
        t->affine_backward(&x, w, weight, c->h, g, d_w, NULL, &b.taker);
    }
    keep_number(r, "squared_error", t->affine_squared_error(&x, p));
    for (int fresh = 0; fresh < 2; fresh++)
        t->affine_squared_error_backward(&x, p, 0.3f, fresh,
                                         keep(r, "d_p", random_values(r, n, 7), n));
}

/* Linear, or with batch norm in the second round; z is h wide. */
static void run_decoder(const kernel_table *t, const test_case *c, results *r)
{
    const int64_t n_weight = c->cols * c->h, f = c->cols;
    affine_sparse x = random_affine(r, c);
    kernel_decoder d = {.x = &x, .width = c->h, .z = random_values(r, c->rows * c->h, 2),
                        .weight = random_values(r, n_weight, 3), .eps = 1e-3f, .momentum = 0.1f};

    if (c->weighted ? c->rows < 2 : c->h == 0) return;
    if (c->weighted) {
        d.gamma = random_values(r, f, 4);
        d.beta = random_values(r, f, 5);
        d.running_mean = keep(r, "decoder running_mean", random_values(r, f, 6), f);
        d.running_var = keep(r, "decoder running_var", positive_values(r, f, 7), f);
        d.d_gamma = keep(r, "decoder d_gamma", new_values(r, f), f);
        d.d_beta = keep(r, "decoder d_beta", new_values(r, f), f);
    } else {
        d.bias = c->parts & 1 ? random_values(r, f, 8) : NULL;
        d.d_bias = keep(r, "decoder d_bias", new_values(r, f), f);
    }
    const int64_t n_g = f * kernel_decoder_stride(c->rows);
    d.g = keep(r, "decoder g", new_values(r, n_g), n_g);
    d.d_z = keep(r, "decoder d_z", new_values(r, c->rows * c->h), c->rows * c->h);
    d.scratch = new_values(r, kernel_decoder_scratch(&d));
    keep_number(r, "decoder error", t->decoder_error(&d));
    for (int fresh = 0; fresh < 2; fresh++)
        t->decoder_weights(&d, 0.3f, fresh,
                           keep(r, "decoder d_weight", random_values(r, n_weight, 9), n_weight), NULL);
    if (!kernel_can_take(c->rows, c->h)) return;
    basket b = new_basket(r, "decoder taken", n_weight);
    t->decoder_weights(&d, 0.3f, true, NULL, &b.taker);
}

/* nb, or bernoulli in the second round; parts: 1 bias, scale and shift, 2 offset, 4 several batches, 16 rows
 * absent. Logits are tame, as they are where a network has learnt: tolerances are of the largest. */
static void run_counts(const kernel_table *t, const test_case *c, results *r)
{
    const int64_t n_weight = c->cols * c->h, n_z = c->rows * c->h, n_batches = c->parts & 4 ? 3 : 1;
    const int64_t n = n_batches * c->cols;
    affine_sparse x = random_affine(r, c);
    real *values = (real *)(uintptr_t)x.values, *z = random_values(r, n_z, 2);
    int32_t *batch = arena_alloc(&r->memory, c->rows, sizeof *batch);
    kernel_counts d = {.x = &x, .bernoulli = c->weighted, .width = c->h, .z = z,
                       .weight = random_values(r, n_weight, 3), .floor = 1e-3f, .n_batches = n_batches};

    if (c->h == 0) return;
    assert_non_null(batch);
    for (int64_t e = 0; e < n_z; e++) z[e] *= 0.3f;
    for (int64_t e = 0; e < x.indptr[c->rows]; e++)
        values[e] = floorf(1.0f + fabsf(values[e]) * (e % 11 ? 2.0f : 20.0f)) + (e % 29 ? 0.0f : 0.5f);
    for (int64_t i = 0; i < c->rows; i++) batch[i] = (int32_t)(i * 7 % 3);
    if (n_batches > 1) d.batch = batch;
    if (c->parts & 1) {
        d.bias = random_values(r, c->cols, 4);
        d.scale = positive_values(r, n, 5);
        d.shift = random_values(r, n, 6);
    }
    if (c->parts & 2) d.offset = random_values(r, c->rows, 7);
    d.library = positive_values(r, c->rows, 8);
    for (int64_t i = 0; i < c->rows; i++) ((real *)(uintptr_t)d.library)[i] *= (float)c->cols;
    d.log_shape = random_values(r, n, 9);
    d.logits = new_values(r, kernel_counts_size(c->rows, c->cols));
    d.facts = d.bernoulli ? NULL : keep(r, "counts facts", new_values(r, 3 * c->rows), 3 * c->rows);
    d.d_log_shape = d.bernoulli ? NULL : keep(r, "counts d_log_shape", new_values(r, n), n);
    d.scratch = new_values(r, kernel_counts_scratch(&d));
    keep_number(r, "counts loss", t->counts_loss(&d));
    kernel_counts_gradients to = {.z = keep(r, "counts d_z", random_values(r, n_z, 10), n_z),
                                  .weight = keep(r, "counts d_weight", random_values(r, n_weight, 11), n_weight),
                                  .bias = keep(r, "counts d_bias", random_values(r, c->cols, 12), c->cols),
                                  .scale = keep(r, "counts d_scale", random_values(r, n, 13), n),
                                  .shift = keep(r, "counts d_shift", random_values(r, n, 14), n)};
    t->counts_backward(&d, 0.3f, &to);
    kernel_gamma g = {.x = &x, .batch = d.batch, .n_batches = n_batches, .log_shape = d.log_shape,
                      .d_log_shape = keep(r, "gamma d_log_shape", new_values(r, n), n),
                      .scratch = new_values(r, kernel_gamma_scratch(c->rows))};
    keep_number(r, "gamma terms", t->gamma_terms(&g));
    if (!kernel_can_take(c->rows, c->h)) return;
    basket b = new_basket(r, "counts taken", n_weight);
    to = (kernel_counts_gradients){.taker = &b.taker};
    t->counts_backward(&d, 0.3f, &to);
}

static void run_lists(const kernel_table *t, const test_case *c, results *r)
{
    affine_sparse x = random_affine(r, c);
    kernel_lists lists = {x.indptr, x.indices, x.values};
    int64_t n_in = (c->cols > c->rows ? c->cols : c->rows) * c->h;
    double *b = arena_alloc(&r->memory, n_in, sizeof *b), *out = arena_alloc(&r->memory, n_in, sizeof *out);

    assert_true(b && out);
    for (int scatter = 0; scatter < 2; scatter++) {
        int64_t n = (scatter ? c->cols : c->rows) * c->h;
        real *drawn = random_values(r, n_in, 2), *kept;
        for (int64_t e = 0; e < n_in; e++) b[e] = (double)drawn[e];
        for (int64_t e = 0; e < n; e++) out[e] = 1.0;
        /* all lists but the first, whose row of `out` stays as it is */
        (scatter ? t->lists_scatter : t->lists_gather)(&lists, c->rows > 1, c->rows, b, c->h, out);
        kept = keep(r, scatter ? "lists_scatter" : "lists_gather", new_values(r, n), n);
        for (int64_t e = 0; e < n; e++) kept[e] = (real)out[e];
    }
}

static void run_optimizers(const kernel_table *t, const test_case *c, results *r)
{
    int64_t n = c->rows * c->cols;
    kernel_adam_options o = {.lr = 0.02, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                             .weight_decay = 0.01, .step = 3, .decoupled = c->weighted};

    t->adam(n, keep(r, "adam theta", random_values(r, n, 1), n),
            keep(r, "adam grad", random_values(r, n, 2), n),
            keep(r, "adam m", random_values(r, n, 3), n),
            keep(r, "adam v", positive_values(r, n, 4), n), &o);
    t->rmsprop(n, keep(r, "rmsprop theta", random_values(r, n, 1), n),
               keep(r, "rmsprop grad", random_values(r, n, 2), n),
               keep(r, "rmsprop v", positive_values(r, n, 4), n), 0.02, 0.99, 1e-8);
    t->average(n, 0.9, random_values(r, n, 1), keep(r, "average", random_values(r, n, 2), n));
}

static void run_random(const kernel_table *t, const test_case *c, results *r)
{
    int64_t n = c->rows * c->cols;
    rng_key key = rng_make_key(0x123456789ABCDEFu, RNG_TEST, (uint32_t)c->cols);

    t->fill_keep(n, c->weighted ? 0.2 : 0.0, key, 3, keep(r, "fill_keep", new_values(r, n), n));
    t->fill_keep(n, 0.999999, key, 3, keep(r, "fill_keep, high", new_values(r, n), n));
    t->fill_normal(n, key, 4, keep(r, "fill_normal", new_values(r, n), n));
}

/* ------------------------------------------------------------- comparing */

/* Name of the first result that differs by more than the tolerance, or NULL. NaN differs. */
static const char *first_difference(const results *found, const results *expected,
                                    double tolerance, double *error)
{
    assert_int_equal(found->n, expected->n);
    for (int k = 0; k < expected->n; k++) {
        const result *a = &found->of[k], *b = &expected->of[k];
        double scale = 1.0;
        for (int64_t e = 0; e < b->n; e++) scale = fmax(scale, fabs((double)b->at[e]));
        for (int64_t e = 0; e < b->n; e++) {
            *error = fabs((double)a->at[e] - (double)b->at[e]) / scale;
            if (!(*error <= tolerance)) return b->name;
        }
    }
    return NULL;
}

static const char *first_changed_bits(const results *a, const results *b)
{
    for (int k = 0; k < b->n; k++)
        if (b->of[k].n > 0 &&
            memcmp(a->of[k].at, b->of[k].at, (size_t)b->of[k].n * sizeof(real)) != 0)
            return b->of[k].name;
    return NULL;
}

typedef void run_fn(const kernel_table *t, const test_case *c, results *r);

static const kernel_table *reference(void)
{
    int k = 0;
    while (kernel_table_at(k + 1)) k++;
    assert_string_equal(kernel_table_at(k)->isa, "ref");
    return kernel_table_at(k);
}

static void compare(run_fn *run, const test_case *c)
{
    static results expected, found;
    double error;

    results_reset(&expected);
    run(reference(), c, &expected);
    for (int k = 0; kernel_table_at(k) != reference(); k++) {
        results_reset(&found);
        run(kernel_table_at(k), c, &found);
        const char *name = first_difference(&found, &expected, TOLERANCE, &error);
        if (name)
            fail_msg("%s, %s [%lld, %lld] h %lld parts %d: error %.2e", name,
                     kernel_table_at(k)->isa, (long long)c->rows, (long long)c->cols,
                     (long long)c->h, c->parts, error);
    }
}

static const test_case shapes[] = {
    {.rows = 0, .cols = 5}, {.rows = 5, .cols = 0}, {.rows = 1, .cols = 1}, {.rows = 1, .cols = 7},
    {.rows = 7, .cols = 1}, {.rows = 2, .cols = 3}, {.rows = 3, .cols = 64},
    {.rows = 13, .cols = 65}, {.rows = 64, .cols = 185}, {.rows = 67, .cols = 1009},
    {.rows = 1, .cols = 8191}, {.rows = 1, .cols = 8193}, {.rows = 3, .cols = 40009},
    {.rows = 1031, .cols = 37}};

static void over_shapes(run_fn *run)
{
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        test_case c = shapes[k];
        compare(run, &c);
        c.weighted = true;
        compare(run, &c);
    }
}

static void flat_kernels(void **state)
{
    (void)state;
    over_shapes(run_flat);
}

static void matrix_kernels(void **state)
{
    (void)state;
    over_shapes(run_matrix);
}

static void list_kernels(void **state)
{
    (void)state;
    over_shapes(run_lists);
}

static void optimizer_kernels(void **state)
{
    (void)state;
    over_shapes(run_optimizers);
}

static void random_kernels(void **state)
{
    (void)state;
    over_shapes(run_random);
}

/* Mean and variance within five standard errors; a mask holds 0 and the inverse only. */
static void moments_of_random_numbers(void **state)
{
    enum { N = 100003 };
    static real x[N];
    rng_key key = rng_make_key(1, RNG_TEST, 0);

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        double mean = kind ? 1.0 : 0.0, variance = kind ? 0.25 : 1.0, sum = 0, squares = 0;
        if (kind)
            kernel_fill_keep(N, 0.2, key, 2, x);
        else
            kernel_fill_normal(N, key, 0, x);
        for (int k = 0; k < N; k++) {
            sum += (double)x[k];
            squares += ((double)x[k] - mean) * ((double)x[k] - mean);
            if (kind) assert_true(x[k] == 0 || fabs((double)x[k] - 1.25) < 1e-5);
        }
        assert_true(fabs(sum / N - mean) < 5 * sqrt(variance / N));
        assert_true(fabs(squares / N / variance - 1) < 5 * sqrt(2.0 / N));
    }
}

static void affine_kernels(void **state)
{
    static const test_case cases[] = {
        {.rows = 0, .cols = 5, .h = 3}, {.rows = 5, .cols = 0, .h = 3},
        {.rows = 4, .cols = 6, .h = 0}, {.rows = 1, .cols = 1, .h = 1, .density = 1},
        {.rows = 7, .cols = 11, .h = 1, .density = 0.5},
        {.rows = 5, .cols = 3, .h = 17, .density = 0},
        {.rows = 13, .cols = 101, .h = 64, .density = 0.3},
        {.rows = 33, .cols = 401, .h = 185, .density = 0.05},
        {.rows = 2, .cols = 3, .h = 4099, .density = 1},
        {.rows = 1031, .cols = 5, .h = 3, .density = 0.2}};

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int parts = 0; parts < 64; parts++) {
            test_case c = cases[k];
            c.parts = parts % 32;
            c.weighted = parts >= 32;
            compare(run_affine, &c);
        }
}

static void decoder_kernels(void **state)
{
    static const test_case cases[] = {
        {.rows = 0, .cols = 5, .h = 3}, {.rows = 5, .cols = 0, .h = 3},
        {.rows = 1, .cols = 1, .h = 1, .density = 1}, {.rows = 2, .cols = 1, .h = 1, .density = 1},
        {.rows = 7, .cols = 11, .h = 3, .density = 0.5}, {.rows = 64, .cols = 49, .h = 15, .density = 0},
        {.rows = 13, .cols = 101, .h = 16, .density = 0.3}, {.rows = 65, .cols = 301, .h = 17, .density = 0.1},
        {.rows = 21, .cols = 1009, .h = 100, .density = 0.05}, {.rows = 301, .cols = 97, .h = 33, .density = 0.2}};

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int way = 0; way < 14; way++) {
            static const int parts[] = {0, 1, 2, 4, 8, 16, 31};
            test_case c = cases[k];
            c.parts = parts[way % 7];
            c.weighted = way >= 7;
            compare(run_decoder, &c);
        }
}

static void counts_kernels(void **state)
{
    static const test_case cases[] = {
        {.rows = 0, .cols = 5, .h = 3}, {.rows = 5, .cols = 0, .h = 3},
        {.rows = 1, .cols = 1, .h = 1, .density = 1}, {.rows = 7, .cols = 11, .h = 3, .density = 0.5},
        {.rows = 64, .cols = 49, .h = 15, .density = 0}, {.rows = 13, .cols = 131, .h = 16, .density = 0.3},
        {.rows = 65, .cols = 301, .h = 17, .density = 0.1}, {.rows = 21, .cols = 1009, .h = 100, .density = 0.05},
        {.rows = 301, .cols = 97, .h = 33, .density = 0.2}};

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int way = 0; way < 12; way++) {
            static const int parts[] = {0, 1, 2, 4, 16, 23};
            test_case c = cases[k];
            c.parts = parts[way % 6];
            c.weighted = way >= 6;
            compare(run_counts, &c);
        }
}

/* ------------------------------------------------------------- threads */

static void same_bits(run_fn *run, const test_case *c)
{
    static results one, more;

    for (int k = 0; kernel_table_at(k) != reference(); k++) {
        threads_set(1);
        results_reset(&one);
        run(kernel_table_at(k), c, &one);
        for (int n = 2; n <= 3; n++) {
            threads_set(n);
            results_reset(&more);
            run(kernel_table_at(k), c, &more);
            const char *name = first_changed_bits(&more, &one);
            if (name)
                fail_msg("%s, %s: other bits with %d threads", name, kernel_table_at(k)->isa, n);
        }
    }
    threads_set(0);
}

static void threads_do_not_change_bits(void **state)
{
    test_case c = {.rows = 67, .cols = 2003, .h = 47, .parts = 31, .density = 0.1};

    (void)state;
    same_bits(run_flat, &c);
    same_bits(run_matrix, &c);
    same_bits(run_optimizers, &c);
    same_bits(run_random, &c);
    for (int weighted = 0; weighted < 2; weighted++)
        for (int parts = 0; parts < 32; parts += 31) {
            c.parts = parts;
            c.weighted = weighted;
            same_bits(run_affine, &c);
            same_bits(run_decoder, &c);
            same_bits(run_counts, &c);
        }
}

/* ------------------------------------------------------------- products */

typedef struct product_case {
    int64_t m, n, k;
    bool trans_a, trans_b;
    real beta;
} product_case;

/* Is it done? An implementation of the list may refuse a shape. What C held before must not be read
 * where beta is 0. */
static bool run_product(const product_case *p, const kernel_gemm_row *row,
                        const kernel_table *table, results *r)
{
    int64_t n = p->m * p->n;

    results_reset(r);
    real *a = random_values(r, p->m * p->k, 1), *b = random_values(r, p->k * p->n, 2);
    real *c = keep(r, "product", random_values(r, n, 3), n);
    for (int64_t e = 0; p->beta == 0 && e < n; e++) c[e] = NAN;
    if (row) return row->gemm(p->trans_a, p->trans_b, p->m, p->n, p->k, a, b, p->beta, c);
    (table ? table->gemm : kernel_gemm)(p->trans_a, p->trans_b, p->m, p->n, p->k, a, b, p->beta, c);
    return true;
}

static void fail_product(const product_case *p, const char *name, double error)
{
    fail_msg("product by %s, [%lld, %lld, %lld] transposed %d %d beta %g: error %.2e", name,
             (long long)p->m, (long long)p->n, (long long)p->k, p->trans_a, p->trans_b,
             (double)p->beta, error);
}

/* By each implementation of the list, each table's own and through the front, which alone is given
 * empty shapes. */
static void compare_products(const product_case *p)
{
    static results found, expected;
    bool empty = !p->m || !p->n || !p->k;
    double error;

    (void)run_product(p, NULL, reference(), &expected);
    for (const kernel_gemm_row *row = kernel_gemm_rows(); row->name && !empty; row++)
        if (run_product(p, row, NULL, &found) &&
            first_difference(&found, &expected, TOLERANCE, &error))
            fail_product(p, row->name, error);
    for (int k = 0; kernel_table_at(k); k++) {
        const kernel_table *table = kernel_table_at(k) == reference() ? NULL : kernel_table_at(k);
        if (table && empty) continue;
        (void)run_product(p, NULL, table, &found);
        if (first_difference(&found, &expected, TOLERANCE, &error))
            fail_product(p, table ? table->isa : "front", error);
    }
}

static const int64_t products[][3] = {{1, 1, 1}, {1, 7, 3}, {7, 1, 3}, {5, 3, 1}, {17, 13, 11},
                                      {64, 100, 185}, {64, 1009, 100}, {100, 509, 64},
                                      {2, 3, 1000}, {129, 65, 257}, {0, 3, 2}, {3, 0, 2},
                                      {3, 2, 0}};

static void products_agree(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof products / sizeof *products; s++)
        for (int way = 0; way < 8; way++) {
            const int64_t *shape = products[s];
            compare_products(&(product_case){.m = shape[0], .n = shape[1], .k = shape[2],
                                             .trans_a = way & 1, .trans_b = way & 2,
                                             .beta = way & 4 ? 1.0f : 0.0f});
        }
}

/* ------------------------------------------------------------- signals */

static char *stack_low, *stack_high;
static pid_t tested; /* the thread they are of */
static volatile sig_atomic_t n_signals;

/* A signal's frame goes where the stack pointer is. If that is not the stack, the heap is broken now, and
 * the test ends here. */
static void on_alarm(int number)
{
    const char *here = __builtin_frame_address(0);

    (void)number;
    if (gettid() != tested) return;
    n_signals = n_signals + 1;
    if (here >= stack_low && here < stack_high) return;
    static const char message[] = "a signal was delivered away from the stack\n";
    (void)!write(STDERR_FILENO, message, sizeof message - 1);
    _exit(1);
}

/* A product whose kernel takes the stack pointer for a purpose of its own must not be interrupted:
 * what the system writes there would be written over the heap. */
static void signals_find_a_stack(void **state)
{
    static results memory;
    const struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, before;
    pthread_attr_t attributes;
    void *low;
    size_t size;

    (void)state;
    assert_int_equal(pthread_getattr_np(pthread_self(), &attributes), 0);
    assert_int_equal(pthread_attr_getstack(&attributes, &low, &size), 0);
    (void)pthread_attr_destroy(&attributes);
    stack_low = low;
    tested = gettid();
    stack_high = stack_low + size;
    threads_set(1);
    results_reset(&memory);
    real *a = random_values(&memory, 64 * 1009, 1), *b = random_values(&memory, 64 * 1009, 2);
    real *c = new_values(&memory, 100 * 1009), *wide = new_values(&memory, 64 * 1009);
    kernel_bf16 *bf16 = NULL;

    assert_int_equal(kernel_bf16_new_onednn(&bf16), SCW_OK);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (int k = 0; n_signals < 300 && k < 200000; k++)
        for (int way = 0; way < 3; way++)
            kernel_gemm(way == 1, way == 2, 64, 100, 64 + way * 200, a, b, way ? 1.0f : 0.0f, c);
    for (int k = 0; n_signals < 600 && k < 200000; k++)
        assert_int_equal(kernel_gemm_bf16(bf16, false, true, 64, 1009, 64, a, b, 0, wide), SCW_OK);
    assert_true(kernel_bf16_n_onednn(bf16) > 0 || strcmp(kernel_gemm_name(), "onednn") != 0);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    threads_set(0);
    kernel_bf16_free(bf16);
    assert_true(n_signals >= 600);
}

/* ------------------------------------------------------------- the test itself */

static void wrong_relu(int64_t n, const real *x, real *y)
{
    reference()->relu(n, x, y);
    if (n > 100) y[100] += 1e-3f;
}

static void sees_a_broken_kernel(void **state)
{
    static results expected, found;
    test_case c = {.rows = 3, .cols = 64};
    kernel_table broken = *reference();
    double error;

    (void)state;
    broken.relu = wrong_relu;
    results_reset(&expected);
    results_reset(&found);
    run_flat(reference(), &c, &expected);
    run_flat(&broken, &c, &found);
    const char *name = first_difference(&found, &expected, TOLERANCE, &error);
    assert_non_null(name);
    assert_string_equal(name, "relu");
    assert_string_equal(first_changed_bits(&found, &expected), "relu");
}

static void nan_stays_visible(void **state)
{
    real x[3] = {NAN, 1, -INFINITY}, y[3];

    (void)state;
    for (int k = 0; kernel_table_at(k); k++) {
        const kernel_table *t = kernel_table_at(k);
        t->relu(3, x, y);
        assert_true(isnan(y[0]) && y[1] == 1 && y[2] == 0);
        t->exp(3, x, y);
        assert_true(isnan(y[0]) && fabsf(y[1] - 2.7182818f) < 1e-6f && y[2] == 0);
        t->softmax(1, 3, x, y);
        assert_true(isnan(y[0]) || isnan(y[1]));
        assert_true(isnan(t->sum(3, x)));
        real big[2] = {89, 1000};
        t->exp(2, big, y);
        assert_true(isinf(y[0]) && isinf(y[1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_kernels),
        cmocka_unit_test(matrix_kernels),
        cmocka_unit_test(list_kernels),
        cmocka_unit_test(optimizer_kernels),
        cmocka_unit_test(random_kernels),
        cmocka_unit_test(moments_of_random_numbers),
        cmocka_unit_test(affine_kernels),
        cmocka_unit_test(decoder_kernels),
        cmocka_unit_test(counts_kernels),
        cmocka_unit_test(threads_do_not_change_bits),
        cmocka_unit_test(products_agree),
        cmocka_unit_test(signals_find_a_stack),
        cmocka_unit_test(sees_a_broken_kernel),
        cmocka_unit_test(nan_stays_visible),
    };
    print_message("instruction set %s, products by %s\n", kernel_isa(), kernel_gemm_name());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
