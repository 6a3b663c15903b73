/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE's options and schedule, and what must hold of its network whatever the weights: who stands
 * in for a missing cell is kept out of the terms of pairs, batches matter to decoders only, nothing
 * is random at evaluation, dropout differs between uses of a decoder. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "models/clue_options.h"

#define N 6
#define F 5
#define BLOCK 3

/* Two modalities of N cells and F features, all counts there. */
typedef struct fixture {
    clue_net net;
    clue_batch batch;
    real dense[2][N * F], values[2][N * F], present[2][N];
    int64_t indptr[N + 1];
    int32_t indices[N * F], code[2][N];
    tape *t;
} fixture;

static clue_options defaults(void)
{
    clue_options o;
    assert_int_equal(scw_options_init(clue_option_table, &o), SCW_OK);
    return o;
}

static void set_up(fixture *x, double drop)
{
    clue_options o = defaults();
    clue_config c;

    memset(x, 0, sizeof *x);
    o.z_dim = BLOCK;
    o.encoder_width = o.decoder_width = o.discriminator_width = 8;
    o.encoder_depth = 2;
    o.dropout = drop;
    o.joint_weight = o.cos_weight = o.align_weight = 0.02; /* off by default */
    clue_options_config(&c, &o);
    c.n_modalities = 2;
    c.n_batches = 2;
    for (int k = 0; k < 2; k++) {
        c.modality[k] = (clue_modality){.n_in = F, .n_vars = F, .weight = 1.0};
        (void)snprintf(c.modality[k].name, MODEL_NAME, "m%d", k);
    }
    assert_int_equal(clue_net_init(&x->net, &c, 5), SCW_OK);
    assert_int_equal(tape_new(&x->t), SCW_OK);
    for (int e = 0; e < N * F; e++)
        x->indices[e] = e % F;
    for (int i = 0; i <= N; i++)
        x->indptr[i] = i * F;
    x->batch.n = N;
    for (int k = 0; k < 2; k++) {
        for (int e = 0; e < N * F; e++) {
            x->dense[k][e] = (real)sin(1.0 + e + 40.0 * k);
            x->values[k][e] = (real)(1 + (e * 7 + k) % 9);
        }
        for (int i = 0; i < N; i++) {
            x->present[k][i] = 1;
            x->code[k][i] = i % 2;
        }
        x->batch.slot[k] = (clue_slot){.dense = x->dense[k],
                                       .counts = {.n_rows = N,
                                                  .n_cols = F,
                                                  .indptr = x->indptr,
                                                  .indices = x->indices,
                                                  .values = x->values[k]},
                                       .present = x->present[k],
                                       .batch = x->code[k]};
    }
}

static void tear_down(fixture *x)
{
    clue_net_clear(&x->net);
    tape_free(x->t);
}

/* Part `name` of the loss of a training step. */
static double part(fixture *x, const char *name)
{
    const clue_pass pass = {.vae = {.t = x->t, .p = &x->net.p, .seed = 3, .step = 1},
                            .adversary = {.t = x->t, .p = &x->net.adversary, .seed = 3}};
    clue_outputs out;
    model_losses losses;

    tape_reset(x->t, TAPE_TRAIN);
    clue_forward(&x->net, &pass.vae, &x->batch, &out);
    clue_loss(&x->net, &pass, &x->batch, &out, &losses);
    assert_int_equal(tape_status(x->t), SCW_OK);
    for (int k = 0; k < losses.n; k++)
        if (strcmp(losses.name[k], name) == 0) return (double)losses.part[k]->value[0];
    return NAN;
}

/* ------------------------------------------------------------------------------ the network */

static void test_stand_ins(void **state)
{
    static const char *const pairs[] = {"joint", "cross", "cos"};
    fixture x;
    double before[3];
    (void)state;

    set_up(&x, 0.0);
    x.present[1][2] = 0;
    const double nll = part(&x, "nll");
    for (int q = 0; q < 3; q++)
        before[q] = part(&x, pairs[q]);
    x.values[1][2 * F] +=
        50; /* a count of who stands in, which its library size is not asked about */
    assert_true(part(&x, "nll") != nll);
    for (int q = 0; q < 3; q++)
        assert_true(part(&x, pairs[q]) == before[q]);
    tear_down(&x);
}

static void test_no_pairs(void **state)
{
    fixture x;
    (void)state;

    set_up(&x, 0.0);
    for (int i = 0; i < N; i++)
        x.present[i % 2][i] = 0;
    assert_true(isfinite(part(&x, "joint")));
    assert_true(isnan(part(&x, "cross"))); /* there is no such term */
    assert_true(isnan(part(&x, "label")));
    /* The mean over one is that one. */
    assert_true(fabs(part(&x, "cos")) < 1e-6);
    tear_down(&x);
}

static void test_evaluation(void **state)
{
    fixture x;
    clue_outputs out;
    real first[N * 2 * BLOCK];
    (void)state;

    set_up(&x, 0.3);
    const nn_pass pass = {.t = x.t, .p = &x.net.p, .seed = 1};
    tape_reset(x.t, TAPE_EVAL);
    clue_forward(&x.net, &pass, &x.batch, &out);
    memcpy(first, out.unit[0]->value, sizeof first);
    for (int i = 0; i < N; i++) {
        const real *loc = out.loc[0]->value + i * 2 * BLOCK, *std = out.std[0]->value + i * 2 * BLOCK;
        double length = 0.0;
        for (int j = 0; j < 2 * BLOCK; j++)
            length += (double)(loc[j] * loc[j] + std[j] * std[j]);
        for (int j = 0; j < 2 * BLOCK; j++)
            assert_true(fabs((double)loc[j] / sqrt(length) - (double)first[i * 2 * BLOCK + j]) <
                        1e-6);
    }
    const nn_pass other = {.t = x.t, .p = &x.net.p, .seed = 2, .step = 9};
    for (int i = 0; i < N; i++)
        x.code[0][i] = 1; /* encoders see no batch */
    tape_reset(x.t, TAPE_EVAL);
    clue_forward(&x.net, &other, &x.batch, &out);
    assert_memory_equal(first, out.unit[0]->value, sizeof first);
    tear_down(&x);
}

