/* SPDX-License-Identifier: BSD-3-Clause */
/* Principal components against a planted spectrum and against a plain dense computation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "prep/eigen.h"
#include "prep/pca.h"

/* Sparse random counts with `rank` planted programmes of falling strength. */
static void make_counts(matrix *m, int64_t n, int64_t p, int rank)
{
    rng_key key = rng_make_key(2, RNG_TEST, 2);
    int64_t nnz = 0;

    assert_int_equal(matrix_init_csr(m, n, p, n * p), SCW_OK);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < p; j++) {
            double mean = 0.05;
            if (j % 10 < rank && i % 11 == j % 10) mean = 3.0 - 0.3 * (double)(j % 10);
            double u = rng_uniform(key, 0, (uint64_t)(i * p + j));
            if (u < exp(-mean)) continue;
            m->indices[nnz] = (int32_t)j;
            m->values[nnz++] = u < exp(-mean) * (1.0 + mean) ? 1.0f : 2.0f;
        }
        m->indptr[i + 1] = nnz;
    }
}

/* Largest |Xc^T Xc v - s^2 v| over the components, relative to the largest s^2. */
static double worst_residual(const pca *c, const matrix *m, bool centred)
{
    double worst = 0.0, *xv = NULL, *back = NULL;

    assert_int_equal(mem_new(&xv, m->n_rows), SCW_OK);
    assert_int_equal(mem_new(&back, m->n_cols), SCW_OK);
    for (int64_t h = 0; h < c->k; h++) {
        double square = c->singular_values[h] * c->singular_values[h], along = 0.0, sum = 0.0;
        for (int64_t j = 0; j < c->p; j++) along += c->mean[j] * c->components[j * c->k + h];
        memset(back, 0, (size_t)c->p * sizeof *back);
        for (int64_t i = 0; i < m->n_rows; i++) {
            xv[i] = centred ? -along : 0.0;
            for (int64_t e = m->indptr[i]; e < m->indptr[i + 1]; e++) {
                int32_t j = m->indices[e];
                xv[i] += c->col_scale[j] * (double)m->values[e] * c->components[j * c->k + h];
            }
            sum += xv[i];
            for (int64_t e = m->indptr[i]; e < m->indptr[i + 1]; e++)
                back[m->indices[e]] += c->col_scale[m->indices[e]] * (double)m->values[e] * xv[i];
        }
        for (int64_t j = 0; j < c->p; j++) {
            double gap = back[j] - (centred ? c->mean[j] * sum : 0.0) -
                         square * c->components[j * c->k + h];
            worst = fmax(worst, fabs(gap));
        }
    }
    mem_free(xv);
    mem_free(back);
    return worst / (c->singular_values[0] * c->singular_values[0]);
}

static double worst_overlap(const pca *c)
{
    double worst = 0.0;
    for (int64_t a = 0; a < c->k; a++)
        for (int64_t b = 0; b <= a; b++) {
            double dot = 0.0;
            for (int64_t j = 0; j < c->p; j++)
                dot += c->components[j * c->k + a] * c->components[j * c->k + b];
            worst = fmax(worst, fabs(dot - (a == b)));
        }
    return worst;
}

static void check_shape(int64_t n, int64_t p, int64_t k, const pca_options *how, double tolerance)
{
    matrix m;
    pca c;
    pca_options o = *how;

    make_counts(&m, n, p, 7);
    o.k = k;
    assert_int_equal(pca_fit(&c, &m, &o), SCW_OK);
    assert_true(worst_residual(&c, &m, !o.uncentred) < tolerance);
    assert_true(worst_overlap(&c) < 1e-9);
    for (int64_t h = 0; h < c.k; h++) {
        double most = 0.0;
        assert_true(h == 0 || c.variances[h] <= c.variances[h - 1]);
        for (int64_t j = 0; j < c.p; j++)
            if (fabs(c.components[j * c.k + h]) > fabs(most)) most = c.components[j * c.k + h];
        assert_true(most > 0.0);
    }
    pca_clear(&c);
    matrix_clear(&m);
}

