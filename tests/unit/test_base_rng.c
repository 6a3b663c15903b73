/* SPDX-License-Identifier: BSD-3-Clause */
/* Random numbers: the published vectors, moments. The bulk generators: tests/grad/test_kernels.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

enum { N = 100003 };

/* Known answers of the Random123 distribution for philox4x32-10. */
static void test_known_answers(void **state)
{
    static const struct {
        uint64_t seed, index;
        uint32_t step, purpose, out[4];
    } cases[] = {
        {0, 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX,
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x85a308d3243f6a88, 0x13198a2e, 0x03707344,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        uint32_t out[4];
        rng_block(out, (rng_key){cases[k].seed, cases[k].purpose}, cases[k].step, cases[k].index);
        assert_memory_equal(out, cases[k].out, sizeof out);
    }
}

/* Mean and variance within five standard errors. */
static void assert_moments(const float *x, double mean, double variance)
{
    double sum = 0, squares = 0;

    for (int k = 0; k < N; k++) sum += (double)x[k];
    for (int k = 0; k < N; k++) squares += ((double)x[k] - mean) * ((double)x[k] - mean);
    assert_true(fabs(sum / N - mean) < 5 * sqrt(variance / N));
    assert_true(fabs(squares / N / variance - 1) < 5 * sqrt(2.0 / N));
}

static void test_moments(void **state)
{
    static float x[N];
    rng_key key = rng_make_key(1, RNG_TEST, 0);
    rng_stream s = {key, 9, 0};

    (void)state;
    for (int k = 0; k < N; k++) x[k] = (float)rng_normal(key, 0, (uint64_t)k);
    assert_moments(x, 0.0, 1.0);
    for (int k = 0; k < N; k++) x[k] = (float)rng_uniform(key, 1, (uint64_t)k);
    assert_moments(x, 0.5, 1.0 / 12.0);
    for (int k = 0; k < N; k++) x[k] = (float)rng_next_gamma(&s, 0.5);
    double sum = 0;
    for (int k = 0; k < N; k++) sum += (double)x[k];
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(0.5 / N));
    for (int k = 0; k < N; k++) x[k] = (float)rng_next_poisson(&s, 40.0);
    assert_moments(x, 40.0, 40.0);
}

static void test_permutation(void **state)
{
    static int64_t order[1000];
    static uint8_t seen[1000];
    int fixed = 0;

    (void)state;
    rng_permutation(order, 1000, rng_make_key(3, RNG_SHUFFLE, 0), 0);
    for (int k = 0; k < 1000; k++) {
        assert_in_range(order[k], 0, 999);
        assert_int_equal(seen[order[k]]++, 0);
        fixed += order[k] == k;
    }
    assert_true(fixed < 10);
    rng_permutation(order, 0, rng_make_key(3, RNG_SHUFFLE, 0), 0);
    rng_permutation(order, 1, rng_make_key(3, RNG_SHUFFLE, 0), 0);
    assert_int_equal(order[0], 0);
}

static void test_below(void **state)
{
    int count[7] = {0};

    (void)state;
    for (uint64_t k = 0; k < 70000; k++)
        count[rng_below(rng_make_key(5, RNG_TEST, 0), 0, k, 7)]++;
    for (int c = 0; c < 7; c++) assert_in_range(count[c], 9500, 10500);
    assert_int_equal(rng_below(rng_make_key(5, RNG_TEST, 0), 0, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
