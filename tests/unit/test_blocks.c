/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows in blocks are the rows of the matrix, whatever the size of the block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "data/blocks.h"

#define ROWS 7
#define COLS 3

static const float dense[ROWS * COLS] = {0, 1, 0, 2, 0, 3, 0, 0, 0, 4, 5, 6, 0, 0, 7, 8, 0, 0, 0, 9, 0};

static void make(matrix *m, bool sparse)
{
    matrix d = {0};

    assert_int_equal(matrix_init_dense(&d, ROWS, COLS), SCW_OK);
    memcpy(d.values, dense, sizeof dense);
    if (sparse) {
        assert_int_equal(matrix_rows_csr(m, &d, NULL, ROWS), SCW_OK);
        matrix_clear(&d);
    } else {
        *m = d;
    }
}

static void check_blocks(bool sparse, int64_t block_rows)
{
    matrix m = {0};
    block_reader *r = NULL;
    row_block b = {0};
    float seen[ROWS * COLS] = {0};
    int64_t rows = 0;
    bool more;

    make(&m, sparse);
    assert_int_equal(block_reader_of_matrix(&r, &m), SCW_OK);
    r->block_rows = block_rows;
    for (;;) {
        assert_int_equal(block_reader_next(&b, r, &more), SCW_OK);
        if (!more) break;
        assert_int_equal(b.from, rows);
        for (int64_t i = 0; i < b.x.n_rows; i++)
            for (int64_t k = b.x.indptr[i]; k < b.x.indptr[i + 1]; k++)
                seen[(b.from + i) * COLS + b.x.indices[k]] = b.x.values[k];
        rows += b.x.n_rows;
    }
    assert_int_equal(rows, ROWS);
    assert_memory_equal(seen, dense, sizeof dense);
    assert_int_equal(block_reader_read(&b, r, 5, 3), SCW_EINVAL);
    assert_int_equal(block_reader_read(&b, r, -1, 1), SCW_EINVAL);
    assert_int_equal(block_reader_read(&b, r, ROWS, 0), SCW_OK);
    assert_int_equal(b.x.indptr[0], 0);
    row_block_clear(&b);
    block_reader_free(r);
    matrix_clear(&m);
}

static void test_blocks(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= ROWS + 1; n++) {
        check_blocks(true, n);
        check_blocks(false, n);
    }
}

static void test_no_rows(void **state)
{
    matrix m = {0};
    block_reader *r = NULL;
    row_block b = {0};
    bool more = true;

    (void)state;
    assert_int_equal(matrix_init_csr(&m, 0, COLS, 0), SCW_OK);
    assert_int_equal(block_reader_of_matrix(&r, &m), SCW_OK);
    assert_int_equal(block_reader_next(&b, r, &more), SCW_OK);
    assert_false(more);
    row_block_clear(&b);
    block_reader_free(r);
    block_reader_free(NULL);
    matrix_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
