/* SPDX-License-Identifier: BSD-3-Clause */
/* A model that tells the batches of its reference apart: decoders that see them, encoders that do not,
 * and what sets them apart taken out of the inputs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "data/example.h"
#include "models/sampler.h"
#include "scweave/scweave.h"
#include "train/batch_removal.h"
#include "train/inputs.h"
#include "train/reference.h"

enum { N = 400 };

typedef struct setting {
    scw_dataset *data;
    matilda_model *plain, *removed; /* both with --batch-key */
    cells cells;                /* of the first's input, with labels and batches */
    matrix counts[MODEL_MAX_MODALITIES];
} setting;

static matilda_model *fit(const scw_dataset *data, const char *batch_key, const char *removal)
{
    static const char *const quick[][2] = {
        {"epochs", "2"},      {"min-steps", "0"},         {"shortcut-c", "10"},
        {"library", "10000"}, {"components", "20"},       {"modality-weights", "off"},
        {"subsets", "off"},   {"calibration-folds", "0"}, {"count-steps", "60"}};
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    const scw_fit_request request = {.label_key = "cell_type", .modalities = "rna,adt", .seed = 5,
                                     .threads = 1, .batch_key = batch_key};
    matilda_options o;
    scw_model *m = NULL;

    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    for (size_t k = 0; k < sizeof quick / sizeof *quick; k++)
        assert_int_equal(scw_options_set(kind->options, &o, quick[k][0], quick[k][1]), SCW_OK);
    assert_int_equal(scw_options_set(kind->options, &o, "batch-removal", removal), SCW_OK);
    if (scw_model_fit(&m, kind, data, &request, &o, NULL) != SCW_OK) return NULL;
    return (matilda_model *)m;
}

static void prepare(cells *c, const matilda_model *m, const scw_dataset *data)
{
    model_coverage coverage[MODEL_MAX_MODALITIES];
    const column *labels;
    strings classes = {0};

    assert_int_equal(model_prepare(c, coverage, &m->base, data, NULL), SCW_OK);
    assert_int_equal(dataset_obs_column(&labels, data, "cell_type"), SCW_OK);
    assert_int_equal(column_classes(labels, &c->labels, &classes), SCW_OK);
    strings_clear(&classes);
    assert_int_equal(model_batches(&c->known_batch, &m->base, data, "batch"), SCW_OK);
}

static int set_up(void **state)
{
    static setting s;

    assert_int_equal(example_make(&s.data, N, EXAMPLE_NARROW, 3), SCW_OK);
    s.plain = fit(s.data, "batch", "0");
    s.removed = fit(s.data, "batch", "30");
    if (!s.plain || !s.removed) return 1;
    prepare(&s.cells, s.plain, s.data);
    for (int k = 0; k < s.plain->base.n_modalities; k++) {
        uint8_t *present = NULL;
        assert_int_equal(model_counts(&s.counts[k], &present, &s.plain->base, k, s.data), SCW_OK);
        mem_free(present);
    }
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    setting *s = *state;

    scw_dataset_free(s->data);
    matilda_free(s->plain);
    matilda_free(s->removed);
    cells_clear(&s->cells);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) matrix_clear(&s->counts[k]);
    return 0;
}

/* ---------------------------------------------------------------------------------- decoders */

/* A batch that is not known is decoded as the mean of the known ones, by the network and the count
 * decoders alike; the known ones differ. */
static void test_unknown_is_the_mean(void **state)
{
    const setting *s = *state;
    const int64_t d = s->plain->options.z_dim;
    const nn_pass base = {.p = &s->plain->net.p};
    real z[128] = {0};
    double most = 0.0;

    assert_int_equal(s->plain->base.batches.n, 2);
    assert_int_equal(s->plain->counts.n_in, d + 2);
    for (int64_t q = 0; q < d; q++) z[q] = (real)sin((double)q);
    tape *t = NULL;
    assert_int_equal(tape_new(&t), SCW_OK);
    nn_pass pass = base;
    pass.t = t;
    const int64_t f = s->plain->base.modality[0].features.n;
    real *sum = NULL;
    assert_int_equal(mem_new(&sum, f), SCW_OK);
    for (int32_t b = 1; b >= -1; b--) {
        model_outputs out = {0};
        tape_reset(t, TAPE_EVAL);
        matilda_decode(&s->plain->net, &pass, op_input(t, z, 1, d, false), &b, &out);
        assert_int_equal(tape_status(t), SCW_OK);
        for (int64_t j = 0; j < f; j++) {
            const double v = (double)out.recon[0]->value[j];
            if (b == 0) most = fmax(most, fabs(v - 2.0 * (double)sum[j]));
            if (b >= 0) sum[j] += (real)(0.5 * v);
            if (b < 0) assert_true(fabs(v - (double)sum[j]) < 1e-4);
        }
    }
    assert_true(most > 0.01);
    mem_free(sum);
    tape_free(t);
}

