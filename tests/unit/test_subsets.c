/* SPDX-License-Identifier: BSD-3-Clause */
/* Cells that have some of a model's modalities: who answers for them, and that whole cells do not
 * notice. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "data/example.h"
#include "models/matilda_model.h"
#include "scweave/scweave.h"
#include "task/subsets_file.h"

#define N_OBS 193

static matilda_model *pair; /* of RNA and protein; the tests only read it */

static scw_dataset *make(void)
{
    scw_dataset *d = NULL;
    assert_int_equal(example_make(&d, N_OBS, EXAMPLE_NARROW, 3), SCW_OK);
    return d;
}

static matilda_model *fit(const scw_dataset *d, const char *modalities, const char *paths)
{
    static const char *const quick[][2] = {{"epochs", "2"},      {"min-steps", "0"},
                                           {"shortcut-c", "10"}, {"library", "10000"},
                                           {"likelihood", "gaussian"}, {"modality-weights", "off"},
                                           {"calibration-folds", "2"}, {"components", "20"},
                                           {"z-dim", "40"}};
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    scw_fit_request request = {
        .label_key = "cell_type", .modalities = modalities, .seed = 5, .threads = 1};
    matilda_options o;
    scw_model *m = NULL;

    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    for (size_t k = 0; k < sizeof quick / sizeof *quick; k++)
        assert_int_equal(scw_options_set(kind->options, &o, quick[k][0], quick[k][1]), SCW_OK);
    assert_int_equal(scw_options_set(kind->options, &o, "subsets", paths), SCW_OK);
    assert_int_equal(scw_model_fit(&m, kind, d, &request, &o, NULL), SCW_OK);
    return (matilda_model *)m;
}

static int set_up(void **state)
{
    scw_dataset *d = make();
    (void)state;

    pair = fit(d, "rna,adt", "on");
    scw_dataset_free(d);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    matilda_free(pair);
    return 0;
}

/* Cell i loses modality k. */
static void hide(scw_dataset *d, int k, int64_t i)
{
    modality *x = &d->modalities[k];
    if (x->row_of_obs[i] < 0) return;
    x->row_of_obs[i] = -1;
    x->n_present--;
}

typedef struct answers {
    float *logits, *latent;
    int64_t n_classes, width;
    cells c;
} answers;

static answers ask(const matilda_model *m, const scw_dataset *d, int as)
{
    answers a = {.n_classes = m->base.classes.n, .width = m->options.z_dim};
    model_coverage coverage[MODEL_MAX_MODALITIES];

    assert_int_equal(mem_new(&a.logits, d->n_obs * a.n_classes), SCW_OK);
    assert_int_equal(mem_new(&a.latent, d->n_obs * a.width), SCW_OK);
    assert_int_equal(model_prepare(&a.c, coverage, &m->base, d, NULL), SCW_OK);
    assert_int_equal(matilda_infer_as(m, as, &a.c, NULL, d->n_obs, a.logits, a.latent), SCW_OK);
    return a;
}

static void answers_clear(answers *a)
{
    mem_free(a->logits);
    mem_free(a->latent);
    cells_clear(&a->c);
}

/* Is cell i answered the same in both? */
static bool same(const answers *a, const answers *b, int64_t i)
{
    return memcmp(a->logits + i * a->n_classes, b->logits + i * a->n_classes,
                  (size_t)a->n_classes * sizeof(float)) == 0 &&
           memcmp(a->latent + i * a->width, b->latent + i * a->width,
                  (size_t)a->width * sizeof(float)) == 0;
}

/* Each proper subset of three modalities has a path, of the width of what it reads. */
static void test_three_modalities(void **state)
{
    scw_dataset *d = make();
    matilda_model *m = fit(d, "rna,adt,atac", "on");
    (void)state;

    assert_int_equal(m->subsets.n, SUBSETS_MAX);
    for (int k = 0; k < m->subsets.n; k++) {
        const subset_path *path = &m->subsets.at[k];
        int64_t width = 0;
        assert_int_equal(path->mask, k + 1);
        for (int q = 0; q < m->base.n_modalities; q++)
            if (path->mask >> q & 1u) width += m->net.config.modality[q].n_components;
        assert_int_equal(path->width, width);
        assert_true(path->calibration.n == N_OBS && path->calibration.accuracy > 0.3);
        assert_int_equal(subsets_find(&m->subsets, path->mask), k);
    }
    assert_int_equal(subsets_find(&m->subsets, 7), -1);
    assert_int_equal(subsets_find(&m->subsets, 0), -1);
    matilda_free(m);
    scw_dataset_free(d);
}

/* Whole cells are answered as by a model that has no paths. */
static void test_whole_cells_do_not_notice(void **state)
{
    scw_dataset *d = make();
    matilda_model *without = fit(d, "rna,adt", "off");
    answers a = ask(pair, d, MATILDA_AS_PRESENT), b = ask(without, d, MATILDA_AS_PRESENT);
    (void)state;

    assert_int_equal(pair->subsets.n, 2);
    assert_int_equal(without->subsets.n, 0);
    for (int64_t i = 0; i < N_OBS; i++) assert_true(same(&a, &b, i));
    assert_true(pair->calibration.temperature == without->calibration.temperature);
    answers_clear(&a);
    answers_clear(&b);
    matilda_free(without);
    scw_dataset_free(d);
}

/* In a query of all sorts, each cell gets the answer for what it has: what the path says of the whole
 * cell, since it reads that part only. A cell without anything is left to the network. */
