/* SPDX-License-Identifier: BSD-3-Clause */
/* The published network against vectors computed in float64 from the authors' own definition: forward
 * values, loss parts, gradients, running statistics, ten Adam steps, and the evaluation block.
 *
 * Built twice from the same sources. In double everything must agree: the first step to 1e-9 relative,
 * parameters, statistics, losses and evaluation after ten steps to 1e-6, measured per tensor against
 * its largest entry. In the library's float the first step must agree: forward values, losses and
 * statistics to 1e-5, reconstructions and gradients to 1e-4 (a batch norm over eight cells cancels digits); later losses to
 * 5e-2 only, because Adam divides a gradient by its own size and so turns the rounding of an entry that
 * is nearly zero into a whole step. The vectors are not part of the project; the path of the file is the
 * first argument, and without it the test is skipped. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "models/matilda.h"
#include "train/optimizer.h"

#ifdef SCW_REAL_DOUBLE
#define FIRST_TOLERANCE 1e-9
#define GRADIENT_TOLERANCE 1e-9
#define LAST_TOLERANCE 1e-6
#define COMPARE_END 1
#else
#define FIRST_TOLERANCE 1e-5
#define GRADIENT_TOLERANCE 1e-4
#define LAST_TOLERANCE 5e-2
#define COMPARE_END 0
#endif

static json_t *golden;

/* "data" of a vector object as real; the caller frees. */
static real *vector(const json_t *object, int64_t *n)
{
    return golden_values(json_object_get(object, "data"), n);
}

static int64_t int_of(const json_t *o, const char *key, size_t k)
{
    const json_t *v = json_object_get(o, key);
    assert_non_null(v);
    return (int64_t)json_integer_value(json_is_array(v) ? json_array_get(v, k) : v);
}

static void expect_close(const char *what, const real *got, const real *want, int64_t n, double tol)
{
    expect_within(what, got, want, n, tol, 1e-12);
}

static void expect_vector(const char *what, const real *got, const json_t *object, double tol)
{
    int64_t n;
    real *want = vector(object, &n);
    expect_close(what, got, want, n, tol);
    free(want);
}

static void expect_number(const char *what, const tensor *got, const json_t *want, double tol)
{
    real w = (real)json_number_value(want);
    expect_close(what, got->value, &w, 1, tol);
}

/* ------------------------------------------------------------ names and layouts of the vectors */

typedef struct golden_case {
    const json_t *json;
    matilda_net net;
    matilda_config config;
    int n_modalities;
    int64_t batch;
    int32_t labels[64];
    affine_sparse x[MODEL_MAX_MODALITIES];
    double largest_gradient;
} golden_case;

/* Names of modalities in the two- and three-modality classes of the authors' code. */
static const char *original_modality(const golden_case *c, int m)
{
    static const char *const two[] = {"modality1", "modality2"};
    static const char *const three[] = {"rna", "adt", "atac"};
    return c->n_modalities == 2 ? two[m] : three[m];
}

static void replace_prefix(char *out, size_t size, const char *prefix, const char *rest)
{
    (void)snprintf(out, size, "%s%s", prefix, rest);
}

/* Our name of an original parameter; *transposed when its layout is the other way round. */
static void our_name(const golden_case *c, const char *original, char *out, size_t size,
                     bool *transposed)
{
    char from[80], to[80];
    const char *norm_at[] = {".2.", ".1."};

    *transposed = false;
    (void)snprintf(out, size, "%s", original);
    for (int m = 0; m < c->n_modalities; m++) {
        const char *name = c->config.modality[m].name;
        (void)snprintf(from, sizeof from, "encoder.weights_%s", original_modality(c, m));
        if (strcmp(original, from) == 0)
            (void)snprintf(out, size, "encoder.%s.feature_weight", name);
        (void)snprintf(from, sizeof from, "encoder.encoder_%s.", original_modality(c, m));
        if (strncmp(original, from, strlen(from)) == 0) {
            (void)snprintf(to, sizeof to, "encoder.%s.", name);
            replace_prefix(out, size, to, original + strlen(from));
            *transposed = strcmp(original + strlen(from), "0.weight") == 0;
        }
        (void)snprintf(from, sizeof from, "decoder.decoder%d.", m + 1);
        if (strncmp(original, from, strlen(from)) == 0) {
            (void)snprintf(to, sizeof to, "decoder.%s.", name);
            replace_prefix(out, size, to, original + strlen(from));
        }
    }
    const char *const fixed[][2] = {{"encoder.encoder.", "encoder.joint."},
                                    {"encoder.fc_mu.", "latent.mu."},
                                    {"encoder.fc_var.", "latent.logvar."},
                                    {"classify.", "classifier."}};
    for (int k = 0; k < 4; k++)
        if (strncmp(original, fixed[k][0], strlen(fixed[k][0])) == 0)
            replace_prefix(out, size, fixed[k][1], original + strlen(fixed[k][0]));
    char *linear = strstr(out, ".0.weight");
    if (linear) (void)snprintf(linear, size - (size_t)(linear - out), ".weight");
    for (int k = 0; k < 2; k++) {
        char *norm = strstr(out, norm_at[k]);
        if (!norm) continue;
        char rest[80];
        (void)snprintf(rest, sizeof rest, ".norm.%s", norm + 3);
        (void)snprintf(norm, size - (size_t)(norm - out), "%s", rest);
    }
}

