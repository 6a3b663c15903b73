/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast decoder with its squared error. Everything but d_z is transposed, features down and cells along
 * the vectors, so that a feature's statistics and gradients are sums of vectors:
 *
 *     slice of F, one thread
 *       strip of 48     W [48, width] . z^T [width, B]  ->  g [48, B]      tiles
 *                       g, x [48, B]                    ->  error, g       a feature at a time
 *                       g^T [B, 48] . W [48, width]     ->+ d_z of the slice
 *     d_z = sum over the slices, in order
 *
 * A strip of W is fetched once for both products. Rows of g are padded to whole vectors with zeros. */
#include "kernel/cpu/tile.h"

#include <math.h>

#define STRIP DECODER_STRIP
#define SLICE_LEAST 128 /* features */
#define DEPTH 256 /* cells whose rows of z stay in cache */

/* kernel_decoder_scratch, cut up. */
typedef struct decoder_job {
    const kernel_decoder *d;
    int64_t rows, stride, wide; /* B, of g, of a row of d_z */
    int64_t n_slices;
    real *z_t;     /* [panels of cells][width][PANEL] */
    real *present; /* [stride] 1, 0 for an absent row and beside the last one */
    real *counts;  /* [stride] 1, 0 beside the last one */
    real *shift;   /* [stride] b of the present rows, or 0 */
    real *slices;
} decoder_job;

typedef struct slice {
    int64_t *cursor; /* [B] where the next strip starts in a row of x */
    real *target;    /* [STRIP, stride] the entries of x, then the error; with batch norm only */
    real *d_z;       /* [B, wide] */
    real *narrow;    /* [STRIP, 16] W where it is narrower than a vector */
} slice;

static slice slice_at(const decoder_job *k, int64_t s)
{
    const int64_t places = (k->rows + 1) * (int64_t)(sizeof(int64_t) / sizeof(real));
    const int64_t size = STRIP * k->stride + k->rows * k->wide + STRIP * 16 + places;
    real *at = k->slices + s * size;

    return (slice){.cursor = (int64_t *)(void *)(at + ((uintptr_t)at % sizeof(int64_t) ? 1 : 0)),
                   .target = at + places,
                   .d_z = at + places + STRIP * k->stride,
                   .narrow = at + size - STRIP * 16};
}

static decoder_job job_of(const kernel_decoder *d)
{
    decoder_job k = {.d = d,
                     .rows = d->x->n_rows,
                     .stride = kernel_decoder_stride(d->x->n_rows),
                     .wide = d->width < VEC_LANES ? VEC_LANES : d->width};
    const int64_t slices = d->x->n_cols / SLICE_LEAST;

    k.n_slices = slices < 1 ? 1 : smaller(slices, DECODER_SLICES);
    k.z_t = d->scratch;
    k.present = k.z_t + (k.stride + PANEL - 1) / PANEL * PANEL * d->width;
    k.counts = k.present + k.stride;
    k.shift = k.counts + k.stride;
    k.slices = k.shift + k.stride;
    return k;
}

static void pack_cells(const decoder_job *k)
{
    const kernel_decoder *d = k->d;
    real *panel = k->z_t;

    for (int64_t i0 = 0; i0 < k->stride; i0 += PANEL, panel += d->width * PANEL) {
        int64_t n = i0 < k->rows ? smaller(PANEL, k->rows - i0) : 0;
        pack_columns(d->z + i0 * d->width, d->width, d->width, n, panel);
        pad_columns(d->width, n, smaller(PANEL, k->stride - i0), panel);
    }
    for (int64_t i = 0; i < k->stride; i++) {
        k->counts[i] = i < k->rows ? 1 : 0;
        k->present[i] = i < k->rows && is_present(d->x, i) ? 1 : 0;
        k->shift[i] = d->x->row_shift && k->present[i] != 0 ? d->x->row_shift[i] : 0;
    }
}

/* ------------------------------------------------------------- the entries of x */

static void find_cursors(const affine_sparse *x, int64_t f, int64_t *cursor)
{
    for (int64_t i = 0; i < x->n_rows; i++) cursor[i] = first_from(x, i, f);
}

/* Adds factor a_i c_j y_ij of features f0 .. f1 - 1, transposed: what x has beside its shifts. Absent
 * rows are not looked at. */
