/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributions of a small fitted model: against the closed form where the model is made linear, by
 * completeness where it is not, and with modalities missing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "data/example.h"
#include "models/attribution.h"

#define N_OBS 150

static scw_dataset *data;
static matilda_model *model, *linear, *published;
static cells all;

static matilda_model *fit(const char *preset)
{
    static const char *const quick[][2] = {
        {"epochs", "2"},      {"min-steps", "0"},         {"balance-epochs", "1"},
        {"shortcut-c", "10"}, {"library", "10000"},       {"modality-weights", "off"},
        {"subsets", "off"},   {"calibration-folds", "0"}, {"likelihood", "gaussian"}};
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    const scw_fit_request request = {.label_key = "cell_type", .modalities = "rna,adt", .seed = 5,
                                     .threads = 1};
    matilda_options o;
    scw_model *m = NULL;

    assert_int_equal(scw_options_init(kind->options, &o), SCW_OK);
    if (preset) assert_int_equal(kind->preset(&o, preset), SCW_OK);
    for (size_t k = 0; k < sizeof quick / sizeof *quick; k++)
        assert_int_equal(scw_options_set(kind->options, &o, quick[k][0], quick[k][1]), SCW_OK);
    assert_int_equal(scw_model_fit(&m, kind, data, &request, &o, NULL), SCW_OK);
    return (matilda_model *)m;
}

static int set_up(void **state)
{
    model_coverage coverage[MODEL_MAX_MODALITIES];
    (void)state;

    if (example_make(&data, N_OBS, EXAMPLE_NARROW, 3) != SCW_OK) return 1;
    model = fit(NULL);
    linear = fit(NULL);
    published = fit("compat");
    /* Without the classifier of the latent only the shortcut speaks. */
    memset(params_value(&linear->net.p, linear->net.classifier.weight), 0,
           (size_t)(linear->base.classes.n * linear->options.z_dim) * sizeof(real));
    return model_prepare(&all, coverage, &model->base, data, NULL) != SCW_OK;
}

static int tear_down(void **state)
{
    (void)state;
    cells_clear(&all);
    matilda_free(model);
    matilda_free(linear);
    matilda_free(published);
    scw_dataset_free(data);
    return 0;
}

/* The model's answers as the classes to explain. */
static void answers(int32_t *classes, const matilda_model *m, const cells *c)
{
    float *p = NULL;

    assert_int_equal(mem_new(&p, c->n * m->base.classes.n), SCW_OK);
    assert_int_equal(matilda_infer(m, &m->net.p, c, NULL, c->n, p, NULL), SCW_OK);
    for (int64_t i = 0; i < c->n; i++)
        classes[i] = (int32_t)model_best_class(p + i * m->base.classes.n, m->base.classes.n);
    mem_free(p);
}

static attribution_options options(attribution_method method, attribution_baseline baseline,
                                   attribution_score score, int64_t steps)
{
    return (attribution_options){.method = method, .baseline = baseline, .score = score,
                                 .steps = steps, .seed = 1};
}

static attribution compute(const matilda_model *m, const cells *c, const int32_t *classes,
                           const attribution_options *o)
{
    attribution a;
    assert_int_equal(attribution_compute(&a, m, c, classes, o, NULL), SCW_OK);
    return a;
}

/* Weight of feature f in the margin of class k, of the linear model: P (S_k - mean S) / 2, the mean
 * over the other classes. */
static double linear_weight(int m, int64_t f, int64_t class, bool margin)
{
    const matilda_net *net = &linear->net;
    const int64_t width = net->config.modality[m].n_components, n = linear->base.classes.n;
    const real *p = params_value(&net->p, net->projection[m]) + f * width;
    const real *s = params_value(&net->p, net->shortcut[m]);
    double weight = 0.0;

    for (int64_t c = 0; c < n; c++) {
        double share = c == class ? 1.0 : margin ? -1.0 / (double)(n - 1) : 0.0;
        for (int64_t e = 0; e < width && share != 0.0; e++)
            weight += 0.5 * share * (double)p[e] * (double)s[c * width + e];
    }
    return weight;
}

/* x_if - x0_f, from the parts of the prepared cells. */
static double input_away(int m, int64_t i, int64_t f, bool from_zero)
{
    const prepared *x = &all.x[m];
    double value = from_zero ? 0.0 : (double)x->col_shift[f];

    for (int64_t e = x->y.indptr[i]; e < x->y.indptr[i + 1]; e++)
        if (x->y.indices[e] == f) value += (double)x->col_scale[f] * (double)x->y.values[e];
    return value;
}

