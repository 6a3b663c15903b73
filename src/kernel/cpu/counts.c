/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast decoder of counts. Features are cut into strips of 64, and strips are dealt to slices, each the work of one
 * thread; a slice goes through its strips once a pass:
 *
 *     first    z [B, width] . W^T [width, 64]   ->  logits          kept, a block [B, 64] a strip
 *              largest eta and sum of exp(eta - largest) so far, a row at a time
 *     second   eta -> p -> mu                   ->  loss, d_log_shape, d loss / d library
 *     third    eta -> p -> mu -> g [B, 64]      ->  shift, scale, bias
 *              g [B, 64] . W [64, width]        ->+ d_z of the slice
 *              g^T [64, B] . z [B, width]       ->+ d_W
 *
 * What becomes of a row of a block is in counts_row.h. eta, p and mu are computed anew each time: that is
 * cheaper than to fetch them. Bernoulli needs no denominators, so its first pass is its second. Features beside
 * the last one have scale 0 and a shift that makes p = 0, and s = 0: they add nothing anywhere. */
#include "kernel/cpu/counts_row.h"
#include "kernel/cpu/tile.h"

#define DEPTH 256     /* cells whose rows of z stay in cache */
#define BESIDE -1e30f /* shift of a feature that is none */
#define LOWEST -1e38f /* below any eta */

/* kernel_counts.facts */
enum { LARGEST, OVER_SUM, D_LIBRARY, N_FACTS };
/* What a slice sums of a row, each lane of a vector by itself; the second pass needs one only. */
enum { LANES_LARGEST, LANES_TOTAL, N_LANES, LANES_DOT = 0 };

typedef struct counts_job {
    const kernel_counts *c;
    int64_t rows, wide, n_strips, n_slices;
    real *z; /* [B, wide] z with rows of a whole vector at least */
    real *slices;
} counts_job;

typedef struct slice {
    int64_t from, to; /* strips */
    real *lanes;      /* [B, N_LANES, VEC_LANES] */
    int64_t *start;   /* [B] where the slice starts in a row of x; the loss finds it */
    int64_t *cursor;  /* [B] and where the next strip does */
    real *g;          /* [B, STRIP] */
    real *spread;     /* [COUNTS_GROUP, STRIP] counts of a few rows, zeros between them */
    real *panels;     /* [STRIP / PANEL, width, PANEL] W^T */
    real *narrow;     /* [STRIP, wide] W where it is narrower than a vector */
    real *numbers;    /* [n_batches, N_NUMBERS, STRIP] */
    real *d_z;        /* [B, wide] */
} slice;

/* ------------------------------------------------------------- how the work is cut */

static counts_job job_of(const kernel_counts *c)
{
    counts_job k = {.c = c, .rows = c->x->n_rows, .wide = c->width < VEC_LANES ? VEC_LANES : c->width,
                    .n_strips = (c->x->n_cols + STRIP - 1) / STRIP};

    k.n_slices = smaller((k.n_strips + 1) / 2, COUNTS_SLICES);
    k.z = c->scratch;
    k.slices = k.z + k.rows * k.wide;
    for (int64_t i = 0; i < k.rows; i++) {
        memcpy(k.z + i * k.wide, c->z + i * c->width, (size_t)c->width * sizeof *k.z);
        for (int64_t e = c->width; e < k.wide; e++) k.z[i * k.wide + e] = 0;
    }
    return k;
}

static slice slice_at(const counts_job *k, int64_t s)
{
    const int64_t n_numbers = k->c->n_batches * N_NUMBERS * STRIP, n_lanes = k->rows * N_LANES * VEC_LANES;
    const int64_t places = (2 * k->rows + 1) * (int64_t)(sizeof(int64_t) / sizeof(real));
    const int64_t size = places + (k->rows + COUNTS_GROUP + 2 * k->wide) * STRIP + n_numbers +
                         k->rows * k->wide + n_lanes;
    real *at = k->slices + s * size;
    slice out = {.from = k->n_strips * s / k->n_slices, .to = k->n_strips * (s + 1) / k->n_slices};

    out.start = (int64_t *)(void *)(at + ((uintptr_t)at % sizeof(int64_t) ? 1 : 0));
    out.cursor = out.start + k->rows;
    out.g = at + places;
    out.spread = out.g + k->rows * STRIP;
    out.panels = out.spread + COUNTS_GROUP * STRIP;
    out.narrow = out.panels + k->wide * STRIP;
    out.numbers = out.narrow + k->wide * STRIP;
    out.d_z = out.numbers + n_numbers;
    out.lanes = out.d_z + k->rows * k->wide;
    return out;
}

