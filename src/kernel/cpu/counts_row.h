/* SPDX-License-Identifier: BSD-3-Clause */
/* What counts.c computes of one row of a strip: a cell's logits a [STRIP], without bias, as they go
 * through the likelihood and back.
 *
 *     eta = a scale + shift + offset
 *     nb         p = exp(eta - largest) / sum, mu = library p + floor, and the loss of x with shape s
 *     bernoulli  the loss of x > 0 with logit eta
 *
 * `numbers` are those of the cell's batch, [N_NUMBERS, STRIP]; features beside the last one have such that
 * they add nothing anywhere. x [STRIP] are the counts, zeros and all. */
#ifndef KERNEL_CPU_COUNTS_ROW_H
#define KERNEL_CPU_COUNTS_ROW_H

#include "kernel/cpu/cpu.h"

#define STRIP COUNTS_STRIP

/* A batch's numbers of a strip's features. */
enum { SCALE, SHIFT, SHAPE, OVER_SHAPE, LOG_SHAPE, D_SHAPE, D_SCALE, D_SHIFT, N_NUMBERS };

/* ------------------------------------------------------------- vectors of functions */

/* exp(x) for x <= 0 within 2 ulp, 0 in effect below -87; as fast_exp, and less of it: the polynomial for
 * (exp(r) - 1 - r) / r^2 is of Chebyshev interpolation. NaN stays NaN. */
static inline float exp_below(float x)
{
    const float round_magic = 12582912.0f;
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + round_magic, whole = shifted - round_magic;
    float r = x - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    float p = 0.00139336521f;
    p = p * r + 0.00836318173f;
    p = p * r + 0.0416664667f;
    p = p * r + 0.166665763f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;

    uint32_t bits;
    float scale;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23; /* what the magic number has above the integer is shifted out */
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* log(1 + x) for x >= 0, with y = 1 + x as it is rounded and its reciprocal. NaN stays NaN. */
static inline float log_sum(float x, float y, float over)
{
    return fast_log(y) + (x - (y - 1.0f)) * over;
}

/* ------------------------------------------------------------- denominators */

/* The largest eta so far and the sum of exp(eta - largest), of each lane. */
static inline void add_to_sum(const real *a, const real *numbers, float offset, real *largest, real *total)
{
    const real *scale = numbers + SCALE * STRIP, *shift = numbers + SHIFT * STRIP;
    float eta[STRIP], most[VEC_LANES];

    memcpy(most, largest, sizeof most);
    for (int64_t at = 0; at < STRIP; at += VEC_LANES) {
        CPU_SIMD
        for (int64_t e = 0; e < VEC_LANES; e++) {
            const float value = a[at + e] * scale[at + e] + shift[at + e] + offset;
            eta[at + e] = value;
            most[e] = value > most[e] ? value : most[e];
        }
    }
    CPU_SIMD
    for (int64_t e = 0; e < VEC_LANES; e++) {
        total[e] *= exp_below(largest[e] - most[e]);
        largest[e] = most[e];
    }
    for (int64_t at = 0; at < STRIP; at += VEC_LANES) {
        CPU_SIMD
        for (int64_t e = 0; e < VEC_LANES; e++) total[e] += exp_below(eta[at + e] - most[e]);
    }
}

/* ------------------------------------------------------------- losses */

typedef struct row_facts {
    float offset, over_sum, library, floor, dot; /* offset less the largest eta */
} row_facts;

/* What both passes over a negative binomial need of a row: its loops are short, so that the processor
 * works at several vectors at once. */
typedef struct nb_row {
    float share[STRIP], mu[STRIP], ratio[STRIP];  /* p; mu; mu / s */
    float over_y[STRIP], over_mu[STRIP];          /* 1 / (1 + mu / s), 1 / mu: of one division */
} nb_row;

static inline __attribute__((always_inline)) void find_means(nb_row *m, const real *a, const real *numbers,
                                                             const row_facts *r)
{
    const real *scale = numbers + SCALE * STRIP, *shift = numbers + SHIFT * STRIP;
    const real *over_shape = numbers + OVER_SHAPE * STRIP;

    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++)
        m->share[j] = exp_below(a[j] * scale[j] + shift[j] + r->offset) * r->over_sum;
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) {
        const float mu = r->library * m->share[j] + r->floor, ratio = mu * over_shape[j];
        const float y = 1.0f + ratio, both = 1.0f / (y * mu);
        m->mu[j] = mu;
        m->ratio[j] = ratio;
        m->over_y[j] = both * mu;
        m->over_mu[j] = both * y;
    }
}

