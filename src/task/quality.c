/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave qc: quality figures of cells and features, one pass a modality. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "prep/qc.h"
#include "prep/select.h"
#include "scweave/preprocess.h"
#include "task/feature_sets.h"
#include "task/streaming.h"

#define OFFSET(field_) offsetof(scw_qc_options, field_)

static const scw_option table[] = {
    {"modality", SCW_OPTION_TEXT, OFFSET(modality), NULL, 0, 0, NULL, "NAME", "Quality",
     "only this modality; all unless said"},
    {"sets", SCW_OPTION_TEXT, OFFSET(sets),
     "mt=MT-;ribo=RPS,RPL;hb=HBA,HBB,HBD,HBE1,HBG,HBM,HBQ,HBZ", 0, 0, NULL, "SETS", "Quality",
     "sets of features whose share of a cell is written: NAME=PREFIX,PREFIX;NAME=@FILE with a name "
     "a "
     "line. Prefixes ignore case"},
    {"top", SCW_OPTION_TEXT, OFFSET(top), "50,100,200,500", 0, 0, NULL, "N,N", "Quality",
     "shares of the N largest counts of a cell; none when empty"},
    {"log1p", SCW_OPTION_BOOL, OFFSET(log1p), "on", 0, 0, NULL, NULL, "Quality",
     "the columns' logarithms too"},
    {.type = SCW_OPTION_END},
};

const scw_option *scw_qc_option_table(void)
{
    return table;
}

/* ------------------------------------------------------------------ columns */

/* Column `name` of the frame and, where wanted, log1p_<name>. */
static scw_status add_reals(frame *to, const char *name, const double *values, int64_t n, bool logs)
{
    scw_status st = SCW_OK;
    column c = {0};
    textbuf log_name = {0};

    TRY(streaming_reals(&c, name, values, n));
    TRY(results_part_column(to, &c));
    if (!logs) goto done;
    TRY(text_add(&log_name, "log1p_%s", name));
    TRY(streaming_reals(&c, text_get(&log_name), values, n));
    for (int64_t i = 0; i < n; i++)
        c.f64[i] = log1p(values[i]);
    TRY(results_part_column(to, &c));
done:
    column_clear(&c);
    text_clear(&log_name);
    return st;
}

static scw_status add_counts(frame *to, const char *name, const int64_t *values, int64_t n,
                             bool logs)
{
    scw_status st = SCW_OK;
    column c = {0};
    textbuf log_name = {0};

    TRY(streaming_ints(&c, name, values, n));
    TRY(results_part_column(to, &c));
    if (!logs) goto done;
    TRY(text_add(&log_name, "log1p_%s", name));
    TRY(column_init(&c, text_get(&log_name), COLUMN_FLOAT, n));
    for (int64_t i = 0; i < n; i++)
        c.f64[i] = log1p((double)values[i]);
    TRY(results_part_column(to, &c));
done:
    column_clear(&c);
    text_clear(&log_name);
    return st;
}

static scw_status add_set(frame *obs, const qc *q, int s, const char *set, bool logs)
{
    scw_status st = SCW_OK;
    textbuf name = {0};
    double *share = NULL;
    const double *total = q->set_total + s * q->n;

    TRY(text_add(&name, "total_counts_%s", set));
    TRY(add_reals(obs, text_get(&name), total, q->n, logs));
    text_clear(&name);
    TRY(text_add(&name, "pct_counts_%s", set));
    TRY(mem_new(&share, q->n));
    for (int64_t i = 0; i < q->n; i++)
        share[i] = q->total[i] != 0.0 ? 100.0 * total[i] / q->total[i] : (double)NAN;
    TRY(add_reals(obs, text_get(&name), share, q->n, false));
done:
    mem_free(share);
    text_clear(&name);
    return st;
}

static scw_status add_obs(frame *obs, const qc *q, const qc_options *o, const feature_sets *sets,
                          bool logs)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    TRY(add_counts(obs, "n_genes_by_counts", q->n_genes, q->n, logs));
    TRY(add_reals(obs, "total_counts", q->total, q->n, logs));
    for (int t = 0; t < o->n_tops; t++) {
        text_clear(&name);
        TRY(text_add(&name, "pct_counts_in_top_%lld_genes", (long long)o->tops[t]));
        TRY(add_reals(obs, text_get(&name), q->top_share + t * q->n, q->n, false));
    }
    for (int s = 0, k = 0; s < sets->n; s++)
        if (sets->at[s].n_members) TRY(add_set(obs, q, k++, sets->at[s].name, logs));
