/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairs across modalities, curves, silhouettes, mixing, integration and translation figures: known
 * values and degenerate cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/distribution.h"
#include "base/rng.h"
#include "base/threads.h"
#include "metric/integration.h"
#include "metric/mixing.h"
#include "metric/pairing.h"
#include "metric/roc.h"
#include "metric/silhouette.h"
#include "metric/translation.h"

#define NEAR(a_, b_) assert_true(fabs((a_) - (b_)) < 1e-8)

static float *normals(int64_t n, uint32_t stream)
{
    rng_key key = rng_make_key(7, RNG_TEST, stream);
    float *x;

    assert_int_equal(mem_new(&x, n), SCW_OK);
    for (int64_t i = 0; i < n; i++) x[i] = (float)rng_normal(key, 0, (uint64_t)i);
    return x;
}

/* The published reference value. */
static void foscttm_known_vector(void **state)
{
    const float x[] = {0, 0, 1, 0, 0, 2}, y[] = {0, .6f, .4f, 0, 0, 1};
    const int64_t partner[] = {0, 1, 2};
    pairing p;
    (void)state;

    pairing_input in = {.x = x, .y = y, .n_x = 3, .n_y = 3, .d = 2, .partner = partner};
    assert_int_equal(pairing_measure(&p, &in), SCW_OK);
    assert_int_equal(p.n_pairs, 3);
    NEAR(p.foscttm, 1.0 / 9.0);
    NEAR(p.foscttm, 0.5 * (p.foscttm_xy + p.foscttm_yx));
}

/* Counted by the definition, with ties, cells without a partner and rows that are not finite. */
static void foscttm_by_definition(void **state)
{
    enum { NX = 70, NY = 600, D = 3 };
    float *x = normals(NX * D, 1), *y = normals(NY * D, 2);
    int64_t partner[NX], n_pairs = 0;
    double xy = 0, yx = 0;
    pairing p, again;
    (void)state;

    for (int64_t e = 0; e < NX * D; e++) x[e] = roundf(2 * x[e]); /* many ties */
    for (int64_t e = 0; e < NY * D; e++) y[e] = roundf(2 * y[e]);
    for (int64_t i = 0; i < NX; i++) partner[i] = i % 5 == 4 ? -1 : 599 - 7 * i;
    x[3 * D] = NAN;
    y[partner[10] * D + 1] = INFINITY;
    for (int64_t i = 0; i < NX; i++) {
        if (partner[i] < 0 || i == 3 || i == 10) continue;
        double own = 0;
        for (int j = 0; j < D; j++) own += pow((double)x[i * D + j] - (double)y[partner[i] * D + j], 2);
        for (int64_t k = 0; k < NY; k++) {
            double at = 0;
            for (int j = 0; j < D; j++) at += pow((double)x[i * D + j] - (double)y[k * D + j], 2);
            if (k != partner[10]) xy += at < own;
        }
        for (int64_t k = 0; k < NX; k++) {
            double at = 0;
            for (int j = 0; j < D; j++) at += pow((double)x[k * D + j] - (double)y[partner[i] * D + j], 2);
            if (k != 3) yx += at < own;
        }
        n_pairs++;
    }
    pairing_input in = {.x = x, .y = y, .n_x = NX, .n_y = NY, .d = D, .partner = partner};
    assert_int_equal(pairing_measure(&p, &in), SCW_OK);
    assert_int_equal(p.n_pairs, n_pairs);
    NEAR(p.foscttm_xy, xy / (double)n_pairs / (NY - 1));
    NEAR(p.foscttm_yx, yx / (double)n_pairs / (NX - 1));
    threads_set(3);
    assert_int_equal(pairing_measure(&again, &in), SCW_OK);
    threads_set(1);
    assert_memory_equal(&p, &again, sizeof p);
    mem_free(x);
    mem_free(y);
}

static void pairing_refusals(void **state)
{
    const float x[] = {0, 1};
    const int64_t none[] = {-1, -1}, twice[] = {1, 1}, far[] = {2, 0};
    pairing p;
    (void)state;

    pairing_input in = {.x = x, .y = x, .n_x = 2, .n_y = 2, .d = 1, .partner = none};
    assert_int_equal(pairing_measure(&p, &in), SCW_EDATA);
    in.partner = twice;
    assert_int_equal(pairing_measure(&p, &in), SCW_EINVAL);
    in.partner = far;
    assert_int_equal(pairing_measure(&p, &in), SCW_EINVAL);
}

