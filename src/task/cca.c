/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave cca: counts of two modalities in, coordinates in one space out. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "data/results.h"
#include "prep/cca.h"
#include "scweave/match.h"
#include "scweave/version.h"
#include "task/linear_inputs.h"
#include "task/record.h"
#include "task/splits.h"
#include "train/path_choice.h"

static const scw_option table[] = {
    {"components", SCW_OPTION_INT, offsetof(scw_cca_options, components), "20", 1, 1000, NULL, "N",
     "Correlation", "columns of the result, fewer where a modality has fewer"},
    {"ridge", SCW_OPTION_REAL, offsetof(scw_cca_options, ridge), "0.1", 0, 1e6, NULL, "X",
     "Correlation", "share of the mean variance added to each variance; larger: smoother"},
    {"library", SCW_OPTION_REAL, offsetof(scw_cca_options, library), "0", 0, 1e9, NULL, "N",
     "Correlation", "library size that RNA counts are scaled to before the logarithm; 0: chosen by cross-validation of the "
     "cells that are learned from"},
    {.type = SCW_OPTION_END},
};

const scw_option *scw_cca_option_table(void)
{
    return table;
}

enum { FIRST = 0, SECOND, SIDES };

/* One modality. */
typedef struct side {
    const modality *m;
    modality_kind kind;
    linear_inputs inputs;
    float *learned; /* [n_learned, width] */
} side;

typedef struct job {
    const scw_dataset *data;
    side side[SIDES];
    int64_t n_learned;
    int64_t *learned; /* [n_learned] positions in obs */
    cca fit;
} job;

static void job_clear(job *j)
{
    for (int s = 0; s < SIDES; s++) {
        linear_inputs_clear(&j->side[s].inputs);
        mem_free(j->side[s].learned);
    }
    mem_free(j->learned);
    cca_clear(&j->fit);
}

static scw_status find_sides(job *j, const scw_cca_request *r)
{
    scw_status st = SCW_OK;
    const char *names[SIDES] = {r->first, r->second};

    if (!r->first != !r->second) FAIL(SCW_EINVAL, "name both modalities, or none");
    if (!r->first && j->data->n_modalities != SIDES)
        FAIL(SCW_EINVAL, "the data have %d modalities: name two of them (--first, --second)",
             j->data->n_modalities);
    for (int s = 0; s < SIDES; s++) {
        j->side[s].m = names[s] ? dataset_find_modality(j->data, names[s])
                                : &j->data->modalities[s];
        if (!j->side[s].m) FAIL(SCW_ENOTFOUND, "the data have no modality '%s'", names[s]);
        j->side[s].kind = modality_guess_kind(j->side[s].m);
    }
    if (j->side[FIRST].m == j->side[SECOND].m)
        FAIL(SCW_EINVAL, "'%s' was named for both sides", names[FIRST]);
done:
    return st;
}

/* Cells with both modalities that are not held out. */
static scw_status choose_cells(job *j, const scw_cca_request *r)
{
    scw_status st = SCW_OK;
    splits folds = {0};
    int64_t held = -1;

    if (r->splits) {
        TRY(splits_read(&folds, r->splits, j->data));
        for (int64_t k = 0; k < folds.names.n; k++)
            if (r->fold && strcmp(folds.names.at[k], r->fold) == 0) held = k;
        if (held < 0)
            FAIL(SCW_ENOTFOUND, "%s: there is no fold '%s'", r->splits, r->fold ? r->fold : "");
    }
    TRY(mem_new(&j->learned, j->data->n_obs));
    for (int64_t i = 0; i < j->data->n_obs; i++) {
        if (r->splits && (folds.fold[i] < 0 || folds.fold[i] == held)) continue;
        if (j->side[FIRST].m->row_of_obs[i] < 0 || j->side[SECOND].m->row_of_obs[i] < 0) continue;
        j->learned[j->n_learned++] = i;
    }
    if (j->n_learned < 2)
        FAIL(SCW_EDATA, "%lld cells to learn from have both '%s' and '%s'; at least 2 are needed",
             (long long)j->n_learned, j->side[FIRST].m->name, j->side[SECOND].m->name);
done:
    splits_clear(&folds);
    return st;
}

static scw_status learn_side(side *s, const job *j, double library)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL;
    matrix counts = {0};

    linear_inputs_clear(&s->inputs);
    mem_free(s->learned);
    s->learned = NULL;
    TRY(mem_new(&rows, j->n_learned));
    for (int64_t i = 0; i < j->n_learned; i++) rows[i] = s->m->row_of_obs[j->learned[i]];
    TRY(modality_take(&counts, s->m, rows, j->n_learned));
    TRY(transform_check_counts(&counts, s->m->name, true));
    TRY(linear_inputs_fit(&s->inputs, s->kind, &counts, library));
    TRY(mem_new(&s->learned, j->n_learned * s->inputs.width));
    TRY(linear_inputs_apply(s->learned, s->inputs.width, 0, &s->inputs, &counts));
done:
    mem_free(rows);
    matrix_clear(&counts);
    return st;
}

