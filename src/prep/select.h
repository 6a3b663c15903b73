/* SPDX-License-Identifier: BSD-3-Clause */
/* Order statistics. All rearrange their input; none may hold NaN. */
#ifndef PREP_SELECT_H
#define PREP_SELECT_H

#include <stdint.h>

/* Bring the k largest of v [n] to the front, in no order; 0 <= k <= n. */
void select_largest(float *v, int64_t n, int64_t k);

/* Median of v [n], n > 0: of an even number the mean of the middle two. */
double select_median(double *v, int64_t n);

/* Quantile 0 <= q <= 1 of ascending v [n], n > 0, between two values by linear interpolation
 * (numpy's default). */
double sorted_quantile(const double *v, int64_t n, double q);

/* For qsort. */
int select_compare(const void *a, const void *b); /* double, ascending */

#endif
