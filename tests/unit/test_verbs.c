/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam between verbs and kinds of model: a verb goes to the row of the kind, and one that the
 * row lacks is refused by name. The kind here is no model at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/kind.h"

typedef struct nothing {
    scw_model base;
    int64_t number; /* its options */
    int touched;    /* by init */
} nothing;

static int n_cleared, n_fits;

static void nothing_init(scw_model *m)
{
    ((nothing *)m)->touched = 1;
}

static void nothing_clear(scw_model *m)
{
    assert_int_equal(((nothing *)m)->touched, 1);
    n_cleared++;
}

static scw_status nothing_fit(scw_model **out, const scw_model_kind *kind,
                              const scw_dataset *reference, const scw_fit_request *request,
                              const void *options, const scw_hooks *hooks)
{
    (void)reference;
    (void)request;
    (void)hooks;
    n_fits++;
    return model_new(out, kind, options);
}

static const struct scw_model_ops ops = {.size = sizeof(nothing),
                                         .options = offsetof(nothing, number),
                                         .init = nothing_init,
                                         .clear = nothing_clear,
                                         .fit = nothing_fit};
static const scw_model_kind kind = {
    .name = "nothing", .options_size = sizeof(int64_t), .ops = &ops};

static scw_model *fitted(void)
{
    const int64_t options = 42;
    const scw_fit_request request = {.threads = 1};
    scw_model *m = NULL;

    assert_int_equal(scw_model_fit(&m, &kind, NULL, &request, &options, NULL), SCW_OK);
    assert_non_null(m);
    return m;
}

static void test_row_is_called(void **state)
{
    (void)state;
    n_fits = n_cleared = 0;
    scw_model *m = fitted();
    assert_int_equal(n_fits, 1);
    assert_ptr_equal(m->kind, &kind);
    assert_int_equal(*(const int64_t *)model_options(m), 42);
    scw_model_free(m);
    assert_int_equal(n_cleared, 1);
}

static void refused(scw_status st, const char *what)
{
    assert_int_equal(st, SCW_EUNSUPPORTED);
    assert_non_null(strstr(scw_error_message(), "nothing"));
    assert_non_null(strstr(scw_error_message(), what));
}

static void test_what_it_lacks_is_refused(void **state)
{
    const scw_task_request annotate = {.annotate = 1, .threads = 1}, embed = {.embed = 1};
    const scw_fit_request fit = {.threads = 1};
    const scw_simulate_request simulate = {.n = 1};
    const scw_markers_request markers = {.threads = 1};
    scw_model *m = fitted();
    scw_results *results = (scw_results *)m;
    scw_markers *table = (scw_markers *)m;
    char *text = (char *)m;
    (void)state;

    refused(scw_model_apply(&results, m, NULL, &annotate, NULL), "annotate");
    refused(scw_model_apply(&results, m, NULL, &embed, NULL), "embed");
    refused(scw_model_simulate(m, NULL, &simulate, "/nowhere/x.h5mu", NULL), "simulate");
    refused(scw_model_markers(&table, m, NULL, &markers, NULL), "markers");
    refused(scw_model_cross_validate(&text, &kind, NULL, "/nowhere", &fit, NULL, NULL),
            "cross-validation");
    assert_null(results);
    assert_null(table);
    assert_null(text);
    scw_model_free(m);
}

/* A kind that learns classes is not asked to fit without them. */
static void test_label_is_needed(void **state)
{
    scw_model_kind learner = kind;
    const scw_fit_request request = {.threads = 1};
    const int64_t options = 1;
    scw_model *m = NULL;
    (void)state;

    learner.labels = SCW_LABELS_NEEDED;
    n_fits = 0;
    assert_int_equal(scw_model_fit(&m, &learner, NULL, &request, &options, NULL), SCW_EINVAL);
    assert_null(m);
    assert_int_equal(n_fits, 0);
}

/* Every row of the registry has what no kind can do without. */
static void test_registry(void **state)
{
    (void)state;
    for (int k = 0; scw_model_kind_at(k); k++) {
        const scw_model_kind *row = scw_model_kind_at(k);
        assert_ptr_equal(scw_model_kind_find(row->name), row);
        assert_true(row->ops->size >= row->ops->options + row->options_size);
        assert_true(row->ops->options >= sizeof(scw_model));
        assert_true(row->ops->clear && row->ops->intake && row->ops->fit);
        assert_true(row->ops->describe && row->ops->write && row->ops->read);
        for (int j = 0; j < k; j++)
            assert_string_not_equal(scw_model_kind_at(j)->name, row->name);
    }
    assert_null(scw_model_kind_find("nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_is_called),
        cmocka_unit_test(test_what_it_lacks_is_refused),
        cmocka_unit_test(test_label_is_needed),
        cmocka_unit_test(test_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
