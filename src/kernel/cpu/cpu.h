/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fast kernels share. Single precision only.
 *
 * The files of cpu/ are plain C written to vectorise. The build compiles them once for each
 * instruction set (meson.build: CPU_ISA and its flags); dispatch.c chooses at run time. Whole files,
 * not clones of functions: a cloning compiler may leave the body of an OpenMP loop, which becomes a
 * function of its own, at the baseline. Everything but cpu_fill_* is static, so that nothing compiled
 * for a newer instruction set can be linked in place of baseline code.
 *
 * Invariant: the same bits for any number of threads. Loops are cut into blocks of fixed size, or
 * each output is computed by one thread in an order that does not depend on the cut. */
#ifndef KERNEL_CPU_CPU_H
#define KERNEL_CPU_CPU_H

#include <string.h>

#include "base/threads.h"
#include "kernel/table.h"

#define CPU_PASTE2(a_, b_) a_##_##b_
#define CPU_PASTE(a_, b_) CPU_PASTE2(a_, b_)
#define CPU_NAME(name_) CPU_PASTE(name_, CPU_ISA) /* cpu_fill_norm -> cpu_fill_norm_avx2 */

void CPU_NAME(cpu_fill_affine)(kernel_table *t);
void CPU_NAME(cpu_fill_counts)(kernel_table *t);
void CPU_NAME(cpu_fill_decoder)(kernel_table *t);
void CPU_NAME(cpu_fill_elementwise)(kernel_table *t);
void CPU_NAME(cpu_fill_gamma)(kernel_table *t);
void CPU_NAME(cpu_fill_gemm)(kernel_table *t);
void CPU_NAME(cpu_fill_lists)(kernel_table *t);
void CPU_NAME(cpu_fill_norm)(kernel_table *t);
void CPU_NAME(cpu_fill_optimizer)(kernel_table *t);
void CPU_NAME(cpu_fill_random)(kernel_table *t);

#define CPU_BLOCK 8192         /* elements of one block of a flat loop */
#define CPU_PARALLEL_MIN 32768 /* elements from which waking the threads pays */
#define CPU_GROUP 64           /* rows summed in float before the sum moves to double */

#define CPU_SIMD SCW_PRAGMA(omp simd)

/* One statement for i in 0 .. n - 1. A short loop does without OpenMP, whose regions take half a
 * microsecond even where they stay on one thread. */
#define FLAT_LOOP(n_, statement_)                                                                  \
    do {                                                                                           \
        if ((n_) <= CPU_PARALLEL_MIN) {                                                            \
            CPU_SIMD                                                                               \
            for (int64_t i = 0; i < (n_); i++) statement_;                                         \
        } else {                                                                                   \
            PARALLEL_FOR                                                                           \
            for (int64_t at = 0; at < (n_); at += CPU_BLOCK) {                                     \
                int64_t end = block_end(at, n_);                                                   \
                CPU_SIMD                                                                           \
                for (int64_t i = at; i < end; i++) statement_;                                     \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* A vector of the instruction set at hand (the compilers' own vector types, no intrinsics), readable
 * from any float address, for the loops whose sums must stay in registers. */
#if defined(__AVX512F__)
#define VEC_LANES 16
#define VEC_MOST 12 /* sums in registers at once */
#elif defined(__AVX__)
#define VEC_LANES 8
#define VEC_MOST 8
#else
#define VEC_LANES 4
#define VEC_MOST 8
#endif
typedef float vec __attribute__((vector_size(4 * VEC_LANES), aligned(4), may_alias));

/* For the short loops over vectors in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define VEC_AT(p_) (*(vec *)(p_))
#define VEC_READ(p_) (*(const vec *)(p_))

static inline double lanes_sum(vec v)
{
    float part[VEC_LANES];

    VEC_AT(part) = v;
    UNROLL
    for (int w = VEC_LANES / 2; w > 0; w /= 2)
        for (int e = 0; e < w; e++) part[e] += part[e + w];
    return (double)part[0];
}

static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t block_end(int64_t at, int64_t n)
{
    return smaller(at + CPU_BLOCK, n);
}

static inline bool is_present(const affine_sparse *x, int64_t i)
{
    return !x->row_weight || x->row_weight[i] != 0;
}

/* First position in row i's storage whose column is >= j. */
static inline int64_t first_from(const affine_sparse *x, int64_t i, int64_t j)
{
    int64_t from = x->indptr[i], to = x->indptr[i + 1];

    while (from < to) {
        int64_t middle = from + (to - from) / 2;
        if (x->indices[middle] < j) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* e^x within 2 ulp, for a vector loop: no branch, no table. x = n ln 2 + r with |r| <= ln 2 / 2, a
 * Taylor polynomial of degree 7 for e^r (its remainder is below 6e-9 there), and 2^n in two factors
 * so that results below the normal range come out right. NaN stays NaN. */
static inline float fast_exp(float x)
{
    const float round_magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float shifted = x * 1.44269504f + round_magic;
    float whole = shifted - round_magic;
    float r = x - whole * 0.693359375f; /* ln 2 in two parts, the first exact in 9 bits */
    r = r + whole * 2.12194440e-4f;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;

    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    uint32_t n = bits - 0x4B400000u;                       /* the integer, modulo 2^32 */
    uint32_t half = (n + 256u) / 2u - 128u, rest = n - half; /* n + 256 > 0 */
    uint32_t first = (half + 127u) << 23, second = (rest + 127u) << 23;
    float scale1, scale2;
    memcpy(&scale1, &first, sizeof scale1);
    memcpy(&scale2, &second, sizeof scale2);
    return p * scale1 * scale2;
}

/* log y of a normal y > 0, within 2 ulp: y = 2^e m with m from sqrt(1/2) to sqrt(2), and a polynomial in m - 1
 * that Chebyshev interpolation of (log(1 + f) - f + f^2/2) / f^3 gave. */
static inline float fast_log(float y)
{
    uint32_t bits;
    float m;

    memcpy(&bits, &y, sizeof bits);
    const int32_t e = (int32_t)(bits - 0x3f3504f3u) >> 23;
    bits -= (uint32_t)e << 23;
    memcpy(&m, &bits, sizeof m);
    const float f = m - 1.0f;
    float p = -0.0810155869f;
    p = p * f + 0.127123073f;
    p = p * f - 0.129722387f;
    p = p * f + 0.142021745f;
    p = p * f - 0.166422471f;
    p = p * f + 0.200014681f;
    p = p * f - 0.25000298f;
    p = p * f + 0.333333284f;
    return f + f * f * (p * f - 0.5f) + 0.693147181f * (float)e;
}

#endif
