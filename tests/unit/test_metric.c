/* SPDX-License-Identifier: BSD-3-Clause */
/* Clustering agreement, annotation figures, k-means and the evaluation report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "metric/classification.h"
#include "metric/clustering.h"
#include "metric/evaluate.h"
#include "metric/kmeans.h"

/* The vector and the digits are those of the field's reference implementation. */
static void clustering_known_vector(void **state)
{
    const int32_t c[] = {0, 0, 0, 1, 1, 1, 2, 2}, k[] = {0, 0, 1, 1, 1, 2, 2, 2};
    clustering m;
    (void)state;

    assert_int_equal(clustering_measure(&m, c, k, 8), SCW_OK);
    assert_true(fabs(m.ari - 0.238095238) < 1e-9);
    assert_true(fabs(m.nmi - 0.558873038) < 1e-9);
    assert_true(fabs(m.fm - 0.428571429) < 1e-9);
    assert_true(fabs(m.jaccard - 0.272727273) < 1e-9);
    assert_true(fabs(m.rand - 0.714285714) < 1e-9);
}

static void clustering_ignores_names_and_missing(void **state)
{
    const int32_t c[] = {0, 0, 0, 1, 1, 1, 2, 2, -1, 2}, k[] = {9, 9, 3, 3, 3, 5, 5, 5, 3, -1};
    clustering m;
    (void)state;

    assert_int_equal(clustering_measure(&m, c, k, 10), SCW_OK);
    assert_int_equal(m.n, 8);
    assert_true(fabs(m.ari - 0.238095238) < 1e-9);
}

static void clustering_degenerate(void **state)
{
    const int32_t one[] = {0, 0, 0, 0}, alone[] = {0, 1, 2, 3}, none[] = {-1, -1, -1, -1};
    clustering m;
    (void)state;

    assert_int_equal(clustering_measure(&m, one, one, 4), SCW_OK);
    assert_true(m.ari == 1.0 && m.nmi == 1.0 && m.fm == 1.0 && m.jaccard == 1.0 && m.rand == 1.0);
    assert_int_equal(clustering_measure(&m, alone, alone, 4), SCW_OK);
    assert_true(m.ari == 1.0 && m.nmi == 1.0 && m.fm == 1.0 && m.jaccard == 1.0 && m.rand == 1.0);
    assert_int_equal(clustering_measure(&m, one, alone, 4), SCW_OK);
    assert_true(m.ari == 0.0 && m.nmi == 0.0 && m.fm == 0.0 && m.jaccard == 0.0 && m.rand == 0.0);
    assert_int_equal(clustering_measure(&m, one, one, 1), SCW_OK);
    assert_true(m.ari == 1.0 && m.nmi == 1.0 && m.rand == 1.0);
    assert_int_equal(clustering_measure(&m, one, none, 4), SCW_EDATA);
    assert_int_equal(clustering_measure(&m, one, one, 0), SCW_EDATA);
}

/* Two classes right in part, one predicted but never true, one in neither; one cell without an
 * answer, one without a label. */
static void classification_by_hand(void **state)
{
    const int32_t truth[] = {0, 0, 0, 1, 1, 0, -1, 1}, said[] = {0, 0, 1, 1, 2, -1, 0, 1};
    classification c;
    (void)state;

    assert_int_equal(classification_measure(&c, truth, said, 8, 4), SCW_OK);
    assert_int_equal(c.n, 7);
    assert_int_equal(c.n_predicted, 6);
    assert_true(fabs(c.accuracy - 4.0 / 7.0) < 1e-12);
    assert_true(fabs(c.precision[0] - 1.0) < 1e-12 && fabs(c.recall[0] - 0.5) < 1e-12);
    assert_true(fabs(c.precision[1] - 2.0 / 3.0) < 1e-12 && fabs(c.recall[1] - 2.0 / 3.0) < 1e-12);
    assert_true(c.f1[2] == 0.0 && c.support[2] == 0 && c.predicted[2] == 1);
    assert_true(fabs(c.macro_f1 - (2.0 / 3.0 + 2.0 / 3.0 + 0.0) / 3.0) < 1e-12);
    assert_true(fabs(c.balanced_accuracy - 0.5 * (0.5 + 2.0 / 3.0)) < 1e-12);
    assert_true(fabs(c.majority_accuracy - 4.0 / 7.0) < 1e-12);
    classification_clear(&c);
    assert_int_equal(classification_measure(&c, truth, said, 8, 2), SCW_EINVAL);
    assert_int_equal(classification_measure(&c, truth + 6, said, 1, 4), SCW_EDATA);
}

