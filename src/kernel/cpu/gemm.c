/* SPDX-License-Identifier: BSD-3-Clause */
/* Own product, made for the shapes of training: one side is a batch, and B is small or used once.
 *
 *        panel of B, packed [k][4 vectors]
 *              |||||
 *     A  ----- #####   a tile of C: up to TILE_ROWS rows of up to TILE_VECS vectors, summed in
 *        ----- #####   registers; A is read as it lies, one number for all lanes
 *
 * Full panels of a B that is not transposed are used where they lie. A step of training pays for
 * nothing else: no heap, and no copies of A but of a transposed one, whose cache lines would be read
 * a few numbers at a time. An element of C is summed in the
 * order of k, in blocks of DEPTH, whatever the tile, so the bits do not depend on the threads. */
#include "kernel/cpu/cpu.h"

#if VEC_LANES == 16
#define TILE_ROWS 6
#define TILE_VECS 4
#else
#define TILE_ROWS 4
#define TILE_VECS 2
#endif
#define PANEL (TILE_VECS * VEC_LANES)
#define DEPTH 256
#define CHUNK_ROWS 48 /* rows of a transposed A laid side by side */
#define GEMM_PARALLEL_MIN 400000 /* multiplications from which a second thread pays */

typedef struct product {
    bool trans_a, trans_b;
    int64_t m, n, k;
    const real *a, *b;
    real beta, *c;
} product;

/* ------------------------------------------------------------- packing B */

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

static void pack_transposed(const product *q, int64_t p0, int64_t depth, int64_t from, int64_t width,
                            real *panel)
{
    const real *b = q->b + from * q->k + p0;
    int64_t wide = width - width % 4, deep = depth - depth % 4;

    for (int64_t j = 0; j < wide; j += 4) {
        for (int64_t p = 0; p < deep; p += 4)
            transpose_quad(b + j * q->k + p, q->k, panel + p * PANEL + j);
        for (int64_t p = deep; p < depth; p++)
            for (int64_t e = j; e < j + 4; e++) panel[p * PANEL + e] = b[e * q->k + p];
    }
    for (int64_t j = wide; j < width; j++)
        for (int64_t p = 0; p < depth; p++) panel[p * PANEL + j] = b[j * q->k + p];
}

/* Rows p0..p0 + depth - 1 of op(B), columns from..from + width - 1; zeros beside them. */
static void pack(const product *q, int64_t p0, int64_t depth, int64_t from, int64_t width,
                 real *panel)
{
    int64_t padded = (width + VEC_LANES - 1) / VEC_LANES * VEC_LANES;

    if (q->trans_b) pack_transposed(q, p0, depth, from, width, panel);
    for (int64_t p = 0; p < depth; p++) {
        real *row = panel + p * PANEL;
        if (!q->trans_b)
            memcpy(row, q->b + (p0 + p) * q->n + from, (size_t)width * sizeof *row);
        for (int64_t j = width; j < padded; j++) row[j] = 0;
    }
}

/* The same k of rows i0..i0 + rows - 1 of the stored transpose of A. */
static void pack_rows(const product *q, int64_t p0, int64_t depth, int64_t i0, int64_t rows,
                      real *chunk)
{
    for (int64_t p = 0; p < depth; p++)
        memcpy(chunk + p * CHUNK_ROWS, q->a + (p0 + p) * q->m + i0, (size_t)rows * sizeof *chunk);
}

/* ------------------------------------------------------------- tiles */

/* One tile: its first element of A, B and C, their steps, and what is there of C's width. */
typedef struct tile {
    const real *a, *b;
    int64_t row_step, depth_step, b_step, depth;
    real *c;
    int64_t c_step, width;
    bool add;
} tile;

/* The last vector of a tile may be wider than C: then it goes through a buffer. */
static inline void finish_vector(const tile *t, real *c, int64_t lanes, vec sum)
{
    if (lanes >= VEC_LANES) {
        if (t->add) sum += VEC_READ(c);
        VEC_AT(c) = sum;
        return;
    }
    real part[VEC_LANES];
    VEC_AT(part) = sum;
    for (int64_t e = 0; e < lanes; e++) c[e] = t->add ? c[e] + part[e] : part[e];
}

