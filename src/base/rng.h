/* SPDX-License-Identifier: BSD-3-Clause */
/* Counter-based random numbers: Philox 4x32-10 (Salmon et al., SC 2011).
 *
 * A number is addressed by (seed, purpose, step, element). Results therefore do not depend on the
 * number of threads or on the order of calls. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

/* What the numbers are for. Values are part of saved results: only append. */
typedef enum rng_purpose {
    RNG_INIT = 1,
    RNG_SHUFFLE,
    RNG_DROPOUT,
    RNG_LATENT,
    RNG_BALANCE,
    RNG_VALIDATION,
    RNG_SIMULATE,
    RNG_EXAMPLE,
    RNG_KMEANS,
    RNG_PCA,
    RNG_TEST,
    RNG_SAMPLE,
    RNG_UMAP,
    RNG_STAND_IN,
    RNG_MIXUP
} rng_purpose;

typedef struct rng_key {
    uint64_t seed;
    uint32_t purpose; /* rng_purpose, plus a caller's sub-stream in the upper 24 bits (<< 8) */
} rng_key;

static inline rng_key rng_make_key(uint64_t seed, rng_purpose purpose, uint32_t stream)
{
    rng_key key = {seed, (uint32_t)purpose | stream << 8};
    return key;
}

/* The raw block function: 4 words for element block `index` of `step`. */
void rng_block(uint32_t out[4], rng_key key, uint32_t step, uint64_t index);

/* Uniform in [0, 1), 53 bits; standard normal (Box-Muller in double). Element-addressed. */
double rng_uniform(rng_key key, uint32_t step, uint64_t element);
double rng_normal(rng_key key, uint32_t step, uint64_t element);
/* Uniform integer in [0, n), n > 0, without modulo bias worth speaking of (64-bit multiply). */
uint64_t rng_below(rng_key key, uint32_t step, uint64_t element, uint64_t n);

/* Random order of 0..n-1 (Fisher-Yates). */
void rng_permutation(int64_t *out, int64_t n, rng_key key, uint32_t step);

/* A sequential stream for code that draws an unknown count (gamma, negative binomial, ...). */
typedef struct rng_stream {
    rng_key key;
    uint32_t step;
    uint64_t next;
} rng_stream;

double rng_next_uniform(rng_stream *s);
double rng_next_normal(rng_stream *s);
double rng_next_gamma(rng_stream *s, double shape); /* scale 1; Marsaglia & Tsang 2000 */
int64_t rng_next_poisson(rng_stream *s, double mean);

#endif
