/* SPDX-License-Identifier: BSD-3-Clause */
/* Ratios of gamma functions in double, for one value at a time. */
#include <math.h>

#include "kernel/table.h"

#define PRODUCT_LIMIT 16 /* a ratio is a product up to this many factors */
#define SERIES_FROM 8.0

/* psi(y) and log G(y) for y > 0 by Stirling's series from SERIES_FROM on, after steps of G(y) = G(y + 1) / y
 * (Abramowitz and Stegun 6.1.41, 6.3.18). */
static double log_gamma(double y, double *psi)
{
    double below = 0.0, product = 1.0;

    for (; y < SERIES_FROM; y += 1.0) {
        below += 1.0 / y;
        product *= y;
    }
    const double log_y = log(y), over = 1.0 / y, q = over * over;
    *psi = log_y - 0.5 * over - below -
           q * (1.0 / 12.0 - q * (1.0 / 120.0 - q * (1.0 / 252.0 - q * (1.0 / 240.0 - q / 132.0))));
    const double series =
        over * (1.0 / 12.0 - q * (1.0 / 360.0 - q * (1.0 / 1260.0 - q * (1.0 / 1680.0 - q / 1188.0))));
    const double value = (y - 0.5) * log_y - y + 0.91893853320467274178 + series;
    return product == 1.0 ? value : value - log(product);
}

double kernel_gamma_ratio(double s, double x, double *psi)
{
    double product = 1.0, of_s, of_sum, unused;

    *psi = 0.0;
    if (x <= PRODUCT_LIMIT && x == floor(x)) {
        for (double k = 0.0; k < x; k += 1.0) {
            product *= (s + k) / (k + 1.0);
            *psi += 1.0 / (s + k);
        }
        return log(product);
    }
    const double ratio = log_gamma(x + s, &of_sum) - log_gamma(s, &of_s) - log_gamma(x + 1.0, &unused);
    *psi = of_sum - of_s;
    return ratio;
}
