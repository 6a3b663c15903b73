/* SPDX-License-Identifier: BSD-3-Clause */
/* Fits that start from a fitted model: what is taken over, what may grow, what is refused; the same bytes
 * for any number of threads and for a fit that was stopped and continued. */
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
#include "data/example.h"
#include "models/carry.h"
#include "models/clip_model.h"
#include "models/clue_model.h"
#include "scweave/scweave.h"

#define N_OBS 151

static scw_dataset *before, *after; /* other cells, one other batch; in `after` some have one modality */
static char folder[] = "/tmp/scweave-start-XXXXXX";

typedef struct setting {
    const char *name, *value;
} setting;

static const setting tiny_clue[] = {
    {"epochs", "2"},       {"components", "8"},         {"z-dim", "4"},       {"encoder-width", "12"},
    {"max-dense", "8"},    {"discriminator-width", "8"}, {"batch-size", "64"}, {"validation", "0.2"},
    {"decoder-width", "12"}, {"align-weight", "0.02"},  {"library", "1000"},
    {"decoder-epochs", "1"}, {NULL, NULL}};
static const setting tiny_clip[] = {{"epochs", "2"},    {"components", "8"}, {"z-dim", "4"},
                                    {"width", "12"},    {"max-dense", "8"},  {"batch-size", "64"},
                                    {"library", "1000"}, {NULL, NULL}};

static column *batch_of(scw_dataset *d)
{
    const column *c;

    assert_int_equal(dataset_obs_column(&c, d, "batch"), SCW_OK);
    assert_int_equal(c->kind, COLUMN_CATEGORICAL);
    assert_int_equal(c->categories.n, 2);
    return (column *)(uintptr_t)c;
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(example_make(&before, N_OBS, EXAMPLE_NARROW, 3), SCW_OK);
    assert_int_equal(example_make(&after, N_OBS, EXAMPLE_NARROW, 4), SCW_OK);
    batch_of(before)->categories.at[0][0] = 'z'; /* batch1 */
    for (int64_t i = 0; i < N_OBS; i += 3) {
        modality *m = &after->modalities[i % 2];
        m->n_present -= m->row_of_obs[i] >= 0;
        m->row_of_obs[i] = -1;
    }
    return !mkdtemp(folder);
}

static int tear_down(void **state)
{
    (void)state;
    scw_dataset_free(before);
    scw_dataset_free(after);
    return rmdir(folder);
}

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int next;
    char *at = path[next++ % 4];

    (void)snprintf(at, sizeof path[0], "%s/%s", folder, name);
    return at;
}

static void *options_of(const scw_model_kind *kind, const scw_model *from, const setting *settings)
{
    void *o = calloc(1, kind->options_size);

    assert_non_null(o);
    assert_int_equal(scw_options_init(kind->options, o), SCW_OK);
    if (from) scw_model_options(o, from);
    for (; settings && settings->name; settings++)
        if (scw_options_set(kind->options, o, settings->name, settings->value) != SCW_OK)
            fail_msg("%s", scw_error_message());
    return o;
}

static scw_status fit(scw_model **out, const char *name, const scw_dataset *d, scw_fit_request request,
                      const setting *settings, const scw_hooks *hooks)
{
    const scw_model_kind *kind = scw_model_kind_find(name);
    const bool same = request.from && scw_model_kind_of(request.from) == kind;
    void *o = options_of(kind, same ? request.from : NULL, settings);

    request.seed = 5;
    if (request.threads == 0) request.threads = 1;
    const scw_status st = scw_model_fit(out, kind, d, &request, o, hooks);
    free(o);
    return st;
}

static scw_model *must_fit(const char *name, const scw_dataset *d, scw_fit_request request,
                           const setting *settings)
{
    scw_model *m;

    if (fit(&m, name, d, request, settings, NULL) != SCW_OK) fail_msg("%s", scw_error_message());
    return m;
}

static scw_model *base_model(void)
{
    return must_fit("clue", before, (scw_fit_request){.batch_key = "batch"}, tiny_clue);
}