static real *lanes_of(const slice *s, int64_t i, int which)
{
    return s->lanes + (i * N_LANES + which) * VEC_LANES;
}

static void fill_lanes(const counts_job *k, const slice *s, int which, float value)
{
    for (int64_t i = 0; i < k->rows; i++)
        for (int e = 0; e < VEC_LANES; e++) lanes_of(s, i, which)[e] = value;
}

static int64_t strip_width(const counts_job *k, int64_t strip)
{
    return smaller(STRIP, k->c->x->n_cols - strip * STRIP);
}

/* [B, STRIP] */
static real *block_of(const counts_job *k, int64_t strip)
{
    return k->c->logits + strip * STRIP * k->rows;
}

static real *numbers_of(const counts_job *k, const slice *s, int64_t i)
{
    return s->numbers + (k->c->batch ? k->c->batch[i] : 0) * N_NUMBERS * STRIP;
}

static void fill(real *to, const real *from, int64_t n, float absent, float beside)
{
    for (int64_t j = 0; j < n; j++) to[j] = from ? from[j] : absent;
    for (int64_t j = n; j < STRIP; j++) to[j] = beside;
}

/* The bias is in the shift: a [B, STRIP] block is without. */
static void load_numbers(const counts_job *k, const slice *s, int64_t strip)
{
    const kernel_counts *c = k->c;
    const int64_t n = strip_width(k, strip);

    for (int64_t b = 0; b < c->n_batches; b++) {
        const int64_t at = b * c->x->n_cols + strip * STRIP;
        real *to = s->numbers + b * N_NUMBERS * STRIP;
        memset(to, 0, N_NUMBERS * STRIP * sizeof *to);
        fill(to + SCALE * STRIP, c->scale ? c->scale + at : NULL, n, 1.0f, 0.0f);
        fill(to + SHIFT * STRIP, c->shift ? c->shift + at : NULL, n, 0.0f, BESIDE);
        for (int64_t j = 0; j < n && c->bias; j++)
            to[SHIFT * STRIP + j] += to[SCALE * STRIP + j] * c->bias[strip * STRIP + j];
        if (c->bernoulli) continue;
        fill(to + LOG_SHAPE * STRIP, c->log_shape + at, n, 0.0f, 0.0f);
        real *shape = to + SHAPE * STRIP, *over = to + OVER_SHAPE * STRIP;
        CPU_SIMD
        for (int64_t j = 0; j < STRIP; j++) {
            const float value = fast_exp(to[LOG_SHAPE * STRIP + j]);
            shape[j] = j < n ? value : 0.0f;
            over[j] = j < n ? 1.0f / value : 0.0f;
        }
    }
}

/* The counts of a few rows from `first` on, spread out. */
static void spread_rows(const counts_job *k, const slice *s, int64_t strip, int64_t first, int64_t n)
{
    const affine_sparse *x = k->c->x;
    const int64_t f0 = strip * STRIP, f1 = f0 + STRIP;

    memset(s->spread, 0, (size_t)(n * STRIP) * sizeof *s->spread);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = s->cursor[first + i], end = x->indptr[first + i + 1];
        for (; at < end && x->indices[at] < f1; at++)
            s->spread[i * STRIP + x->indices[at] - f0] = x->values[at];
        s->cursor[first + i] = at;
        __builtin_prefetch(x->indices + at + 15); /* too many rows for the hardware to foresee */
        __builtin_prefetch(x->values + at + 15);
    }
}

/* Asks for one of so many parts of n values, while what is computed has no use for memory. */
static inline void fetch_part(const real *from, int64_t n, int64_t part, int64_t parts)
{
    for (int64_t e = n * part / parts / 16 * 16; from && e < n * (part + 1) / parts; e += 16)
        __builtin_prefetch(from + e);
}

/* Row i's part of the strip of W that comes after this one, and of its logits. */
static inline void fetch_next(const counts_job *k, int64_t strip, int64_t i)
{
    if (strip + 1 >= k->n_strips) return;
    fetch_part(k->c->weight + (strip + 1) * STRIP * k->c->width, strip_width(k, strip + 1) * k->c->width, i,
               k->rows);
    fetch_part(block_of(k, strip + 1), STRIP * k->rows, i, k->rows);
}

/* ------------------------------------------------------------- first pass */

