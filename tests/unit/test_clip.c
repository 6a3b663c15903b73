/* SPDX-License-Identifier: BSD-3-Clause */
/* The linear path against canonical correlation, the choice of a library size by it; CLIP's job in memory on a small simulated set some of
 * whose cells lack a modality: the same bytes again and for any number of threads, for a fit that was
 * stopped and continued; what it refuses; never half a result when memory runs out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "data/example.h"
#include "models/clip_model.h"
#include "models/linear_path.h"
#include "prep/cca.h"
#include "scweave/scweave.h"
#include "train/path_choice.h"

#define N_OBS 150

static scw_dataset *data;
static char folder[] = "/tmp/scweave-clip-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    if (example_make(&data, N_OBS, EXAMPLE_NARROW, 4) != SCW_OK) return 1;
    for (int64_t i = 0; i < N_OBS; i += 5) { /* a fifth lacks the second modality */
        data->modalities[1].n_present--;
        data->modalities[1].row_of_obs[i] = -1;
    }
    return !mkdtemp(folder);
}

static int tear_down(void **state)
{
    (void)state;
    scw_dataset_free(data);
    return rmdir(folder);
}

/* ---------------------------------------------------------------------------- linear path */

enum { N = 80, P = 5, Q = 4 };

/* Two sets of columns that share some of their variance. */
static void make_sets(float *x, float *y)
{
    const rng_key key = rng_make_key(3, RNG_TEST, 0);

    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < P; j++) {
            const double shared = rng_normal(key, 0, (uint64_t)(i * 2 + j % 2));
            x[i * P + j] = (float)(3.0 + shared + rng_normal(key, 1, (uint64_t)(i * P + j)));
            if (j < Q) y[i * Q + j] = (float)(shared - rng_normal(key, 2, (uint64_t)(i * Q + j)));
        }
}

/* Of two sets it is canonical correlation, each variate up to its sign. */
static void path_of_two_sets(void **state)
{
    float x[N * P], y[N * Q];
    uint8_t all[N];
    linear_path path;
    cca c;
    (void)state;

    make_sets(x, y);
    memset(all, 1, sizeof all);
    const linear_path_cells sets = {.n = N, .n_sets = 2, .name = {"x", "y"}, .width = {P, Q},
                                     .input = {x, y}, .present = {all, all}};
    assert_int_equal(linear_path_fit(&path, &sets, &(linear_path_options){0.1, 1.0, 3}), SCW_OK);
    assert_int_equal(cca_fit(&c, x, P, y, Q, N, 3, 0.1), SCW_OK);
    for (int64_t e = 0; e < 3; e++) {
        double sign = path.map[0][e] * c.a[e] > 0.0 ? 1.0 : -1.0;
        assert_true(fabs(path.correlation[e] - c.correlations[e]) < 1e-9);
        for (int64_t j = 0; j < P; j++)
            assert_true(fabs(path.map[0][j * 3 + e] - sign * c.a[j * 3 + e]) < 1e-7);
        for (int64_t j = 0; j < Q; j++)
            assert_true(fabs(path.map[1][j * 3 + e] - sign * c.b[j * 3 + e]) < 1e-7);
    }
    cca_clear(&c);
    linear_path_clear(&path);
}

static void path_without_ties(void **state)
{
    float x[N * P], y[N * Q];
    uint8_t first[N], rest[N];
    linear_path path;
    (void)state;

    make_sets(x, y);
    for (int64_t i = 0; i < N; i++) rest[i] = !(first[i] = i < N / 2);
    const linear_path_cells sets = {.n = N, .n_sets = 2, .name = {"x", "y"}, .width = {P, Q},
                                     .input = {x, y}, .present = {first, rest}};
    assert_int_equal(linear_path_fit(&path, &sets, &(linear_path_options){0.1, 1.0, 3}), SCW_EDATA);
    assert_null(path.map[0]);
}

/* --------------------------------------------------------------------------- library size */

/* Two sets whose own share hides what they have in common, `best` the least. */
typedef struct blurred {
    double best; /* 0: all alike */
    int n_asked;
    const uint8_t *present[2];
    float x[N * P], y[N * Q];
} blurred;

