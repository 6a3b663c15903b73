/* SPDX-License-Identifier: BSD-3-Clause */
/* Class balancing and the validation split. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/balance.h"
#include "train/fit.h"

#define MOST 1000

typedef struct set {
    int32_t labels[MOST];
    int64_t rows[MOST], n;
} set;

static void make_set(set *s, const int *counts, int n_classes)
{
    s->n = 0;
    for (int c = 0; c < n_classes; c++)
        for (int k = 0; k < counts[c]; k++) {
            s->labels[s->n] = c;
            s->rows[s->n] = s->n;
            s->n++;
        }
}

/* Cells of class c in the plan, real or simulated, and how often its most used cell occurs. */
static void count(const balance_plan *p, const set *s, int c, int *real_cells, int *simulated,
                  int *most_used)
{
    int used[MOST] = {0};

    *real_cells = *simulated = *most_used = 0;
    for (int64_t e = 0; e < p->n; e++) {
        if (s->labels[p->entries[e].row] != c) continue;
        *real_cells += !p->entries[e].simulated;
        *simulated += p->entries[e].simulated;
        int n = ++used[p->entries[e].row];
        if (n > *most_used) *most_used = n;
    }
}

static void expect(const balance_plan *p, const set *s, int c, int real_cells, int simulated,
                   int most_used)
{
    int r, f, u;
    count(p, s, c, &r, &f, &u);
    assert_int_equal(r, real_cells);
    assert_int_equal(f, simulated);
    assert_int_equal(u, most_used);
}

/* Sizes (100, 40, 40, 7, 15, 300): the lower median is 40. */
static void test_published_plan(void **state)
{
    static const int counts[] = {100, 40, 40, 7, 15, 300};
    set s;
    balance_plan p;
    (void)state;

    make_set(&s, counts, 6);
    balance_options o = {.drop_ties = true, .replace_real = true, .seed = 1};
    assert_int_equal(balance_plan_build(&p, s.labels, s.rows, s.n, 6, &o), SCW_OK);
    assert_int_equal(p.median, 40);
    expect(&p, &s, 0, 40, 0, 1);
    expect(&p, &s, 1, 40, 0, 1);
    expect(&p, &s, 2, 0, 0, 0);  /* the tie that the authors drop */
    expect(&p, &s, 3, 0, 40, 6); /* five passes of 7 and 5 of a sixth */
    expect(&p, &s, 4, 0, 40, 3); /* two passes of 15 and 10 of a third */
    expect(&p, &s, 5, 40, 0, 1);
    balance_plan_clear(&p);
}

static void test_corrected_plan(void **state)
{
    static const int counts[] = {100, 40, 40, 7, 15, 300};
    set s;
    balance_plan p;
    (void)state;

    make_set(&s, counts, 6);
    balance_options o = {.seed = 1};
    assert_int_equal(balance_plan_build(&p, s.labels, s.rows, s.n, 6, &o), SCW_OK);
    expect(&p, &s, 2, 40, 0, 1);  /* ties are kept */
    expect(&p, &s, 3, 7, 33, 6);  /* real cells stay */
    expect(&p, &s, 4, 15, 25, 3);
    assert_int_equal(p.n, 240);
    balance_plan_clear(&p);
}

/* Sizes (5, 20, 9): median 9, class 0 by one pass of 5 and 4 of a second. */
static void test_three_classes(void **state)
{
    static const int counts[] = {5, 20, 9};
    set s;
    balance_plan p;
    (void)state;

    make_set(&s, counts, 3);
    balance_options o = {.drop_ties = true, .replace_real = true, .seed = 7};
    assert_int_equal(balance_plan_build(&p, s.labels, s.rows, s.n, 3, &o), SCW_OK);
    assert_int_equal(p.median, 9);
    expect(&p, &s, 0, 0, 9, 2);
    expect(&p, &s, 1, 9, 0, 1);
    expect(&p, &s, 2, 9, 0, 1);
    balance_plan_clear(&p);
}

static void test_split(void **state)
{
    static const int counts[] = {100, 9, 10, 33};
    set s;
    int64_t train[MOST], validation[MOST], n_train, n_validation;
    int held[4] = {0};
    (void)state;

    make_set(&s, counts, 4);
    assert_int_equal(fit_split(train, &n_train, validation, &n_validation, s.labels, s.rows, s.n, 4,
                               0.1, 1),
                     SCW_OK);
    for (int64_t i = 0; i < n_validation; i++) held[s.labels[validation[i]]]++;
    assert_int_equal(held[0], 10);
    assert_int_equal(held[1], 0); /* too small to spare any */
    assert_int_equal(held[2], 1);
    assert_int_equal(held[3], 3);
    assert_int_equal(n_train + n_validation, s.n);
    assert_int_equal(fit_split(train, &n_train, validation, &n_validation, s.labels, s.rows, s.n, 4,
                               0.0, 1),
                     SCW_OK);
    assert_int_equal(n_validation, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_plan), cmocka_unit_test(test_corrected_plan),
        cmocka_unit_test(test_three_classes), cmocka_unit_test(test_split)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
