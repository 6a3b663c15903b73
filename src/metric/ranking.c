/* SPDX-License-Identifier: BSD-3-Clause */
/* One column at a time, from a column-wise copy of the matrix: its non-zeros, and the zeros by
 * their number. */
#include "metric/ranking.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

typedef struct entry {
    float value;
    int32_t class;
} entry;

/* The cells that have a class, by column. */
typedef struct columns {
    int64_t *from; /* [n_cols + 1] */
    entry *entries;
    int64_t longest, n;
} columns;

/* What one thread works with, [n_classes] each. */
typedef struct desk {
    double *sum, *squares, *rank_sum;
    int64_t *n_nonzero;
} desk;

/* ------------------------------------------------------------------- Student's t */

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method as
 * modified by Thompson and Barnett (1986). Converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0);

    d = 1.0 / (fabs(d) < DBL_MIN ? DBL_MIN : d);
    double f = d;
    for (int m = 1; m < 100000; m++) {
        double k = (double)m, step = 1.0;
        for (int half = 0; half < 2; half++) {
            double top = half == 0 ? k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k))
                                   : -(a + k) * (a + b + k) * x /
                                         ((a + 2.0 * k) * (a + 2.0 * k + 1.0));
            d = 1.0 + top * d;
            c = 1.0 + top / c;
            d = 1.0 / (fabs(d) < DBL_MIN ? DBL_MIN : d);
            if (fabs(c) < DBL_MIN) c = DBL_MIN;
            step = c * d;
            f *= step;
        }
        if (fabs(step - 1.0) < 1e-15) break;
    }
    return f;
}

/* log Gamma(x + 1/2) - log Gamma(x): the difference of two large logarithms loses their digits, so
 * above 100 it is the asymptotic series (DLMF 5.11.13). */
static double log_gamma_half_step(double x)
{
    int sign;

    if (x < 100.0) return lgamma_r(x + 0.5, &sign) - lgamma_r(x, &sign);
    double r = 1.0 / x;
    return 0.5 * log(x) + log1p(r * (-1.0 / 8 + r * (1.0 / 128 + r * (5.0 / 1024 - r * 21.0 / 32768))));
}

/* P(|T| > |t|) = I_x(df / 2, 1 / 2) at x = df / (df + t^2) (DLMF 8.17). */
double ranking_student_p(double t, double df)
{
    const double a = 0.5 * df, b = 0.5, half_log_pi = 0.57236494292470008707;

    if (isnan(t) || isnan(df)) return NAN;
    if (isinf(t)) return 0.0;
    double x = df / (df + t * t), y = t * t / (df + t * t);
    if (t == 0.0) return 1.0;
    /* x^a y^b / Beta(a, b), Gamma(1/2) = sqrt(pi). log x from y keeps digits where x is near 1. */
    double log_x = x > 0.5 ? log1p(-y) : log(x);
    double front = exp(a * log_x + b * log(y) + log_gamma_half_step(a) - half_log_pi);
    if (x < (a + 1.0) / (a + b + 2.0)) return front * beta_fraction(a, b, x) / a;
    return fmax(0.0, 1.0 - front * beta_fraction(b, a, y) / b);
}

/* ------------------------------------------------------------------- columns */

static void columns_clear(columns *c)
{
    mem_free(c->from);
    mem_free(c->entries);
    *c = (columns){0};
}

static scw_status columns_build(columns *out, const matrix *y, const int32_t *classes,
                                int32_t n_classes)
{
    scw_status st = SCW_OK;
    int64_t *at = NULL;

    *out = (columns){0};
    TRY(mem_new(&out->from, y->n_cols + 1));
    TRY(mem_new(&at, y->n_cols));
    for (int64_t i = 0; i < y->n_rows; i++) {
        if (classes[i] >= n_classes)
            FAIL(SCW_EINVAL, "class %d of cell %lld, of %d classes", classes[i], (long long)i,
                 n_classes);
        out->n += classes[i] >= 0;
        for (int64_t e = y->indptr[i]; classes[i] >= 0 && e < y->indptr[i + 1]; e++)
            out->from[y->indices[e] + 1] += y->values[e] != 0.0f;
    }
    for (int64_t j = 0; j < y->n_cols; j++) {
        if (out->from[j + 1] > out->longest) out->longest = out->from[j + 1];
        at[j] = out->from[j];
        out->from[j + 1] += out->from[j];
    }
    TRY(mem_new(&out->entries, out->from[y->n_cols]));
    for (int64_t i = 0; i < y->n_rows; i++)
        for (int64_t e = y->indptr[i]; classes[i] >= 0 && e < y->indptr[i + 1]; e++)
            if (y->values[e] != 0.0f)
                out->entries[at[y->indices[e]]++] = (entry){y->values[e], classes[i]};
done:
    mem_free(at);
    if (st != SCW_OK) columns_clear(out);
    return st;
}

