/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE against vectors of tools/golden/clue.py, which writes its equations a second time with
 * PyTorch: forward values, parts of the loss, all gradients, and ten alternating steps of
 * discriminator and network under RMSprop; as published, and corrected with every likelihood.
 *
 * In double the first step must agree to 1e-9 relative, parameters and statistics after ten steps
 * to 1e-6. In the library's float the first step must agree to 1e-5, its gradients to 1e-3; later
 * losses to 5e-2 only, because RMSprop divides a gradient by its own size and so turns the rounding
 * of an entry that is nearly zero into a whole step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "models/clue.h"
#include "train/clue_source.h"
#include "train/optimizer.h"
#include "train/trainer.h"

#ifdef SCW_REAL_DOUBLE
#define FIRST_TOLERANCE 1e-9
#define GRADIENT_TOLERANCE 1e-9
#define LAST_TOLERANCE 1e-6
#define COMPARE_END 1
#else
#define FIRST_TOLERANCE 1e-5
#define GRADIENT_TOLERANCE 1e-3
#define LAST_TOLERANCE 5e-2
#define COMPARE_END 0
#endif

static json_t *golden;

/* One case: the network as the vectors begin, its batch, and what to free. */
typedef struct golden_case {
    const json_t *json;
    clue_net net;
    clue_batch batch;
    void *owned[256];
    int n_owned;
} golden_case;

static real *keep(golden_case *c, const json_t *array)
{
    int64_t n;
    real *v = golden_values(array, &n);

    assert_true(c->n_owned < 256);
    c->owned[c->n_owned++] = v;
    return v;
}

static int32_t *keep_codes(golden_case *c, const json_t *array)
{
    const real *v = keep(c, array);
    const size_t n = json_array_size(array);
    int32_t *codes = check_new(n, sizeof *codes);

    for (size_t i = 0; i < n; i++)
        codes[i] = (int32_t)v[i];
    c->owned[c->n_owned++] = codes;
    return codes;
}

/* Dense values as sparse rows. */
static affine_sparse sparse(golden_case *c, const json_t *array, int64_t rows, int64_t cols)
{
    const real *v = keep(c, array);
    int64_t *indptr = check_new((size_t)rows + 1, sizeof *indptr), n = 0;
    int32_t *indices = check_new((size_t)(rows * cols), sizeof *indices);
    real *values = check_new((size_t)(rows * cols), sizeof *values);

    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            if (v[i * cols + j] == 0) continue;
            indices[n] = (int32_t)j;
            values[n++] = v[i * cols + j];
        }
        indptr[i + 1] = n;
    }
    c->owned[c->n_owned++] = indptr;
    c->owned[c->n_owned++] = indices;
    c->owned[c->n_owned++] = values;
    return (affine_sparse){
        .n_rows = rows, .n_cols = cols, .indptr = indptr, .indices = indices, .values = values};
}

/* ------------------------------------------------------------------------------- the case */

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    assert_true(json_is_number(v) || json_is_boolean(v));
    return json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
}

static int64_t whole(const json_t *o, const char *key, size_t k)
{
    return json_integer_value(json_array_get(json_object_get(o, key), k));
}

static clue_config config_of(const json_t *from)
{
    static const char *const likelihoods[] = {"nb", "bernoulli", "normal"};
    const json_t *lam = json_object_get(from, "lam"), *mods = json_object_get(from, "modalities");
    clue_config c = {.n_modalities = (int)json_array_size(mods),
                     .z_dim = (int64_t)number(from, "d"),
                     .encoder_depth = (int)whole(from, "encoder", 0),
                     .encoder_width = whole(from, "encoder", 1),
                     .decoder_depth = (int)whole(from, "decoder", 0),
                     .decoder_width = whole(from, "decoder", 1),
                     .discriminator_depth = (int)whole(from, "discriminator", 0),
                     .discriminator_width = whole(from, "discriminator", 1),
                     .n_batches = (int64_t)number(from, "batches"),
                     .n_classes = (int64_t)number(from, "classes"),
                     .share_encoders = number(from, "share") > 0,
                     .sphere = number(from, "sphere") > 0,
                     .target_library = number(from, "target_library") > 0,
                     .lam_data = number(lam, "data"),
                     .lam_kl = number(lam, "kl"),
                     .lam_align = number(lam, "align"),
                     .lam_joint = number(lam, "joint"),
                     .lam_cross = number(lam, "cross"),
                     .lam_cos = number(lam, "cos"),
                     .lam_label = number(lam, "label")};

    for (int k = 0; k < c.n_modalities; k++) {
        const json_t *m = json_array_get(mods, (size_t)k);
        clue_modality *to = &c.modality[k];
        (void)snprintf(to->name, sizeof to->name, "%s",
                       json_string_value(json_object_get(m, "name")));
        to->n_in = (int64_t)number(m, "n_in");
        to->sparse_input = number(m, "sparse") > 0;
        to->n_vars = (int64_t)number(m, "F");
        to->weight = number(m, "weight");
        const char *word = json_string_value(json_object_get(m, "likelihood"));
        for (int q = 0; q < 3; q++)
            if (strcmp(word, likelihoods[q]) == 0) to->likelihood = (clue_likelihood)q;
    }
    return c;
}