enum { N_ROWS = 900, N_DIMS = 5, N_GROUPS = 6 };

static void make_blobs(float *x, int32_t *of)
{
    rng_key key = rng_make_key(11, RNG_TEST, 0);
    for (int64_t i = 0; i < N_ROWS; i++) {
        of[i] = (int32_t)(i % N_GROUPS);
        for (int64_t j = 0; j < N_DIMS; j++)
            x[i * N_DIMS + j] =
                (float)(20.0 * rng_normal(key, 1, (uint64_t)(of[i] * N_DIMS + j)) +
                        rng_normal(key, 2, (uint64_t)(i * N_DIMS + j)) + 1000.0);
    }
}

static void kmeans_finds_blobs_with_any_threads(void **state)
{
    static float x[N_ROWS * N_DIMS];
    static int32_t of[N_ROWS];
    kmeans one, three;
    clustering m;
    (void)state;

    make_blobs(x, of);
    threads_set(1);
    assert_int_equal(
        kmeans_fit(&one, x, N_ROWS, N_DIMS, &(kmeans_options){.k = N_GROUPS, .seed = 3}), SCW_OK);
    threads_set(3);
    assert_int_equal(
        kmeans_fit(&three, x, N_ROWS, N_DIMS, &(kmeans_options){.k = N_GROUPS, .seed = 3}), SCW_OK);
    threads_set(0);
    assert_memory_equal(one.clusters, three.clusters, sizeof of);
    assert_memory_equal(one.centres, three.centres, N_GROUPS * N_DIMS * sizeof *one.centres);
    assert_true(one.inertia == three.inertia);
    assert_int_equal(clustering_measure(&m, of, one.clusters, N_ROWS), SCW_OK);
    assert_true(m.ari == 1.0);

    double inertia = 0.0;
    for (int64_t i = 0; i < N_ROWS; i++)
        for (int64_t j = 0; j < N_DIMS; j++) {
            double gap = (double)x[i * N_DIMS + j] - one.centres[one.clusters[i] * N_DIMS + j];
            inertia += gap * gap;
        }
    assert_true(fabs(inertia / one.inertia - 1.0) < 1e-6);
    kmeans_clear(&one);
    kmeans_clear(&three);
}

static void kmeans_edges(void **state)
{
    const float same[] = {1, 1, 1, 1, 2, 2}; /* two distinct points, six rows */
    const float bad[] = {0, NAN};
    kmeans k;
    (void)state;

    assert_int_equal(kmeans_fit(&k, same, 6, 1, &(kmeans_options){.k = 4}), SCW_OK);
    assert_true(k.inertia == 0.0);
    for (int i = 0; i < 6; i++) assert_in_range(k.clusters[i], 0, 3);
    kmeans_clear(&k);
    assert_int_equal(kmeans_fit(&k, same, 6, 1, &(kmeans_options){.k = 60}), SCW_OK);
    assert_int_equal(k.k, 6);
    kmeans_clear(&k);
    assert_int_equal(kmeans_fit(&k, same, 6, 1, &(kmeans_options){.k = 0}), SCW_EINVAL);
    assert_int_equal(kmeans_fit(&k, same, 0, 1, &(kmeans_options){.k = 2}), SCW_EDATA);
    assert_int_equal(kmeans_fit(&k, bad, 2, 1, &(kmeans_options){.k = 2}), SCW_EDATA);
}

/* On structureless points the starts end in different places: more of them can only help, and the
 * winner does not depend on which thread made it. */
static void kmeans_keeps_the_best_start(void **state)
{
    static float x[200 * 2];
    double before = INFINITY, first = 0.0;
    (void)state;

    for (int e = 0; e < 400; e++)
        x[e] = (float)rng_uniform(rng_make_key(6, RNG_TEST, 3), 0, (uint64_t)e);
    for (int starts = 1; starts <= 12; starts++) {
        double inertia[2];
        for (int threads = 1; threads <= 3; threads += 2) {
            kmeans k;
            threads_set(threads);
            assert_int_equal(
                kmeans_fit(&k, x, 200, 2, &(kmeans_options){.k = 12, .n_starts = starts}), SCW_OK);
            inertia[threads / 2] = k.inertia;
            kmeans_clear(&k);
        }
        assert_true(inertia[0] == inertia[1] && inertia[0] <= before);
        before = inertia[0];
        if (starts == 1) first = before;
    }
    threads_set(0);
    assert_true(before < first);
}

