/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops and optimizers against values worked out by hand or taken from the definitions, in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "engine/ops.h"

#define NEAR(found_, expected_) assert_true(fabs((found_) - (expected_)) < 1e-9)

static double smoothed(tape *t, double classes)
{
    static double logits[] = {2, 0, -1};
    static const int32_t label[] = {0};

    tape_reset(t, TAPE_TRAIN);
    tensor *x = op_input(t, logits, 1, 3, true);
    tensor *loss = op_cross_entropy(t, x, label, 0.1, classes, NULL);
    assert_non_null(loss);
    return loss->value[0];
}

static void label_smoothing(void **state)
{
    NEAR(smoothed(*state, 17), 0.185270465);
    NEAR(smoothed(*state, 3), 0.336512686);
}

static void cross_entropy_rows(void **state)
{
    tape *t = *state;
    double logits[] = {2, 0, -1, 5, 5, 5, 0, 1, 0}, weight[] = {1, 100, 3};
    const int32_t labels[] = {0, -1, 1}, none[] = {-1, -1, -1}, wrong[] = {0, 3, 1};
    double first = log(exp(2) + 1 + exp(-1)) - 2, third = log(2 + exp(1)) - 1;

    tape_reset(t, TAPE_TRAIN);
    tensor *x = op_input(t, logits, 3, 3, true);
    NEAR(op_cross_entropy(t, x, labels, 0, 0, NULL)->value[0], (first + third) / 2);
    NEAR(op_cross_entropy(t, x, labels, 0, 0, weight)->value[0], (first + 3 * third) / 4);
    tensor *nothing = op_cross_entropy(t, x, none, 0.1, 17, NULL);
    NEAR(nothing->value[0], 0);
    assert_int_equal(tape_backward(t, nothing), SCW_OK);
    for (int e = 0; e < 9; e++) assert_true(x->grad[e] == 0.0);
    assert_null(op_cross_entropy(t, x, wrong, 0, 0, NULL));
    assert_int_equal(tape_status(t), SCW_EINVAL);
    assert_non_null(strstr(scw_error_message(), "row 1 has label 3 of 3 classes"));
}

static void gaussian_kl(void **state)
{
    tape *t = *state;
    double mu[] = {0.5, -1, 0}, logvar[] = {0, -1, 0.2};

    tape_reset(t, TAPE_TRAIN);
    tensor *kl = op_gaussian_kl(t, op_input(t, mu, 1, 3, true), op_input(t, logvar, 1, 3, true));
    NEAR(kl->value[0], 0.273213700);
}

