/* SPDX-License-Identifier: BSD-3-Clause */
/* A query whose batches are shifted is lined up with the reference; one that is not stays. */
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
#include "data/results.h"
#include "models/matilda_model.h"
#include "scweave/scweave.h"
#include "train/align.h"

#define N_OBS 193

static scw_dataset *data;
static matilda_model *model;

static matilda_model *fit(const char *components)
{
    static const char *const quick[][2] = {
        {"epochs", "2"},      {"min-steps", "0"},           {"shortcut-c", "10"},
        {"library", "10000"}, {"likelihood", "gaussian"},   {"modality-weights", "off"},
        {"subsets", "off"},   {"calibration-folds", "0"}};
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    scw_fit_request request = {.label_key = "cell_type", .modalities = "rna,adt", .seed = 5,
                               .threads = 1};
    matilda_options o;
    scw_model *m = NULL;

    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    for (size_t k = 0; k < sizeof quick / sizeof *quick; k++)
        assert_int_equal(scw_options_set(kind->options, &o, quick[k][0], quick[k][1]), SCW_OK);
    assert_int_equal(scw_options_set(kind->options, &o, "components", components), SCW_OK);
    assert_int_equal(scw_options_set(kind->options, &o, "max-dense", components), SCW_OK);
    assert_int_equal(scw_model_fit(&m, kind, data, &request, &o, NULL), SCW_OK);
    return (matilda_model *)m;
}

static int set_up(void **state)
{
    (void)state;
    if (example_make(&data, N_OBS, EXAMPLE_NARROW, 3) != SCW_OK) return 1;
    model = fit("20");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    matilda_free(model);
    scw_dataset_free(data);
    return 0;
}

/* The cells as the model's input; every cell a batch of `of` in turn. */
static void prepare(cells *c, int32_t *batch, int32_t of)
{
    model_coverage coverage[MODEL_MAX_MODALITIES];

    assert_int_equal(model_prepare(c, coverage, &model->base, data, NULL), SCW_OK);
    for (int32_t i = 0; i < N_OBS; i++) batch[i] = i % of;
}

/* Mean size of the shift of modality k in batch b, against the size of the spread of class means. */
static double size(const cells *c, int k, int32_t b)
{
    const int64_t width = model->net.config.modality[k].n_components;
    const real *mean = params_value(&model->means.p, model->means.mean[k]);
    double shift = 0.0, spread = 0.0;

    for (int64_t j = 0; j < width; j++) {
        shift += (double)c->shift[k][b * width + j] * (double)c->shift[k][b * width + j];
        for (int64_t q = 0; q < model->base.classes.n; q++)
            spread +=
                (double)(mean[q * width + j] * mean[q * width + j]) / (double)model->base.classes.n;
    }
    return sqrt(shift / spread);
}

/* The reference itself needs no shift. */
static void test_reference_stays(void **state)
{
    cells c = {0};
    int32_t batch[N_OBS];
    (void)state;

    prepare(&c, batch, 1);
    assert_int_equal(align_query(&c, model, batch, 1, NULL), SCW_OK);
    for (int k = 0; k < 2; k++) assert_true(size(&c, k, 0) < 0.1);
    cells_clear(&c);
}

/* Every second cell's inputs are moved by the same vector. Lined up by batch, the embedding is what it
 * was; the batch that was not moved stays. */