/* The third centre is nearest to no row; it must come to own one. */
static void kmeans_leaves_no_cluster_empty(void **state)
{
    const float x[] = {0, 1, 2, 10};
    const double start[] = {0, 1, 1000};
    kmeans k;
    kmeans_options o = {.k = 3, .start = start};
    (void)state;

    assert_int_equal(kmeans_fit(&k, x, 4, 1, &o), SCW_OK);
    assert_int_equal(k.clusters[3], 2);
    assert_true(fabs(k.centres[2] - 10.0) < 1e-9);
    assert_true(fabs(k.inertia - 0.5) < 1e-9);
    kmeans_clear(&k);
    o.k = 5;
    assert_int_equal(kmeans_fit(&k, x, 4, 1, &o), SCW_EINVAL);
}

/* The text is the contract of scw_evaluate. */
static void report_has_the_figures(void **state)
{
    const int32_t truth[] = {0, 0, 1, 1, -1, 1}, said[] = {0, 1, 1, -1, 0, 2};
    const float x[] = {0, 0.1f, 9, 9.1f, 4, NAN};
    strings names = {0};
    char *text;
    (void)state;

    assert_int_equal(strings_add(&names, "B"), SCW_OK);
    assert_int_equal(strings_add(&names, "T \"quoted\""), SCW_OK);
    assert_int_equal(strings_add(&names, "odd"), SCW_OK);
    evaluate_input in = {.n = 6, .classes = &names, .truth = truth, .prediction = said,
                         .embedding = x, .d = 1, .seed = 1};
    assert_int_equal(evaluate_json(&text, &in, NULL), SCW_OK);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "n_obs")), 6);
    assert_int_equal(json_integer_value(json_object_get(root, "n_labelled")), 5);
    json_t *annotation = json_object_get(root, "annotation");
    json_t *grouping = json_object_get(root, "clustering");
    assert_true(fabs(json_real_value(json_object_get(annotation, "accuracy")) - 0.4) < 1e-9);
    assert_int_equal(json_array_size(json_object_get(annotation, "classes")), 3);
    assert_int_equal(json_integer_value(json_object_get(grouping, "n")), 4);
    assert_int_equal(json_integer_value(json_object_get(grouping, "k")), 2);
    assert_true(json_real_value(json_object_get(grouping, "ari")) == 1.0);
    json_decref(root);
    mem_free(text);

    in.n = 0;
    assert_int_equal(evaluate_json(&text, &in, NULL), SCW_EDATA);
    assert_null(text);
    strings_clear(&names);
}

/* Every allocation may fail, and nothing leaks or is used (the sanitizers watch). */
static void memory_runs_out_anywhere(void **state)
{
    static float x[N_ROWS * N_DIMS];
    static int32_t of[N_ROWS];
    strings names = {0};
    char *text = NULL;
    (void)state;

    make_blobs(x, of);
    for (int k = 0; k < N_GROUPS; k++) assert_int_equal(strings_add(&names, "type"), SCW_OK);
    evaluate_input in = {.n = 60, .classes = &names, .truth = of, .prediction = of, .embedding = x,
                         .d = N_DIMS};
    scw_status st = SCW_ENOMEM;
    for (int64_t n = 1; st != SCW_OK && n < 200; n++) {
        (void)mem_fail_at(n);
        st = evaluate_json(&text, &in, NULL);
        assert_true(st == SCW_OK || st == SCW_ENOMEM);
        assert_true((text != NULL) == (st == SCW_OK));
    }
    (void)mem_fail_at(0);
    assert_int_equal(st, SCW_OK);
    mem_free(text);
    strings_clear(&names);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clustering_known_vector),
        cmocka_unit_test(clustering_ignores_names_and_missing),
        cmocka_unit_test(clustering_degenerate),
        cmocka_unit_test(classification_by_hand),
        cmocka_unit_test(kmeans_finds_blobs_with_any_threads),
        cmocka_unit_test(kmeans_edges),
        cmocka_unit_test(kmeans_keeps_the_best_start),
        cmocka_unit_test(kmeans_leaves_no_cluster_empty),
        cmocka_unit_test(report_has_the_figures),
        cmocka_unit_test(memory_runs_out_anywhere),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
