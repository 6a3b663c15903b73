/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns that take part are numbered 0 .. m - 1; all the work is on those. In each block the sums
 * over rows run in the order of the rows, one column (or tile of G) a thread.
 *
 * With fewer rows than columns the eigenproblem is that of Xc Xc^T [n, n], applied by two passes:
 *     T = X^T B - mean (1^T B),   G B = X T - 1 (mean^T T). */
#include "prep/pca_stream.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "prep/eigen.h"
#include "prep/panels.h"
#include "prep/pass.h"

#define EXACT_SIZE 1300
#define MOST_BLOCKS 7
#define FEWEST_BLOCKS 4
#define SPACE_BYTES (1LL << 30) /* the Krylov space keeps to this by having fewer blocks */
#define TILE 64
#define STRIPE_COLUMNS 64 /* of Xc Xc^T formed by two passes */
#define STRIPE 32         /* components whose scores are summed together */

typedef struct stream {
    block_reader *rows;
    const scw_hooks *hooks;
    int64_t n, p, m;
    int32_t *number;       /* [p] of a column that takes part, else -1 */
    int64_t *column;       /* [m] back */
    double *mean;          /* [m] */
    double *sum, *squares; /* [m] */
    bool by_rows;          /* G = Xc Xc^T */
    int64_t side;          /* rows of G: m, or n */
    double *gram;          /* [side, side] or NULL */
    panels block;                  /* the present one */
    /* of an application */
    const double *b; /* [m, l] */
    double *out;     /* [m, l] */
    double *inner;   /* [rows of a block, l] x_i^T B */
    double *half;    /* [m, l] T, by rows */
    int64_t inner_room, half_room, l;
} stream;

static void stream_clear(stream *s)
{
    mem_free(s->number);
    mem_free(s->column);
    mem_free(s->mean);
    mem_free(s->sum);
    mem_free(s->squares);
    mem_free(s->gram);
    panels_clear(&s->block);
    mem_free(s->inner);
    mem_free(s->half);
}

void pca_stream_clear(pca_stream *c)
{
    mem_free(c->components);
    mem_free(c->singular_values);
    mem_free(c->variances);
    mem_free(c->mean);
    *c = (pca_stream){0};
}

static scw_status visit_moments(void *state, const row_block *b)
{
    stream *s = state;
    const matrix *x = &b->x;

    for (int64_t e = 0; e < x->indptr[x->n_rows]; e++) {
        int32_t j = s->number[x->indices[e]];
        if (j < 0) continue;
        double v = (double)x->values[e];
        s->sum[j] += v;
        s->squares[j] += v * v;
    }
    return SCW_OK;
}

/* ------------------------------------------------------------- G */

/* Rows first .. first + TILE of the upper triangle of sum_i x_i x_i^T over the block's rows. */
static void add_tile(stream *s, const matrix *x, int64_t first)
{
    int64_t last = first + TILE < s->m ? first + TILE : s->m;

    for (int64_t i = 0; i < x->n_rows; i++) {
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            int32_t a = s->number[x->indices[e]];
            if (a < first) continue;
            if (a >= last) break;
            double v = (double)x->values[e], *to = s->gram + a * s->m;
            for (int64_t f = e; f < x->indptr[i + 1]; f++) {
                int32_t c = s->number[x->indices[f]];
                if (c >= 0) to[c] += v * (double)x->values[f];
            }
        }
    }
}

static scw_status visit_gram(void *state, const row_block *b)
{
    stream *s = state;
    int64_t n_tiles = (s->m + TILE - 1) / TILE;

    /* Tiles of a triangle are uneven: a long one goes with a short one. */
    PARALLEL_FOR
    for (int64_t pair = 0; pair < (n_tiles + 1) / 2; pair++) {
        int64_t other = n_tiles - 1 - pair;
        add_tile(s, &b->x, pair * TILE);
        if (other != pair) add_tile(s, &b->x, other * TILE);
    }
    return SCW_OK;
}

static scw_status apply_by_rows(double *out, void *context, const double *b, int64_t l);

