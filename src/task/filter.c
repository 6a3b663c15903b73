/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave filter: cells and features that fail, and the file without them. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "io/subset.h"
#include "io/write_part.h"
#include "prep/qc.h"
#include "scweave/preprocess.h"
#include "task/feature_sets.h"
#include "task/streaming.h"

#define AT(field_) offsetof(scw_filter_options, field_)
#define LIMIT(name_, field_, group_, help_)                                                        \
    {                                                                                              \
        name_, SCW_OPTION_REAL, AT(field_), "-1", -1, 1e300, NULL, "N", group_, help_              \
    }

static const scw_option table[] = {
    {"modality", SCW_OPTION_TEXT, AT(modality), NULL, 0, 0, NULL, "NAME", "Filter",
     "whose figures decide; rna unless said. Cells that fail leave all modalities"},
    LIMIT("min-counts", min_counts, "Cells", "least sum of counts of a cell"),
    LIMIT("max-counts", max_counts, "Cells", "largest sum of counts of a cell"),
    LIMIT("min-genes", min_genes, "Cells", "least number of features that a cell has"),
    LIMIT("max-genes", max_genes, "Cells", "largest number of features that a cell has"),
    {"max-pct-mt", SCW_OPTION_REAL, AT(max_pct_mt), "-1", -1, 100, NULL, "PERCENT", "Cells",
     "largest share of mitochondrial counts"},
    {"mt", SCW_OPTION_TEXT, AT(mt), "MT-", 0, 0, NULL, "PREFIXES", "Cells",
     "prefixes of mitochondrial genes, in any case"},
    {"mads", SCW_OPTION_REAL, AT(mads), "0", 0, 1000, NULL, "N", "Cells",
     "drop outliers: log1p counts or log1p genes further than N median absolute deviations from "
     "the "
     "median, or that many above it in mitochondrial share; 0: off"},
    {"batch-key", SCW_OPTION_TEXT, AT(batch_key), NULL, 0, 0, NULL, "KEY", "Cells",
     "obs column: outliers are looked for within each batch"},
    {"keep-obs", SCW_OPTION_TEXT, AT(keep_obs), NULL, 0, 0, NULL, "KEY", "Cells",
     "boolean obs column: only cells where it is true"},
    LIMIT("min-cells", min_cells, "Features", "least number of cells that have a feature"),
    LIMIT("max-cells", max_cells, "Features", "largest number of cells that have a feature"),
    LIMIT("min-feature-counts", min_feature_counts, "Features", "least sum of a feature"),
    LIMIT("max-feature-counts", max_feature_counts, "Features", "largest sum of a feature"),
    {"keep-var", SCW_OPTION_TEXT, AT(keep_var), NULL, 0, 0, NULL, "KEY", "Features",
     "boolean var column, such as highly_variable: only features where it is true"},
    {.type = SCW_OPTION_END},
};

const scw_option *scw_filter_option_table(void)
{
    return table;
}

typedef struct filter {
    const scw_dataset *d;
    const scw_filter_options *o;
    const scw_hooks *hooks;
    int which;
    const modality *m;
    uint8_t *keep_cell;                /* [n] rows of the modality */
    uint8_t *keep_obs;                 /* [n_obs] */
    uint8_t *keep_var;                 /* [p] */
    json_t *cells, *features, *bounds; /* reason: how many; by batch */
} filter;

/* ------------------------------------------------------------------ reasons */

/* Count and mark those outside the limits; a value that is no number fails a limit. */
static scw_status apply_limits(uint8_t *keep, json_t *reasons, const char *reason,
                               const double *values, int64_t n, double low, double high)
{
    json_int_t dropped = 0;

    for (int64_t i = 0; i < n; i++) {
        bool fails = (low >= 0.0 && !(values[i] >= low)) || (high >= 0.0 && !(values[i] <= high));
        dropped += fails;
        if (fails) keep[i] = 0;
    }
    return streaming_json(json_object_set_new(reasons, reason, json_integer(dropped)));
}

static scw_status check_pair(const char *what, double low, double high)
{
    if (low >= 0.0 && high >= 0.0 && low > high)
        return status_fail(SCW_EINVAL, "the least %s, %g, is above the largest, %g", what, low,
                           high);
    return SCW_OK;
}

