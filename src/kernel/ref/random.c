/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference of the bulk random numbers: which block of Philox an element takes its bits from.
 *
 * Sixteen consecutive blocks make a group, so that sixteen lanes can draw them side by side:
 *     keep:    128 elements a group, sixteen bits each: element 16 h + l is half h of block l
 *     normal:   64 elements a group: element 16 w + l comes from words w and w ^ 1 of block l */
#include "kernel/table.h"

#define LANES 16

static void group_block(uint32_t word[4], rng_key key, uint32_t step, int64_t e, int64_t group)
{
    rng_block(word, key, step, (uint64_t)(LANES * (e / group) + e % LANES));
}

static void fill_keep(int64_t n, double drop, rng_key key, uint32_t step, real *out)
{
    uint32_t limit = kernel_keep_limit(drop);
    real kept = (real)(65536.0 / (65536.0 - limit));

    for (int64_t e = 0; e < n; e++) {
        uint32_t word[4];
        int64_t half = e % (8 * LANES) / LANES;
        group_block(word, key, step, e, 8 * LANES);
        uint32_t drawn = (word[half / 2] >> 16 * (half % 2)) & 0xFFFFu;
        out[e] = drawn < limit ? 0 : kept;
    }
}

/* Box-Muller: words w and w + 1 (w even) give sqrt(-2 log u) times the cosine and the sine. */
static void fill_normal(int64_t n, rng_key key, uint32_t step, real *out)
{
    for (int64_t e = 0; e < n; e++) {
        uint32_t word[4];
        int64_t w = e % (4 * LANES) / LANES, pair = w - w % 2;
        group_block(word, key, step, e, 4 * LANES);
        double u = 1.0 - (double)(word[pair] >> 8) * 0x1p-24; /* (0, 1] */
        double angle = 6.283185307179586 * ((double)(word[pair + 1] >> 8) * 0x1p-24);
        out[e] = (real)(sqrt(-2.0 * log(u)) * (w % 2 ? sin(angle) : cos(angle)));
    }
}

void ref_fill_random(kernel_table *t)
{
    t->fill_keep = fill_keep;
    t->fill_normal = fill_normal;
}