/* -------------------------------------------------------------------------------- parameters */

static void declare(params *p, const char *name, int64_t rows, int64_t cols, double value)
{
    int handle;

    assert_int_equal(params_add(p, &handle, name, cols ? 2 : 1, (int64_t[]){rows, cols}, PARAM_UNIFORM,
                                value, value, true, 0), SCW_OK);
}

static void test_parameters(void **state)
{
    const carry_rule rules[] = {{"d.", ".weight", 1, 2}, {"d.", ".shift", 0, 2}, {"label.", "", 0, 0}};
    params from = {0}, to = {0};
    (void)state;

    declare(&from, "e.weight", 2, 3, 1.0);
    declare(&from, "d.0.weight", 2, 5, 1.0);
    declare(&from, "d.x.shift", 2, 3, 1.0);
    declare(&to, "d.x.shift", 4, 3, 9.0);
    declare(&to, "d.0.weight", 2, 7, 9.0);
    declare(&to, "e.weight", 2, 3, 9.0);
    declare(&to, "label.bias", 3, 0, 9.0);
    assert_int_equal(params_build(&from, 1), SCW_OK);
    assert_int_equal(params_build(&to, 1), SCW_OK);
    for (int64_t e = 0; e < from.n_values; e++) from.value[e] = (real)e;
    assert_int_equal(carry_params(&to, &from, rules, 3), SCW_OK);
    const param *a = params_find(&from, "d.0.weight"), *b = params_find(&to, "d.0.weight");
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 7; j++) {
            const real *x = from.value + a->offset + i * 5;
            const double want = j < 5 ? (double)x[j] : ((double)x[3] + (double)x[4]) / 2.0;
            assert_true((double)to.value[b->offset + i * 7 + j] == want);
        }
    a = params_find(&from, "d.x.shift"), b = params_find(&to, "d.x.shift");
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++) {
            const real *x = from.value + a->offset + j;
            const double want = i < 2 ? (double)x[i * 3] : ((double)x[0] + (double)x[3]) / 2.0;
            assert_true((double)to.value[b->offset + i * 3 + j] == want);
        }
    a = params_find(&from, "e.weight"), b = params_find(&to, "e.weight");
    assert_memory_equal(from.value + a->offset, to.value + b->offset, 6 * sizeof(real));
    assert_true(to.value[params_find(&to, "label.bias")->offset] == 9); /* nothing to take over */
    assert_int_equal(carry_params(&to, &from, rules, 2), SCW_EINVAL);
    assert_non_null(strstr(scw_error_message(), "label.bias"));
    assert_int_equal(carry_params(&from, &to, rules, 3), SCW_EINVAL); /* none shrinks */
    assert_non_null(strstr(scw_error_message(), "d.0.weight"));
    params_clear(&from);
    params_clear(&to);
}

/* ------------------------------------------------------------------------------- taken over */

