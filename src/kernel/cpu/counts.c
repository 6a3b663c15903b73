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
 * eta, p and mu are computed anew each time: that is cheaper than to fetch them. Bernoulli needs no
 * denominators, so its first pass is its second. Features beside the last one have scale 0 and a shift
 * that makes p = 0, and s = 0: they add nothing anywhere. */
#include "kernel/cpu/tile.h"

#include <math.h>

#define STRIP COUNTS_STRIP
#define DEPTH 256     /* cells whose rows of z stay in cache */
#define BESIDE -1e30f /* shift of a feature that is none */
#define LOWEST -1e38f /* below any eta */

/* kernel_counts.facts */
enum { LARGEST, OVER_SUM, D_LIBRARY, N_FACTS };
/* What a slice sums of a row, each lane of a vector by itself; the second pass needs one only. */
enum { LANES_LARGEST, LANES_TOTAL, N_LANES, LANES_DOT = 0 };
/* A batch's numbers of a strip's features. */
enum { SCALE, SHIFT, SHAPE, OVER_SHAPE, LOG_SHAPE, D_SHAPE, D_SCALE, D_SHIFT, N_NUMBERS };

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

/* ------------------------------------------------------------- vectors of functions */

/* exp(x) for x <= 0 within 2 ulp, 0 in effect below -87; as fast_exp, and less of it: the polynomial for
 * (exp(r) - 1 - r) / r^2 is of Chebyshev interpolation. NaN stays NaN. */