static void test_decoder_uses(void **state)
{
    fixture x;
    clue_outputs out;
    (void)state;

    set_up(&x, 0.5);
    const nn_pass pass = {.t = x.t, .p = &x.net.p, .seed = 1};
    tape_reset(x.t, TAPE_TRAIN);
    clue_forward(&x.net, &pass, &x.batch, &out);
    tensor *library = op_slice(x.t, out.library[0], 0, 1);
    for (int i = 0; i < N; i++)
        assert_true(library->value[i] > 0); /* open from the start */
    const tensor *a = clue_decode(&x.net, &pass, 0, out.unit[0], library, x.code[0], 0);
    const tensor *b = clue_decode(&x.net, &pass, 0, out.unit[0], library, x.code[0], 1);
    const tensor *c = clue_decode(&x.net, &pass, 0, out.unit[0], library, x.code[0], 0);
    assert_int_equal(tape_status(x.t), SCW_OK);
    assert_memory_equal(a->value, c->value, (size_t)a->size * sizeof(real));
    assert_memory_not_equal(a->value, b->value, (size_t)a->size * sizeof(real));
    tear_down(&x);
}

static void test_configs_refused(void **state)
{
    clue_options o = defaults();
    clue_config c;
    clue_net net;
    (void)state;

    clue_options_config(&c, &o);
    c.n_modalities = 1;
    assert_int_equal(clue_net_init(&net, &c, 1), SCW_EINVAL);
    c.n_modalities = 2;
    for (int k = 0; k < 2; k++)
        c.modality[k] = (clue_modality){.n_in = 2, .n_vars = 2};
    assert_int_equal(clue_net_init(&net, &c, 1), SCW_EINVAL);
    assert_non_null(strstr(scw_error_message(), "weights"));
}

/* Specs 20: unit vectors from (1,2,2,0) and (2,1,0,2), cosine loss of one to the mean. */
static void test_cosine(void **state)
{
    real a[] = {1, 2, 2, 0}, b[] = {2, 1, 0, 2};
    tape *t;
    (void)state;

    assert_int_equal(tape_new(&t), SCW_OK);
    tape_reset(t, TAPE_TRAIN);
    tensor *u = op_normalise_rows(t, op_input(t, a, 1, 4, true));
    tensor *v = op_normalise_rows(t, op_input(t, b, 1, 4, true));
    tensor *apart = op_add(t, u, op_scale(t, v, -1.0));
    assert_true(fabs((double)op_sum_squares(t, apart)->value[0] - 1.111111111) < 1e-6);
    tensor *mean = op_normalise_rows(t, op_add(t, u, v));
    apart = op_add(t, u, op_scale(t, mean, -1.0));
    /* Over both vectors, as the loss sums over modalities. */
    assert_true(fabs((double)op_sum_squares(t, apart)->value[0] - 0.300326829) < 1e-6);
    tape_free(t);
}

/* ------------------------------------------------------------------------------ the options */

static void test_schedule(void **state)
{
    static const int64_t expected[][5] = {{2000, 427, 2560, 320, 107},
                                          {10000, 86, 512, 64, 22},
                                          {66175, 13, 78, 10, 4},
                                          {10000000, 12, 72, 9, 3}};
    clue_options o = defaults();
    clue_schedule s;
    (void)state;

    assert_int_equal(clue_options_preset(&o, "compat"), SCW_OK);
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        clue_schedule_of(&s, &o, expected[k][0]);
        assert_int_equal(s.burn_in, expected[k][1]);
        assert_int_equal(s.epochs, expected[k][2]);
        assert_int_equal(s.patience, expected[k][3]);
        assert_int_equal(s.lr_patience, expected[k][4]);
    }
    o.epochs = 7;
    clue_schedule_of(&s, &o, 2000);
    assert_int_equal(s.epochs, 7);
    assert_int_equal(s.burn_in, 427);
    o.batch_size = 100000; /* an epoch is one step: no more of them than steps */
    clue_schedule_of(&s, &o, 2000);
    assert_int_equal(s.decoder_epochs, 400);
    s.burn_in = 4;
    assert_true(clue_noise(&s, 1) == 1.0 && clue_noise(&s, 3) == 0.5);
    assert_true(clue_noise(&s, 5) == 0.0 && clue_noise(&s, 50) == 0.0);
}

static void test_presets(void **state)
{
    static const char *const names[] = {"cite", "multiome", "compat"};
    clue_options o;
    (void)state;

    for (int k = 0; k < 3; k++) {
        o = defaults();
        assert_int_equal(clue_options_preset(&o, names[k]), SCW_OK);
    }
    assert_true(o.target_library && !o.sphere && !o.share_encoders);
    assert_int_equal(clue_options_preset(&o, "citeseq"), SCW_EINVAL);
    assert_non_null(strstr(scw_error_message(), "multiome"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stand_ins),       cmocka_unit_test(test_no_pairs),
        cmocka_unit_test(test_evaluation),      cmocka_unit_test(test_decoder_uses),
        cmocka_unit_test(test_configs_refused), cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_schedule),        cmocka_unit_test(test_presets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