static const params *set_of(const golden_case *c, const char *name)
{
    return strncmp(name, "discriminator", 13) == 0 ? &c->net.adversary : &c->net.p;
}

typedef enum which { SET, VALUES, GRADIENTS } which;

static double largest_entry(const json_t *object)
{
    const char *name;
    json_t *value;
    double largest = 0.0;

    json_object_foreach((json_t *)(uintptr_t)object, name,
                        value) for (size_t i = 0; i < json_array_size(value); i++) largest =
        fmax(largest, fabs(json_number_value(json_array_get(value, i))));
    return largest;
}

/* Every named block; their number. */
static int for_each(golden_case *c, const json_t *object, which w, double tol)
{
    const char *name;
    json_t *value;
    int n_seen = 0;
    const double floor = w == GRADIENTS ? 1e-3 * largest_entry(object) : 1e-3;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const params *p = set_of(c, name);
        const param *q = params_find(p, name);
        int64_t n;
        if (!q) fail_msg("no parameter '%s'", name);
        real *want = golden_values(value, &n);
        assert_int_equal(n, q->size);
        if (w == SET)
            memcpy(p->value + q->offset, want, (size_t)n * sizeof *want);
        else
            expect_within(name, (w == VALUES ? p->value : p->grad) + q->offset, want, n, tol,
                          floor);
        free(want);
        n_seen++;
    }
    return n_seen;
}

static int n_trainable(const params *p)
{
    int n = 0;
    for (int k = 0; k < p->n; k++)
        n += p->at[k].trainable;
    return n;
}

static void open_case(golden_case *c, const char *name)
{
    *c = (golden_case){.json = json_object_get(json_object_get(golden, "cases"), name)};
    const json_t *from = json_object_get(c->json, "config"),
                 *data = json_object_get(c->json, "data");
    const clue_config config = config_of(from);

    assert_int_equal(clue_net_init(&c->net, &config, 1), SCW_OK);
    assert_int_equal(for_each(c, json_object_get(c->json, "initial"), SET, 0),
                     n_trainable(&c->net.p) + n_trainable(&c->net.adversary));
    c->batch.n = (int64_t)number(from, "n");
    for (int k = 0; k < config.n_modalities; k++) {
        const clue_modality *m = &config.modality[k];
        clue_slot *to = &c->batch.slot[k];
        const json_t *input = json_array_get(json_object_get(data, "input"), (size_t)k);
        affine_sparse *x = check_new(1, sizeof *x);
        c->owned[c->n_owned++] = x;
        *x = sparse(c, input, c->batch.n, m->n_in);
        if (m->sparse_input)
            to->x = x;
        else
            to->dense = keep(c, input);
        to->counts =
            sparse(c, json_array_get(json_object_get(data, "x"), (size_t)k), c->batch.n, m->n_vars);
        to->present = keep(c, json_array_get(json_object_get(data, "present"), (size_t)k));
        to->batch = keep_codes(c, json_array_get(json_object_get(data, "batch"), (size_t)k));
        to->labels = keep_codes(c, json_array_get(json_object_get(data, "labels"), (size_t)k));
    }
}

static void close_case(golden_case *c)
{
    for (int k = 0; k < c->n_owned; k++)
        free(c->owned[k]);
    clue_net_clear(&c->net);
}

/* ------------------------------------------------------------------------------------ checks */