/* The published matching P = ((.75,.25,0),(0,0,1),(0,1,0)): match probability 0.25. */
static void match_known_vector(void **state)
{
    int64_t indptr[] = {0, 2, 3, 4}, partner[] = {0, 1, 2};
    int32_t indices[] = {0, 1, 2, 1};
    float values[] = {.75f, .25f, 1, 1}, mixed[] = {3, -1, 0, 2};
    matrix p = {.n_rows = 3, .n_cols = 3, .sparse = true, .indptr = indptr, .indices = indices,
                .values = values};
    pairing_match m;
    (void)state;

    assert_int_equal(pairing_measure_match(&m, &p, partner, (pairing_cells){0}), SCW_OK);
    NEAR(m.probability, 0.25);
    NEAR(m.top1, 1.0 / 3.0);
    NEAR(m.auroc, 7.0 / 18.0);
    const uint8_t all[] = {1, 1, 1}, some[] = {1, 0, 1};
    p.indices[1] = p.indices[3] = 2; /* columns 0 and 2 alone: row 1 has no partner to find */
    assert_int_equal(pairing_measure_match(&m, &p, partner, (pairing_cells){all, some}), SCW_OK);
    assert_int_equal(m.n_pairs, 2);
    NEAR(m.probability, 0.5 * (0.75 + 1.0));
    NEAR(m.auroc, 6.5 / 8.0);
    p.indices[1] = p.indices[3] = 1;
    p.values = mixed; /* rows (3, -1, 0), (0, 0, 0), (0, 2, 0): a negative and an empty row */
    assert_int_equal(pairing_measure_match(&m, &p, partner, (pairing_cells){0}), SCW_OK);
    NEAR(m.probability, 1.0 / 3.0);
    partner[0] = partner[1] = partner[2] = -1;
    assert_int_equal(pairing_measure_match(&m, &p, partner, (pairing_cells){0}), SCW_EDATA);
}

static void curves(void **state)
{
    roc_item a[] = {{.1, 0}, {.4, 0}, {.35, 1}, {.8, 1}}, tied[] = {{1, 1}, {1, 0}, {0, 0}, {2, 1}};
    roc_item one[] = {{1, 1}, {2, 1}}, sparse[] = {{.5, 1}, {-.5, 0}};
    roc r;
    (void)state;

    roc_measure(&r, a, 4, 0, 0);
    NEAR(r.auroc, 0.75);
    NEAR(r.average, 5.0 / 6.0);
    roc_measure(&r, tied, 4, 0, 0);
    NEAR(r.auroc, 0.875);
    roc_measure(&r, one, 2, 0, 0);
    assert_true(isnan(r.auroc) && r.average == 1.0);
    roc_measure(&r, sparse, 2, 1, 2); /* .5+, 0+ 0- 0-, -.5- */
    NEAR(r.auroc, (3.0 + 2.0) / 6.0);
    roc_measure(&r, sparse, 0, 0, 0);
    assert_true(isnan(r.auroc) && isnan(r.average));
}

static void silhouette_cases(void **state)
{
    const float x[] = {0, 1, 10, 11, 30};
    const int32_t g[] = {0, 0, 2, 2, 3}, same[] = {1, 1, 1, 1, 1};
    double s[5];
    (void)state;

    silhouette_input in = {.x = x, .n = 5, .d = 1, .group = g, .n_groups = 4};
    assert_int_equal(silhouette_widths(s, &in), SCW_OK);
    NEAR(s[0], 1.0 - 1.0 / 10.5);
    NEAR(s[2], 1.0 - 1.0 / 9.5);
    assert_true(s[4] == 0.0);
    in.mean_other = true;
    assert_int_equal(silhouette_widths(s, &in), SCW_OK);
    NEAR(s[0], 1.0 - 1.0 / 17.0);
    in.group = same;
    assert_int_equal(silhouette_widths(s, &in), SCW_EDATA);
}