/* In a linear model integrated gradients are weight times (input - baseline), however many steps,
 * and saliency is the size of the weight. */
static void test_linear_is_exact(void **state)
{
    int32_t classes[N_OBS];
    (void)state;

    answers(classes, linear, &all);
    for (int way = 0; way < 4; way++) {
        bool zero = way & 1, margin = way & 2;
        attribution_options o = options(ATTRIBUTION_IG, zero ? ATTRIBUTION_ZERO : ATTRIBUTION_MEAN,
                                        margin ? ATTRIBUTION_MARGIN : ATTRIBUTION_LOGIT,
                                        way == 0 ? 1 : 7);
        attribution a = compute(linear, &all, classes, &o);
        o.method = ATTRIBUTION_SALIENCY;
        attribution s = compute(linear, &all, classes, &o);
        int64_t class = classes[way];
        for (int m = 0; m < 2; m++)
            for (int64_t f = 0; f < a.n_vars[m]; f += m == 0 ? 17 : 1) {
                double w = linear_weight(m, f, class, margin), sum = 0.0, squares = 0.0, n = 0.0;
                for (int64_t i = 0; i < all.n; i++) {
                    if (classes[i] != class) continue;
                    double v = w * input_away(m, i, f, zero);
                    sum += v;
                    squares += v * v;
                    n += 1.0;
                }
                int64_t at = class * a.n_vars[m] + f;
                double scale = 1e-5 * (fabs(sum / n) + 1e-3);
                assert_true(fabs(a.mean[m][at] - sum / n) < scale);
                if (n > 1.0) {
                    double se = sqrt(fmax(0.0, squares - sum * sum / n) / (n - 1.0) / n);
                    assert_true(fabs(a.se[m][at] - se) < 1e-4 * (se + 1e-4));
                }
                assert_true(fabs(s.mean[m][at] - fabs(w)) < 1e-5 * (fabs(w) + 1e-3));
            }
        assert_int_equal(a.n_sets, 1);
        assert_true(a.sets[0].error < 1e-4);
        attribution_clear(&a);
        attribution_clear(&s);
    }
}

/* Attributions add up to the change of the score, the better the more steps; in the authors'
 * network too, where the encoder reads the features themselves. */
static void test_completeness(void **state)
{
    const matilda_model *both[] = {model, published};
    int32_t classes[N_OBS];
    (void)state;

    for (int b = 0; b < 2; b++) {
        model_coverage coverage[MODEL_MAX_MODALITIES];
        double error[2];
        cells c;
        assert_int_equal(model_prepare(&c, coverage, &both[b]->base, data, NULL), SCW_OK);
        answers(classes, both[b], &c);
        for (int k = 0; k < 2; k++) {
            attribution_options o = options(ATTRIBUTION_IG, ATTRIBUTION_ZERO, ATTRIBUTION_MARGIN,
                                            k == 0 ? 2 : 60);
            attribution a = compute(both[b], &c, classes, &o);
            assert_int_equal(a.n_sets, 1);
            assert_int_equal(a.sets[0].modalities, 3);
            assert_int_equal(a.sets[0].n_cells, N_OBS);
            error[k] = a.sets[0].error;
            attribution_clear(&a);
        }
        assert_true(error[1] < 0.01);
        assert_true(error[1] < error[0]);
        cells_clear(&c);
    }
}

/* R keeps the credit within the span of what the network reads, so sharing changes the ranking but
 * not the cells; R is symmetric: g' R h = h' R g, seen through two classes of the linear model. */
static void test_shared_is_symmetric(void **state)
{
    int32_t classes[N_OBS];
    double product[2] = {0.0, 0.0}, size = 0.0;
    int64_t a_class, b_class = -1;
    (void)state;

    answers(classes, linear, &all);
    a_class = classes[0];
    for (int64_t i = 0; i < all.n && b_class < 0; i++)
        if (classes[i] != a_class) b_class = classes[i];
    attribution_options o = options(ATTRIBUTION_SHARED, ATTRIBUTION_MEAN, ATTRIBUTION_LOGIT, 1);
    attribution a = compute(linear, &all, classes, &o);
    for (int m = 0; m < 2; m++)
        for (int64_t f = 0; f < a.n_vars[m]; f++) {
            int64_t at_a = a_class * a.n_vars[m] + f, at_b = b_class * a.n_vars[m] + f;
            double ga = linear_weight(m, f, a_class, false), gb = linear_weight(m, f, b_class, false);
            /* score = away * (R g)_f with the same gradient for every cell */
            double ra = a.away[m][at_a] != 0.0 ? a.mean[m][at_a] / a.away[m][at_a] : 0.0;
            double rb = a.away[m][at_b] != 0.0 ? a.mean[m][at_b] / a.away[m][at_b] : 0.0;
            product[0] += gb * ra;
            product[1] += ga * rb;
            size += fabs(gb * ra);
        }
    assert_true(size > 0.0);
    assert_true(fabs(product[0] - product[1]) < 1e-4 * size);
    attribution_clear(&a);
}