static void expect_same(const float *a, const float *b, int64_t n)
{
    assert_true(!a == !b);
    if (a) assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

static void expect_near(const params *a, const params *b, const char *name)
{
    const param *x = params_find(a, name), *y = params_find(b, name);

    assert_true(x && y && x->size == y->size);
    for (int64_t e = 0; e < x->size; e++)
        assert_true(fabs((double)(a->value[x->offset + e] - b->value[y->offset + e])) < 1e-5);
}

static void expect_same_inputs(const scw_model *a, const modality_input *x, const scw_model *b,
                               const modality_input *y)
{
    assert_int_equal(a->n_modalities, b->n_modalities);
    for (int k = 0; k < a->n_modalities; k++) {
        const transform *s = &a->modality[k].prep, *t = &b->modality[k].prep;
        const int64_t n = a->modality[k].features.n;
        assert_string_equal(a->modality[k].name, b->modality[k].name);
        assert_int_equal(n, b->modality[k].features.n);
        assert_true(s->target == t->target);
        expect_same(s->mean_count, t->mean_count, n);
        expect_same(s->center, t->center, n);
        expect_same(s->idf, t->idf, n);
        assert_int_equal(x[k].width, y[k].width);
        expect_same(x[k].loadings, y[k].loadings, n * x[k].width);
        expect_same(x[k].offset, y[k].offset, x[k].width);
    }
}

/* A rate of nearly nothing shows where the training starts. */
static void test_starts_where_the_model_is(void **state)
{
    static const setting still[] = {{"lr", "1e-9"}, {"lr-end", "1e-9"}, {"epochs", "1"},
                                    {"average", "0"}, {"decoder-lr", "0"}, {NULL, NULL}};
    scw_model *base = base_model();
    const scw_fit_request request = {.batch_key = "batch", .from = base, .label_key = "cell_type"};
    scw_model *tuned = must_fit("clue", after, request, still);
    const clue_model *a = (clue_model *)base, *b = (clue_model *)tuned;
    (void)state;

    expect_same_inputs(base, a->input, tuned, b->input);
    assert_int_equal(tuned->batches.n, 3);
    assert_string_equal(tuned->batches.at[0], "batch2");
    assert_string_equal(tuned->batches.at[1], "zatch1");
    assert_string_equal(tuned->batches.at[2], "batch1");
    expect_near(&a->net.p, &b->net.p, "encoder.rna.path");
    expect_near(&a->net.p, &b->net.p, "encoder.adt.0.weight");
    expect_near(&a->net.p, &b->net.p, "library.rna.weight");
    expect_near(&a->net.adversary, &b->net.adversary, "discriminator.answer.weight");
    const param *x = params_find(&a->net.p, "decoder.rna.batch_shift");
    const param *y = params_find(&b->net.p, "decoder.rna.batch_shift");
    const int64_t n = x->dim[1];
    for (int64_t j = 0; j < n; j++) {
        const real *was = a->net.p.value + x->offset + j, *is = b->net.p.value + y->offset + j;
        assert_true(fabs((double)(was[0] - is[0])) < 1e-5);
        assert_true(fabs((double)(was[n] - is[n])) < 1e-5);
        assert_true(fabs(0.5 * (double)(was[0] + was[n]) - (double)is[2 * n]) < 1e-5);
    }
    for (int k = 0; k < 3; k++) /* no intervals on cells that the base may have seen */
        for (int q = 0; q < 3; q++) assert_null(b->spread[k][q]);
    scw_model_free(base);
    scw_model_free(tuned);
}

static void test_clip_starts_too(void **state)
{
    static const setting still[] = {{"lr", "1e-9"}, {"epochs", "1"}, {NULL, NULL}};
    scw_model *base = must_fit("clip", before, (scw_fit_request){.threads = 1}, tiny_clip);
    scw_model *tuned = must_fit("clip", after, (scw_fit_request){.from = base}, still);
    const clip_model *a = (clip_model *)base, *b = (clip_model *)tuned;
    (void)state;

    expect_same_inputs(base, a->input, tuned, b->input);
    expect_near(&a->net.p, &b->net.p, "tower.rna.path");
    expect_near(&a->net.p, &b->net.p, "tower.adt.0.weight");
    scw_model_free(base);
    scw_model_free(tuned);
}

static char *fact(const scw_model *m, const char *name)
{
    char *text, *value;
    json_t *root;

    assert_int_equal(scw_model_describe(&text, m), SCW_OK);
    root = json_loads(text, 0, NULL);
    const json_t *found = strcmp(name, "from") == 0 ? json_object_get(json_object_get(root, "record"), name)
                                                    : json_object_get(root, name);
    assert_true(json_is_string(found));
    value = strdup(json_string_value(found));
    json_decref(root);
    scw_free(text);
    return value;
}

static void test_fingerprint(void **state)
{
    scw_model *base = base_model(), *read;
    scw_model *tuned = must_fit("clue", after, (scw_fit_request){.batch_key = "batch", .from = base}, NULL);
    (void)state;

    assert_int_equal(scw_model_save(base, in_folder("base")), SCW_OK);
    assert_int_equal(scw_model_load(&read, in_folder("base")), SCW_OK);
    char *a = fact(base, "fingerprint"), *b = fact(read, "fingerprint"), *c = fact(tuned, "from"),
         *d = fact(tuned, "fingerprint");
    assert_int_equal(strlen(a), 16);
    assert_string_equal(a, b);
    assert_string_equal(a, c);
    assert_string_not_equal(a, d);
    free(a);
    free(b);
    free(c);
    free(d);
    assert_int_equal(unlink(in_folder("base")), 0);
    scw_model_free(base);
    scw_model_free(read);
    scw_model_free(tuned);
}

/* --------------------------------------------------------------------------------- survival */

static char *bytes_of(scw_model *m, size_t *size)
{
    assert_int_equal(scw_model_save(m, in_folder("model")), SCW_OK);
    scw_model_free(m);
    FILE *f = fopen(in_folder("model"), "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(unlink(in_folder("model")), 0);
    return bytes;
}

typedef struct stopper {
    int64_t calls, stop_at;
} stopper;

static int stop(void *user)
{
    stopper *s = user;

    return ++s->calls >= s->stop_at;
}

static void test_same_bytes(void **state)
{
    static const setting longer[] = {{"epochs", "4"}, {NULL, NULL}};
    scw_model *base = base_model(), *other, *m;
    scw_fit_request request = {.batch_key = "batch", .from = base, .threads = 2};
    size_t n, size;
    int n_stopped = 0;
    (void)state;

    char *two = bytes_of(must_fit("clue", after, request, longer), &size);
    request.threads = 1;
    char *whole = bytes_of(must_fit("clue", after, request, longer), &n);
    assert_int_equal(n, size);
    assert_memory_equal(two, whole, n);
    free(two);
    for (int64_t at = 5; at < 24; at += 6) {
        stopper s = {0, at};
        const scw_hooks hooks = {.cancelled = stop, .user = &s};
        scw_fit_request kept = request;
        kept.checkpoint = in_folder("kept");
        kept.checkpoint_epochs = 1;
        n_stopped += fit(&m, "clue", after, kept, longer, &hooks) == SCW_ECANCELLED;
        scw_model_free(m);
        kept.resume = 1;
        two = bytes_of(must_fit("clue", after, kept, longer), &size);
        assert_int_equal(n, size);
        assert_memory_equal(two, whole, n);
        free(two);
    }
    assert_true(n_stopped > 1);
    /* What started from one model is not continued from another. */
    request.checkpoint = in_folder("kept");
    request.resume = 1;
    static const setting seed[] = {{"epochs", "3"}, {NULL, NULL}};
    other = must_fit("clue", before, (scw_fit_request){.batch_key = "batch", .from = base}, seed);
    request.from = other;
    assert_int_equal(fit(&m, "clue", after, request, longer, NULL), SCW_EDATA);
    if (!strstr(scw_error_message(), "the model to start from")) fail_msg("%s", scw_error_message());
    (void)unlink(in_folder("kept"));
    free(whole);
    scw_model_free(base);
    scw_model_free(other);
}

static void test_memory_runs_out(void **state)
{
    scw_model *base = base_model(), *m;
    const scw_fit_request request = {.batch_key = "batch", .from = base};
    static const setting short_one[] = {{"epochs", "1"}, {"refit", "off"}, {NULL, NULL}};
    (void)state;

    (void)mem_fail_at(0);
    assert_int_equal(fit(&m, "clue", after, request, short_one, NULL), SCW_OK);
    scw_model_free(m);
    const int64_t n = mem_fail_at(0), stride = n / 25 + 1;
    for (int64_t at = 1; at <= n; at += stride) {
        (void)mem_fail_at(at);
        const scw_status st = fit(&m, "clue", after, request, short_one, NULL);
        (void)mem_fail_at(0);
        if (st == SCW_OK) {
            scw_model_free(m);
            continue;
        }
        assert_int_equal(st, SCW_ENOMEM);
        assert_null(m);
    }
    scw_model_free(base);
}

/* --------------------------------------------------------------------------------- refusals */

static void expect_refused(const char *kind, const scw_dataset *d, scw_fit_request request,
                           const setting *settings, scw_status code, const char *words)
{
    scw_model *m;

    const scw_status st = fit(&m, kind, d, request, settings, NULL);
    if (st != code || !strstr(scw_error_message(), words)) fail_msg("%d: %s", st, scw_error_message());
    assert_null(m);
}

static void test_refuses(void **state)
{
    static const setting wider[] = {{"z-dim", "5"}, {"standardise", "on"}, {NULL, NULL}};
    static const setting free_ones[] = {{"dropout", "0.1"}, {"min-coverage", "0.5"}, {"epochs", "1"},
                                        {NULL, NULL}};
    scw_model *base = base_model(), *m;
    scw_fit_request request = {.batch_key = "batch", .from = base};
    (void)state;

    scw_model_free(must_fit("clue", after, request, free_ones));
    expect_refused("clue", after, request, wider, SCW_EINVAL, "--standardise off, not on; --z-dim 4, not 5");
    expect_refused("clip", after, request, tiny_clip, SCW_EINVAL, "of the kind clue, this fit is of clip");
    request.label_key = "cell_type";
    expect_refused("matilda", after, request, NULL, SCW_EUNSUPPORTED, "does not start from a fitted model");
    request.label_key = NULL;
    request.modalities = "rna,adt";
    expect_refused("clue", after, request, NULL, SCW_EINVAL, "has its modalities");
    request.modalities = NULL;
    request.batch_key = NULL;
    expect_refused("clue", after, request, NULL, SCW_EINVAL, "apart by obs['batch']");
    request.batch_key = "no_such";
    expect_refused("clue", after, request, NULL, SCW_ENOTFOUND, "no_such");
    request.batch_key = "batch";

    scw_dataset *odd;
    assert_int_equal(example_make(&odd, N_OBS, EXAMPLE_NARROW, 3), SCW_OK);
    odd->n_modalities = 2;
    expect_refused("clue", odd, request, NULL, SCW_EDATA, "have no modality 'atac'");
    odd->n_modalities = 3;
    odd->modalities[0].var.index.at[1][0] ^= 1; /* another gene */
    expect_refused("clue", odd, request, NULL, SCW_EDATA, "lack 1 of the");
    odd->modalities[0].var.index.at[1][0] ^= 1;
    scw_model *less = must_fit("clue", before, (scw_fit_request){.modalities = "rna,adt"}, tiny_clue);
    expect_refused("clue", odd, (scw_fit_request){.from = less}, NULL, SCW_EDATA, "modality 'atac' that");
    scw_dataset_free(odd);

    char *text;
    void *o = options_of(scw_model_kind_find("matilda"), NULL, NULL);
    assert_int_equal(scw_model_cross_validate(&text, scw_model_kind_find("matilda"), after, "x", &request, o,
                                              NULL), SCW_EINVAL);
    free(o);
    m = base;
    scw_model_free(m);
    scw_model_free(less);
}

static void test_preset(void **state)
{
    const scw_model_kind *kind = scw_model_kind_find("clue");
    clue_schedule s;
    clue_options *o = options_of(kind, NULL, tiny_clue);
    (void)state;

    assert_int_equal(kind->preset(o, "transductive"), SCW_OK);
    clue_schedule_of(&s, o, 5000);
    assert_int_equal(s.burn_in, 0);
    assert_int_equal(s.epochs, 50);
    assert_int_equal(s.patience, 8);
    assert_int_equal(s.lr_patience, 3);
    assert_true(clue_noise(&s, 1) == 0.0);
    assert_true(o->lr == 1e-3 && o->align_weight > 0.0);
    assert_int_equal(o->z_dim, 4); /* the rest is as it was */
    assert_int_equal(o->encoder_width, 12);
    assert_true(o->match_weight == 0.0 && o->cross_weight == 1.0);
    free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),  cmocka_unit_test(test_starts_where_the_model_is),
        cmocka_unit_test(test_clip_starts_too), cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_same_bytes),  cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_refuses),     cmocka_unit_test(test_preset)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
