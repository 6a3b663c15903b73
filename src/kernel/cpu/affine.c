/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast kernels of affine-sparse matrices.
 *
 * Forward and backward walk the matrix in tiles of rows by blocks of features, so that a row of the
 * weight matrix is fetched once for a tile and stays in cache while the tile's non-zeros use it:
 *
 *              features ->
 *     row i    .x..|x.x.|....|x      one cursor a row, moving to the right block by block
 *     row i+1  x...|..x.|.x..|.
 *
 * The dense part of x (the shifts b and t) never meets a single element: it enters as two vectors,
 * sum_j w_j W_j and sum_j t_j w_j W_j forward, sum_i b_i g_i and sum_i g_i backward. */
#include "kernel/cpu/cpu.h"

static bool present(const affine_sparse *x, int64_t i)
{
    return !x->row_weight || x->row_weight[i] != 0;
}

/* First position in [from, to) of row storage whose column is >= j. */
static int64_t lower_bound(const int32_t *indices, int64_t from, int64_t to, int64_t j)
{
    while (from < to) {
        int64_t middle = from + (to - from) / 2;
        if (indices[middle] < j) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* y += v * x; the inner loop of both products */
static inline void axpy(int64_t n, float v, const real *x, real *y)
{
    CPU_SIMD
    for (int64_t e = 0; e < n; e++) y[e] += v * x[e];
}

/* ------------------------------------------------------------- forward */

#define SHIFT_COLS 512  /* columns of the shift vectors held on the stack */
#define SHIFT_SLICES 16 /* slices of the features, fixed: their sums are added in order */
#define TILE_ROWS 32

/* plain[e] = sum_j w_j W_je and tilted[e] = sum_j t_j w_j W_je for columns from..from+width-1. */
static void shift_slice(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                        int64_t slice, int64_t from, int64_t width, real *plain, real *tilted)
{
    int64_t j0 = x->n_cols * slice / SHIFT_SLICES, j1 = x->n_cols * (slice + 1) / SHIFT_SLICES;

    for (int64_t e = 0; e < width; e++) plain[e] = tilted[e] = 0;
    for (int64_t j = j0; j < j1; j++) {
        float wj = w ? w[j] : 1.0f;
        const real *row = weight + j * h + from;
        if (x->row_shift) axpy(width, wj, row, plain);
        if (x->col_shift) axpy(width, wj * x->col_shift[j], row, tilted);
    }
}

static void shift_vectors(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                          int64_t from, int64_t width, real *plain, real *tilted)
{
    real plain_of[SHIFT_SLICES][SHIFT_COLS], tilted_of[SHIFT_SLICES][SHIFT_COLS];

    PARALLEL_FOR_IF(x->n_cols * width > CPU_PARALLEL_MIN)
    for (int64_t s = 0; s < SHIFT_SLICES; s++)
        shift_slice(x, w, weight, h, s, from, width, plain_of[s], tilted_of[s]);
    for (int64_t e = 0; e < width; e++) {
        double p = 0.0, t = 0.0;
        for (int64_t s = 0; s < SHIFT_SLICES; s++) {
            p += (double)plain_of[s][e];
            t += (double)tilted_of[s][e];
        }
        plain[e] = (real)p;
        tilted[e] = (real)t;
    }
}

/* Rows r0..r1-1 (at most TILE_ROWS) of out += diag(a) Y diag(c w) W. */
static void forward_tile(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                         int64_t r0, int64_t r1, real *out)
{
    int64_t cursor[TILE_ROWS];
    int64_t block = 65536 / (h > 0 ? h : 1); /* features whose weights fill 256 KiB */

    if (block < 16) block = 16;
    for (int64_t i = r0; i < r1; i++) cursor[i - r0] = x->indptr[i];
    for (int64_t j0 = 0; j0 < x->n_cols; j0 += block) {
        for (int64_t i = r0; i < r1; i++) {
            int64_t at = cursor[i - r0], end = x->indptr[i + 1];
            float a = x->row_scale ? x->row_scale[i] : 1.0f;
            if (!present(x, i)) continue;
            for (; at < end && x->indices[at] < j0 + block; at++) {
                int64_t j = x->indices[at];
                float v = a * x->values[at];
                if (x->col_scale) v *= x->col_scale[j];
                if (w) v *= w[j];
                axpy(h, v, weight + j * h, out + i * h);
            }
            cursor[i - r0] = at;
        }
    }
}

static void affine_forward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                           real *out)
{
    real plain[SHIFT_COLS], tilted[SHIFT_COLS];
    bool shifted = x->row_shift || x->col_shift;
    int64_t tile = x->n_rows / (2 * threads_get());

    memset(out, 0, (size_t)(x->n_rows * h) * sizeof *out);
    for (int64_t from = 0; shifted && from < h; from += SHIFT_COLS) {
        int64_t width = smaller(SHIFT_COLS, h - from);
        shift_vectors(x, w, weight, h, from, width, plain, tilted);
        for (int64_t i = 0; i < x->n_rows; i++) {
            float b = x->row_shift ? x->row_shift[i] : 0.0f;
            if (!present(x, i)) continue;
            for (int64_t e = 0; e < width; e++)
                out[i * h + from + e] = b * plain[e] + tilted[e];
        }
    }
    tile = tile < 1 ? 1 : smaller(tile, TILE_ROWS);
    PARALLEL_FOR_IF(x->indptr[x->n_rows] * h > CPU_PARALLEL_MIN)
    for (int64_t r0 = 0; r0 < x->n_rows; r0 += tile)
        forward_tile(x, w, weight, h, r0, smaller(r0 + tile, x->n_rows), out);
}

/* ------------------------------------------------------------- backward */

#define GRADIENT_ROWS 512   /* rows of the batch in one go: one cursor each on the stack */
#define GRADIENT_BLOCK 4096 /* elements of X^T g held in the first-level cache */

typedef struct gradient_job {
    const affine_sparse *x;
    const real *w, *weight, *g;
    real *d_w, *d_weight;
    int64_t h;
    int64_t r0, r1;      /* rows of the batch */
    int64_t from, width; /* columns of g */
} gradient_job;

/* shift_b = sum_i b_i g_i, shift_1 = sum_i g_i over the job's present rows. */
static void gradient_shifts(const gradient_job *k, real *shift_b, real *shift_1)
{
    for (int64_t e = 0; e < k->width; e++) shift_b[e] = shift_1[e] = 0;
    for (int64_t i = k->r0; i < k->r1; i++) {
        const real *gi = k->g + i * k->h + k->from;
        if (!present(k->x, i)) continue;
        if (k->x->row_shift) axpy(k->width, k->x->row_shift[i], gi, shift_b);
        if (k->x->col_shift) axpy(k->width, 1.0f, gi, shift_1);
    }
}

/* Turn one row of X^T g into its share of d_weight and d_w. */
static void gradient_finish(const gradient_job *k, int64_t j, const real *product)
{
    real *d = k->d_weight + j * k->h + k->from;

    if (!k->w) {
        axpy(k->width, 1.0f, product, d);
        return;
    }
    const real *row = k->weight + j * k->h + k->from;
    float dot = 0;
    _Pragma("omp simd reduction(+ : dot)")
    for (int64_t e = 0; e < k->width; e++) dot += product[e] * row[e];
    k->d_w[j] += dot;
    axpy(k->width, k->w[j], product, d);
}

/* Features j0..j1-1. */
static void gradient_chunk(const gradient_job *k, int64_t j0, int64_t j1)
{
    const affine_sparse *x = k->x;
    bool shifted = x->row_shift || x->col_shift;
    real product[GRADIENT_BLOCK], shift_b[GRADIENT_BLOCK], shift_1[GRADIENT_BLOCK];
    bool touched[GRADIENT_BLOCK];
    int64_t cursor[GRADIENT_ROWS], width = k->width, block = GRADIENT_BLOCK / width;

    if (shifted) gradient_shifts(k, shift_b, shift_1);
    for (int64_t i = k->r0; i < k->r1; i++)
        cursor[i - k->r0] = lower_bound(x->indices, x->indptr[i], x->indptr[i + 1], j0);
    for (int64_t b0 = j0; b0 < j1; b0 += block) {
        int64_t b1 = smaller(b0 + block, j1);
        memset(product, 0, (size_t)((b1 - b0) * width) * sizeof *product);
        for (int64_t j = b0; j < b1; j++) {
            real *to = product + (j - b0) * width;
            touched[j - b0] = shifted;
            if (x->row_shift) axpy(width, 1.0f, shift_b, to);
            if (x->col_shift) axpy(width, x->col_shift[j], shift_1, to);
        }
        for (int64_t i = k->r0; i < k->r1; i++) {
            int64_t at = cursor[i - k->r0], end = x->indptr[i + 1];
            float a = x->row_scale ? x->row_scale[i] : 1.0f;
            if (!present(x, i)) continue;
            for (; at < end && x->indices[at] < b1; at++) {
                int64_t j = x->indices[at];
                float v = a * x->values[at] * (x->col_scale ? x->col_scale[j] : 1.0f);
                axpy(width, v, k->g + i * k->h + k->from, product + (j - b0) * width);
                touched[j - b0] = true;
            }
            cursor[i - k->r0] = at;
        }
        for (int64_t j = b0; j < b1; j++)
            if (touched[j - b0]) gradient_finish(k, j, product + (j - b0) * width);
    }
}

static void affine_backward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                            const real *g, real *d_w, real *d_weight, real *scratch)
{
    int64_t chunks = smaller(x->n_cols, 4 * threads_get());

    (void)scratch;
    for (int64_t r0 = 0; r0 < x->n_rows; r0 += GRADIENT_ROWS)
        for (int64_t from = 0; from < h; from += GRADIENT_BLOCK) {
            gradient_job job = {x, w, weight, g, d_w, d_weight, h,
                                r0, smaller(r0 + GRADIENT_ROWS, x->n_rows),
                                from, smaller(GRADIENT_BLOCK, h - from)};
            PARALLEL_FOR_IF((x->indptr[x->n_rows] + x->n_cols) * h > CPU_PARALLEL_MIN)
            for (int64_t c = 0; c < chunks; c++)
                gradient_chunk(&job, x->n_cols * c / chunks, x->n_cols * (c + 1) / chunks);
        }
}

