/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast terms of gamma functions. For counts up to LEVELS, a table of the strip's features: for whole x
 *     log G(x + s) / (G(s) x!) = sum over k < x of log((s + k) / (k + 1)),  psi(x + s) - psi(s) = sum of 1 / (s + k)
 * Other values go to kernel/gamma.c, one by one. */
#include "kernel/cpu/cpu.h"

#define STRIP COUNTS_STRIP
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
        for (int64_t i = 0; i < x->n_rows; i++) cursor[i] = first_from(x, i, from * STRIP);
        for (int64_t strip = from; strip < to; strip++)
            of_slice[s] += strip_terms(g, order, strip * STRIP,
                                       smaller(STRIP, x->n_cols - strip * STRIP), cursor);
    }
    for (int64_t s = 0; s < n_slices; s++) sum += of_slice[s];
    return -sum;
}

void CPU_NAME(cpu_fill_gamma)(kernel_table *t)
{
    t->gamma_terms = gamma_terms;
}