/* What both sides read under a library size; a side that has none is read once. */
static scw_status learn_sides(void *self, double library, linear_path_cells *out)
{
    scw_status st = SCW_OK;
    job *j = self;

    *out = (linear_path_cells){.n = j->n_learned, .n_sets = SIDES};
    for (int s = 0; s < SIDES; s++) {
        side *x = &j->side[s];
        if (!x->learned || x->kind == MODALITY_RNA) TRY(learn_side(x, j, library));
        out->name[s] = x->m->name;
        out->width[s] = x->inputs.width;
        out->input[s] = x->learned;
    }
done:
    return st;
}

/* As asked, or where that is 0 the best of the learned cells; then both sides as it says. */
static scw_status choose_library(job *j, scw_cca_options *o, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const bool has_rna = j->side[FIRST].kind == MODALITY_RNA || j->side[SECOND].kind == MODALITY_RNA;
    const library_scores scores = {j, has_rna, learn_sides};
    const linear_path_options path = {o->ridge, 1.0, o->components};
    linear_path_cells unused;

    TRY(library_choose(&o->library, &scores, &path, hooks));
    TRY(learn_sides(j, o->library, &unused));
done:
    return st;
}

/* Scores of all cells of a side, in the order of its own rows. */
static scw_status add_scores(scw_results *results, const job *j, int which, const char *key)
{
    scw_status st = SCW_OK;
    const side *s = &j->side[which];
    int64_t n = s->m->x.n_rows, *rows = NULL;
    matrix counts = {0};
    float *inputs = NULL;
    results_array array = {.n_rows = n, .n_cols = j->fit.k};
    results_part *part;

    TRY(mem_new(&rows, n));
    for (int64_t i = 0; i < n; i++) rows[i] = i;
    TRY(modality_take(&counts, s->m, rows, n));
    TRY(transform_check_counts(&counts, s->m->name, true));
    TRY(mem_new(&inputs, n * s->inputs.width));
    TRY(linear_inputs_apply(inputs, s->inputs.width, 0, &s->inputs, &counts));
    TRY(mem_strdup(&array.name, key));
    TRY(mem_new(&array.values, n * array.n_cols));
    cca_scores(array.values, &j->fit, inputs, n, which == SECOND);
    TRY(results_part_of(&part, results, s->m->name, n, s->m->x.n_cols));
    TRY(results_part_obsm(part, &array));
done:
    mem_free(rows);
    matrix_clear(&counts);
    mem_free(inputs);
    results_array_clear(&array);
    return st;
}

static scw_status set_record(scw_results *r, const job *j, const scw_cca_request *q,
                             const scw_cca_options *o, const char *key)
{
    scw_status st = SCW_OK;
    json_t *record =
        json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:I, s:f, s:s*, s:s*}", "version", scw_version(),
                  "first", j->side[FIRST].m->name, "second", j->side[SECOND].m->name, "components",
                  (json_int_t)j->fit.k, "ridge", o->ridge, "library", o->library, "n_learned", (json_int_t)j->n_learned,
                  "first_correlation", j->fit.correlations[0], "fold", q->fold, "command",
                  q->command);

    if (!record) FAIL(SCW_EDATA, "the name of a modality or the command is not valid UTF-8");
    TRY(record_text(&r->record_json, record));
    TRY(mem_strdup(&r->record_name, strncmp(key, "X_", 2) == 0 && key[2] ? key + 2 : key));
done:
    json_decref(record);
    return st;
}

scw_status scw_dataset_cca(scw_results **out, const scw_dataset *dataset,
                           const scw_cca_request *request, const scw_cca_options *options,
                           const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.data = dataset};
    scw_cca_options o;
    const char *key = request->key ? request->key : "X_cca";

    *out = NULL;
    if (!dataset) FAIL(SCW_EINVAL, "canonical correlation needs a data set");
    if (strcmp(key, "scweave") == 0 || strcmp(key, "X_scweave") == 0)
        FAIL(SCW_EINVAL, "the result cannot be named '%s': uns['scweave'] is the models' record",
             key);
    TRY(scw_options_init(table, &o));
    if (options) o = *options;
    threads_set(request->threads);
    TRY(find_sides(&j, request));
    TRY(choose_cells(&j, request));
    TRY(log_check_cancel(hooks));
    TRY(choose_library(&j, &o, hooks));
    TRY(cca_fit(&j.fit, j.side[FIRST].learned, j.side[FIRST].inputs.width, j.side[SECOND].learned,
                j.side[SECOND].inputs.width, j.n_learned, o.components, o.ridge));
    log_info(hooks, "%lld cells with %s and %s, %lld components, correlations %.3f to %.3f",
             (long long)j.n_learned, j.side[FIRST].m->name, j.side[SECOND].m->name,
             (long long)j.fit.k, j.fit.correlations[0], j.fit.correlations[j.fit.k - 1]);
    TRY(results_new(out, dataset->n_obs));
    for (int s = 0; s < SIDES; s++) TRY(add_scores(*out, &j, s, key));
    TRY(set_record(*out, &j, request, &o, key));
done:
    job_clear(&j);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
