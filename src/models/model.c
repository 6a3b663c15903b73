/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/model.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "prep/align.h"

#define INFER_ROWS 512 /* cells of one inference block */

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

scw_status model_new(scw_model **out, const scw_model_kind *kind, const matilda_options *options)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, 1));
    (*out)->kind = kind;
    (*out)->options = *options;
    (*out)->calibration.temperature = 1.0;
    (*out)->record = json_object();
    if (!(*out)->record) FAIL(SCW_ENOMEM, "out of memory");
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
    strings_clear(&m->classes);
    strings_clear(&m->batches);
    for (int k = 0; k < m->n_modalities; k++) {
        mem_free(m->modality[k].name);
        strings_clear(&m->modality[k].features);
        transform_clear(&m->modality[k].prep);
    }
    matilda_net_clear(&m->net);
    calibration_clear(&m->calibration);
    subsets_clear(&m->subsets);
    class_means_clear(&m->means);
    count_heads_clear(&m->counts);
    json_decref(m->record);
    mem_free(m);
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

static int64_t hidden_width(const matilda_options *o, modality_kind kind)
{
    return kind == MODALITY_ADT    ? o->hidden_adt
           : kind == MODALITY_ATAC ? o->hidden_atac
                                   : o->hidden_rna;
}

void model_config(const scw_model *m, const int64_t *components, matilda_config *out)
{
    const matilda_options *o = &m->options;

    *out = (matilda_config){
        .n_modalities = m->n_modalities,
        .n_classes = m->classes.n,
        .z_dim = o->z_dim,
        .n_batches = model_n_batches(m),
        .n_joint = o->joint,
        .drop = o->dropout,
        /* The authors' three-modality class has no dropout on mu and logvar (specs 3.3). */
        .latent_drop = m->n_modalities >= 3 ? 0.0 : o->dropout,
        .input_drop = o->input_dropout,
        .feature_weight = o->feature_weights != 0,
        .feature_weight_init = 0.001,
        .shortcut = o->shortcut != 0,
        .classify_mean = o->classify_mean,
        .linear_decoder = o->linear_decoder != 0,
        .smoothing = o->smoothing,
        .smoothing_classes =
            o->smoothing_classes ? (double)o->smoothing_classes : (double)m->classes.n,
        .variance_error = o->rec_error == 1,
        .rec_weight = o->rec_weight,
        .kl_weight = o->kl_weight,
        .cls_weight = o->cls_weight};
    for (int k = 0; k < m->n_modalities; k++) {
        matilda_modality *x = &out->modality[k];
        (void)snprintf(x->name, sizeof x->name, "%s", m->modality[k].name);
        x->n_vars = m->modality[k].features.n;
        x->n_hidden = hidden_width(o, m->modality[k].kind);
        x->n_components = components[k];
    }
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

/* Raw counts of the query's modality `from` in the order of the model's features. */
static scw_status align_counts(matrix *counts, alignment *a, uint8_t **present,
                               const scw_model *m, int k, const modality *from, int64_t n)
{
    scw_status st = SCW_OK;
    const model_modality *x = &m->modality[k];
    matrix rows = {0};

    TRY(alignment_build_var(a, &x->features, &from->var));
    if ((double)a->n_found < m->options.min_coverage * (double)a->n_vars || a->n_found == 0)
        FAIL(SCW_EDATA,
             "modality '%s': the query has %lld of the model's %lld features (%.1f %%), fewer than "
             "--min-coverage %g; model features look like '%s', the query's like '%s'",
             x->name, (long long)a->n_found, (long long)a->n_vars,
             100.0 * (double)a->n_found / (double)a->n_vars, m->options.min_coverage,
             x->features.at[0], from->var.index.n ? from->var.index.at[0] : "");
    TRY(modality_take(&rows, from, from->row_of_obs, n));
    TRY(matrix_select_columns(counts, &rows, a->from, a->n_vars));
    TRY(transform_check_counts(counts, from->name, m->options.fractional));
    TRY(mem_new(present, n));
    for (int64_t i = 0; i < n; i++)
        (*present)[i] = from->row_of_obs[i] >= 0;
done:
    matrix_clear(&rows);
    return st;
}

scw_status model_counts(matrix *counts, uint8_t **present, const scw_model *m, int k,
                        const scw_dataset *query)
{
    scw_status st = SCW_OK;
    alignment a = {0};
    bool by_kind;
    const modality *from = find_modality(m, k, query, &by_kind);

    if (from) {
        TRY(align_counts(counts, &a, present, m, k, from, query->n_obs));
    } else {
        TRY(matrix_init_csr(counts, query->n_obs, m->modality[k].features.n, 0));
        TRY(mem_new(present, query->n_obs));
    }
done:
    alignment_clear(&a);
    return st;
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
                        m->options.file_library));
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