done:
    text_clear(&name);
    return st;
}

static scw_status add_var(frame *var, const qc *q, const feature_sets *sets, bool logs)
{
    scw_status st = SCW_OK;
    double *mean = NULL, *dropout = NULL, n = (double)q->n_counted;
    column c = {0};

    TRY(mem_new(&mean, q->p));
    TRY(mem_new(&dropout, q->p));
    for (int64_t j = 0; j < q->p; j++) {
        mean[j] = q->feature_total[j] / n;
        dropout[j] = 100.0 * (1.0 - (double)q->n_cells[j] / n);
    }
    for (int s = 0; s < sets->n; s++) {
        if (!sets->at[s].n_members) continue;
        TRY(streaming_bools(&c, sets->at[s].name, sets->at[s].member, q->p));
        TRY(results_part_column(var, &c));
    }
    TRY(add_counts(var, "n_cells_by_counts", q->n_cells, q->p, false));
    TRY(add_reals(var, "mean_counts", mean, q->p, logs));
    TRY(add_reals(var, "pct_dropout_by_counts", dropout, q->p, false));
    TRY(add_reals(var, "total_counts", q->feature_total, q->p, logs));
done:
    mem_free(mean);
    mem_free(dropout);
    column_clear(&c);
    return st;
}

/* ------------------------------------------------------------------ report */

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* Median and the quantiles 5 and 95 % of what is finite. */
static scw_status add_summary(json_t *to, const char *name, const double *values, int64_t n)
{
    scw_status st = SCW_OK;
    double *sorted = NULL;
    int64_t m = 0;
    const double none = (double)NAN;

    TRY(mem_new(&sorted, n));
    for (int64_t i = 0; i < n; i++)
        if (isfinite(values[i])) sorted[m++] = values[i];
    qsort(sorted, (size_t)m, sizeof *sorted, select_compare);
    TRY(streaming_json(json_object_set_new(
        to, name,
        json_pack("{s:o, s:o, s:o}", "q05",
                  number_or_null(m ? sorted_quantile(sorted, m, 0.05) : none), "median",
                  number_or_null(m ? sorted_quantile(sorted, m, 0.5) : none), "q95",
                  number_or_null(m ? sorted_quantile(sorted, m, 0.95) : none)))));
done:
    mem_free(sorted);
    return st;
}

static scw_status describe(json_t *list, const modality *m, const qc *q, const feature_sets *sets,
                           const results_part *part)
{
    scw_status st = SCW_OK;
    json_t *one = NULL, *figures = json_object(), *members = json_object();
    double *genes = NULL;
    int failed = 0;

    TRY(mem_new(&genes, q->n));
    for (int64_t i = 0; i < q->n; i++)
        genes[i] = (double)q->n_genes[i];
    TRY(add_summary(figures, "n_genes_by_counts", genes, q->n));
    for (int64_t k = 0; k < part->obs.n_columns; k++) {
        const column *c = &part->obs.columns[k];
        if (c->kind == COLUMN_FLOAT && strncmp(c->name, "log1p_", 6) != 0)
            TRY(add_summary(figures, c->name, c->f64, c->n));
    }
    for (int s = 0; s < sets->n; s++)
        failed |=
            json_object_set_new(members, sets->at[s].name, json_integer(sets->at[s].n_members));
    one =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:O, s:O}", "name", m->name, "n_obs",
                  (json_int_t)q->n, "n_vars", (json_int_t)q->p, "n_empty_cells",
                  (json_int_t)q->n_empty_cells, "n_empty_features", (json_int_t)q->n_empty_features,
                  "counts", !q->fractional && !q->negative, "sets", members, "figures", figures);
    TRY(streaming_json(failed | json_array_append(list, one)));
done:
    mem_free(genes);
    json_decref(one);
    json_decref(figures);
    json_decref(members);
    return st;
}

