/* SPDX-License-Identifier: BSD-3-Clause */
/* The few largest eigenpairs of a symmetric operator that is known by its products with vectors. */
#ifndef EMBED_LANCZOS_H
#define EMBED_LANCZOS_H

#include <stdint.h>

#include "base/status.h"
#include "scweave/hooks.h"

typedef struct lanczos_problem {
    int64_t n;
    void (*apply)(double *out, const double *x, const void *with); /* out [n] = A x */
    const void *with;
    const double *known; /* [n] an eigenvector of length one that is not wanted; NULL: none */
    int64_t k;           /* pairs wanted, at most n less the known one */
    double tolerance;    /* of |A v - value v|, relative to the largest |value| */
    int64_t most;        /* products at most: what is found by then is returned */
    uint64_t seed;
} lanczos_problem;

/* values [k] descending, vectors [k, n], each of length one with its entry of largest size
 * positive. *residual: the largest of |A v - value v|. The same bits for any number of threads. */
SCW_CHECKED scw_status lanczos_find(double *values, double *vectors, double *residual,
                                    const lanczos_problem *problem, const scw_hooks *hooks);

#endif