/* -log NB of means mu [2, 3]: softmax of their logarithms, times their sum. */
static double negative_binomial(tape *t, const double *mu, double *log_shape, const affine_sparse *x)
{
    static double unit[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    double *logs = tape_alloc(t, 6, sizeof *logs), *library = tape_alloc(t, 2, sizeof *library);

    for (int i = 0; i < 6; i++) logs[i] = log(mu[i]);
    for (int i = 0; i < 2; i++) library[i] = mu[3 * i] + mu[3 * i + 1] + mu[3 * i + 2];
    tensor *s = op_input(t, log_shape, 1, 3, true);
    tensor *of_mean = op_count_decoder(t, op_input(t, logs, 2, 3, true), op_input(t, unit, 3, 3, false), x,
                                       &(op_count_decoder_options){.library = op_input(t, library, 2, 1, false),
                                                                   .log_shape = s,
                                                                   .floor = 1e-30,
                                                                   .n_batches = 1});
    tensor *both = op_add(t, of_mean, op_gamma_terms(t, s, x, NULL));
    return both ? both->value[0] : (double)NAN;
}

/* Sums of scipy.stats.nbinom.logpmf and bernoulli.logpmf. */
static void count_likelihoods(void **state)
{
    tape *t = *state;
    double mu[] = {.5, 2, 30, 4, .1, 1}, log_shape[] = {0.2, -1, 2}, logits[] = {0, 1, -2, 3, 0.5, 1};
    double unit[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const int64_t indptr[] = {0, 2, 4};
    const int32_t indices[] = {1, 2, 0, 2};
    const double values[] = {3, 40, 17, 1}, second[] = {0, 1}, offset[] = {0, 0.5};
    affine_sparse x = {.n_rows = 2, .n_cols = 3, .indptr = indptr, .indices = indices,
                       .values = values};

    tape_reset(t, TAPE_TRAIN);
    NEAR(negative_binomial(t, mu, log_shape, &x), 13.938065124373459);
    tensor *l = op_input(t, logits, 2, 3, true);
    double expected = log(2) + log1p(exp(-1)) + log1p(exp(2)) + log1p(exp(-3.5)) + log1p(exp(1)) +
                      log1p(exp(-1.5));
    const op_count_decoder_options present = {.offset = offset, .n_batches = 1};
    NEAR(op_count_decoder(t, l, op_input(t, unit, 3, 3, false), &x, &present)->value[0], expected);
    x.row_weight = second;
    NEAR(negative_binomial(t, mu, log_shape, &x), 6.731300730946439);
    x.col_scale = log_shape;
    assert_null(op_gamma_terms(t, op_input(t, log_shape, 1, 3, true), &x, NULL));
    assert_non_null(strstr((assert_int_equal(tape_status(t), SCW_EINVAL), scw_error_message()),
                           "without scales"));
}

static void first_steps(void **state)
{
    const kernel_adam_options o = {.lr = 0.02, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                   .step = 1};
    double theta = 0, grad = 0.3, m = 0, v = 0;

    (void)state;
    kernel_adam(1, &theta, &grad, &m, &v, &o);
    NEAR(theta, -0.0199999993);
    assert_true(grad == 0.0);
    theta = v = 0;
    grad = 0.3;
    kernel_rmsprop(1, &theta, &grad, &v, 2e-3, 0.99, 1e-8);
    NEAR(theta, -0.0199999933);
    assert_true(grad == 0.0);
}

static void weight_decay(void **state)
{
    kernel_adam_options o = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 0,
                             .weight_decay = 0.5, .step = 1};
    double theta = 2, grad = 0, m = 0, v = 0;

    (void)state;
    kernel_adam(1, &theta, &grad, &m, &v, &o); /* the decay alone is a gradient of 1 */
    NEAR(theta, 1.9);
    NEAR(m, 0.1);
    o.decoupled = true;
    o.eps = 1e-8;
    theta = 2;
    m = v = 0;
    kernel_adam(1, &theta, &grad, &m, &v, &o);
    NEAR(theta, 2 * (1 - 0.1 * 0.5));
    NEAR(m, 0);
}

static void batch_norm_statistics(void **state)
{
    tape *t = *state;
    double x[] = {1, 3, 5, 7}, gamma[] = {2}, beta[] = {10}, mean[] = {100}, var[] = {50};
    double r = 1 / sqrt(5 + 1e-5); /* mean 4, biased variance 5, unbiased 20/3 */
    op_batch_norm_options o = {.running_mean = mean, .running_var = var, .eps = 1e-5, .momentum = 0.1};

    tape_reset(t, TAPE_TRAIN);
    tensor *g = op_input(t, gamma, 1, 1, false), *b = op_input(t, beta, 1, 1, false);
    tensor *y = op_batch_norm(t, op_input(t, x, 4, 1, false), g, b, &o);
    NEAR(y->value[0], 2 * (1 - 4) * r + 10);
    NEAR(mean[0], 90.4);
    NEAR(var[0], 45 + 2.0 / 3);
    y = op_batch_norm(t, op_input(t, x, 1, 1, false), g, b, &o);
    NEAR(y->value[0], 2 * (1 - 90.4) / sqrt(45 + 2.0 / 3 + 1e-5) + 10); /* one row: running ones */
    NEAR(mean[0], 90.4);
    tape_reset(t, TAPE_EVAL);
    g = op_input(t, gamma, 1, 1, true);
    b = op_input(t, beta, 1, 1, true);
    y = op_batch_norm(t, op_input(t, x, 4, 1, true), g, b, &o);
    NEAR(y->value[3], 2 * (7 - 90.4) / sqrt(45 + 2.0 / 3 + 1e-5) + 10);
    NEAR(mean[0], 90.4);
    assert_null(y->grad);
}

static void dropout_modes(void **state)
{
    tape *t = *state;
    double x[1000], sum = 0;
    rng_key key = rng_make_key(5, RNG_DROPOUT, 0);

    for (int e = 0; e < 1000; e++) x[e] = 1;
    tape_reset(t, TAPE_TRAIN);
    tensor *in = op_input(t, x, 10, 100, true), *y = op_dropout(t, in, 0.2, key, 1, NULL);
    for (int e = 0; e < 1000; e++) {
        assert_true(y->value[e] == 0 || fabs(y->value[e] - 1.25) < 1e-5);
        sum += y->value[e];
    }
    assert_true(sum > 900 && sum < 1100);
    assert_ptr_equal(op_dropout(t, in, 0, key, 1, NULL), in);
    tape_reset(t, TAPE_EVAL);
    in = op_input(t, x, 10, 100, true);
    assert_ptr_equal(op_dropout(t, in, 0.2, key, 1, NULL), in);
    tape_reset(t, TAPE_TRAIN);
    in = op_input(t, x, 10, 100, true);
    assert_null(op_dropout(t, in, 1.0, key, 1, NULL));
    assert_int_equal(tape_status(t), SCW_EINVAL);
}

static void absent_rows(void **state)
{
    tape *t = *state;
    const int64_t indptr[] = {0, 1, 2};
    const int32_t indices[] = {1, 0};
    const double values[] = {2, 3}, shift[] = {10, 20}, weight[] = {0, 1};
    double w[] = {1, 100}, p[] = {7, 7, 7, 7};
    const affine_sparse x = {.n_rows = 2, .n_cols = 2, .indptr = indptr, .indices = indices,
                             .values = values, .row_shift = shift, .row_weight = weight};

    tape_reset(t, TAPE_TRAIN); /* rows: absent; (23, 20) */
    tensor *y = op_affine_linear(t, &x, op_input(t, w, 2, 1, true), NULL);
    NEAR(y->value[0], 0);
    NEAR(y->value[1], 23 + 2000);
    tensor *pt = op_input(t, p, 2, 2, true), *error = op_affine_squared_error(t, pt, &x);
    NEAR(error->value[0], 16 * 16 + 13 * 13);
    assert_int_equal(tape_backward(t, error), SCW_OK);
    assert_true(pt->grad[0] == 0 && pt->grad[1] == 0 && pt->grad[2] == -32 && pt->grad[3] == -26);
}

static void first_failure_is_kept(void **state)
{
    tape *t = *state;
    double v[6] = {0};

    tape_reset(t, TAPE_TRAIN);
    tensor *x = op_input(t, v, 2, 3, true), *w = op_input(t, v, 3, 2, true);
    tensor *y = op_linear(t, x, w, NULL);
    assert_null(y);
    assert_null(op_relu(t, y));
    assert_null(op_add(t, x, w));
    assert_int_equal(tape_backward(t, y), SCW_EINVAL);
    assert_non_null(strstr(scw_error_message(), "op_linear"));
    assert_non_null(strstr(scw_error_message(), "[2, 3], [3, 2], none"));
    tape_reset(t, TAPE_TRAIN);
    assert_int_equal(tape_status(t), SCW_OK);
    assert_null(op_relu(t, NULL));
    assert_int_equal(tape_status(t), SCW_EINVAL);
}

static void a_repeated_step_allocates_nothing(void **state)
{
    tape *t = *state;
    double v[64] = {0};

    for (int step = 0; step < 4; step++) {
        if (step == 3) (void)mem_fail_at(0);
        tape_reset(t, TAPE_TRAIN);
        tensor *x = op_input(t, v, 8, 8, true);
        for (int k = 0; k < 200; k++) x = op_relu(t, op_scale(t, x, 2));
        assert_int_equal(tape_backward(t, op_sum(t, x)), SCW_OK);
    }
    assert_int_equal(mem_fail_at(0), 0);
}

/* Whatever allocation fails, the tape says so and can be used again. */
static void memory_failures(void **state)
{
    double v[64] = {0};

    (void)state;
    for (int64_t n = 1; n < 100; n++) {
        tape *t = NULL;
        (void)mem_fail_at(n);
        scw_status st = tape_new(&t);
        if (st == SCW_OK) {
            tape_reset(t, TAPE_TRAIN);
            tensor *x = op_input(t, v, 8, 8, true);
            for (int k = 0; k < 100; k++) x = op_relu(t, op_scale(t, x, 2));
            (void)op_memory(t, 1 << 20);
            st = tape_backward(t, op_sum(t, x));
        }
        int64_t calls = mem_fail_at(0);
        tape_free(t);
        if (calls < n) return;
        assert_int_equal(st, SCW_ENOMEM);
    }
    fail_msg("the sweep did not end");
}

static void parameter_block(void **state)
{
    const int64_t shape[] = {5, 7}, three = 3;
    params p = {0}, q = {0};
    int mean[2], w[2], gain[2];

    (void)state;
    for (int k = 0; k < 2; k++) {
        params *at = k ? &q : &p;
        threads_set(k + 1);
        assert_int_equal(params_add(at, &mean[k], "mean", 1, &three, PARAM_ONE, 0, 0, false, 0), 0);
        assert_int_equal(params_add(at, &w[k], "w", 2, shape, PARAM_UNIFORM, -2, 3, true, 1), 0);
        assert_int_equal(params_add(at, &gain[k], "g", 1, &three, PARAM_ZERO, 0, 0, true, 0), 0);
        assert_int_equal(params_build(at, 42), SCW_OK);
    }
    threads_set(0);
    assert_true(p.n == 3 && p.at[0].trainable && p.at[1].trainable && !p.at[2].trainable);
    assert_true(p.n_trainable == 48 + 16 && p.n_values == p.n_trainable + 16);
    for (int k = 0; k < p.n; k++) assert_true(p.at[k].offset % 16 == 0);
    assert_true((uintptr_t)p.value % 64 == 0);
    assert_null(params_grad(&p, mean[0]));
    assert_ptr_equal(params_grad(&p, w[0]), p.grad + params_find(&p, "w")->offset);
    assert_true(params_value(&p, mean[0])[2] == 1 && params_value(&p, gain[0])[0] == 0);
    const real *value = params_value(&p, w[0]);
    rng_key key = rng_make_key(42, RNG_INIT, (uint32_t)w[0]);
    for (int e = 0; e < 35; e++) NEAR(value[e], -2 + 5 * rng_uniform(key, 0, (uint64_t)e));
    assert_memory_equal(p.value, q.value, (size_t)p.n_values * sizeof(real));
    assert_null(params_find(&p, "nothing"));
    int again;
    assert_int_equal(params_add(&p, &again, "w", 1, &three, PARAM_ZERO, 0, 0, true, 0), SCW_EINVAL);
    params_clear(&p);
    params_clear(&q);
}

static int open_tape(void **state)
{
    tape *t = NULL;
    scw_status st = tape_new(&t);
    *state = t;
    return st == SCW_OK ? 0 : -1;
}

static int close_tape(void **state)
{
    tape_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(label_smoothing),
        cmocka_unit_test(cross_entropy_rows),
        cmocka_unit_test(gaussian_kl),
        cmocka_unit_test(count_likelihoods),
        cmocka_unit_test(first_steps),
        cmocka_unit_test(weight_decay),
        cmocka_unit_test(batch_norm_statistics),
        cmocka_unit_test(dropout_modes),
        cmocka_unit_test(absent_rows),
        cmocka_unit_test(first_failure_is_kept),
        cmocka_unit_test(a_repeated_step_allocates_nothing),
        cmocka_unit_test(memory_failures),
        cmocka_unit_test(parameter_block),
    };
    return cmocka_run_group_tests(tests, open_tape, close_tape);
}
