/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of bf16: the rounding bit by bit; products against the reference on rounded numbers, by each way
 * that this build has; what is kept from call to call. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "kernel/table.h"

static float as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t as_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static const kernel_table *reference(void)
{
    int k = 0;
    while (kernel_table_at(k + 1)) k++;
    return kernel_table_at(k);
}

/* ------------------------------------------------------------- rounding */

static const struct known {
    uint32_t from;
    uint16_t to;
} known[] = {{0x3F800000, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F818000, 0x3F82}, /* ties go to even */
             {0x3F808001, 0x3F81}, {0x3F817FFF, 0x3F81}, {0xBF808001, 0xBF81},
             {0x3FFF8000, 0x4000},                                             /* the next exponent */
             {0x00000000, 0x0000}, {0x80000000, 0x8000}, {0x00000001, 0x0000}, /* denormals */
             {0x00008000, 0x0000}, {0x00008001, 0x0001}, {0x00018000, 0x0002}, {0x007FFFFF, 0x0080},
             {0x7F7FFFFF, 0x7F80}, {0x7F7F7FFF, 0x7F7F}, {0xFF7FFFFF, 0xFF80}, /* past the largest */
             {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80},
             {0x7F800001, 0x7FC0}, {0xFF800001, 0xFFC0}, {0x7FFFFFFF, 0x7FFF}, {0x7FC00000, 0x7FC0}};
#define N_KNOWN ((int64_t)(sizeof known / sizeof *known))

static void known_numbers_round(void **state)
{
    real x[N_KNOWN], rounded[N_KNOWN];
    uint16_t out[N_KNOWN];

    (void)state;
    for (int64_t e = 0; e < N_KNOWN; e++) x[e] = as_float(known[e].from);
    for (int k = 0; kernel_table_at(k); k++) {
        kernel_table_at(k)->to_bf16(N_KNOWN, x, out);
        kernel_table_at(k)->round_bf16(N_KNOWN, x, rounded);
        for (int64_t e = 0; e < N_KNOWN; e++) {
            if (out[e] != known[e].to)
                fail_msg("%s: %08x became %04x, not %04x", kernel_table_at(k)->isa, known[e].from,
                         out[e], known[e].to);
            assert_int_equal(as_bits(rounded[e]), (uint32_t)out[e] << 16);
        }
    }
}

/* Every upper half with lower halves around the tie: no other bf16 is nearer, and all tables agree. */
static void nothing_is_nearer(void **state)
{
    static const uint32_t low[] = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};
    enum { EACH = 6, N = 65536 * EACH };
    real *x = NULL, *rounded = NULL;
    uint16_t *out = NULL, *expected = NULL;

    (void)state;
    assert_int_equal(mem_new(&x, N), SCW_OK);
    assert_int_equal(mem_new(&rounded, N), SCW_OK);
    assert_int_equal(mem_new(&out, N), SCW_OK);
    assert_int_equal(mem_new(&expected, N), SCW_OK);
    for (uint32_t e = 0; e < N; e++) x[e] = as_float(e / EACH << 16 | low[e % EACH]);
    reference()->to_bf16(N, x, expected);
    for (int64_t e = 0; e < N; e++) {
        const double to = (double)as_float((uint32_t)expected[e] << 16);
        if (isnan(x[e])) {
            assert_true(isnan(to));
            continue;
        }
        if (isinf(to)) continue;
        const double error = fabs((double)x[e] - to);
        for (int way = -1; way <= 1; way += 2) {
            const double other = (double)as_float((uint32_t)(uint16_t)(expected[e] + way) << 16);
            const double its = fabs((double)x[e] - other);
            if (isfinite(other)) assert_true(error < its || (error == its && expected[e] % 2 == 0));
        }
    }
    for (int k = 0; kernel_table_at(k); k++)
        for (int64_t from = 0; from < 40; from += 13) {
            kernel_table_at(k)->to_bf16(N - from, x + from, out);
            kernel_table_at(k)->round_bf16(N - from, x + from, rounded);
            assert_memory_equal(out, expected + from, (size_t)(N - from) * sizeof *out);
            for (int64_t e = 0; e < N - from; e++)
                if (as_bits(rounded[e]) != (uint32_t)out[e] << 16)
                    fail_msg("%s: element %lld", kernel_table_at(k)->isa, (long long)e);
        }
    mem_free(x);
    mem_free(rounded);
    mem_free(out);
    mem_free(expected);
}

/* ------------------------------------------------------------- products */

#define MOST_VALUES 1003000

static real *a, *b, *rounded_a, *rounded_b, *found, *expected, *fp32, *sizes, *old;