static void add_entries(const decoder_job *k, const slice *s, int64_t f0, int64_t f1, float factor,
                        real *to)
{
    const affine_sparse *x = k->d->x;

    for (int64_t i = 0; i < k->rows; i++) {
        float a = x->row_scale ? factor * x->row_scale[i] : factor;
        int64_t at = s->cursor[i], end = x->indptr[i + 1];
        if (!is_present(x, i)) continue;
        for (; at < end && x->indices[at] < f1; at++) {
            int64_t j = x->indices[at];
            float v = a * x->values[at] * (x->col_scale ? x->col_scale[j] : 1.0f);
            to[(j - f0) * k->stride + i] += v;
        }
        s->cursor[i] = at;
    }
}

/* ------------------------------------------------------------- a feature, linear */

typedef int32_t lanes __attribute__((vector_size(4 * VEC_LANES)));

/* v, or zero in the lanes where `off` is set. */
static inline vec zero_where(lanes off, vec v)
{
    return (vec)(~off & (lanes)v);
}

static inline vec at_least_zero(vec p)
{
    return zero_where((lanes)(p < 0.0f), p); /* NaN stays NaN */
}

static float col_shift(const kernel_decoder *d, int64_t j)
{
    return d->x->col_shift ? d->x->col_shift[j] : 0.0f;
}

/* g [stride] from z W^T less the entries of x to the gradient; returns the squared errors. */
static inline vec linear_feature(const decoder_job *k, int64_t j, real *g)
{
    const kernel_decoder *d = k->d;
    const float bias = (d->bias ? d->bias[j] : 0.0f) - col_shift(d, j);
    vec squares = {0}, sum = {0};

    for (int64_t i = 0; i < k->stride; i += VEC_LANES) {
        vec e = (VEC_READ(g + i) + bias - VEC_READ(k->shift + i)) * VEC_READ(k->present + i);
        squares += e * e;
        sum += e;
        VEC_AT(g + i) = e + e;
    }
    if (d->d_bias) d->d_bias[j] = (real)(2.0 * lanes_sum(sum));
    return squares;
}

/* ------------------------------------------------------------- batch norm of a strip
 * One sum of all features after the other, so that the processor works on several features at once. */

typedef struct strip_norm {
    float mean[STRIP], inv_std[STRIP];
    double g[STRIP], gh[STRIP]; /* sums over cells of G and of G (h - mean) */
} strip_norm;

/* Statistics of h = max(g, 0); the running ones follow. */
static void strip_statistics(const decoder_job *k, int64_t f0, int64_t n, const real *g,
                             strip_norm *out)
{
    const kernel_decoder *d = k->d;
    const double over = 1.0 / (double)k->rows, unbiased = 1.0 / ((double)k->rows - 1.0);
    const double momentum = (double)d->momentum, keep = 1.0 - momentum;
    double mean[STRIP], squares[STRIP];

    for (int64_t j = 0; j < n; j++) {
        vec sum = {0};
        for (int64_t i = 0; i < k->stride; i += VEC_LANES)
            sum += at_least_zero(VEC_READ(g + j * k->stride + i));
        mean[j] = lanes_sum(sum) * over;
        out->mean[j] = (float)mean[j];
    }
    for (int64_t j = 0; j < n; j++) {
        vec sum = {0};
        for (int64_t i = 0; i < k->stride; i += VEC_LANES) {
            vec h = at_least_zero(VEC_READ(g + j * k->stride + i)) - out->mean[j];
            h *= VEC_READ(k->counts + i);
            sum += h * h;
        }
        squares[j] = lanes_sum(sum);
    }
    real *run_mean = d->running_mean + f0, *run_var = d->running_var + f0;
    CPU_SIMD
    for (int64_t j = 0; j < n; j++) {
        out->inv_std[j] = (float)(1.0 / sqrt(squares[j] * over + (double)d->eps));
        run_mean[j] = (real)(keep * (double)run_mean[j] + momentum * mean[j]);
        run_var[j] = (real)(keep * (double)run_var[j] + momentum * squares[j] * unbiased);
    }
}

/* target, the entries of x, becomes half of G; returns the squared errors. */
static vec strip_errors(const decoder_job *k, int64_t f0, int64_t n, const real *g, real *target,
                        strip_norm *o)
{
    const kernel_decoder *d = k->d;
    vec squares = {0};

    for (int64_t j = 0; j < n; j++) {
        const int64_t at = j * k->stride;
        const float scale = d->gamma[f0 + j] * o->inv_std[j];
        const float level = d->beta[f0 + j] - col_shift(d, f0 + j);
        vec sum = {0}, sum_h = {0};
        for (int64_t i = 0; i < k->stride; i += VEC_LANES) {
            vec h = at_least_zero(VEC_READ(g + at + i)) - o->mean[j];
            vec e = h * scale + level - VEC_READ(k->shift + i) - VEC_READ(target + at + i);
            e *= VEC_READ(k->present + i);
            squares += e * e;
            sum += e;
            sum_h += e * h;
            VEC_AT(target + at + i) = e;
        }
        o->g[j] = 2.0 * lanes_sum(sum);
        o->gh[j] = 2.0 * lanes_sum(sum_h);
        d->d_gamma[f0 + j] = (real)(o->gh[j] * (double)o->inv_std[j]);
        d->d_beta[f0 + j] = (real)o->g[j];
    }
    return squares;
}