/* Stripe by stripe, by applying G to columns of the identity. */
static scw_status form_gram_by_rows(stream *s)
{
    scw_status st = SCW_OK;
    int64_t n = s->side;
    double *unit = NULL, *stripe = NULL;

    TRY(mem_new(&s->gram, n * n));
    TRY(mem_new(&stripe, n * STRIPE_COLUMNS));
    for (int64_t first = 0; first < n; first += STRIPE_COLUMNS) {
        int64_t l = n - first < STRIPE_COLUMNS ? n - first : STRIPE_COLUMNS;
        mem_free(unit);
        TRY(mem_new(&unit, n * l));
        for (int64_t h = 0; h < l; h++)
            unit[(first + h) * l + h] = 1.0;
        TRY(apply_by_rows(stripe, s, unit, l));
        for (int64_t i = 0; i < n; i++)
            memcpy(s->gram + i * n + first, stripe + i * l, (size_t)l * sizeof *stripe);
    }
    for (int64_t i = 0; i < n; i++) /* the two triangles differ by rounding */
        for (int64_t j = 0; j < i; j++)
            s->gram[i * n + j] = s->gram[j * n + i];
done:
    mem_free(unit);
    mem_free(stripe);
    return st;
}

static scw_status form_gram(stream *s)
{
    scw_status st = SCW_OK;
    int64_t m = s->m;

    if (s->by_rows) return form_gram_by_rows(s);

    TRY(mem_new(&s->gram, m * m));
    TRY(blocks_each(s->rows, "principal components", s->hooks, visit_gram, s));
    for (int64_t a = 0; a < m; a++)
        for (int64_t c = a; c < m; c++) {
            s->gram[a * m + c] -= (double)s->n * s->mean[a] * s->mean[c];
            s->gram[c * m + a] = s->gram[a * m + c];
        }
done:
    return st;
}

static scw_status visit_product(void *state, const row_block *block)
{
    scw_status st = SCW_OK;
    stream *s = state;
    const matrix *x = &block->x;

    if (x->n_rows * s->l > s->inner_room) {
        TRY(mem_resize(&s->inner, x->n_rows * s->l));
        s->inner_room = x->n_rows * s->l;
    }
    TRY(panels_set(&s->block, x, s->number, s->m));
    panels_times(s->inner, &s->block, s->b, s->l);
    panels_add_transposed(s->out, &s->block, s->inner, s->l);
done:
    return st;
}

/* The two passes by rows: T += X^T B of the block's rows, and X T into them. */
static scw_status visit_transposed(void *state, const row_block *block)
{
    scw_status st = SCW_OK;
    stream *s = state;

    TRY(panels_set(&s->block, &block->x, s->number, s->m));
    panels_add_transposed(s->half, &s->block, s->b + block->from * s->l, s->l);
done:
    return st;
}

static scw_status visit_forward(void *state, const row_block *block)
{
    scw_status st = SCW_OK;
    stream *s = state;

    TRY(panels_set(&s->block, &block->x, s->number, s->m));
    panels_times(s->out + block->from * s->l, &s->block, s->half, s->l);
done:
    return st;
}

/* out [m, l] = G b */
static scw_status apply_stream(double *out, void *context, const double *b, int64_t l)
{
    scw_status st = SCW_OK;
    stream *s = context;
    double *margin = NULL;

    TRY(mem_new(&margin, l));
    memset(out, 0, (size_t)(s->m * l) * sizeof *out);
    s->b = b;
    s->out = out;
    s->l = l;
    TRY(blocks_each(s->rows, "principal components", s->hooks, visit_product, s));
    for (int64_t j = 0; j < s->m; j++)
        for (int64_t h = 0; h < l; h++)
            margin[h] += s->mean[j] * b[j * l + h];
    PARALLEL_FOR
    for (int64_t j = 0; j < s->m; j++)
        for (int64_t h = 0; h < l; h++)
            out[j * l + h] -= (double)s->n * s->mean[j] * margin[h];
done:
    mem_free(margin);
    return st;
}