static int set_up(void **state)
{
    real **const arrays[] = {&a, &b, &rounded_a, &rounded_b, &found, &expected, &fp32, &sizes, &old};

    (void)state;
    for (uint32_t k = 0; k < 9; k++) {
        if (mem_new(arrays[k], MOST_VALUES) != SCW_OK) return 1;
        kernel_fill_normal(MOST_VALUES, rng_make_key(3, RNG_TEST, k), 0, *arrays[k]);
    }
    kernel_round_bf16(MOST_VALUES, a, rounded_a);
    kernel_round_bf16(MOST_VALUES, b, rounded_b);
    return 0;
}

static int tear_down(void **state)
{
    real **const arrays[] = {&a, &b, &rounded_a, &rounded_b, &found, &expected, &fp32, &sizes, &old};

    (void)state;
    for (int k = 0; k < 9; k++) mem_free(*arrays[k]);
    return 0;
}

typedef struct product_case {
    int64_t m, n, k;
    bool trans_a, trans_b;
    real beta;
} product_case;

static scw_status multiply(kernel_bf16 *w, const product_case *p, real *c)
{
    for (int64_t e = 0; e < p->m * p->n; e++) c[e] = p->beta == 0 ? NAN : old[e];
    return kernel_gemm_bf16(w, p->trans_a, p->trans_b, p->m, p->n, p->k, a, b, p->beta, c);
}

/* sum_p |a_ip| |b_pj|, what errors are measured against. */
static void absolute_sums(const product_case *p, real *out)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0;
            for (int64_t e = 0; e < p->k; e++)
                sum += fabs((double)a[p->trans_a ? e * p->m + i : i * p->k + e]) *
                       fabs((double)b[p->trans_b ? j * p->k + e : e * p->n + j]);
            out[i * p->n + j] = (real)sum;
        }
}

/* Of rounded numbers up to the order of the sum, and so near the product of the numbers themselves as
 * rounding allows: each is off by 2^-9 of it at most. */
static void compare(kernel_bf16 *const *ways, const product_case *p)
{
    const int64_t n = p->m * p->n;
    const bool large = p->m * p->n * p->k >= KERNEL_BF16_LEAST;

    for (int64_t e = 0; e < n; e++) expected[e] = fp32[e] = p->beta == 0 ? 0 : old[e];
    reference()->gemm(p->trans_a, p->trans_b, p->m, p->n, p->k, large ? rounded_a : a,
                      large ? rounded_b : b, p->beta, expected);
    reference()->gemm(p->trans_a, p->trans_b, p->m, p->n, p->k, a, b, p->beta, fp32);
    absolute_sums(p, sizes);
    for (int w = 0; w < 2; w++) {
        double most = 0, most_rounding = 0;
        assert_int_equal(multiply(ways[w], p, found), SCW_OK);
        for (int64_t e = 0; e < n; e++) {
            const double size = (double)sizes[e] + fabs((double)old[e]) + 1e-9;
            const double error = fabs((double)found[e] - (double)expected[e]) / size;
            const double rounding = fabs((double)found[e] - (double)fp32[e]) / size;
            assert_true(isfinite(error));
            if (error > most) most = error;
            if (rounding > most_rounding) most_rounding = rounding;
        }
        if (most > 2e-6)
            fail_msg("[%lld, %lld, %lld] transposed %d %d beta %g, way %d: error %.2e",
                     (long long)p->m, (long long)p->n, (long long)p->k, p->trans_a, p->trans_b,
                     (double)p->beta, w, most);
        assert_true(most_rounding < 2.01 / 512);
        assert_true((most_rounding > 2e-5) == large); /* and it was rounded */
    }
}

static const int64_t shapes[][3] = {{1, 1, 1},      {64, 24, 100},   {64, 509, 100},  {64, 100, 1009},
                                    {509, 100, 64}, {512, 101, 37},   {3, 500, 701}, {1, 1003, 1000},
                                    {1003, 1, 1000}, {128, 128, 129}, {100, 100, 100}, {99, 101, 100}};

static void products_agree(void **state)
{
    kernel_bf16 *ways[2] = {NULL};

    (void)state;
    assert_int_equal(kernel_bf16_new(&ways[0]), SCW_OK);
    assert_int_equal(kernel_bf16_new_onednn(&ways[1]), SCW_OK);
    for (int threads = 1; threads <= 3; threads += 2) {
        threads_set(threads);
        for (size_t s = threads > 1; s < sizeof shapes / sizeof *shapes; s += (size_t)threads)
            for (int way = 0; way < 8; way++)
                compare(ways, &(product_case){.m = shapes[s][0], .n = shapes[s][1], .k = shapes[s][2],
                                              .trans_a = way & 1, .trans_b = way & 2,
                                              .beta = way & 4 ? 1.0f : 0.0f});
    }
    assert_true(kernel_bf16_n_onednn(ways[1]) > 0 || strcmp(kernel_gemm_name(), "onednn") != 0);
    if (!kernel_bf16_is_native()) assert_int_equal(kernel_bf16_n_onednn(ways[0]), 0);
    threads_set(0);
    kernel_bf16_free(ways[0]);
    kernel_bf16_free(ways[1]);
}