/* Expected values of one original parameter in our layout. */
static real *in_our_layout(const json_t *object, bool transposed, int64_t *n)
{
    real *v = vector(object, n);
    if (!transposed) return v;
    int64_t rows = int_of(object, "shape", 0), cols = int_of(object, "shape", 1);
    real *out = check_new((size_t)*n, sizeof *out);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < cols; k++) out[k * rows + r] = v[r * cols + k];
    free(v);
    return out;
}

typedef enum which { VALUES, GRADIENTS } which;

static void for_each(golden_case *c, const json_t *object, which w, double tol, bool set)
{
    const char *original;
    json_t *value;
    int n_seen = 0;

    json_object_foreach((json_t *)(uintptr_t)object, original, value)
    {
        char name[120];
        bool transposed;
        int64_t n;
        if (strstr(original, "num_batches_tracked")) continue;
        our_name(c, original, name, sizeof name, &transposed);
        const param *q = params_find(&c->net.p, name);
        if (!q) fail_msg("no parameter '%s' for '%s'", name, original);
        real *want = in_our_layout(value, transposed, &n);
        assert_int_equal(n, q->size);
        real *block = w == VALUES ? c->net.p.value : c->net.p.grad;
        if (set)
            memcpy(block + q->offset, want, (size_t)n * sizeof *want);
        else
            expect_within(original, block + q->offset, want, n, tol,
                          w == GRADIENTS ? 1e-3 * c->largest_gradient : 1e-3);
        free(want);
        n_seen++;
    }
    assert_true(n_seen > 0);
}

/* ------------------------------------------------------------------------------- the inputs */

/* Sparse log2 counts with the per-cell z-score as row scale and shift. */
static void make_input(golden_case *c, int m, const json_t *log2_counts)
{
    int64_t n, features = c->config.modality[m].n_vars;
    real *y = vector(log2_counts, &n);
    int64_t *indptr = check_new((size_t)c->batch + 1, sizeof *indptr);
    int32_t *indices = check_new((size_t)n, sizeof *indices);
    real *values = check_new((size_t)n, sizeof *values);
    real *scale = check_new((size_t)c->batch, sizeof *scale);
    real *shift = check_new((size_t)c->batch, sizeof *shift);
    int64_t at = 0;

    for (int64_t i = 0; i < c->batch; i++) {
        double sum = 0.0, squares = 0.0;
        for (int64_t j = 0; j < features; j++) sum += (double)y[i * features + j];
        double mean = sum / (double)features;
        for (int64_t j = 0; j < features; j++) {
            double d = (double)y[i * features + j] - mean;
            squares += d * d;
            if (y[i * features + j] == 0) continue;
            indices[at] = (int32_t)j;
            values[at++] = y[i * features + j];
        }
        double sd = sqrt(squares / (double)(features - 1));
        scale[i] = (real)(1.0 / sd);
        shift[i] = (real)(-mean / sd);
        indptr[i + 1] = at;
    }
    c->x[m] = (affine_sparse){.n_rows = c->batch, .n_cols = features, .indptr = indptr,
                              .indices = indices, .values = values, .row_scale = scale,
                              .row_shift = shift};
    free(y);
}

static void free_input(affine_sparse *x)
{
    free((void *)(uintptr_t)x->indptr);
    free((void *)(uintptr_t)x->indices);
    free((void *)(uintptr_t)x->values);
    free((void *)(uintptr_t)x->row_scale);
    free((void *)(uintptr_t)x->row_shift);
}

