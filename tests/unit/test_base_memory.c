/* SPDX-License-Identifier: BSD-3-Clause */
/* The allocator, checked sizes and arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/checked.h"

static void test_new_is_zeroed_and_counts(void **state)
{
    int64_t *p = NULL;

    (void)state;
    (void)mem_fail_at(0);
    assert_int_equal(mem_new(&p, 1000), SCW_OK);
    for (int k = 0; k < 1000; k++) assert_int_equal(p[k], 0);
    assert_int_equal(mem_resize(&p, 2000), SCW_OK);
    p[1999] = 1;
    mem_free(p);
    assert_int_equal(mem_fail_at(0), 2);
}

static void test_zero_elements_is_valid(void **state)
{
    char *p = NULL;

    (void)state;
    assert_int_equal(mem_new(&p, 0), SCW_OK);
    assert_non_null(p);
    mem_free(p);
    mem_free(NULL);
}

static void test_impossible_sizes_are_refused(void **state)
{
    double *p = (double *)16;

    (void)state;
    assert_int_equal(mem_new(&p, -1), SCW_ENOMEM);
    assert_null(p);
    assert_int_equal(mem_new(&p, INT64_MAX / 4), SCW_ENOMEM);
    assert_null(p);
    assert_true(strstr(scw_error_message(), "out of memory") != NULL);
}

static void test_the_nth_call_fails_and_leaves_the_block(void **state)
{
    int *p = NULL, *q = NULL;

    (void)state;
    (void)mem_fail_at(3);
    assert_int_equal(mem_new(&p, 4), SCW_OK);
    p[3] = 7;
    assert_int_equal(mem_resize(&p, 8), SCW_OK);
    int *before = p;
    assert_int_equal(mem_resize(&p, 16), SCW_ENOMEM);
    assert_ptr_equal(p, before);
    assert_int_equal(p[3], 7);
    assert_int_equal(mem_new(&q, 1), SCW_OK);
    (void)mem_fail_at(0);
    mem_free(p);
    mem_free(q);
}

static void test_strdup(void **state)
{
    char *copy = NULL;

    (void)state;
    assert_int_equal(mem_strdup(&copy, "CD19"), SCW_OK);
    assert_string_equal(copy, "CD19");
    mem_free(copy);
    assert_int_equal(mem_strdup(&copy, NULL), SCW_OK);
    assert_null(copy);
}

static void test_checked_arithmetic(void **state)
{
    int64_t v;
    size_t bytes;

    (void)state;
    assert_true(checked_mul(&v, 3037000499, 3037000499));
    assert_false(checked_mul(&v, 3037000500, 3037000500));
    assert_true(checked_add(&v, INT64_MAX - 1, 1));
    assert_false(checked_add(&v, INT64_MAX, 1));
    assert_true(checked_bytes(&bytes, 10, 8));
    assert_int_equal(bytes, 80);
    assert_false(checked_bytes(&bytes, -1, 8));
    assert_false(checked_bytes(&bytes, INT64_MAX, 2));
}

static void test_arena_pieces_are_aligned_and_apart(void **state)
{
    arena a;
    char *piece[100];

    (void)state;
    arena_init(&a);
    for (int k = 0; k < 100; k++) {
        piece[k] = arena_alloc(&a, k * 1000 + 1, 1);
        assert_non_null(piece[k]);
        assert_int_equal((uintptr_t)piece[k] % 64, 0);
        memset(piece[k], k, (size_t)(k * 1000 + 1));
    }
    for (int k = 0; k < 100; k++) {
        assert_int_equal(piece[k][0], k);
        assert_int_equal(piece[k][k * 1000], k);
    }
    arena_clear(&a);
}

/* The promise that a training step rests on: the second round asks the heap for nothing. */
static void test_arena_allocates_nothing_after_the_first_round(void **state)
{
    arena a;

    (void)state;
    arena_init(&a);
    for (int round = 0; round < 4; round++) {
        if (round == 2) (void)mem_fail_at(0);
        for (int k = 0; k < 50; k++) assert_non_null(arena_alloc(&a, 100000, 4));
        arena_reset(&a);
        assert_int_equal(a.total, 0);
    }
    assert_int_equal(mem_fail_at(0), 0);
    assert_true(a.peak >= 50 * 400000);
    arena_clear(&a);
}

static void test_arena_marks_recycle(void **state)
{
    arena a;

    (void)state;
    arena_init(&a);
    char *kept = arena_alloc(&a, 100, 1);
    memset(kept, 5, 100);
    arena_mark mark = arena_get_mark(&a);
    char *first = arena_alloc(&a, 1000, 1);
    for (int k = 0; k < 40; k++) assert_non_null(arena_alloc(&a, 1 << 18, 1)); /* several blocks */
    arena_release(&a, mark);
    assert_ptr_equal(arena_alloc(&a, 1000, 1), first);
    assert_int_equal(kept[99], 5);
    arena_clear(&a);
}

static void test_arena_reports_what_it_cannot_give(void **state)
{
    arena a;

    (void)state;
    arena_init(&a);
    assert_null(arena_alloc(&a, INT64_MAX, 8));
    assert_null(arena_alloc(&a, -1, 8));
    (void)mem_fail_at(1);
    assert_null(arena_alloc(&a, 8, 8));
    (void)mem_fail_at(2);
    assert_null(arena_alloc(&a, 8, 8));
    (void)mem_fail_at(0);
    assert_non_null(arena_alloc(&a, 8, 8));
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_is_zeroed_and_counts),
        cmocka_unit_test(test_zero_elements_is_valid),
        cmocka_unit_test(test_impossible_sizes_are_refused),
        cmocka_unit_test(test_the_nth_call_fails_and_leaves_the_block),
        cmocka_unit_test(test_strdup),
        cmocka_unit_test(test_checked_arithmetic),
        cmocka_unit_test(test_arena_pieces_are_aligned_and_apart),
        cmocka_unit_test(test_arena_allocates_nothing_after_the_first_round),
        cmocka_unit_test(test_arena_marks_recycle),
        cmocka_unit_test(test_arena_reports_what_it_cannot_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
