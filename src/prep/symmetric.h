/* SPDX-License-Identifier: BSD-3-Clause */
/* Powers of a symmetric matrix. */
#ifndef PREP_SYMMETRIC_H
#define PREP_SYMMETRIC_H

#include <stdint.h>

#include "base/status.h"

/* s [p, p], symmetric and without negative eigenvalues, becomes its power, through its
 * eigenvectors; eigenvalues below 1e-12 of the largest count as that. SCW_ENUMERIC: not finite. */
SCW_CHECKED scw_status symmetric_power(double *s, int64_t p, double power);

/* out [p, p] = a b, each [p, p]. */
void symmetric_multiply(double *out, const double *a, const double *b, int64_t p);

#endif
