/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours, the weighted graph, eigenvectors, UMAP and clusters: equal rows, degenerate sizes,
 * known answers, failing memory, cancellation. tests/embed compares with other implementations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "embed/fuzzy.h"
#include "embed/lanczos.h"
#include "embed/neighbors.h"
#include "embed/umap.h"
#include "scweave/neighbors.h"

#define N 90
#define D 5

/* Three groups far apart, or one. */
static void fill(float *x, int64_t n, int64_t d, float apart)
{
    rng_key key = rng_make_key(7, RNG_TEST, 0);

    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            x[i * d + j] = (float)rng_normal(key, 0, (uint64_t)(i * d + j)) +
                           (j == 0 ? apart * (float)(i % 3) : 0.0f);
}

/* ------------------------------------------------------------------ neighbours */

static void equal_distances_keep_the_order_of_rows(void **state)
{
    (void)state;
    const float x[] = {0, 1, 0, 1, 0, 3};
    const int32_t expected[6][3] = {{2, 4, 1}, {3, 0, 2}, {0, 4, 1},
                                    {1, 0, 2}, {0, 2, 1}, {1, 3, 0}};
    neighbors nn;

    assert_int_equal(
        neighbors_find(&nn, &(neighbors_search){.rows = x, .n_rows = 6, .d = 1, .k = 3}), SCW_OK);
    assert_int_equal(nn.k, 3);
    assert_memory_equal(nn.row, expected, sizeof expected);
    assert_true(nn.distance[0] == 0.0 && nn.distance[2] == 1.0 && nn.distance[17] == 3.0);
    neighbors_clear(&nn);
}

static void a_far_origin_costs_no_digits(void **state)
{
    (void)state;
    float x[3 * 2] = {1e6f, 1e6f, 1e6f + 1.0f, 1e6f, 1e6f, 1e6f + 0.5f};
    neighbors nn;

    assert_int_equal(
        neighbors_find(&nn, &(neighbors_search){.rows = x, .n_rows = 3, .d = 2, .k = 5}), SCW_OK);
    assert_int_equal(nn.k, 2); /* there are no more */
    assert_int_equal(nn.row[0], 2);
    assert_true(nn.distance[0] == 0.5 && nn.distance[1] == 1.0);
    neighbors_clear(&nn);
}

static void what_is_hidden_or_not_finite_is_not_found(void **state)
{
    (void)state;
    const float x[] = {0, NAN, 2, 3, INFINITY};
    const float q[] = {1.2f, NAN};
    const uint8_t hidden[] = {0, 0, 1, 0, 0};
    neighbors nn;
    neighbors_search s = {
        .rows = x, .n_rows = 5, .d = 1, .hidden = hidden, .queries = q, .n_queries = 2, .k = 4};

    assert_int_equal(neighbors_find(&nn, &s), SCW_OK);
    assert_int_equal(nn.k, 2);
    assert_int_equal(nn.row[0], 0);
    assert_int_equal(nn.row[1], 3);
    assert_int_equal(nn.row[2], -1);
    assert_true(isinf(nn.distance[2]));
    neighbors_clear(&nn);
    s.k = 0;
    assert_int_equal(neighbors_find(&nn, &s), SCW_EINVAL);
}

static void cosine_of_zero_rows(void **state)
{
    (void)state;
    const float x[] = {1, 0, 0, 0, 0, 2, 0, 0, 5, 0};
    neighbors nn;

    assert_int_equal(
        neighbors_find(&nn,
                       &(neighbors_search){.rows = x, .n_rows = 5, .d = 2, .k = 4, .cosine = true}),
        SCW_OK);
    assert_int_equal(nn.row[0], 4); /* the same direction */
    assert_true(nn.distance[0] < 1e-15 && fabs(nn.distance[1] - 1.0) < 1e-15);
    assert_int_equal(nn.row[4], 3); /* the other row of zeros */
    assert_true(nn.distance[4] == 0.0 && nn.distance[5] == 1.0);
    neighbors_clear(&nn);
}

/* ------------------------------------------------------------------ graph */

static void the_sum_that_defines_sigma(void **state)
{
    (void)state;
    static float x[N * D];
    double rho[N], sigma[N];
    neighbors nn;

    fill(x, N, D, 4.0f);
    assert_int_equal(
        neighbors_find(&nn, &(neighbors_search){.rows = x, .n_rows = N, .d = D, .k = 14}), SCW_OK);
    fuzzy_scales(rho, sigma, &nn, 1.0);
    for (int64_t i = 0; i < N; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < 14; j++)
            sum += exp(-fmax(0.0, nn.distance[i * 14 + j] - rho[i]) / sigma[i]);
        assert_true(rho[i] == nn.distance[i * 14]);
        assert_true(fabs(sum - log2(15.0)) < 1e-4);
    }
    fuzzy_scales(rho, sigma, &nn, 2.5);
    assert_true(fabs(rho[3] - (nn.distance[43] + nn.distance[44]) / 2.0) < 1e-12);
    neighbors_clear(&nn);
}

