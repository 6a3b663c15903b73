/* SPDX-License-Identifier: BSD-3-Clause */
/* The main job in memory: fit, save, load, apply, on a small simulated set. */
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
#include "data/results.h"
#include "models/matilda_options.h"
#include "kernel/kernel.h"
#include "models/model.h"
#include "scweave/scweave.h"

#define N_OBS 193 /* 3 * 64 + 1: the last batch of an epoch holds a single cell */

static scw_dataset *data;

static int set_up(void **state)
{
    (void)state;
    return example_make(&data, N_OBS, EXAMPLE_NARROW, 3) != SCW_OK;
}

static int tear_down(void **state)
{
    (void)state;
    scw_dataset_free(data);
    return 0;
}

typedef struct setting {
    const char *name, *value;
} setting;

/* What is not looked at is switched off or made short; a test that looks at it says so. */
static const setting quick[] = {
    {"epochs", "2"},      {"min-steps", "0"},           {"balance-epochs", "1"},
    {"shortcut-c", "10"}, {"library", "10000"},         {"modality-weights", "off"},
    {"components", "20"}, {"calibration-folds", "0"},   {"subsets", "off"},
    {"count-steps", "5"}, {NULL, NULL}};
/* Everything that a fit can do with whole cells. */
static const setting whole[] = {{"modality-weights", "on"}, {"calibration-folds", "2"},
                                {"subsets", "on"},          {"count-steps", "10"},
                                {"components", "6"},        {"max-dense", "6"},
                                {NULL, NULL}};

static scw_status fit_with(scw_model **out, const scw_dataset *d, const char *label,
                           const char *modalities, int threads, const char *preset,
                           const setting *settings, const scw_hooks *hooks)
{
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    matilda_options o;
    scw_fit_request request = {.label_key = label, .modalities = modalities, .seed = 5,
                               .threads = threads};

    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    if (preset) assert_int_equal(kind->preset(&o, preset), SCW_OK);
    for (const setting *s = quick; s->name; s++)
        assert_int_equal(scw_options_set(kind->options, &o, s->name, s->value), SCW_OK);
    for (; settings && settings->name; settings++)
        assert_int_equal(scw_options_set(kind->options, &o, settings->name, settings->value),
                         SCW_OK);
    return scw_model_fit(out, kind, d, &request, &o, hooks);
}

static char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    (void)fclose(f);
    return bytes;
}

static double accuracy(const scw_results *r, const scw_dataset *d)
{
    const column *truth = NULL;
    int32_t *codes = NULL;
    strings classes = {0};
    int64_t right = 0, n = 0;

    assert_int_equal(dataset_obs_column(&truth, d, "cell_type"), SCW_OK);
    assert_int_equal(column_classes(truth, &codes, &classes), SCW_OK);
    const column *label = &r->columns[0];
    for (int64_t i = 0; i < d->n_obs; i++) {
        if (label->codes[i] < 0) continue;
        n++;
        right += strcmp(label->categories.at[label->codes[i]], classes.at[codes[i]]) == 0;
    }
    mem_free(codes);
    strings_clear(&classes);
    return (double)right / (double)n;
}

static scw_results *apply(const scw_model *m, const scw_dataset *query, const scw_hooks *hooks)
{
    scw_results *r = NULL;
    scw_task_request request = {.annotate = 1, .embed = 1, .threads = 1};
    assert_int_equal(scw_model_apply(&r, m, query, &request, hooks), SCW_OK);
    return r;
}

/* The same seed gives the same bytes; a saved model answers as the one in memory. That one thread gives
 * the bytes of two is seen in tests/cli/test_cli_fit.py. */
