/* SPDX-License-Identifier: BSD-3-Clause */
/* Simulated cells of the example set: their moments within a type beside those of the real cells; a
 * type of one cell; that no failed allocation leaks or crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "data/example.h"
#include "models/sampler.h"

enum { N = 500 };

typedef struct setting {
    scw_dataset *data;
    matilda_model *model;
    cells cells;
    matrix counts[MODEL_MAX_MODALITIES];
} setting;

static int set_up(void **state)
{
    static const char *const quick[][2] = {
        {"min-steps", "60"},  {"components", "12"}, {"modality-weights", "off"}, {"subsets", "off"},
        {"shortcut-c", "10"}, {"library", "10000"}, {"calibration-folds", "0"}};
    static setting s;
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    matilda_options o;
    scw_model *fitted = NULL;
    const scw_fit_request request = {.label_key = "cell_type", .seed = 1, .threads = 2};
    model_coverage coverage[MODEL_MAX_MODALITIES];
    const column *c;
    strings classes = {0};

    assert_int_equal(example_make(&s.data, N, EXAMPLE_NARROW, 3), SCW_OK);
    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    for (size_t k = 0; k < sizeof quick / sizeof *quick; k++)
        assert_int_equal(scw_options_set(kind->options, &o, quick[k][0], quick[k][1]), SCW_OK);
    assert_int_equal(scw_model_fit(&fitted, kind, s.data, &request, &o, NULL), SCW_OK);
    s.model = (matilda_model *)fitted;
    assert_int_equal(model_prepare(&s.cells, coverage, &s.model->base, s.data, NULL), SCW_OK);
    for (int k = 0; k < s.model->base.n_modalities; k++) {
        uint8_t *present = NULL;
        assert_int_equal(model_counts(&s.counts[k], &present, &s.model->base, k, s.data), SCW_OK);
        mem_free(present);
    }
    assert_int_equal(dataset_obs_column(&c, s.data, "cell_type"), SCW_OK);
    assert_int_equal(column_classes(c, &s.cells.labels, &classes), SCW_OK);
    strings_clear(&classes);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    setting *s = *state;

    scw_dataset_free(s->data);
    matilda_free(s->model);
    cells_clear(&s->cells);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) matrix_clear(&s->counts[k]);
    return 0;
}

static int32_t largest_class(const setting *s)
{
    int64_t size[64] = {0};
    int32_t best = 0;

    for (int64_t i = 0; i < N; i++) size[s->cells.labels[i]]++;
    for (int32_t c = 0; c < s->model->base.classes.n; c++)
        if (size[c] > size[best]) best = c;
    return best;
}

static void draw(sampled *out, const setting *s, sample_from from, int32_t class, int64_t n)
{
    sampler drawer;
    const sampler_options options = {.from = from, .seed = 5};

    *out = (sampled){0};
    assert_int_equal(sampler_init(&drawer, s->model, &s->cells, s->counts, &options), SCW_OK);
    assert_int_equal(sampler_draw(&drawer, out, class, n, NULL), SCW_OK);
    sampler_clear(&drawer);
}

/* Mean of log1p of the counts of a row range or class, and its variance over cells, summed. */
static void moments(double *mean, double *variance, const matrix *x, const int32_t *labels,
                    int32_t class)
{
    double n = 0.0;
    double *sum, *squares;

    assert_int_equal(mem_new(&sum, x->n_cols), SCW_OK);
    assert_int_equal(mem_new(&squares, x->n_cols), SCW_OK);
    for (int64_t i = 0; i < x->n_rows; i++) {
        if (labels && labels[i] != class) continue;
        n++;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            double v = log1p((double)x->values[e]);
            assert_true((double)x->values[e] == floor((double)x->values[e]));
            sum[x->indices[e]] += v;
            squares[x->indices[e]] += v * v;
        }
    }
    *mean = *variance = 0.0;
    for (int64_t j = 0; j < x->n_cols; j++) {
        *mean += sum[j] / n;
        *variance += squares[j] / n - sum[j] * sum[j] / n / n;
    }
    mem_free(sum);
    mem_free(squares);
}

static void moments_of_a_type(void **state)
{
    const setting *s = *state;
    const int32_t class = largest_class(s);
    static const sample_from modes[] = {SAMPLE_CLASS, SAMPLE_POSTERIOR};

    for (size_t q = 0; q < 2; q++) {
        sampled out;
        draw(&out, s, modes[q], class, 300);
        assert_int_equal(out.n, 300);
        for (int k = 0; k < 2; k++) { /* what is presence only has other moments */
            double mean[2], variance[2];
            moments(&mean[0], &variance[0], &s->counts[k], s->cells.labels, class);
            moments(&mean[1], &variance[1], &out.x[k], NULL, 0);
            assert_true(fabs(mean[1] / mean[0] - 1.0) < 0.1);
            assert_true(variance[1] / variance[0] > 0.7 && variance[1] / variance[0] < 1.4);
        }
        for (int64_t i = 0; i < out.n; i++)
            assert_true((out.source[i] >= 0) == (modes[q] == SAMPLE_POSTERIOR));
        sampled_clear(&out);
    }
}

/* A type of one cell is not repeated: its simulations differ from it and from each other. */
static void a_type_of_one_cell(void **state)
{
    setting *s = *state;
    const int32_t class = largest_class(s);
    int32_t kept[N];
    int64_t first = -1;
    sampled out;

    memcpy(kept, s->cells.labels, sizeof kept);
    for (int64_t i = 0; i < N; i++) {
        if (kept[i] != class) continue;
        if (first >= 0) s->cells.labels[i] = -1;
        if (first < 0) first = i;
    }
    draw(&out, s, SAMPLE_CLASS, class, 4);
    const matrix *x = &out.x[0], *real_x = &s->counts[0];
    for (int64_t i = 0; i < 4; i++) {
        int64_t n = x->indptr[i + 1] - x->indptr[i], same = 0;
        int64_t e = real_x->indptr[first];
        for (int64_t a = x->indptr[i]; a < x->indptr[i + 1]; a++) {
            while (e < real_x->indptr[first + 1] && real_x->indices[e] < x->indices[a]) e++;
            same += e < real_x->indptr[first + 1] && real_x->indices[e] == x->indices[a] &&
                    real_x->values[e] == x->values[a];
        }
        assert_true(n > 50);
        assert_true((double)same < 0.8 * (double)n);
    }
    sampled_clear(&out);
    memcpy(s->cells.labels, kept, sizeof kept);
}

static void memory_failures(void **state)
{
    const setting *s = *state;
    const sampler_options options = {.from = SAMPLE_CLASS, .seed = 5};
    int64_t at = 1;

    for (bool done = false; !done; at += 1 + at / 8) {
        sampler drawer = {0};
        sampled out = {0};
        (void)mem_fail_at(at);
        scw_status st = sampler_init(&drawer, s->model, &s->cells, s->counts, &options);
        if (st == SCW_OK) st = sampler_draw(&drawer, &out, largest_class(s), 3, NULL);
        (void)mem_fail_at(0);
        assert_true(st == SCW_OK || st == SCW_ENOMEM);
        done = st == SCW_OK;
        sampled_clear(&out);
        sampler_clear(&drawer);
    }
    assert_true(at > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_of_a_type),
        cmocka_unit_test(a_type_of_one_cell),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
