/* SPDX-License-Identifier: BSD-3-Clause */
/* Preprocessing below the program: order statistics, blocks of any size, streamed components beside
 * those of a matrix in memory, and memory that runs out at any moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "prep/hvg.h"
#include "prep/pca.h"
#include "prep/pca_stream.h"
#include "prep/qc.h"
#include "prep/select.h"
#include "prep/steps.h"
#include "scweave/scweave.h"

#define ROWS 131
#define COLS 90
#define SWEEP 60 /* moments at which memory runs out, spread over all of a call */

static void make_counts(matrix *m, int64_t n, int64_t p)
{
    rng_key key = rng_make_key(5, RNG_TEST, 5);
    int64_t nnz = 0;

    assert_int_equal(matrix_init_csr(m, n, p, n * p), SCW_OK);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < p; j++) {
            double u = rng_uniform(key, 0, (uint64_t)(i * p + j));
            double mean = 0.1 + (j % 7 == i % 5 ? 2.0 : 0.0) + 0.01 * (double)(j % 13);
            double value = floor(-log(1.0 - u) * mean * 1.4);
            if (value <= 0.0) continue;
            m->indices[nnz] = (int32_t)j;
            m->values[nnz++] = (float)value;
        }
        m->indptr[i + 1] = nnz;
    }
}

/* ------------------------------------------------------------------ order statistics */

static void test_select_largest(void **state)
{
    float v[64], sorted[64];

    (void)state;
    for (int round = 0; round < 400; round++) {
        int n = 1 + round % 64, k = round % (n + 1);
        rng_key key = rng_make_key((uint64_t)round, RNG_TEST, 1);
        double sum = 0.0, expected = 0.0;
        for (int i = 0; i < n; i++) /* few different values: ties are the hard part */
            v[i] = sorted[i] = (float)rng_below(key, 0, (uint64_t)i, 1 + (uint64_t)(round % 9));
        for (int i = 0; i < n; i++)
            for (int j = i + 1; j < n; j++)
                if (sorted[j] > sorted[i]) {
                    float kept = sorted[i];
                    sorted[i] = sorted[j];
                    sorted[j] = kept;
                }
        select_largest(v, n, k);
        for (int i = 0; i < k; i++)
            sum += (double)v[i], expected += (double)sorted[i];
        assert_true(sum == expected);
    }
}

static void test_bounds_of_outliers(void **state)
{
    const double v[] = {1, 2, 3, 4, 100, NAN}, none[] = {NAN, INFINITY};
    double low, high;

    (void)state;
    assert_int_equal(qc_outlier_bounds(&low, &high, v, 6, 2.0), SCW_OK);
    assert_true(fabs(low - (3.0 - 2.0 * 1.4826)) < 1e-12);
    assert_true(fabs(high - (3.0 + 2.0 * 1.4826)) < 1e-12);
    assert_int_equal(qc_outlier_bounds(&low, &high, none, 2, 2.0), SCW_OK);
    assert_true(isnan(low) && isnan(high));
}

/* ------------------------------------------------------------------ blocks */

static void test_blocks_of_any_size(void **state)
{
    const int64_t sizes[] = {ROWS, 1, 7, 64};
    matrix m = {0};
    qc first_qc = {0};
    hvg first_hvg = {0};
    const int32_t *batch = NULL;
    int32_t codes[ROWS];

    (void)state;
    make_counts(&m, ROWS, COLS);
    for (int i = 0; i < ROWS; i++)
        codes[i] = i % 2;
    batch = codes;
    for (int k = 0; k < 4; k++) {
        block_reader *r = NULL;
        qc q = {0};
        hvg h = {0};
        const qc_options how = {.n_tops = 2, .tops = {5, 20}};
        const hvg_options top = {.flavor = HVG_SEURAT_V3,
                                 .n_top = 20,
                                 .span = 0.3,
                                 .n_bins = 20,
                                 .batch = batch,
                                 .n_batches = 2};
        assert_int_equal(block_reader_of_matrix(&r, &m), SCW_OK);
        r->block_rows = sizes[k];
        assert_int_equal(qc_compute(&q, r, &how, NULL), SCW_OK);
        assert_int_equal(hvg_fit(&h, r, &top, NULL), SCW_OK);
        if (k == 0) {
            first_qc = q;
            first_hvg = h;
        } else {
            assert_memory_equal(q.total, first_qc.total, ROWS * sizeof(double));
            assert_memory_equal(q.top_share, first_qc.top_share, 2 * ROWS * sizeof(double));
            assert_memory_equal(q.n_cells, first_qc.n_cells, COLS * sizeof(int64_t));
            assert_memory_equal(h.norm, first_hvg.norm, COLS * sizeof(double));
            assert_memory_equal(h.selected, first_hvg.selected, COLS);
            qc_clear(&q);
            hvg_clear(&h);
        }
        block_reader_free(r);
    }
    qc_clear(&first_qc);
    hvg_clear(&first_hvg);
    matrix_clear(&m);
}