static void warn(const modality *m, const qc *q, const scw_hooks *hooks)
{
    if (q->negative || q->fractional)
        log_warning(hooks,
                    "%s: the matrix holds %s values, so it is not counts; --layer names the "
                    "layer that is",
                    m->name, q->negative ? "negative" : "fractional");
    if (q->n_empty_cells)
        log_warning(hooks, "%s: %lld cells have no counts at all; their shares are missing",
                    m->name, (long long)q->n_empty_cells);
}

/* ------------------------------------------------------------------ the verb */

/* "50,100": ascending positive numbers. Those beyond the number of features are left out. */
static scw_status read_tops(qc_options *o, const char *text, const modality *m,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    char *copy = NULL, *rest = NULL;
    int64_t before = 0, n;

    TRY(mem_strdup(&copy, text ? text : ""));
    for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        if (!text_to_int(&n, one) || n <= before)
            FAIL(SCW_EINVAL, "top: '%s' in '%s': expected numbers above zero in ascending order",
                 one, text);
        before = n;
        if (n > m->x.n_cols) {
            log_detail(hooks, "%s: no share of the top %lld of %lld features", m->name,
                       (long long)n, (long long)m->x.n_cols);
            continue;
        }
        if (o->n_tops == QC_MAX_TOPS)
            FAIL(SCW_EINVAL, "top: '%s': at most %d numbers", text, QC_MAX_TOPS);
        o->tops[o->n_tops++] = n;
    }
done:
    mem_free(copy);
    return st;
}

static scw_status use_sets(qc_options *o, const feature_sets *sets)
{
    scw_status st = SCW_OK;

    for (int s = 0; s < sets->n; s++) {
        if (!sets->at[s].n_members) continue;
        if (o->n_sets == QC_MAX_SETS) FAIL(SCW_EINVAL, "sets: at most %d are taken", QC_MAX_SETS);
        o->sets[o->n_sets++] = sets->at[s].member;
    }
done:
    return st;
}

static scw_status one_modality(scw_results *results, json_t *list, const scw_dataset *d, int k,
                               const scw_qc_options *o, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const modality *m = &d->modalities[k];
    const strings *names;
    strings copy = {0};
    feature_sets sets = {0};
    block_reader *rows = NULL;
    qc_options how = {0};
    qc q = {0};
    results_part *part;

    TRY(streaming_symbols(&names, &copy, m));
    TRY(feature_sets_read(&sets, o->sets, names));
    TRY(use_sets(&how, &sets));
    TRY(read_tops(&how, o->top, m, hooks));
    TRY(streaming_open(&rows, d, k));
    st = qc_compute(&q, rows, &how, hooks);
    if (st != SCW_OK) {
        status_prefix(st, "%s", m->name);
        goto done;
    }
    warn(m, &q, hooks);
    TRY(results_part_of(&part, results, m->name, q.n, q.p));
    if (m->layer) TRY(mem_strdup(&part->source_layer, m->layer));
    TRY(add_obs(&part->obs, &q, &how, &sets, o->log1p));
    TRY(add_var(&part->var, &q, &sets, o->log1p));
    TRY(describe(list, m, &q, &sets, part));
done:
    block_reader_free(rows);
    feature_sets_clear(&sets);
    strings_clear(&copy);
    qc_clear(&q);
    return st;
}

scw_status scw_dataset_qc(scw_results **out, char **report, const scw_dataset *dataset,
                          const scw_prep_request *request, const scw_qc_options *options,
                          const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_qc_options o = {0};
    json_t *list = json_array(), *root = NULL;
    int only = -1;

    *out = NULL;
    if (report) *report = NULL;
    if (!dataset) FAIL(SCW_EINVAL, "quality figures need a data set");
    TRY(scw_options_init(table, &o));
    const scw_qc_options *use = options ? options : &o;
    threads_set(request ? request->threads : 0);
    if (use->modality) TRY(streaming_modality(&only, dataset, use->modality, NULL));
    TRY(results_new(out, dataset->n_obs));
    for (int k = 0; k < dataset->n_modalities; k++)
        if (only < 0 || k == only) TRY(one_modality(*out, list, dataset, k, use, hooks));
    root = json_pack("{s:O}", "modalities", list);
    TRY(streaming_json(!root));
    TRY(streaming_report(report, root));
done:
    json_decref(list);
    json_decref(root);
    scw_options_clear(table, &o);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