static scw_status check_options(const scw_filter_options *o)
{
    scw_status st = SCW_OK;

    TRY(check_pair("counts of a cell", o->min_counts, o->max_counts));
    TRY(check_pair("features of a cell", o->min_genes, o->max_genes));
    TRY(check_pair("cells of a feature", o->min_cells, o->max_cells));
    TRY(check_pair("counts of a feature", o->min_feature_counts, o->max_feature_counts));
    if (o->min_counts < 0 && o->max_counts < 0 && o->min_genes < 0 && o->max_genes < 0 &&
        o->max_pct_mt < 0 && o->mads <= 0 && !o->keep_obs && o->min_cells < 0 && o->max_cells < 0 &&
        o->min_feature_counts < 0 && o->max_feature_counts < 0 && !o->keep_var)
        FAIL(SCW_EINVAL, "no filter is given");
done:
    return st;
}

/* ------------------------------------------------------------------ outliers */

/* One figure, within each batch. `low_too`: outliers below count as well. */
static scw_status drop_outliers(filter *f, const char *name, const double *values,
                                const int32_t *batch, const strings *batches, bool low_too)
{
    scw_status st = SCW_OK;
    const int64_t n = f->m->x.n_rows, n_batches = batch ? batches->n : 1;
    double *own = NULL, low, high;
    json_int_t dropped = 0;
    textbuf reason = {0};

    TRY(mem_new(&own, n));
    for (int64_t b = 0; b < n_batches; b++) {
        int64_t m = 0;
        for (int64_t i = 0; i < n; i++)
            if (!batch || batch[i] == b) own[m++] = values[i];
        TRY(qc_outlier_bounds(&low, &high, own, m, f->o->mads));
        if (isnan(low)) continue;
        for (int64_t i = 0; i < n; i++) {
            if (batch && batch[i] != b) continue;
            bool out = values[i] > high || (low_too && values[i] < low);
            dropped += out;
            if (out) f->keep_cell[i] = 0;
        }
        TRY(streaming_json(json_array_append_new(
            f->bounds,
            json_pack("{s:s, s:s, s:o, s:f}", "figure", name, "batch", batch ? batches->at[b] : "",
                      "low", low_too ? json_real(low) : json_null(), "high", high))));
    }
    TRY(text_add(&reason, "outlier_%s", name));
    TRY(streaming_json(json_object_set_new(f->cells, text_get(&reason), json_integer(dropped))));
done:
    mem_free(own);
    text_clear(&reason);
    return st;
}

static scw_status drop_all_outliers(filter *f, const double *genes, const double *counts,
                                    const double *share)
{
    scw_status st = SCW_OK;
    const int64_t n = f->m->x.n_rows;
    int32_t *batch = NULL, n_batches;
    strings names = {0};
    double *logs = NULL;

    TRY(streaming_batches(&batch, &n_batches, &names, f->d, f->which, f->o->batch_key));
    TRY(mem_new(&logs, n));
    for (int64_t i = 0; i < n; i++)
        logs[i] = log1p(counts[i]);
    TRY(drop_outliers(f, "log1p_total_counts", logs, batch, &names, true));
    for (int64_t i = 0; i < n; i++)
        logs[i] = log1p(genes[i]);
    TRY(drop_outliers(f, "log1p_n_genes_by_counts", logs, batch, &names, true));
    if (share) TRY(drop_outliers(f, "pct_counts_mt", share, batch, &names, false));
done:
    mem_free(batch);
    mem_free(logs);
    strings_clear(&names);
    return st;
}

/* ------------------------------------------------------------------ cells */

/* A column of truth values (or of the words, or of 0 and 1). */
static scw_status truths(uint8_t *keep, const column *c, const char *where)
{
    scw_status st = SCW_OK;
    strings texts = {0};

    TRY(column_texts(&texts, c));
    for (int64_t i = 0; i < c->n; i++) {
        const char *t = texts.at[i];
        bool yes = strcmp(t, "True") == 0 || strcmp(t, "1") == 0 || strcmp(t, "true") == 0;
        bool no = !*t || strcmp(t, "False") == 0 || strcmp(t, "0") == 0 || strcmp(t, "false") == 0;
        if (!yes && !no)
            FAIL(SCW_EINVAL, "%s column '%s' holds '%s'; true or false is expected", where, c->name,
                 t);
        if (!yes) keep[i] = 0;
    }
done:
    strings_clear(&texts);
    return st;
}

