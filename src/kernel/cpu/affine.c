/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast kernels of affine-sparse matrices.
 *
 * Both products walk the matrix in blocks of features, so that a row of the weight matrix is fetched
 * once and stays in cache while the non-zeros of its block use it:
 *
 *              features ->
 *     row i    .x..|x.x.|....|x      one cursor a row, moving to the right block by block
 *     row i+1  x...|..x.|.x..|.
 *
 * A row of the result is `h` columns wide and is summed in registers, as a span of up to VEC_MOST
 * vectors; the last vector of a row ends at column h and so overlaps the one before it, which is sound
 * because a span reads all it needs before it writes. A width below one vector goes lane by lane.
 *
 * The dense part of x (the shifts b and t) never meets a single element: it enters as two vectors,
 * sum_j w_j W_j and sum_j t_j w_j W_j forward, sum_i b_i g_i and sum_i g_i backward. */
#include "kernel/cpu/cpu.h"

/* y += v * x; the inner loop of both products */
static inline void axpy(int64_t n, float v, const real *x, real *y)
{
    CPU_SIMD
    for (int64_t e = 0; e < n; e++) y[e] += v * x[e];
}

/* ------------------------------------------------------------- spans of columns */

#define EACH_SPAN_8(case_)                                                                         \
    case_(1) case_(2) case_(3) case_(4) case_(5) case_(6) case_(7) case_(8)
#if VEC_MOST == 12
#define EACH_SPAN(case_) EACH_SPAN_8(case_) case_(9) case_(10) case_(11) case_(12)
#else
#define EACH_SPAN(case_) EACH_SPAN_8(case_)
#endif

/* n vectors from column `from`; the last of them starts at from + last. n = 0: narrower than one. */
typedef struct span {
    int n;
    int64_t from, last;
} span;

/* Number of spans of h columns for so many workers: enough to fit registers; more, while they stay
 * four vectors wide. */
static int64_t span_count(int64_t h, int64_t workers)
{
    int64_t vectors = (h + VEC_LANES - 1) / VEC_LANES;
    int64_t least = (vectors + VEC_MOST - 1) / VEC_MOST, wanted = smaller(workers, vectors / 4);

    if (h < VEC_LANES) return h > 0 ? 1 : 0;
    return least > wanted ? least : wanted;
}

static span span_at(int64_t h, int64_t spans, int64_t k)
{
    int64_t vectors = (h + VEC_LANES - 1) / VEC_LANES;
    int64_t v0 = vectors * k / spans, v1 = vectors * (k + 1) / spans;
    int64_t last = (v1 - 1) * VEC_LANES;

    if (h < VEC_LANES) return (span){0, 0, 0};
    if (last > h - VEC_LANES) last = h - VEC_LANES;
    return (span){(int)(v1 - v0), v0 * VEC_LANES, last - v0 * VEC_LANES};
}

/* ------------------------------------------------------------- forward */

#define SHIFT_COLS 512 /* columns of the shift vectors held on the stack */
#define TILE_ROWS 64
#define FEATURE_BLOCK 64 /* features whose weights stay in the nearest caches */

/* plain_e = sum_j w_j W_je and tilted_e = sum_j t_j w_j W_je; NULL where nothing wants them. */
typedef struct shift_sums {
    double *plain, *tilted;
} shift_sums;

/* Adds features j0..j1-1 (at most FEATURE_BLOCK) for columns from..from+width-1, in float first. */
static void add_shifts(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                       int64_t j0, int64_t j1, int64_t from, int64_t width, shift_sums sums)
{
    real plain[SHIFT_COLS] = {0}, tilted[SHIFT_COLS] = {0};

    for (int64_t j = j0; j < j1; j++) {
        float wj = w ? w[j] : 1.0f;
        const real *row = weight + j * h + from;
        if (sums.plain) axpy(width, wj, row, plain);
        if (sums.tilted) axpy(width, wj * x->col_shift[j], row, tilted);
    }
    for (int64_t e = 0; e < width && sums.plain; e++) sums.plain[from + e] += (double)plain[e];
    for (int64_t e = 0; e < width && sums.tilted; e++) sums.tilted[from + e] += (double)tilted[e];
}

/* Non-zeros at..end-1 of one row, times a row factor. */
typedef struct row_run {
    const affine_sparse *x;
    const real *w; /* feature weights or NULL */
    float scale;
    int64_t at, end;
} row_run;

