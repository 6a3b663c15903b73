/* SPDX-License-Identifier: BSD-3-Clause */
/* With m = min(n, p) the work is done on the symmetric G [m, m], G = Xc^T Xc or Xc Xc^T. G is
 * formed where it is small, and applied as two sparse products with centring corrections otherwise:
 *     Xc B   = Y (c * B) - 1 (mean^T B)
 *     Xc^T A = c * (Y^T A) - mean (1^T A)
 * Every loop writes disjoint rows and every sum has a fixed order. */
#include "prep/pca.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"
#include "kernel/kernel.h"
#include "prep/eigen.h"

#define EXACT_SIZE 1300 /* largest m for LAPACK's eigensolver */
#define GRAM_SIZE 3000  /* largest m for which G is formed */
#define TILE 64         /* rows of G formed together */
#define GRAM_BLOCKS 12  /* blocks of the Krylov space: cheap with G at hand */
#define SPARSE_BLOCKS 7

/* Compressed lists: the rows of Y, or its columns. */
typedef struct lists {
    int64_t n;
    const int64_t *start;   /* [n + 1] */
    const int32_t *indices; /* [nnz] ascending within a list */
    const float *values;    /* [nnz] */
} lists;

typedef struct problem {
    int64_t n, p, m;
    bool by_columns; /* m is p: G = Xc^T Xc */
    lists rows, cols;
    const double *scale, *mean; /* [p] */
    double *gram;               /* [m, m], or NULL: apply the sparse products */
    double *half;               /* [max(n, p), l] result of the first product */
    double *scaled;             /* [p, l] c * B */
    double *margin;             /* [l] mean^T B or 1^T A */
} problem;

void pca_clear(pca *c)
{
    mem_free(c->components);
    mem_free(c->singular_values);
    mem_free(c->variances);
    mem_free(c->mean);
    mem_free(c->col_scale);
    memset(c, 0, sizeof *c);
}

/* ------------------------------------------------------------- sparse pieces */

/* Columns of Y as lists, in new memory. */
static scw_status make_columns(lists *out, const matrix *y, int64_t **start, int32_t **indices,
                               float **values)
{
    scw_status st = SCW_OK;
    int64_t *at = NULL;

    TRY(mem_new(&at, y->n_cols));
    TRY(mem_new(start, y->n_cols + 1));
    TRY(mem_new(indices, matrix_nnz(y)));
    TRY(mem_new(values, matrix_nnz(y)));
    for (int64_t e = 0; e < matrix_nnz(y); e++) (*start)[y->indices[e] + 1]++;
    for (int64_t j = 0; j < y->n_cols; j++) {
        (*start)[j + 1] += (*start)[j];
        at[j] = (*start)[j];
    }
    for (int64_t i = 0; i < y->n_rows; i++) {
        for (int64_t e = y->indptr[i]; e < y->indptr[i + 1]; e++) {
            int64_t to = at[y->indices[e]]++;
            (*indices)[to] = (int32_t)i;
            (*values)[to] = y->values[e];
        }
    }
    *out = (lists){y->n_cols, *start, *indices, *values};
done:
    mem_free(at);
    return st;
}

/* out [list->n, l] = S B - 1 margin^T with S the matrix whose rows are the lists; then, if given,
 * row r times scale_r minus shift_r margin^T instead. */
static void sparse_product(double *out, const lists *s, const double *b, int64_t l,
                           const double *scale, const double *shift, const double *margin)
{
    const kernel_lists rows = {s->start, s->indices, s->values};

    PARALLEL_FOR
    for (int64_t r = 0; r < s->n; r++) {
        double *to = out + r * l;
        double times = scale ? scale[r] : 1.0, less = shift ? shift[r] : 1.0;
        memset(to, 0, (size_t)l * sizeof *to);
        kernel_lists_gather(&rows, r, r + 1, b, l, out);
        for (int64_t h = 0; h < l; h++) to[h] = times * to[h] - less * margin[h];
    }
}