static int compare_entries(const void *a, const void *b)
{
    float x = ((const entry *)a)->value, y = ((const entry *)b)->value;
    return (x > y) - (x < y);
}

/* ------------------------------------------------------------------- the two tests */

/* Per class: sum and squared deviations about its mean (zeros included). */
static void class_moments(const ranking *r, desk *d, const entry *e, int64_t n)
{
    const size_t bytes = (size_t)r->n_classes * sizeof(double);

    memset(d->sum, 0, bytes);
    memset(d->squares, 0, bytes);
    memset(d->n_nonzero, 0, (size_t)r->n_classes * sizeof *d->n_nonzero);
    for (int64_t k = 0; k < n; k++) {
        d->sum[e[k].class] += (double)e[k].value;
        d->n_nonzero[e[k].class]++;
    }
    for (int64_t k = 0; k < n; k++) {
        double v = (double)e[k].value - d->sum[e[k].class] / (double)r->n_cells[e[k].class];
        d->squares[e[k].class] += v * v;
    }
    for (int32_t c = 0; c < r->n_classes; c++) {
        if (r->n_cells[c] == 0) continue;
        double mean = d->sum[c] / (double)r->n_cells[c];
        d->squares[c] += (double)(r->n_cells[c] - d->n_nonzero[c]) * mean * mean;
    }
}

/* Welch (1947), degrees of freedom after Satterthwaite. The rest is put together from its classes,
 * which cancels nothing. */
static void welch(ranking *r, const desk *d, int32_t c, int64_t n, int64_t at)
{
    double n_in = (double)r->n_cells[c], n_out = (double)n - n_in, sum = 0.0, squares = 0.0;

    for (int32_t k = 0; k < r->n_classes; k++)
        if (k != c) sum += d->sum[k];
    double in = n_in > 0.0 ? d->sum[c] / n_in : 0.0, out = n_out > 0.0 ? sum / n_out : 0.0;
    for (int32_t k = 0; k < r->n_classes; k++) {
        if (k == c || r->n_cells[k] == 0) continue;
        double away = d->sum[k] / (double)r->n_cells[k] - out;
        squares += d->squares[k] + (double)r->n_cells[k] * away * away;
    }
    r->mean_in[at] = in;
    r->mean_out[at] = out;
    r->t[at] = 0.0;
    r->p_t[at] = 1.0;
    if (n_in < 2.0 || n_out < 2.0 || in == out) return;
    double a = d->squares[c] / (n_in - 1.0) / n_in, b = squares / (n_out - 1.0) / n_out;
    r->t[at] = (in - out) / sqrt(a + b);
    double df = (a + b) * (a + b) / (a * a / (n_in - 1.0) + b * b / (n_out - 1.0));
    r->p_t[at] = a + b > 0.0 ? ranking_student_p(r->t[at], df) : 0.0;
}

/* Add the mean rank of the tied entries e[0..n-1], which come after `before` others; returns the
 * term n^3 - n of the tie correction. */
static double rank_tied(desk *d, const entry *e, int64_t n, int64_t before)
{
    double rank = (double)before + 0.5 * ((double)n + 1.0), size = (double)n;

    for (int64_t k = 0; k < n; k++) d->rank_sum[e[k].class] += rank;
    return size * (size * size - 1.0);
}

/* Sorts the entries. `n` cells, of which n_entries are not zero. Mann and Whitney (1947); variance
 * with ties: n_in n_out / 12 (n + 1 - sum (g^3 - g) / (n (n - 1))). */
static void rank_sum(ranking *r, desk *d, entry *e, int64_t n_entries, int64_t n, int64_t j)
{
    int64_t n_zero = n - n_entries, n_below = 0;
    double ties = 0.0, cells = (double)n;

    memset(d->rank_sum, 0, (size_t)r->n_classes * sizeof *d->rank_sum);
    qsort(e, (size_t)n_entries, sizeof *e, compare_entries);
    while (n_below < n_entries && e[n_below].value < 0.0f) n_below++;
    for (int64_t k = 0, next; k < n_entries; k = next) {
        for (next = k + 1; next < n_entries && !(e[next].value > e[k].value); next++) {}
        ties += rank_tied(d, e + k, next - k, k + (k >= n_below ? n_zero : 0));
    }
    ties += (double)n_zero * ((double)n_zero * (double)n_zero - 1.0);
    double zero_rank = (double)n_below + 0.5 * ((double)n_zero + 1.0);
    for (int32_t c = 0; c < r->n_classes; c++) {
        double n_in = (double)r->n_cells[c], n_out = cells - n_in;
        double sum = d->rank_sum[c] + (n_in - (double)d->n_nonzero[c]) * zero_rank;
        double u = sum - 0.5 * n_in * (n_in + 1.0);
        double factor = n > 1 ? cells + 1.0 - ties / (cells * (cells - 1.0)) : 0.0;
        double variance = n_in * n_out / 12.0 * factor;
        bool tells = variance > 1e-12 * cells * cells;
        double z = tells ? (u - 0.5 * n_in * n_out) / sqrt(variance) : 0.0;
        r->z[c * r->n_cols + j] = z;
        r->p_z[c * r->n_cols + j] = erfc(fabs(z) * M_SQRT1_2);
    }
}