/* Too small to gain: fp32, to the bit. */
static void small_products_are_fp32(void **state)
{
    kernel_bf16 *w = NULL;
    const product_case p = {.m = 64, .n = 24, .k = 100, .trans_b = true};

    (void)state;
    assert_int_equal(kernel_bf16_new(&w), SCW_OK);
    assert_int_equal(multiply(w, &p, found), SCW_OK);
    kernel_gemm(p.trans_a, p.trans_b, p.m, p.n, p.k, a, b, p.beta, expected);
    assert_memory_equal(found, expected, (size_t)(p.m * p.n) * sizeof *found);
    assert_int_equal(kernel_gemm_bf16(w, false, false, 3, 2, 0, a, b, 0, found), SCW_OK);
    for (int e = 0; e < 6; e++) assert_true(found[e] == 0);
    kernel_bf16_free(w);
}

static void same_bits(void **state)
{
    static const product_case p[] = {{64, 1009, 100, false, true, 0}, {1009, 100, 64, true, false, 1}};

    (void)state;
    for (int threads = 1; threads <= 3; threads++)
        for (int way = 0; way < 2; way++)
            for (int k = 0; k < 2; k++) {
                kernel_bf16 *w = NULL;
                threads_set(threads);
                for (int again = 0; again < 4; again++) {
                    if (again % 2 == 0) {
                        kernel_bf16_free(w);
                        assert_int_equal(way ? kernel_bf16_new_onednn(&w) : kernel_bf16_new(&w),
                                         SCW_OK);
                    }
                    assert_int_equal(multiply(w, &p[k], again ? found : expected), SCW_OK);
                    if (again)
                        assert_memory_equal(found, expected, (size_t)(p[k].m * p[k].n) * sizeof *found);
                }
                kernel_bf16_free(w);
            }
    threads_set(0);
}

/* ------------------------------------------------------------- from call to call */

/* What a shape needs is there after its first product, also after so many others that all were forgotten. */
static void steady_state_takes_no_memory(void **state)
{
    product_case p = {.m = 100, .n = 100, .k = 100};
    kernel_bf16 *w = NULL;

    (void)state;
    threads_set(1);
    assert_int_equal(kernel_bf16_new_onednn(&w), SCW_OK);
    for (int round = 0; round < 2; round++) {
        for (p.k = 100; p.k < 103; p.k++) assert_int_equal(multiply(w, &p, found), SCW_OK);
        (void)mem_fail_at(0);
        for (p.k = 100; p.k < 103; p.k++) assert_int_equal(multiply(w, &p, found), SCW_OK);
        assert_int_equal(mem_fail_at(0), 0);
        for (p.k = 103; p.k < 103 + 260 && round == 0; p.k++)
            assert_int_equal(multiply(w, &p, found), SCW_OK);
    }
    kernel_bf16_free(w);
    threads_set(0);
}

static void memory_can_run_out(void **state)
{
    const product_case p = {.m = 64, .n = 1009, .k = 100, .trans_b = true};
    kernel_bf16 *w = NULL;
    int64_t failed = 0;

    (void)state;
    threads_set(2);
    for (int64_t k = 1; k < 20; k++) {
        (void)mem_fail_at(k);
        scw_status st = kernel_bf16_new_onednn(&w);
        if (st == SCW_OK) st = multiply(w, &p, found);
        (void)mem_fail_at(0);
        if (st != SCW_OK) assert_int_equal(st, SCW_ENOMEM);
        failed += st != SCW_OK;
        if (w) assert_int_equal(multiply(w, &p, found), SCW_OK); /* it recovers */
        kernel_bf16_free(w);
    }
    assert_true(failed >= 3 && failed < 19);
    threads_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers_round),
        cmocka_unit_test(nothing_is_nearer),
        cmocka_unit_test(products_agree),
        cmocka_unit_test(small_products_are_fp32),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(steady_state_takes_no_memory),
        cmocka_unit_test(memory_can_run_out),
    };
    print_message("bf16 %s\n", kernel_bf16_is_native() ? "native" : "emulated");
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
