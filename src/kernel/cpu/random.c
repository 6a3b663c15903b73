/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast bulk random numbers: sixteen blocks of Philox 4x32-10 (base/rng.h) side by side. Which element
 * takes which bits stands in ref/random.c. */
#include "kernel/cpu/cpu.h"

#define LANES 16

typedef struct block_group {
    uint32_t word[4][LANES];
} block_group;

/* Blocks first..first + 15. The state is in locals, so that it can stay in registers. */
static inline void draw_group(block_group *out, rng_key key, uint32_t step, uint64_t first)
{
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];

    for (int l = 0; l < LANES; l++) {
        c0[l] = (uint32_t)(first + (uint64_t)l);
        c1[l] = (uint32_t)((first + (uint64_t)l) >> 32);
        c2[l] = step;
        c3[l] = key.purpose;
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        CPU_SIMD
        for (int l = 0; l < LANES; l++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[l], p1 = (uint64_t)0xCD9E8D57u * c2[l];
            c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
            c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
            c1[l] = (uint32_t)p1;
            c3[l] = (uint32_t)p0;
        }
    }
    memcpy(out->word[0], c0, sizeof c0);
    memcpy(out->word[1], c1, sizeof c1);
    memcpy(out->word[2], c2, sizeof c2);
    memcpy(out->word[3], c3, sizeof c3);
}

#define KEEP_GROUP (8 * LANES)

static void keep_group(float *out, const block_group *b, uint32_t limit, float kept)
{
    for (int w = 0; w < 4; w++) {
        float *low = out + 2 * w * LANES, *high = low + LANES;
        CPU_SIMD
        for (int l = 0; l < LANES; l++) {
            low[l] = (b->word[w][l] & 0xFFFFu) < limit ? 0.0f : kept;
            high[l] = b->word[w][l] >> 16 < limit ? 0.0f : kept;
        }
    }
}

static void fill_keep(int64_t n, double drop, rng_key key, uint32_t step, real *out)
{
    uint32_t limit = kernel_keep_limit(drop);
    float kept = (float)(65536.0 / (65536.0 - limit));

    PARALLEL_FOR_IF(n > CPU_PARALLEL_MIN)
    for (int64_t e = 0; e < n; e += KEEP_GROUP) {
        float last[KEEP_GROUP], *to = n - e < KEEP_GROUP ? last : out + e;
        block_group b;
        draw_group(&b, key, step, (uint64_t)(e / KEEP_GROUP * LANES));
        keep_group(to, &b, limit, kept);
        if (to == last) memcpy(out + e, last, (size_t)(n - e) * sizeof *out);
    }
}

/* log u for u in (0, 1] within 2 ulp: u = 2^k m with m in [sqrt 1/2, sqrt 2), and with
 * s = (m - 1) / (m + 1), log m = 2 (s + s^3/3 + s^5/5 + ...). |s| < 0.172, so the terms that are left
 * out are below 3e-9 of the sum. fast_log has other bits, and so would the normal numbers of a seed. */
static inline float log_uniform(float u)
{
    uint32_t bits;
    memcpy(&bits, &u, sizeof bits);
    int32_t k = (int32_t)(bits - 0x3F3504F3u) >> 23; /* 0x3F3504F3 is sqrt 1/2 */
    uint32_t m_bits = bits - ((uint32_t)k << 23);
    float m;
    memcpy(&m, &m_bits, sizeof m);
    float s = (m - 1.0f) / (m + 1.0f), q = s * s;
    float series = 1.0f / 9.0f;
    series = series * q + 1.0f / 7.0f;
    series = series * q + 1.0f / 5.0f;
    series = series * q + 1.0f / 3.0f;
    return (float)k * 0.693147181f + 2.0f * (s + s * q * series);
}

/* cos and sin of 2 pi turn for turn in [0, 1]: the nearest quarter turn is taken out, and Taylor's
 * series to t^10 and t^9 do for |t| <= pi / 4 (their remainders are below 3e-8). */
static inline void fast_cos_sin(float turn, float *cosine, float *sine)
{
    int32_t quarter = (int32_t)(4.0f * turn + 0.5f);
    float t = 6.28318531f * (turn - 0.25f * (float)quarter), q = t * t;
    float s = 1.0f / 362880.0f, c = -1.0f / 3628800.0f;
    s = s * q - 1.0f / 5040.0f;
    s = s * q + 1.0f / 120.0f;
    s = s * q - 1.0f / 6.0f;
    s = s * q * t + t;
    c = c * q + 1.0f / 40320.0f;
    c = c * q - 1.0f / 720.0f;
    c = c * q + 1.0f / 24.0f;
    c = c * q - 0.5f;
    c = c * q + 1.0f;
    float x = quarter & 1 ? s : c, y = quarter & 1 ? c : s;
    *cosine = (quarter + 1) & 2 ? -x : x;
    *sine = quarter & 2 ? -y : y;
}

#define NORMAL_GROUP (4 * LANES)

static void normal_group(float *out, const block_group *b)
{
    for (int w = 0; w < 4; w += 2) {
        float *first = out + w * LANES, *second = first + LANES;
        CPU_SIMD
        for (int l = 0; l < LANES; l++) {
            float u = 1.0f - (float)(int32_t)(b->word[w][l] >> 8) * 0x1p-24f; /* (0, 1] */
            float turn = (float)(int32_t)(b->word[w + 1][l] >> 8) * 0x1p-24f;
            float r = sqrtf(-2.0f * log_uniform(u)), cosine, sine;
            fast_cos_sin(turn, &cosine, &sine);
            first[l] = r * cosine;
            second[l] = r * sine;
        }
    }
}

static void fill_normal(int64_t n, rng_key key, uint32_t step, real *out)
{
    PARALLEL_FOR_IF(n > CPU_PARALLEL_MIN)
    for (int64_t e = 0; e < n; e += NORMAL_GROUP) {
        float last[NORMAL_GROUP], *to = n - e < NORMAL_GROUP ? last : out + e;
        block_group b;
        draw_group(&b, key, step, (uint64_t)(e / NORMAL_GROUP * LANES));
        normal_group(to, &b);
        if (to == last) memcpy(out + e, last, (size_t)(n - e) * sizeof *out);
    }
}

void CPU_NAME(cpu_fill_random)(kernel_table *t)
{
    t->fill_keep = fill_keep;
    t->fill_normal = fill_normal;
}