static scw_status blur(void *self, double library, linear_path_cells *out)
{
    blurred *b = self;
    const rng_key key = rng_make_key(9, RNG_TEST, 0);
    const double own = b->best > 0.0 ? 0.3 + fabs(log10(library / b->best)) : 1.0;

    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < P; j++) {
            const double shared = rng_normal(key, 0, (uint64_t)(i * P + j));
            b->x[i * P + j] = (float)(shared + own * rng_normal(key, 1, (uint64_t)(i * P + j)));
            if (j < Q) b->y[i * Q + j] = (float)(shared + own * rng_normal(key, 2, (uint64_t)(i * Q + j)));
        }
    *out = (linear_path_cells){.n = N, .n_sets = 2, .name = {"x", "y"}, .width = {P, Q},
                               .input = {b->x, b->y},
                               .present = {b->present[0], b->present[1]}};
    b->n_asked++;
    return SCW_OK;
}

/* The least blurred; the usual one where they are alike, where nothing ties the sets, and without RNA. */
static void library_is_chosen(void **state)
{
    static uint8_t first[N], rest[N];
    static blurred b;
    const linear_path_options options = {0.1, 1.0, 3};
    (void)state;

    const double cases[][3] = {{300, 1, 300}, {1000, 1, 1000}, {10000, 1, 10000}, {0, 1, 10000},
                               {300, 0, 10000}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double library = 0.0;
        b = (blurred){.best = cases[k][0]};
        const library_scores scores = {&b, cases[k][1] != 0.0, blur};
        assert_int_equal(library_choose(&library, &scores, &options, NULL), SCW_OK);
        assert_true(library == cases[k][2]);
        assert_int_equal(b.n_asked, cases[k][1] != 0.0 ? 5 : 0);
    }
    double library = 0.0;
    for (int64_t i = 0; i < N; i++) rest[i] = !(first[i] = i < N / 2);
    b = (blurred){.best = 300.0, .present = {first, rest}};
    const library_scores scores = {&b, true, blur};
    assert_int_equal(library_choose(&library, &scores, &options, NULL), SCW_OK);
    assert_true(library == 10000.0);
    library = 42.0;
    assert_int_equal(library_choose(&library, &scores, &options, NULL), SCW_OK);
    assert_true(library == 42.0);
}

/* -------------------------------------------------------------------------------- network */

/* Inputs are mixed and blurred in training, and in training only; an absent row stays alone. */
static void inputs_are_disturbed(void **state)
{
    const clip_config config = {.n_modalities = 2, .z_dim = 3, .depth = 1, .width = 4,
                                .temperature = 1.0, .mixup = 0.5,
                                .modality = {{"a", 3, 0.1}, {"b", 2, 0.1}}};
    real a[] = {1, 2, 3, -1, 0, 1, 2, 2, -2, 0, 1, 0}, b[] = {1, 0, 0, 1, -1, 1, 2, -1};
    const real present[] = {1, 0, 1, 1};
    const clip_batch batch = {.n = 4, .input = {a, b}, .present = {NULL, present}};
    clip_net net;
    tape *t;
    real value[3];
    (void)state;

    assert_int_equal(clip_net_init(&net, &config, 1), SCW_OK);
    assert_int_equal(tape_new(&t), SCW_OK);
    for (int k = 0; k < 3; k++) {
        const nn_pass pass = {.t = t, .p = &net.p, .seed = 1, .step = (uint32_t)(k == 2)};
        clip_outputs out;
        model_losses losses;
        tape_reset(t, k == 0 ? TAPE_EVAL : TAPE_TRAIN);
        clip_forward(&net, &pass, &batch, &out);
        clip_loss(&net, &pass, &batch, &out, &losses);
        assert_int_equal(tape_status(t), SCW_OK);
        value[k] = losses.total->value[0];
    }
    assert_true(value[0] != value[1] && value[1] != value[2]);
    tape_free(t);
    clip_net_clear(&net);
    clip_config too_deep = config;
    too_deep.depth = CLIP_MAX_DEPTH + 1;
    assert_int_equal(clip_net_init(&net, &too_deep, 1), SCW_EINVAL);
}

/* ------------------------------------------------------------------------------------ fit */

static scw_status fit_with(scw_model **out, scw_fit_request request, const char *epochs,
                           const scw_hooks *hooks)
{
    static const char *const quick[][2] = {{"components", "8"}, {"z-dim", "4"}, {"width", "12"},
                                           {"batch-size", "64"}, {"validation", "0.2"},
                                           {"mixup", "0.2"},    {"max-dense", "8"},
                                           {"validation-from", "0"}};
    const scw_model_kind *kind = scw_model_kind_find("clip");
    clip_options o;

    assert_non_null(kind);
    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    for (size_t k = 0; k < sizeof quick / sizeof *quick; k++)
        assert_int_equal(scw_options_set(kind->options, &o, quick[k][0], quick[k][1]), SCW_OK);
    assert_int_equal(scw_options_set(kind->options, &o, "epochs", epochs), SCW_OK);
    request.seed = 5;
    return scw_model_fit(out, kind, data, &request, &o, hooks);
}

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int next;
    char *at = path[next++ % 4];

    (void)snprintf(at, sizeof path[0], "%s/%s", folder, name);
    return at;
}

