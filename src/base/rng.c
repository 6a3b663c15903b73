/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/rng.h"

#include <math.h>

#define TWO_PI 6.283185307179586476925

static inline void philox_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t x0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
    uint32_t x2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
    c[1] = (uint32_t)p1;
    c[3] = (uint32_t)p0;
    c[0] = x0;
    c[2] = x2;
}

/* Counter: (index low, index high, step, purpose); key: the seed. */
static inline void block(uint32_t c[4], rng_key key, uint32_t step, uint64_t index)
{
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
    c[0] = (uint32_t)index;
    c[1] = (uint32_t)(index >> 32);
    c[2] = step;
    c[3] = key.purpose;
    for (int r = 0; r < 10; r++) {
        philox_round(c, k0, k1);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

void rng_block(uint32_t out[4], rng_key key, uint32_t step, uint64_t index)
{
    block(out, key, step, index);
}

static inline double unit53(uint32_t hi, uint32_t lo)
{
    return (double)(((uint64_t)hi << 32 | lo) >> 11) * 0x1p-53;
}

double rng_uniform(rng_key key, uint32_t step, uint64_t element)
{
    uint32_t c[4];
    block(c, key, step, element);
    return unit53(c[0], c[1]);
}

double rng_normal(rng_key key, uint32_t step, uint64_t element)
{
    uint32_t c[4];
    block(c, key, step, element);
    double u = 1.0 - unit53(c[0], c[1]); /* (0, 1] */
    return sqrt(-2.0 * log(u)) * cos(TWO_PI * unit53(c[2], c[3]));
}

uint64_t rng_below(rng_key key, uint32_t step, uint64_t element, uint64_t n)
{
    uint32_t c[4];
    block(c, key, step, element);
    uint64_t word = (uint64_t)c[0] << 32 | c[1];
    return (uint64_t)((unsigned __int128)word * n >> 64);
}

void rng_permutation(int64_t *out, int64_t n, rng_key key, uint32_t step)
{
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)rng_below(key, step, (uint64_t)i, (uint64_t)i + 1);
        int64_t kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}

double rng_next_uniform(rng_stream *s)
{
    return rng_uniform(s->key, s->step, s->next++);
}

double rng_next_normal(rng_stream *s)
{
    return rng_normal(s->key, s->step, s->next++);
}

double rng_next_gamma(rng_stream *s, double shape)
{
    if (shape < 1.0) {
        double u = 1.0 - rng_next_uniform(s);
        return rng_next_gamma(s, shape + 1.0) * pow(u, 1.0 / shape);
    }
    double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = rng_next_normal(s), v = 1.0 + c * x;
        if (v <= 0.0) continue;
        v = v * v * v;
        double u = 1.0 - rng_next_uniform(s);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}

int64_t rng_next_poisson(rng_stream *s, double mean)
{
    /* Large means are halved by thinning through a gamma: exact, and short for any mean. */
    int64_t total = 0;
    while (mean > 30.0) {
        double m = floor(mean * 7.0 / 8.0);
        double x = rng_next_gamma(s, m);
        if (x > mean) {
            /* The m-th event lies beyond: the number before it is binomial(m - 1, mean / x). */
            double p = mean / x;
            for (int64_t i = 1; i < (int64_t)m; i++) total += rng_next_uniform(s) < p;
            return total;
        }
        total += (int64_t)m;
        mean -= x;
    }
    double limit = exp(-mean), product = 1.0 - rng_next_uniform(s);
    while (product > limit) {
        total++;
        product *= 1.0 - rng_next_uniform(s);
    }
    return total;
}