/* A cell that lacks a modality is left out there, and its set is reported apart. */
static void test_missing_modality(void **state)
{
    int32_t classes[N_OBS];
    float present[N_OBS];
    (void)state;

    answers(classes, model, &all);
    memcpy(present, all.x[1].present, sizeof present);
    for (int64_t i = 0; i < N_OBS; i += 2) all.x[1].present[i] = 0.0f;
    for (int method = ATTRIBUTION_SHARED; method <= ATTRIBUTION_SALIENCY; method++) {
        attribution_options o = options((attribution_method)method, ATTRIBUTION_ZERO,
                                        ATTRIBUTION_MARGIN, 30);
        attribution a = compute(model, &all, classes, &o);
        int64_t n_rna = 0, n_adt = 0;
        for (int64_t c = 0; c < a.n_classes; c++) {
            n_rna += a.n_cells[0][c];
            n_adt += a.n_cells[1][c];
        }
        assert_int_equal(n_rna, N_OBS);
        assert_int_equal(n_adt, N_OBS / 2);
        assert_int_equal(a.n_sets, method == ATTRIBUTION_SALIENCY ? 0 : 2);
        for (int s = 0; s < a.n_sets; s++) {
            assert_int_equal(a.sets[s].n_cells, N_OBS / 2);
            assert_true(a.sets[s].error < 0.02);
        }
        attribution_clear(&a);
    }
    memcpy(all.x[1].present, present, sizeof present);
}

/* A sample of cells has its size and its seed, and the model is not touched. */
static void test_sample_and_seed(void **state)
{
    int32_t classes[N_OBS];
    attribution_options o = options(ATTRIBUTION_SHARED, ATTRIBUTION_MEAN, ATTRIBUTION_MARGIN, 3);
    const size_t bytes = (size_t)model->net.p.n_trainable * sizeof(real);
    real *grad = NULL;
    (void)state;

    assert_int_equal(mem_new(&grad, model->net.p.n_trainable), SCW_OK);
    memcpy(grad, model->net.p.grad, bytes);
    answers(classes, model, &all);
    o.max_cells = 5;
    attribution a = compute(model, &all, classes, &o), b = compute(model, &all, classes, &o);
    o.seed = 2;
    attribution c = compute(model, &all, classes, &o);
    size_t size = (size_t)(a.n_classes * a.n_vars[0]) * sizeof(double);
    for (int64_t k = 0; k < a.n_classes; k++) assert_true(a.n_cells[0][k] <= 5);
    assert_memory_equal(a.mean[0], b.mean[0], size);
    assert_true(memcmp(a.mean[0], c.mean[0], size) != 0);
    assert_memory_equal(grad, model->net.p.grad, bytes);
    mem_free(grad);
    attribution_clear(&a);
    attribution_clear(&b);
    attribution_clear(&c);
}

/* The n-th allocation fails, for n from the first on: an error, nothing leaks. */
static void test_out_of_memory(void **state)
{
    int32_t classes[N_OBS];
    attribution_options o = options(ATTRIBUTION_SHARED, ATTRIBUTION_ZERO, ATTRIBUTION_MARGIN, 1);
    attribution a;
    scw_status st = SCW_ENOMEM;
    (void)state;

    answers(classes, model, &all);
    o.max_cells = 1;
    for (int64_t n = 1; st != SCW_OK && n < 1000; n++) {
        (void)mem_fail_at(n);
        st = attribution_compute(&a, model, &all, classes, &o, NULL);
        (void)mem_fail_at(0);
        if (st != SCW_OK) assert_int_equal(st, SCW_ENOMEM);
    }
    assert_int_equal(st, SCW_OK);
    attribution_clear(&a);
    memset(classes, -1, sizeof classes);
    assert_int_equal(attribution_compute(&a, model, &all, classes, &o, NULL), SCW_EDATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_is_exact), cmocka_unit_test(test_completeness),
        cmocka_unit_test(test_shared_is_symmetric), cmocka_unit_test(test_missing_modality),
        cmocka_unit_test(test_sample_and_seed), cmocka_unit_test(test_out_of_memory),
    };
    threads_set(1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
