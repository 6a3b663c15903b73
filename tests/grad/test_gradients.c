/* SPDX-License-Identifier: BSD-3-Clause */
/* Every row of the op table, by central differences in double precision: for each sample variant the
 * loss is sum_e r_e out_e with fixed random r, and each element of each input that wants a gradient is
 * moved by +-1e-5. Tolerance 1e-6 relative: the differences are good to about 1e-9. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/ops.h"

#define STEP 1e-5
#define TOLERANCE 1e-6
#define MOST_VARIANTS 1000

static tensor *weighted_sum(tape *t, tensor *out)
{
    tensor *r = sample_input(t, out->dim[0], out->dim[1], 77);
    return op_sum(t, op_multiply(t, out, r));
}

static double central_difference(tape *t, double *at, const tensor *loss)
{
    double kept = *at, up, down;

    *at = kept + STEP;
    tape_replay(t);
    up = loss->value[0];
    *at = kept - STEP;
    tape_replay(t);
    down = loss->value[0];
    *at = kept;
    return (up - down) / (2 * STEP);
}

/* Largest relative error of one variant, with the op's own gradients multiplied by `distort` (1: as
 * they are); -1 when the variant does not exist. */
static double worst_error(tape *t, const op_spec *op, int variant, double distort)
{
    tensor *wrt[OP_MAX_INPUTS] = {NULL};
    int n_wrt = 0;
    double worst = 0.0;

    tape_reset(t, TAPE_TRAIN);
    tensor *out = op->sample(t, variant, wrt, &n_wrt);
    assert_int_equal(tape_status(t), SCW_OK);
    if (!out) return -1.0;
    tensor *loss = weighted_sum(t, out);
    assert_int_equal(tape_backward(t, loss), SCW_OK);
    assert_true(n_wrt > 0);
    for (int k = 0; k < n_wrt; k++)
        for (int64_t e = 0; e < wrt[k]->size; e++) {
            double found = distort * wrt[k]->grad[e];
            double expected = central_difference(t, &wrt[k]->value[e], loss);
            double error = fabs(found - expected) / (fabs(found) + fabs(expected) + 1e-3);
            if (!(error <= worst)) worst = error;
        }
    return worst;
}

/* Variants tried; *worst over them. */
static int check_op(tape *t, const op_spec *op, double distort, double *worst)
{
    int variant = 0;

    *worst = 0.0;
    for (; variant < MOST_VARIANTS; variant++) {
        double error = worst_error(t, op, variant, distort);
        if (error == -1.0) break;
        if (!(error <= *worst)) *worst = error;
    }
    return variant;
}

static void every_row(void **state)
{
    tape *t = *state;
    int bad = 0;

    for (const op_spec *const *op = op_table; *op; op++) {
        double worst = 0.0;
        int n = (*op)->sample ? check_op(t, *op, 1.0, &worst) : 0;
        print_message("  %-22s %4d variants, worst error %.1e\n", (*op)->name, n, worst);
        if (n == 0) print_error("op_%s has no sample\n", (*op)->name);
        bad += n == 0 || !(worst <= TOLERANCE);
    }
    assert_int_equal(bad, 0);
}

/* The checker must see a gradient that is wrong by one part in a thousand, for every row. */
static void sees_a_scaled_gradient(void **state)
{
    tape *t = *state;

    for (const op_spec *const *op = op_table; *op; op++) {
        double worst;
        (void)check_op(t, *op, 1.001, &worst);
        if (!(worst > TOLERANCE)) fail_msg("op_%s: a gradient scaled by 1.001 passed", (*op)->name);
    }
}

/* ... and an op whose backward forgets one element. */
static void broken_backward(tape *t, op_record *r)
{
    double kept = r->in[0]->grad[0];
    spec_exp.backward(t, r);
    r->in[0]->grad[0] = kept;
}

static tensor *broken_sample(tape *t, int variant, tensor **wrt, int *n_wrt);

static const op_spec broken = {.name = "broken_exp", .n_required = 1, .shape = op_shape_same,
                               .backward = broken_backward, .sample = broken_sample};
static op_spec broken_row;

static tensor *broken_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    if (variant > 0) return NULL;
    wrt[0] = sample_input(t, 2, 3, 1);
    *n_wrt = 1;
    return tape_apply(t, &broken_row, wrt, 1, NULL);
}

static void sees_a_broken_op(void **state)
{
    double worst;

    broken_row = broken;
    broken_row.forward = spec_exp.forward;
    assert_int_equal(check_op(*state, &broken_row, 1.0, &worst), 1);
    assert_true(worst > TOLERANCE);
}

/* A value used by two ops gets both gradients; a tensor that does not lead to the loss gets zero;
 * a second pass does not add to the first, except in parameters. */
static void passes(void **state)
{
    tape *t = *state;
    double x0[2] = {1, 2}, unused0[2] = {3, 4};
    params p = {0};
    const int64_t two = 2;
    int w;

    assert_int_equal(params_add(&p, &w, "w", 1, &two, PARAM_ONE, 0, 0, true, 0), SCW_OK);
    assert_int_equal(params_build(&p, 1), SCW_OK);
    tape_reset(t, TAPE_TRAIN);
    tensor *x = op_input(t, x0, 1, 2, true), *unused = op_input(t, unused0, 1, 2, true);
    tensor *y = op_add(t, op_scale(t, x, 3), op_col_scale(t, x, op_param(t, &p, w)));
    tensor *loss = op_sum(t, y), *other = op_sum(t, op_scale(t, unused, 5));
    for (int pass = 1; pass <= 2; pass++) {
        assert_int_equal(tape_backward(t, loss), SCW_OK);
        for (int e = 0; e < 2; e++) {
            assert_true(x->grad[e] == 4.0);
            assert_true(unused->grad[e] == 0.0);
            assert_true(params_grad(&p, w)[e] == pass * x0[e]);
        }
    }
    assert_int_equal(tape_backward(t, other), SCW_OK);
    assert_true(x->grad[0] == 0.0 && unused->grad[0] == 5.0);
    params_clear(&p);
}

static int open_tape(void **state)
{
    tape *t = NULL;
    scw_status st = tape_new(&t);
    *state = t;
    return st == SCW_OK ? 0 : -1;
}

static int close_tape(void **state)
{
    tape_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(sees_a_scaled_gradient),
        cmocka_unit_test(sees_a_broken_op),
        cmocka_unit_test(passes),
    };
    return cmocka_run_group_tests(tests, open_tape, close_tape);
}
