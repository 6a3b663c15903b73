/* SPDX-License-Identifier: BSD-3-Clause */
/* A tile of a product, summed in registers: what gemm.c and decoder.c are made of.
 *
 *        b: [depth][vectors]
 *              |||||
 *     a  ----- #####   c: up to TILE_ROWS rows of up to TILE_VECS vectors; one number of a at a time
 *        ----- #####   meets all lanes of b
 *
 * The last vector of a row ends at its width, and so overlaps the one before where the width is no
 * multiple of a vector: both hold the same sums there. A width below one vector goes through a buffer, and
 * b must be readable for a whole one. An element is summed in the order of the depth, whatever the tile. */
#ifndef KERNEL_CPU_TILE_H
#define KERNEL_CPU_TILE_H

#include "kernel/cpu/cpu.h"

#if VEC_LANES == 16
#define TILE_ROWS 6
#define TILE_VECS 4
#else
#define TILE_ROWS 4
#define TILE_VECS 2
#endif
#define PANEL (TILE_VECS * VEC_LANES)

/* ------------------------------------------------------------- packing */

typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

/* Four rows of four become four columns: to[p * PANEL + j] = from[j * step + p]. */
static inline void transpose_quad(const real *from, int64_t step, real *to)
{
    quad r0 = *(const quad *)from, r1 = *(const quad *)(from + step);
    quad r2 = *(const quad *)(from + 2 * step), r3 = *(const quad *)(from + 3 * step);
    quad low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    quad low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    quad high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    quad high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    *(quad *)to = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    *(quad *)(to + PANEL) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    *(quad *)(to + 2 * PANEL) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    *(quad *)(to + 3 * PANEL) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

/* panel [depth][PANEL] of columns that lie as rows: panel[p][j] = from[j step + p], j < width. */
static inline void pack_columns(const real *from, int64_t step, int64_t depth, int64_t width,
                                real *panel)
{
    int64_t wide = width - width % 4, deep = depth - depth % 4;

    for (int64_t j = 0; j < wide; j += 4) {
        for (int64_t p = 0; p < deep; p += 4)
            transpose_quad(from + j * step + p, step, panel + p * PANEL + j);
        for (int64_t p = deep; p < depth; p++)
            for (int64_t e = j; e < j + 4; e++) panel[p * PANEL + e] = from[e * step + p];
    }
    for (int64_t j = wide; j < width; j++)
        for (int64_t p = 0; p < depth; p++) panel[p * PANEL + j] = from[j * step + p];
}

/* Columns from..to - 1 become zeros. */
static inline void pad_columns(int64_t depth, int64_t from, int64_t to, real *panel)
{
    for (int64_t p = 0; p < depth; p++)
        for (int64_t j = from; j < to; j++) panel[p * PANEL + j] = 0;
}

/* ------------------------------------------------------------- tiles */

/* First elements of a, b and c, their steps, and the width of c from there. */
typedef struct tile {
    const real *a, *b;
    int64_t row_step, depth_step, b_step, depth;
    real *c;
    int64_t c_step, width;
    bool add;
} tile;

/* Where vector v of `vecs` starts. */
static inline int64_t tile_column(const tile *t, int v, int vecs)
{
    return v < vecs - 1 || t->width < VEC_LANES ? v * VEC_LANES : t->width - VEC_LANES;
}

static inline void finish_narrow(const tile *t, real *c, vec sum)
{
    real part[VEC_LANES];

    VEC_AT(part) = sum;
    for (int64_t e = 0; e < t->width; e++) c[e] = t->add ? c[e] + part[e] : part[e];
}

static inline __attribute__((always_inline)) void tile_product(int rows, int vecs, const tile *t)
{
    vec sum[TILE_ROWS][TILE_VECS] = {0};
    const real *a = t->a, *b = t->b;
    const int64_t last = tile_column(t, vecs - 1, vecs);

    /* C comes back while the sums grow: rows apart, the hardware would not foresee it. */
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int v = 0; v < vecs; v++)
            __builtin_prefetch(t->c + i * t->c_step + v * VEC_LANES, 1);
    }
    for (int64_t p = 0; p < t->depth; p++, a += t->depth_step, b += t->b_step) {
        vec row[TILE_VECS];
        UNROLL
        for (int v = 0; v < vecs - 1; v++) row[v] = VEC_READ(b + v * VEC_LANES);
        row[vecs - 1] = VEC_READ(b + last);
        UNROLL
        for (int i = 0; i < rows; i++) {
            float factor = a[i * t->row_step];
            UNROLL
            for (int v = 0; v < vecs; v++) sum[i][v] += factor * row[v];
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        real *c = t->c + i * t->c_step;
        if (t->width < VEC_LANES) {
            finish_narrow(t, c, sum[i][0]);
            continue;
        }
        if (t->add) { /* all is read before any is written: the last two vectors overlap */
            UNROLL
            for (int v = 0; v < vecs - 1; v++) sum[i][v] += VEC_READ(c + v * VEC_LANES);
            sum[i][vecs - 1] += VEC_READ(c + last);
        }
        UNROLL
        for (int v = 0; v < vecs - 1; v++) VEC_AT(c + v * VEC_LANES) = sum[i][v];
        VEC_AT(c + last) = sum[i][vecs - 1];
    }
}

/* Rows and vectors must be constants for the sums to be registers. */
static void any_tile(int rows, int vecs, const tile *t)
{
#define CASE(rows_, vecs_) case (rows_) * 8 + (vecs_): tile_product(rows_, vecs_, t); break;
#if TILE_VECS == 4
#define CASES(rows_) CASE(rows_, 1) CASE(rows_, 2) CASE(rows_, 3) CASE(rows_, 4)
#else
#define CASES(rows_) CASE(rows_, 1) CASE(rows_, 2)
#endif
    switch (rows * 8 + vecs) {
        CASES(1) CASES(2) CASES(3) CASES(4)
#if TILE_ROWS == 6
        CASES(5) CASES(6)
#endif
    default: break;
    }
#undef CASES
#undef CASE
}

/* `rows` rows of one panel: `t` is a tile of the first of them but for its number of rows. */
static inline void tile_rows(tile t, int64_t rows, int vecs)
{
    int64_t blocks = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const real *a = t.a;
    real *c = t.c;

    for (int64_t b = 0; b < blocks; b++) {
        int64_t i0 = rows * b / blocks, i1 = rows * (b + 1) / blocks;
        t.a = a + i0 * t.row_step;
        t.c = c + i0 * t.c_step;
        any_tile((int)(i1 - i0), vecs, &t);
    }
}

/* Vectors that a row of this width takes, and panels that those make. */
static inline int64_t tile_vecs(int64_t width)
{
    return (width + VEC_LANES - 1) / VEC_LANES;
}

static inline int64_t tile_panels(int64_t width)
{
    return (tile_vecs(width) + TILE_VECS - 1) / TILE_VECS;
}

/* `rows` rows of any width, panel by panel: `t` is a tile of the first of them but for its width. */
static inline void tile_columns(tile t, int64_t rows, int64_t width)
{
    const int64_t vecs = tile_vecs(width), panels = tile_panels(width);
    const real *b = t.b;
    real *c = t.c;

    for (int64_t p = 0; p < panels; p++) {
        int64_t v0 = vecs * p / panels, v1 = vecs * (p + 1) / panels;
        t.b = b + v0 * VEC_LANES;
        t.c = c + v0 * VEC_LANES;
        t.width = smaller(v1 * VEC_LANES, width) - v0 * VEC_LANES;
        tile_rows(t, rows, (int)(v1 - v0));
    }
}

#endif