static scw_status judge_cells(filter *f, const qc *q, bool has_mt)
{
    scw_status st = SCW_OK;
    const scw_filter_options *o = f->o;
    double *genes = NULL, *share = NULL;

    TRY(mem_new(&genes, q->n));
    TRY(mem_new(&share, q->n));
    for (int64_t i = 0; i < q->n; i++) {
        genes[i] = (double)q->n_genes[i];
        if (has_mt)
            share[i] = q->total[i] != 0.0 ? 100.0 * q->set_total[i] / q->total[i] : (double)NAN;
    }
    if (o->min_counts >= 0)
        TRY(apply_limits(f->keep_cell, f->cells, "min_counts", q->total, q->n, o->min_counts, -1));
    if (o->max_counts >= 0)
        TRY(apply_limits(f->keep_cell, f->cells, "max_counts", q->total, q->n, -1, o->max_counts));
    if (o->min_genes >= 0)
        TRY(apply_limits(f->keep_cell, f->cells, "min_genes", genes, q->n, o->min_genes, -1));
    if (o->max_genes >= 0)
        TRY(apply_limits(f->keep_cell, f->cells, "max_genes", genes, q->n, -1, o->max_genes));
    if (o->max_pct_mt >= 0)
        TRY(apply_limits(f->keep_cell, f->cells, "max_pct_mt", share, q->n, -1, o->max_pct_mt));
    if (o->mads > 0) TRY(drop_all_outliers(f, genes, q->total, has_mt ? share : NULL));
done:
    mem_free(genes);
    mem_free(share);
    return st;
}

/* Figures of the modality decide; a cell that lacks it stays. Then the obs column. */
static scw_status choose_cells(filter *f, block_reader *rows)
{
    scw_status st = SCW_OK;
    const strings *names;
    strings copy = {0};
    feature_sets sets = {0};
    textbuf definition = {0};
    const column *c;
    qc q = {0};

    TRY(streaming_symbols(&names, &copy, f->m));
    TRY(text_add(&definition, "mt=%s", f->o->mt ? f->o->mt : "MT-"));
    TRY(feature_sets_read(&sets, text_get(&definition), names));
    bool has_mt = sets.at[0].n_members > 0;
    if (!has_mt && f->o->max_pct_mt >= 0)
        FAIL(SCW_EDATA,
             "%s: no feature begins with '%s', so there is no share of mitochondrial "
             "counts",
             f->m->name, f->o->mt);
    const qc_options how = {.n_sets = has_mt, .sets = {sets.at[0].member}};
    TRY(qc_compute(&q, rows, &how, f->hooks));
    TRY(judge_cells(f, &q, has_mt));
    for (int64_t i = 0; i < f->d->n_obs; i++) {
        int64_t row = f->m->row_of_obs[i];
        f->keep_obs[i] = row < 0 || f->keep_cell[row];
    }
    if (!f->o->keep_obs) goto done;
    TRY(dataset_obs_column(&c, f->d, f->o->keep_obs));
    int64_t before = 0, after = 0;
    for (int64_t i = 0; i < f->d->n_obs; i++)
        before += f->keep_obs[i];
    TRY(truths(f->keep_obs, c, "obs"));
    for (int64_t i = 0; i < f->d->n_obs; i++)
        after += f->keep_obs[i];
    TRY(streaming_json(json_object_set_new(f->cells, "keep_obs", json_integer(before - after))));
    for (int64_t i = 0; i < f->d->n_obs; i++)
        if (f->m->row_of_obs[i] >= 0) f->keep_cell[f->m->row_of_obs[i]] = f->keep_obs[i];
done:
    qc_clear(&q);
    feature_sets_clear(&sets);
    strings_clear(&copy);
    text_clear(&definition);
    return st;
}

/* ------------------------------------------------------------------ features */

