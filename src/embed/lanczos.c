/* SPDX-License-Identifier: BSD-3-Clause */
/* Lanczos with thick restarts (Wu & Simon, SIAM J. Matrix Anal. Appl. 22, 2000).
 *
 *   basis  v_0 ... v_{m-1}, v_m      rows of length n, orthonormal; v_m is the next one
 *   H      [m, m] = V A V^T          all inner products are kept, so that it needs no special form
 *
 * When the basis is full, the best third of the Ritz vectors and v_m start the next one: all of
 * them have their residuals along v_m, and so the space stays a Krylov space. Each new vector is
 * made orthogonal to all others twice. Every inner product is one thread's sum, in one order. */
#include "embed/lanczos.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/threads.h"

#define BASIS 48
#define CHUNK 1024 /* elements of a vector that one thread updates */

typedef struct lanczos {
    const lanczos_problem *p;
    int64_t m, filled; /* vectors of a full basis; columns of H that are complete */
    double *basis;     /* [m + 1, n] */
    double *rotated;   /* [m, n] */
    double *h;         /* [m, m] */
    double *ritz;      /* [m, m] rows are eigenvectors of H, values ascending */
    double *value;     /* [m] */
    double *dots;      /* [m + 1] */
    double coupling;   /* |residual| of the last product: the factor of v_m */
    int64_t n_products;
} lanczos;

/* Four running sums, always added in the same order. */
static double dot(const double *a, const double *b, int64_t n)
{
    double sum[4] = {0.0};
    int64_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (int l = 0; l < 4; l++)
            sum[l] += a[i + l] * b[i + l];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* out [count, n] = c [count, rows (row length ld)] from [rows, n], added to what is there. */
static void combine(double *out, int64_t count, const double *c, int64_t ld, const double *from,
                    int64_t rows, int64_t n)
{
    PARALLEL_FOR
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t length = n - at < CHUNK ? n - at : CHUNK;
        for (int64_t i = 0; i < count; i++)
            for (int64_t r = 0; r < rows; r++) {
                const double *x = from + r * n + at;
                double *y = out + i * n + at, factor = c[i * ld + r];
                for (int64_t e = 0; e < length; e++)
                    y[e] += factor * x[e];
            }
    }
}

/* x -= its parts along the first `rows` basis vectors and the known one. If `kept`, the parts along
 * the basis are added to it. */
static void orthogonalise(lanczos *s, double *x, int64_t rows, double *kept)
{
    int64_t n = s->p->n;

    PARALLEL_FOR
    for (int64_t r = 0; r < rows; r++)
        s->dots[r] = -dot(s->basis + r * n, x, n);
    combine(x, 1, s->dots, rows, s->basis, rows, n);
    for (int64_t r = 0; r < rows && kept; r++)
        kept[r] -= s->dots[r];
    if (s->p->known) {
        double part = -dot(s->p->known, x, n);
        combine(x, 1, &part, 1, s->p->known, 1, n);
    }
}

static double normalise(double *x, int64_t n)
{
    double length = sqrt(dot(x, x, n));
    for (int64_t i = 0; i < n && length > 0.0; i++)
        x[i] /= length;
    return length;
}

/* A new direction for row `at` of the basis: where the space is exhausted, or to begin with. */
static void draw(lanczos *s, int64_t at)
{
    int64_t n = s->p->n;
    double *x = s->basis + at * n;
    rng_key key = rng_make_key(s->p->seed, RNG_UMAP, 1);

    PARALLEL_FOR
    for (int64_t i = 0; i < n; i++)
        x[i] = rng_normal(key, (uint32_t)s->n_products, (uint64_t)i);
    for (int pass = 0; pass < 2; pass++) {
        orthogonalise(s, x, at, NULL);
        (void)normalise(x, n);
    }
}

/* Column j of H, and the next basis vector. */
static void extend(lanczos *s, int64_t j)
{
    int64_t n = s->p->n;
    double *next = s->basis + (j + 1) * n, *column = s->value; /* value is free until `solve` */

    s->p->apply(next, s->basis + j * n, s->p->with);
    s->n_products++;
    double scale = sqrt(dot(next, next, n));
    memset(column, 0, (size_t)s->m * sizeof *column);
    for (int pass = 0; pass < 2; pass++)
        orthogonalise(s, next, j + 1, column);
    for (int64_t i = 0; i <= j; i++)
        s->h[i * s->m + j] = s->h[j * s->m + i] = column[i];
    s->coupling = normalise(next, n);
    if (!(s->coupling > 1e-12 * scale)) { /* an invariant space: go on elsewhere */
        s->coupling = 0.0;
        if (j + 1 < n - (s->p->known != NULL)) draw(s, j + 1);
    }
    s->filled = j + 1;
}