static void test_same_bytes_and_round_trip(void **state)
{
    char a[] = "/tmp/scw-test-a-XXXXXX", b[] = "/tmp/scw-test-b-XXXXXX";
    scw_model *first = NULL, *second = NULL, *loaded = NULL;
    size_t size_a, size_b;
    (void)state;

    close(mkstemp(a));
    close(mkstemp(b));
    assert_int_equal(fit_with(&first, data, "cell_type", NULL, 2, NULL, whole, NULL), SCW_OK);
    assert_int_equal(fit_with(&second, data, "cell_type", NULL, 2, NULL, whole, NULL), SCW_OK);
    assert_int_equal(scw_model_save(first, a), SCW_OK);
    assert_int_equal(scw_model_save(second, b), SCW_OK);
    char *bytes_a = read_all(a, &size_a), *bytes_b = read_all(b, &size_b);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(bytes_a, bytes_b, size_a);
    assert_int_equal(scw_model_load(&loaded, a), SCW_OK);
    scw_results *r = apply(first, data, NULL), *s = apply(loaded, data, NULL);
    assert_memory_equal(r->arrays[0].values, s->arrays[0].values,
                        (size_t)(r->arrays[0].n_rows * r->arrays[0].n_cols) * sizeof(float));
    assert_memory_equal(r->arrays[1].values, s->arrays[1].values,
                        (size_t)(r->arrays[1].n_rows * r->arrays[1].n_cols) * sizeof(float));
    assert_true(accuracy(r, data) > 0.7);
    free(bytes_a);
    free(bytes_b);
    scw_results_free(r);
    scw_results_free(s);
    scw_model_free(first);
    scw_model_free(second);
    scw_model_free(loaded);
    unlink(a);
    unlink(b);
}

/* Every combination of modalities, the published settings and each way of balancing. */
static void test_settings(void **state)
{
    static const char *const sets[] = {"rna", "adt", "rna,adt,atac", NULL};
    static const setting published[] = {{"validation", "0.1"}, {NULL, NULL}};
    static const setting cold[] = {{"warm-start", "off"}, {"min-steps", "20"}, {NULL, NULL}};
    static const setting add[] = {{"augmentation", "add"}, {NULL, NULL}};
    static const setting rms[] = {{"optimizer", "rmsprop"}, {"components", "0"}, {"average", "0"},
                                  {NULL, NULL}};
    scw_model *m = NULL;
    (void)state;

    for (int k = 0; sets[k]; k++) {
        assert_int_equal(fit_with(&m, data, "cell_type", sets[k], 1, NULL, NULL, NULL), SCW_OK);
        scw_results *r = apply(m, data, NULL);
        assert_true(accuracy(r, data) > 0.5);
        scw_results_free(r);
        scw_model_free(m);
        assert_int_equal(fit_with(&m, data, "cell_type", sets[k], 1, "compat", published, NULL),
                         SCW_OK);
        scw_model_free(m);
    }
    assert_int_equal(fit_with(&m, data, "cell_type", "rna,adt", 1, "compat", cold, NULL), SCW_OK);
    scw_model_free(m);
    assert_int_equal(fit_with(&m, data, "cell_type", "rna,adt", 1, NULL, add, NULL), SCW_OK);
    scw_model_free(m);
    assert_int_equal(fit_with(&m, data, "cell_type", "rna,adt", 1, NULL, rms, NULL), SCW_OK);
    scw_model_free(m);
}

static char *fit_bytes(const char *precision, size_t *size, const scw_hooks *hooks)
{
    const setting settings[] = {{"precision", precision}, {"batch-size", "128"}, {NULL, NULL}};
    char path[] = "/tmp/scw-test-p-XXXXXX";
    scw_model *m = NULL;

    close(mkstemp(path));
    assert_int_equal(fit_with(&m, data, "cell_type", "rna,adt", 1, NULL, settings, hooks), SCW_OK);
    assert_int_equal(scw_model_save(m, path), SCW_OK);
    scw_results *r = apply(m, data, NULL);
    assert_true(accuracy(r, data) > 0.5);
    scw_results_free(r);
    scw_model_free(m);
    char *bytes = read_all(path, size);
    unlink(path);
    return bytes;
}

typedef struct log_catch {
    char text[8192];
    int cancel_after;
} log_catch;

static void catch_log(void *user, scw_log_level level, const char *message)
{
    log_catch *c = user;
    size_t n = strlen(c->text);
    (void)level;
    (void)snprintf(c->text + n, sizeof c->text - n, "%s\n", message);
}

static int cancel_soon(void *user)
{
    log_catch *c = user;
    return c->cancel_after-- <= 0;
}

static int64_t count(const char *text, const char *what)
{
    int64_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) n++;
    return n;
}

/* As the header of a model file has it: JSON in JSON. */
#define QUOTED(value_) "\\\"precision\\\":\\\"" value_ "\\\""

static bool holds(const char *bytes, size_t size, const char *what)
{
    return memmem(bytes, size, what, strlen(what)) != NULL;
}

/* bf16 is another model, the same each time, and leaves later fits alone; who asks for it where it is
 * emulated hears so once. */