static void lisi_extremes(void **state)
{
    enum { N = 40 };
    float x[N];
    int32_t pure[N], even[N];
    double lisi[N], *weights;
    neighbors nn;
    (void)state;

    for (int i = 0; i < N; i++) {
        x[i] = (float)(i / 4); /* four cells at each place */
        pure[i] = 0;
        even[i] = i % 2;
    }
    neighbors_search search = {.rows = x, .n_rows = N, .d = 1, .k = 12};
    assert_int_equal(neighbors_find(&nn, &search), SCW_OK);
    assert_int_equal(mixing_weights(&weights, &nn), SCW_OK);
    assert_int_equal(mixing_lisi(lisi, &nn, weights, pure, 1), SCW_OK);
    for (int i = 0; i < N; i++) NEAR(lisi[i], 1.0);
    assert_int_equal(mixing_lisi(lisi, &nn, weights, even, 2), SCW_OK);
    for (int i = 0; i < N; i++) assert_true(lisi[i] > 1.5 && lisi[i] <= 2.0 + 1e-12);
    mem_free(weights);
    neighbors_clear(&nn);
}

static void connectivity_and_kbet(void **state)
{
    enum { N = 24 };
    float x[N];
    int32_t label[N], apart[N], mixed[N];
    double v;
    neighbors nn;
    (void)state;

    for (int i = 0; i < N; i++) {
        x[i] = (float)(i + (i >= 12 ? 1000 : 0));
        label[i] = i < 12 ? 0 : i < 18 ? 1 : 2;
        apart[i] = i >= 12;
        mixed[i] = i % 2;
    }
    label[0] = 2; /* one cell far from the rest of its label */
    neighbors_search search = {.rows = x, .n_rows = N, .d = 1, .k = 3};
    assert_int_equal(neighbors_find(&nn, &search), SCW_OK);
    assert_int_equal(mixing_connectivity(&v, &nn, label, 4), SCW_OK);
    NEAR(v, (1.0 + 1.0 + 6.0 / 7.0) / 3.0);
    assert_int_equal(mixing_kbet(&v, &nn, mixed, 2), SCW_OK);
    NEAR(v, 1.0);
    assert_int_equal(mixing_kbet(&v, &nn, apart, 2), SCW_OK);
    NEAR(v, 0.0); /* chi^2 = 4 with one degree of freedom, p = 0.0455 */
    neighbors_clear(&nn);
    NEAR(chi_square_tail(4.0, 1.0), 0.04550026389635842);
    NEAR(chi_square_tail(3.0, 10.0), 0.98142406377785);
    assert_true(chi_square_tail(0.0, 3.0) == 1.0 && chi_square_tail(1e5, 3.0) == 0.0);
}

/* Two types in two batches: mixed, and with the batches far apart. */
static void integration_extremes(void **state)
{
    enum { N = 160, D = 2 };
    float *x = normals(N * D, 3), *apart;
    int32_t label[N], batch[N];
    integration good, bad;
    (void)state;

    assert_int_equal(mem_new(&apart, N * D), SCW_OK);
    for (int i = 0; i < N; i++) {
        label[i] = i % 2;
        batch[i] = i / 2 % 2;
        x[i * D] += 40.0f * (float)label[i];
        apart[i * D] = x[i * D];
        apart[i * D + 1] = x[i * D + 1] + 100.0f * (float)batch[i];
    }
    integration_input in = {.x = x, .n = N, .d = D, .label = label, .n_labels = 2, .batch = batch,
                            .n_batches = 2, .before = apart, .d_before = D};
    assert_int_equal(integration_measure(&good, &in, NULL), SCW_OK);
    in.x = apart;
    assert_int_equal(integration_measure(&bad, &in, NULL), SCW_OK);
    assert_true(good.asw_label > 0.9 && good.clisi > 0.9 && good.connectivity == 1.0);
    assert_true(good.asw_batch > 0.9 && good.bras > 0.8 && good.ilisi > 0.8 && good.cilisi > 0.8);
    assert_true(good.kbet > 0.8 && good.pcr < 0.05 && good.pcr_before > 0.8);
    NEAR(good.pcr_score, 1.0 - good.pcr / good.pcr_before);
    assert_true(bad.asw_batch < 0.1 && bad.ilisi < 0.01 && bad.cilisi < 0.01 && bad.kbet == 0.0);
    assert_true(bad.pcr_score == 0.0 && bad.connectivity == 0.5 && good.n_isolated == 0);
    assert_true(isnan(good.isolated_f1) && isnan(good.isolated_asw));
    assert_true(!good.clustered || good.leiden_nmi > 0.6);
    for (int i = 0; i < N; i++) batch[i] = label[i] ? batch[i] : 0; /* label 0 in one batch only */
    in.x = x;
    assert_int_equal(integration_measure(&good, &in, NULL), SCW_OK);
    assert_int_equal(good.n_isolated, 1);
    assert_true(good.isolated_asw > 0.9 && (!good.clustered || good.isolated_f1 > 0.6));
    in.batch = NULL;
    assert_int_equal(integration_measure(&good, &in, NULL), SCW_OK);
    assert_true(isnan(good.ilisi) && isnan(good.asw_batch) && good.n_batches == 0);
    in.n = 2;
    assert_int_equal(integration_measure(&good, &in, NULL), SCW_EDATA);
    mem_free(x);
    mem_free(apart);
}

