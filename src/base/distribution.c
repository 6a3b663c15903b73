/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/distribution.h"

#include <math.h>

#define SQRT_HALF 0.70710678118654752440
#define SQRT_TAU 2.50662827463100050242 /* sqrt(2 pi) */
#define TINY 1e-280                     /* below this a chance is not carried along a walk */

double normal_cdf(double x)
{
    return 0.5 * erfc(-SQRT_HALF * x);
}

/* From the leading terms of the tail, P(X > x) ~ exp(-x^2/2) / (x sqrt(2 pi)), by Newton steps on the
 * logarithm of the tail, which is concave: they converge from any start. */
static double tail_quantile(double p)
{
    double x = p < 0.4 ? sqrt(-2.0 * log(p)) - 0.5 : 0.0;

    for (int k = 0; k < 40; k++) {
        double tail = 0.5 * erfc(SQRT_HALF * x);
        double step = log(tail / p) * tail * SQRT_TAU * exp(0.5 * x * x);
        x += step;
        if (fabs(step) < 1e-13 * (1.0 + fabs(x))) break;
    }
    return x;
}

double normal_quantile(double p)
{
    p = p > 1e-300 ? p : 1e-300;
    p = p < 1.0 - 1e-16 ? p : 1.0 - 1e-16;
    return p < 0.5 ? -tail_quantile(p) : tail_quantile(1.0 - p);
}

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign); /* lgamma writes a global */
}

/* The regularised incomplete gamma function Q(df/2, x/2): its series below the bulk of the mass, its
 * continued fraction (Lentz's way to sum it) above (Abramowitz & Stegun 6.5.29 and 6.5.31). */
double chi_square_tail(double x, double df)
{
    double a = 0.5 * df, z = 0.5 * x;

    if (!(z > 0.0)) return isnan(x) ? x : 1.0;
    if (isinf(z)) return 0.0;
    double front = exp(a * log(z) - z - log_gamma(a));
    if (z < a + 1.0) {
        double term = 1.0 / a, sum = term;
        for (double n = a + 1.0; term > 1e-16 * sum; n += 1.0) sum += term *= z / n;
        return 1.0 - front * sum;
    }
    double b = z + 1.0 - a, c = 1.0 / TINY, d = 1.0 / b, h = d;
    for (int k = 1; k < 100000; k++) {
        double step = -(double)k * ((double)k - a);
        b += 2.0;
        d = step * d + b;
        c = b + step / c;
        d = 1.0 / (fabs(d) > TINY ? d : TINY);
        c = fabs(c) > TINY ? c : TINY;
        h *= c * d;
        if (fabs(c * d - 1.0) < 1e-15) break;
    }
    return front * h;
}

double count_log_pmf(int64_t k, double mean, double shape)
{
    double n = (double)k;

    if (!(mean > 0.0)) return k == 0 ? 0.0 : -INFINITY;
    if (!(shape > 0.0)) return n * log(mean) - mean - log_gamma(n + 1.0);
    return log_gamma(n + shape) - log_gamma(shape) - log_gamma(n + 1.0) -
           shape * log1p(mean / shape) + n * log(mean / (shape + mean));
}

/* P(K = k) / P(K = k - 1), k >= 1. */
static double step_up(int64_t k, double mean, double shape)
{
    double n = (double)k;
    return shape > 0.0 ? mean / (shape + mean) * (n - 1.0 + shape) / n : mean / n;
}

double count_cdf(int64_t k, double mean, double shape)
{
    if (k < 0) return 0.0;
    double chance = exp(count_log_pmf(k, mean, shape)), sum = chance;

    for (int64_t i = k; i > 0 && chance > 0.0; i--) {
        chance /= step_up(i, mean, shape);
        sum += chance;
        if (chance < 1e-18 * sum) break;
    }
    /* A start that underflows has everything below it, or nothing. */
    if (sum == 0.0) return (double)k > mean ? 1.0 : 0.0;
    return sum < 1.0 ? sum : 1.0;
}

/* From a first guess, step by step. */
static int64_t walk_from_guess(double u, double mean, double shape)
{
    double variance = mean + (shape > 0.0 ? mean * mean / shape : 0.0);
    double guess = mean + sqrt(variance) * normal_quantile(u);
    int64_t k = guess > 0.0 ? (int64_t)guess : 0;
    double sum = count_cdf(k, mean, shape), chance = exp(count_log_pmf(k, mean, shape));

    while (sum <= u && chance > 1e-18) {
        k++;
        chance *= step_up(k, mean, shape);
        sum += chance;
    }
    while (k > 0 && sum - chance > u) {
        sum -= chance;
        chance /= step_up(k, mean, shape);
        k--;
    }
    return k;
}

int64_t count_quantile(double u, double mean, double shape)
{
    if (u < 1.0 - mean) return 0; /* a lower bound of the probability of zero, without a power */
    double chance = shape > 0.0 ? pow(shape / (shape + mean), shape) : exp(-mean);
    if (chance < TINY) return walk_from_guess(u, mean, shape);
    double ratio = shape > 0.0 ? mean / (shape + mean) : mean, sum = chance;
    int64_t k = 0;
    while (u >= sum) {
        chance *=
            ratio * (shape > 0.0 ? ((double)k + shape) / (double)(k + 1) : 1.0 / (double)(k + 1));
        sum += chance;
        k++;
        if (chance < 1e-18 && (double)k > mean) break; /* beyond what 53 bits can tell */
    }
    return k;
}
