/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches read through windows of blocks are those of cells in memory, in an order that is a permutation,
 * the same for equal seeds, and mixed within its windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "data/example.h"
#include "train/file_source.h"

#define CELLS 500
#define BATCH 64

static void check_order(int64_t n, int64_t block, int64_t window)
{
    int64_t order[CELLS], again[CELLS], blocks[CELLS], seen[CELLS] = {0};
    const rng_key key = rng_make_key(3, RNG_SHUFFLE, 0);
    int64_t n_blocks = (n + block - 1) / block;

    window_order(order, blocks, n, block, window, key, 5);
    for (int64_t i = 0; i < n; i++) seen[order[i]]++;
    for (int64_t i = 0; i < n; i++) assert_int_equal(seen[i], 1);
    window_order(again, blocks, n, block, window, key, 5);
    assert_memory_equal(order, again, (size_t)n * sizeof *order);
    /* Entries come window by window. */
    int64_t at = 0;
    for (int64_t first = 0; first < n_blocks; first += window) {
        int64_t size = 0;
        for (int64_t k = first; k < n_blocks && k < first + window; k++)
            size += (blocks[k] + 1) * block <= n ? block : n - blocks[k] * block;
        for (int64_t i = at; i < at + size; i++) {
            int64_t place = first;
            while (blocks[place] != order[i] / block) place++;
            assert_true(place < first + window);
        }
        at += size;
    }
    assert_int_equal(at, n);
    window_order(again, blocks, n, block, window, key, 6);
    if (n > 20) assert_memory_not_equal(order, again, (size_t)n * sizeof *order);
}

static void test_order(void **state)
{
    (void)state;
    check_order(1, 1, 1);
    check_order(CELLS, 7, 4);
    check_order(CELLS, 1, 500);
    check_order(CELLS, CELLS, 1);
    check_order(61, 60, 3);
    /* Neighbours of a window do not stay neighbours. */
    int64_t order[CELLS], blocks[CELLS], kept = 0;
    window_order(order, blocks, CELLS, 50, 5, rng_make_key(1, RNG_SHUFFLE, 0), 0);
    for (int64_t i = 1; i < CELLS; i++) kept += order[i] == order[i - 1] + 1;
    assert_true(kept < 20);
}

static void same_sparse(const affine_sparse *a, const affine_sparse *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->n_cols, b->n_cols);
    assert_memory_equal(a->indptr, b->indptr, (size_t)(a->n_rows + 1) * sizeof *a->indptr);
    int64_t n = a->indptr[a->n_rows];
    assert_memory_equal(a->indices, b->indices, (size_t)n * sizeof *a->indices);
    assert_memory_equal(a->values, b->values, (size_t)n * sizeof *a->values);
    for (int64_t i = 0; i < a->n_rows; i++)
        assert_true(!a->row_weight ? !b->row_weight || b->row_weight[i] == 1
                                   : b->row_weight && a->row_weight[i] == b->row_weight[i]);
    for (int64_t j = 0; j < a->n_cols; j++) {
        assert_true(!a->col_scale || a->col_scale[j] == b->col_scale[j]);
        assert_true(!a->col_shift || a->col_shift[j] == b->col_shift[j]);
    }
}

static scw_dataset *data;
static transform prep[2];
static cells all;
static int32_t labels[CELLS];
static int64_t obs[CELLS];

