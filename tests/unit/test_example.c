/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated set is what its description promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "data/example.h"
#include "data/example_panel.h"

enum { N = 1200 };

static scw_dataset *make(int64_t n, uint64_t seed)
{
    scw_dataset *d;
    assert_int_equal(example_make(&d, n, EXAMPLE_WHOLE, seed), SCW_OK);
    return d;
}

static void panel_is_well_formed(void **state)
{
    double shares = 0.0;
    (void)state;

    for (int t = 0; t < EXAMPLE_N_TYPES; t++) {
        shares += example_types[t].share;
        assert_in_range(example_types[t].neighbour, 0, EXAMPLE_N_TYPES - 1);
        assert_int_not_equal(example_types[t].neighbour, t);
    }
    assert_true(fabs(shares - 1.0) < 0.1);
    for (int g = 0; g < example_n_genes; g++) {
        const example_gene *e = &example_genes[g];
        assert_int_equal(strlen(e->levels), EXAMPLE_N_TYPES);
        assert_int_equal(strspn(e->levels, ".123456789"), EXAMPLE_N_TYPES);
        assert_true(e->start > 60000); /* the distal peaks lie on the chromosome */
        assert_true(strcmp(e->chromosome, "X") == 0 || (atoi(e->chromosome) >= 1 &&
                                                        atoi(e->chromosome) <= 22));
    }
    for (int a = 0; a < example_n_proteins; a++) {
        assert_int_equal(strlen(example_proteins[a].levels), EXAMPLE_N_TYPES);
        assert_int_equal(strspn(example_proteins[a].levels, ".123456789"), EXAMPLE_N_TYPES);
    }
}

static void check_names(const strings *names)
{
    name_index index;
    int64_t duplicate;

    assert_int_equal(name_index_build(&index, (const char *const *)names->at, names->n, &duplicate),
                     SCW_OK);
    assert_int_equal(duplicate, -1);
    name_index_clear(&index);
}

static void shapes_and_sparsity(void **state)
{
    scw_dataset *d = make(N, 1);
    matrix_summary s;
    (void)state;

    assert_int_equal(d->n_modalities, 3);
    assert_string_equal(d->modalities[0].name, "rna");
    assert_string_equal(d->modalities[1].name, "adt");
    assert_string_equal(d->modalities[2].name, "atac");
    check_names(&d->obs.index);
    for (int k = 0; k < 3; k++) {
        const modality *m = &d->modalities[k];
        check_names(&m->var.index);
        assert_int_equal(m->var.index.n, m->x.n_cols);
        assert_int_equal(m->n_present, N);
        assert_int_equal(matrix_summarise(&s, &m->x), SCW_OK);
        assert_int_equal(s.n_negative + s.n_nan + s.n_infinite + s.n_fractional, 0);
        assert_int_equal(s.n_empty_rows, 0);
    }
    double rna = (double)matrix_nnz(&d->modalities[0].x) / N / (double)d->modalities[0].x.n_cols;
    double atac = (double)matrix_nnz(&d->modalities[2].x) / N / (double)d->modalities[2].x.n_cols;
    assert_true(rna > 0.03 && rna < 0.14);
    assert_true(atac > 0.02 && atac < 0.05);
    scw_dataset_free(d);
}

static void labels_are_mostly_right(void **state)
{
    scw_dataset *d = make(N, 1);
    const column *label = frame_find(&d->obs, "cell_type"), *truth = frame_find(&d->obs, "truth");
    const column *doublet = frame_find(&d->obs, "is_doublet"),
                 *batch = frame_find(&d->obs, "batch");
    int64_t wrong = 0, doubled = 0, second = 0, count[EXAMPLE_N_TYPES] = {0};
    (void)state;

    for (int64_t i = 0; i < N; i++) {
        wrong += label->codes[i] != truth->codes[i];
        doubled += doublet->boolean[i];
        second += batch->codes[i];
        count[truth->codes[i]]++;
    }
    assert_in_range(wrong, N / 100, N * 4 / 100);
    assert_in_range(doubled, N / 200, N * 4 / 100);
    assert_in_range(second, N * 35 / 100, N * 55 / 100);
    for (int t = 0; t < EXAMPLE_N_TYPES; t++) assert_true(count[t] > 0);
    scw_dataset_free(d);
}