static void translation_cases(void **state)
{
    int64_t indptr[] = {0, 2, 3, 4};
    int32_t indices[] = {0, 1, 1, 0};
    float values[] = {2, 1, 3, 1}, dense[] = {2, 1, 0, 3, 1, 0}, said[] = {4, 1, 1, 5, 2, 0};
    float flat[] = {1, 1, 1, 1, 1, 1}, out[6];
    matrix sparse = {.n_rows = 3, .n_cols = 2, .sparse = true, .indptr = indptr,
                     .indices = indices, .values = values};
    matrix full = {.n_rows = 3, .n_cols = 2, .values = dense};
    translation t, u;
    (void)state;

    assert_int_equal(translation_measure(&t, &sparse, said), SCW_OK);
    assert_int_equal(translation_measure(&u, &full, said), SCW_OK);
    NEAR(t.pearson_feature[0], 3.0 / sqrt(2.0 * 14.0 / 3.0));
    NEAR(t.pearson_cell[0], 1.0);
    NEAR(t.auroc_feature[0], 1.0);
    assert_true(isnan(t.auroc_cell[0]) && t.n_auroc_cell == 2); /* all of the first cell is above 0 */
    NEAR(t.rmse, sqrt((4.0 + 0 + 1 + 4 + 1 + 0) / 6.0));
    NEAR(t.mae, (2.0 + 0 + 1 + 2 + 1 + 0) / 6.0);
    NEAR(t.mean_pearson_feature, u.mean_pearson_feature);
    NEAR(t.mean_auroc_cell, u.mean_auroc_cell);
    translation_clear(&t);
    assert_int_equal(translation_measure(&t, &full, flat), SCW_OK);
    assert_true(t.mean_pearson_feature == 0.0 && t.mean_auroc_feature == 0.5);
    translation_clear(&t);
    translation_clear(&u);
    flat[3] = NAN;
    assert_int_equal(translation_measure(&t, &full, flat), SCW_EDATA);

    assert_int_equal(translation_predict_mean(out, 3, &sparse), SCW_OK);
    NEAR((double)out[4], 1.0);
    NEAR((double)out[5], 1.33333337306976);
    const float source[] = {0, 1, 10}, query[] = {0.6f, 10, NAN};
    translation_regression r = {.train_source = source, .train = &full, .query_source = query,
                                .n_query = 3, .d = 1, .k = 2};
    assert_int_equal(translation_predict_neighbors(out, &r), SCW_OK);
    const float expected[] = {1, 2, .5f, 1.5f};
    assert_memory_equal(out, expected, sizeof expected);
    NEAR((double)out[4], 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foscttm_known_vector), cmocka_unit_test(foscttm_by_definition),
        cmocka_unit_test(pairing_refusals), cmocka_unit_test(match_known_vector),
        cmocka_unit_test(curves), cmocka_unit_test(silhouette_cases),
        cmocka_unit_test(lisi_extremes), cmocka_unit_test(connectivity_and_kbet),
        cmocka_unit_test(integration_extremes), cmocka_unit_test(translation_cases)};
    threads_set(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