/* ------------------------------------------------------------- squared error */

#define ERROR_ROWS 256 /* rows whose errors wait on the stack to be added in order */

/* Sum over all columns with x at its shifts, then set right at the non-zeros:
 * (d - v)^2 - d^2 = v (v - 2 d), d = p - b - t. */
static double row_error(const affine_sparse *x, int64_t i, const real *p)
{
    float a = x->row_scale ? x->row_scale[i] : 1.0f, b = x->row_shift ? x->row_shift[i] : 0.0f;
    const real *t = x->col_shift;
    double total = 0.0;

    if (t) {
        _Pragma("omp simd reduction(+ : total)")
        for (int64_t j = 0; j < x->n_cols; j++) {
            float d = p[j] - (b + t[j]);
            total += (double)d * (double)d;
        }
    } else {
        _Pragma("omp simd reduction(+ : total)")
        for (int64_t j = 0; j < x->n_cols; j++) {
            float d = p[j] - b;
            total += (double)d * (double)d;
        }
    }
    for (int64_t at = x->indptr[i]; at < x->indptr[i + 1]; at++) {
        int64_t j = x->indices[at];
        float v = a * x->values[at] * (x->col_scale ? x->col_scale[j] : 1.0f);
        float d = p[j] - (t ? b + t[j] : b);
        total += (double)v * ((double)v - 2.0 * (double)d);
    }
    return total;
}