static inline __attribute__((always_inline)) void tile_product(int rows, int vecs, const tile *t)
{
    vec sum[TILE_ROWS][TILE_VECS] = {0};
    const real *a = t->a, *b = t->b;

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
        for (int v = 0; v < vecs; v++) row[v] = VEC_READ(b + v * VEC_LANES);
        UNROLL
        for (int i = 0; i < rows; i++) {
            float factor = a[i * t->row_step];
            UNROLL
            for (int v = 0; v < vecs; v++) sum[i][v] += factor * row[v];
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int v = 0; v < vecs; v++)
            finish_vector(t, t->c + i * t->c_step + v * VEC_LANES, t->width - v * VEC_LANES,
                          sum[i][v]);
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

/* ------------------------------------------------------------- the product */

/* Rows i0..i1 - 1 of one block of k: `t` is a tile of row i0 but for its number of rows. */
static void row_tiles(tile t, int64_t rows, int vecs)
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

/* Rows r0..r1 - 1 of C, `vecs` vectors from column `from`. */
static void panel_product(const product *q, int64_t r0, int64_t r1, int64_t from, int64_t vecs)
{
    real panel[DEPTH * PANEL] __attribute__((aligned(64)));
    real chunk[DEPTH * CHUNK_ROWS] __attribute__((aligned(64)));
    int64_t width = smaller(vecs * VEC_LANES, q->n - from);
    bool in_place = !q->trans_b && width == vecs * VEC_LANES;

    for (int64_t p0 = 0; p0 < q->k; p0 += DEPTH) {
        int64_t depth = smaller(DEPTH, q->k - p0);
        tile t = {.b = in_place ? q->b + p0 * q->n + from : panel, .b_step = in_place ? q->n : PANEL,
                  .depth = depth, .c = q->c + r0 * q->n + from, .c_step = q->n, .width = width,
                  .add = p0 > 0 || q->beta != 0};
        if (!in_place) pack(q, p0, depth, from, width, panel);
        if (!q->trans_a) {
            t.a = q->a + r0 * q->k + p0;
            t.row_step = q->k;
            t.depth_step = 1;
            row_tiles(t, r1 - r0, (int)vecs);
            continue;
        }
        t.a = chunk;
        t.row_step = 1;
        t.depth_step = CHUNK_ROWS;
        for (int64_t i0 = r0; i0 < r1; i0 += CHUNK_ROWS, t.c += CHUNK_ROWS * q->n) {
            int64_t rows = smaller(CHUNK_ROWS, r1 - i0);
            pack_rows(q, p0, depth, i0, rows, chunk);
            row_tiles(t, rows, (int)vecs);
        }
    }
}

static void gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c)
{
    product q = {trans_a, trans_b, m, n, k, a, b, beta, c};
    int64_t vecs = (n + VEC_LANES - 1) / VEC_LANES, panels = (vecs + TILE_VECS - 1) / TILE_VECS;
    int64_t threads = m * n > GEMM_PARALLEL_MIN / k ? threads_get() : 1;
    /* With few panels the threads share rows too, and each packs for itself. */
    int64_t slices = panels < 4 * threads ? smaller(threads, (m + TILE_ROWS - 1) / TILE_ROWS) : 1;

    PARALLEL_FOR_IF(threads > 1)
    for (int64_t task = 0; task < slices * panels; task++) {
        int64_t s = task / panels, p = task % panels;
        int64_t v0 = vecs * p / panels, v1 = vecs * (p + 1) / panels;
        panel_product(&q, m * s / slices, m * (s + 1) / slices, v0 * VEC_LANES, v1 - v0);
    }
}

void CPU_NAME(cpu_fill_gemm)(kernel_table *t)
{
    t->gemm = gemm;
}
