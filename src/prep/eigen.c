/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/eigen.h"

#include <lapacke.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/rng.h"
#include "base/threads.h"

/* All pairs of a, whose k largest values go to w[0 .. k) and vectors to z [k, m], ascending. */
static lapack_int solve_all(double *w, double *z, double *a, lapack_int m, int64_t k)
{
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', m, a, m, w);

    memmove(w, w + m - k, (size_t)k * sizeof *w);
    memcpy(z, a + (m - k) * m, (size_t)(k * m) * sizeof *z);
    return info;
}

scw_status eigen_top(double *values, double *vectors, double *a, int64_t m, int64_t k)
{
    scw_status st = SCW_OK;
    double *w = NULL, *z = NULL, *kept = NULL;
    lapack_int *support = NULL, found = 0, size = (lapack_int)m;

    TRY(mem_new(&w, m));
    TRY(mem_new(&z, m * k)); /* [k, m] */
    TRY(mem_new(&support, 2 * k));
    TRY(mem_new(&kept, m * m));
    memcpy(kept, a, (size_t)(m * m) * sizeof *kept);
    int before = dense_enter();
    lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'L', size, a, size, 0.0, 0.0,
                                     (lapack_int)(m - k + 1), size, 0.0, &found, w, z, size, support);
    /* Bisection may lose count where many values are equal, as the zeros of a matrix of low rank are. */
    if (info != 0 || found != k) info = solve_all(w, z, kept, size, k);
    dense_leave(before);
    if (info != 0)
        FAIL(SCW_ENUMERIC, "the eigenvalue solver failed (dsyevd info %d) on a matrix of %lld rows",
             (int)info, (long long)m);
    for (int64_t c = 0; c < k; c++) {
        values[c] = w[k - 1 - c];
        for (int64_t r = 0; r < m; r++)
            vectors[r * k + c] = z[(k - 1 - c) * m + r];
    }
done:
    mem_free(w);
    mem_free(z);
    mem_free(kept);
    mem_free(support);
    return st;
}

/* Orthonormal columns in place, a [m, l], l <= m. Row-major [m, l] is column-major [l, m]: the LQ
 * factorisation of that leaves them where they are. */
static scw_status orthonormalise(double *a, int64_t m, int64_t l, double *tau)
{
    int before = dense_enter();
    lapack_int rows = (lapack_int)l, cols = (lapack_int)m;
    lapack_int info = LAPACKE_dgelqf(LAPACK_COL_MAJOR, rows, cols, a, rows, tau);
    if (info == 0) info = LAPACKE_dorglq(LAPACK_COL_MAJOR, rows, cols, rows, a, rows, tau);
    dense_leave(before);
    if (info != 0)
        return status_fail(SCW_ENUMERIC, "principal components: orthogonalisation failed (info %d)",
                           (int)info);
    return SCW_OK;
}

/* w [m, l] -= basis basis^T w over the first `used` columns of basis [m, size]. */
static void project_out(double *w, const double *basis, int64_t m, int64_t l, int64_t used,
                        int64_t size, double *overlap)
{
    dense_shape inner = {.trans_a = true,
                         .m = used,
                         .n = l,
                         .k = m,
                         .ld_a = size,
                         .ld_b = l,
                         .ld_c = l,
                         .alpha = 1.0};
    dense_shape outer = {
        .m = m, .n = l, .k = used, .ld_a = size, .ld_b = l, .ld_c = l, .alpha = -1.0, .beta = 1.0};
    dense_product(&inner, basis, w, overlap);
    dense_product(&outer, basis, overlap, w);
}

static void copy_block(double *to, int64_t ld_to, const double *from, int64_t ld_from, int64_t m,
                       int64_t l)
{
    for (int64_t r = 0; r < m; r++)
        memcpy(to + r * ld_to, from + r * ld_from, (size_t)l * sizeof *to);
}

typedef struct krylov {
    int64_t l, size;       /* columns of a block, of the space */
    double *basis, *image; /* [m, size] Q and G Q */
    double *block, *next;  /* [m, l] */
    double *overlap, *tau; /* [size, l], [l] */
    double *small, *ritz;  /* [size, size] Q^T G Q, [size, k] */
} krylov;

static void krylov_clear(krylov *s)
{
    mem_free(s->basis);
    mem_free(s->image);
    mem_free(s->block);
    mem_free(s->next);
    mem_free(s->overlap);
    mem_free(s->tau);
    mem_free(s->small);
    mem_free(s->ritz);
}

static scw_status krylov_init(krylov *s, int64_t m, int64_t k)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&s->basis, m * s->size));
    TRY(mem_new(&s->image, m * s->size));
    TRY(mem_new(&s->block, m * s->l));
    TRY(mem_new(&s->next, m * s->l));
    TRY(mem_new(&s->overlap, s->size * s->l));
    TRY(mem_new(&s->tau, s->l));
    TRY(mem_new(&s->small, s->size * s->size));
    TRY(mem_new(&s->ritz, s->size * k));
done:
    return st;
}

/* Fill basis and image: block after block, each orthogonal to all before it. The second projection
 * after normalising matters where G b nearly lies in the space already. */
static scw_status krylov_build(krylov *s, const eigen_problem *q, uint64_t seed)
{
    scw_status st = SCW_OK;
    int64_t m = q->m, l = s->l;
    rng_key key = rng_make_key(seed, RNG_PCA, 0);

    PARALLEL_FOR
    for (int64_t e = 0; e < m * l; e++)
        s->block[e] = rng_normal(key, 0, (uint64_t)e);
    TRY(orthonormalise(s->block, m, l, s->tau));
    for (int64_t used = 0; used < s->size; used += l) {
        copy_block(s->basis + used, s->size, s->block, l, m, l);
        TRY(q->apply(s->next, q->context, s->block, l));
        copy_block(s->image + used, s->size, s->next, l, m, l);
        if (used + l >= s->size) break;
        for (int pass = 0; pass < 2; pass++) {
            project_out(s->next, s->basis, m, l, used + l, s->size, s->overlap);
            TRY(orthonormalise(s->next, m, l, s->tau));
        }
        double *kept = s->block;
        s->block = s->next;
        s->next = kept;
    }
done:
    return st;
}

/* Rayleigh-Ritz in the Krylov space. */
scw_status eigen_krylov(double *values, double *vectors, const eigen_problem *q, int64_t k,
                        int64_t n_blocks, uint64_t seed)
{
    scw_status st = SCW_OK;
    int64_t m = q->m, l = k + EIGEN_OVERSAMPLE;
    krylov s = {.l = l, .size = l * n_blocks};

    TRY(krylov_init(&s, m, k));
    TRY(krylov_build(&s, q, seed));
    dense_shape inner = {.trans_a = true,
                         .m = s.size,
                         .n = s.size,
                         .k = m,
                         .ld_a = s.size,
                         .ld_b = s.size,
                         .ld_c = s.size,
                         .alpha = 1.0};
    dense_product(&inner, s.basis, s.image, s.small);
    TRY(eigen_top(values, s.ritz, s.small, s.size, k));
    dense_shape outer = {
        .m = m, .n = k, .k = s.size, .ld_a = s.size, .ld_b = k, .ld_c = k, .alpha = 1.0};
    dense_product(&outer, s.basis, s.ritz, vectors);
done:
    krylov_clear(&s);
    return st;
}
