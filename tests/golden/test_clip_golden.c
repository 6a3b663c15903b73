/* SPDX-License-Identifier: BSD-3-Clause */
/* The two-tower model against vectors of tools/golden/clip.py, which writes its equations a second time
 * with PyTorch: embeddings, loss, all gradients, and ten steps under AdamW.
 *
 * In double the first step must agree to 1e-9 relative, parameters after ten steps to 1e-7. In the
 * library's float the first step must agree to 1e-5, gradients and later losses to 1e-3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "models/clip.h"
#include "train/optimizer.h"

#ifdef SCW_REAL_DOUBLE
#define FIRST_TOLERANCE 1e-9
#define GRADIENT_TOLERANCE 1e-9
#define LAST_TOLERANCE 1e-7
#else
#define FIRST_TOLERANCE 1e-5
#define GRADIENT_TOLERANCE 1e-3
#define LAST_TOLERANCE 1e-3
#endif

static json_t *golden;

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    assert_true(json_is_number(v) || json_is_boolean(v));
    return json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
}

static clip_config config_of(const json_t *from)
{
    const json_t *mods = json_object_get(from, "modalities");
    clip_config c = {.n_modalities = (int)json_array_size(mods),
                     .z_dim = (int64_t)number(from, "d"),
                     .depth = (int)number(from, "depth"),
                     .width = (int64_t)number(from, "width"),
                     .path = number(from, "path") > 0,
                     .temperature = number(from, "t")};

    for (int k = 0; k < c.n_modalities; k++) {
        const json_t *m = json_array_get(mods, (size_t)k);
        (void)snprintf(c.modality[k].name, MODEL_NAME, "%s",
                       json_string_value(json_object_get(m, "name")));
        c.modality[k].n_in = (int64_t)number(m, "n_in");
    }
    return c;
}

typedef enum which { SET, VALUES, GRADIENTS } which;

/* Every named block; their number. */
static int for_each(clip_net *net, const json_t *object, which w, double tol)
{
    const char *name;
    json_t *value;
    int n_seen = 0;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const param *q = params_find(&net->p, name);
        int64_t n;
        if (!q) fail_msg("no parameter '%s'", name);
        real *want = golden_values(value, &n);
        assert_int_equal(n, q->size);
        if (w == SET)
            memcpy(net->p.value + q->offset, want, (size_t)n * sizeof *want);
        else
            expect_within(name, (w == VALUES ? net->p.value : net->p.grad) + q->offset, want, n, tol,
                          1e-3);
        free(want);
        n_seen++;
    }
    return n_seen;
}

static void expect_rows(const char *what, const tensor *got, const json_t *array)
{
    int64_t n;
    real *want = golden_values(array, &n);

    assert_int_equal(n, got->size);
    expect_within(what, got->value, want, n, FIRST_TOLERANCE, 1e-12);
    free(want);
}

static void run_steps(clip_net *net, const clip_batch *batch, const json_t *of)
{
    optimizer_options how = optimizer_defaults(OPTIMIZER_ADAMW);
    const json_t *losses = json_object_get(of, "loss");
    optimizer o;
    tape *t;

    how.weight_decay[CLIP_GROUP_WEIGHT] = number(golden, "decay");
    assert_int_equal(optimizer_init(&o, &how, &net->p), SCW_OK);
    assert_int_equal(tape_new(&t), SCW_OK);
    for (size_t step = 0; step < json_array_size(losses); step++) {
        const nn_pass pass = {.t = t, .p = &net->p, .seed = 1, .step = (uint32_t)step};
        const real want = (real)json_number_value(json_array_get(losses, step));
        clip_outputs out;
        model_losses loss;
        tape_reset(t, TAPE_TRAIN);
        clip_forward(net, &pass, batch, &out);
        clip_loss(net, &pass, batch, &out, &loss);
        assert_int_equal(tape_backward(t, loss.total), SCW_OK);
        expect_within("loss", loss.total->value, &want, 1,
                      step == 0 ? FIRST_TOLERANCE : LAST_TOLERANCE, 1e-12);
        if (step == 0) {
            const json_t *units = json_object_get(of, "unit");
            for (int k = 0; k < net->config.n_modalities; k++)
                expect_rows("unit", out.unit[k], json_array_get(units, (size_t)k));
            (void)for_each(net, json_object_get(of, "gradients"), GRADIENTS, GRADIENT_TOLERANCE);
        }
        optimizer_step(&o, &net->p, number(golden, "lr"), NULL);
    }
    (void)for_each(net, json_object_get(of, "final"), VALUES, LAST_TOLERANCE);
    tape_free(t);
    optimizer_clear(&o);
}

static void run_case(const char *name)
{
    const json_t *of = json_object_get(json_object_get(golden, "cases"), name);
    const clip_config config = config_of(json_object_get(of, "config"));
    clip_net net;
    clip_batch batch = {.n = (int64_t)number(json_object_get(of, "config"), "n")};
    real *owned[2 * MODEL_MAX_MODALITIES];
    int64_t n;

    n_wrong = 0;
    assert_int_equal(clip_net_init(&net, &config, 1), SCW_OK);
    assert_int_equal(for_each(&net, json_object_get(of, "initial"), SET, 0), net.p.n);
    for (int k = 0; k < config.n_modalities; k++) {
        owned[2 * k] = golden_values(json_array_get(json_object_get(of, "input"), (size_t)k), &n);
        owned[2 * k + 1] = golden_values(json_array_get(json_object_get(of, "present"), (size_t)k), &n);
        batch.input[k] = owned[2 * k];
        batch.present[k] = owned[2 * k + 1];
    }
    run_steps(&net, &batch, of);
    for (int k = 0; k < 2 * config.n_modalities; k++) free(owned[k]);
    clip_net_clear(&net);
    assert_int_equal(n_wrong, 0);
}

static void test_published(void **state)
{
    (void)state;
    run_case("published");
}

static void test_partial(void **state)
{
    (void)state;
    run_case("partial");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published),
                                       cmocka_unit_test(test_partial)};
    json_error_t error;

    golden = argc < 2 ? NULL : json_load_file(argv[1], 0, &error);
    if (!golden) {
        print_error("the golden vectors are the first argument\n");
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
