/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/kind.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "prep/align.h"

/* ------------------------------------------------------------------------------- modalities */

const char *modality_kind_name(modality_kind kind)
{
    static const char *const names[] = {"rna", "adt", "atac"};
    return names[kind];
}

static bool contains(const char *text, const char *const *words)
{
    char lower[128];
    size_t n = 0;

    for (; text[n] && n + 1 < sizeof lower; n++)
        lower[n] = (char)tolower((unsigned char)text[n]);
    lower[n] = '\0';
    for (; *words; words++)
        if (strstr(lower, *words)) return true;
    return false;
}

static bool kind_of_word(modality_kind *out, const char *word)
{
    static const char *const rna[] = {"rna", "gex", "gene", "transcript", NULL};
    static const char *const adt[] = {"adt", "prot", "antibody", "cite", NULL};
    static const char *const atac[] = {"atac", "peak", "chrom", "tile", "bin", NULL};

    if (contains(word, adt)) return *out = MODALITY_ADT, true;
    if (contains(word, atac)) return *out = MODALITY_ATAC, true;
    if (contains(word, rna)) return *out = MODALITY_RNA, true;
    return false;
}

modality_kind modality_guess_kind(const modality *m)
{
    modality_kind kind;
    const column *types = frame_find(&m->var, "feature_types");

    if (kind_of_word(&kind, m->name)) return kind;
    if (types && types->kind == COLUMN_CATEGORICAL && types->categories.n > 0 &&
        kind_of_word(&kind, types->categories.at[0]))
        return kind;
    if (types && types->kind == COLUMN_STRING && types->text.n > 0 &&
        kind_of_word(&kind, types->text.at[0]))
        return kind;
    return m->var.n_rows <= 512 ? MODALITY_ADT : MODALITY_RNA;
}

/* ------------------------------------------------------------------------------------ model */

scw_status model_new(scw_model **out, const scw_model_kind *kind, const void *options)
{
    scw_status st = SCW_OK;
    char *block = NULL;

    *out = NULL;
    TRY(mem_new(&block, (int64_t)kind->ops->size));
    scw_model *m = (scw_model *)(void *)block;
    m->kind = kind;
    memcpy(block + kind->ops->options, options, kind->options_size);
    if (kind->ops->init) kind->ops->init(m);
    m->record = json_object();
    *out = m;
    if (!m->record) FAIL(SCW_ENOMEM, "out of memory");
done:
    if (st != SCW_OK) {
        scw_model_free(*out);
        *out = NULL;
    }
    return st;
}

void scw_model_free(scw_model *m)
{
    if (!m) return;
    m->kind->ops->clear(m);
    strings_clear(&m->classes);
    strings_clear(&m->batches);
    for (int k = 0; k < m->n_modalities; k++) {
        mem_free(m->modality[k].name);
        strings_clear(&m->modality[k].features);
        transform_clear(&m->modality[k].prep);
    }
    json_decref(m->record);
    mem_free(m);
}

const void *model_options(const scw_model *m)
{
    return (const char *)m + m->kind->ops->options;
}

void scw_model_options(void *options, const scw_model *m)
{
    memcpy(options, model_options(m), m->kind->options_size);
}

const scw_model_kind *scw_model_kind_of(const scw_model *m)
{
    return m->kind;
}

static model_intake intake_of(const scw_model *m)
{
    model_intake intake = {0};

    m->kind->ops->intake(&intake, m);
    return intake;
}

int64_t model_best_class(const float *scores, int64_t n)
{
    int64_t best = 0;

    for (int64_t c = 1; c < n; c++)
        if (scores[c] > scores[best]) best = c;
    return best;
}

int64_t model_n_batches(const scw_model *m)
{
    return m->batches.n > 1 ? m->batches.n : 0;
}

scw_status model_batches(int32_t **out, const scw_model *m, const scw_dataset *d, const char *key)
{
    scw_status st = SCW_OK;
    const column *c = NULL;
    strings names = {0};
    name_index index = {0};

    TRY(dataset_obs_column(&c, d, key));
    TRY(column_classes(c, out, &names));
    TRY(name_index_build(&index, (const char *const *)m->batches.at, m->batches.n, NULL));
    for (int64_t i = 0; i < d->n_obs; i++)
        if ((*out)[i] >= 0) (*out)[i] = (int32_t)name_index_find(&index, names.at[(*out)[i]]);
done:
    strings_clear(&names);
    name_index_clear(&index);
    return st;
}