static void expect_number(const char *what, const tensor *got, const json_t *want, double tol)
{
    const real w = (real)json_number_value(want);
    expect_within(what, got->value, &w, 1, tol, 1e-12);
}

static void expect_tensor(const char *what, const tensor *got, const json_t *array, double tol)
{
    int64_t n;
    real *want = golden_values(array, &n);

    assert_int_equal(n, got->size);
    expect_within(what, got->value, want, n, tol, 1e-12);
    free(want);
}

static void check_forward(const golden_case *c, const clue_outputs *out, const json_t *want)
{
    tensor *const *const lists[] = {out->loc, out->std, out->unit, out->library};
    static const char *const names[] = {"loc", "std", "unit", "library"};

    for (int q = 0; q < 4; q++)
        for (int k = 0; k < c->net.config.n_modalities; k++)
            expect_tensor(names[q], lists[q][k],
                          json_array_get(json_object_get(want, names[q]), (size_t)k),
                          FIRST_TOLERANCE);
    expect_tensor("joint", out->joint, json_object_get(want, "joint"), FIRST_TOLERANCE);
}

/* The random numbers of one turn. */
static void take_turn(golden_case *c, const json_t *turn)
{
    for (int k = 0; k < c->net.config.n_modalities; k++) {
        c->batch.slot[k].eps = keep(c, json_array_get(json_object_get(turn, "eps"), (size_t)k));
        c->batch.slot[k].noise = keep(c, json_array_get(json_object_get(turn, "noise"), (size_t)k));
    }
}

static void run_adversary(golden_case *c, tape *t, optimizer *o, const json_t *turn, bool first)
{
    const params frozen = clue_frozen(&c->net.p);
    const clue_pass pass = {.vae = {.t = t, .p = &frozen, .seed = 1},
                            .adversary = {.t = t, .p = &c->net.adversary, .seed = 1}};
    clue_outputs out;

    take_turn(c, turn);
    tape_reset(t, TAPE_TRAIN);
    clue_forward(&c->net, &pass.vae, &c->batch, &out);
    tensor *loss = clue_adversary_loss(&c->net, &pass, &c->batch, &out);
    assert_int_equal(tape_backward(t, loss), SCW_OK);
    expect_number("adversary", loss, json_object_get(turn, "loss"),
                  first ? FIRST_TOLERANCE : LAST_TOLERANCE);
    if (first)
        assert_int_equal(
            for_each(c, json_object_get(turn, "gradients"), GRADIENTS, GRADIENT_TOLERANCE),
            n_trainable(&c->net.adversary));
    for (int64_t e = 0; e < c->net.p.n_trainable; e++)
        assert_true(c->net.p.grad[e] == 0);
    optimizer_step(o, &c->net.adversary, 2e-3, NULL);
}

static void run_vae(golden_case *c, tape *t, optimizer *o, const json_t *turn, bool first)
{
    const params frozen = clue_frozen(&c->net.adversary);
    const clue_pass pass = {.vae = {.t = t, .p = &c->net.p, .seed = 1},
                            .adversary = {.t = t, .p = &frozen, .seed = 1}};
    const double tol = first ? FIRST_TOLERANCE : LAST_TOLERANCE;
    clue_outputs out;
    model_losses losses;

    take_turn(c, turn);
    tape_reset(t, TAPE_TRAIN);
    clue_forward(&c->net, &pass.vae, &c->batch, &out);
    clue_loss(&c->net, &pass, &c->batch, &out, &losses);
    assert_int_equal(tape_backward(t, losses.total), SCW_OK);
    const json_t *parts = json_object_get(turn, "parts");
    assert_int_equal(losses.n, (int)json_object_size(parts));
    for (int k = 0; k < losses.n; k++)
        expect_number(losses.name[k], losses.part[k], json_object_get(parts, losses.name[k]), tol);
    expect_number("loss", losses.total, json_object_get(turn, "loss"), tol);
    if (first) {
        check_forward(c, &out, json_object_get(turn, "forward"));
        assert_int_equal(
            for_each(c, json_object_get(turn, "gradients"), GRADIENTS, GRADIENT_TOLERANCE),
            n_trainable(&c->net.p));
    }
    for (int64_t e = 0; e < c->net.adversary.n_trainable; e++)
        assert_true(c->net.adversary.grad[e] == 0);
    optimizer_step(o, &c->net.p, 2e-3, NULL);
}

