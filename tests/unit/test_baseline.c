/* SPDX-License-Identifier: BSD-3-Clause */
/* Logistic regression, nearest neighbours, majority, and the minimiser below them. Agreement with
 * scikit-learn is in tests/metric. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "metric/baseline.h"
#include "metric/lbfgs.h"

static scw_status rosenbrock(void *user, const double *x, double *value, double *gradient)
{
    double a = 1.0 - x[0], b = x[1] - x[0] * x[0];
    ++*(int *)user;
    *value = a * a + 100.0 * b * b;
    gradient[0] = -2.0 * a - 400.0 * x[0] * b;
    gradient[1] = 200.0 * b;
    return SCW_OK;
}

static void lbfgs_minimises_rosenbrock(void **state)
{
    double x[] = {-1.2, 1.0};
    int calls = 0;
    lbfgs_report r;
    lbfgs_options o = {.max_iterations = 200, .gradient_tolerance = 1e-9, .history = 5};
    (void)state;

    assert_int_equal(lbfgs_minimise(x, 2, rosenbrock, &calls, &o, &r), SCW_OK);
    assert_true(fabs(x[0] - 1.0) < 1e-8 && fabs(x[1] - 1.0) < 1e-8);
    assert_true(r.converged && calls == r.evaluations && calls < 80);
}

enum { N = 400, P = 7, C = 4 };

static float x[N * P];
static int32_t y[N];

/* Noisy classes, a few rows without a class; class 2 never occurs when `gap`. */
static void make_rows(bool gap)
{
    rng_key key = rng_make_key(5, RNG_TEST, 1);
    for (int64_t i = 0; i < N; i++) {
        double best = -1e9;
        for (int64_t j = 0; j < P; j++)
            x[i * P + j] = (float)rng_normal(key, 0, (uint64_t)(i * P + j));
        for (int32_t c = 0; c < C; c++) {
            double score = rng_normal(key, 1, (uint64_t)(i * C + c));
            for (int64_t j = 0; j < P; j++)
                score += (double)x[i * P + j] * rng_normal(key, 2, (uint64_t)(c * P + j));
            if (score > best && !(gap && c == 2)) {
                best = score;
                y[i] = c;
            }
        }
        if (i % 50 == 0) y[i] = -1;
    }
}

/* At the optimum sum_i w_i (p_ic - [y_i = c]) x_ij + W_cj / C vanishes, and the same without x for
 * the intercepts; here computed anew from the answer. */
static double worst_gradient(const logistic *m, double c_option, const float *w)
{
    double worst = 0.0;
    static double g[C * (P + 1)];
    static double z[N * C];

    assert_int_equal(logistic_predict_logits(z, m, x, N), SCW_OK);
    memset(g, 0, sizeof g);
    for (int64_t i = 0; i < N; i++) {
        double sum = 0.0;
        if (y[i] < 0) continue;
        for (int c = 0; c < C; c++) sum += exp(z[i * C + c]);
        for (int c = 0; c < C; c++) {
            double d = (double)w[i] * (exp(z[i * C + c]) / sum - (y[i] == c));
            for (int64_t j = 0; j < P; j++) g[c * (P + 1) + j] += d * (double)x[i * P + j];
            g[c * (P + 1) + P] += d;
        }
    }
    for (int c = 0; c < C; c++)
        for (int64_t j = 0; j <= P; j++) {
            double penalty = j < P ? m->weight[c * P + j] / c_option : 0.0;
            worst = fmax(worst, fabs(g[c * (P + 1) + j] + penalty));
        }
    return worst;
}

static void logistic_reaches_the_optimum(void **state)
{
    static float w[N];
    logistic m;
    logistic_options o = logistic_defaults();
    (void)state;

    make_rows(false);
    for (int i = 0; i < N; i++) w[i] = 0.5f + (float)(i % 3);
    o.c = 0.3;
    o.sample_weight = w;
    assert_int_equal(logistic_fit(&m, x, N, P, y, C, &o), SCW_OK);
    assert_true(m.converged);
    assert_true(worst_gradient(&m, o.c, w) < 1e-3);

    /* A start at the answer is the answer. */
    logistic again;
    o.start_weight = m.weight;
    o.start_intercept = m.intercept;
    assert_int_equal(logistic_fit(&again, x, N, P, y, C, &o), SCW_OK);
    assert_true(again.iterations <= 2);
    assert_true(fabs(again.objective / m.objective - 1.0) < 1e-9);
    logistic_clear(&again);
    logistic_clear(&m);
}

static void logistic_same_bits_with_any_threads(void **state)
{
    logistic one, three;
    (void)state;

    make_rows(false);
    threads_set(1);
    assert_int_equal(logistic_fit(&one, x, N, P, y, C, NULL), SCW_OK);
    threads_set(3);
    assert_int_equal(logistic_fit(&three, x, N, P, y, C, NULL), SCW_OK);
    threads_set(0);
    assert_memory_equal(one.weight, three.weight, C * P * sizeof *one.weight);
    assert_memory_equal(one.intercept, three.intercept, C * sizeof *one.intercept);
    logistic_clear(&one);
    logistic_clear(&three);
}