static scw_status choose_features(filter *f, block_reader *rows)
{
    scw_status st = SCW_OK;
    const scw_filter_options *o = f->o;
    const qc_options how = {.cells = f->keep_cell};
    double *cells = NULL;
    qc q = {0};

    if (o->min_cells >= 0 || o->max_cells >= 0 || o->min_feature_counts >= 0 ||
        o->max_feature_counts >= 0) {
        TRY(qc_compute(&q, rows, &how, f->hooks));
        TRY(mem_new(&cells, q.p));
        for (int64_t j = 0; j < q.p; j++)
            cells[j] = (double)q.n_cells[j];
    }
    if (o->min_cells >= 0)
        TRY(apply_limits(f->keep_var, f->features, "min_cells", cells, q.p, o->min_cells, -1));
    if (o->max_cells >= 0)
        TRY(apply_limits(f->keep_var, f->features, "max_cells", cells, q.p, -1, o->max_cells));
    if (o->min_feature_counts >= 0)
        TRY(apply_limits(f->keep_var, f->features, "min_feature_counts", q.feature_total, q.p,
                         o->min_feature_counts, -1));
    if (o->max_feature_counts >= 0)
        TRY(apply_limits(f->keep_var, f->features, "max_feature_counts", q.feature_total, q.p, -1,
                         o->max_feature_counts));
    if (!o->keep_var) goto done;
    const column *c = frame_find(&f->m->var, o->keep_var);
    if (!c) FAIL(SCW_ENOTFOUND, "%s: no var column '%s'", f->m->name, o->keep_var);
    int64_t dropped = 0;
    uint8_t *listed = f->keep_var;
    for (int64_t j = 0; j < f->m->x.n_cols; j++)
        dropped += listed[j];
    TRY(truths(listed, c, "var"));
    for (int64_t j = 0; j < f->m->x.n_cols; j++)
        dropped -= listed[j];
    TRY(streaming_json(json_object_set_new(f->features, "keep_var", json_integer(dropped))));
done:
    mem_free(cells);
    qc_clear(&q);
    return st;
}

/* ------------------------------------------------------------------ the verb */

static int64_t count(const uint8_t *mask, int64_t n)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += mask[i];
    return sum;
}

static scw_status make_report(char **out, const filter *f)
{
    scw_status st = SCW_OK;
    json_t *root = json_pack("{s:s, s:{s:I, s:I, s:O}, s:{s:I, s:I, s:O}, s:O}", "modality",
                             f->m->name, "cells", "before", (json_int_t)f->d->n_obs, "after",
                             (json_int_t)count(f->keep_obs, f->d->n_obs), "dropped", f->cells,
                             "features", "before", (json_int_t)f->m->x.n_cols, "after",
                             (json_int_t)count(f->keep_var, f->m->x.n_cols), "dropped", f->features,
                             "outlier_bounds", f->bounds);

    TRY(streaming_json(!root));
    TRY(streaming_report(out, root));
done:
    json_decref(root);
    return st;
}

static scw_status choose(filter *f)
{
    scw_status st = SCW_OK;
    block_reader *rows = NULL;

    TRY(mem_new(&f->keep_cell, f->m->x.n_rows));
    TRY(mem_new(&f->keep_obs, f->d->n_obs));
    TRY(mem_new(&f->keep_var, f->m->x.n_cols));
    memset(f->keep_cell, 1, (size_t)f->m->x.n_rows);
    memset(f->keep_obs, 1, (size_t)f->d->n_obs);
    memset(f->keep_var, 1, (size_t)f->m->x.n_cols);
    TRY(streaming_open(&rows, f->d, f->which));
    TRY(choose_cells(f, rows));
    if (count(f->keep_obs, f->d->n_obs) == 0) FAIL(SCW_EDATA, "no cell is left by these filters");
    TRY(choose_features(f, rows));
    if (count(f->keep_var, f->m->x.n_cols) == 0)
        FAIL(SCW_EDATA, "%s: no feature is left by these filters", f->m->name);
done:
    block_reader_free(rows);
    return st;
}

scw_status scw_dataset_filter(char **report, const scw_dataset *dataset,
                              const scw_prep_request *request, const scw_filter_options *options,
                              const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    filter f = {.d = dataset,
                .o = options,
                .hooks = hooks,
                .cells = json_object(),
                .features = json_object(),
                .bounds = json_array()};

    if (report) *report = NULL;
    if (!dataset || !options || !path) FAIL(SCW_EINVAL, "a filter needs data, options and a path");
    threads_set(request ? request->threads : 0);
    TRY(check_options(options));
    TRY(write_parts_check(dataset));
    TRY(streaming_modality(&f.which, dataset, options->modality, "rna"));
    f.m = &dataset->modalities[f.which];
    if (f.m->layer && strcmp(f.m->layer, "raw") == 0)
        FAIL(SCW_EINVAL, "%s: raw has features of its own; filter by X or a layer", f.m->name);
    TRY(choose(&f));
    TRY(make_report(report, &f));
    TRY(dataset_write_subset(dataset, f.keep_obs, f.which, f.keep_var, path, hooks));
done:
    if (st != SCW_OK && report) {
        scw_free(*report);
        *report = NULL;
    }
    mem_free(f.keep_cell);
    mem_free(f.keep_obs);
    mem_free(f.keep_var);
    json_decref(f.cells);
    json_decref(f.features);
    json_decref(f.bounds);
    return st;
}