/* ------------------------------------------------------------------------------------ query */

/* The query's modality of the same name, or the only one of the same kind. */
static const modality *find_modality(const scw_model *m, int k, const scw_dataset *query,
                                     bool *by_kind)
{
    const modality *found = dataset_find_modality(query, m->modality[k].name);

    *by_kind = false;
    if (found) return found;
    for (int q = 0; q < query->n_modalities; q++) {
        const modality *x = &query->modalities[q];
        bool taken = false;
        for (int j = 0; j < m->n_modalities; j++)
            taken = taken || strcmp(m->modality[j].name, x->name) == 0;
        if (taken || modality_guess_kind(x) != m->modality[k].kind) continue;
        if (found) return NULL;
        found = x;
    }
    *by_kind = found != NULL;
    return found;
}

const modality *model_find_modality(const scw_model *m, int k, const scw_dataset *query)
{
    bool by_kind;

    return find_modality(m, k, query, &by_kind);
}

/* A modality that the query lacks altogether: empty rows, nowhere present. */
static scw_status prepare_absent(prepared *out, const model_modality *x, int64_t n)
{
    scw_status st = SCW_OK;

    *out = (prepared){0};
    TRY(matrix_init_csr(&out->y, n, x->features.n, 0));
    TRY(mem_new(&out->present, n));
done:
    return st;
}

/* Does the query have the model's features, those alone, in their order? Most queries do. */
static bool is_aligned(const alignment *a, const matrix *rows)
{
    if (!rows->sparse || rows->exact || rows->n_cols != a->n_vars) return false;
    for (int64_t j = 0; j < a->n_vars; j++)
        if (a->from[j] != j) return false;
    return true;
}

/* Raw counts of the query's modality `from` in the order of the model's features. */
static scw_status align_counts(matrix *counts, alignment *a, uint8_t **present,
                               const scw_model *m, int k, const modality *from, int64_t n)
{
    scw_status st = SCW_OK;
    const model_modality *x = &m->modality[k];
    const model_intake intake = intake_of(m);
    matrix rows = {0};

    TRY(alignment_build_var(a, &x->features, &from->var));
    if ((double)a->n_found < intake.min_coverage * (double)a->n_vars || a->n_found == 0)
        FAIL(SCW_EDATA,
             "modality '%s': the query has %lld of the model's %lld features (%.1f %%), fewer than "
             "--min-coverage %g; model features look like '%s', the query's like '%s'",
             x->name, (long long)a->n_found, (long long)a->n_vars,
             100.0 * (double)a->n_found / (double)a->n_vars, intake.min_coverage, x->features.at[0],
             from->var.index.n ? from->var.index.at[0] : "");
    TRY(modality_take(&rows, from, from->row_of_obs, n));
    if (is_aligned(a, &rows)) {
        *counts = rows;
        rows = (matrix){0};
    } else {
        TRY(matrix_select_columns(counts, &rows, a->from, a->n_vars));
    }
    TRY(transform_check_counts(counts, from->name, intake.fractional));
    TRY(mem_new(present, n));
    for (int64_t i = 0; i < n; i++)
        (*present)[i] = from->row_of_obs[i] >= 0;
done:
    matrix_clear(&rows);
    return st;
}

/* The modality as a part of the cells has it: the matrix and its rows are shared. */
static modality part_of(const modality *whole, int64_t from)
{
    modality part = *whole;

    part.row_of_obs = whole->row_of_obs + from;
    return part;
}

scw_status model_counts_part(matrix *counts, uint8_t **present, const scw_model *m, int k,
                             const scw_dataset *query, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    alignment a = {0};
    const modality *whole = model_find_modality(m, k, query);

    if (whole) {
        const modality part = part_of(whole, from);
        TRY(align_counts(counts, &a, present, m, k, &part, n));
    } else {
        TRY(matrix_init_csr(counts, n, m->modality[k].features.n, 0));
        TRY(mem_new(present, n));
    }
done:
    alignment_clear(&a);
    return st;
}