static void test_shifted_batch(void **state)
{
    cells plain = {0}, moved = {0};
    int32_t batch[N_OBS];
    const int64_t d = model->options.z_dim;
    float *before = NULL, *off = NULL, *after = NULL;
    double lost = 0.0, left = 0.0;
    (void)state;

    assert_int_equal(mem_new(&before, N_OBS * d), SCW_OK);
    assert_int_equal(mem_new(&off, N_OBS * d), SCW_OK);
    assert_int_equal(mem_new(&after, N_OBS * d), SCW_OK);
    prepare(&plain, batch, 2);
    prepare(&moved, batch, 2);
    assert_int_equal(matilda_infer(model, &model->net.p, &plain, NULL, N_OBS, NULL, before),
                     SCW_OK);
    /* A batch effect is a change of every feature in all its cells: here of each row's offset and of
     * the sparse values alike. */
    for (int k = 0; k < 2; k++) {
        prepared *x = &moved.x[k];
        for (int64_t i = 1; i < N_OBS; i += 2)
            for (int64_t e = x->y.indptr[i]; e < x->y.indptr[i + 1]; e++)
                if (x->y.indices[e] % 2 == 0) x->y.values[e] *= 1.6f;
    }
    assert_int_equal(matilda_infer(model, &model->net.p, &moved, NULL, N_OBS, NULL, off), SCW_OK);
    assert_int_equal(align_query(&moved, model, batch, 2, NULL), SCW_OK);
    assert_int_equal(matilda_infer(model, &model->net.p, &moved, NULL, N_OBS, NULL, after), SCW_OK);
    for (int64_t i = 1; i < N_OBS; i += 2)
        for (int64_t z = 0; z < d; z++) {
            lost += pow((double)off[i * d + z] - (double)before[i * d + z], 2.0);
            left += pow((double)after[i * d + z] - (double)before[i * d + z], 2.0);
        }
    assert_true(lost > 0.0);
    assert_true(left < 0.6 * lost);
    for (int k = 0; k < 2; k++) {
        assert_true(size(&moved, k, 0) < 0.15);
        assert_true(size(&moved, k, 1) > 2.0 * size(&moved, k, 0));
    }
    mem_free(before);
    mem_free(off);
    mem_free(after);
    cells_clear(&plain);
    cells_clear(&moved);
}

/* Through the public function: the same bytes twice, from a saved model too; a batch column must be
 * there and whole. */
static void test_apply(void **state)
{
    char path[] = "/tmp/scw-test-align-XXXXXX";
    scw_model *loaded = NULL;
    scw_results *a = NULL, *b = NULL, *none = NULL;
    scw_task_request request = {.annotate = 1, .embed = 1, .threads = 1, .align = 1};
    (void)state;

    close(mkstemp(path));
    assert_int_equal(scw_model_save(&model->base, path), SCW_OK);
    assert_int_equal(scw_model_load(&loaded, path), SCW_OK);
    request.batch_key = "cell_type";
    assert_int_equal(scw_model_apply(&a, &model->base, data, &request, NULL), SCW_OK);
    assert_int_equal(scw_model_apply(&b, loaded, data, &request, NULL), SCW_OK);
    for (int k = 0; k < 2; k++)
        assert_memory_equal(a->arrays[k].values, b->arrays[k].values,
                            (size_t)(a->arrays[k].n_rows * a->arrays[k].n_cols) * sizeof(float));
    request.batch_key = "nonsense";
    assert_int_equal(scw_model_apply(&none, &model->base, data, &request, NULL), SCW_ENOTFOUND);
    assert_non_null(strstr(scw_error_message(), "cell_type"));
    assert_null(none);
    scw_results_free(a);
    scw_results_free(b);
    scw_model_free(loaded);
    unlink(path);
}

/* A model that reads all features has no projected inputs to shift. */
static void test_without_means(void **state)
{
    matilda_model *m = fit("0");
    scw_results *none = NULL;
    scw_task_request request = {.annotate = 1, .threads = 1, .align = 1};
    (void)state;

    assert_int_equal(m->means.n, 0);
    assert_int_equal(scw_model_apply(&none, &m->base, data, &request, NULL), SCW_EUNSUPPORTED);
    assert_non_null(strstr(scw_error_message(), "no class means"));
    matilda_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_stays), cmocka_unit_test(test_shifted_batch),
        cmocka_unit_test(test_apply), cmocka_unit_test(test_without_means)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