/* half [m, l] = Xc^T b, b [n, l] */
static scw_status transposed_times(stream *s, const double *b, int64_t l)
{
    scw_status st = SCW_OK;
    double *margin = NULL;

    TRY(mem_new(&margin, l));
    if (s->m * l > s->half_room) {
        TRY(mem_resize(&s->half, s->m * l));
        s->half_room = s->m * l;
    }
    memset(s->half, 0, (size_t)(s->m * l) * sizeof *s->half);
    s->b = b;
    s->l = l;
    TRY(blocks_each(s->rows, "principal components", s->hooks, visit_transposed, s));
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t h = 0; h < l; h++)
            margin[h] += b[i * l + h];
    PARALLEL_FOR
    for (int64_t j = 0; j < s->m; j++)
        for (int64_t h = 0; h < l; h++)
            s->half[j * l + h] -= s->mean[j] * margin[h];
done:
    mem_free(margin);
    return st;
}

/* out [n, l] = Xc Xc^T b */
static scw_status apply_by_rows(double *out, void *context, const double *b, int64_t l)
{
    scw_status st = SCW_OK;
    stream *s = context;
    double *margin = NULL;

    TRY(transposed_times(s, b, l));
    s->out = out;
    TRY(blocks_each(s->rows, "principal components", s->hooks, visit_forward, s));
    TRY(mem_new(&margin, l));
    for (int64_t j = 0; j < s->m; j++)
        for (int64_t h = 0; h < l; h++)
            margin[h] += s->mean[j] * s->half[j * l + h];
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t h = 0; h < l; h++)
            out[i * l + h] -= margin[h];
done:
    mem_free(margin);
    return st;
}

/* ------------------------------------------------------------- fit */

static scw_status number_columns(stream *s, const uint8_t *selected)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&s->number, s->p));
    TRY(mem_new(&s->column, s->p));
    for (int64_t j = 0; j < s->p; j++) {
        bool takes_part = !selected || selected[j];
        s->number[j] = takes_part ? (int32_t)s->m : -1;
        if (takes_part) s->column[s->m++] = j;
    }
    TRY(mem_new(&s->mean, s->m));
    TRY(mem_new(&s->sum, s->m));
    TRY(mem_new(&s->squares, s->m));
done:
    return st;
}

static scw_status solve(double *values, double *vectors, stream *s, int64_t k, uint64_t seed)
{
    scw_status st = SCW_OK;
    int64_t l = k + EIGEN_OVERSAMPLE, n_blocks = MOST_BLOCKS;

    while (n_blocks > FEWEST_BLOCKS && 16 * s->side * l * n_blocks > SPACE_BYTES)
        n_blocks--;
    while (n_blocks > 1 && n_blocks * l > s->side)
        n_blocks--;
    const eigen_problem g = {s->side, s->by_rows ? apply_by_rows : apply_stream, s};
    if (s->side <= EXACT_SIZE || n_blocks < FEWEST_BLOCKS) {
        TRY(form_gram(s));
        TRY(eigen_top(values, vectors, s->gram, s->side, k));
    } else {
        TRY(eigen_krylov(values, vectors, &g, k, n_blocks, seed));
    }
done:
    return st;
}

/* Vectors [m, k], or by rows Xc^T vectors / s, to their columns; of each the entry of largest size
 * becomes positive, and one without variance becomes zero. */
static scw_status set_components(pca_stream *c, stream *s, const double *vectors)
{
    scw_status st = SCW_OK;

    if (s->by_rows) {
        TRY(transposed_times(s, vectors, c->k));
        vectors = s->half;
    }
    for (int64_t h = 0; h < c->k; h++) {
        double most = 0.0, sv = c->singular_values[h];
        for (int64_t j = 0; j < s->m; j++)
            if (fabs(vectors[j * c->k + h]) > fabs(most)) most = vectors[j * c->k + h];
        double scale = sv > 0.0 ? (s->by_rows ? 1.0 / sv : 1.0) * (most < 0.0 ? -1.0 : 1.0) : 0.0;
        for (int64_t j = 0; j < s->m; j++)
            c->components[s->column[j] * c->k + h] = scale * vectors[j * c->k + h];
    }
done:
    return st;
}