static void open_case(golden_case *c, const char *name)
{
    const char *const names[] = {"rna", "adt", "atac"};
    *c = (golden_case){0};
    c->json = json_object_get(json_object_get(golden, "cases"), name);
    assert_non_null(c->json);
    const json_t *config = json_object_get(c->json, "config");
    c->n_modalities = (int)json_array_size(json_object_get(config, "F"));
    c->batch = int_of(config, "B", 0);
    matilda_config *k = &c->config;
    *k = (matilda_config){.n_modalities = c->n_modalities,
                          .n_classes = int_of(config, "C", 0),
                          .z_dim = int_of(config, "z_dim", 0),
                          .n_joint = int_of(config, "z_dim", 0),
                          .feature_weight = true,
                          .feature_weight_init = 0.001,
                          .smoothing = 0.1,
                          .smoothing_classes = 17,
                          .rec_weight = 0.9,
                          .kl_weight = 1.0,
                          .cls_weight = 0.1};
    if (strstr(name, "masks")) k->drop = k->latent_drop = 0.2;
    for (int m = 0; m < c->n_modalities; m++) {
        (void)snprintf(k->modality[m].name, sizeof k->modality[m].name, "%s", names[m]);
        k->modality[m].n_vars = int_of(config, "F", (size_t)m);
        k->modality[m].n_hidden = int_of(config, "hidden", (size_t)m);
    }
    assert_int_equal(matilda_net_init(&c->net, k, 1), SCW_OK);
    for_each(c, json_object_get(c->json, "initial_parameters"), VALUES, 0, true);
    for_each(c, json_object_get(c->json, "initial_buffers"), VALUES, 0, true);
    for (int m = 0; m < c->n_modalities; m++)
        make_input(c, m, json_array_get(json_object_get(c->json, "log2"), (size_t)m));
    int64_t n;
    real *y = vector(json_object_get(c->json, "y"), &n);
    for (int64_t i = 0; i < n; i++) c->labels[i] = (int32_t)y[i];
    free(y);
}

static void close_case(golden_case *c)
{
    for (int m = 0; m < c->n_modalities; m++) free_input(&c->x[m]);
    matilda_net_clear(&c->net);
}

/* Masks of one step by our stream numbers. */
static void read_masks(const golden_case *c, const json_t *step, real **masks)
{
    const json_t *given = json_object_get(step, "masks");
    char name[80];
    int64_t n;

    for (int s = 0; s < MATILDA_N_STREAMS; s++) masks[s] = NULL;
    if (!given) return;
    for (int m = 0; m < c->n_modalities; m++) {
        (void)snprintf(name, sizeof name, "encoder.encoder_%s.3", original_modality(c, m));
        masks[m] = vector(json_object_get(given, name), &n);
    }
    masks[MATILDA_STREAM_JOINT] = vector(json_object_get(given, "encoder.encoder.3"), &n);
    masks[MATILDA_STREAM_MU] = vector(json_object_get(given, "encoder.fc_mu.2"), &n);
    masks[MATILDA_STREAM_LOGVAR] = vector(json_object_get(given, "encoder.fc_var.2"), &n);
}

/* ------------------------------------------------------------------------------------ checks */

static void expect_recon(const golden_case *c, const model_outputs *out, const json_t *want,
                         double tol)
{
    int64_t n, total = 0, at = 0;
    real *w = vector(want, &n);

    for (int m = 0; m < c->n_modalities; m++) total += c->config.modality[m].n_vars;
    real *got = check_new((size_t)n, sizeof *got);
    for (int m = 0; m < c->n_modalities; m++) {
        int64_t f = c->config.modality[m].n_vars;
        for (int64_t i = 0; i < c->batch; i++)
            memcpy(got + i * total + at, out->recon[m]->value + i * f, (size_t)f * sizeof *got);
        at += f;
    }
    expect_close("recon", got, w, n, tol);
    free(got);
    free(w);
}

static double largest_entry(const json_t *object)
{
    const char *name;
    json_t *value;
    double largest = 0.0;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        int64_t n;
        real *v = vector(value, &n);
        for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)v[i]));
        free(v);
    }
    return largest;
}

static void check_first_step(golden_case *c, const json_t *step, const model_outputs *out)
{
    const double tol = FIRST_TOLERANCE;

    expect_vector("mu", out->mu->value, json_object_get(step, "mu"), tol);
    expect_vector("logvar", out->logvar->value, json_object_get(step, "logvar"), tol);
    expect_vector("z", out->z->value, json_object_get(step, "z"), tol);
    expect_vector("logits", out->logits->value, json_object_get(step, "logits"), tol);
    if (out->recon[0]) expect_recon(c, out, json_object_get(step, "recon"), GRADIENT_TOLERANCE);
    c->largest_gradient = largest_entry(json_object_get(step, "gradients"));
    for_each(c, json_object_get(step, "gradients"), GRADIENTS, GRADIENT_TOLERANCE, false);
    for_each(c, json_object_get(step, "buffers_after_forward"), VALUES, tol, false);
}

/* A step as written in the equations; without reconstructions written down; and as the trainer does it,
 * with the large gradients handed on to the optimizer as they come. */
typedef enum step_way { AS_WRITTEN = 0, IN_STRIPS, HANDED_ON, N_WAYS } step_way;

