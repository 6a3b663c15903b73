/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "data/matrix.h"

/*  . 1 2 .      as CSR with the second row unsorted and (2, 0) given twice
 *  . . . .
 *  3 . 4 5  */
static void make(matrix *m)
{
    const int64_t indptr[] = {0, 2, 2, 6};
    const int32_t indices[] = {1, 2, 3, 0, 2, 0};
    const float values[] = {1, 2, 5, 2, 4, 1};

    assert_int_equal(matrix_init_csr(m, 3, 4, 6), SCW_OK);
    memcpy(m->indptr, indptr, sizeof indptr);
    memcpy(m->indices, indices, sizeof indices);
    memcpy(m->values, values, sizeof values);
}

static const float dense[3][4] = {{0, 1, 2, 0}, {0, 0, 0, 0}, {3, 0, 4, 5}};

static void make_dense(matrix *m)
{
    assert_int_equal(matrix_init_dense(m, 3, 4), SCW_OK);
    memcpy(m->values, dense, sizeof dense);
}

static void check(const matrix *m, int64_t n_rows, int64_t n_cols, const float *expected)
{
    assert_true(m->sparse);
    assert_int_equal(m->n_rows, n_rows);
    assert_int_equal(m->n_cols, n_cols);
    for (int64_t i = 0; i < n_rows; i++) {
        int64_t k = m->indptr[i];
        for (int64_t j = 0; j < n_cols; j++) {
            float v = expected[i * n_cols + j];
            if (v == 0) continue;
            assert_true(k < m->indptr[i + 1]);
            assert_int_equal(m->indices[k], j);
            assert_true(m->values[k] == v);
            k++;
        }
        assert_int_equal(k, m->indptr[i + 1]);
    }
}

static void test_canonical(void **state)
{
    (void)state;
    matrix m;
    make(&m);
    assert_int_equal(matrix_canonical(&m), SCW_OK);
    check(&m, 3, 4, &dense[0][0]);
    m.indices[0] = 4;
    assert_int_equal(matrix_canonical(&m), SCW_EFORMAT);
    m.indices[0] = -1;
    assert_int_equal(matrix_canonical(&m), SCW_EFORMAT);
    m.indices[0] = 1;
    m.indptr[1] = 3;
    m.indptr[2] = 2;
    assert_int_equal(matrix_canonical(&m), SCW_EFORMAT);
    matrix_clear(&m);
}

static void test_rows(void **state)
{
    (void)state;
    const int64_t rows[] = {2, -1, 0, 2}, beyond[] = {3};
    const float expected[4][4] = {{3, 0, 4, 5}, {0}, {0, 1, 2, 0}, {3, 0, 4, 5}};
    matrix m, out;

    for (int which = 0; which < 2; which++) {
        if (which) make_dense(&m);
        else make(&m);
        assert_int_equal(matrix_canonical(&m), SCW_OK);
        assert_int_equal(matrix_rows_csr(&out, &m, rows, 4), SCW_OK);
        check(&out, 4, 4, &expected[0][0]);
        matrix_clear(&out);
        assert_int_equal(matrix_rows_csr(&out, &m, NULL, 0), SCW_OK);
        check(&out, 3, 4, &dense[0][0]);
        matrix_clear(&out);
        assert_int_equal(matrix_rows_csr(&out, &m, beyond, 1), SCW_EINVAL);
        matrix_clear(&m);
    }
}

/* Reordered, absent and repeated columns. */
static void test_columns(void **state)
{
    (void)state;
    const int64_t from[] = {3, -1, 0, 2, 0}, beyond[] = {4};
    const float expected[3][5] = {{0, 0, 0, 2, 0}, {0}, {5, 0, 3, 4, 3}};
    matrix m, out;

    for (int which = 0; which < 2; which++) {
        if (which) make_dense(&m);
        else make(&m);
        assert_int_equal(matrix_canonical(&m), SCW_OK);
        assert_int_equal(matrix_select_columns(&out, &m, from, 5), SCW_OK);
        check(&out, 3, 5, &expected[0][0]);
        matrix_clear(&out);
        assert_int_equal(matrix_select_columns(&out, &m, beyond, 1), SCW_EINVAL);
        matrix_clear(&m);
    }
}

static void test_summary(void **state)
{
    (void)state;
    matrix m;
    matrix_summary s;

    for (int which = 0; which < 2; which++) {
        if (which) make_dense(&m);
        else make(&m);
        assert_int_equal(matrix_canonical(&m), SCW_OK);
        assert_int_equal(matrix_summarise(&s, &m), SCW_OK);
        assert_int_equal(s.nnz, 5);
        assert_true(s.minimum == 0 && s.maximum == 5 && s.sum == 15);
        assert_int_equal(s.n_empty_rows, 1);
        assert_int_equal(s.n_empty_cols, 0);
        assert_int_equal(s.n_negative + s.n_nan + s.n_infinite + s.n_fractional, 0);
        m.values[which ? 1 : 0] = NAN;
        m.values[which ? 2 : 1] = -INFINITY;
        m.values[which ? 8 : 2] = -0.5f;
        assert_int_equal(matrix_summarise(&s, &m), SCW_OK);
        assert_int_equal(s.n_nan, 1);
        assert_int_equal(s.n_infinite, 1);
        assert_int_equal(s.n_negative, 2);
        assert_int_equal(s.n_fractional, 1);
        matrix_clear(&m);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    matrix m;
    assert_int_equal(matrix_init_dense(&m, INT64_MAX, 4), SCW_EINVAL);
    assert_int_equal(matrix_init_dense(&m, -1, 4), SCW_EINVAL);
    assert_int_equal(matrix_init_csr(&m, 1, (int64_t)INT32_MAX + 1, 0), SCW_EINVAL);
    assert_int_equal(matrix_init_csr(&m, 0, 0, 0), SCW_OK);
    assert_int_equal(matrix_canonical(&m), SCW_OK);
    matrix_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_columns),   cmocka_unit_test(test_summary),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
