/* SPDX-License-Identifier: BSD-3-Clause */
/* The normal distribution, and distributions of counts by mean and shape: negative binomial with
 * variance mean + mean^2 / shape (a Poisson with a gamma-distributed mean), or with shape 0 Poisson. */
#ifndef BASE_DISTRIBUTION_H
#define BASE_DISTRIBUTION_H

#include <stdint.h>

double normal_cdf(double x);
/* x with normal_cdf(x) = p, to about 1e-12; p is kept within 1e-300 and 1 - 1e-16. */
double normal_quantile(double p);

/* P(X > x) of a chi-squared X with df > 0 degrees of freedom; 1 for x <= 0. To about 1e-12. */
double chi_square_tail(double x, double df);

/* log P(K = k), k >= 0, mean >= 0 (a mean of 0: all mass at 0). */
double count_log_pmf(int64_t k, double mean, double shape);
/* P(K <= k), 0 for k < 0. At most k + 1 steps. */
double count_cdf(int64_t k, double mean, double shape);
/* Smallest count whose cumulative probability exceeds u, 0 <= u < 1: with u uniform, a draw. */
int64_t count_quantile(double u, double mean, double shape);

#endif