static void pieces_are_counted(void **state)
{
    (void)state;
    static float x[N * D];
    int64_t pieces[2];
    const float apart[] = {0.0f, 1000.0f};

    for (int k = 0; k < 2; k++) {
        neighbors nn;
        fuzzy_graph g;
        fill(x, N, D, apart[k]);
        assert_int_equal(
            neighbors_find(&nn, &(neighbors_search){.rows = x, .n_rows = N, .d = D, .k = 10}),
            SCW_OK);
        assert_int_equal(fuzzy_graph_build(&g, &nn, 1.0), SCW_OK);
        assert_int_equal(fuzzy_graph_count_pieces(&pieces[k], &g), SCW_OK);
        fuzzy_graph_clear(&g);
        neighbors_clear(&nn);
    }
    assert_int_equal(pieces[0], 1);
    assert_int_equal(pieces[1], 3);
}

/* ------------------------------------------------------------------ eigenvectors */

/* A path of n points: eigenvalues 2 cos(pi k / (n + 1)), vectors sin(pi k i / (n + 1)). */
static void apply_path(double *out, const double *x, const void *with)
{
    int64_t n = *(const int64_t *)with;
    for (int64_t i = 0; i < n; i++)
        out[i] = (i > 0 ? x[i - 1] : 0.0) + (i + 1 < n ? x[i + 1] : 0.0);
}

static void eigenpairs_of_a_path(void **state)
{
    (void)state;
    const int64_t sizes[] = {4, 40, 300};
    static double known[300], vectors[3 * 300];

    for (int s = 0; s < 3; s++) {
        int64_t n = sizes[s];
        double step = acos(-1.0) / (double)(n + 1), values[3], residual;
        for (int64_t i = 0; i < n; i++)
            known[i] = sin(step * (double)(i + 1)) * sqrt(2.0 / (double)(n + 1));
        lanczos_problem p = {.n = n,
                             .apply = apply_path,
                             .with = &n,
                             .known = known,
                             .k = 3,
                             .tolerance = 1e-9,
                             .most = 20000,
                             .seed = 3};
        assert_int_equal(lanczos_find(values, vectors, &residual, &p, NULL), SCW_OK);
        for (int c = 0; c < 3; c++) {
            assert_true(fabs(values[c] - 2.0 * cos(step * (c + 2))) < 1e-8);
            double overlap = 0.0;
            for (int64_t i = 0; i < n; i++)
                overlap += vectors[c * n + i] * sin(step * (c + 2) * (double)(i + 1));
            assert_true(fabs(fabs(overlap) * sqrt(2.0 / (double)(n + 1)) - 1.0) < 1e-6);
        }
    }
}

/* ------------------------------------------------------------------ UMAP */

static void few_rows_and_equal_rows(void **state)
{
    (void)state;
    static float x[20 * 3], y[20 * 2];

    for (int start = SCW_UMAP_SPECTRAL; start <= SCW_UMAP_PCA; start++) {
        scw_umap_options o;
        assert_int_equal(scw_options_init(scw_umap_option_table(), &o), SCW_OK);
        o.start = start;
        o.epochs = 20;
        for (int64_t n = 1; n <= 20; n += n < 5 ? 1 : 15) {
            memset(x, 0, sizeof x);
            assert_int_equal(scw_umap(y, x, n, 3, &o, NULL), SCW_OK);
            for (int64_t e = 0; e < 2 * n; e++)
                assert_true(isfinite(y[e]));
            fill(x, n, 1, 0.0f);
            assert_int_equal(scw_umap(y, x, n, 1, &o, NULL), SCW_OK);
            for (int64_t e = 0; e < 2 * n; e++)
                assert_true(isfinite(y[e]));
        }
    }
    assert_int_equal(scw_umap(y, x, 0, 3, NULL, NULL), SCW_EDATA);
    assert_int_equal(scw_umap(y, x, 3, 0, NULL, NULL), SCW_EDATA);
}