static void find_logits(const counts_job *k, const slice *s, int64_t strip)
{
    const kernel_counts *c = k->c;
    const int64_t n = strip_width(k, strip), f0 = strip * STRIP;
    real *panel = s->panels, *block = block_of(k, strip);

    for (int64_t p = 0; p < STRIP; p += PANEL, panel += c->width * PANEL) {
        const int64_t width = p < n ? smaller(PANEL, n - p) : 0;
        pack_columns(c->weight + (f0 + p) * c->width, c->width, c->width, width, panel);
        pad_columns(c->width, width, PANEL, panel);
        tile_rows((tile){.a = c->z, .row_step = c->width, .depth_step = 1, .b = panel,
                         .b_step = PANEL, .depth = c->width, .c = block + p, .c_step = STRIP,
                         .width = PANEL},
                  k->rows, TILE_VECS);
    }
}

static void first_pass(const counts_job *k, const slice *s)
{
    const kernel_counts *c = k->c;

    fill_lanes(k, s, LANES_LARGEST, LOWEST);
    fill_lanes(k, s, LANES_TOTAL, 0.0f);
    for (int64_t strip = s->from; strip < s->to; strip++) {
        const real *block = block_of(k, strip);
        load_numbers(k, s, strip);
        find_logits(k, s, strip);
        for (int64_t i = 0; i < k->rows; i++) {
            fetch_next(k, strip, i);
            if (is_present(c->x, i))
                add_to_sum(block + i * STRIP, numbers_of(k, s, i), c->offset ? c->offset[i] : 0.0f,
                           lanes_of(s, i, LANES_LARGEST), lanes_of(s, i, LANES_TOTAL));
        }
    }
}

/* The sums of the lanes of all slices, in their order. */
static void join_sums(const counts_job *k)
{
    const int64_t n_lanes = k->n_slices * VEC_LANES;

    for (int64_t i = 0; i < k->rows; i++) {
        float largest[COUNTS_SLICES * VEC_LANES], totals[COUNTS_SLICES * VEC_LANES], most = LOWEST;
        double total = 0.0;
        for (int64_t s = 0; s < k->n_slices; s++) {
            const slice one = slice_at(k, s);
            memcpy(largest + s * VEC_LANES, lanes_of(&one, i, LANES_LARGEST), VEC_LANES * sizeof *largest);
            memcpy(totals + s * VEC_LANES, lanes_of(&one, i, LANES_TOTAL), VEC_LANES * sizeof *totals);
        }
        for (int64_t e = 0; e < n_lanes; e++) most = largest[e] > most ? largest[e] : most;
        CPU_SIMD
        for (int64_t e = 0; e < n_lanes; e++) totals[e] *= exp_below(largest[e] - most);
        for (int64_t e = 0; e < n_lanes; e++) total += (double)totals[e];
        const bool any = total != 0.0; /* not of an absent row */
        k->c->facts[i * N_FACTS + LARGEST] = any ? most : 0;
        k->c->facts[i * N_FACTS + OVER_SUM] = any ? (real)(1.0 / total) : 0;
    }
}

/* ------------------------------------------------------------- second pass */

static row_facts facts_of(const kernel_counts *c, int64_t i)
{
    const real *fact = c->facts + i * N_FACTS;
    const float offset = c->offset ? c->offset[i] : 0.0f;

    if (c->bernoulli) return (row_facts){.offset = offset};
    return (row_facts){offset - fact[LARGEST], fact[OVER_SUM], c->library[i], c->floor,
                       fact[D_LIBRARY]};
}

static double strip_loss(const counts_job *k, const slice *s, int64_t strip)
{
    const kernel_counts *c = k->c;
    const real *block = block_of(k, strip);
    float loss[VEC_LANES] = {0};

    for (int64_t first = 0; first < k->rows; first += COUNTS_GROUP) {
        const int64_t n = smaller(COUNTS_GROUP, k->rows - first);
        spread_rows(k, s, strip, first, n);
        for (int64_t i = first; i < first + n; i++) {
            if (!is_present(c->x, i)) continue;
            const row_facts r = facts_of(c, i);
            const real *x = s->spread + (i - first) * STRIP;
            if (c->bernoulli) fetch_next(k, strip, i);
            if (c->bernoulli)
                bernoulli_loss(block + i * STRIP, numbers_of(k, s, i), x, &r, loss);
            else
                nb_loss(block + i * STRIP, numbers_of(k, s, i), x, &r, loss, lanes_of(s, i, LANES_DOT));
        }
    }
    for (int64_t b = 0; b < c->n_batches && c->d_log_shape; b++)
        memcpy(c->d_log_shape + b * c->x->n_cols + strip * STRIP,
               s->numbers + (b * N_NUMBERS + D_SHAPE) * STRIP,
               (size_t)strip_width(k, strip) * sizeof *c->d_log_shape);
    return lanes_sum(VEC_READ(loss));
}