static inline float run_value(const row_run *r, int64_t at, int64_t j)
{
    float v = r->scale * r->x->values[at];
    if (r->x->col_scale) v *= r->x->col_scale[j];
    if (r->w) v *= r->w[j];
    return v;
}

/* n vectors of out += sum over the run of v W_j. `last` is where the last vector starts, counted from
 * the span's first column. */
static inline __attribute__((always_inline)) void run_span(int n, const row_run *r,
                                                           const real *weight, int64_t h,
                                                           int64_t last, real *out)
{
    vec sum[VEC_MOST];

    UNROLL
    for (int k = 0; k < n - 1; k++) sum[k] = VEC_READ(out + k * VEC_LANES);
    sum[n - 1] = VEC_READ(out + last);
    for (int64_t at = r->at; at < r->end; at++) {
        int64_t j = r->x->indices[at];
        const real *row = weight + j * h;
        float v = run_value(r, at, j);
        UNROLL
        for (int k = 0; k < n - 1; k++) sum[k] += v * VEC_READ(row + k * VEC_LANES);
        sum[n - 1] += v * VEC_READ(row + last);
    }
    UNROLL
    for (int k = 0; k < n - 1; k++) VEC_AT(out + k * VEC_LANES) = sum[k];
    VEC_AT(out + last) = sum[n - 1];
}

/* The width must be a constant for the sums to be registers. */
static void run_spans(int n, const row_run *r, const real *weight, int64_t h, int64_t last,
                      real *out)
{
    switch (n) {
#define CASE(n_) case n_: run_span(n_, r, weight, h, last, out); break;
        EACH_SPAN(CASE)
#undef CASE
    default: /* fewer columns than lanes */
        for (int64_t at = r->at; at < r->end; at++) {
            int64_t j = r->x->indices[at];
            axpy(h, run_value(r, at, j), weight + j * h, out);
        }
    }
}

/* Ask for a row of W that the next block will want: the non-zeros come in no order that the hardware
 * could foresee. With many rows in the tile nearly every feature is wanted by one of them. */
static inline void fetch_ahead(const real *weight, int64_t h, span s, int64_t j, int64_t n_cols)
{
    if (j >= n_cols) return;
    for (int64_t e = 0; e < s.last + VEC_LANES; e += 16) __builtin_prefetch(weight + j * h + e);
}

/* Some columns of a product: all that one call of forward_columns works on. */
typedef struct forward_job {
    const affine_sparse *x;
    const real *w, *weight; /* weight and out from the first of the columns on */
    int64_t h, width;
    real *out;
} forward_job;

/* Rows r0..r1-1 (at most TILE_ROWS) of out += diag(a) Y diag(c w) W, one span of columns; and the sums
 * for the shifts, since the weights come by. */
static void forward_tile(const forward_job *k, span s, int64_t r0, int64_t r1, shift_sums sums)
{
    const affine_sparse *x = k->x;
    int64_t cursor[TILE_ROWS], width = s.n > 0 ? s.last + VEC_LANES : k->width;
    bool shifted = sums.plain || sums.tilted, ahead = !shifted && r1 - r0 >= FEATURE_BLOCK / 2;

    for (int64_t i = r0; i < r1; i++) cursor[i - r0] = x->indptr[i];
    for (int64_t j0 = 0; j0 < x->n_cols; j0 += FEATURE_BLOCK) {
        if (shifted)
            add_shifts(x, k->w, k->weight, k->h, j0, smaller(j0 + FEATURE_BLOCK, x->n_cols), s.from,
                       width, sums);
        for (int64_t i = r0; i < r1; i++) {
            int64_t at = cursor[i - r0], row_end = x->indptr[i + 1], end = at;
            if (!is_present(x, i)) continue;
            while (end < row_end && x->indices[end] < j0 + FEATURE_BLOCK) end++;
            if (ahead)
                fetch_ahead(k->weight + s.from, k->h, s, j0 + FEATURE_BLOCK + i - r0, x->n_cols);
            row_run run = {x, k->w, x->row_scale ? x->row_scale[i] : 1.0f, at, end};
            if (end > at)
                run_spans(s.n, &run, k->weight + s.from, k->h, s.last, k->out + i * k->h + s.from);
            cursor[i - r0] = end;
        }
    }
}