/* margin [l] = sum_r weight_r b_rh (weight NULL: ones). */
static void weighted_sum(double *margin, const double *weight, const double *b, int64_t n,
                         int64_t l)
{
    memset(margin, 0, (size_t)l * sizeof *margin);
    for (int64_t r = 0; r < n; r++) {
        double w = weight ? weight[r] : 1.0;
        for (int64_t h = 0; h < l; h++) margin[h] += w * b[r * l + h];
    }
}

/* out [n, l] = Xc b, b [p, l] */
static void apply_x(double *out, problem *q, const double *b, int64_t l)
{
    weighted_sum(q->margin, q->mean, b, q->p, l);
    PARALLEL_FOR
    for (int64_t j = 0; j < q->p; j++)
        for (int64_t h = 0; h < l; h++) q->scaled[j * l + h] = q->scale[j] * b[j * l + h];
    sparse_product(out, &q->rows, q->scaled, l, NULL, NULL, q->margin);
}

/* out [p, l] = Xc^T a, a [n, l] */
static void apply_xt(double *out, problem *q, const double *a, int64_t l)
{
    weighted_sum(q->margin, NULL, a, q->n, l);
    sparse_product(out, &q->cols, a, l, q->scale, q->mean, q->margin);
}

/* out [m, l] = G b */
static scw_status apply_gram(double *out, void *context, const double *b, int64_t l)
{
    problem *q = context;

    if (q->gram) {
        dense_shape s = {.m = q->m, .n = l, .k = q->m, .ld_a = q->m, .ld_b = l, .ld_c = l,
                         .alpha = 1.0};
        dense_product(&s, q->gram, b, out);
    } else if (q->by_columns) {
        apply_x(q->half, q, b, l);
        apply_xt(out, q, q->half, l);
    } else {
        apply_xt(q->half, q, b, l);
        apply_x(out, q, q->half, l);
    }
    return SCW_OK;
}

/* Position in list i of the first index not below `bound`. */
static int64_t lower_bound(const lists *s, int64_t i, int64_t bound)
{
    int64_t low = s->start[i], high = s->start[i + 1];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (s->indices[middle] < bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Rows first .. first + TILE of the upper triangle of sum_i w_i^2 y_i y_i^T over the lists y_i: the
 * tile stays in the cache while the lists stream by. */
static void gram_tile(double *gram, int64_t m, int64_t first, const lists *s, const double *weight)
{
    int64_t last = first + TILE < m ? first + TILE : m;

    for (int64_t i = 0; i < s->n; i++) {
        int64_t end = s->start[i + 1], at = lower_bound(s, i, first);
        double square = weight ? weight[i] * weight[i] : 1.0;
        for (; at < end && s->indices[at] < last; at++) {
            double *to = gram + s->indices[at] * m, v = square * (double)s->values[at];
            for (int64_t f = at; f < end; f++) to[s->indices[f]] += v * (double)s->values[f];
        }
    }
}

/* All of G; row_mean [n] is mean . x_i, for the X X^T form. */
static void form_gram(problem *q, const double *row_mean)
{
    int64_t m = q->m, n_tiles = (m + TILE - 1) / TILE;
    const lists *summed = q->by_columns ? &q->rows : &q->cols;
    const double *weight = q->by_columns ? NULL : q->scale;
    double square = 0.0;

    /* Tiles of a triangle are uneven: a long one goes with a short one. */
    PARALLEL_FOR
    for (int64_t pair = 0; pair < (n_tiles + 1) / 2; pair++) {
        int64_t other = n_tiles - 1 - pair;
        gram_tile(q->gram, m, pair * TILE, summed, weight);
        if (other != pair) gram_tile(q->gram, m, other * TILE, summed, weight);
    }
    for (int64_t j = 0; j < q->p; j++) square += q->mean[j] * q->mean[j];
    PARALLEL_FOR
    for (int64_t r = 0; r < m; r++) {
        double *to = q->gram + r * m;
        for (int64_t s = r; s < m; s++) {
            if (q->by_columns)
                to[s] = to[s] * q->scale[r] * q->scale[s] - (double)q->n * q->mean[r] * q->mean[s];
            else
                to[s] += square - row_mean[r] - row_mean[s];
        }
    }
    PARALLEL_FOR
    for (int64_t r = 0; r < m; r++)
        for (int64_t s = 0; s < r; s++) q->gram[r * m + s] = q->gram[s * m + r];
}

/* ------------------------------------------------------------- fit */

/* Column means, and the sum of squares of the centred X; NaN and infinities show in the latter. */
static double column_moments(double *mean, const problem *q, bool uncentred)
{
    double total = 0.0;

    for (int64_t j = 0; j < q->p; j++) {
        double sum = 0.0, squares = 0.0;
        for (int64_t e = q->cols.start[j]; e < q->cols.start[j + 1]; e++) {
            double v = q->scale[j] * (double)q->cols.values[e];
            sum += v;
            squares += v * v;
        }
        mean[j] = uncentred ? 0.0 : sum / (double)q->n;
        total += squares - (double)q->n * mean[j] * mean[j];
    }
    return total;
}

/* Scratch of the sparse products for blocks of l columns. */
static scw_status prepare_products(problem *q, int64_t l)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&q->half, (q->n > q->p ? q->n : q->p) * l));
    TRY(mem_new(&q->scaled, q->p * l));
    TRY(mem_new(&q->margin, l));
