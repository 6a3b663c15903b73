/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "data/frame.h"
#include "data/join.h"

static column text_column(const char *name, const char *const *values, int64_t n)
{
    column c;
    assert_int_equal(column_init(&c, name, COLUMN_STRING, n), SCW_OK);
    for (int64_t i = 0; i < n; i++) assert_int_equal(strings_add(&c.text, values[i]), SCW_OK);
    return c;
}

static void check_classes(const column *c, const int32_t *codes, const char *const *names,
                          int64_t n_classes)
{
    int32_t *got = NULL;
    strings classes;

    assert_int_equal(column_classes(c, &got, &classes), SCW_OK);
    assert_int_equal(classes.n, n_classes);
    for (int64_t k = 0; k < n_classes; k++) assert_string_equal(classes.at[k], names[k]);
    assert_memory_equal(got, codes, (size_t)c->n * sizeof *codes);
    mem_free(got);
    strings_clear(&classes);
}

/* Order by bytes (upper case first, UTF-8 last); "" and "nan" are missing. */
static void test_classes_of_text(void **state)
{
    (void)state;
    const char *values[] = {"b", "B", "", "\xc3\xa9", "nan", "b", "a b"};
    const int32_t codes[] = {2, 0, -1, 3, -1, 2, 1};
    const char *names[] = {"B", "a b", "b", "\xc3\xa9"};
    column c = text_column("label", values, 7);
    check_classes(&c, codes, names, 4);
    column_clear(&c);
}

/* Categories keep no order, unused ones and equal ones vanish. */
static void test_classes_of_categories(void **state)
{
    (void)state;
    const char *categories[] = {"z", "unused", "a", "z"};
    const int32_t stored[] = {0, 2, -1, 3, 0}, codes[] = {1, 0, -1, 1, 1};
    const char *names[] = {"a", "z"};
    column c;
    assert_int_equal(column_init(&c, "label", COLUMN_CATEGORICAL, 5), SCW_OK);
    for (int k = 0; k < 4; k++)
        assert_int_equal(strings_add(&c.categories, categories[k]), SCW_OK);
    memcpy(c.codes, stored, sizeof stored);
    check_classes(&c, codes, names, 2);
    column_clear(&c);
}

static void test_classes_of_numbers(void **state)
{
    (void)state;
    const double values[] = {1.0, 0.1, NAN, -0.0, 0.0, 1e300};
    const int32_t codes[] = {2, 1, -1, 0, 0, 3};
    const char *names[] = {"0", "0.1", "1", "1e+300"};
    column c;
    assert_int_equal(column_init(&c, "x", COLUMN_FLOAT, 6), SCW_OK);
    memcpy(c.f64, values, sizeof values);
    check_classes(&c, codes, names, 4);
    column_clear(&c);

    const char *truth[] = {"False", "True"};
    const int32_t expected[] = {1, 0, -1};
    assert_int_equal(column_init(&c, "flag", COLUMN_BOOL, 3), SCW_OK);
    assert_int_equal(mem_new(&c.missing, 3), SCW_OK);
    c.boolean[0] = 1;
    c.missing[2] = 1;
    check_classes(&c, expected, truth, 2);
    column_clear(&c);
}

static void test_classes_of_nothing(void **state)
{
    (void)state;
    column c;
    assert_int_equal(column_init(&c, "none", COLUMN_INT, 0), SCW_OK);
    check_classes(&c, NULL, NULL, 0);
    column_clear(&c);
}

static void test_frame_refuses(void **state)
{
    (void)state;
    frame f = {.n_rows = 2};
    column c;
    assert_int_equal(column_init(&c, "x", COLUMN_INT, 3), SCW_OK);
    assert_int_equal(frame_add(&f, &c), SCW_EINVAL);
    column_clear(&c);
    assert_int_equal(column_init(&c, "x", COLUMN_INT, 2), SCW_OK);
    assert_int_equal(frame_add(&f, &c), SCW_OK);
    assert_null(c.name);
    assert_int_equal(column_init(&c, "x", COLUMN_INT, 2), SCW_OK);
    assert_int_equal(frame_add(&f, &c), SCW_EINVAL);
    column_clear(&c);
    assert_non_null(frame_find(&f, "x"));
    assert_null(frame_find(&f, "y"));
    frame_clear(&f);
}

static void fill_part(dataset_part *p, const char *name, const char *const *cells,
                      const char *const *labels, int64_t n)
{
    *p = (dataset_part){.obs = {.n_rows = n}};
    assert_int_equal(mem_strdup(&p->m.name, name), SCW_OK);
    assert_int_equal(matrix_init_dense(&p->m.x, n, 1), SCW_OK);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(strings_add(&p->obs.index, cells[i]), SCW_OK);
    column c = text_column("label", labels, n);
    assert_int_equal(frame_add(&p->obs, &c), SCW_OK);
}

static scw_dataset *join(const char *const *second_labels)
{
    const char *rna_cells[] = {"a", "b", "c"}, *rna_labels[] = {"T", "B", "T"};
    const char *adt_cells[] = {"d", "b"};
    scw_dataset *d;
    dataset_part parts[2];

    assert_int_equal(mem_new(&d, 1), SCW_OK);
    fill_part(&parts[0], "rna", rna_cells, rna_labels, 3);
    fill_part(&parts[1], "adt", adt_cells, second_labels, 2);
    assert_int_equal(dataset_join(d, parts, 2, NULL), SCW_OK);
    for (int k = 0; k < 2; k++) dataset_part_clear(&parts[k]);
    return d;
}

/* The union of the cells in order of appearance; labels that agree become one column. */
static void test_join(void **state)
{
    (void)state;
    const char *agreeing[] = {"NK", "B"}, *differing[] = {"NK", "T"};
    const char *cells[] = {"a", "b", "c", "d"}, *labels[] = {"T", "B", "T", "NK"};
    const int64_t rna[] = {0, 1, 2, -1}, adt[] = {-1, 1, -1, 0};
    const column *c;

    scw_dataset *d = join(agreeing);
    assert_int_equal(scw_dataset_n_obs(d), 4);
    assert_int_equal(dataset_obs_column(&c, d, "label"), SCW_OK);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(scw_dataset_obs_name(d, i), cells[i]);
        assert_string_equal(c->text.at[i], labels[i]);
    }
    assert_null(c->missing);
    assert_memory_equal(d->modalities[0].row_of_obs, rna, sizeof rna);
    assert_memory_equal(d->modalities[1].row_of_obs, adt, sizeof adt);
    assert_int_equal(scw_dataset_modality_n_present(d, 1), 2);
    assert_int_equal(scw_dataset_modality_n_present(d, 2), -1);
    scw_dataset_free(d);

    d = join(differing);
    assert_int_equal(dataset_obs_column(&c, d, "label"), SCW_ENOTFOUND);
    assert_non_null(strstr(scw_error_message(), "rna:label, adt:label"));
    assert_int_equal(dataset_obs_column(&c, d, "adt:label"), SCW_OK);
    assert_true(column_is_missing(c, 0));
    assert_int_equal(dataset_obs_column(&c, d, "absent"), SCW_ENOTFOUND);
    scw_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_of_text),    cmocka_unit_test(test_classes_of_categories),
        cmocka_unit_test(test_classes_of_numbers), cmocka_unit_test(test_classes_of_nothing),
        cmocka_unit_test(test_frame_refuses),      cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