static void forward_columns(const forward_job *k)
{
    const affine_sparse *x = k->x;
    double plain[SHIFT_COLS] = {0}, tilted[SHIFT_COLS] = {0};
    const shift_sums sums = {x->row_shift ? plain : NULL, x->col_shift ? tilted : NULL};
    /* Threads share out columns first: then each reads its own part of W, once. */
    int64_t threads = threads_get(), spans = span_count(k->width, threads);
    int64_t row_tiles = (x->n_rows + TILE_ROWS - 1) / TILE_ROWS;

    if (row_tiles * spans < threads) row_tiles = smaller(x->n_rows, (threads + spans - 1) / spans);
    PARALLEL_FOR_IF(x->indptr[x->n_rows] * k->width > CPU_PARALLEL_MIN)
    for (int64_t task = 0; task < row_tiles * spans; task++) {
        int64_t tile = task / spans;
        forward_tile(k, span_at(k->width, spans, task % spans), x->n_rows * tile / row_tiles,
                     x->n_rows * (tile + 1) / row_tiles, tile == 0 ? sums : (shift_sums){0});
    }
    for (int64_t i = 0; i < x->n_rows && (sums.plain || sums.tilted); i++) {
        float b = x->row_shift ? x->row_shift[i] : 0.0f;
        if (!is_present(x, i)) continue;
        for (int64_t e = 0; e < k->width; e++)
            k->out[i * k->h + e] += b * (float)plain[e] + (float)tilted[e];
    }
}

static void affine_forward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                           real *out)
{
    int64_t groups = (h + SHIFT_COLS - 1) / SHIFT_COLS, units = h / VEC_LANES;

    if (x->n_rows == 0 || h == 0) return;
    memset(out, 0, (size_t)(x->n_rows * h) * sizeof *out);
    for (int64_t g = 0; g < groups; g++) {
        int64_t from = units * g / groups * VEC_LANES;
        int64_t to = g + 1 < groups ? units * (g + 1) / groups * VEC_LANES : h;
        forward_columns(&(forward_job){x, w, weight + from, h, to - from, out + from});
    }
}

/* ------------------------------------------------------------- backward */

#define GRADIENT_ROWS KERNEL_TAKE_ROWS /* of the batch in one go: one cursor each on the stack */
#define GRADIENT_ENTRIES 16384 /* non-zeros sorted by feature at once; those of one feature at least */
#define GRADIENT_BLOCK 512    /* most features in one go */
#define ROWS_AHEAD 6
#define GRADIENT_COLS KERNEL_TAKE_WIDTH /* of g, whose shifts are held on the stack */

typedef struct gradient_job {
    const affine_sparse *x;
    const real *w, *weight, *g;
    real *d_w, *d_weight;
    const kernel_taker *taker; /* then the job has all rows and columns, and d_weight is not used */
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
        if (!is_present(k->x, i)) continue;
        if (k->x->row_shift) axpy(k->width, k->x->row_shift[i], gi, shift_b);
        if (k->x->col_shift) axpy(k->width, 1.0f, gi, shift_1);
    }
}

/* The non-zeros of a block of features, sorted by feature and within one by row. */
typedef struct block_entries {
    int64_t cursor[GRADIENT_ROWS];
    int32_t first[GRADIENT_BLOCK + 2]; /* feature j: entries first[j] .. first[j + 1] - 1 */
    int32_t row[GRADIENT_ENTRIES];     /* offset from r0 */
    float value[GRADIENT_ENTRIES];     /* a_i c_j y_ij */
} block_entries;

/* How many entries features b0..b1-1 have; b->first[j + 2] becomes those of feature b0 + j. */
static int64_t count_block(const gradient_job *k, int64_t b0, int64_t b1, block_entries *b)
{
    const affine_sparse *x = k->x;
    int64_t n = 0;

    memset(b->first, 0, (size_t)(b1 - b0 + 2) * sizeof *b->first);
    for (int64_t i = k->r0; i < k->r1; i++) {
        int64_t from = b->cursor[i - k->r0], end = x->indptr[i + 1], at = from;
        if (!is_present(x, i)) continue;
        for (; at < end && x->indices[at] < b1; at++) b->first[x->indices[at] - b0 + 2]++;
        n += at - from;
    }
    return n;
}