static void fit_to(const char *name, scw_fit_request request, const char *epochs)
{
    scw_model *m;

    if (fit_with(&m, request, epochs, NULL) != SCW_OK) fail_msg("%s", scw_error_message());
    assert_int_equal(scw_model_save(m, in_folder(name)), SCW_OK);
    scw_model_free(m);
}

static size_t read_all(char **out, const char *name)
{
    FILE *f = fopen(in_folder(name), "rb");

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(f);
    rewind(f);
    *out = malloc(size + 1);
    assert_non_null(*out);
    assert_int_equal(fread(*out, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return size;
}

static void expect_same_bytes(const char *a, const char *b)
{
    char *x, *y;
    size_t n = read_all(&x, a);

    assert_int_equal(read_all(&y, b), n);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void forget(const char *name)
{
    assert_int_equal(unlink(in_folder(name)), 0);
}

static void fit_repeats(void **state)
{
    (void)state;
    fit_to("one", (scw_fit_request){.threads = 1}, "4");
    fit_to("again", (scw_fit_request){.threads = 1}, "4");
    fit_to("two", (scw_fit_request){.threads = 2}, "4");
    expect_same_bytes("one", "again");
    expect_same_bytes("one", "two");
    forget("one");
    forget("again");
    forget("two");
}

typedef struct stopper {
    int64_t calls, stop_at;
} stopper;

static int stop(void *user)
{
    stopper *s = user;
    return ++s->calls >= s->stop_at;
}

static void fit_continues(void **state)
{
    int n_stopped = 0;
    (void)state;

    fit_to("whole", (scw_fit_request){.threads = 1}, "6");
    for (int64_t at = 25; at < 75; at += 7) {
        stopper s = {0, at};
        const scw_hooks hooks = {.cancelled = stop, .user = &s};
        scw_fit_request request = {.threads = 1, .checkpoint = in_folder("kept"),
                                   .checkpoint_epochs = 1};
        scw_model *m = NULL;
        scw_status st = fit_with(&m, request, "6", &hooks);
        if (st != SCW_OK) assert_int_equal(st, SCW_ECANCELLED);
        n_stopped += st != SCW_OK;
        scw_model_free(m);
        request.resume = 1;
        fit_to("continued", request, "6");
        expect_same_bytes("whole", "continued");
        (void)unlink(in_folder("kept"));
    }
    assert_true(n_stopped > 3);
    forget("whole");
    forget("continued");
}

static void memory_runs_out(void **state)
{
    scw_model *m;
    (void)state;

    (void)mem_fail_at(0);
    assert_int_equal(fit_with(&m, (scw_fit_request){.threads = 1}, "1", NULL), SCW_OK);
    scw_model_free(m);
    const int64_t n = mem_fail_at(0), stride = n / 25 + 1;
    for (int64_t at = 1; at <= n; at += stride) {
        (void)mem_fail_at(at);
        scw_status st = fit_with(&m, (scw_fit_request){.threads = 1}, "1", NULL);
        (void)mem_fail_at(0);
        if (st == SCW_OK) {
            scw_model_free(m);
            continue;
        }
        assert_int_equal(st, SCW_ENOMEM);
        assert_null(m);
    }
}

static void fit_refuses(void **state)
{
    scw_model *m;
    (void)state;

    assert_int_equal(fit_with(&m, (scw_fit_request){.threads = 1, .modalities = "rna"}, "1", NULL),
                     SCW_EDATA);
    assert_non_null(strstr(scw_error_message(), "at least two"));
    assert_int_equal(fit_with(&m, (scw_fit_request){.threads = 1, .batch_key = "batch"}, "1", NULL),
                     SCW_EUNSUPPORTED);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_of_two_sets), cmocka_unit_test(path_without_ties),
        cmocka_unit_test(library_is_chosen),
        cmocka_unit_test(inputs_are_disturbed), cmocka_unit_test(fit_repeats),
        cmocka_unit_test(fit_continues), cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(fit_refuses),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