/* With s = gamma r:  g = s G - s/n sum G - (h - mean) s r^2/n sum G (h - mean), 0 where relu cut off. */
static void strip_gradients(const decoder_job *k, int64_t f0, int64_t n, const real *half,
                            const strip_norm *o, real *g)
{
    const double over = 1.0 / (double)k->rows;

    for (int64_t j = 0; j < n; j++) {
        const int64_t at = j * k->stride;
        const double r = (double)o->inv_std[j], s = (double)k->d->gamma[f0 + j] * r;
        const float twice = (float)(2.0 * s), mean_g = (float)(s * over * o->g[j]);
        const float slope = (float)(s * r * r * over * o->gh[j]), mean = o->mean[j];
        for (int64_t i = 0; i < k->stride; i += VEC_LANES) {
            vec p = VEC_READ(g + at + i);
            vec back = twice * VEC_READ(half + at + i) - mean_g - (p - mean) * slope;
            VEC_AT(g + at + i) = zero_where((lanes)(p <= 0.0f), back);
        }
    }
}

/* ------------------------------------------------------------- strips */

static void decode(const decoder_job *k, int64_t f0, int64_t n)
{
    const kernel_decoder *d = k->d;
    const real *panel = k->z_t;

    for (int64_t i0 = 0; i0 < k->stride; i0 += PANEL, panel += d->width * PANEL) {
        int64_t width = smaller(PANEL, k->stride - i0);
        tile t = {.a = d->weight + f0 * d->width, .row_step = d->width, .depth_step = 1,
                  .b = panel, .b_step = PANEL, .depth = d->width,
                  .c = d->g + f0 * k->stride + i0, .c_step = k->stride, .width = width};
        tile_rows(t, n, (int)tile_vecs(width));
    }
}

/* Rows of W, or a padded copy of them. */
static const real *wide_rows(const decoder_job *k, const slice *s, const real *from, int64_t n)
{
    const int64_t width = k->d->width;

    if (width == k->wide) return from;
    memset(s->narrow, 0, (size_t)(n * k->wide) * sizeof *s->narrow);
    for (int64_t j = 0; j < n; j++)
        memcpy(s->narrow + j * k->wide, from + j * width, (size_t)width * sizeof *from);
    return s->narrow;
}

static void take_back(const decoder_job *k, const slice *s, int64_t f0, int64_t n, bool add)
{
    const kernel_decoder *d = k->d;

    tile_columns((tile){.a = d->g + f0 * k->stride, .row_step = 1, .depth_step = k->stride,
                          .b = wide_rows(k, s, d->weight + f0 * d->width, n), .b_step = k->wide,
                          .depth = n, .c = s->d_z, .c_step = k->wide, .add = add},
                   k->rows, k->wide);
}

/* Asks for a row of W that the next strip will want, while this one has no use for memory. */
static inline void fetch_ahead(const kernel_decoder *d, int64_t j)
{
    if (j >= d->x->n_cols) return;
    for (int64_t e = 0; e < d->width; e += 16) __builtin_prefetch(d->weight + j * d->width + e);
}

/* g of a strip, from z W^T to the gradient; returns the squared errors. */
static vec compare(const decoder_job *k, const slice *s, int64_t f0, int64_t n)
{
    const kernel_decoder *d = k->d;
    real *g = d->g + f0 * k->stride;
    strip_norm norm;
    vec squares = {0};

    for (int64_t j = f0 + STRIP; j < f0 + 2 * STRIP; j++) fetch_ahead(d, j);
    if (!d->gamma) {
        add_entries(k, s, f0, f0 + n, -1.0f, g);
        for (int64_t j = 0; j < n; j++) squares += linear_feature(k, f0 + j, g + j * k->stride);
        return squares;
    }
    memset(s->target, 0, (size_t)(n * k->stride) * sizeof *s->target);
    add_entries(k, s, f0, f0 + n, 1.0f, s->target);
    strip_statistics(k, f0, n, g, &norm);
    squares = strip_errors(k, f0, n, g, s->target, &norm);
    strip_gradients(k, f0, n, s->target, &norm, g);
    return squares;
}