/* Counting sort of the entries of features b0..b1-1, which are counted; the cursors move past them. */
static void sort_block(const gradient_job *k, int64_t b0, int64_t b1, block_entries *b)
{
    const affine_sparse *x = k->x;
    int32_t *next = b->first + 1; /* where the next entry of feature j goes, one slot ahead */

    for (int64_t j = 0; j < b1 - b0; j++) b->first[j + 2] += b->first[j + 1];
    for (int64_t i = k->r0; i < k->r1; i++) {
        int64_t at = b->cursor[i - k->r0], end = x->indptr[i + 1];
        float a = x->row_scale ? x->row_scale[i] : 1.0f;
        if (!is_present(x, i)) continue;
        for (; at < end && x->indices[at] < b1; at++) {
            int64_t j = x->indices[at];
            int32_t to = next[j - b0]++;
            b->row[to] = (int32_t)(i - k->r0);
            b->value[to] = a * x->values[at] * (x->col_scale ? x->col_scale[j] : 1.0f);
        }
        b->cursor[i - k->r0] = at;
    }
}

/* Features whose entries fill the buffer by half if they are spread evenly. */
static int64_t block_guess(const affine_sparse *x, int64_t rows)
{
    double entries = (double)rows * (double)x->indptr[x->n_rows] / (double)x->n_rows;
    double features = (double)GRADIENT_ENTRIES / 2.0 * (double)x->n_cols / (entries + 1.0);

    return features < GRADIENT_BLOCK ? 1 + (int64_t)features : GRADIENT_BLOCK;
}

/* One feature in one span: its row of X^T g, and what that adds to d_weight and d_w. */
typedef struct feature_run {
    const block_entries *entries;
    int32_t first, end;
    const real *g; /* first row, at the span */
    int64_t h;
    const real *shift_b, *shift_1; /* at the span, or NULL */
    float t, w;
    const real *weight; /* at the span; NULL without feature weights */
    real *d_weight;     /* added to, or with `fresh` written */
    bool fresh;
    int64_t last;    /* as in run_span */
    int64_t overlap; /* lanes of the last vector that the one before it holds too */
} feature_run;

/* sum[k] at column `at` of the span: the shifts' part. */
static inline vec shift_part(const feature_run *r, int64_t at)
{
    vec sum = {0};
    if (r->shift_b) sum += VEC_READ(r->shift_b + at);
    if (r->shift_1) sum += r->t * VEC_READ(r->shift_1 + at);
    return sum;
}

static inline __attribute__((always_inline)) float feature_span(int n, const feature_run *r)
{
    vec sum[VEC_MOST], old[VEC_MOST], dots = {0}, tail;
    float dot = 0;

    UNROLL
    for (int k = 0; k < n; k++) sum[k] = shift_part(r, k < n - 1 ? k * VEC_LANES : r->last);
    for (int32_t at = r->first; at < r->end; at++) {
        const real *g = r->g + r->entries->row[at] * r->h;
        float v = r->entries->value[at];
        UNROLL
        for (int k = 0; k < n - 1; k++) sum[k] += v * VEC_READ(g + k * VEC_LANES);
        sum[n - 1] += v * VEC_READ(g + r->last);
    }
    UNROLL
    for (int k = 0; k < n; k++) {
        vec zero = {0};
        old[k] = r->fresh ? zero : VEC_READ(r->d_weight + (k < n - 1 ? k * VEC_LANES : r->last));
    }
    UNROLL
    for (int k = 0; k < n; k++)
        VEC_AT(r->d_weight + (k < n - 1 ? k * VEC_LANES : r->last)) = old[k] + r->w * sum[k];
    if (!r->weight) return 0;
    UNROLL
    for (int k = 0; k < n - 1; k++) dots += sum[k] * VEC_READ(r->weight + k * VEC_LANES);
    tail = sum[n - 1] * VEC_READ(r->weight + r->last);
    for (int64_t e = 0; e < r->overlap; e++) tail[e] = 0;
    dots += tail;
    for (int e = 0; e < VEC_LANES; e++) dot += dots[e];
    return dot;
}

/* The same for a width below one vector. */
static float feature_narrow(int64_t width, const feature_run *r)
{
    float dot = 0;

    for (int64_t e = 0; e < width; e++) {
        float sum = r->shift_b ? r->shift_b[e] : 0;
        if (r->shift_1) sum += r->t * r->shift_1[e];
        for (int32_t at = r->first; at < r->end; at++)
            sum += r->entries->value[at] * r->g[r->entries->row[at] * r->h + e];
        r->d_weight[e] = (r->fresh ? 0 : r->d_weight[e]) + r->w * sum;
        if (r->weight) dot += sum * r->weight[e];
    }
    return dot;
}

