/* SPDX-License-Identifier: BSD-3-Clause */
/* Temperature, label sets, novelty and expected calibration error against what can be worked out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metric/reliability.h"
#include "models/calibration.h"

#define N 4000
#define C 3

/* Classes drawn from softmax(l), and logits that exaggerate l by `factor`: the temperature is the
 * factor. */
static void exaggerate(float *logits, int32_t *truth, double factor)
{
    rng_stream s = {.key = rng_make_key(11, RNG_TEST, 1)};

    for (int64_t i = 0; i < N; i++) {
        double p[C], sum = 0.0, u;
        for (int c = 0; c < C; c++) {
            double l = 1.5 * rng_next_normal(&s);
            logits[i * C + c] = (float)(factor * l);
            sum += p[c] = exp(l);
        }
        u = rng_next_uniform(&s) * sum;
        truth[i] = u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2;
    }
}

static void test_temperature(void **state)
{
    static float logits[N * C];
    static int32_t truth[N];
    static const double factors[] = {0.4, 1.0, 3.0};
    (void)state;

    for (size_t k = 0; k < 3; k++) {
        exaggerate(logits, truth, factors[k]);
        reliability_set set = {logits, truth, N, C};
        double t = reliability_temperature(&set);
        assert_true(fabs(t / factors[k] - 1.0) < 0.1);
        assert_true(reliability_log_loss(&set, t) <= reliability_log_loss(&set, 0.9 * t));
        assert_true(reliability_log_loss(&set, t) <= reliability_log_loss(&set, 1.1 * t));
    }
}

static void test_ece(void **state)
{
    /* One bin: says .9, right in 3 of 4; another: says .5, right in 1 of 2. */
    const double p[] = {0.9, 0.9, 0.9, 0.9, 0.5, 0.5};
    const uint8_t right[] = {1, 1, 0, 1, 0, 1};
    const double top[] = {1.0};
    const uint8_t yes[] = {1};
    (void)state;

    assert_true(fabs(reliability_ece(p, right, 6) - 4.0 / 6.0 * 0.15) < 1e-12);
    assert_true(reliability_ece(top, yes, 1) == 0.0);
}

static void test_thresholds(void **state)
{
    calibration c;
    (void)state;

    /* 99 scores .01 ... .99: the ceil(100 * .95) = 95th is .95. */
    assert_int_equal(calibration_init(&c, 99, 2, 1), SCW_OK);
    for (int k = 0; k < 99; k++)
        c.conformity[k] = c.novelty[k] = (float)(k + 1) / 100.0f;
    c.n = 99;
    assert_true(fabs(calibration_set_floor(&c, 0.95) - 0.05) < 1e-6);
    assert_true(calibration_set_floor(&c, 0.995) == 0.0); /* 99 cells cannot promise that */
    assert_true(fabs(calibration_novelty_limit(&c, 0.1) - 0.90) < 1e-6);
    calibration_clear(&c);
    assert_true(calibration_set_floor(&c, 0.95) == 0.0);
    assert_true(isinf(calibration_novelty_limit(&c, 0.1)));
}

/* In two dimensions with equal spread everywhere the distance is the Euclidean one over the spread. */
static void test_distance(void **state)
{
    static float latent[N * 2];
    static int32_t labels[N];
    const float there[] = {10.0f, 0.0f}, far[] = {0.0f, 40.0f};
    double distance[2];
    float both[4];
    calibration c;
    (void)state;

    for (int64_t e = 0; e < 2 * N; e++)
        latent[e] = (float)rng_normal(rng_make_key(5, RNG_TEST, 2), 0, (uint64_t)e);
    for (int64_t i = 0; i < N; i++) {
        labels[i] = (int32_t)(i % 2);
        latent[2 * i] += labels[i] ? 10.0f : 0.0f;
    }
    assert_int_equal(calibration_init(&c, 0, 3, 2), SCW_OK); /* class 2 has no cells */
    assert_int_equal(calibration_set_classes(&c, latent, labels, N), SCW_OK);
    memcpy(both, there, sizeof there);
    memcpy(both + 2, far, sizeof far);
    assert_int_equal(calibration_log_distances(distance, &c, both, 2), SCW_OK);
    assert_true(exp(distance[0]) < 0.1);
    /* The covariance is the identity times 1.1, shrinkage included. */
    assert_true(fabs(exp(distance[1]) / (40.0 / sqrt(1.1)) - 1.0) < 0.05);
    c.location = distance[0];
    c.spread = 2.0;
    assert_true(calibration_novelty(&c, distance[0] + 3.0) == 1.5);
    calibration_clear(&c);
}

static void test_softmax(void **state)
{
    float logits[] = {1000.0f, 1000.0f, 998.0f, -1.0f, -2.0f, -3.0f};
    (void)state;

    calibration_softmax(logits, 2, 3, 2.0);
    assert_true(fabsf(logits[0] - logits[1]) < 1e-7f);
    assert_true(fabs((double)logits[2] / (double)logits[0] - exp(-1.0)) < 1e-6);
    assert_true(fabs((double)logits[3] + (double)logits[4] + (double)logits[5] - 1.0) < 1e-6);
}

static void test_allocation_failures(void **state)
{
    static float latent[20];
    static const int32_t labels[10] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
    calibration c;
    (void)state;

    for (int64_t e = 0; e < 20; e++)
        latent[e] = (float)rng_normal(rng_make_key(5, RNG_TEST, 3), 0, (uint64_t)e);
    for (int64_t k = 1; k <= 8; k++) {
        double distance[10];
        (void)mem_fail_at(k);
        scw_status st = calibration_init(&c, 4, 2, 2);
        if (st == SCW_OK) st = calibration_set_classes(&c, latent, labels, 10);
        if (st == SCW_OK) st = calibration_log_distances(distance, &c, latent, 10);
        (void)mem_fail_at(0);
        assert_int_equal(st, SCW_ENOMEM);
        calibration_clear(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_temperature), cmocka_unit_test(test_ece),
        cmocka_unit_test(test_thresholds),  cmocka_unit_test(test_distance),
        cmocka_unit_test(test_softmax),     cmocka_unit_test(test_allocation_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