/* The modality as a part of the cells has it: the matrix and its rows are shared. */
static modality part_of(const modality *whole, int64_t from)
{
    modality part = *whole;

    part.row_of_obs = whole->row_of_obs + from;
    return part;
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

/* -------------------------------------------------------------------------------- inference */

int model_path_of(const scw_model *m, const cells *c, int64_t i)
{
    return subsets_find(&m->subsets, cells_mask(c, i));
}

static void copy_out(float *to, const tensor *from)
{
    for (int64_t e = 0; to && e < from->size; e++)
        to[e] = (float)from->value[e];
}

/* One inference: whose answer, with which weights. */
typedef struct inference {
    const scw_model *m;
    const params *p;
    const cells *c;
    int as;
} inference;

/* The rows that the subsets answer for: all by path `as`, or each by what it has. */
static void answer_subsets(const inference *q, const int64_t *rows, int64_t n, tensor *const *v,
                           float *logits, float *latent)
{
    const scw_model *m = q->m;

    if (m->subsets.n == 0 || q->as == MODEL_AS_NETWORK) return;
    PARALLEL_FOR_IF(n > 64)
    for (int64_t i = 0; i < n; i++) {
        int k = q->as >= 0 ? q->as : model_path_of(m, q->c, rows[i]);
        if (k < 0) continue;
        subset_path_apply(&m->subsets, k, &m->net.config, v, i,
                          logits ? logits + i * m->classes.n : NULL,
                          latent ? latent + i * m->options.z_dim : NULL);
    }
}

/* u_m - s_m of the cell's batch, where the cell has the modality. */
static void shift_inputs(const inference *q, const int64_t *rows, int64_t n, tensor *const *v)
{
    const cells *c = q->c;

    for (int k = 0; c->batch && k < q->m->n_modalities; k++) {
        if (!c->shift[k]) continue;
        const int64_t width = q->m->net.config.modality[k].n_components;
        for (int64_t i = 0; i < n; i++) {
            if (c->x[k].present && !(c->x[k].present[rows[i]] > 0.0f)) continue;
            const float *shift = c->shift[k] + c->batch[rows[i]] * width;
            for (int64_t j = 0; j < width; j++) v[k]->value[i * width + j] -= (real)shift[j];
        }
    }
}

static scw_status infer_block(const inference *q, tape *t, const int64_t *rows, int64_t n,
                              uint32_t block, float *logits, float *latent)
{
    scw_status st = SCW_OK;
    const scw_model *m = q->m;
    tensor *v[MODEL_MAX_MODALITIES];
    model_batch batch;
    model_outputs out;

    tape_reset(t, TAPE_EVAL);
    cells_gather(t, q->c, rows, n, &batch);
    nn_pass pass = {.t = t, .p = q->p, .seed = 1, .step = block};
    if (m->options.sample_latent) {
        /* The authors sample z at inference too. */
        real *eps = tape_alloc(t, n * m->options.z_dim, sizeof *eps);
        if (eps)
            for (int64_t e = 0; e < n * m->options.z_dim; e++)
                eps[e] = (real)rng_normal(rng_make_key(1, RNG_LATENT, 1), block, (uint64_t)e);
        batch.eps = eps;
    }
    matilda_first(&m->net, &pass, &batch, v);
    TRY(tape_status(t));
    shift_inputs(q, rows, n, v);
    if (q->as < 0) {
        matilda_forward_from(&m->net, &pass, &batch, v, false, &out);
        TRY(tape_status(t));
        copy_out(logits, out.logits);
        copy_out(latent, m->options.sample_latent ? out.z : out.mu);
    }
    answer_subsets(q, rows, n, v, logits, latent);
done:
    return st;
}

static scw_status infer(const inference *q, const int64_t *rows, int64_t n, float *logits,
                        float *latent)
{
    scw_status st = SCW_OK;
    const scw_model *m = q->m;
    tape *t = NULL;
    int64_t *all = NULL;

    TRY(tape_new(&t));
    if (!rows) {
        TRY(mem_new(&all, n));
        for (int64_t i = 0; i < n; i++)
            all[i] = i;
        rows = all;
    }
    for (int64_t from = 0; from < n; from += INFER_ROWS) {
        int64_t size = n - from < INFER_ROWS ? n - from : INFER_ROWS;
        TRY(infer_block(q, t, rows + from, size, (uint32_t)(from / INFER_ROWS),
                        logits ? logits + from * m->classes.n : NULL,
                        latent ? latent + from * m->options.z_dim : NULL));
    }
done:
    tape_free(t);
    mem_free(all);
    return st;
}

scw_status model_infer(const scw_model *m, const params *p, const cells *c, const int64_t *rows,
                       int64_t n, float *logits, float *latent)
{
    return infer(&(inference){m, p, c, MODEL_AS_PRESENT}, rows, n, logits, latent);
}

scw_status model_infer_as(const scw_model *m, int as, const cells *c, const int64_t *rows,
                          int64_t n, float *logits, float *latent)
{
    return infer(&(inference){m, &m->net.p, c, as}, rows, n, logits, latent);
}

const calibration *model_calibration(const scw_model *m, int k)
{
    return k >= 0 && m->subsets.at[k].calibration.n > 0 ? &m->subsets.at[k].calibration
                                                        : &m->calibration;
}

int64_t model_best_class(const float *scores, int64_t n)
{
    int64_t best = 0;

    for (int64_t c = 1; c < n; c++)
        if (scores[c] > scores[best]) best = c;
    return best;
}

/* Adds a block's squared error and squared size of each modality's inputs. */
static scw_status explain_block(const scw_model *m, tape *t, const cells *c, const int64_t *rows,
                                int64_t n, double *error, double *size)
{
    scw_status st = SCW_OK;
    model_batch batch;
    model_outputs out;

    tape_reset(t, TAPE_EVAL);
    cells_gather(t, c, rows, n, &batch);
    nn_pass pass = {.t = t, .p = &m->net.p};
    matilda_forward(&m->net, &pass, &batch, true, &out);
    TRY(tape_status(t));
    for (int k = 0; k < m->n_modalities; k++) {
        tensor *p = out.recon[k];
        error[k] += kernel_affine_squared_error(&batch.x[k], p->value);
        memset(p->value, 0, (size_t)p->size * sizeof(real));
        size[k] += kernel_affine_squared_error(&batch.x[k], p->value);
    }
done:
    return st;
}

scw_status model_explained_variance(const scw_model *m, const cells *c, double *out)
{
    scw_status st = SCW_OK;
    tape *t = NULL;
    int64_t rows[INFER_ROWS];
    double error[MODEL_MAX_MODALITIES] = {0}, size[MODEL_MAX_MODALITIES] = {0};

    TRY(tape_new(&t));
    for (int64_t from = 0; from < c->n; from += INFER_ROWS) {
        int64_t n = c->n - from < INFER_ROWS ? c->n - from : INFER_ROWS;
        for (int64_t i = 0; i < n; i++)
            rows[i] = from + i;
        TRY(explain_block(m, t, c, rows, n, error, size));
    }
    for (int k = 0; k < m->n_modalities; k++)
        out[k] = size[k] > 0.0 ? 1.0 - error[k] / size[k] : NAN;
done:
    tape_free(t);
    return st;
}
