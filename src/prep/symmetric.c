/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/symmetric.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"

scw_status symmetric_power(double *s, int64_t p, double power)
{
    scw_status st = SCW_OK;
    double *vectors = NULL, *values = NULL;

    TRY(mem_new(&vectors, p * p));
    TRY(mem_new(&values, p));
    memcpy(vectors, s, (size_t)(p * p) * sizeof *s);
    int before = dense_enter();
    lapack_int info = LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', (lapack_int)p, vectors,
                                    (lapack_int)p, values);
    dense_leave(before);
    if (info) FAIL(SCW_ENUMERIC, "a covariance has no eigenvectors: its values are not finite");
    double floor_value = 1e-12 * fmax(values[p - 1], 1e-300);
    for (int64_t k = 0; k < p; k++)
        values[k] = pow(fmax(values[k], floor_value), power);
    PARALLEL_FOR_IF(p > 32)
    for (int64_t a = 0; a < p; a++)
        for (int64_t b = 0; b < p; b++) {
            double sum = 0.0;
            for (int64_t k = 0; k < p; k++)
                sum += vectors[a * p + k] * values[k] * vectors[b * p + k];
            s[a * p + b] = sum;
        }
done:
    mem_free(vectors);
    mem_free(values);
    return st;
}

void symmetric_multiply(double *out, const double *a, const double *b, int64_t p)
{
    dense_shape shape = {.m = p, .n = p, .k = p, .ld_a = p, .ld_b = p, .ld_c = p, .alpha = 1.0};

    dense_product(&shape, a, b, out);
}