static void exact_tall_and_wide(void **state)
{
    static float scale[200];
    (void)state;

    for (int j = 0; j < 200; j++) scale[j] = 0.5f + 0.01f * (float)j;
    check_shape(300, 90, 12, &(pca_options){0}, 1e-12);
    check_shape(90, 200, 12, &(pca_options){0}, 1e-12);
    check_shape(300, 90, 12, &(pca_options){.uncentred = true}, 1e-12);
    check_shape(300, 150, 12, &(pca_options){.col_scale = scale}, 1e-12);
    check_shape(90, 200, 12, &(pca_options){.col_scale = scale}, 1e-12);
    check_shape(90, 200, 12, &(pca_options){.col_scale = scale, .uncentred = true}, 1e-12);
}

/* 1400 rows or columns is beyond the exact solver, 3100 beyond a formed G: seven strong components
 * stand clear of the noise and must come out exactly all the same. */
static void krylov_finds_planted_components(void **state)
{
    (void)state;
    check_shape(1700, 1400, 6, &(pca_options){.seed = 1}, 1e-7);
    check_shape(1400, 1700, 6, &(pca_options){.seed = 1}, 1e-7);
    check_shape(3150, 3100, 6, &(pca_options){.seed = 1}, 1e-5);
}

static void variances_add_up_and_scores_carry_them(void **state)
{
    enum { ROWS = 60, COLS = 25 };
    static float scores[ROWS * COLS];
    matrix m;
    pca c;
    double sum = 0.0;
    (void)state;

    make_counts(&m, ROWS, COLS, 7);
    assert_int_equal(pca_fit(&c, &m, &(pca_options){.k = 99}), SCW_OK);
    assert_int_equal(c.k, COLS);
    assert_int_equal(pca_scores(scores, &c, &m), SCW_OK);
    for (int64_t h = 0; h < c.k; h++) {
        double mean = 0.0, square = 0.0;
        sum += c.variances[h];
        for (int i = 0; i < ROWS; i++) mean += (double)scores[i * c.k + h] / ROWS;
        for (int i = 0; i < ROWS; i++)
            square += ((double)scores[i * c.k + h] - mean) * ((double)scores[i * c.k + h] - mean);
        assert_true(fabs(mean) < 1e-6);
        assert_true(fabs(square / (ROWS - 1) - c.variances[h]) < 1e-5 * c.variances[0]);
    }
    assert_true(fabs(sum / c.total_variance - 1.0) < 1e-12);
    pca_clear(&c);
    matrix_clear(&m);
}

static void same_bits_with_any_threads(void **state)
{
    matrix m;
    pca one, three;
    (void)state;

    make_counts(&m, 1500, 1400, 7);
    threads_set(1);
    assert_int_equal(pca_fit(&one, &m, &(pca_options){.k = 8, .seed = 4}), SCW_OK);
    threads_set(3);
    assert_int_equal(pca_fit(&three, &m, &(pca_options){.k = 8, .seed = 4}), SCW_OK);
    threads_set(0);
    assert_memory_equal(one.components, three.components,
                        (size_t)(one.p * one.k) * sizeof *one.components);
    assert_memory_equal(one.variances, three.variances, (size_t)one.k * sizeof *one.variances);
    pca_clear(&one);
    pca_clear(&three);
    matrix_clear(&m);
}

/* Two equal rows: centred, nothing is left; and one direction only in three rows. */
static void beyond_the_rank(void **state)
{
    matrix m;
    pca c;
    (void)state;

    assert_int_equal(matrix_init_csr(&m, 3, 4, 3), SCW_OK);
    for (int i = 0; i < 3; i++) {
        m.indices[i] = 2;
        m.values[i] = (float)i;
        m.indptr[i + 1] = i + 1;
    }
    assert_int_equal(pca_fit(&c, &m, &(pca_options){.k = 3}), SCW_OK);
    assert_true(fabs(c.variances[0] - 1.0) < 1e-12 && c.variances[1] == 0.0);
    assert_true(fabs(c.components[2 * 3] - 1.0) < 1e-12);
    for (int j = 0; j < 4; j++) assert_true(c.components[j * 3 + 1] == 0.0);
    pca_clear(&c);
    for (int i = 0; i < 3; i++) m.values[i] = 1.0f;
    assert_int_equal(pca_fit(&c, &m, &(pca_options){.k = 2}), SCW_OK);
    assert_true(c.variances[0] < 1e-12 && c.total_variance < 1e-12);
    pca_clear(&c);
    matrix_clear(&m);
}