static scw_status solve(lanczos *s)
{
    scw_status st = SCW_OK;

    memcpy(s->ritz, s->h, (size_t)(s->m * s->m) * sizeof *s->h);
    int before = dense_enter();
    lapack_int info = LAPACKE_dsyev(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)s->m, s->ritz,
                                    (lapack_int)s->m, s->value);
    dense_leave(before);
    if (info != 0)
        FAIL(SCW_ENUMERIC, "spectral start: the eigenvalue solver failed (dsyev info %d)",
             (int)info);
done:
    return st;
}

/* Residual of the i-th best Ritz pair. */
static double residual_of(const lanczos *s, int64_t i)
{
    return s->coupling * fabs(s->ritz[(s->m - 1 - i) * s->m + s->m - 1]);
}

/* The first `count` rows of `rotated` become the best Ritz vectors, best first. */
static void rotate(lanczos *s, int64_t count)
{
    int64_t n = s->p->n;

    memset(s->rotated, 0, (size_t)(count * n) * sizeof *s->rotated);
    for (int64_t i = 0; i < count; i++)
        combine(s->rotated + i * n, 1, s->ritz + (s->m - 1 - i) * s->m, s->m, s->basis, s->m, n);
}

static void restart(lanczos *s, int64_t keep)
{
    int64_t n = s->p->n;

    rotate(s, keep);
    memcpy(s->basis, s->rotated, (size_t)(keep * n) * sizeof *s->basis);
    memcpy(s->basis + keep * n, s->basis + s->m * n, (size_t)n * sizeof *s->basis);
    memset(s->h, 0, (size_t)(s->m * s->m) * sizeof *s->h);
    for (int64_t i = 0; i < keep; i++)
        s->h[i * s->m + i] = s->value[s->m - 1 - i];
    s->filled = keep;
}

static scw_status init(lanczos *s)
{
    scw_status st = SCW_OK;
    int64_t n = s->p->n;

    TRY(mem_new(&s->basis, (s->m + 1) * n));
    TRY(mem_new(&s->rotated, s->m * n));
    TRY(mem_new(&s->h, s->m * s->m));
    TRY(mem_new(&s->ritz, s->m * s->m));
    TRY(mem_new(&s->value, s->m));
    TRY(mem_new(&s->dots, s->m + 1));
    draw(s, 0);
done:
    return st;
}

static void clear(lanczos *s)
{
    mem_free(s->basis);
    mem_free(s->rotated);
    mem_free(s->h);
    mem_free(s->ritz);
    mem_free(s->value);
    mem_free(s->dots);
}

static void make_positive(double *x, int64_t n)
{
    int64_t largest = 0;

    for (int64_t i = 1; i < n; i++)
        if (fabs(x[i]) > fabs(x[largest])) largest = i;
    if (x[largest] >= 0.0) return;
    for (int64_t i = 0; i < n; i++)
        x[i] = -x[i];
}

scw_status lanczos_find(double *values, double *vectors, double *residual,
                        const lanczos_problem *problem, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int64_t n = problem->n, k = problem->k, room = n - (problem->known != NULL);
    lanczos s = {.p = problem, .m = room < BASIS ? room : BASIS};

    if (k < 1 || k > s.m)
        FAIL(SCW_EINTERNAL, "%lld eigenpairs of %lld", (long long)k, (long long)room);
    TRY(init(&s));
    for (;;) {
        TRY(log_check_cancel(hooks));
        for (int64_t j = s.filled; j < s.m; j++)
            extend(&s, j);
        TRY(solve(&s));
        *residual = 0.0;
        for (int64_t i = 0; i < k; i++)
            *residual = fmax(*residual, residual_of(&s, i));
        double size = fmax(fabs(s.value[0]), fabs(s.value[s.m - 1]));
        if (*residual <= problem->tolerance * size || s.m == room || s.n_products >= problem->most)
            break;
        restart(&s, s.m / 3 > k ? s.m / 3 : k);
    }
    rotate(&s, k);
    for (int64_t i = 0; i < k; i++) {
        values[i] = s.value[s.m - 1 - i];
        memcpy(vectors + i * n, s.rotated + i * n, (size_t)n * sizeof *vectors);
        make_positive(vectors + i * n, n);
    }
done:
    clear(&s);
    return st;
}