/* ------------------------------------------------------------------- all columns */

static void desk_clear(desk *d)
{
    mem_free(d->sum);
    mem_free(d->squares);
    mem_free(d->rank_sum);
    mem_free(d->n_nonzero);
}

static scw_status desk_init(desk *d, int32_t n_classes)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&d->sum, n_classes));
    TRY(mem_new(&d->squares, n_classes));
    TRY(mem_new(&d->rank_sum, n_classes));
    TRY(mem_new(&d->n_nonzero, n_classes));
done:
    return st;
}

static scw_status test_columns(ranking *r, columns *x)
{
    scw_status st = SCW_OK;
    int64_t n_desks = threads_get();
    desk *desks = NULL;

    TRY(mem_new(&desks, n_desks));
    for (int64_t k = 0; k < n_desks; k++) TRY(desk_init(&desks[k], r->n_classes));
    PARALLEL_FOR
    for (int64_t k = 0; k < n_desks; k++)
        for (int64_t j = k; j < r->n_cols; j += n_desks) {
            entry *e = x->entries + x->from[j];
            int64_t n = x->from[j + 1] - x->from[j];
            class_moments(r, &desks[k], e, n);
            for (int32_t c = 0; c < r->n_classes; c++)
                welch(r, &desks[k], c, x->n, c * r->n_cols + j);
            rank_sum(r, &desks[k], e, n, x->n, j);
        }
done:
    for (int64_t k = 0; desks && k < n_desks; k++) desk_clear(&desks[k]);
    mem_free(desks);
    return st;
}

scw_status ranking_test(ranking *out, const matrix *y, const int32_t *classes, int32_t n_classes)
{
    scw_status st = SCW_OK;
    columns x = {0};
    int64_t size = n_classes * y->n_cols;

    *out = (ranking){.n_classes = n_classes, .n_cols = y->n_cols};
    if (!y->sparse) FAIL(SCW_EINTERNAL, "ranking: the matrix is dense");
    TRY(mem_new(&out->n_cells, n_classes));
    TRY(mem_new(&out->mean_in, size));
    TRY(mem_new(&out->mean_out, size));
    TRY(mem_new(&out->t, size));
    TRY(mem_new(&out->p_t, size));
    TRY(mem_new(&out->z, size));
    TRY(mem_new(&out->p_z, size));
    TRY(columns_build(&x, y, classes, n_classes));
    for (int64_t i = 0; i < y->n_rows; i++)
        if (classes[i] >= 0) out->n_cells[classes[i]]++;
    TRY(test_columns(out, &x));
done:
    columns_clear(&x);
    if (st != SCW_OK) ranking_clear(out);
    return st;
}

void ranking_clear(ranking *r)
{
    mem_free(r->n_cells);
    mem_free(r->mean_in);
    mem_free(r->mean_out);
    mem_free(r->t);
    mem_free(r->p_t);
    mem_free(r->z);
    mem_free(r->p_z);
    *r = (ranking){0};
}

/* ------------------------------------------------------------------- order, adjustment */

typedef struct scored {
    double score;
    int64_t at;
} scored;

static int compare_scored(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    bool x_nan = isnan(x->score), y_nan = isnan(y->score);

    if (x_nan != y_nan) return x_nan - y_nan;
    if (!x_nan && x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

scw_status ranking_order(int64_t *order, const double *score, int64_t n)
{
    scw_status st = SCW_OK;
    scored *list = NULL;

    TRY(mem_new(&list, n));
    for (int64_t k = 0; k < n; k++) list[k] = (scored){score[k], k};
    qsort(list, (size_t)n, sizeof *list, compare_scored);
    for (int64_t k = 0; k < n; k++) order[k] = list[k].at;
done:
    mem_free(list);
    return st;
}

scw_status ranking_adjust(double *p, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *order = NULL;
    double least = 1.0;
    int64_t tested = 0;

    TRY(mem_new(&order, n));
    TRY(ranking_order(order, p, n)); /* from large to small */
    while (tested < n && !isnan(p[order[tested]])) tested++;
    for (int64_t k = 0; k < tested; k++) {
        least = fmin(least, p[order[k]] * (double)tested / (double)(tested - k));
        p[order[k]] = least;
    }
done:
    mem_free(order);
    return st;
}