static double run_slice(const decoder_job *k, int64_t index)
{
    const kernel_decoder *d = k->d;
    const int64_t first = d->x->n_cols * index / k->n_slices;
    const int64_t end = d->x->n_cols * (index + 1) / k->n_slices;
    const slice s = slice_at(k, index);
    double error = 0.0;

    if (first == end) memset(s.d_z, 0, (size_t)(k->rows * k->wide) * sizeof *s.d_z);
    find_cursors(d->x, first, s.cursor);
    for (int64_t f0 = first; f0 < end; f0 += STRIP) {
        const int64_t n = smaller(STRIP, end - f0);
        decode(k, f0, n);
        error += lanes_sum(compare(k, &s, f0, n));
        take_back(k, &s, f0, n, f0 > first);
    }
    return error;
}

static double decoder_error(const kernel_decoder *d)
{
    const decoder_job k = job_of(d);
    double of_slice[DECODER_SLICES], error = 0.0;

    if (k.rows == 0) {
        for (int64_t j = 0; j < d->x->n_cols && d->d_bias; j++) d->d_bias[j] = 0;
        return 0.0;
    }
    pack_cells(&k);
    PARALLEL_FOR_IF(k.rows * d->x->n_cols > CPU_PARALLEL_MIN)
    for (int64_t s = 0; s < k.n_slices; s++) of_slice[s] = run_slice(&k, s);
    for (int64_t s = 0; s < k.n_slices; s++) error += of_slice[s];
    for (int64_t i = 0; i < k.rows; i++) {
        real *to = d->d_z + i * d->width;
        memcpy(to, slice_at(&k, 0).d_z + i * k.wide, (size_t)d->width * sizeof *to);
        for (int64_t s = 1; s < k.n_slices; s++) {
            const real *more = slice_at(&k, s).d_z + i * k.wide;
            CPU_SIMD
            for (int64_t e = 0; e < d->width; e++) to[e] += more[e];
        }
    }
    return error;
}

/* ------------------------------------------------------------- the weights */

/* [DEPTH, wide] of scale * z. */
static void scale_cells(const decoder_job *k, real scale, real *z)
{
    const int64_t width = k->d->width;

    for (int64_t i = 0; i < k->rows; i++) {
        for (int64_t e = 0; e < width; e++) z[i * k->wide + e] = scale * k->d->z[i * width + e];
        for (int64_t e = width; e < k->wide; e++) z[i * k->wide + e] = 0;
    }
}

/* scale g z of features f0 .. f0 + n - 1. */
static void strip_weights(const decoder_job *k, const real *z, int64_t f0, int64_t n, bool add,
                          real *to)
{
    const int64_t width = k->d->width;

    for (int64_t i0 = 0; i0 < k->rows; i0 += DEPTH)
        tile_columns((tile){.a = k->d->g + f0 * k->stride + i0, .row_step = k->stride,
                              .depth_step = 1, .b = z + i0 * k->wide, .b_step = k->wide,
                              .depth = smaller(DEPTH, k->rows - i0), .c = to, .c_step = width,
                              .add = i0 > 0 || add},
                       n, width);
}

static void decoder_weights(const kernel_decoder *d, real scale, bool fresh, real *d_weight,
                            const kernel_taker *taker)
{
    const decoder_job k = job_of(d);
    const int64_t n_vars = d->x->n_cols;
    const int64_t strip = taker ? smaller(STRIP, KERNEL_TAKE_VALUES / d->width) : STRIP;
    const int64_t strips = (n_vars + strip - 1) / strip;
    real *z = d->scratch;

    scale_cells(&k, scale, z);
    PARALLEL_FOR_IF(k.rows * n_vars > CPU_PARALLEL_MIN)
    for (int64_t s = 0; s < strips; s++) {
        const int64_t f0 = strip * s, n = smaller(strip, n_vars - f0);
        real finished[KERNEL_TAKE_VALUES] __attribute__((aligned(64)));
        real *to = taker ? finished : d_weight + f0 * d->width;
        if (k.rows == 0 && fresh) memset(to, 0, (size_t)(n * d->width) * sizeof *to);
        strip_weights(&k, z, f0, n, !taker && !fresh, to);
        if (taker) taker->take(taker, f0 * d->width, n * d->width, finished);
    }
}

void CPU_NAME(cpu_fill_decoder)(kernel_table *t)
{
    t->decoder_error = decoder_error;
    t->decoder_weights = decoder_weights;
}
