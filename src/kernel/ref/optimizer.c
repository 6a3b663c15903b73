/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference optimizers: Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019), RMSprop. */
#include "kernel/table.h"

static void adam(int64_t n, real *theta, real *grad, real *m, real *v,
                 const kernel_adam_options *o)
{
    double correct1 = 1.0 - pow(o->beta1, (double)o->step);
    double correct2 = 1.0 - pow(o->beta2, (double)o->step);

    for (int64_t i = 0; i < n; i++) {
        double t = (double)theta[i], g = (double)grad[i];
        if (o->decoupled) {
            t *= 1.0 - o->lr * o->weight_decay;
        } else {
            g += o->weight_decay * t;
        }
        double mi = o->beta1 * (double)m[i] + (1.0 - o->beta1) * g;
        double vi = o->beta2 * (double)v[i] + (1.0 - o->beta2) * g * g;
        m[i] = (real)mi;
        v[i] = (real)vi;
        theta[i] = (real)(t - o->lr * (mi / correct1) / (sqrt(vi / correct2) + o->eps));
        grad[i] = 0;
    }
}

static void rmsprop(int64_t n, real *theta, real *grad, real *v, double lr, double alpha,
                    double eps)
{
    for (int64_t i = 0; i < n; i++) {
        double g = (double)grad[i];
        double vi = alpha * (double)v[i] + (1.0 - alpha) * g * g;
        v[i] = (real)vi;
        theta[i] = (real)((double)theta[i] - lr * g / (sqrt(vi) + eps));
        grad[i] = 0;
    }
}

static void update_average(int64_t n, double keep, const real *x, real *average)
{
    real kept = (real)keep, given = 1 - kept;

    for (int64_t i = 0; i < n; i++) average[i] = kept * average[i] + given * x[i];
}

void ref_fill_optimizer(kernel_table *t)
{
    t->adam = adam;
    t->rmsprop = rmsprop;
    t->average = update_average;
}
