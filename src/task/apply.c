/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave annotate and scweave embed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/results.h"
#include "models/model.h"
#include "scweave/version.h"

typedef struct answer {
    int64_t n, n_classes, width;
    float *probabilities; /* [n, C] or NULL */
    float *latent;        /* [n, d] or NULL */
    uint8_t *covered;     /* [n] 1 where at least one modality spoke */
    int64_t n_covered;
} answer;

static void answer_clear(answer *a)
{
    mem_free(a->probabilities);
    mem_free(a->latent);
    mem_free(a->covered);
    *a = (answer){0};
}

static scw_status compute(answer *a, const scw_model *m, const cells *c,
                          const scw_task_request *request)
{
    scw_status st = SCW_OK;

    *a = (answer){.n = c->n, .n_classes = m->classes.n, .width = m->options.z_dim};
    TRY(mem_new(&a->covered, a->n));
    for (int64_t i = 0; i < a->n; i++) {
        for (int k = 0; k < c->n_modalities; k++)
            a->covered[i] |= !c->x[k].present || c->x[k].present[i] > 0.0f;
        a->n_covered += a->covered[i];
    }
    if (request->annotate) TRY(mem_new(&a->probabilities, a->n * a->n_classes));
    if (request->embed) TRY(mem_new(&a->latent, a->n * a->width));
    TRY(model_infer(m, &m->net.p, c, NULL, a->n, a->probabilities, a->latent));
done:
    return st;
}

static scw_status add_label(scw_results *r, const answer *a, const scw_model *m)
{
    scw_status st = SCW_OK;
    column label = {0}, confidence = {0};
    char name[128];

    (void)snprintf(name, sizeof name, "%s_label", m->kind->name);
    TRY(column_init(&label, name, COLUMN_CATEGORICAL, a->n));
    TRY(strings_copy(&label.categories, &m->classes));
    (void)snprintf(name, sizeof name, "%s_confidence", m->kind->name);
    TRY(column_init(&confidence, name, COLUMN_FLOAT, a->n));
    for (int64_t i = 0; i < a->n; i++) {
        const float *p = a->probabilities + i * a->n_classes;
        int64_t best = model_best_class(p, a->n_classes);
        label.codes[i] = a->covered[i] ? (int32_t)best : -1;
        confidence.f64[i] = a->covered[i] ? (double)p[best] : NAN;
    }
    TRY(results_add_column(r, &label));
    TRY(results_add_column(r, &confidence));
done:
    column_clear(&label);
    column_clear(&confidence);
    return st;
}

/* Rows of cells that no modality covers become NaN: no answer is given for them. */
static scw_status add_array(scw_results *r, const answer *a, const char *name, float **values,
                            int64_t width, const strings *names)
{
    scw_status st = SCW_OK;
    results_array array = {.n_rows = a->n, .n_cols = width};

    TRY(mem_strdup(&array.name, name));
    if (names) TRY(strings_copy(&array.col_names, names));
    array.values = *values;
    *values = NULL;
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t k = 0; !a->covered[i] && k < width; k++)
            array.values[i * width + k] = NAN;
    TRY(results_add_array(r, &array));
done:
    results_array_clear(&array);
    return st;
}

static scw_status set_record(scw_results *r, const scw_model *m, const scw_task_request *request,
                             const model_coverage *coverage)
{
    scw_status st = SCW_OK;
    json_t *record = json_pack("{s:s, s:s}", "version", scw_version(), "model", m->kind->name);
    char *dumped = NULL, key[128];
    int failed = record == NULL;

    if (!failed && request->command)
        failed |= json_object_set_new(record, "command", json_string(request->command));
    if (!failed) failed |= json_object_set(record, "seed", json_object_get(m->record, "seed"));
    for (int k = 0; !failed && k < m->n_modalities; k++) {
        (void)snprintf(key, sizeof key, "features_found_%s", m->modality[k].name);
        failed |= json_object_set_new(record, key, json_integer(coverage[k].n_found));
    }
    for (const scw_option *o = m->kind->options; !failed && o->type != SCW_OPTION_END; o++) {
        char *value = NULL;
        TRY(scw_options_get(&value, m->kind->options, &m->options, o->name));
        (void)snprintf(key, sizeof key, "option_%s", o->name);
        if (value) failed |= json_object_set_new(record, key, json_string(value));
        mem_free(value);
    }
    dumped = failed ? NULL : json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    if (!dumped) FAIL(SCW_ENOMEM, "out of memory in the record of the results");
    TRY(mem_strdup(&r->record_json, dumped));
done:
    free(dumped);
    json_decref(record);
    return st;
}

static scw_status collect(scw_results **out, answer *a, const scw_model *m,
                          const scw_task_request *request, const model_coverage *coverage)
{
    scw_status st = SCW_OK;
    char name[128];

    TRY(results_new(out, a->n));
    if (request->annotate) {
        TRY(add_label(*out, a, m));
        (void)snprintf(name, sizeof name, "%s_probabilities", m->kind->name);
        TRY(add_array(*out, a, name, &a->probabilities, a->n_classes, &m->classes));
    }
    if (request->embed) {
        (void)snprintf(name, sizeof name, "X_%s", m->kind->name);
        TRY(add_array(*out, a, name, &a->latent, a->width, NULL));
    }
    TRY(set_record(*out, m, request, coverage));
done:
    return st;
}

scw_status scw_model_apply(scw_results **out, const scw_model *m, const scw_dataset *query,
                           const scw_task_request *request, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    cells c = {0};
    answer a = {0};
    model_coverage coverage[MODEL_MAX_MODALITIES];

    *out = NULL;
    threads_set(request->threads);
    TRY(model_prepare(&c, coverage, m, query, hooks));
    TRY(log_check_cancel(hooks));
    TRY(compute(&a, m, &c, request));
    if (a.n_covered < a.n)
        log_warning(hooks, "%lld cells have none of the model's features and get no answer",
                    (long long)(a.n - a.n_covered));
    TRY(collect(out, &a, m, request, coverage));
done:
    cells_clear(&c);
    answer_clear(&a);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
