/* SPDX-License-Identifier: BSD-3-Clause */
/* Limited-memory BFGS (Nocedal & Wright, Numerical Optimization, algorithms 7.4, 7.5, 3.5 and 3.6):
 * the minimum of a smooth function of many variables. */
#ifndef METRIC_LBFGS_H
#define METRIC_LBFGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Value and gradient [n] at x [n]. */
typedef scw_status (*lbfgs_function)(void *user, const double *x, double *value, double *gradient);

typedef struct lbfgs_options {
    int64_t max_iterations;
    double gradient_tolerance; /* stop when the largest |gradient entry| is at most this */
    double value_tolerance;    /* or when a step lowers the value by at most this share of it */
    int history;               /* pairs kept, 1..32 */
} lbfgs_options;

typedef struct lbfgs_report {
    int64_t iterations, evaluations;
    double value, gradient_max;
    bool converged; /* false: iterations ran out, or no further decrease was found */
} lbfgs_report;

/* x [n] holds the start and receives the best point. SCW_ENUMERIC when the function is not finite
 * at the start. */
SCW_CHECKED scw_status lbfgs_minimise(double *x, int64_t n, lbfgs_function function, void *user,
                                      const lbfgs_options *options, lbfgs_report *report);

#endif