done:
    return st;
}

static scw_status prepare_gram(problem *q)
{
    scw_status st = SCW_OK;
    double *row_mean = NULL;

    TRY(mem_new(&q->gram, q->m * q->m));
    TRY(mem_new(&row_mean, q->n));
    PARALLEL_FOR
    for (int64_t i = 0; i < q->n; i++)
        for (int64_t e = q->rows.start[i]; e < q->rows.start[i + 1]; e++) {
            int32_t j = q->rows.indices[e];
            row_mean[i] += q->mean[j] * q->scale[j] * (double)q->rows.values[e];
        }
    form_gram(q, row_mean);
done:
    mem_free(row_mean);
    return st;
}

/* Leading eigenpairs of G, by the way that suits its size. */
static scw_status solve(double *values, double *vectors, problem *q, int64_t k, uint64_t seed)
{
    scw_status st = SCW_OK;
    int64_t n_blocks = q->m <= GRAM_SIZE ? GRAM_BLOCKS : SPARSE_BLOCKS, l = k + EIGEN_OVERSAMPLE;

    while (n_blocks > 1 && n_blocks * l > q->m) n_blocks--;
    bool exact = q->m <= EXACT_SIZE || n_blocks < 4; /* a space that nearly fills G gains nothing */
    if (exact || q->m <= GRAM_SIZE) TRY(prepare_gram(q));
    if (!exact && !q->gram) TRY(prepare_products(q, l));
    if (exact)
        TRY(eigen_top(values, vectors, q->gram, q->m, k));
    else
        TRY(eigen_krylov(values, vectors, &(eigen_problem){q->m, apply_gram, q}, k, n_blocks, seed));
done:
    return st;
}

/* components = vectors, or Xc^T vectors / s where G is X X^T; then signs. */
static scw_status set_components(pca *c, problem *q, const double *vectors)
{
    scw_status st = SCW_OK;
    int64_t k = c->k;

    if (q->by_columns) {
        memcpy(c->components, vectors, (size_t)(q->p * k) * sizeof *vectors);
    } else {
        if (!q->margin) TRY(mem_new(&q->margin, k));
        apply_xt(c->components, q, vectors, k);
    }
    for (int64_t h = 0; h < k; h++) {
        double s = c->singular_values[h], scale = s > 0.0 ? (q->by_columns ? 1.0 : 1.0 / s) : 0.0;
        double most = 0.0;
        for (int64_t j = 0; j < q->p; j++)
            if (fabs(c->components[j * k + h]) > fabs(most)) most = c->components[j * k + h];
        if (most < 0.0) scale = -scale;
        for (int64_t j = 0; j < q->p; j++) c->components[j * k + h] *= scale;
    }
done:
    return st;
}

static scw_status check_input(const matrix *y, const pca_options *options)
{
    if (!y->sparse || options->k < 1)
        return status_fail(SCW_EINVAL, "principal components: %s",
                           y->sparse ? "the number of components must be 1 or more"
                                     : "the matrix must be sparse");
    if (y->n_rows < 2 || y->n_cols < 1)
        return status_fail(
            SCW_EDATA, "principal components need 2 rows and 1 column or more, found %lld x %lld",
            (long long)y->n_rows, (long long)y->n_cols);
    return SCW_OK;
}