static void run_case(const char *name)
{
    golden_case c;
    optimizer vae, adversary;
    tape *t;
    const optimizer_options rmsprop = optimizer_defaults(OPTIMIZER_RMSPROP);

    n_wrong = 0;
    open_case(&c, name);
    assert_int_equal(optimizer_init(&vae, &rmsprop, &c.net.p), SCW_OK);
    assert_int_equal(optimizer_init(&adversary, &rmsprop, &c.net.adversary), SCW_OK);
    assert_int_equal(tape_new(&t), SCW_OK);
    for (size_t k = 0; k < 10; k++) {
        const json_t *step = json_array_get(json_object_get(c.json, "steps"), k);
        c.batch.noise = number(step, "a");
        run_adversary(&c, t, &adversary, json_object_get(step, "adversary"), k == 0);
        run_vae(&c, t, &vae, json_object_get(step, "vae"), k == 0);
    }
    if (COMPARE_END) {
        (void)for_each(&c, json_object_get(c.json, "final"), VALUES, LAST_TOLERANCE);
        (void)for_each(&c, json_object_get(c.json, "final_buffers"), VALUES, LAST_TOLERANCE);
    }
    tape_free(t);
    optimizer_clear(&vae);
    optimizer_clear(&adversary);
    close_case(&c);
    assert_int_equal(n_wrong, 0);
}

#ifndef SCW_REAL_DOUBLE
/* The same ten steps by the trainer, in which the discriminator is the network's rival. */
typedef struct trained_case {
    golden_case c;
    int n_gathered; /* twice a step: the rival first */
} trained_case;

static void gather(const void *self, tape *t, const int64_t *entries, int64_t n, model_batch *batch)
{
    trained_case *x = (trained_case *)(uintptr_t)self;
    const json_t *step = json_array_get(json_object_get(x->c.json, "steps"),
                                        (size_t)x->n_gathered / 2);
    (void)t;
    (void)entries;

    take_turn(&x->c, json_object_get(step, x->n_gathered++ % 2 ? "vae" : "adversary"));
    *batch = (model_batch){.n = n, .more = &x->c.batch};
}

static void run_trainer(const char *name)
{
    trained_case x = {.n_gathered = 0};
    trainer t;

    n_wrong = 0;
    open_case(&x.c, name);
    const clue_learner learner = {.net = &x.c.net, .schedule = {.burn_in = 6}, .steps_per_epoch = 1};
    const network net = clue_as_network(&learner), rival = clue_as_rival(&learner);
    const train_options options = {.seed = 1,
                                   .batch_size = x.c.batch.n,
                                   .optimizer = optimizer_defaults(OPTIMIZER_RMSPROP),
                                   .rival = &rival};
    const train_phase phase = {.name = "golden",
                               .source = {.n = x.c.batch.n, .self = &x, .gather = gather},
                               .n_epochs = 10,
                               .lr = 2e-3,
                               .lr_end = 2e-3};
    assert_int_equal(trainer_init(&t, &net, &options, 10, NULL, NULL), SCW_OK);
    assert_int_equal(trainer_run(&t, &phase, false), SCW_OK);
    assert_int_equal(x.n_gathered, 20);
    for (size_t k = 0; k < 10; k++) {
        const json_t *step = json_array_get(json_object_get(x.c.json, "steps"), k);
        const real want = (real)json_number_value(json_object_get(json_object_get(step, "vae"), "loss"));
        const real got = (real)t.history[k].total;
        expect_within("loss", &got, &want, 1, k == 0 ? GRADIENT_TOLERANCE : LAST_TOLERANCE, 1e-12);
    }
    trainer_clear(&t);
    close_case(&x.c);
    assert_int_equal(n_wrong, 0);
}

static void test_trainer(void **state)
{
    (void)state;
    run_trainer("published");
    run_trainer("corrected");
}
#endif

static void test_published(void **state)
{
    (void)state;
    run_case("published");
}

static void test_corrected(void **state)
{
    (void)state;
    run_case("corrected");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published),
#ifndef SCW_REAL_DOUBLE
                                       cmocka_unit_test(test_trainer),
#endif
                                       cmocka_unit_test(test_corrected)};
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