static float feature_spans(int n, int64_t width, const feature_run *r)
{
    switch (n) {
#define CASE(n_) case n_: return feature_span(n_, r);
        EACH_SPAN(CASE)
#undef CASE
    default: return feature_narrow(width, r);
    }
}

/* The rows of d_weight and W that a later feature will want; worth 12 % (bench/LOG.md). */
static inline void fetch_gradient_row(const gradient_job *k, int64_t j)
{
    int64_t cell = j * k->h + k->from;

    for (int64_t e = 0; e < k->width; e += 16) {
        if (!k->taker) __builtin_prefetch(k->d_weight + cell + e, 1);
        if (k->w) __builtin_prefetch(k->weight + cell + e);
    }
}

/* Feature j, whose entries are b's of place `at`; d_weight is where its row lies. */
static void gradient_feature(const gradient_job *k, int64_t j, int64_t at, const block_entries *b,
                             const real *shift_b, const real *shift_1, real *d_weight)
{
    int64_t spans = span_count(k->width, 1);
    float dot = 0;

    for (int64_t s = 0; s < spans; s++) {
        span columns = span_at(k->width, spans, s);
        int64_t from = k->from + columns.from;
        feature_run run = {.entries = b, .first = b->first[at], .end = b->first[at + 1],
                           .g = k->g + k->r0 * k->h + from, .h = k->h,
                           .shift_b = shift_b ? shift_b + columns.from : NULL,
                           .shift_1 = shift_1 ? shift_1 + columns.from : NULL,
                           .t = k->x->col_shift ? k->x->col_shift[j] : 0,
                           .w = k->w ? k->w[j] : 1,
                           .weight = k->w ? k->weight + j * k->h + from : NULL,
                           .d_weight = d_weight + from, .fresh = k->taker != NULL,
                           .last = columns.last,
                           .overlap = (columns.n - 1) * VEC_LANES - columns.last};
        dot += feature_spans(columns.n, k->width, &run);
    }
    if (k->w) k->d_w[j] += dot;
}

/* Features b0..b1-1, whose entries are sorted. */
static void gradient_block(const gradient_job *k, int64_t b0, int64_t b1, const block_entries *b,
                           const real *shift_b, const real *shift_1)
{
    for (int64_t j = b0; j < b1; j++) {
        bool empty = b->first[j - b0] == b->first[j - b0 + 1];
        if (j + ROWS_AHEAD < k->x->n_cols) fetch_gradient_row(k, j + ROWS_AHEAD);
        if (empty && !shift_b && !shift_1) continue;
        gradient_feature(k, j, j - b0, b, shift_b, shift_1, k->d_weight + j * k->h);
    }
}

/* The same for a taker: a few rows at a time, those without entries too. */
static void hand_on_block(const gradient_job *k, int64_t b0, int64_t b1, const block_entries *b,
                          const real *shift_b, const real *shift_1)
{
    real finished[KERNEL_TAKE_VALUES] __attribute__((aligned(64)));
    int64_t most = KERNEL_TAKE_VALUES / k->h;

    for (int64_t p0 = b0; p0 < b1; p0 += most) {
        int64_t p1 = smaller(p0 + most, b1);
        for (int64_t j = p0; j < p1; j++) {
            if (k->w && j + ROWS_AHEAD < k->x->n_cols) fetch_gradient_row(k, j + ROWS_AHEAD);
            gradient_feature(k, j, j - b0, b, shift_b, shift_1, finished + (j - p0) * k->h);
        }
        k->taker->take(k->taker, p0 * k->h, (p1 - p0) * k->h, finished);
    }
}

/* Features j0..j1-1. */
static void gradient_chunk(const gradient_job *k, int64_t j0, int64_t j1)
{
    const affine_sparse *x = k->x;
    real shift_b[GRADIENT_COLS], shift_1[GRADIENT_COLS];
    block_entries entries;
    int64_t block = block_guess(x, k->r1 - k->r0);

    if (x->row_shift || x->col_shift) gradient_shifts(k, shift_b, shift_1);
    for (int64_t i = k->r0; i < k->r1; i++)
        entries.cursor[i - k->r0] = first_from(x, i, j0);
    for (int64_t b0 = j0, b1; b0 < j1; b0 = b1) {
        b1 = smaller(b0 + block, j1);
        while (count_block(k, b0, b1, &entries) > GRADIENT_ENTRIES) b1 = b0 + (b1 - b0 + 1) / 2;
        sort_block(k, b0, b1, &entries);
        (k->taker ? hand_on_block : gradient_block)(k, b0, b1, &entries,
                                                    x->row_shift ? shift_b : NULL,
                                                    x->col_shift ? shift_1 : NULL);
    }
}