/* Mean count of a feature over the cells of a true type. */
static double mean_in(const scw_dataset *d, int k, const char *feature, const char *type)
{
    const modality *m = &d->modalities[k];
    const column *truth = frame_find(&d->obs, "truth");
    double sum = 0.0;
    int64_t n = 0, at = -1;

    for (int64_t j = 0; j < m->var.index.n; j++)
        if (strcmp(m->var.index.at[j], feature) == 0) at = j;
    assert_true(at >= 0);
    for (int64_t i = 0; i < d->n_obs; i++) {
        if (strcmp(truth->categories.at[truth->codes[i]], type) != 0) continue;
        n++;
        if (!m->x.sparse) sum += (double)m->x.values[i * m->x.n_cols + at];
        for (int64_t e = m->x.sparse ? m->x.indptr[i] : 0; m->x.sparse && e < m->x.indptr[i + 1];
             e++)
            if (m->x.indices[e] == at) sum += (double)m->x.values[e];
    }
    return sum / (double)n;
}

static void markers_mark(void **state)
{
    scw_dataset *d = make(N, 1);
    (void)state;

    assert_true(mean_in(d, 0, "MS4A1", "B naive") > 8.0 * mean_in(d, 0, "MS4A1", "NK"));
    assert_true(mean_in(d, 0, "LYZ", "CD14 monocyte") > 8.0 * mean_in(d, 0, "LYZ", "CD4 naive T"));
    assert_true(mean_in(d, 0, "PPBP", "Platelet") > 8.0 * mean_in(d, 0, "PPBP", "B naive"));
    assert_true(mean_in(d, 1, "CD19", "B naive") > 4.0 * mean_in(d, 1, "CD19", "CD14 monocyte"));
    assert_true(mean_in(d, 1, "CD3", "CD8 naive T") > 4.0 * mean_in(d, 1, "CD3", "NK"));
    scw_dataset_free(d);
}

static void seeded_and_free_of_threads(void **state)
{
    threads_set(1);
    scw_dataset *one = make(300, 7);
    threads_set(3);
    scw_dataset *three = make(300, 7), *more = make(400, 7), *other = make(300, 8);
    threads_set(0);
    (void)state;

    for (int k = 0; k < 3; k++) {
        const matrix *a = &one->modalities[k].x, *b = &three->modalities[k].x;
        assert_int_equal(matrix_nnz(a), matrix_nnz(b));
        assert_memory_equal(a->values, b->values, (size_t)matrix_nnz(a) * sizeof *a->values);
        /* the first cells of a larger set */
        assert_memory_equal(a->values, more->modalities[k].x.values,
                            (size_t)matrix_nnz(a) * sizeof *a->values);
    }
    const matrix *a = &one->modalities[1].x;
    assert_memory_not_equal(a->values, other->modalities[1].x.values,
                            (size_t)matrix_nnz(a) * sizeof *a->values);
    scw_dataset_free(one);
    scw_dataset_free(three);
    scw_dataset_free(more);
    scw_dataset_free(other);
}

static void refuses(void **state)
{
    scw_dataset *d;
    (void)state;
    assert_int_equal(example_make(&d, 0, EXAMPLE_WHOLE, 1), SCW_EINVAL);
    assert_null(d);
    assert_int_equal(example_make(&d, 20000000, EXAMPLE_WHOLE, 1), SCW_EINVAL);
}

/* Several thousand allocations, most of them names: the first, the last, and samples between. */
static void memory_runs_out_anywhere(void **state)
{
    (void)state;
    (void)mem_fail_at(0);
    scw_dataset *d = make(3, 1);
    scw_dataset_free(d);
    int64_t total = mem_fail_at(0);
    for (int64_t n = 1; n <= total; n += n < 20 || n > total - 20 ? 1 : 401) {
        (void)mem_fail_at(n);
        assert_int_equal(example_make(&d, 3, EXAMPLE_WHOLE, 1), SCW_ENOMEM);
        assert_null(d);
    }
    (void)mem_fail_at(0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(panel_is_well_formed),
        cmocka_unit_test(shapes_and_sparsity),
        cmocka_unit_test(labels_are_mostly_right),
        cmocka_unit_test(markers_mark),
        cmocka_unit_test(seeded_and_free_of_threads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(memory_runs_out_anywhere),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