static double affine_squared_error(const affine_sparse *x, const real *p)
{
    double total = 0.0, part[ERROR_ROWS];

    for (int64_t base = 0; base < x->n_rows; base += ERROR_ROWS) {
        int64_t rows = smaller(ERROR_ROWS, x->n_rows - base);
        PARALLEL_FOR_IF(rows * x->n_cols > CPU_PARALLEL_MIN)
        for (int64_t r = 0; r < rows; r++)
            part[r] = present(x, base + r) ? row_error(x, base + r, p + (base + r) * x->n_cols)
                                           : 0.0;
        for (int64_t r = 0; r < rows; r++) total += part[r];
    }
    return total;
}

static void affine_squared_error_backward(const affine_sparse *x, const real *p, real scale,
                                          real *d_p)
{
    const real *t = x->col_shift;
    float twice = 2 * scale;

    PARALLEL_FOR_IF(x->n_rows * x->n_cols > CPU_PARALLEL_MIN)
    for (int64_t i = 0; i < x->n_rows; i++) {
        float a = x->row_scale ? x->row_scale[i] : 1.0f, b = x->row_shift ? x->row_shift[i] : 0.0f;
        const real *from = p + i * x->n_cols;
        real *to = d_p + i * x->n_cols;
        if (!present(x, i)) continue;
        if (t) {
            CPU_SIMD
            for (int64_t j = 0; j < x->n_cols; j++) to[j] += twice * (from[j] - (b + t[j]));
        } else {
            CPU_SIMD
            for (int64_t j = 0; j < x->n_cols; j++) to[j] += twice * (from[j] - b);
        }
        for (int64_t at = x->indptr[i]; at < x->indptr[i + 1]; at++) {
            int64_t j = x->indices[at];
            to[j] -= twice * (a * x->values[at] * (x->col_scale ? x->col_scale[j] : 1.0f));
        }
    }
}

void CPU_NAME(cpu_fill_affine)(kernel_table *t)
{
    t->affine_forward = affine_forward;
    t->affine_backward = affine_backward;
    t->affine_squared_error = affine_squared_error;
    t->affine_squared_error_backward = affine_squared_error_backward;
}