static scw_status moments(pca_stream *c, stream *s, bool uncentred)
{
    scw_status st = SCW_OK;
    double total = 0.0;

    TRY(blocks_each(s->rows, "principal components", s->hooks, visit_moments, s));
    for (int64_t j = 0; j < s->m; j++) {
        s->mean[j] = uncentred ? 0.0 : s->sum[j] / (double)s->n;
        c->mean[s->column[j]] = s->mean[j];
        total += s->squares[j] - (double)s->n * s->mean[j] * s->mean[j];
    }
    if (!isfinite(total))
        FAIL(SCW_EDATA, "principal components: the matrix holds values that are not finite");
    c->total_variance = fmax(total, 0.0) / (double)(s->n - 1);
done:
    return st;
}

static scw_status alloc_result(pca_stream *c)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&c->components, c->p * c->k));
    TRY(mem_new(&c->singular_values, c->k));
    TRY(mem_new(&c->variances, c->k));
    TRY(mem_new(&c->mean, c->p));
done:
    return st;
}

scw_status pca_stream_fit(pca_stream *out, block_reader *rows, const pca_stream_options *options,
                          const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    pca_stream c = {.n = rows->n_rows, .p = rows->n_cols};
    stream s = {.rows = rows, .hooks = hooks, .n = rows->n_rows, .p = rows->n_cols};
    double *values = NULL, *vectors = NULL;

    *out = (pca_stream){0};
    if (options->k < 1)
        FAIL(SCW_EINVAL, "principal components: the number of components must be 1 or more");
    TRY(number_columns(&s, options->selected));
    if (s.n < 2 || s.m < 1)
        FAIL(SCW_EDATA,
             "principal components need 2 cells and 1 feature or more, found %lld and "
             "%lld",
             (long long)s.n, (long long)s.m);
    int64_t rank = s.n < s.m ? s.n : s.m;
    c.k = options->k < rank ? options->k : rank;
    TRY(alloc_result(&c));
    TRY(moments(&c, &s, options->uncentred));
    TRY(mem_new(&values, c.k));
    s.by_rows = s.n < s.m;
    s.side = rank;
    TRY(mem_new(&vectors, s.side * c.k));
    TRY(solve(values, vectors, &s, c.k, options->seed));
    double noise = (double)s.side * 2.3e-16 * fmax(values[0], 0.0);
    for (int64_t h = 0; h < c.k; h++) {
        double square = values[h] > noise ? values[h] : 0.0;
        c.singular_values[h] = sqrt(square);
        c.variances[h] = square / (double)(s.n - 1);
    }
    TRY(set_components(&c, &s, vectors));
    *out = c;
    c = (pca_stream){0};
done:
    pca_stream_clear(&c);
    stream_clear(&s);
    mem_free(values);
    mem_free(vectors);
    return st;
}

/* ------------------------------------------------------------- scores */

typedef struct scoring {
    float *scores;
    const double *components, *margin;
    int64_t k;
} scoring;

static scw_status visit_scores(void *state, const row_block *b)
{
    const scoring *s = state;
    const matrix *x = &b->x;
    int64_t k = s->k;

    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        float *to = s->scores + (b->from + i) * k;
        for (int64_t first = 0; first < k; first += STRIPE) {
            int64_t width = k - first < STRIPE ? k - first : STRIPE;
            double sum[STRIPE] = {0.0};
            for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
                const double *from = s->components + x->indices[e] * k + first;
                double v = (double)x->values[e];
                for (int64_t h = 0; h < width; h++)
                    sum[h] += v * from[h];
            }
            for (int64_t h = 0; h < width; h++)
                to[first + h] = (float)(sum[h] - s->margin[first + h]);
        }
    }
    return SCW_OK;
}

scw_status pca_stream_scores(float *scores, block_reader *rows, const double *components,
                             const double *mean, int64_t k, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double *margin = NULL;

    TRY(mem_new(&margin, k));
    for (int64_t j = 0; j < rows->n_cols; j++)
        for (int64_t h = 0; h < k; h++)
            margin[h] += mean[j] * components[j * k + h];
    scoring s = {scores, components, margin, k};
    TRY(blocks_each(rows, "scores", hooks, visit_scores, &s));
done:
    mem_free(margin);
    return st;
}
