/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE's job in memory on a small simulated set some of whose cells lack modalities: fit, save, load,
 * embed; the same bytes for any number of threads, for a fit that was stopped and continued, and never
 * half a result when memory runs out. */
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
#include "models/clue_model.h"
#include "scweave/scweave.h"
#include "train/clue_source.h"

#define N_OBS 193

static scw_dataset *data;
static char folder[] = "/tmp/scweave-clue-XXXXXX";

static void forget(scw_dataset *d, int k, int64_t i)
{
    modality *m = &d->modalities[k];

    m->n_present -= m->row_of_obs[i] >= 0;
    m->row_of_obs[i] = -1;
}

/* A set in which a third lacks the first modality, a third the last, and one cell has nothing. */
static scw_dataset *make(uint64_t seed)
{
    scw_dataset *d;

    assert_int_equal(example_make(&d, N_OBS, EXAMPLE_NARROW, seed), SCW_OK);
    for (int64_t i = 0; i < N_OBS; i++) {
        if (i % 3 == 1) forget(d, 0, i);
        if (i % 3 == 2) forget(d, 2, i);
    }
    for (int k = 0; k < 3; k++) forget(d, k, 7);
    return d;
}

static int set_up(void **state)
{
    (void)state;
    data = make(3);
    return !mkdtemp(folder);
}

static int tear_down(void **state)
{
    (void)state;
    scw_dataset_free(data);
    return rmdir(folder);
}

typedef struct setting {
    const char *name, *value;
} setting;

static const setting quick[] = {{"epochs", "3"},           {"burn-in", "1"},
                                {"components", "8"},       {"z-dim", "4"},
                                {"encoder-width", "12"},   {"decoder-width", "12"},
                                {"encoder-depth", "1"},    {"decoder-depth", "1"},
                                {"discriminator-width", "8"}, {"batch-size", "64"},
                                {"max-dense", "8"},        {"validation", "0.2"},
                                {"align-weight", "0.02"},  {"decoder-epochs", "2"},
                                {NULL, NULL}};

static scw_status fit_with(scw_model **out, const scw_dataset *d, scw_fit_request request,
                           const setting *settings, const scw_hooks *hooks)
{
    const scw_model_kind *kind = scw_model_kind_find("clue");
    clue_options o;

    assert_non_null(kind);
    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    for (const setting *s = quick; s->name; s++)
        assert_int_equal(scw_options_set(kind->options, &o, s->name, s->value), SCW_OK);
    for (; settings && settings->name; settings++)
        assert_int_equal(scw_options_set(kind->options, &o, settings->name, settings->value),
                         SCW_OK);
    request.seed = 5;
    return scw_model_fit(out, kind, d, &request, &o, hooks);
}

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int next;
    char *at = path[next++ % 4];

    (void)snprintf(at, sizeof path[0], "%s/%s", folder, name);
    return at;
}

static char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    assert_int_equal(fclose(f), 0);
    return bytes;
}