static void test_precision(void **state)
{
    static const char *const order[] = {"fp32", "bf16", "bf16", "fp32", "auto"};
    log_catch c = {{0}, 0};
    scw_hooks hooks = {.log = catch_log, .user = &c};
    char *bytes[5];
    size_t size[5];
    (void)state;

    for (int k = 0; k < 5; k++) {
        c.text[0] = '\0';
        bytes[k] = fit_bytes(order[k], &size[k], &hooks);
        const bool bf16 = strcmp(order[k], "bf16") == 0;
        assert_int_equal(count(c.text, "precision bf16"), bf16 && !kernel_bf16_is_native());
        assert_int_equal(holds(bytes[k], size[k], QUOTED("bf16")), bf16);
        assert_int_equal(holds(bytes[k], size[k], QUOTED("fp32")), !bf16);
    }
    assert_int_equal(size[0], size[3]);
    assert_memory_equal(bytes[0], bytes[3], size[0]);
    assert_int_equal(size[1], size[2]);
    assert_memory_equal(bytes[1], bytes[2], size[1]);
    assert_true(size[0] != size[1] || memcmp(bytes[0], bytes[1], size[0]) != 0);
    for (int k = 0; k < 5; k++) free(bytes[k]);
}

/* A query without a modality, or with 70 % of the features, is answered with a warning. */
static void test_partial_query(void **state)
{
    static const setting paths[] = {{"subsets", "on"}, {NULL, NULL}};
    scw_model *m = NULL;
    log_catch c = {{0}, 0};
    scw_hooks hooks = {.log = catch_log, .user = &c};
    int n_modalities = data->n_modalities;
    (void)state;

    assert_int_equal(fit_with(&m, data, "cell_type", "rna,adt", 1, NULL, paths, NULL), SCW_OK);
    data->n_modalities = 1; /* the first is RNA */
    scw_results *r = apply(m, data, &hooks);
    data->n_modalities = n_modalities;
    assert_non_null(strstr(c.text, "no modality 'adt'"));
    assert_true(accuracy(r, data) > 0.5);
    scw_results_free(r);

    strings *names = &data->modalities[0].var.index;
    for (int64_t j = 0; j < names->n; j += 3) names->at[j][0] = '#';
    r = apply(m, data, &hooks);
    assert_non_null(strstr(c.text, "are missing in the query"));
    assert_true(accuracy(r, data) > 0.5);
    scw_results_free(r);
    scw_model_free(m);
    scw_dataset_free(data);
    data = NULL;
    assert_int_equal(example_make(&data, N_OBS, EXAMPLE_NARROW, 3), SCW_OK);
}

static void test_refusals(void **state)
{
    scw_model *m = NULL;
    log_catch c = {{0}, 3};
    scw_hooks hooks = {.cancelled = cancel_soon, .user = &c};
    (void)state;

    assert_int_equal(fit_with(&m, data, "nonsense", NULL, 1, NULL, NULL, NULL), SCW_ENOTFOUND);
    assert_null(m);
    assert_int_equal(fit_with(&m, data, "cell_type", "rna,proteome", 1, NULL, NULL, NULL),
                     SCW_ENOTFOUND);
    assert_non_null(strstr(scw_error_message(), "proteome"));
    assert_int_equal(fit_with(&m, data, "cell_type", NULL, 1, NULL, NULL, &hooks), SCW_ECANCELLED);
    assert_null(m);
    data->modalities[0].x.values[7] = NAN;
    assert_int_equal(fit_with(&m, data, "cell_type", NULL, 1, NULL, NULL, NULL), SCW_EDATA);
    data->modalities[0].x.values[7] = 1.0f;
}

/* Each allocation of a small fit fails once: an error every time, nothing leaks, nothing crashes. */
static void test_allocation_failures(void **state)
{
    scw_model *m = NULL;
    scw_status st = SCW_ENOMEM;
    int64_t n;
    static const setting tiny[] = {{"epochs", "1"}, {"calibration-folds", "2"}, {NULL, NULL}};
    (void)state;

    (void)mem_fail_at(0);
    assert_int_equal(fit_with(&m, data, "cell_type", "adt", 1, NULL, tiny, NULL), SCW_OK);
    scw_model_free(m);
    n = mem_fail_at(0);
    assert_true(n > 100);
    for (int64_t k = 1; k <= n; k += 1 + n / 40) {
        (void)mem_fail_at(k);
        st = fit_with(&m, data, "cell_type", "adt", 1, NULL, tiny, NULL);
        (void)mem_fail_at(0);
        if (st == SCW_OK) scw_model_free(m); /* a failure that could be survived */
        else assert_null(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes_and_round_trip),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_partial_query),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocation_failures)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
