/* SPDX-License-Identifier: BSD-3-Clause */
/* Distributions against values of scipy.stats, draws against their moments, quantiles against sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/distribution.h"
#include "base/rng.h"

static void near(double found, double expected)
{
    assert_true(fabs(found - expected) < 1e-9 * (1.0 + fabs(expected)));
}

static void normal_values(void **state)
{
    (void)state;
    near(normal_quantile(1e-12), -7.034483825301131);
    near(normal_quantile(1e-4), -3.7190164854556804);
    near(normal_quantile(0.3), -0.5244005127080409);
    near(normal_quantile(0.5), 0.0);
    near(normal_quantile(0.975), 1.959963984540054);
    assert_true(fabs(normal_quantile(1.0 - 1e-9) - 5.997807019601637) < 1e-7);
    assert_true(isfinite(normal_quantile(0.0)) && isfinite(normal_quantile(1.0)));
    for (double x = -8.0; x <= 5.0; x += 0.37)
        assert_true(fabs(normal_quantile(normal_cdf(x)) - x) < 1e-8);
}

static void count_values(void **state)
{
    static const struct {
        int64_t k;
        double mean, shape, log_pmf, cdf;
    } row[] = {{0, 0.3, 1.6, -0.27496041108265484, 0.7596021944582124},
               {3, 2.5, 0.7, -2.42901265051, 0.7473049522320278},
               {40, 25, 3, -4.475829572373691, 0.8534138098700081},
               {900, 1000, 50, -6.048848459279981, 0.2537848241232373},
               {5, 5, 0, -1.7403021806115442, 0.615960654833063}};

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        near(count_log_pmf(row[i].k, row[i].mean, row[i].shape), row[i].log_pmf);
        near(count_cdf(row[i].k, row[i].mean, row[i].shape), row[i].cdf);
    }
    assert_true(count_cdf(-1, 3, 1) == 0.0);
    assert_true(count_cdf(100000, 3, 1) <= 1.0 && count_cdf(100000, 3, 1) > 1.0 - 1e-12);
    assert_true(count_log_pmf(0, 0, 1) == 0.0 && isinf(count_log_pmf(1, 0, 1)));
}

/* The quantile is the inverse of the sum: F(k - 1) <= u < F(k), in both of its ways (the last two
 * means are too large to walk up from zero). */
static void quantiles(void **state)
{
    static const double law[][2] = {{0.01, 1}, {0.7, 0}, {3, 0.2}, {40, 5}, {5000, 2},
                                    {2000, 0}, {30000, 800}};
    const rng_key key = rng_make_key(7, RNG_TEST, 1);

    (void)state;
    for (size_t i = 0; i < sizeof law / sizeof *law; i++)
        for (uint64_t e = 0; e < 200; e++) {
            double u = rng_uniform(key, (uint32_t)i, e);
            int64_t k = count_quantile(u, law[i][0], law[i][1]);
            assert_true(count_cdf(k, law[i][0], law[i][1]) > u - 1e-9);
            assert_true(count_cdf(k - 1, law[i][0], law[i][1]) <= u + 1e-9);
        }
}

static void moments(void **state)
{
    enum { N = 40000 };
    static const double law[][2] = {{0.3, 1.6}, {6, 0.8}, {2, 0}, {3000, 900}};

    (void)state;
    for (size_t i = 0; i < sizeof law / sizeof *law; i++) {
        const double m = law[i][0], v = m + (law[i][1] > 0 ? m * m / law[i][1] : 0.0);
        double sum = 0.0, squares = 0.0;
        for (uint64_t e = 0; e < N; e++) {
            double u = rng_uniform(rng_make_key(3, RNG_TEST, 2), (uint32_t)i, e);
            double x = (double)count_quantile(u, m, law[i][1]);
            sum += x;
            squares += (x - m) * (x - m);
        }
        assert_true(fabs(sum / N - m) < 4.0 * sqrt(v / N));
        assert_true(fabs(squares / N / v - 1.0) < 0.08);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_values),
        cmocka_unit_test(count_values),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