/* More eigenpairs than differ from one: the coupling of a wide and a narrow set, as canonical correlation
 * has it. Bisection alone loses count of the many equal ones. */
static void equal_eigenvalues(void **state)
{
    enum { WIDE = 100, NARROW = 10, M = WIDE + NARROW, K = 20 };
    rng_key key = rng_make_key(5, RNG_TEST, 7);
    double *a = NULL, *kept = NULL, *vectors = NULL, values[K];

    (void)state;
    assert_int_equal(mem_new(&a, M * M), SCW_OK);
    assert_int_equal(mem_new(&kept, M * M), SCW_OK);
    assert_int_equal(mem_new(&vectors, M * K), SCW_OK);
    for (int trial = 0; trial < 40; trial++) {
        memset(kept, 0, M * M * sizeof *kept);
        for (int r = 0; r < WIDE; r++)
            for (int c = WIDE; c < M; c++)
                kept[r * M + c] = kept[c * M + r] =
                    0.05 * rng_normal(key, (uint32_t)trial, (uint64_t)(r * M + c));
        for (int r = 0; r < M; r++) kept[r * M + r] = 1.0;
        memcpy(a, kept, M * M * sizeof *a);
        assert_int_equal(eigen_top(values, vectors, a, M, K), SCW_OK);
        for (int h = 0; h < K; h++) {
            assert_true(h < NARROW ? values[h] > 1.01 : fabs(values[h] - 1.0) < 1e-10);
            for (int g = 0; g <= h; g++) {
                double along = g == h ? -1.0 : 0.0;
                for (int r = 0; r < M; r++) along += vectors[r * K + h] * vectors[r * K + g];
                assert_true(fabs(along) < 1e-10);
            }
            for (int r = 0; r < M; r++) {
                double gap = -values[h] * vectors[r * K + h];
                for (int c = 0; c < M; c++) gap += kept[r * M + c] * vectors[c * K + h];
                assert_true(fabs(gap) < 1e-10);
            }
        }
    }
    mem_free(a);
    mem_free(kept);
    mem_free(vectors);
}

static void refuses(void **state)
{
    matrix m = {0};
    pca c;
    (void)state;

    assert_int_equal(matrix_init_dense(&m, 3, 3), SCW_OK);
    assert_int_equal(pca_fit(&c, &m, &(pca_options){.k = 2}), SCW_EINVAL);
    matrix_clear(&m);
    make_counts(&m, 20, 10, 3);
    assert_int_equal(pca_fit(&c, &m, &(pca_options){.k = 0}), SCW_EINVAL);
    m.n_rows = 1;
    assert_int_equal(pca_fit(&c, &m, &(pca_options){.k = 2}), SCW_EDATA);
    m.n_rows = 20;
    m.values[3] = NAN;
    assert_int_equal(pca_fit(&c, &m, &(pca_options){.k = 2}), SCW_EDATA);
    matrix_clear(&m);
}

static void memory_runs_out_anywhere(void **state)
{
    matrix m;
    (void)state;

    make_counts(&m, 40, 30, 5);
    scw_status st = SCW_ENOMEM;
    for (int64_t n = 1; st != SCW_OK && n < 100; n++) {
        pca c;
        (void)mem_fail_at(n);
        st = pca_fit(&c, &m, &(pca_options){.k = 5});
        assert_true(st == SCW_OK || st == SCW_ENOMEM);
        pca_clear(&c);
    }
    (void)mem_fail_at(0);
    assert_int_equal(st, SCW_OK);
    matrix_clear(&m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_tall_and_wide),
        cmocka_unit_test(krylov_finds_planted_components),
        cmocka_unit_test(variances_add_up_and_scores_carry_them),
        cmocka_unit_test(same_bits_with_any_threads),
        cmocka_unit_test(beyond_the_rank),
        cmocka_unit_test(equal_eigenvalues),
        cmocka_unit_test(refuses),
        cmocka_unit_test(memory_runs_out_anywhere),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