static void affine_backward(const affine_sparse *x, const real *w, const real *weight, int64_t h,
                            const real *g, real *d_w, real *d_weight,
                            const kernel_taker *taker)
{
    int64_t chunks = smaller(x->n_cols, 4 * threads_get());

    for (int64_t r0 = 0; r0 < x->n_rows; r0 += GRADIENT_ROWS)
        for (int64_t from = 0; from < h; from += GRADIENT_COLS) {
            gradient_job job = {x, w, weight, g, d_w, d_weight, taker, h,
                                r0, smaller(r0 + GRADIENT_ROWS, x->n_rows),
                                from, smaller(GRADIENT_COLS, h - from)};
            PARALLEL_FOR_IF((x->indptr[x->n_rows] + x->n_cols) * h > CPU_PARALLEL_MIN)
            for (int64_t c = 0; c < chunks; c++)
                gradient_chunk(&job, x->n_cols * c / chunks, x->n_cols * (c + 1) / chunks);
        }
}

/* ------------------------------------------------------------- squared error */

#define ERROR_ROWS 256 /* rows whose errors wait on the stack to be added in order */

#define ERROR_COLS 256 /* columns summed in float before the sum moves to double */

/* Sum over all columns with x at its shifts, then set right at the non-zeros:
 * (d - v)^2 - d^2 = v (v - 2 d), d = p - b - t. */
static double row_error(const affine_sparse *x, int64_t i, const real *p)
{
    float a = x->row_scale ? x->row_scale[i] : 1.0f, b = x->row_shift ? x->row_shift[i] : 0.0f;
    const real *t = x->col_shift;
    double total = 0.0;

    for (int64_t from = 0; from < x->n_cols; from += ERROR_COLS) {
        int64_t end = smaller(from + ERROR_COLS, x->n_cols);
        float sum = 0;
        if (t) {
            _Pragma("omp simd reduction(+ : sum)")
            for (int64_t j = from; j < end; j++)
                sum += (p[j] - (b + t[j])) * (p[j] - (b + t[j]));
        } else {
            _Pragma("omp simd reduction(+ : sum)")
            for (int64_t j = from; j < end; j++) sum += (p[j] - b) * (p[j] - b);
        }
        total += (double)sum;
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
            part[r] = is_present(x, base + r) ? row_error(x, base + r, p + (base + r) * x->n_cols)
                                              : 0.0;
        for (int64_t r = 0; r < rows; r++) total += part[r];
    }
    return total;
}

/* to = [to +] twice (p - background), for columns of one row. */
static void background_gradient(int64_t n, const real *p, float b, const real *t, float twice,
                                bool fresh, real *to)
{
    if (t && fresh) {
        CPU_SIMD
        for (int64_t j = 0; j < n; j++) to[j] = twice * (p[j] - (b + t[j]));
    } else if (t) {
        CPU_SIMD
        for (int64_t j = 0; j < n; j++) to[j] += twice * (p[j] - (b + t[j]));
    } else if (fresh) {
        CPU_SIMD
        for (int64_t j = 0; j < n; j++) to[j] = twice * (p[j] - b);
    } else {
        CPU_SIMD
        for (int64_t j = 0; j < n; j++) to[j] += twice * (p[j] - b);
    }
}

static void affine_squared_error_backward(const affine_sparse *x, const real *p, real scale,
                                          bool fresh, real *d_p)
{
    float twice = 2 * scale;

    PARALLEL_FOR_IF(x->n_rows * x->n_cols > CPU_PARALLEL_MIN)
    for (int64_t i = 0; i < x->n_rows; i++) {
        float a = x->row_scale ? x->row_scale[i] : 1.0f, b = x->row_shift ? x->row_shift[i] : 0.0f;
        real *to = d_p + i * x->n_cols;
        if (!is_present(x, i)) {
            if (fresh) memset(to, 0, (size_t)x->n_cols * sizeof *to);
            continue;
        }
        background_gradient(x->n_cols, p + i * x->n_cols, b, x->col_shift, twice, fresh, to);
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
