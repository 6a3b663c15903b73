/* SPDX-License-Identifier: BSD-3-Clause */
/* Going on after a stop and after a blow-up, from inside: every phase and the middle of an epoch, memory
 * that runs out, and what counts as blowing up. */
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
#include "base/hash.h"
#include "data/example.h"
#include "models/matilda_model.h"
#include "scweave/scweave.h"
#include "train/divergence.h"

#define N_OBS 130 /* 3 batches of 64, the last of two cells */

static scw_dataset *data;
static char folder[] = "/tmp/scw-survival-XXXXXX";
static char checkpoint[64], output[64];
static const char *modalities = "adt"; /* few features: quick */

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return 1;
    (void)snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", folder);
    (void)snprintf(output, sizeof output, "%s/model", folder);
    return example_make(&data, N_OBS, EXAMPLE_NARROW, 3) != SCW_OK;
}

static int tear_down(void **state)
{
    (void)state;
    scw_dataset_free(data);
    (void)unlink(checkpoint);
    (void)unlink(output);
    return rmdir(folder);
}

/* ------------------------------------------------------------------------------ a stopped fit */

typedef struct setting {
    const char *name, *value;
} setting;

typedef struct host {
    int64_t steps_left; /* the fit is cancelled when so many questions have been answered */
    char warning[1024];
} host;

static int cancel_later(void *user)
{
    return ((host *)user)->steps_left-- <= 0;
}

static void catch_warning(void *user, scw_log_level level, const char *message)
{
    host *h = user;
    if (level == SCW_LOG_WARNING)
        (void)snprintf(h->warning, sizeof h->warning, "%s", message);
}

static scw_status fit(scw_model **out, const setting *settings, const char *path, int64_t epochs,
                      int resume, host *h)
{
    static const setting small[] = {
        {"min-steps", "0"},    {"shortcut-c", "1"}, {"modality-weights", "off"},
        {"library", "10000"},  {"z-dim", "10"},     {"components", "5"},
        {"hidden-joint", "8"}, {"hidden-rna", "8"}, {"count-steps", "9"},
        {"calibration-folds", "0"}, {NULL, NULL}};
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    matilda_options o;
    scw_hooks hooks = {.cancelled = cancel_later, .log = catch_warning, .user = h};
    scw_fit_request request = {.label_key = "cell_type",
                               .modalities = modalities,
                               .seed = 5,
                               .threads = 1,
                               .checkpoint = path,
                               .checkpoint_epochs = epochs,
                               .resume = resume};

    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    for (const setting *s = small; s->name; s++)
        assert_int_equal(scw_options_set(kind->options, &o, s->name, s->value), SCW_OK);
    for (const setting *s = settings; s->name; s++)
        assert_int_equal(scw_options_set(kind->options, &o, s->name, s->value), SCW_OK);
    return scw_model_fit(out, kind, data, &request, &o, h ? &hooks : NULL);
}

