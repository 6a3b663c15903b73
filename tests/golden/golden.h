/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs that compare with golden vectors share. After cmocka.h. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "base/real.h"

static inline void *check_new(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    assert_non_null(p);
    return p;
}

/* An array of numbers as real; the caller frees. */
static inline real *golden_values(const json_t *array, int64_t *n)
{
    assert_true(json_is_array(array));
    *n = (int64_t)json_array_size(array);
    real *out = check_new((size_t)*n, sizeof *out);
    for (int64_t i = 0; i < *n; i++)
        out[i] = (real)json_number_value(json_array_get(array, (size_t)i));
    return out;
}

static int n_wrong; /* comparisons that failed in the running case: all are shown */

/* Largest difference, relative to the largest entry of the expected vector, or to `floor` where
 * that is larger: some gradients are zero but for rounding (a bias in front of a batch norm). */
static inline void expect_within(const char *what, const real *got, const real *want, int64_t n,
                                 double tol, double floor)
{
    double worst = 0.0, scale = floor;
    for (int64_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)want[i]));
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
    if (worst <= tol * scale) return;
    print_error("%s: differs by %.3g relative to %.3g (allowed %.1g)\n", what, worst / scale, scale,
                tol);
    n_wrong++;
}

#endif