static int set_up(void **state)
{
    (void)state;
    if (example_make(&data, CELLS, EXAMPLE_NARROW, 4) != SCW_OK) return 1;
    all = (cells){.n = CELLS, .n_modalities = 2};
    for (int64_t i = 0; i < CELLS; i++) {
        labels[i] = (int32_t)(i % 5);
        obs[i] = i;
    }
    for (int64_t i = 3; i < 40; i++) data->modalities[1].row_of_obs[i] = -1;
    for (int k = 0; k < 2; k++) {
        const modality *m = &data->modalities[k];
        matrix counts = {0};
        uint8_t *present = NULL;
        if (matrix_rows_csr(&counts, &m->x, m->row_of_obs, CELLS) != SCW_OK ||
            transform_fit(&prep[k], &counts, &(transform_options){.kind = TRANSFORM_LOG}) != SCW_OK ||
            mem_new(&present, CELLS) != SCW_OK)
            return 1;
        for (int64_t i = 0; i < CELLS; i++) present[i] = m->row_of_obs[i] >= 0;
        if (transform_apply(&all.x[k], &prep[k], &counts, NULL, present, false) != SCW_OK) return 1;
        mem_free(present);
        matrix_clear(&counts);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cells_clear(&all);
    for (int k = 0; k < 2; k++) transform_clear(&prep[k]);
    scw_dataset_free(data);
    return 0;
}

static file_source_input input_of(int64_t block, int64_t window)
{
    return (file_source_input){.n = CELLS, .obs = obs, .labels = labels, .n_modalities = 2,
                               .modality = {&data->modalities[0], &data->modalities[1]},
                               .prep = {&prep[0], &prep[1]}, .block = block, .window = window};
}

/* `from`: the first batch asked for, as after a resume. */
static void check_batches(int64_t block, int64_t window, int64_t from)
{
    file_source *s = NULL;
    tape *t = NULL, *u = NULL;
    int64_t order[CELLS];
    const file_source_input input = input_of(block, window);

    assert_int_equal(tape_new(&t), SCW_OK);
    assert_int_equal(tape_new(&u), SCW_OK);
    assert_int_equal(file_source_new(&s, &input), SCW_OK);
    train_source source = file_source_as_source(s);
    const row_source memory = {.cells = &all, .rows = obs, .n = CELLS};
    train_source wanted = row_source_as_source(&memory);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        source.order(source.self, order, rng_make_key(1, RNG_SHUFFLE, 0), epoch);
        for (int64_t at = from; at < CELLS; at += BATCH) {
            model_batch a, b;
            int64_t n = CELLS - at < BATCH ? CELLS - at : BATCH;
            tape_reset(t, TAPE_EVAL);
            tape_reset(u, TAPE_EVAL);
            source.gather(source.self, t, order + at, n, &a);
            wanted.gather(wanted.self, u, order + at, n, &b);
            assert_int_equal(a.n, n);
            for (int k = 0; k < 2; k++) same_sparse(&b.x[k], &a.x[k]);
            for (int64_t i = 0; i < n; i++) assert_int_equal(a.labels[i], order[at + i] % 5);
        }
    }
    file_source_free(s);
    tape_free(t);
    tape_free(u);
}

static void test_batches(void **state)
{
    (void)state;
    check_batches(16, 3, 0);
    check_batches(7, 2, 0);
    check_batches(500, 1, 0);
    check_batches(1, 64, 0);
    check_batches(0, 0, 0);
    check_batches(16, 3, 3 * BATCH);
}

/* Every allocation fails once. */
static void test_memory(void **state)
{
    (void)state;
    for (int64_t at = 1;; at++) {
        file_source *s = NULL;
        tape *t = NULL;
        int64_t order[CELLS];
        model_batch batch = {0};
        const file_source_input input = input_of(16, 3);
        scw_status st;

        assert_int_equal(tape_new(&t), SCW_OK);
        tape_reset(t, TAPE_EVAL);
        (void)mem_fail_at(at);
        st = file_source_new(&s, &input);
        if (st == SCW_OK) {
            train_source source = file_source_as_source(s);
            source.order(source.self, order, rng_make_key(1, RNG_SHUFFLE, 0), 0);
            source.gather(source.self, t, order, BATCH, &batch);
            st = batch.n ? SCW_OK : source.status(source.self);
            if (st == SCW_OK) st = tape_status(t);
        }
        bool reached = mem_fail_at(0) >= at;
        file_source_free(s);
        tape_free(t);
        assert_true(st == SCW_OK || st == SCW_ENOMEM);
        if (st == SCW_OK && !reached) break;
        assert_true(st == SCW_ENOMEM || batch.n == BATCH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