static scw_status alloc_result(pca *c, const pca_options *options)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&c->components, c->p * c->k));
    TRY(mem_new(&c->singular_values, c->k));
    TRY(mem_new(&c->variances, c->k));
    TRY(mem_new(&c->mean, c->p));
    TRY(mem_new(&c->col_scale, c->p));
    for (int64_t j = 0; j < c->p; j++)
        c->col_scale[j] = options->col_scale ? (double)options->col_scale[j] : 1.0;
done:
    return st;
}

scw_status pca_fit(pca *out, const matrix *y, const pca_options *options)
{
    scw_status st = SCW_OK;
    pca c = {0};
    problem q = {0};
    int64_t *start = NULL;
    int32_t *indices = NULL;
    float *values = NULL;
    double *eigenvalues = NULL, *vectors = NULL;

    memset(out, 0, sizeof *out);
    TRY(check_input(y, options));
    q.n = y->n_rows;
    q.p = c.p = y->n_cols;
    q.by_columns = q.p <= q.n;
    q.m = q.by_columns ? q.p : q.n;
    c.k = options->k < q.m ? options->k : q.m;
    TRY(alloc_result(&c, options));
    q.rows = (lists){y->n_rows, y->indptr, y->indices, y->values};
    q.scale = c.col_scale;
    q.mean = c.mean;
    TRY(make_columns(&q.cols, y, &start, &indices, &values));
    double total = column_moments(c.mean, &q, options->uncentred);
    if (!isfinite(total))
        FAIL(SCW_EDATA, "principal components: the matrix holds values that are not finite");
    TRY(mem_new(&eigenvalues, c.k));
    TRY(mem_new(&vectors, q.m * c.k));
    TRY(solve(eigenvalues, vectors, &q, c.k, options->seed));
    double noise = (double)q.m * 2.3e-16 * fmax(eigenvalues[0], 0.0);
    for (int64_t h = 0; h < c.k; h++) {
        double square = eigenvalues[h] > noise ? eigenvalues[h] : 0.0;
        c.singular_values[h] = sqrt(square);
        c.variances[h] = square / (double)(q.n - 1);
    }
    c.total_variance = fmax(total, 0.0) / (double)(q.n - 1);
    TRY(set_components(&c, &q, vectors));
    *out = c;
    memset(&c, 0, sizeof c);
done:
    pca_clear(&c);
    mem_free(start);
    mem_free(indices);
    mem_free(values);
    mem_free(eigenvalues);
    mem_free(vectors);
    mem_free(q.gram);
    mem_free(q.half);
    mem_free(q.scaled);
    mem_free(q.margin);
    return st;
}

scw_status pca_scores(float *scores, const pca *c, const matrix *y)
{
    scw_status st = SCW_OK;
    double *margin = NULL, *scaled = NULL, *sums = NULL;
    int64_t k = c->k;

    if (!y->sparse || y->n_cols != c->p)
        FAIL(SCW_EINVAL, "principal components: scores need a sparse matrix of %lld columns, not a "
             "%s one of %lld", (long long)c->p, y->sparse ? "sparse" : "dense",
             (long long)y->n_cols);
    TRY(mem_new(&margin, k));
    TRY(mem_new(&scaled, c->p * k));
    TRY(mem_new(&sums, y->n_rows * k));
    weighted_sum(margin, c->mean, c->components, c->p, k);
    for (int64_t j = 0; j < c->p; j++)
        for (int64_t h = 0; h < k; h++)
            scaled[j * k + h] = c->col_scale[j] * c->components[j * k + h];
    lists rows = {y->n_rows, y->indptr, y->indices, y->values};
    sparse_product(sums, &rows, scaled, k, NULL, NULL, margin);
    for (int64_t e = 0; e < y->n_rows * k; e++) scores[e] = (float)sums[e];
done:
    mem_free(margin);
    mem_free(scaled);
    mem_free(sums);
    return st;
}