static void run_step(golden_case *c, tape *t, optimizer *o, size_t k, step_way way)
{
    const json_t *step = json_array_get(json_object_get(c->json, "steps"), k);
    real *masks[MATILDA_N_STREAMS];
    model_batch batch = {.n = c->batch, .n_modalities = c->n_modalities, .labels = c->labels};
    model_outputs out;
    model_losses losses;
    int64_t n;
    double tol = k == 0 ? FIRST_TOLERANCE : LAST_TOLERANCE;

    read_masks(c, step, masks);
    real *eps = vector(json_object_get(step, "eps"), &n);
    batch.eps = eps;
    memcpy(batch.x, c->x, sizeof batch.x);
    tape_reset(t, TAPE_TRAIN);
    nn_pass pass = {.t = t, .p = &c->net.p, .seed = 1, .step = (uint32_t)k,
                    .masks = (const real *const *)masks};
    const kernel_taker taker = optimizer_taker(o);
    c->net.p.taker = way == HANDED_ON ? &taker : NULL;
    matilda_forward(&c->net, &pass, &batch, way == AS_WRITTEN, &out);
    matilda_loss(&c->net, &pass, &batch, &out, &losses);
    optimizer_begin(o, &c->net.p, 0.02, NULL);
    assert_int_equal(tape_backward(t, losses.total), SCW_OK);
    expect_number("rec", losses.part[0], json_object_get(step, "rec"), tol);
    expect_number("kl", losses.part[1], json_object_get(step, "kl"), tol);
    expect_number("cls", losses.part[2], json_object_get(step, "cls"), tol);
    expect_number("loss", losses.total, json_object_get(step, "loss"), tol);
    if (k == 0 && way != HANDED_ON) check_first_step(c, step, &out);
    optimizer_finish(o);
    c->net.p.taker = NULL;
    if (k == 0 && COMPARE_END)
        for_each(c, json_object_get(step, "parameters_after_step"), VALUES, LAST_TOLERANCE, false);
    free(eps);
    for (int s = 0; s < MATILDA_N_STREAMS; s++) free(masks[s]);
}

static void check_evaluation(golden_case *c, tape *t)
{
    const json_t *want = json_object_get(c->json, "eval");
    model_batch batch = {.n = c->batch, .n_modalities = c->n_modalities};
    model_outputs out;

    memcpy(batch.x, c->x, sizeof batch.x);
    tape_reset(t, TAPE_EVAL);
    nn_pass pass = {.t = t, .p = &c->net.p};
    matilda_forward(&c->net, &pass, &batch, true, &out);
    tensor *soft = op_softmax(t, out.logits);
    assert_int_equal(tape_status(t), SCW_OK);
    expect_vector("eval mu", out.mu->value, json_object_get(want, "mu"), LAST_TOLERANCE);
    expect_vector("eval logvar", out.logvar->value, json_object_get(want, "logvar"), LAST_TOLERANCE);
    expect_vector("eval logits", out.logits->value, json_object_get(want, "logits"), LAST_TOLERANCE);
    expect_vector("eval softmax", soft->value, json_object_get(want, "softmax"), LAST_TOLERANCE);
    expect_recon(c, &out, json_object_get(want, "recon"), LAST_TOLERANCE);
}

static void run_way(const char *name, step_way way)
{
    golden_case c;
    optimizer o;
    tape *t;
    optimizer_options adam = optimizer_defaults(OPTIMIZER_ADAM);

    n_wrong = 0;
    open_case(&c, name);
    assert_int_equal(optimizer_init(&o, &adam, &c.net.p), SCW_OK);
    assert_int_equal(tape_new(&t), SCW_OK);
    for (size_t k = 0; k < 10; k++) run_step(&c, t, &o, k, way);
    if (COMPARE_END) {
        for_each(&c, json_object_get(c.json, "final_parameters"), VALUES, LAST_TOLERANCE, false);
        for_each(&c, json_object_get(c.json, "final_buffers"), VALUES, LAST_TOLERANCE, false);
        check_evaluation(&c, t);
    }
    tape_free(t);
    optimizer_clear(&o);
    close_case(&c);
    assert_int_equal(n_wrong, 0);
}

static void run_case(const char *name)
{
    for (int way = 0; way < N_WAYS; way++) run_way(name, (step_way)way);
}

static void test_two_modalities(void **state)
{
    (void)state;
    run_case("cite_nodrop");
}

static void test_given_masks(void **state)
{
    (void)state;
    run_case("cite_masks");
}

static void test_three_modalities(void **state)
{
    (void)state;
    run_case("tea_nodrop");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_modalities),
                                       cmocka_unit_test(test_given_masks),
                                       cmocka_unit_test(test_three_modalities)};
    json_error_t error;

    if (argc < 2 || !(golden = json_load_file(argv[1], 0, &error))) {
        printf("SKIP: no golden vectors at %s\n", argc < 2 ? "(none given)" : argv[1]);
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
