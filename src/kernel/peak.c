/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel/peak.h"

#include "base/alloc.h"
#include "base/threads.h"
#include "kernel/kernel.h"

#define MEASURE_SECONDS 0.3
#define PRODUCT_SIZE 1536
#define TRIAD_ELEMENTS ((int64_t)16 << 20) /* 64 MiB an array */

/* Best rate of a call that does `work` units, over MEASURE_SECONDS after one call to warm up. */
static double best_rate(void (*call)(real *, real *, real *), real *a, real *b, real *c,
                        double work)
{
    double best = 0.0, start;

    call(a, b, c);
    start = clock_wall();
    do {
        double t0 = clock_wall();
        call(a, b, c);
        double rate = work / (clock_wall() - t0);
        if (rate > best) best = rate;
    } while (clock_wall() - start < MEASURE_SECONDS);
    return best;
}

static void product(real *a, real *b, real *c)
{
    kernel_gemm(false, false, PRODUCT_SIZE, PRODUCT_SIZE, PRODUCT_SIZE, a, b, 0, c);
}

static void triad(real *a, real *b, real *c)
{
    PARALLEL_FOR
    for (int64_t i = 0; i < TRIAD_ELEMENTS; i++) a[i] = b[i] + 3 * c[i];
}

/* 0 when there is no memory for the arrays. */
static double measure(void (*call)(real *, real *, real *), int64_t n, double work)
{
    real *a = NULL, *b = NULL, *c = NULL;
    double rate = 0.0;

    if (mem_new(&a, n) == SCW_OK && mem_new(&b, n) == SCW_OK && mem_new(&c, n) == SCW_OK) {
        for (int64_t i = 0; i < n; i++) {
            a[i] = b[i] = (real)(i % 7) - 3;
            c[i] = (real)(i % 5) - 2;
        }
        rate = best_rate(call, a, b, c, work);
    } else {
        status_clear();
    }
    mem_free(a);
    mem_free(b);
    mem_free(c);
    return rate;
}

double peak_gemm_gflops(void)
{
    double n = PRODUCT_SIZE;
    return measure(product, (int64_t)PRODUCT_SIZE * PRODUCT_SIZE, 2e-9 * n * n * n);
}

double peak_bf16_gflops(void)
{
    double rate;
    bool before = kernel_get_bf16();

    if (!kernel_use_bf16(true)) return 0.0;
    rate = peak_gemm_gflops();
    (void)kernel_use_bf16(before);
    return rate;
}

double peak_bandwidth_gbs(void)
{
    return measure(triad, TRIAD_ELEMENTS, 3e-9 * (double)(TRIAD_ELEMENTS * (int64_t)sizeof(real)));
}
