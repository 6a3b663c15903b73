/* SPDX-License-Identifier: BSD-3-Clause */
/* Transforms and alignment against worked values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "prep/align.h"
#include "prep/transform.h"

static void make_counts(matrix *m, int64_t n, int64_t f, const double *values)
{
    int64_t at = 0, nnz = 0;

    for (int64_t e = 0; e < n * f; e++) nnz += values[e] != 0.0;
    assert_int_equal(matrix_init_csr(m, n, f, nnz), SCW_OK);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < f; j++) {
            if (values[i * f + j] == 0.0) continue;
            m->indices[at] = (int32_t)j;
            m->values[at++] = (float)values[i * f + j];
        }
        m->indptr[i + 1] = at;
    }
}

/* x_ij of a prepared matrix. */
static double input_at(const prepared *p, int64_t i, int64_t j)
{
    double y = 0.0;

    if (p->present && p->present[i] == 0.0f) return 0.0;
    for (int64_t e = p->y.indptr[i]; e < p->y.indptr[i + 1]; e++)
        if (p->y.indices[e] == j) y = (double)p->y.values[e];
    double v = (p->row_scale ? (double)p->row_scale[i] : 1.0) *
               (p->col_scale ? (double)p->col_scale[j] : 1.0) * y;
    return v + (p->row_shift ? (double)p->row_shift[i] : 0.0) +
           (p->col_shift ? (double)p->col_shift[j] : 0.0);
}

static const double small_counts[] = {4, 0, 1, 3, 10, 2, 0, 0, 1, 1, 1, 1};

/* The published transform on the worked example of three cells; the constant cell becomes zeros. */
static void test_matilda_values(void **state)
{
    static const double want[] = {0.943789, -1.266528, -0.314596, 0.637336,
                                  1.36515,  0.130984,  -0.748067, -0.748067,
                                  0,        0,         0,         0};
    matrix counts;
    transform t;
    prepared p;
    (void)state;

    make_counts(&counts, 3, 4, small_counts);
    assert_int_equal(transform_fit(&t, &counts, &(transform_options){.kind = TRANSFORM_MATILDA}),
                     SCW_OK);
    assert_int_equal(transform_apply(&p, &t, &counts, NULL, NULL, false), SCW_OK);
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 4; j++)
            assert_true(fabs(input_at(&p, i, j) - want[i * 4 + j]) < 2e-6);
    prepared_clear(&p);
    transform_clear(&t);
    matrix_clear(&counts);
}

/* TF-IDF, variant A of the field's formulas, before centring. */
static void test_tfidf_values(void **state)
{
    static const double want[] = {8.517393, 0, 7.536897, 8.635154, 9.028139, 7.824446,
                                  0,        0, 7.824446, 8.229778, 8.229778, 8.229778};
    matrix counts;
    transform t;
    prepared p;
    (void)state;

    make_counts(&counts, 3, 4, small_counts);
    assert_int_equal(transform_fit(&t, &counts, &(transform_options){.kind = TRANSFORM_TFIDF}),
                     SCW_OK);
    assert_int_equal(transform_apply(&p, &t, &counts, NULL, NULL, false), SCW_OK);
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 4; j++)
            assert_true(fabs(input_at(&p, i, j) + (double)t.center[j] - want[i * 4 + j]) < 2e-6);
    prepared_clear(&p);
    transform_clear(&t);
    matrix_clear(&counts);
}

/* Columns are centred and the block has a total variance of one; CLR has its formula. */
static void test_clr_and_unit_variance(void **state)
{
    matrix counts;
    transform t;
    prepared p;
    double total = 0.0;
    (void)state;

    make_counts(&counts, 3, 4, small_counts);
    transform_options o = {.kind = TRANSFORM_CLR, .unit_variance = true};
    assert_int_equal(transform_fit(&t, &counts, &o), SCW_OK);
    assert_int_equal(transform_apply(&p, &t, &counts, NULL, NULL, false), SCW_OK);
    double g = exp((log1p(4.0) + log1p(1.0) + log1p(3.0)) / 4.0);
    assert_true(fabs((double)p.y.values[0] - log1p(4.0 / g)) < 1e-6);
    for (int64_t j = 0; j < 4; j++) {
        double sum = 0.0;
        for (int64_t i = 0; i < 3; i++) sum += input_at(&p, i, j);
        assert_true(fabs(sum) < 1e-5);
        for (int64_t i = 0; i < 3; i++) total += input_at(&p, i, j) * input_at(&p, i, j) / 2.0;
    }
    assert_true(fabs(total - 1.0) < 1e-5);
    prepared_clear(&p);
    transform_clear(&t);
    matrix_clear(&counts);
}

/* A query cell's input does not depend on the cells beside it, and a missing feature enters at its
 * training mean. */
static void test_query(void **state)
{
    matrix counts, one;
    transform t;
    prepared all, alone, partial;
    const uint8_t has[] = {1, 1, 0, 1};
    (void)state;

    make_counts(&counts, 3, 4, small_counts);
    make_counts(&one, 1, 4, small_counts + 4);
    transform_options o = {.kind = TRANSFORM_LOG, .unit_variance = true};
    assert_int_equal(transform_fit(&t, &counts, &o), SCW_OK);
    assert_int_equal(transform_apply(&all, &t, &counts, NULL, NULL, false), SCW_OK);
    assert_int_equal(transform_apply(&alone, &t, &one, NULL, NULL, false), SCW_OK);
    assert_int_equal(transform_apply(&partial, &t, &one, has, NULL, false), SCW_OK);
    for (int64_t j = 0; j < 4; j++)
        assert_true(input_at(&all, 1, j) == input_at(&alone, 0, j));
    assert_true(input_at(&partial, 0, 2) == 0.0);
    prepared_clear(&all);
    prepared_clear(&alone);
    prepared_clear(&partial);
    transform_clear(&t);
    matrix_clear(&counts);
    matrix_clear(&one);
}