static double second_pass(const counts_job *k, const slice *s)
{
    double loss = 0.0;

    fill_lanes(k, s, LANES_DOT, 0.0f);
    for (int64_t i = 0; i < k->rows; i++)
        s->cursor[i] = s->start[i] = first_from(k->c->x, i, s->from * STRIP);
    for (int64_t strip = s->from; strip < s->to; strip++) {
        load_numbers(k, s, strip);
        if (k->c->bernoulli) find_logits(k, s, strip);
        loss += strip_loss(k, s, strip);
    }
    return loss;
}

/* d loss / d library of each row, the sums of its lanes. */
static void join_dots(const counts_job *k)
{
    for (int64_t i = 0; i < k->rows; i++) {
        double dot = 0.0;
        for (int64_t s = 0; s < k->n_slices; s++) {
            const slice one = slice_at(k, s);
            dot += lanes_sum(VEC_READ(lanes_of(&one, i, LANES_DOT)));
        }
        k->c->facts[i * N_FACTS + D_LIBRARY] = (real)dot;
    }
}

static double counts_loss(const kernel_counts *c)
{
    const counts_job k = job_of(c);
    double of_slice[COUNTS_SLICES], loss = 0.0;

    if (!c->bernoulli) {
        PARALLEL_FOR_IF(k.rows * c->x->n_cols > CPU_PARALLEL_MIN)
        for (int64_t s = 0; s < k.n_slices; s++) {
            const slice one = slice_at(&k, s);
            first_pass(&k, &one);
        }
        join_sums(&k);
    }
    PARALLEL_FOR_IF(k.rows * c->x->n_cols > CPU_PARALLEL_MIN)
    for (int64_t s = 0; s < k.n_slices; s++) {
        const slice one = slice_at(&k, s);
        of_slice[s] = second_pass(&k, &one);
    }
    for (int64_t s = 0; s < k.n_slices; s++) loss += of_slice[s];
    if (!c->bernoulli) join_dots(&k);
    return loss;
}

/* ------------------------------------------------------------- third pass */

/* W and its gradient, which the products after this one want, are fetched meanwhile. */
static void strip_gradient(const counts_job *k, const slice *s, int64_t strip, float factor,
                           const real *d_weight)
{
    const kernel_counts *c = k->c;
    const real *block = block_of(k, strip);
    const int64_t at = strip * STRIP * c->width, n_weights = strip_width(k, strip) * c->width;

    for (int64_t first = 0; first < k->rows; first += COUNTS_GROUP) {
        const int64_t n = smaller(COUNTS_GROUP, k->rows - first);
        spread_rows(k, s, strip, first, n);
        for (int64_t i = first; i < first + n; i++) {
            real *g = s->g + i * STRIP;
            const real *x = s->spread + (i - first) * STRIP;
            fetch_part(c->weight + at, n_weights, i, k->rows);
            fetch_part(d_weight ? d_weight + at : NULL, n_weights, i, k->rows);
            if (!is_present(c->x, i)) {
                memset(g, 0, STRIP * sizeof *g);
                continue;
            }
            const row_facts r = facts_of(c, i);
            if (c->bernoulli)
                bernoulli_gradient(block + i * STRIP, numbers_of(k, s, i), x, &r, factor, g);
            else
                nb_gradient(block + i * STRIP, numbers_of(k, s, i), x, &r, factor, g);
        }
    }
}

/* What the gradients of scale and shift sum up to; the bias, which the block is without, is part of both, and
 * its own is that of the shift times the scale. */
