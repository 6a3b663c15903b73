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

/* Entries in and out of order, twice the same, with room in the rows. */
static void test_builder(void **state)
{
    static const int64_t entry[][3] = {{0, 2, 1}, {1, 1, 2}, {3, 0, 3}, {1, 0, 4}, {3, 0, 5}, {0, 2, 7}};
    (void)state;
    for (int exact = 0; exact < 2; exact++) {
        for (int sorted = 0; sorted < 2; sorted++) {
            matrix_builder b;
            matrix m, t;
            assert_int_equal(matrix_builder_init(&b, 2, 3, exact), SCW_OK);
            assert_int_equal(matrix_builder_grow_rows(&b, 5), SCW_OK);
            for (int k = 0; k < (sorted ? 3 : 6); k++)
                assert_int_equal(matrix_builder_add(&b, entry[k][0], entry[k][1], (double)entry[k][2]),
                                 SCW_OK);
            assert_int_equal(b.major == NULL, sorted);
            assert_int_equal(matrix_builder_finish(&m, &b), SCW_OK);
            assert_int_equal(m.n_rows, 5);
            assert_int_equal(matrix_nnz(&m), sorted ? 3 : 4);
            assert_int_equal(m.indptr[2] - m.indptr[1], sorted ? 1 : 2);
            assert_true(matrix_value(&m, 0) == (sorted ? 1 : 8));
            assert_true(matrix_value(&m, matrix_nnz(&m) - 1) == (sorted ? 3 : 8));
            assert_int_equal(matrix_transpose(&t, &m), SCW_OK);
            assert_int_equal(t.n_rows, 3);
            assert_int_equal(t.indices[matrix_nnz(&t) - 1], 0);
            assert_true(matrix_value(&t, matrix_nnz(&t) - 1) == (sorted ? 1 : 8));
            matrix_clear(&m);
            matrix_clear(&t);
        }
    }
}

static void test_stack(void **state)
{
    const int64_t from[] = {2, 0, -1};
    matrix a, b, all;
    (void)state;
    assert_int_equal(matrix_init_dense(&a, 1, 3), SCW_OK);
    assert_int_equal(matrix_init_csr(&b, 1, 2, 2), SCW_OK);
    for (int j = 0; j < 3; j++) a.values[j] = (float)j + 1;
    b.indptr[1] = 2;
    b.indices[1] = 1;
    b.values[0] = 5;
    b.values[1] = 6;
    a.stored = NUMBER_U8;
    b.stored = NUMBER_I8;
    const matrix *parts[] = {&a, &b};
    const int64_t *to[] = {from, NULL};
    assert_int_equal(matrix_stack(&all, parts, to, 2, 4), SCW_OK);
    assert_int_equal(all.n_rows, 2);
    assert_int_equal(all.n_cols, 4);
    assert_int_equal(all.stored, NUMBER_I16);
    assert_int_equal(matrix_nnz(&all), 4);
    assert_true(all.indices[0] == 0 && matrix_value(&all, 0) == 2);
    assert_true(all.indices[1] == 2 && matrix_value(&all, 1) == 1);
    assert_true(all.indices[3] == 1 && matrix_value(&all, 3) == 6);
    matrix_clear(&a);
    matrix_clear(&b);
    matrix_clear(&all);
}

static void test_number_types(void **state)
{
    (void)state;
    assert_int_equal(number_type_join(NUMBER_F32, NUMBER_I16), NUMBER_F32);
    assert_int_equal(number_type_join(NUMBER_F32, NUMBER_I32), NUMBER_F64);
    assert_int_equal(number_type_join(NUMBER_U16, NUMBER_U32), NUMBER_U32);
    assert_int_equal(number_type_join(NUMBER_I64, NUMBER_U32), NUMBER_I64);
    assert_int_equal(number_type_join(NUMBER_U32, NUMBER_I8), NUMBER_I64);
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
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_builder),
        cmocka_unit_test(test_stack),     cmocka_unit_test(test_number_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