scw_status model_counts(matrix *counts, uint8_t **present, const scw_model *m, int k,
                        const scw_dataset *query)
{
    return model_counts_part(counts, present, m, k, query, 0, query->n_obs);
}

static scw_status prepare_present(prepared *out, model_coverage *coverage, const scw_model *m,
                                  int k, const modality *from, int64_t n)
{
    scw_status st = SCW_OK;
    alignment a = {0};
    matrix counts = {0};
    uint8_t *present = NULL;

    TRY(align_counts(&counts, &a, &present, m, k, from, n));
    coverage->n_found = a.n_found;
    coverage->column = a.column;
    TRY(transform_apply(out, &m->modality[k].prep, &counts,
                        a.n_found < a.n_vars ? a.has_feature : NULL, present,
                        intake_of(m).own_library));
    coverage->n_present = from->n_present;
done:
    alignment_clear(&a);
    matrix_clear(&counts);
    mem_free(present);
    return st;
}

static void report_coverage(const scw_model *m, int k, const model_coverage *c,
                            const modality *from, int64_t n, const scw_hooks *hooks)
{
    const char *name = m->modality[k].name;

    if (!from) {
        log_warning(hooks,
                    "the query has no modality '%s', which the model was trained with: "
                    "answers come from the others and are less certain",
                    name);
        return;
    }
    if (c->by_kind)
        log_info(hooks, "the query's modality '%s' is taken for the model's '%s'", from->name,
                 name);
    if (c->column)
        log_info(hooks, "modality '%s': the model's features are found in the query's var['%s']",
                 name, c->column);
    if (c->n_found < c->n_vars)
        log_warning(hooks,
                    "modality '%s': %lld of the model's %lld features (%.1f %%) are missing "
                    "in the query and enter at their training mean",
                    name, (long long)(c->n_vars - c->n_found), (long long)c->n_vars,
                    100.0 * (double)(c->n_vars - c->n_found) / (double)c->n_vars);
    if (c->n_present < n)
        log_warning(hooks, "modality '%s': %lld of %lld cells lack it", name,
                    (long long)(n - c->n_present), (long long)n);
    if (c->n_empty > 0)
        log_warning(hooks,
                    "modality '%s': %lld cells have no counts of the model's features and "
                    "are treated as lacking it",
                    name, (long long)c->n_empty);
}

scw_status model_prepare_part(cells *out, model_coverage *coverage, const scw_model *m,
                              const scw_dataset *query, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    int n_shared = 0;

    *out = (cells){.n = n, .n_modalities = m->n_modalities};
    for (int k = 0; k < m->n_modalities; k++) {
        model_coverage *c = &coverage[k];
        *c = (model_coverage){.n_vars = m->modality[k].features.n, .n_empty = from ? c->n_empty : 0};
        const modality *found = find_modality(m, k, query, &c->by_kind);
        n_shared += found != NULL;
        if (found) {
            const modality part = part_of(found, from);
            TRY(prepare_present(&out->x[k], c, m, k, &part, n));
        } else {
            TRY(prepare_absent(&out->x[k], &m->modality[k], n));
        }
        c->n_empty += out->x[k].n_empty;
    }
    if (n_shared == 0)
        FAIL(SCW_EDATA,
             "the query has none of the model's modalities (the first is '%s', the "
             "query's '%s')",
             m->modality[0].name, query->modalities[0].name);
done:
    if (st != SCW_OK) cells_clear(out);
    return st;
}

void model_report(const scw_model *m, const model_coverage *coverage, const scw_dataset *query,
                  const scw_hooks *hooks)
{
    bool by_kind;

    for (int k = 0; k < m->n_modalities; k++)
        report_coverage(m, k, &coverage[k], find_modality(m, k, query, &by_kind), query->n_obs,
                        hooks);
}

scw_status model_prepare(cells *out, model_coverage *coverage, const scw_model *m,
                         const scw_dataset *query, const scw_hooks *hooks)
{
    scw_status st = model_prepare_part(out, coverage, m, query, 0, query->n_obs);
    if (st == SCW_OK) model_report(m, coverage, query, hooks);
    return st;
}