static uint64_t saved(const scw_model *m)
{
    static char bytes[1 << 22];

    assert_int_equal(scw_model_save(m, output), SCW_OK);
    FILE *f = fopen(output, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    assert_true(n > 1000 && n < sizeof bytes);
    (void)fclose(f);
    return hash_bytes(HASH_START, bytes, (int64_t)n);
}

/* Cancel the fit after `at` questions; false: it ended before. */
static bool stop_at(int64_t at, const setting *settings, int64_t epochs, int resume)
{
    scw_model *m = NULL;
    host h = {.steps_left = at};
    scw_status st = fit(&m, settings, checkpoint, epochs, resume, &h);

    if (st == SCW_OK) {
        scw_model_free(m);
        return false;
    }
    assert_int_equal(st, SCW_ECANCELLED);
    assert_null(m);
    return true;
}

static void expect_same_after_stops(const setting *settings, int64_t epochs, int64_t first,
                                    int64_t stride)
{
    scw_model *m = NULL;
    int n_stops = 0;

    (void)unlink(checkpoint);
    assert_int_equal(fit(&m, settings, NULL, 0, 0, NULL), SCW_OK);
    const uint64_t whole = saved(m);
    scw_model_free(m);
    for (int64_t at = first; stop_at(at, settings, epochs, 0); at += stride, n_stops++) {
        (void)stop_at(stride / 2, settings, epochs, 1); /* a second stop on the way */
        assert_int_equal(fit(&m, settings, checkpoint, epochs, 1, NULL), SCW_OK);
        assert_true(saved(m) == whole);
        scw_model_free(m);
    }
    assert_true(n_stops >= 3);
}

/* 3 steps an epoch, 5 + 2 + 2 epochs: each stop is in another epoch or phase. */
static void test_every_phase(void **state)
{
    static const setting all[] = {{"epochs", "5"},       {"augmentation", "add"},
                                  {"validation", "0.2"}, {"balance-epochs", "2"},
                                  {"patience", "4"},     {NULL, NULL}};
    static const setting cold[] = {{"epochs", "2"},       {"augmentation", "replace"},
                                   {"warm-start", "off"}, {"balance-epochs", "2"},
                                   {"average", "0"},      {"optimizer", "rmsprop"},
                                   {NULL, NULL}};
    (void)state;
    expect_same_after_stops(all, 1, 2, 6);
    expect_same_after_stops(cold, 1, 2, 4);
}

/* The model, two twins, the count decoders: 6 + 2 * 4 + 9 steps. */
static void test_every_training(void **state)
{
    static const setting twins[] = {{"epochs", "2"},            {"calibration-folds", "2"},
                                    {"augmentation", "replace"}, {"balance-epochs", "1"},
                                    {"warm-start", "off"},       {NULL, NULL}};
    static const setting plain[] = {{"epochs", "3"}, {"calibration-folds", "3"}, {NULL, NULL}};
    (void)state;
    expect_same_after_stops(plain, 0, 2, 14);
    modalities = "rna,adt";
    expect_same_after_stops(twins, 1, 3, 9);
    modalities = "adt";
}

/* 65 steps an epoch: what is kept after 200 steps stands in the middle of one. */
static void test_middle_of_an_epoch(void **state)
{
    static const setting slow[] = {{"epochs", "7"}, {"batch-size", "2"}, {NULL, NULL}};
    (void)state;
    expect_same_after_stops(slow, 0, 90, 120);
}

/* A fit that had to go back, stopped and continued. */
static void test_stopped_while_going_back(void **state)
{
    static const setting wild[] = {{"epochs", "40"}, {"lr", "10"},      {"warmup", "0"},
                                   {"validation", "0"}, {"optimizer", "adam"}, {NULL, NULL}};
    scw_model *m = NULL;
    host h = {.steps_left = INT64_MAX};
    (void)state;

    (void)unlink(checkpoint);
    assert_int_equal(fit(&m, wild, NULL, 0, 0, &h), SCW_OK);
    assert_non_null(strstr(h.warning, "of the learning rate"));
    scw_model_free(m);
    expect_same_after_stops(wild, 0, 20, 60);
}

/* One count that no cell can have: the model is finite, or the fit fails with a name. */
static void test_absurd_count(void **state)
{
    static const setting some[] = {{"epochs", "2"}, {"count-steps", "100"}, {NULL, NULL}};
    const modality *x = dataset_find_modality(data, "adt");
    scw_model *m = NULL;
    host h = {.steps_left = INT64_MAX};
    (void)state;

    const float before = x->x.values[7];
    x->x.values[7] = 1e30f;
    scw_status st = fit(&m, some, NULL, 0, 0, &h);
    x->x.values[7] = before;
    if (st != SCW_OK) {
        assert_int_equal(st, SCW_ENUMERIC);
        assert_non_null(strstr(scw_error_message(), "'"));
        return;
    }
    const matilda_model *all = (const matilda_model *)m;
    const params *p[] = {&all->net.p, &all->counts.p};
    for (int k = 0; k < 2; k++)
        assert_null(divergence_bad_parameter(p[k], p[k]->value, p[k]->n_values));
    scw_model_free(m);
}

/* Nothing leaks and nothing half done comes out, wherever memory ends. */
static void test_allocation_failures(void **state)
{
    static const setting two[] = {{"epochs", "1"}, {"calibration-folds", "2"}, {NULL, NULL}};
    scw_model *m = NULL;
    int64_t n = 1;
    (void)state;

    for (int64_t k = 0; k <= n; k += 1 + n / 10) {
        (void)unlink(checkpoint);
        assert_true(stop_at(6, two, 1, 0)); /* in the second twin */
        (void)mem_fail_at(k);
        scw_status st = fit(&m, two, checkpoint, 1, 1, NULL);
        n = k == 0 ? mem_fail_at(0) : n;
        (void)mem_fail_at(0);
        if (st == SCW_OK) scw_model_free(m);
        else assert_null(m);
    }
    assert_true(n > 100);
}

/* ------------------------------------------------------------------------------ blowing up */

/* A step of two cells and three features, with a loss of two parts. */
typedef struct fake {
    real recon_value[6], part_value[2], total_value;
    tensor recon, part[2], total;
    int64_t indptr[3];
    int32_t indices[2];
    real values[2];
    model_batch batch;
    model_outputs out;
    model_losses losses;
    param row;
    real parameter[16];
    params p;
    divergence_step step;
} fake;

static void fake_init(fake *f)
{
    memset(f, 0, sizeof *f);
    f->recon = (tensor){.n_dims = 2, .dim = {2, 3, 1, 1}, .size = 6, .value = f->recon_value};
    f->indptr[1] = 1;
    f->indptr[2] = 2;
    f->indices[1] = 2;
    f->values[0] = f->values[1] = 1;
    f->batch = (model_batch){.n = 2, .n_modalities = 1};
    f->batch.x[0] = (affine_sparse){.n_rows = 2, .n_cols = 3, .indptr = f->indptr,
                                    .indices = f->indices, .values = f->values};
    f->out.recon[0] = &f->recon;
    f->losses.n = 2;
    for (int k = 0; k < 2; k++) {
        f->part[k] = (tensor){.n_dims = 1, .size = 1, .value = &f->part_value[k]};
        f->losses.part[k] = &f->part[k];
    }
    f->losses.name[0] = "rec";
    f->losses.name[1] = "kl";
    f->total = (tensor){.n_dims = 1, .size = 1, .value = &f->total_value};
    f->losses.total = &f->total;
    f->row = (param){.name = (char *)(uintptr_t)"weight", .size = 16, .trainable = true};
    f->p = (params){.at = &f->row, .n = 1, .n_values = 16, .n_trainable = 16,
                    .value = f->parameter};
    f->step = (divergence_step){.batch = &f->batch, .out = &f->out, .losses = &f->losses, .p = &f->p};
}

/* What is said of a step with these parts; "" while all is well. */
static const char *follow(divergence_watch *w, fake *f, double rec, double kl)
{
    static char said[512];
    textbuf why = {0};

    f->part_value[0] = (real)rec;
    f->part_value[1] = (real)kl;
    f->total_value = (real)(rec + kl);
    assert_int_equal(divergence_follow(w, &f->step, &why), SCW_OK);
    (void)snprintf(said, sizeof said, "%s", text_get(&why));
    text_clear(&why);
    return said;
}

static void name(const void *self, int k, int64_t feature, const char **modality_name,
                 const char **feature_name)
{
    static const char *const names[] = {"CD3", "CD4", "CD8"};
    (void)self;
    assert_int_equal(k, 0);
    *modality_name = "adt";
    *feature_name = names[feature];
}

static void test_what_is_named(void **state)
{
    const divergence_names names = {NULL, name};
    divergence_watch w = {0};
    fake f;
    (void)state;

    fake_init(&f);
    assert_string_equal(follow(&w, &f, 1, 1), "");
    f.values[1] = (real)1e30; /* an absurd count in the third feature */
    assert_string_equal(follow(&w, &f, INFINITY, 1),
                        "the loss 'rec' is infinite; the reconstruction is farthest off in feature "
                        "2 of modality 0");
    f.out.recon[0] = NULL; /* a network without one */
    assert_string_equal(follow(&w, &f, INFINITY, 1),
                        "the loss 'rec' is infinite; the largest value of the batch is 1e+30, in "
                        "feature 2 of modality 0");
    f.out.recon[0] = &f.recon;
    f.step.names = &names;
    assert_non_null(strstr(follow(&w, &f, INFINITY, 1), "in feature 'CD8' of modality 'adt'"));
    f.recon_value[1] = (real)NAN;
    assert_non_null(strstr(follow(&w, &f, 1, NAN), "'kl' is not a number"));
    assert_non_null(strstr(follow(&w, &f, 1, NAN), "in feature 'CD4'"));
    f.parameter[3] = (real)NAN;
    assert_non_null(strstr(follow(&w, &f, 1, INFINITY), "; parameter 'weight' is not finite"));
}

/* Steps until something is said, at most `most`. */
static int steps_until(divergence_watch *w, fake *f, int most, double rec, double kl)
{
    int n = 1;
    while (n <= most && *follow(w, f, rec, kl) == '\0') n++;
    return n;
}

static void test_what_counts(void **state)
{
    divergence_watch w = {0};
    fake f;
    (void)state;

    fake_init(&f);
    for (int k = 0; k < 1000; k++) /* from 50 to 1, noisy, with a wild batch now and then */
        assert_string_equal(follow(&w, &f, 1.0 + 50.0 * exp(-k / 50.0) + (k % 7) * 0.3,
                                   k % 40 == 39 ? 1e6 : 1.0), "");
    assert_int_equal(steps_until(&w, &f, 500, 300.0, 1.0), 501); /* high, but as at the start */
    assert_int_equal(steps_until(&w, &f, 500, 10.0, 5000.0), 100);
    assert_non_null(strstr(follow(&w, &f, 10.0, 5000.0), "most of all 'kl'"));
    assert_string_equal(follow(&w, &f, 1.0, 1.0), ""); /* it has come back */
    assert_int_equal(w.n_high, 0);

    w = (divergence_watch){0};
    for (int k = 0; k < 1000; k++) /* a log likelihood may cross zero */
        assert_string_equal(follow(&w, &f, 5.0 - 0.01 * k, 0.0), "");
}

static void test_hash(void **state)
{
    unsigned char bytes[40] = {0};
    const uint64_t zero = hash_bytes(HASH_START, bytes, sizeof bytes);
    (void)state;

    for (size_t k = 0; k < 8 * sizeof bytes; k++) {
        bytes[k / 8] ^= (unsigned char)(1u << (k % 8));
        assert_true(hash_bytes(HASH_START, bytes, sizeof bytes) != zero);
        bytes[k / 8] = 0;
    }
    for (int64_t n = 0; n < (int64_t)sizeof bytes; n++)
        assert_true(hash_bytes(HASH_START, bytes, n) != zero);
    assert_true(hash_text(hash_text(HASH_START, "ab"), "c") !=
                hash_text(hash_text(HASH_START, "a"), "bc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_phase),
                                       cmocka_unit_test(test_every_training),
                                       cmocka_unit_test(test_middle_of_an_epoch),
                                       cmocka_unit_test(test_stopped_while_going_back),
                                       cmocka_unit_test(test_absurd_count),
                                       cmocka_unit_test(test_allocation_failures),
                                       cmocka_unit_test(test_what_is_named),
                                       cmocka_unit_test(test_what_counts),
                                       cmocka_unit_test(test_hash)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
