/* SPDX-License-Identifier: BSD-3-Clause */
/* Local regression of degree 2 in one variable (Cleveland & Grosse, Statistics and Computing 1,
 * 1991).
 *
 * At a point z: least squares on 1, x - z, (x - z)^2 over the nearest floor(n span) points, with
 * weights (1 - (d / d_max)^3)^3. That is done at the corners of cells that hold at most a fifth of
 * a neighbourhood each; between them runs the cubic through the two values and slopes, as in the
 * authors' own program and the packages made from it. Where a whole neighbourhood shares one place,
 * which they refuse, the fit is its mean, level. */
#ifndef PREP_LOESS_H
#define PREP_LOESS_H

#include <stdint.h>

#include "base/status.h"

/* fitted [n] of y on x [n], both finite. SCW_EDATA: neighbourhoods of fewer than three points.
 * Cost: O(n log n). */
SCW_CHECKED scw_status loess_fit(double *fitted, const double *x, const double *y, int64_t n,
                                 double span);

#endif