/* Encoders see no batch: with it and without, the same bits. */
static void test_encoders_see_none(void **state)
{
    const setting *s = *state;
    const int64_t d = s->plain->options.z_dim;
    cells without = s->cells;
    float *a = NULL, *b = NULL;

    without.known_batch = NULL;
    assert_int_equal(mem_new(&a, N * d), SCW_OK);
    assert_int_equal(mem_new(&b, N * d), SCW_OK);
    assert_int_equal(matilda_infer(s->plain, &s->plain->net.p, &s->cells, NULL, N, NULL, a),
                     SCW_OK);
    assert_int_equal(matilda_infer(s->plain, &s->plain->net.p, &without, NULL, N, NULL, b), SCW_OK);
    assert_memory_equal(a, b, (size_t)(N * d) * sizeof *a);
    mem_free(a);
    mem_free(b);
}

/* Logarithm of each gene's share of the counts in batch 1 over that in batch 0; false: too few. */
static bool effect(double *out, const matrix *x, const int32_t *batch, int64_t gene)
{
    double of_gene[2] = {0.5, 0.5}, all[2] = {0.0, 0.0};

    for (int64_t i = 0; i < x->n_rows; i++)
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            all[batch[i]] += (double)x->values[e];
            if (x->indices[e] == gene) of_gene[batch[i]] += (double)x->values[e];
        }
    *out = log(of_gene[1] / all[1]) - log(of_gene[0] / all[0]);
    return of_gene[0] + of_gene[1] > 200.0;
}

/* Cells drawn for one batch and the other differ as the real ones do, whatever batch their sources
 * are of; drawn as observed, they carry the batches of the sources. */
static void test_simulated_batches(void **state)
{
    const setting *s = *state;
    sampled out = {0};
    double xx = 0.0, xy = 0.0, yy = 0.0;
    int64_t of_batch[2] = {0, 0};

    for (int32_t b = 0; b < 2; b++) {
        const sampler_options options = {.seed = 5, .batch = 1 + b};
        sampler drawer;
        assert_int_equal(sampler_init(&drawer, s->plain, &s->cells, s->counts, &options), SCW_OK);
        for (int32_t c = 0; c < s->plain->base.classes.n; c++)
            assert_int_equal(sampler_draw(&drawer, &out, c, 20, NULL), SCW_OK);
        sampler_clear(&drawer);
    }
    for (int64_t i = 0; i < out.n; i++) assert_int_equal(out.batch[i], i >= out.n / 2);
    for (int64_t j = 0; j < 300; j++) {
        double real_one, drawn;
        if (!effect(&real_one, &s->counts[0], s->cells.known_batch, j)) continue;
        (void)effect(&drawn, &out.x[0], out.batch, j);
        xx += real_one * real_one;
        yy += drawn * drawn;
        xy += real_one * drawn;
    }
    assert_true(xy / sqrt(xx * yy) > 0.5);
    sampled_clear(&out);
    const sampler_options observed = {.seed = 5};
    sampler drawer;
    assert_int_equal(sampler_init(&drawer, s->plain, &s->cells, s->counts, &observed), SCW_OK);
    assert_int_equal(sampler_draw(&drawer, &out, 0, 100, NULL), SCW_OK);
    for (int64_t i = 0; i < out.n; i++) of_batch[out.batch[i]]++;
    assert_true(of_batch[0] > 20 && of_batch[1] > 20);
    sampler_clear(&drawer);
    sampled_clear(&out);
}

/* ----------------------------------------------------------------------------------- removal */

/* Of modality k's inputs: scatter of the batches' means about their classes', over that of the cells
 * about them, along the line that joins the batches. */
static double apart(const matilda_model *m, const scw_dataset *data, int k)
{
    cells c = {0};
    inputs x = {0};
    int64_t rows[N];
    double line[64] = {0}, mean[64][2] = {{0}}, count[64][2] = {{0}}, between = 0.0, within = 0.0;

    prepare(&c, m, data);
    for (int64_t i = 0; i < N; i++) rows[i] = i;
    assert_int_equal(inputs_gather(&x, m, &c, rows, N), SCW_OK);
    const int64_t width = m->net.config.modality[k].n_components;
    for (int64_t j = 0; j < width; j++) {
        double sum[64][2] = {{0}}, n[64][2] = {{0}};
        for (int64_t i = 0; i < N; i++) {
            sum[c.labels[i]][c.known_batch[i]] += (double)x.u[i * x.p + x.from[k] + j];
            n[c.labels[i]][c.known_batch[i]]++;
        }
        for (int64_t q = 0; q < m->base.classes.n; q++)
            if (n[q][0] > 1.0 && n[q][1] > 1.0)
                line[j] += (n[q][0] + n[q][1]) * (sum[q][1] / n[q][1] - sum[q][0] / n[q][0]);
    }
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < N; i++) {
            double v = 0.0;
            const int32_t q = c.labels[i], b = c.known_batch[i];
            for (int64_t j = 0; j < width; j++)
                v += line[j] * (double)x.u[i * x.p + x.from[k] + j];
            if (pass == 0) {
                mean[q][b] += v;
                count[q][b]++;
            } else {
                within += pow(v - mean[q][b] / count[q][b], 2.0);
            }
        }
    for (int64_t q = 0; q < m->base.classes.n; q++)
        if (count[q][0] > 1.0 && count[q][1] > 1.0)
            between += (count[q][0] + count[q][1]) * 0.25 *
                       pow(mean[q][1] / count[q][1] - mean[q][0] / count[q][0], 2.0);
    inputs_clear(&x);
    cells_clear(&c);
    return between / within;
}

