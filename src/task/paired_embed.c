/* SPDX-License-Identifier: BSD-3-Clause */
/* Where such models see the cells of a query: all that a cell has in one place, and each modality by
 * itself. */
#include "task/paired_embed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

typedef struct answer {
    int64_t n, width;
    float *joint;     /* [n, width] */
    float *own[MODEL_MAX_MODALITIES]; /* [n, width]; NULL: the query has no such modality */
    uint8_t *covered[MODEL_MAX_MODALITIES], *any; /* [n] */
} answer;

static void answer_clear(answer *a)
{
    mem_free(a->joint);
    mem_free(a->any);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) {
        mem_free(a->own[k]);
        mem_free(a->covered[k]);
    }
    *a = (answer){0};
}

static scw_status compute(answer *a, const scw_model *m, const paired_embedder *by,
                          const scw_dataset *query, model_coverage *coverage, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const int64_t step = apply_at_a_time(query);
    cells c = {0};

    for (int64_t from = 0; from < a->n; from += step) {
        float *own[MODEL_MAX_MODALITIES] = {0};
        TRY(log_check_cancel(hooks));
        cells_clear(&c);
        TRY(model_prepare_part(&c, coverage, m, query, from,
                               a->n - from < step ? a->n - from : step));
        for (int k = 0; k < m->n_modalities; k++)
            own[k] = a->own[k] + from * a->width;
        TRY(by->embed(m, &c, a->joint + from * a->width, own));
        for (int64_t i = 0; i < c.n; i++) {
            const uint32_t mask = cells_mask(&c, i);
            a->any[from + i] = mask != 0;
            for (int k = 0; k < m->n_modalities; k++) a->covered[k][from + i] = mask >> k & 1;
        }
    }
    model_report(m, coverage, query, hooks);
done:
    cells_clear(&c);
    return st;
}

/* The embedding of one modality by itself, in that modality's group and order. */
static scw_status add_own(scw_results *r, answer *a, int k, const modality *x, const char *name)
{
    scw_status st = SCW_OK;
    results_array array = {.n_rows = x->x.n_rows, .n_cols = a->width};
    results_part *part;

    TRY(mem_strdup(&array.name, name));
    TRY(mem_new(&array.values, array.n_rows * a->width));
    for (int64_t e = 0; e < array.n_rows * a->width; e++) array.values[e] = NAN;
    for (int64_t i = 0; i < a->n; i++)
        if (x->row_of_obs[i] >= 0 && a->covered[k][i])
            memcpy(array.values + x->row_of_obs[i] * a->width, a->own[k] + i * a->width,
                   (size_t)a->width * sizeof(float));
    TRY(results_part_of(&part, r, x->name, x->x.n_rows, x->x.n_cols));
    TRY(results_part_obsm(part, &array));
done:
    results_array_clear(&array);
    return st;
}

/* "X_<model>", with a part behind it. */
static scw_status name_of(char *out, size_t size, const scw_model *m, const char *part)
{
    const int n = snprintf(out, size, part ? "X_%s_%s" : "X_%s", m->kind->name, part);

    if (n > 0 && (size_t)n < size) return SCW_OK;
    return status_fail(SCW_EDATA, "modality '%s': the name is too long", part ? part : "");
}

/* Block k of the whole, which is what modality k explains. */
static scw_status add_block(scw_results *r, const answer *a, const scw_model *m, int k, int64_t d)
{
    scw_status st = SCW_OK;
    char name[256];
    float *block = NULL;

    TRY(mem_new(&block, a->n * d));
    for (int64_t i = 0; i < a->n; i++)
        memcpy(block + i * d, a->joint + i * a->width + k * d, (size_t)d * sizeof *block);
    TRY(name_of(name, sizeof name, m, m->modality[k].name));
    TRY(apply_add_array(r, a->any, name, &block, d, NULL));
done:
    mem_free(block);
    return st;
}

static scw_status collect(scw_results **out, answer *a, const scw_model *m, const paired_embedder *by,
                          const scw_dataset *query, const scw_task_request *request,
                          const model_coverage *coverage)
{
    scw_status st = SCW_OK;
    char name[256];

    TRY(results_new(out, a->n));
    TRY(name_of(name, sizeof name, m, NULL));
    for (int k = 0; k < m->n_modalities; k++) {
        if (by->block > 0) TRY(add_block(*out, a, m, k, by->block));
        const modality *x = model_find_modality(m, k, query);
        /* With one modality that is the whole embedding. */
        if (x && query->n_modalities > 1) TRY(add_own(*out, a, k, x, name));
    }
    TRY(apply_add_array(*out, a->any, name, &a->joint, a->width, NULL));
    TRY(apply_set_record(*out, m, request, coverage));
done:
    return st;
}

scw_status paired_embed(scw_results **out, const scw_model *m, const paired_embedder *by,
                        const scw_dataset *query, const scw_task_request *request,
                        const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    answer a = {.n = query->n_obs, .width = by->width};
    model_coverage coverage[MODEL_MAX_MODALITIES];
    int64_t n_without = 0;

    if (request->annotate)
        FAIL(SCW_EUNSUPPORTED, "a %s model does not annotate cells; docs/models/%s.md says what it does",
             m->kind->name, m->kind->name);
    if (request->align)
        FAIL(SCW_EUNSUPPORTED, "a %s model does not line up a query with its reference: its "
                               "encoders see no batch, and its modalities are matched by training",
             m->kind->name);
    TRY(mem_new(&a.joint, a.n * a.width));
    TRY(mem_new(&a.any, a.n));
    for (int k = 0; k < m->n_modalities; k++) {
        TRY(mem_new(&a.own[k], a.n * a.width));
        TRY(mem_new(&a.covered[k], a.n));
    }
    TRY(compute(&a, m, by, query, coverage, hooks));
    for (int64_t i = 0; i < a.n; i++) n_without += !a.any[i];
    if (n_without > 0)
        log_warning(hooks, "%lld cells have none of the model's features and get no answer",
                    (long long)n_without);
    TRY(collect(out, &a, m, by, query, request, coverage));
done:
    answer_clear(&a);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