static void logistic_absent_and_single_classes(void **state)
{
    static int32_t said[N];
    logistic m;
    (void)state;

    make_rows(true);
    assert_int_equal(logistic_fit(&m, x, N, P, y, C, NULL), SCW_OK);
    assert_true(isinf(m.intercept[2]) && m.intercept[2] < 0.0);
    assert_int_equal(logistic_predict(said, &m, x, N), SCW_OK);
    int64_t hits = 0, n = 0;
    for (int i = 0; i < N; i++) {
        assert_int_not_equal(said[i], 2);
        n += y[i] >= 0;
        hits += y[i] >= 0 && said[i] == y[i];
    }
    assert_true((double)hits > 0.7 * (double)n);
    logistic_clear(&m);

    for (int i = 0; i < N; i++) y[i] = i % 2 ? 3 : -1;
    assert_int_equal(logistic_fit(&m, x, N, P, y, C, NULL), SCW_OK);
    assert_int_equal(logistic_predict(said, &m, x, N), SCW_OK);
    for (int i = 0; i < N; i++) assert_int_equal(said[i], 3);
    logistic_clear(&m);
}

static void logistic_refuses(void **state)
{
    logistic m;
    logistic_options o = logistic_defaults();
    (void)state;

    make_rows(false);
    assert_int_equal(logistic_fit(&m, x, N, P, y, C - 1, NULL), SCW_EINVAL);
    assert_int_equal(logistic_fit(&m, x, 0, P, y, C, NULL), SCW_EDATA);
    o.c = 0.0;
    assert_int_equal(logistic_fit(&m, x, N, P, y, C, &o), SCW_EINVAL);
    x[7 * P + 1] = INFINITY;
    assert_int_equal(logistic_fit(&m, x, N, P, y, C, NULL), SCW_EDATA);
    assert_non_null(strstr(scw_error_message(), "row 7"));
}

static void knn_votes_and_ties(void **state)
{
    const float train[] = {0, 1, 2, 10, 11, 12, 100};
    const int32_t labels[] = {0, 0, 1, 2, 2, -1, 1};
    const float query[] = {0.4f, 11.4f, 6.1f, NAN};
    int32_t said[4];
    (void)state;

    assert_int_equal(knn_predict(said, train, labels, 7, query, 4, 1, 3, 3), SCW_OK);
    assert_int_equal(said[0], 0);
    assert_int_equal(said[1], 2); /* the row without a label does not vote */
    assert_int_equal(said[2], 2); /* 10 (2), 2 (1), 11 (2) */
    assert_int_equal(said[3], -1);
    /* One vote each: the nearest decides. */
    assert_int_equal(knn_predict(said, train, labels, 7, query + 2, 1, 1, 3, 2), SCW_OK);
    assert_int_equal(said[0], 2);
    /* More neighbours than rows: all vote, two against two against two; 10 is the nearest. */
    assert_int_equal(knn_predict(said, train, labels, 7, query + 2, 1, 1, 3, 50), SCW_OK);
    assert_int_equal(said[0], 2);
    assert_int_equal(knn_predict(said, train, labels, 7, query, 1, 1, 2, 3), SCW_EINVAL);
    assert_int_equal(knn_predict(said, train, labels + 5, 1, query, 1, 1, 3, 3), SCW_EDATA);
}

static void majority_first_of_equals(void **state)
{
    const int32_t labels[] = {2, 1, 1, 2, -1, -1, -1};
    (void)state;

    assert_int_equal(majority_class(labels, 7, 3), 1);
    assert_int_equal(majority_class(labels + 4, 3, 3), -1);
}

static void memory_runs_out_anywhere(void **state)
{
    static int32_t said[N];
    (void)state;

    make_rows(false);
    scw_status st = SCW_ENOMEM;
    for (int64_t n = 1; st != SCW_OK && n < 100; n++) {
        logistic m;
        (void)mem_fail_at(n);
        st = logistic_fit(&m, x, N, P, y, C, NULL);
        if (st == SCW_OK) st = logistic_predict(said, &m, x, N);
        if (st == SCW_OK) st = knn_predict(said, x, y, N, x, 9, P, C, 5);
        assert_true(st == SCW_OK || st == SCW_ENOMEM);
        logistic_clear(&m);
    }
    (void)mem_fail_at(0);
    assert_int_equal(st, SCW_OK);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lbfgs_minimises_rosenbrock),
        cmocka_unit_test(logistic_reaches_the_optimum),
        cmocka_unit_test(logistic_same_bits_with_any_threads),
        cmocka_unit_test(logistic_absent_and_single_classes),
        cmocka_unit_test(logistic_refuses),
        cmocka_unit_test(knn_votes_and_ties),
        cmocka_unit_test(majority_first_of_equals),
        cmocka_unit_test(memory_runs_out_anywhere),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