static void test_removal(void **state)
{
    const setting *s = *state;

    for (int k = 0; k < 2; k++)
        assert_true(apart(s->removed, s->data, k) < 0.5 * apart(s->plain, s->data, k));
}

static void test_memory_failures(void **state)
{
    const setting *s = *state;
    int64_t rows[N], at = 1;
    matilda_model *m = fit(s->data, "batch", "0");

    assert_non_null(m);
    for (int64_t i = 0; i < N; i++) rows[i] = i;
    for (bool done = false; !done; at++) {
        (void)mem_fail_at(at);
        scw_status st = batch_removal_fit(m, &s->cells, rows, N, 10.0);
        (void)mem_fail_at(0);
        assert_true(st == SCW_OK || st == SCW_ENOMEM);
        done = st == SCW_OK;
    }
    assert_true(at > 10);
    matilda_free(m);
}

/* ------------------------------------------------------------------------------------- edges */

static void test_file(void **state)
{
    const setting *s = *state;
    char path[64], again[64];
    scw_model *m = NULL;
    unsigned char a[4096], b[4096];
    size_t n;

    (void)snprintf(path, sizeof path, "/tmp/scweave-batches-%d.safetensors", (int)getpid());
    (void)snprintf(again, sizeof again, "/tmp/scweave-batches-%d-2.safetensors", (int)getpid());
    assert_int_equal(scw_model_save(&s->removed->base, path), SCW_OK);
    assert_int_equal(scw_model_load(&m, path), SCW_OK);
    assert_int_equal(m->batches.n, 2);
    assert_string_equal(m->batches.at[1], s->removed->base.batches.at[1]);
    assert_int_equal(scw_model_save(m, again), SCW_OK);
    FILE *f = fopen(path, "rb"), *g = fopen(again, "rb");
    assert_true(f && g);
    while ((n = fread(a, 1, sizeof a, f)) > 0) {
        assert_int_equal(fread(b, 1, sizeof b, g), n);
        assert_memory_equal(a, b, n);
    }
    (void)fclose(f);
    (void)fclose(g);
    (void)unlink(path);
    (void)unlink(again);
    scw_model_free(m);
}

/* One batch in all is nothing to tell apart; a cell without one and a column that is not there are
 * refused. */
static void test_columns(void **state)
{
    setting *s = *state;
    reference r = {0};
    column *batch = NULL;

    for (int64_t k = 0; k < s->data->obs.n_columns; k++)
        if (strcmp(s->data->obs.columns[k].name, "batch") == 0) batch = &s->data->obs.columns[k];
    assert_non_null(batch);
    assert_int_equal(batch->kind, COLUMN_CATEGORICAL);
    assert_int_equal(reference_build(&r, s->data, "cell_type", NULL, false, NULL), SCW_OK);
    assert_int_equal(reference_set_batches(&r, s->data, "no_such"), SCW_ENOTFOUND);
    const int32_t kept = batch->codes[7];
    batch->codes[7] = -1;
    assert_int_equal(reference_set_batches(&r, s->data, "batch"), SCW_EDATA);
    assert_non_null(strstr(scw_error_message(), "1 of"));
    reference_clear(&r);
    batch->codes[7] = kept;
    for (int64_t i = 0; i < N; i++) batch->codes[i] = 0;
    matilda_model *m = fit(s->data, "batch", "30");
    assert_non_null(m);
    assert_int_equal(m->base.batches.n, 1);
    assert_int_equal(model_n_batches(&m->base), 0);
    assert_int_equal(m->counts.n_in, m->options.z_dim);
    matilda_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_is_the_mean), cmocka_unit_test(test_encoders_see_none),
        cmocka_unit_test(test_simulated_batches),   cmocka_unit_test(test_removal),
        cmocka_unit_test(test_memory_failures),     cmocka_unit_test(test_file),
        cmocka_unit_test(test_columns), /* last: it changes the data */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