static void test_components_beside_those_in_memory(void **state)
{
    matrix m = {0};
    block_reader *r = NULL;
    pca whole = {0};
    pca_stream parts = {0};
    const pca_options how = {.k = 8, .seed = 3};
    const pca_stream_options stream = {.k = 8, .seed = 3};

    (void)state;
    make_counts(&m, ROWS, COLS);
    assert_int_equal(pca_fit(&whole, &m, &how), SCW_OK);
    assert_int_equal(block_reader_of_matrix(&r, &m), SCW_OK);
    r->block_rows = 10;
    assert_int_equal(pca_stream_fit(&parts, r, &stream, NULL), SCW_OK);
    for (int64_t h = 0; h < 8; h++) {
        assert_true(fabs(whole.singular_values[h] - parts.singular_values[h]) <
                    1e-9 * whole.singular_values[0]);
        for (int64_t j = 0; j < COLS && h < 3; j++)
            assert_true(fabs(whole.components[j * 8 + h] - parts.components[j * 8 + h]) < 1e-6);
    }
    assert_true(fabs(whole.total_variance - parts.total_variance) < 1e-9 * whole.total_variance);
    block_reader_free(r);
    pca_clear(&whole);
    pca_stream_clear(&parts);
    matrix_clear(&m);
}

/* Values are not finite, too few cells or features: a message, nothing else. */
static void test_components_refuse(void **state)
{
    matrix m = {0};
    block_reader *r = NULL;
    pca_stream c = {0};
    const pca_stream_options none = {.k = 0}, some = {.k = 2};

    (void)state;
    make_counts(&m, 5, 4);
    assert_int_equal(block_reader_of_matrix(&r, &m), SCW_OK);
    assert_int_equal(pca_stream_fit(&c, r, &none, NULL), SCW_EINVAL);
    m.values[0] = NAN;
    assert_int_equal(pca_stream_fit(&c, r, &some, NULL), SCW_EDATA);
    assert_non_null(strstr(scw_error_message(), "not finite"));
    r->n_rows = 1;
    m.values[0] = 1.0f;
    assert_int_equal(pca_stream_fit(&c, r, &some, NULL), SCW_EDATA);
    block_reader_free(r);
    matrix_clear(&m);
}

/* ------------------------------------------------------------------ memory runs out */

static char folder[] = "/tmp/scweave-test-XXXXXX";
static char input[64], output[64], genes[64];

static int make_files(void **state)
{
    FILE *f;

    (void)state;
    if (!mkdtemp(folder)) return 1;
    (void)snprintf(input, sizeof input, "%s/in.h5mu", folder);
    (void)snprintf(output, sizeof output, "%s/out.h5mu", folder);
    (void)snprintf(genes, sizeof genes, "%s/genes.tsv", folder);
    f = fopen(genes, "w");
    if (!f) return 1;
    (void)fputs("gene_id\tchrom\ttss\nA\tchr1\t1000000\nB\tchr2\t2000000\n", f);
    (void)fclose(f);
    return scw_example_write(input, 24, true, 1, NULL) == SCW_OK ? 0 : 1;
}

static int remove_files(void **state)
{
    (void)state;
    (void)unlink(input);
    (void)unlink(output);
    (void)unlink(genes);
    return rmdir(folder);
}

