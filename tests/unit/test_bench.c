/* SPDX-License-Identifier: BSD-3-Clause */
/* What the bench stands on: made references, costs, lines. No time is judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/threads.h"
#include "models/modality_input.h"
#include "task/bench.h"

enum { N = 500, GENES = 3000 };

static void set_is_as_asked(void **state)
{
    bench_set s;
    int32_t classes[10] = {0};
    (void)state;

    assert_int_equal(bench_set_make(&s, N, GENES, 0.05), SCW_OK);
    const matrix *rna = &s.ref.modality[0].counts, *adt = &s.ref.modality[1].counts;
    double density = (double)matrix_nnz(rna) / (N * (double)GENES);
    assert_true(fabs(density - 0.05) < 0.002);
    assert_int_equal(matrix_nnz(adt), adt->n_rows * adt->n_cols);
    for (int64_t i = 0; i < N; i++) {
        int64_t from = rna->indptr[i], n = rna->indptr[i + 1] - from;
        assert_int_equal(matrix_row_order(rna->indices + from, n, GENES), ROW_TIDY);
        for (int64_t k = from; k < from + n; k++)
            assert_true(rna->values[k] >= 1.0f && rna->values[k] == floorf(rna->values[k]));
        assert_in_range(s.ref.labels[i], 0, 9);
        classes[s.ref.labels[i]]++;
    }
    for (int c = 0; c < 10; c++)
        assert_true(classes[c] > N / 20);
    bench_set_clear(&s);
}

static void set_is_the_same_for_any_threads(void **state)
{
    bench_set s[2];
    (void)state;

    for (int k = 0; k < 2; k++) {
        threads_set(k + 1);
        assert_int_equal(bench_set_make(&s[k], N, GENES, 0.02), SCW_OK);
    }
    const matrix *a = &s[0].ref.modality[0].counts, *b = &s[1].ref.modality[0].counts;
    assert_int_equal(matrix_nnz(a), matrix_nnz(b));
    assert_memory_equal(a->indices, b->indices, (size_t)matrix_nnz(a) * sizeof *a->indices);
    assert_memory_equal(a->values, b->values, (size_t)matrix_nnz(a) * sizeof *a->values);
    bench_set_clear(&s[0]);
    bench_set_clear(&s[1]);
}

/* Every gene of a dense set, one of a nearly empty one. */
static void extreme_densities(void **state)
{
    bench_set s;
    (void)state;

    assert_int_equal(bench_set_make(&s, 20, 30, 1.0), SCW_OK);
    assert_int_equal(matrix_nnz(&s.ref.modality[0].counts), 20 * 30);
    bench_set_clear(&s);
    assert_int_equal(bench_set_make(&s, 20, 30, 1e-6), SCW_OK);
    assert_int_equal(matrix_nnz(&s.ref.modality[0].counts), 20);
    bench_set_clear(&s);
}

/* A part costs the slower of the two; parts add up; small working sets move faster. */
static void costs_add_up(void **state)
{
    bench_limits l = {.fp32 = 1e9};
    bench_cost c = {0};
    (void)state;

    for (int k = 0; k < BENCH_N_SIZES; k++) {
        l.bytes[k] = pow(10.0, k);
        l.rate[k] = 1e9 / (k + 1);
    }
    bench_cost_add(&c, &l, 5e9, 1e9, 0.5);
    assert_true(fabs(c.seconds - 5.0) < 1e-12);
    bench_cost_add(&c, &l, 1e9, 2e9, 150.0); /* rate 2: a third of the first */
    assert_true(fabs(c.seconds - 11.0) < 1e-12);
    bench_cost_add(&c, &l, 0.0, 1e9, 1e30);
    assert_true(fabs(c.seconds - 11.0 - BENCH_N_SIZES) < 1e-12);
    assert_true(fabs(c.flops - 6e9) < 1.0 && fabs(c.bytes - 4e9) < 1.0);
}

static void width_of_an_input(void **state)
{
    const modality_input_options o = {.components = 20, .max_dense = 50};
    (void)state;

    assert_int_equal(modality_input_width(MODALITY_ADT, 50, 10, &o), 50);
    assert_int_equal(modality_input_width(MODALITY_ADT, 51, 100, &o), 20);
    assert_int_equal(modality_input_width(MODALITY_RNA, 50, 100, &o), 20);
    assert_int_equal(modality_input_width(MODALITY_RNA, 15, 100, &o), 15);
    assert_int_equal(modality_input_width(MODALITY_ATAC, 50, 10, &o), 10);
}

/* Chromatin is read as RNA is, but present or not: no library size, no dispersion. Of 30 cells there are no
 * more than 30 components. */
static void cost_goes_by_likelihood_and_width(void **state)
{
    enum { BATCH = 64 };
    bench_limits l = {.fp32 = 1e9};
    bench_cost counts, presence, few;
    bench_set s;
    double nnz = 0.0;
    (void)state;

    for (int k = 0; k < BENCH_N_SIZES; k++) l.rate[k] = 1e9;
    assert_int_equal(bench_set_make(&s, N, GENES, 0.05), SCW_OK);
    reference_modality *x = s.ref.modality;
    for (int k = 0; k < s.ref.n_modalities; k++) nnz += (double)matrix_nnz(&x[k].counts) / N;
    assert_string_equal(bench_kinds[0].model, "clue");
    assert_int_equal(bench_kinds[0].cost(&counts, &l, &s.ref, BATCH), SCW_OK);
    x[0].kind = MODALITY_ATAC;
    assert_int_equal(bench_kinds[0].cost(&presence, &l, &s.ref, BATCH), SCW_OK);
    assert_true(fabs(counts.flops - presence.flops - 4.0 * BATCH * nnz) < 1.0);
    assert_true(counts.bytes - presence.bytes > 6.0 * sizeof(real) * GENES);
    memset(x[0].present + 30, 0, N - 30);
    assert_int_equal(bench_kinds[0].cost(&few, &l, &s.ref, BATCH), SCW_OK);
    assert_true(few.flops < presence.flops && few.bytes < presence.bytes);
    bench_set_clear(&s);
}

static void a_line_is_told_from_a_curve(void **state)
{
    const double x[] = {1, 3, 10, 30, 100};
    double straight[5], bent[5], a, b, worst;
    (void)state;

    for (int k = 0; k < 5; k++) {
        straight[k] = 2.0 + 0.5 * x[k];
        bent[k] = straight[k] + 0.01 * x[k] * x[k];
    }
    bench_line(&a, &b, &worst, x, straight, 5);
    assert_true(fabs(a - 2.0) < 1e-9 && fabs(b - 0.5) < 1e-9 && worst < 1e-9);
    bench_line(&a, &b, &worst, x, bent, 5);
    assert_true(worst > 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_is_as_asked),
        cmocka_unit_test(set_is_the_same_for_any_threads),
        cmocka_unit_test(extreme_densities),
        cmocka_unit_test(costs_add_up),
        cmocka_unit_test(width_of_an_input),
        cmocka_unit_test(cost_goes_by_likelihood_and_width),
        cmocka_unit_test(a_line_is_told_from_a_curve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