static inline float exp_below(float x)
{
    const float round_magic = 12582912.0f;
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + round_magic, whole = shifted - round_magic;
    float r = x - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    float p = 0.00139336521f;
    p = p * r + 0.00836318173f;
    p = p * r + 0.0416664667f;
    p = p * r + 0.166665763f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;

    uint32_t bits;
    float scale;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23; /* what the magic number has above the integer is shifted out */
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
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

/* log(1 + x) for x >= 0, with y = 1 + x as it is rounded and its reciprocal. NaN stays NaN. */
static inline float log_sum(float x, float y, float over)
{
    return fast_log(y) + (x - (y - 1.0f)) * over;
}

/* ------------------------------------------------------------- how the work is cut */

static bool is_present(const affine_sparse *x, int64_t i)
{
    return !x->row_weight || x->row_weight[i] != 0;
}

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

/* Where the first entry from feature f on is. */
static int64_t place_of(const affine_sparse *x, int64_t i, int64_t f)
{
    int64_t from = x->indptr[i], to = x->indptr[i + 1];

    while (from < to) {
        int64_t middle = from + (to - from) / 2;
        if (x->indices[middle] < f) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
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

/* The largest eta so far and the sum of exp(eta - largest), of each lane. */
static void add_to_sum(const real *a, const real *numbers, float offset, real *largest, real *total)
{
    const real *scale = numbers + SCALE * STRIP, *shift = numbers + SHIFT * STRIP;
    float eta[STRIP], most[VEC_LANES];

    memcpy(most, largest, sizeof most);
    for (int64_t at = 0; at < STRIP; at += VEC_LANES) {
        CPU_SIMD
        for (int64_t e = 0; e < VEC_LANES; e++) {
            const float value = a[at + e] * scale[at + e] + shift[at + e] + offset;
            eta[at + e] = value;
            most[e] = value > most[e] ? value : most[e];
        }
    }
    CPU_SIMD
    for (int64_t e = 0; e < VEC_LANES; e++) {
        total[e] *= exp_below(largest[e] - most[e]);
        largest[e] = most[e];
    }
    for (int64_t at = 0; at < STRIP; at += VEC_LANES) {
        CPU_SIMD
        for (int64_t e = 0; e < VEC_LANES; e++) total[e] += exp_below(eta[at + e] - most[e]);
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

typedef struct row_facts {
    float offset, over_sum, library, floor, dot; /* offset less the largest eta */
} row_facts;

static row_facts facts_of(const kernel_counts *c, int64_t i)
{
    const real *fact = c->facts + i * N_FACTS;
    const float offset = c->offset ? c->offset[i] : 0.0f;

    if (c->bernoulli) return (row_facts){.offset = offset};
    return (row_facts){offset - fact[LARGEST], fact[OVER_SUM], c->library[i], c->floor,
                       fact[D_LIBRARY]};
}

/* What both passes over a negative binomial need of a row: its loops are short, so that the processor
 * works at several vectors at once. */
typedef struct nb_row {
    float share[STRIP], mu[STRIP], ratio[STRIP];  /* p; mu; mu / s */
    float over_y[STRIP], over_mu[STRIP];          /* 1 / (1 + mu / s), 1 / mu: of one division */
} nb_row;

static inline __attribute__((always_inline)) void find_means(nb_row *m, const real *a, const real *numbers,
                                                             const row_facts *r)
{
    const real *scale = numbers + SCALE * STRIP, *shift = numbers + SHIFT * STRIP;
    const real *over_shape = numbers + OVER_SHAPE * STRIP;

    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++)
        m->share[j] = exp_below(a[j] * scale[j] + shift[j] + r->offset) * r->over_sum;
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) {
        const float mu = r->library * m->share[j] + r->floor, ratio = mu * over_shape[j];
        const float y = 1.0f + ratio, both = 1.0f / (y * mu);
        m->mu[j] = mu;
        m->ratio[j] = ratio;
        m->over_y[j] = both * mu;
        m->over_mu[j] = both * y;
    }
}

static void nb_loss(const real *a, real *numbers, const real *x, const row_facts *r, real *loss, real *dot)
{
    const real *shape = numbers + SHAPE * STRIP, *over_shape = numbers + OVER_SHAPE * STRIP;
    const real *log_shape = numbers + LOG_SHAPE * STRIP;
    real *d_shape = numbers + D_SHAPE * STRIP;
    float log_y[STRIP], of_count[STRIP];
    nb_row m;

    find_means(&m, a, numbers, r);
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) log_y[j] = log_sum(m.ratio[j], 1.0f + m.ratio[j], m.over_y[j]);
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) of_count[j] = log_y[j] + log_shape[j] - fast_log(m.mu[j]);
    for (int64_t at = 0; at < STRIP; at += VEC_LANES) {
        CPU_SIMD
        for (int64_t e = 0; e < VEC_LANES; e++) {
            const int64_t j = at + e;
            const float share = x[j] * over_shape[j];
            loss[e] += shape[j] * log_y[j] + x[j] * of_count[j];
            dot[e] += m.share[j] * (m.over_y[j] * (1.0f + share) - x[j] * m.over_mu[j]);
            d_shape[j] += shape[j] * (log_y[j] + m.over_y[j] * (share - m.ratio[j]));
        }
    }
}

static void bernoulli_loss(const real *a, const real *numbers, const real *x, const row_facts *r, real *loss)
{
    const real *scale = numbers + SCALE * STRIP, *shift = numbers + SHIFT * STRIP;

    for (int64_t at = 0; at < STRIP; at += VEC_LANES) {
        CPU_SIMD
        for (int64_t e = 0; e < VEC_LANES; e++) {
            const int64_t j = at + e;
            const float eta = a[j] * scale[j] + shift[j] + r->offset;
            const float small = exp_below(eta > 0.0f ? -eta : eta), y = 1.0f + small;
            loss[e] += (eta > 0.0f ? eta : 0.0f) + log_sum(small, y, 1.0f / y) - (x[j] > 0.0f ? eta : 0.0f);
        }
    }
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
        s->cursor[i] = s->start[i] = place_of(k->c->x, i, s->from * STRIP);
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

/* d loss / d eta times factor and, summed over the rows, what it means for scale and shift; g. */
static void nb_gradient(const real *a, real *numbers, const real *x, const row_facts *r, float factor,
                        real *g)
{
    const real *scale = numbers + SCALE * STRIP, *over_shape = numbers + OVER_SHAPE * STRIP;
    real *d_scale = numbers + D_SCALE * STRIP, *d_shift = numbers + D_SHIFT * STRIP;
    const float weight = factor * r->library;
    nb_row m;

    find_means(&m, a, numbers, r);
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) {
        const float of_mu = m.over_y[j] * (1.0f + x[j] * over_shape[j]) - x[j] * m.over_mu[j];
        const float d = weight * m.share[j] * (of_mu - r->dot);
        d_shift[j] += d;
        d_scale[j] += d * a[j];
        g[j] = d * scale[j];
    }
}

static void bernoulli_gradient(const real *a, real *numbers, const real *x, const row_facts *r,
                               float factor, real *g)
{
    const real *scale = numbers + SCALE * STRIP, *shift = numbers + SHIFT * STRIP;
    real *d_scale = numbers + D_SCALE * STRIP, *d_shift = numbers + D_SHIFT * STRIP;

    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) {
        const float eta = a[j] * scale[j] + shift[j] + r->offset;
        const float small = exp_below(eta > 0.0f ? -eta : eta);
        const float there = (eta > 0.0f ? 1.0f : small) / (1.0f + small);
        const float d = factor * (there - (x[j] > 0.0f ? 1.0f : 0.0f));
        d_shift[j] += d;
        d_scale[j] += d * a[j];
        g[j] = d * scale[j];
    }
}

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

/* ------------------------------------------------------------- terms of gamma functions
 * For counts up to LEVELS, a table of the strip's features: for whole x
 *     log G(x + s) / (G(s) x!) = sum over k < x of log((s + k) / (k + 1)),  psi(x + s) - psi(s) = sum of 1 / (s + k) */

#define LEVELS 8

