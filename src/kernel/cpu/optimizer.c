/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast optimizers: one pass over a chunk of the flat block. */
#include "kernel/cpu/cpu.h"

static void adam(int64_t n, real *theta, real *grad, real *m, real *v,
                 const kernel_adam_options *o)
{
    float beta1 = (float)o->beta1, rest1 = (float)(1.0 - o->beta1);
    float beta2 = (float)o->beta2, rest2 = (float)(1.0 - o->beta2);
    float rate = (float)(o->lr / (1.0 - pow(o->beta1, (double)o->step)));
    float over = (float)(1.0 / sqrt(1.0 - pow(o->beta2, (double)o->step)));
    float eps = (float)o->eps;
    float shrink = (float)(o->decoupled ? 1.0 - o->lr * o->weight_decay : 1.0);
    float decay = (float)(o->decoupled ? 0.0 : o->weight_decay);

    CPU_SIMD
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i] + decay * theta[i];
        float mi = beta1 * m[i] + rest1 * g;
        float vi = beta2 * v[i] + rest2 * g * g;
        m[i] = mi;
        v[i] = vi;
        theta[i] = shrink * theta[i] - rate * mi / (sqrtf(vi) * over + eps);
        grad[i] = 0;
    }
}

static void rmsprop(int64_t n, real *theta, real *grad, real *v, double lr, double alpha,
                    double eps)
{
    float keep = (float)alpha, rest = (float)(1.0 - alpha), rate = (float)lr, e = (float)eps;

    CPU_SIMD
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i], vi = keep * v[i] + rest * g * g;
        v[i] = vi;
        theta[i] -= rate * g / (sqrtf(vi) + e);
        grad[i] = 0;
    }
}

static void update_average(int64_t n, double keep, const real *x, real *average)
{
    float kept = (float)keep, given = 1 - kept;

    CPU_SIMD
    for (int64_t i = 0; i < n; i++) average[i] = kept * average[i] + given * x[i];
}

void CPU_NAME(cpu_fill_optimizer)(kernel_table *t)
{
    t->adam = adam;
    t->rmsprop = rmsprop;
    t->average = update_average;
}