static scw_status run_qc(const scw_dataset *d)
{
    scw_results *r = NULL;
    char *report = NULL;
    scw_status st = scw_dataset_qc(&r, &report, d, NULL, NULL, NULL);

    if (st == SCW_OK) st = scw_results_write(r, d, output, NULL);
    scw_results_free(r);
    scw_free(report);
    return st;
}

static scw_status run_preprocess(const scw_dataset *d)
{
    static char steps[] = "rna=normalize,log1p,hvg:n=50,scale:layer=z,pca:k=3;atac=tfidf,lsi:k=3";
    const scw_preprocess_options o = {.steps = steps, .seed = 1};
    scw_results *r = NULL;
    char *report = NULL;
    scw_status st = scw_dataset_preprocess(&r, &report, d, NULL, &o, NULL);

    if (st == SCW_OK) st = scw_results_write(r, d, output, NULL);
    scw_results_free(r);
    scw_free(report);
    return st;
}

static scw_status run_filter(const scw_dataset *d)
{
    scw_filter_options o;
    char *report = NULL;
    scw_status st = scw_options_init(scw_filter_option_table(), &o);

    o.min_genes = 1;
    o.min_cells = 2;
    o.mads = 4;
    if (st == SCW_OK) st = scw_dataset_filter(&report, d, NULL, &o, output, NULL);
    scw_free(report);
    scw_options_clear(scw_filter_option_table(), &o);
    return st;
}

static scw_status run_activity(const scw_dataset *d)
{
    scw_activity_options o = {.genes = genes, .upstream = 300000000, .half = 1, .reach = 1};
    scw_results *r = NULL;
    char *report = NULL;
    scw_status st = scw_dataset_gene_activity(&r, &report, d, NULL, &o, NULL);

    if (st == SCW_OK) st = scw_results_write(r, d, output, NULL);
    scw_results_free(r);
    scw_free(report);
    return st;
}

/* A failure each time, no file, no leak (the sanitizer's part); and then it works. */
static void sweep(scw_status (*run)(const scw_dataset *d))
{
    const scw_source source = {.path = input};
    scw_dataset *d = NULL;

    assert_int_equal(scw_dataset_open(&d, &source, 1, NULL, NULL), SCW_OK);
    (void)unlink(output);
    (void)mem_fail_at(0);
    if (run(d) != SCW_OK) fail_msg("%s", scw_error_message());
    int64_t n = mem_fail_at(0), step = n / SWEEP + 1;
    assert_int_equal(access(output, F_OK), 0);
    (void)unlink(output);
    for (int64_t at = 1; at <= n; at += step) {
        (void)mem_fail_at(at);
        scw_status st = run(d);
        (void)mem_fail_at(0);
        if (st == SCW_OK) { /* an allocation whose failure has another way */
            (void)unlink(output);
            continue;
        }
        if (st != SCW_ENOMEM) fail_msg("allocation %d: %s", (int)at, scw_error_message());
        assert_int_not_equal(access(output, F_OK), 0);
    }
    scw_dataset_free(d);
}

static void test_no_memory_in_qc(void **state)
{
    (void)state;
    sweep(run_qc);
}

static void test_no_memory_in_preprocess(void **state)
{
    (void)state;
    sweep(run_preprocess);
}

static void test_no_memory_in_filter(void **state)
{
    (void)state;
    sweep(run_filter);
}

static void test_no_memory_in_activity(void **state)
{
    (void)state;
    sweep(run_activity);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select_largest),
        cmocka_unit_test(test_bounds_of_outliers),
        cmocka_unit_test(test_blocks_of_any_size),
        cmocka_unit_test(test_components_beside_those_in_memory),
        cmocka_unit_test(test_components_refuse),
        cmocka_unit_test(test_no_memory_in_qc),
        cmocka_unit_test(test_no_memory_in_preprocess),
        cmocka_unit_test(test_no_memory_in_filter),
        cmocka_unit_test(test_no_memory_in_activity),
    };

    if (argc > 1) cmocka_set_test_filter(argv[1]);
    threads_set(1);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