static void test_mixed_query(void **state)
{
    scw_dataset *d = make(), *mixed = make();
    answers whole = ask(pair, d, MATILDA_AS_PRESENT), rna = ask(pair, d, 0), adt = ask(pair, d, 1);
    static const int path_of[] = {-1, 0, 1, -1};
    int64_t differ = 0;
    (void)state;

    for (int64_t i = 0; i < N_OBS; i++) {
        if (i % 4 == 1 || i % 4 == 3) hide(mixed, 1, i);
        if (i % 4 == 2 || i % 4 == 3) hide(mixed, 0, i);
    }
    answers got = ask(pair, mixed, MATILDA_AS_PRESENT),
            plain = ask(pair, mixed, MATILDA_AS_NETWORK);
    for (int64_t i = 0; i < N_OBS; i++) {
        const answers *expected[] = {&whole, &rna, &adt, &plain};
        assert_true(same(&got, expected[i % 4], i));
        differ += i % 4 != 3 && i % 4 != 0 && !same(&got, &plain, i);
        assert_int_equal(matilda_path_of(pair, &got.c, i), path_of[i % 4]);
    }
    assert_int_equal(differ, 96); /* no path repeats the network */
    answers_clear(&whole);
    answers_clear(&rna);
    answers_clear(&adt);
    answers_clear(&got);
    answers_clear(&plain);
    scw_dataset_free(d);
    scw_dataset_free(mixed);
}

/* A reference whose cells have one modality or the other: both halves teach. */
static void test_mosaic_reference(void **state)
{
    scw_dataset *d = make();
    (void)state;

    for (int64_t i = 0; i < N_OBS; i++) hide(d, (int)(i % 2), i);
    matilda_model *m = fit(d, "rna,adt", "on");
    answers a = ask(m, d, MATILDA_AS_PRESENT);
    int64_t right = 0;
    const column *truth = NULL;
    int32_t *codes = NULL;
    strings classes = {0};

    assert_int_equal(m->subsets.n, 2);
    assert_int_equal(m->subsets.at[0].calibration.n + m->subsets.at[1].calibration.n, N_OBS);
    assert_int_equal(dataset_obs_column(&truth, d, "cell_type"), SCW_OK);
    assert_int_equal(column_classes(truth, &codes, &classes), SCW_OK);
    for (int64_t i = 0; i < N_OBS; i++)
        right +=
            strcmp(m->base.classes.at[model_best_class(a.logits + i * a.n_classes, a.n_classes)],
                   classes.at[codes[i]]) == 0;
    assert_true((double)right / N_OBS > 0.7);
    mem_free(codes);
    strings_clear(&classes);
    answers_clear(&a);
    matilda_free(m);
    scw_dataset_free(d);
}

static void test_round_trip(void **state)
{
    char path[] = "/tmp/scw-test-subsets-XXXXXX";
    scw_dataset *d = make();
    scw_model *file = NULL;
    (void)state;

    close(mkstemp(path));
    assert_int_equal(scw_model_save(&pair->base, path), SCW_OK);
    assert_int_equal(scw_model_load(&file, path), SCW_OK);
    matilda_model *loaded = (matilda_model *)file;
    for (int64_t i = 0; i < N_OBS; i++) hide(d, (int)(i % 2), i);
    answers a = ask(pair, d, MATILDA_AS_PRESENT), b = ask(loaded, d, MATILDA_AS_PRESENT);
    for (int64_t i = 0; i < N_OBS; i++) assert_true(same(&a, &b, i));
    for (int k = 0; k < 2; k++)
        assert_true(pair->subsets.at[k].calibration.temperature ==
                    loaded->subsets.at[k].calibration.temperature);
    assert_memory_equal(pair->subsets.at[1].calibration.centre,
                        loaded->subsets.at[1].calibration.centre,
                        (size_t)(pair->base.classes.n * pair->options.z_dim) * sizeof(float));
    answers_clear(&a);
    answers_clear(&b);
    matilda_free(loaded);
    scw_dataset_free(d);
    unlink(path);
}

/* What a damaged file may say of subsets. */
static void test_damaged(void **state)
{
    static const char *const lists[] = {
        "[]",
        "[{}]",
        "[7]",
        "[{\"modalities\": [\"rna\", \"adt\"]}]",
        "[{\"modalities\": [\"nonsense\"]}]",
        "[{\"modalities\": [3]}]",
        "[{\"modalities\": [\"rna\"]}, {\"modalities\": [\"rna\"]}]",
        "[{\"modalities\": [\"rna\"]}, {}, {}, {}, {}, {}, {}]",
    };
    const subsets kept = pair->subsets;
    (void)state;

    pair->subsets = (subsets){0};
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        json_t *list = json_loads(lists[k], 0, NULL);
        assert_non_null(list);
        assert_int_equal(subsets_from_json(pair, list, "x"), SCW_EFORMAT);
        assert_string_equal(scw_error_message(), "x: the model's list of subsets is damaged");
        json_decref(list);
    }
    assert_int_equal(subsets_from_json(pair, NULL, "x"), SCW_OK);
    assert_int_equal(pair->subsets.n, 0);
    pair->subsets = kept;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_modalities), cmocka_unit_test(test_whole_cells_do_not_notice),
        cmocka_unit_test(test_mixed_query),      cmocka_unit_test(test_mosaic_reference),
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