typedef struct gamma_table {
    float shape[STRIP], ratio[LEVELS][STRIP], psi[LEVELS][STRIP];
} gamma_table;

static void fill_table(gamma_table *t, const real *log_shape, int64_t n)
{
    float ratio[STRIP] = {0}, psi[STRIP] = {0};

    for (int64_t j = 0; j < n; j++) t->shape[j] = log_shape[j];
    for (int64_t j = n; j < STRIP; j++) t->shape[j] = 0.0f;
    CPU_SIMD
    for (int64_t j = 0; j < STRIP; j++) t->shape[j] = fast_exp(t->shape[j]);
    for (int k = 0; k < LEVELS; k++) {
        const float over = 1.0f / (float)(k + 1);
        CPU_SIMD
        for (int64_t j = 0; j < STRIP; j++) {
            const float sum = t->shape[j] + (float)k;
            ratio[j] += fast_log(sum * over);
            psi[j] += 1.0f / sum;
            t->ratio[k][j] = ratio[j];
            t->psi[k][j] = psi[j];
        }
    }
}

/* The entries of one row in a strip; psi [STRIP] is added to. */
static double row_terms(const kernel_gamma *g, const gamma_table *t, int64_t i, int64_t f0,
                        int64_t *cursor, float *psi)
{
    const affine_sparse *x = g->x;
    int64_t at = *cursor, end = x->indptr[i + 1];
    double sum = 0.0;

    for (; at < end && x->indices[at] < f0 + STRIP; at++) {
        const int64_t j = x->indices[at] - f0;
        const float v = x->values[at];
        const int level = v >= 1.0f && v <= (float)LEVELS ? (int)v : 0;
        if ((float)level == v && level > 0) {
            sum += (double)t->ratio[level - 1][j];
            psi[j] += t->psi[level - 1][j];
        } else {
            double slope;
            sum += kernel_gamma_ratio((double)t->shape[j], (double)v, &slope);
            psi[j] += (float)slope;
        }
    }
    *cursor = at;
    return sum;
}

/* Features f0 .. f0 + n - 1: the rows of one batch after those of another, each with its table. */
static double strip_terms(const kernel_gamma *g, const int64_t *order, int64_t f0, int64_t n,
                          int64_t *cursor)
{
    const affine_sparse *x = g->x;
    gamma_table table;
    double sum = 0.0;

    for (int64_t q = 0, b = 0; b < g->n_batches; b++) {
        const int64_t at = b * x->n_cols + f0;
        float psi[STRIP] = {0};
        bool filled = false;
        for (; q < x->n_rows && (g->batch ? g->batch[order[q]] : 0) == b; q++) {
            const int64_t i = order[q];
            if (!is_present(x, i)) continue;
            if (!filled) fill_table(&table, g->log_shape + at, n);
            filled = true;
            sum += row_terms(g, &table, i, f0, &cursor[i], psi);
        }
        for (int64_t j = 0; j < n && g->d_log_shape; j++)
            g->d_log_shape[at + j] = filled ? -table.shape[j] * psi[j] : 0.0f;
    }
    return sum;
}

/* Rows by batch, in their order within one. */
static void sort_rows(const kernel_gamma *g, int64_t *order)
{
    int64_t n = 0;

    for (int64_t b = 0; b < g->n_batches; b++)
        for (int64_t i = 0; i < g->x->n_rows; i++)
            if ((g->batch ? g->batch[i] : 0) == b) order[n++] = i;
}

static double gamma_terms(const kernel_gamma *g)
{
    const affine_sparse *x = g->x;
    const int64_t n_strips = (x->n_cols + STRIP - 1) / STRIP;
    const int64_t n_slices = smaller(n_strips, COUNTS_SLICES);
    int64_t *order = (int64_t *)(void *)g->scratch, *cursors = order + x->n_rows;
    double of_slice[COUNTS_SLICES], sum = 0.0;

    sort_rows(g, order);
    PARALLEL_FOR_IF(x->n_rows * x->n_cols > CPU_PARALLEL_MIN)
    for (int64_t s = 0; s < n_slices; s++) {
        const int64_t from = n_strips * s / n_slices, to = n_strips * (s + 1) / n_slices;
        int64_t *cursor = cursors + s * x->n_rows;
        of_slice[s] = 0.0;
        for (int64_t i = 0; i < x->n_rows; i++) cursor[i] = place_of(x, i, from * STRIP);
        for (int64_t strip = from; strip < to; strip++)
            of_slice[s] += strip_terms(g, order, strip * STRIP,
                                       smaller(STRIP, x->n_cols - strip * STRIP), cursor);
    }
    for (int64_t s = 0; s < n_slices; s++) sum += of_slice[s];
    return -sum;
}

void CPU_NAME(cpu_fill_counts)(kernel_table *t)
{
    t->counts_loss = counts_loss;
    t->counts_backward = counts_backward;
    t->gamma_terms = gamma_terms;
}