static void keep_vectors(const counts_job *k, const slice *s, int64_t strip,
                         const kernel_counts_gradients *to)
{
    const kernel_counts *c = k->c;
    const int64_t n = strip_width(k, strip), f0 = strip * STRIP;

    for (int64_t b = 0; b < c->n_batches; b++) {
        const int64_t at = b * c->x->n_cols + f0;
        const real *numbers = s->numbers + b * N_NUMBERS * STRIP;
        const real *d_scale = numbers + D_SCALE * STRIP, *d_shift = numbers + D_SHIFT * STRIP;
        for (int64_t j = 0; j < n && to->scale; j++)
            to->scale[at + j] += d_scale[j] + (c->bias ? c->bias[f0 + j] * d_shift[j] : 0.0f);
        for (int64_t j = 0; j < n && to->shift; j++) to->shift[at + j] += d_shift[j];
        for (int64_t j = 0; j < n && to->bias; j++)
            to->bias[f0 + j] += numbers[SCALE * STRIP + j] * d_shift[j];
    }
}

/* Rows of W, or a padded copy of them. */
static const real *wide_rows(const counts_job *k, const slice *s, const real *from, int64_t n)
{
    const int64_t width = k->c->width;

    if (width == k->wide) return from;
    memset(s->narrow, 0, (size_t)(n * k->wide) * sizeof *s->narrow);
    for (int64_t j = 0; j < n; j++)
        memcpy(s->narrow + j * k->wide, from + j * width, (size_t)width * sizeof *from);
    return s->narrow;
}

/* Features j0 .. j0 + n - 1 of the strip in s->g. */
static void weight_rows(const counts_job *k, const slice *s, int64_t j0, int64_t n, bool add, real *to)
{
    for (int64_t i0 = 0; i0 < k->rows; i0 += DEPTH)
        tile_columns((tile){.a = s->g + i0 * STRIP + j0, .row_step = 1, .depth_step = STRIP,
                            .b = k->z + i0 * k->wide, .b_step = k->wide,
                            .depth = smaller(DEPTH, k->rows - i0), .c = to, .c_step = k->c->width,
                            .add = i0 > 0 || add},
                     n, k->c->width);
}

static void strip_weights(const counts_job *k, const slice *s, int64_t strip,
                          const kernel_counts_gradients *to)
{
    const int64_t width = k->c->width, n = strip_width(k, strip), f0 = strip * STRIP;
    real finished[KERNEL_TAKE_VALUES] __attribute__((aligned(64)));

    if (!to->taker) {
        if (to->weight) weight_rows(k, s, 0, n, true, to->weight + f0 * width);
        return;
    }
    const int64_t step = smaller(STRIP, KERNEL_TAKE_VALUES / width);
    for (int64_t j0 = 0; j0 < n; j0 += step) {
        const int64_t some = smaller(step, n - j0);
        weight_rows(k, s, j0, some, false, finished);
        to->taker->take(to->taker, (f0 + j0) * width, some * width, finished);
    }
}

static void third_pass(const counts_job *k, const slice *s, float factor,
                       const kernel_counts_gradients *to)
{
    const kernel_counts *c = k->c;

    for (int64_t strip = s->from; strip < s->to; strip++) {
        const int64_t n = strip_width(k, strip);
        if (strip == s->from) memcpy(s->cursor, s->start, (size_t)k->rows * sizeof *s->start);
        load_numbers(k, s, strip);
        strip_gradient(k, s, strip, factor, to->taker ? NULL : to->weight);
        keep_vectors(k, s, strip, to);
        if (to->z)
            tile_columns((tile){.a = s->g, .row_step = STRIP, .depth_step = 1,
                                .b = wide_rows(k, s, c->weight + strip * STRIP * c->width, n),
                                .b_step = k->wide, .depth = n, .c = s->d_z, .c_step = k->wide,
                                .add = strip > s->from},
                         k->rows, k->wide);
        strip_weights(k, s, strip, to);
    }
}

static void counts_backward(const kernel_counts *c, real factor, const kernel_counts_gradients *to)
{
    const counts_job k = job_of(c);

    if (k.rows == 0 && !to->taker) return;
    PARALLEL_FOR_IF(k.rows * c->x->n_cols > CPU_PARALLEL_MIN)
    for (int64_t s = 0; s < k.n_slices; s++) {
        const slice one = slice_at(&k, s);
        third_pass(&k, &one, factor, to);
    }
    for (int64_t s = 0; s < k.n_slices && to->z; s++) {
        const real *d_z = slice_at(&k, s).d_z;
        for (int64_t i = 0; i < k.rows; i++) {
            CPU_SIMD
            for (int64_t e = 0; e < c->width; e++) to->z[i * c->width + e] += d_z[i * k.wide + e];
        }
    }
}

void CPU_NAME(cpu_fill_counts)(kernel_table *t)
{
    t->counts_loss = counts_loss;
    t->counts_backward = counts_backward;
}
