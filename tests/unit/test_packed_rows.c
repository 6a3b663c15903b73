/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed rows are the rows that were added, bit for bit, in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "data/packed_rows.h"

#define ROWS 300
#define COLS 200000 /* distances of one, two and three bytes */

/* Rows of counts; every seventh has what is no count, every eleventh nothing. */
static void make(matrix *m)
{
    static const float odd[] = {0.5f, -3.0f, -0.0f, 3e9f, 1e-30f, 16777216.0f};
    const rng_key key = rng_make_key(7, RNG_TEST, 0);
    matrix_builder b = {0};

    assert_int_equal(matrix_builder_init(&b, ROWS, COLS, false), SCW_OK);
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = 0, k = 0; i % 11 && k < 40; k++) {
            const uint64_t at = (uint64_t)(i * 40 + k);
            j += (int64_t)rng_below(key, 0, at, k % 4 ? 100 : COLS / 50);
            double v = (double)(1 + rng_below(key, 1, at, k % 5 ? 3 : 2000000));
            if (i % 7 == 0 && k < 6) v = (double)odd[k];
            assert_int_equal(matrix_builder_add(&b, i, j++, v), SCW_OK);
        }
    }
    assert_int_equal(matrix_builder_finish(m, &b), SCW_OK);
    matrix_builder_clear(&b);
}

static void pack(packed_rows **p, const matrix *m)
{
    int64_t rows[ROWS];
    matrix part = {0};

    assert_int_equal(packed_rows_new(p, COLS, NULL), SCW_OK);
    for (int64_t i = 0; i < ROWS; i++) rows[i] = i;
    for (int64_t at = 0; at < ROWS; at += 77) {
        assert_int_equal(matrix_rows_csr(&part, m, rows + at, at + 77 < ROWS ? 77 : ROWS - at), SCW_OK);
        assert_int_equal(packed_rows_add(*p, &part), SCW_OK);
        matrix_clear(&part);
    }
}

static void assert_same(const matrix *a, const matrix *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->n_cols, b->n_cols);
    assert_memory_equal(a->indptr, b->indptr, (size_t)(a->n_rows + 1) * sizeof *a->indptr);
    assert_memory_equal(a->indices, b->indices, (size_t)matrix_nnz(a) * sizeof *a->indices);
    assert_memory_equal(a->values, b->values, (size_t)matrix_nnz(a) * sizeof *a->values);
}

static void test_any_order(void **state)
{
    matrix m = {0}, shape = {.n_rows = ROWS, .n_cols = COLS, .sparse = true}, want = {0}, got = {0};
    packed_rows *p = NULL;
    int64_t rows[2 * ROWS];

    (void)state;
    make(&m);
    pack(&p, &m);
    assert_true(p->file.size < 6 * matrix_nnz(&m));
    for (int64_t i = 0; i < 2 * ROWS; i++)
        rows[i] = i % 13 == 0 ? -1 : i < ROWS ? (i * 91) % ROWS : i - ROWS;
    packed_rows_ahead(p, rows, 2 * ROWS);
    assert_int_equal(matrix_rows_csr(&want, &m, rows, 2 * ROWS), SCW_OK);
    assert_int_equal(row_list_take(&got, &(row_list){&shape, p, rows, 2 * ROWS}), SCW_OK);
    assert_same(&got, &want);
    matrix_clear(&got);
    assert_int_equal(row_list_take(&got, &(row_list){&m, NULL, rows, 2 * ROWS}), SCW_OK);
    assert_same(&got, &want);
    matrix_clear(&m);
    matrix_clear(&want);
    matrix_clear(&got);
    packed_rows_free(p);
}

static void test_reader(void **state)
{
    matrix m = {0}, shape = {.n_rows = ROWS, .n_cols = COLS, .sparse = true}, want = {0};
    packed_rows *p = NULL;
    int64_t rows[ROWS], seen = 0;
    block_reader *r = NULL;
    row_block b = {0};
    bool more;

    (void)state;
    make(&m);
    pack(&p, &m);
    for (int64_t i = 0; i < ROWS; i++) rows[i] = ROWS - 1 - i;
    assert_int_equal(row_list_reader(&r, &(row_list){&shape, p, rows, ROWS}), SCW_OK);
    assert_int_equal(r->nnz, matrix_nnz(&m));
    r->block_rows = 64;
    for (;; seen += b.x.n_rows) {
        assert_int_equal(block_reader_next(&b, r, &more), SCW_OK);
        if (!more) break;
        assert_int_equal(matrix_rows_csr(&want, &m, rows + b.from, b.x.n_rows), SCW_OK);
        assert_same(&b.x, &want);
        matrix_clear(&want);
    }
    assert_int_equal(seen, ROWS);
    row_block_clear(&b);
    block_reader_free(r);
    matrix_clear(&m);
    packed_rows_free(p);
}

static void test_no_place(void **state)
{
    matrix m = {0};
    packed_rows *p = NULL;

    (void)state;
    make(&m);
    assert_int_equal(packed_rows_new(&p, COLS, "/nowhere/at/all"), SCW_OK);
    assert_int_equal(packed_rows_add(p, &m), SCW_EIO);
    assert_non_null(strstr(scw_error_message(), "/nowhere/at/all"));
    matrix_clear(&m);
    packed_rows_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_order), cmocka_unit_test(test_reader),
                                       cmocka_unit_test(test_no_place)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