static void rows_that_are_not_finite_do_not_matter(void **state)
{
    (void)state;
    static float x[(N + 2) * D], y[(N + 2) * 2], without[N * 2];

    fill(x, N, D, 0.0f);
    assert_int_equal(scw_umap(without, x, N, D, NULL, NULL), SCW_OK);
    memmove(x + 2 * D, x + D, (N - 1) * D * sizeof *x);
    for (int j = 0; j < D; j++)
        x[D + j] = NAN;
    x[(N + 1) * D] = INFINITY;
    assert_int_equal(scw_umap(y, x, N + 2, D, NULL, NULL), SCW_OK);
    assert_true(isnan(y[2]) && isnan(y[3]) && isnan(y[2 * N + 2]));
    assert_memory_equal(y, without, 2 * sizeof *y);
    assert_memory_equal(y + 4, without + 2, 2 * (N - 1) * sizeof *y);
}

static void settings_out_of_range(void **state)
{
    (void)state;
    static float x[N * D], y[N * 2];
    scw_umap_options o;

    fill(x, N, D, 0.0f);
    assert_int_equal(scw_options_init(scw_umap_option_table(), &o), SCW_OK);
    o.graph.neighbors = 1;
    assert_int_equal(scw_umap(y, x, N, D, &o, NULL), SCW_EINVAL);
    o.graph.neighbors = 15;
    o.spread = NAN;
    assert_int_equal(scw_umap(y, x, N, D, &o, NULL), SCW_EINVAL);
    o.spread = 1.0;
    o.start = 7;
    assert_int_equal(scw_umap(y, x, N, D, &o, NULL), SCW_EINVAL);
}

static int stop(void *user)
{
    return ++*(int *)user > 10;
}

static void it_stops_when_asked(void **state)
{
    (void)state;
    static float x[N * D], y[N * 2];
    int asked = 0;
    scw_hooks hooks = {.cancelled = stop, .user = &asked};

    fill(x, N, D, 0.0f);
    assert_int_equal(scw_umap(y, x, N, D, NULL, &hooks), SCW_ECANCELLED);
    assert_int_equal(asked, 11);
}

static void clusters_from_the_largest(void **state)
{
    (void)state;
    static float x[N * D];
    int32_t cluster[N];
    scw_clusters facts;

    fill(x, N, D, 0.0f);
    for (int64_t i = 0; i < N; i++)
        x[i * D] += i < 20 ? 1000.0f : i < 50 ? 2000.0f : 0.0f;
    x[40 * D] = NAN;
    scw_cluster_options o;
    assert_int_equal(scw_options_init(scw_cluster_option_table(), &o), SCW_OK);
    o.resolution = 0.1; /* below what would split a group */
    scw_status st = scw_cluster(cluster, &facts, x, N, D, &o, NULL);
    if (st == SCW_EUNSUPPORTED) {
        assert_non_null(strstr(scw_error_message(), "igraph"));
        return;
    }
    assert_int_equal(st, SCW_OK);
    assert_int_equal(facts.n_clusters, 3);
    assert_int_equal(facts.n_pieces, 3);
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(cluster[i], i == 40 ? -1 : i < 20 ? 2 : i < 50 ? 1 : 0);
    assert_int_equal(scw_cluster(cluster, &facts, x, 1, D, &o, NULL), SCW_OK);
    assert_int_equal(cluster[0], 0);
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    static float x[N * D], y[N * 2];
    int32_t cluster[N];
    scw_umap_options o;

    fill(x, N, D, 0.0f);
    assert_int_equal(scw_options_init(scw_umap_option_table(), &o), SCW_OK);
    o.epochs = 2;
    for (int verb = 0; verb < 3; verb++) {
        o.start = verb == 1 ? SCW_UMAP_PCA : SCW_UMAP_SPECTRAL;
        for (int64_t at = 1; at < 500; at++) {
            (void)mem_fail_at(at);
            scw_status st = verb == 2 ? scw_cluster(cluster, NULL, x, N, D, NULL, NULL)
                                      : scw_umap(y, x, N, D, &o, NULL);
            (void)mem_fail_at(0);
            if (st == SCW_OK || st == SCW_EUNSUPPORTED) break;
            assert_int_equal(st, SCW_ENOMEM);
            assert_true(at < 499);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_distances_keep_the_order_of_rows),
        cmocka_unit_test(a_far_origin_costs_no_digits),
        cmocka_unit_test(what_is_hidden_or_not_finite_is_not_found),
        cmocka_unit_test(cosine_of_zero_rows),
        cmocka_unit_test(the_sum_that_defines_sigma),
        cmocka_unit_test(pieces_are_counted),
        cmocka_unit_test(eigenpairs_of_a_path),
        cmocka_unit_test(few_rows_and_equal_rows),
        cmocka_unit_test(rows_that_are_not_finite_do_not_matter),
        cmocka_unit_test(settings_out_of_range),
        cmocka_unit_test(it_stops_when_asked),
        cmocka_unit_test(clusters_from_the_largest),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
