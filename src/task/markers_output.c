/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of markers as text, as a file, as uns['markers'], as facts. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "data/results.h"
#include "scweave/version.h"
#include "task/markers.h"
#include "task/record.h"

/* ------------------------------------------------------------------------------ text */

/* A name in a cell of the table: what would end the cell becomes a space. */
static scw_status add_name(textbuf *t, const char *name)
{
    int64_t from = t->length;
    scw_status st = text_add(t, "%s\t", name);

    for (int64_t i = from; st == SCW_OK && i + 1 < t->length; i++)
        if (t->data[i] == '\t' || t->data[i] == '\n' || t->data[i] == '\r') t->data[i] = ' ';
    return st;
}

static scw_status add_number(textbuf *t, double value)
{
    return isnan(value) ? text_add(t, "NA\t") : text_add(t, "%.6g\t", value);
}

static scw_status add_row(textbuf *t, const scw_markers *m, const marker_row *r)
{
    scw_status st = SCW_OK;

    TRY(add_name(t, m->classes.at[r->class]));
    TRY(text_add(t, "%lld\t", (long long)r->rank));
    TRY(add_name(t, m->modalities.at[r->modality]));
    TRY(add_name(t, m->features[r->modality].at[r->feature]));
    TRY(add_number(t, r->score));
    TRY(add_number(t, r->se));
    TRY(text_add(t, "%lld\t", (long long)r->n_cells));
    TRY(add_number(t, r->mean_in));
    TRY(add_number(t, r->mean_out));
    TRY(text_add(t, "%lld\t", (long long)r->rank_t));
    TRY(add_number(t, r->t));
    TRY(add_number(t, r->p_t));
    TRY(text_add(t, "%lld\t", (long long)r->rank_z));
    TRY(add_number(t, r->z));
    TRY(add_number(t, r->p_z));
    t->data[t->length - 1] = '\n';
done:
    return st;
}

scw_status scw_markers_text(char **out, const scw_markers *m)
{
    scw_status st = SCW_OK;
    textbuf t = {0};

    *out = NULL;
    TRY(text_add(&t, "class\trank\tmodality\tfeature\tscore\tse\tn_cells\tmean_in\tmean_out\t"
                     "rank_t\tt\tp_t\trank_wilcoxon\tz_wilcoxon\tp_wilcoxon\n"));
    for (int64_t k = 0; k < m->n_rows; k++) TRY(add_row(&t, m, &m->rows[k]));
    *out = text_take(&t);
done:
    text_clear(&t);
    return st;
}

scw_status scw_markers_write(const scw_markers *m, const char *path)
{
    scw_status st = SCW_OK;
    char *text = NULL;

    TRY(scw_markers_text(&text, m));
    TRY(atomic_file_write(path, text, (int64_t)strlen(text)));
done:
    mem_free(text);
    return st;
}

/* ------------------------------------------------------------------------------ uns */

/* Do the p in uns come from the rank sum? Attributions have none of their own: those of
 * the t-test stand beside them. */
static bool by_ranks(const scw_markers *m)
{
    return strcmp(m->method, "wilcoxon") == 0;
}

static scw_status fill_ranking(results_ranking *r, const scw_markers *m)
{
    scw_status st = SCW_OK;
    int64_t next = 0, n;

    for (int64_t k = 0; k < m->n_rows; k++)
        if (m->rows[k].rank > r->n_ranks) r->n_ranks = m->rows[k].rank;
    n = m->classes.n * r->n_ranks;
    TRY(strings_copy(&r->groups, &m->classes));
    for (int v = 0; v < RESULTS_RANKING_VALUES; v++) TRY(mem_new(&r->values[v], n));
    for (int64_t e = 0; e < n; e++) {
        const marker_row *row = next < m->n_rows ? &m->rows[next] : NULL;
        if (row && (row->class != e / r->n_ranks || row->rank != e % r->n_ranks + 1)) row = NULL;
        next += row != NULL;
        TRY(strings_add(&r->features, row ? m->features[row->modality].at[row->feature] : ""));
        TRY(strings_add(&r->modalities, row ? m->modalities.at[row->modality] : ""));
        r->values[0][e] = row ? row->score : NAN;
        r->values[1][e] = row ? row->se : NAN;
        r->values[2][e] = row ? row->log_fold_change : NAN;
        r->values[3][e] = row ? (by_ranks(m) ? row->raw_p_z : row->raw_p_t) : NAN;
        r->values[4][e] = row ? (by_ranks(m) ? row->p_z : row->p_t) : NAN;
    }
done:
    return st;
}

static scw_status dump(char **out, json_t *object)
{
    scw_status st = object ? record_text(out, object) : status_fail(SCW_ENOMEM, "out of memory");

    json_decref(object);
    return st;
}

scw_status scw_markers_results(scw_results **out, const scw_markers *m)
{
    scw_status st = SCW_OK;
    results_ranking *r;

    TRY(results_new(out, m->n_obs));
    TRY(mem_new(&(*out)->ranking, 1));
    r = (*out)->ranking;
    TRY(mem_strdup(&r->name, "markers"));
    TRY(fill_ranking(r, m));
    TRY(dump(&r->params_json,
             json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "groupby",
                       *m->group_by ? m->group_by : "the model's answers", "reference", "rest",
                       "method", m->method, "baseline", m->baseline, "score", m->score,
                       "corr_method", "benjamini-hochberg")));
    TRY(dump(&(*out)->record_json, json_pack("{s:s, s:s, s:s}", "version", scw_version(), "model",
                                             m->model, "command", m->command)));
done:
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}

/* ------------------------------------------------------------------------------ facts */

scw_status scw_markers_describe(char **out_json, const scw_markers *m)
{
    json_t *classes = json_array(), *sets = json_array();
    int failed = 0;

    *out_json = NULL;
    for (int64_t c = 0; c < m->classes.n; c++)
        failed |= json_array_append_new(classes, json_pack("{s:s, s:I}", "name", m->classes.at[c],
                                                           "n_cells", (json_int_t)m->n_cells[c]));
    for (int s = 0; s < m->n_sets; s++) {
        json_t *names = json_array();
        for (int k = 0; k < m->n_modalities; k++)
            if (m->sets[s].modalities >> k & 1u)
                failed |= json_array_append_new(names, json_string(m->modalities.at[k]));
        failed |= json_array_append_new(
            sets, json_pack("{s:o, s:I, s:f}", "modalities", names, "n_cells",
                            (json_int_t)m->sets[s].n_cells, "error", m->sets[s].error));
    }
    json_t *facts = json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}", "method", m->method, "baseline",
                              m->baseline, "score", m->score, "n_rows", (json_int_t)m->n_rows,
                              "classes", classes, "completeness", sets);
    if (failed) {
        json_decref(facts);
        facts = NULL;
    }
    return dump(out_json, facts);
}