static inline void nb_loss(const real *a, real *numbers, const real *x, const row_facts *r, real *loss, real *dot)
{
    const real *shape = numbers + SHAPE * STRIP, *over_shape = numbers + OVER_SHAPE * STRIP;
    const real *log_shape = numbers + LOG_SHAPE * STRIP;
    real *d_shape = numbers + D_SHAPE * STRIP;
    float log_y[STRIP], of_count[STRIP];
    nb_row m;

    find_means(&m, a, numbers, r);
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) log_y[j] = log_sum(m.ratio[j], 1.0f + m.ratio[j], m.over_y[j]);
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) of_count[j] = log_y[j] + log_shape[j] - fast_log(m.mu[j]);
    for (int64_t at = 0; at < STRIP; at += VEC_LANES) {
        CPU_SIMD
        for (int64_t e = 0; e < VEC_LANES; e++) {
            const int64_t j = at + e;
            const float share = x[j] * over_shape[j];
            loss[e] += shape[j] * log_y[j] + x[j] * of_count[j];
            dot[e] += m.share[j] * (m.over_y[j] * (1.0f + share) - x[j] * m.over_mu[j]);
            d_shape[j] += shape[j] * (log_y[j] + m.over_y[j] * (share - m.ratio[j]));
        }
    }
}

static inline void bernoulli_loss(const real *a, const real *numbers, const real *x, const row_facts *r, real *loss)
{
    const real *scale = numbers + SCALE * STRIP, *shift = numbers + SHIFT * STRIP;

    for (int64_t at = 0; at < STRIP; at += VEC_LANES) {
        CPU_SIMD
        for (int64_t e = 0; e < VEC_LANES; e++) {
            const int64_t j = at + e;
            const float eta = a[j] * scale[j] + shift[j] + r->offset;
            const float small = exp_below(eta > 0.0f ? -eta : eta), y = 1.0f + small;
            loss[e] += (eta > 0.0f ? eta : 0.0f) + log_sum(small, y, 1.0f / y) - (x[j] > 0.0f ? eta : 0.0f);
        }
    }
}

/* ------------------------------------------------------------- gradients */

/* d loss / d eta times factor and, summed over the rows, what it means for scale and shift; g. */
static inline void nb_gradient(const real *a, real *numbers, const real *x, const row_facts *r, float factor,
                        real *g)
{
    const real *scale = numbers + SCALE * STRIP, *over_shape = numbers + OVER_SHAPE * STRIP;
    real *d_scale = numbers + D_SCALE * STRIP, *d_shift = numbers + D_SHIFT * STRIP;
    const float weight = factor * r->library;
    nb_row m;

    find_means(&m, a, numbers, r);
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) {
        const float of_mu = m.over_y[j] * (1.0f + x[j] * over_shape[j]) - x[j] * m.over_mu[j];
        const float d = weight * m.share[j] * (of_mu - r->dot);
        d_shift[j] += d;
        d_scale[j] += d * a[j];
        g[j] = d * scale[j];
    }
}

static inline void bernoulli_gradient(const real *a, real *numbers, const real *x, const row_facts *r,
                               float factor, real *g)
{
    const real *scale = numbers + SCALE * STRIP, *shift = numbers + SHIFT * STRIP;
    real *d_scale = numbers + D_SCALE * STRIP, *d_shift = numbers + D_SHIFT * STRIP;

    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) {
        const float eta = a[j] * scale[j] + shift[j] + r->offset;
        const float small = exp_below(eta > 0.0f ? -eta : eta);
        const float there = (eta > 0.0f ? 1.0f : small) / (1.0f + small);
        const float d = factor * (there - (x[j] > 0.0f ? 1.0f : 0.0f));
        d_shift[j] += d;
        d_scale[j] += d * a[j];
        g[j] = d * scale[j];
    }
}

#endif