static void expect_same_bytes(const char *a, const char *b)
{
    size_t n, m;
    char *x = read_all(in_folder(a), &n), *y = read_all(in_folder(b), &m);

    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void fit_to(const char *name, scw_fit_request request, const setting *settings)
{
    scw_model *m;

    if (fit_with(&m, data, request, settings, NULL) != SCW_OK) fail_msg("%s", scw_error_message());
    assert_int_equal(scw_model_save(m, in_folder(name)), SCW_OK);
    scw_model_free(m);
}

/* ------------------------------------------------------------------------------------ the fit */

static void test_repeats(void **state)
{
    static const setting all[] = {{"modality-dropout", "0.3"}, {"average", "0.9"},
                                  {"optimizer", "rmsprop"}, {NULL, NULL}};
    (void)state;

    for (int k = 0; k < 2; k++) {
        const setting *settings = k ? all : NULL;
        const scw_fit_request one = {.threads = 1, .label_key = k ? "cell_type" : NULL,
                                     .batch_key = k ? "batch" : NULL};
        scw_fit_request two = one;
        two.threads = 2;
        fit_to("one", one, settings);
        fit_to("again", one, settings);
        fit_to("two", two, settings);
        expect_same_bytes("one", "again");
        expect_same_bytes("one", "two");
        assert_int_equal(unlink(in_folder("one")) + unlink(in_folder("again")) +
                             unlink(in_folder("two")), 0);
    }
}

typedef struct stopper {
    int64_t calls, stop_at;
} stopper;

static int stop(void *user)
{
    stopper *s = user;

    return ++s->calls >= s->stop_at;
}

static void test_continues(void **state)
{
    static const setting longer[] = {{"epochs", "6"}, {"lr-patience", "1"}, {"patience", "100"},
                                     {NULL, NULL}};
    scw_model *m = NULL;
    enum { PLACES = 9 }; /* in the encoders' and the decoders' training, with and without validation */
    stopper whole = {0, INT64_MAX};
    const scw_hooks counting = {.cancelled = stop, .user = &whole};
    int n_stopped = 0;
    (void)state;

    fit_to("whole", (scw_fit_request){.threads = 1}, longer);
    assert_int_equal(fit_with(&m, data, (scw_fit_request){.threads = 1}, longer, &counting), SCW_OK);
    scw_model_free(m);
    for (int place = 1; place <= PLACES; place++) { /* last: the decoders of the last training */
        stopper s = {0, place < PLACES ? whole.calls * place / PLACES : whole.calls - 1};
        const scw_hooks hooks = {.cancelled = stop, .user = &s};
        scw_fit_request request = {.threads = 1, .checkpoint = in_folder("kept"),
                                   .checkpoint_epochs = 1};
        scw_status st = fit_with(&m, data, request, longer, &hooks);
        n_stopped += st == SCW_ECANCELLED;
        if (st != SCW_OK) assert_int_equal(st, SCW_ECANCELLED);
        scw_model_free(m);
        request.resume = 1;
        fit_to("continued", request, longer);
        expect_same_bytes("whole", "continued");
        (void)unlink(in_folder("kept"));
    }
    assert_int_equal(n_stopped, PLACES);
    assert_int_equal(unlink(in_folder("whole")) + unlink(in_folder("continued")), 0);
}

static void test_memory_runs_out(void **state)
{
    static const setting some[] = {{"epochs", "1"}, {"path", "on"}, {NULL, NULL}};
    scw_model *m;
    (void)state;

    (void)mem_fail_at(0);
    assert_int_equal(fit_with(&m, data, (scw_fit_request){.threads = 1}, some, NULL), SCW_OK);
    scw_model_free(m);
    const int64_t n = mem_fail_at(0), stride = n / 25 + 1;
    for (int64_t at = 1; at <= n; at += stride) {
        (void)mem_fail_at(at);
        scw_status st = fit_with(&m, data, (scw_fit_request){.threads = 1}, some, NULL);
        (void)mem_fail_at(0);
        if (st == SCW_OK) {
            scw_model_free(m);
            continue;
        }
        assert_int_equal(st, SCW_ENOMEM);
        assert_null(m);
    }
}

static void expect_refused(const scw_dataset *d, const char *modalities, scw_status code,
                           const char *words)
{
    scw_model *m;

    assert_int_equal(fit_with(&m, d, (scw_fit_request){.modalities = modalities, .threads = 1}, NULL,
                              NULL), code);
    assert_null(m);
    if (!strstr(scw_error_message(), words)) fail_msg("%s", scw_error_message());
}

static void test_refuses(void **state)
{
    clue_options o;
    scw_dataset *apart;
    (void)state;

    assert_int_equal(example_make(&apart, N_OBS, EXAMPLE_NARROW, 3), SCW_OK);
    expect_refused(data, "rna", SCW_EDATA, "at least two");
    expect_refused(data, "rna,proteome", SCW_ENOTFOUND, "proteome");
    for (int64_t i = 0; i < N_OBS; i++)
        for (int k = 0; k < 3; k++)
            if (i % 3 != k) forget(apart, k, i);
    expect_refused(apart, NULL, SCW_EDATA, "bridge");
    for (int64_t i = 0; i < N_OBS; i++)
        if (i > 5) forget(apart, 1, i);
    expect_refused(apart, NULL, SCW_EDATA, "needs at least");
    assert_int_equal(scw_options_init(clue_option_table, &o), SCW_OK);
    assert_int_equal(scw_options_set(clue_option_table, &o, "rna-likelihood", "poisson"), SCW_EINVAL);
    scw_dataset_free(apart);
}

/* -------------------------------------------------------------------------------- embedding */

static const float *array_of(const scw_results *r, const char *name, int64_t width)
{
    for (int64_t k = 0; k < r->n_arrays; k++)
        if (strcmp(r->arrays[k].name, name) == 0) {
            assert_int_equal(r->arrays[k].n_cols, width);
            return r->arrays[k].values;
        }
    fail_msg("there is no %s", name);
    return NULL;
}

static scw_model *through_a_file(const setting *settings)
{
    scw_model *m;

    fit_to("model", (scw_fit_request){.threads = 1, .batch_key = "batch"}, settings);
    assert_int_equal(scw_model_load(&m, in_folder("model")), SCW_OK);
    assert_int_equal(scw_model_save(m, in_folder("copy")), SCW_OK);
    expect_same_bytes("model", "copy");
    assert_int_equal(unlink(in_folder("model")) + unlink(in_folder("copy")), 0);
    return m;
}

static void test_embeds(void **state)
{
    scw_model *m = through_a_file(NULL);
    scw_dataset *query = make(9), *part = make(9);
    scw_results *whole, *alone;
    const scw_task_request request = {.embed = 1, .threads = 1};
    (void)state;

    assert_int_equal(scw_model_apply(&whole, m, query, &request, NULL), SCW_OK);
    const float *x = array_of(whole, "X_clue", 12), *block = array_of(whole, "X_clue_adt", 4);
    for (int64_t i = 0; i < N_OBS; i++) {
        double length = 0.0;
        for (int j = 0; j < 12; j++) length += (double)x[i * 12 + j] * (double)x[i * 12 + j];
        if (i == 7) assert_true(isnan(length)); /* it has nothing */
        else assert_true(fabs(length - 1.0) < 1e-5);
        for (int j = 0; j < 4 && i != 7; j++)
            assert_true(block[i * 4 + j] == x[i * 12 + 4 + j]);
    }
    /* A cell's place does not depend on which other cells or modalities the query has. */
    for (int64_t i = 0; i < N_OBS; i++)
        if (i % 3 != 1) forget(part, 0, i);
    for (int64_t i = 0; i < N_OBS; i += 2)
        for (int k = 0; k < 3; k++)
            if (i % 3 != 1) forget(part, k, i);
    assert_int_equal(scw_model_apply(&alone, m, part, &request, NULL), SCW_OK);
    const float *y = array_of(alone, "X_clue", 12);
    for (int64_t i = 1; i < N_OBS; i += 3)
        for (int j = 0; j < 12 && i != 7; j++)
            assert_true(fabsf(x[i * 12 + j] - y[i * 12 + j]) < 1e-5f);
    scw_results_free(whole);
    scw_results_free(alone);
    assert_int_equal(scw_model_apply(&alone, m, part, &(scw_task_request){.annotate = 1}, NULL),
                     SCW_EUNSUPPORTED);
    assert_int_equal(scw_model_apply(&alone, m, part, &(scw_task_request){.embed = 1, .align = 1},
                                     NULL), SCW_EUNSUPPORTED);
    scw_dataset_free(query);
    scw_dataset_free(part);
    scw_model_free(m);
}

/* ---------------------------------------------------------------------------------- batches */

static void test_source(void **state)
{
    paired_set c = {.n = 6, .n_modalities = 2};
    uint8_t present[2][6] = {{1, 1, 1, 0, 0, 1}, {0, 1, 1, 1, 1, 1}};
    float input[2][6];
    int64_t indptr[7] = {0, 1, 2, 3, 4, 5, 6}, rows[6] = {0, 1, 2, 3, 4, 5};
    int32_t indices[6] = {0};
    float values[6] = {10, 11, 12, 13, 14, 15};
    const matrix counts = {.n_rows = 6, .n_cols = 1, .sparse = true, .indptr = indptr,
                           .indices = indices, .values = values};
    clue_source s;
    clue_batch b;
    tape *t;
    int n_dropped = 0;
    (void)state;

    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 6; i++) input[k][i] = (float)(10 + i);
        c.input[k] = input[k];
        c.present[k] = present[k];
        c.width[k] = 1;
        c.counts[k] = (row_list){&counts, NULL, rows, 6};
    }
    assert_int_equal(tape_new(&t), SCW_OK);
    assert_int_equal(clue_source_init(&s, &c, rows, 6, NULL, 0, 3, 0.0), SCW_OK);
    tape_reset(t, TAPE_TRAIN);
    clue_source_gather(&b, &s, t, rows, 6);
    assert_int_equal(b.n, 6);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 6; i++) {
            const int who = (int)b.slot[k].dense[i] - 10;
            assert_true(b.slot[k].present[i] == (real)present[k][i]);
            if (present[k][i]) assert_int_equal(who, i);
            assert_true(present[k][who]); /* who stands in has the modality */
            assert_true(b.slot[k].counts.values[i] == b.slot[k].dense[i]);
        }
    clue_source_clear(&s);
    assert_int_equal(clue_source_init(&s, &c, rows, 6, NULL, 0, 3, 1.0), SCW_OK);
    clue_source_gather(&b, &s, t, rows, 6);
    for (int i = 0; i < 6; i++) {
        const int left = (b.slot[0].present[i] > 0) + (b.slot[1].present[i] > 0);
        assert_int_equal(left, 1); /* one of two is taken away, never the only one */
        n_dropped += present[0][i] + present[1][i] - left;
    }
    assert_int_equal(n_dropped, 3);
    clue_source_clear(&s);
    tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source),  cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_continues), cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_refuses), cmocka_unit_test(test_embeds)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
