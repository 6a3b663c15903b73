/* SPDX-License-Identifier: BSD-3-Clause */
/* Own product, made for the shapes of training: one side is a batch, and B is small or used once. C is
 * cut into panels of columns, each into tiles (tile.h).
 *
 * Full panels of a B that is not transposed are used where they lie, others are packed. A step of
 * training pays for nothing else: no heap, and no copies of A but of a transposed one, whose cache lines
 * would be read a few numbers at a time. An element of C is summed in the order of k, in blocks of DEPTH,
 * whatever the tile, so the bits do not depend on the threads. */
#include "kernel/cpu/tile.h"

#define DEPTH 256
#define CHUNK_ROWS 48 /* rows of a transposed A laid side by side */
#define GEMM_PARALLEL_MIN 400000 /* multiplications from which a second thread pays */

typedef struct product {
    bool trans_a, trans_b;
    int64_t m, n, k;
    const real *a, *b;
    real beta, *c;
} product;

/* Rows p0..p0 + depth - 1 of op(B), columns from..from + width - 1; zeros beside them. */
static void pack(const product *q, int64_t p0, int64_t depth, int64_t from, int64_t width,
                 real *panel)
{
    if (q->trans_b) pack_columns(q->b + from * q->k + p0, q->k, depth, width, panel);
    for (int64_t p = 0; p < depth && !q->trans_b; p++)
        memcpy(panel + p * PANEL, q->b + (p0 + p) * q->n + from, (size_t)width * sizeof *panel);
    pad_columns(depth, width, tile_vecs(width) * VEC_LANES, panel);
}

/* The same k of rows i0..i0 + rows - 1 of the stored transpose of A. */
static void pack_rows(const product *q, int64_t p0, int64_t depth, int64_t i0, int64_t rows,
                      real *chunk)
{
    for (int64_t p = 0; p < depth; p++)
        memcpy(chunk + p * CHUNK_ROWS, q->a + (p0 + p) * q->m + i0, (size_t)rows * sizeof *chunk);
}

/* Rows r0..r1 - 1 of C, `vecs` vectors from column `from`. */
static void panel_product(const product *q, int64_t r0, int64_t r1, int64_t from, int64_t vecs)
{
    real panel[DEPTH * PANEL] __attribute__((aligned(64)));
    real chunk[DEPTH * CHUNK_ROWS] __attribute__((aligned(64)));
    int64_t width = smaller(vecs * VEC_LANES, q->n - from);
    bool in_place = !q->trans_b && width >= VEC_LANES;

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
            tile_rows(t, r1 - r0, (int)vecs);
            continue;
        }
        t.a = chunk;
        t.row_step = 1;
        t.depth_step = CHUNK_ROWS;
        for (int64_t i0 = r0; i0 < r1; i0 += CHUNK_ROWS, t.c += CHUNK_ROWS * q->n) {
            int64_t rows = smaller(CHUNK_ROWS, r1 - i0);
            pack_rows(q, p0, depth, i0, rows, chunk);
            tile_rows(t, rows, (int)vecs);
        }
    }
}

static void gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c)
{
    product q = {trans_a, trans_b, m, n, k, a, b, beta, c};
    int64_t vecs = tile_vecs(n), panels = tile_panels(n);
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