/* A cell without counts is treated as absent, in every transform. */
static void test_empty_cell(void **state)
{
    static const double counts_with_empty[] = {4, 0, 1, 3, 0, 0, 0, 0, 1, 2, 0, 1};
    matrix counts;
    (void)state;

    make_counts(&counts, 3, 4, counts_with_empty);
    for (int kind = TRANSFORM_MATILDA; kind <= TRANSFORM_TFIDF; kind++) {
        transform t;
        prepared p;
        transform_options o = {.kind = (transform_kind)kind, .unit_variance = true};
        assert_int_equal(transform_fit(&t, &counts, &o), SCW_OK);
        assert_int_equal(transform_apply(&p, &t, &counts, NULL, NULL, false), SCW_OK);
        assert_int_equal(p.n_empty, 1);
        for (int64_t i = 0; i < 3; i++)
            for (int64_t j = 0; j < 4; j++) assert_true(isfinite(input_at(&p, i, j)));
        assert_true(p.present[1] == 0.0f && p.present[0] == 1.0f);
        prepared_clear(&p);
        transform_clear(&t);
    }
    matrix_clear(&counts);
}

static void test_counts_are_checked(void **state)
{
    static const double bad[][4] = {{NAN, 1, 1, 1}, {-1, 1, 1, 1}, {0.5, 1, 1, 1}, {INFINITY, 1, 1, 1}};
    static const char *const word[] = {"NaN", "negative", "whole", "infinite"};
    (void)state;

    for (int k = 0; k < 4; k++) {
        matrix counts;
        make_counts(&counts, 1, 4, bad[k]);
        assert_int_equal(transform_check_counts(&counts, "rna", false), SCW_EDATA);
        assert_non_null(strstr(scw_error_message(), word[k]));
        assert_non_null(strstr(scw_error_message(), "'rna'"));
        matrix_clear(&counts);
    }
    matrix counts;
    make_counts(&counts, 1, 4, bad[2]);
    assert_int_equal(transform_check_counts(&counts, "rna", true), SCW_OK);
    matrix_clear(&counts);
}

static void add_all(strings *s, const char *const *names)
{
    for (; *names; names++) assert_int_equal(strings_add(s, *names), SCW_OK);
}

static void test_alignment(void **state)
{
    static const char *const model[] = {"CD3", "CD19", "CD45RA", "HLA.DR", NULL};
    static const char *const exact[] = {"CD19", "X", "CD3", NULL};
    static const char *const loose[] = {"cd-19", "hla-dr", "cd45ra", "CD3", NULL};
    strings m = {0}, e = {0}, l = {0};
    alignment a;
    (void)state;

    add_all(&m, model);
    add_all(&e, exact);
    add_all(&l, loose);
    assert_int_equal(alignment_build(&a, &m, &e), SCW_OK);
    assert_int_equal(a.n_found, 2);
    assert_int_equal(a.n_extra, 1);
    assert_int_equal(a.from[0], 2);
    assert_int_equal(a.from[1], 0);
    assert_int_equal(a.from[3], -1);
    alignment_clear(&a);
    assert_int_equal(alignment_build(&a, &m, &l), SCW_OK);
    assert_int_equal(a.n_found, 4);
    assert_int_equal(a.from[3], 1);
    alignment_clear(&a);
    strings_clear(&m);
    strings_clear(&e);
    strings_clear(&l);
}

/* A model of Ensembl ids, a query of symbols with versioned ids beside them. */
static void test_alignment_by_ids(void **state)
{
    static const char *const model[] = {"ENSG1", "ENSG2", "ENSG3", NULL};
    static const char *const names[] = {"B", "A", NULL}, *const ids[] = {"ENSG2.7", "ENSG1.12", NULL};
    strings m = {0};
    frame var = {.n_rows = 2};
    column c = {0};
    alignment a;
    (void)state;

    add_all(&m, model);
    add_all(&var.index, names);
    assert_int_equal(column_init(&c, "gene_ids", COLUMN_STRING, 2), SCW_OK);
    add_all(&c.text, ids);
    assert_int_equal(frame_add(&var, &c), SCW_OK);
    assert_int_equal(alignment_build_var(&a, &m, &var), SCW_OK);
    assert_int_equal(a.n_found, 2);
    assert_int_equal(a.from[0], 1);
    assert_int_equal(a.from[1], 0);
    assert_int_equal(a.from[2], -1);
    assert_int_equal(a.n_extra, 0);
    assert_string_equal(a.column, "gene_ids");
    alignment_clear(&a);
    frame_clear(&var);
    strings_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matilda_values),     cmocka_unit_test(test_tfidf_values),
        cmocka_unit_test(test_clr_and_unit_variance), cmocka_unit_test(test_query),
        cmocka_unit_test(test_empty_cell),         cmocka_unit_test(test_counts_are_checked),
        cmocka_unit_test(test_alignment),          cmocka_unit_test(test_alignment_by_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
