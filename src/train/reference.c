/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/reference.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"
#include "prep/align.h"

void reference_clear(reference *r)
{
    mem_free(r->obs);
    mem_free(r->labels);
    strings_clear(&r->classes);
    mem_free(r->batches);
    strings_clear(&r->batch_names);
    for (int m = 0; m < MODEL_MAX_MODALITIES; m++) {
        matrix_clear(&r->modality[m].counts);
        packed_rows_free(r->modality[m].packed);
        mem_free(r->modality[m].present);
    }
    *r = (reference){0};
}

/* Is `name` an item of the comma-separated list? */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0')) return true;
    return false;
}

static scw_status check_list(const scw_dataset *d, const char *list)
{
    scw_status st = SCW_OK;
    textbuf known = {0};
    char name[128];

    for (int k = 0; k < d->n_modalities; k++)
        TRY(text_add(&known, "%s%s", k ? ", " : "", d->modalities[k].name));
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        size_t n = strcspn(at, ",");
        if (n == 0 || n >= sizeof name) FAIL(SCW_EINVAL, "--modalities: '%s' is not a list", list);
        memcpy(name, at, n);
        name[n] = '\0';
        if (!dataset_find_modality(d, name))
            FAIL(SCW_ENOTFOUND, "--modalities: there is no modality '%s' (there are: %s)", name,
                 text_get(&known));
    }
done:
    text_clear(&known);
    return st;
}

static bool has_any(const scw_dataset *d, const char *list, int64_t i)
{
    for (int k = 0; k < d->n_modalities; k++)
        if ((!list || listed(list, d->modalities[k].name)) && d->modalities[k].row_of_obs[i] >= 0)
            return true;
    return false;
}

/* Codes of the label column; all -1 without one. */
static scw_status read_labels(int32_t **codes, strings *classes, const scw_dataset *d,
                              const char *label_key)
{
    scw_status st = SCW_OK;
    const column *c;

    if (label_key) {
        TRY(dataset_obs_column(&c, d, label_key));
        TRY(column_classes(c, codes, classes));
        goto done;
    }
    TRY(mem_new(codes, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++) (*codes)[i] = -1;
done:
    return st;
}

/* Cells with a modality that have no label too, if there are labels at all. */
static scw_status choose_any(reference *r, const scw_dataset *d, const char *label_key,
                             const char *list)
{
    scw_status st = SCW_OK;
    int32_t *codes = NULL;

    TRY(read_labels(&codes, &r->classes, d, label_key));
    TRY(mem_new(&r->obs, d->n_obs));
    TRY(mem_new(&r->labels, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++) {
        if (!has_any(d, list, i)) continue;
        r->obs[r->n] = i;
        r->labels[r->n++] = codes[i];
    }
    if (r->n == 0) FAIL(SCW_EDATA, "no cell has any of the modalities");
done:
    mem_free(codes);
    return st;
}

/* Cells with a label and a modality; classes that are left without a cell are dropped. */
static scw_status choose_labelled(reference *r, const scw_dataset *d, const char *label_key,
                                  const char *list, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int32_t *codes = NULL;
    int64_t unlabelled = 0;

    TRY(read_labels(&codes, &r->classes, d, label_key));
    TRY(mem_new(&r->obs, d->n_obs));
    TRY(mem_new(&r->labels, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++) {
        unlabelled += codes[i] < 0;
        if (codes[i] < 0 || !has_any(d, list, i)) continue;
        r->obs[r->n] = i;
        r->labels[r->n++] = codes[i];
    }
    if (unlabelled > 0)
        log_info(hooks, "%lld cells have no label in obs['%s'] and are left out",
                 (long long)unlabelled, label_key);
    if (r->n == 0) FAIL(SCW_EDATA, "obs['%s']: no cell has both a label and a modality", label_key);
    if (r->classes.n < 2)
        FAIL(SCW_EDATA, "obs['%s'] has one class only ('%s'); a classifier needs at least two",
             label_key, r->classes.at[0]);
done:
    mem_free(codes);
    return st;
}

row_list reference_rows(const reference_modality *x, const int64_t *rows, int64_t n)
{
    return (row_list){&x->counts, x->packed, rows, n};
}

scw_status reference_prepare(prepared *out, const transform *t, const reference_modality *x,
                             const int64_t *rows, int64_t n, bool file_target)
{
    scw_status st = SCW_OK;
    const row_list listed = reference_rows(x, rows, n);
    matrix counts = {0};
    uint8_t *present = NULL;

    TRY(mem_new(&present, n));
    for (int64_t i = 0; i < n; i++) present[i] = x->present[rows[i]];
    if (x->packed && !file_target) {
        TRY(transform_apply_packed(out, t, &listed, present, NULL));
    } else {
        TRY(row_list_take(&counts, &listed));
        TRY(transform_apply(out, t, &counts, NULL, present, file_target));
    }
done:
    matrix_clear(&counts);
    mem_free(present);
    return st;
}

/* How many rows are taken at a time: a share of what there is. */
static int64_t rows_at_once(const modality *m)
{
    const int64_t each = m->store->bytes / (m->x.n_rows + 1) + 1;
    const int64_t n = m->store->memory_bytes / 8 / each;

    return n < 1 ? 1 : n > BLOCK_READER_ROWS ? BLOCK_READER_ROWS : n;
}

/* The listed rows, with the columns of a model where there is one. */
static scw_status take_rows(matrix *out, const modality *m, const int64_t *rows, int64_t n,
                            const alignment *as)
{
    scw_status st = SCW_OK;
    matrix own = {0};

    if (!as) return modality_take(out, m, rows, n);
    TRY(modality_take(&own, m, rows, n));
    TRY(matrix_select_columns(out, &own, as->from, as->n_vars));
done:
    matrix_clear(&own);
    return st;
}

/* One pass through the file: the rows are checked, and packed. */
static scw_status pack_rows(reference_modality *x, const modality *m, const int64_t *rows, int64_t n,
                            const alignment *as, bool allow_fractional, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const int64_t step = rows_at_once(m);
    matrix part = {0};
    matrix_summary seen = {0};
    uint8_t *columns = NULL;
    bool any = false;

    TRY(packed_rows_new(&x->packed, x->features->n, m->store->folder));
    TRY(mem_new(&columns, x->features->n));
    for (int64_t at = 0; at < n; at += step) {
        TRY(log_check_cancel(hooks));
        matrix_clear(&part);
        TRY(take_rows(&part, m, rows + at, n - at < step ? n - at : step, as));
        matrix_summarise_part(&seen, columns, &any, &part);
        TRY(packed_rows_add(x->packed, &part));
    }
    TRY(transform_check_summary(&seen, m->name, allow_fractional));
    x->counts = (matrix){.n_rows = n, .n_cols = x->features->n, .sparse = true};
    TRY(mem_new(&x->counts.indptr, n + 1));
    memcpy(x->counts.indptr, x->packed->indptr, (size_t)(n + 1) * sizeof *x->counts.indptr);
    log_info(hooks, "modality '%s': the counts of %lld cells wait in a temporary file, %.1f of %.1f MB",
             m->name, (long long)n, (double)x->packed->file.size / 1e6, (double)m->store->bytes / 1e6);
done:
    matrix_clear(&part);
    mem_free(columns);
    return st;
}

/* Where the model's features stand in the data, which must have them all: what a modality lacks would be
 * taught as zeros. */
static scw_status align_to(alignment *out, const model_modality *as, const modality *m)
{
    scw_status st = SCW_OK;
    int64_t first = 0;

    TRY(alignment_build_var(out, &as->features, &m->var));
    while (first < out->n_vars && out->has_feature[first]) first++;
    if (first < out->n_vars)
        FAIL(SCW_EDATA,
             "modality '%s': the data lack %lld of the %lld features of the model to start from; the first "
             "is '%s'. Of several files only features that all have are read; --join says otherwise",
             m->name, (long long)(out->n_vars - out->n_found), (long long)out->n_vars,
             as->features.at[first]);
done:
    return st;
}

/* `like`: what a model has for it; NULL: the modality stays as it is. */
static scw_status add_modality(reference *r, const modality *m, const model_modality *like,
                               bool allow_fractional, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    alignment as = {0};
    int64_t *rows = NULL, n_empty = 0;

    if (r->n_modalities == MODEL_MAX_MODALITIES)
        FAIL(SCW_EUNSUPPORTED, "more than %d modalities", MODEL_MAX_MODALITIES);
    if (strlen(m->name) >= MODEL_NAME)
        FAIL(SCW_EUNSUPPORTED, "modality name '%s' is longer than 63 bytes", m->name);
    reference_modality *x = &r->modality[r->n_modalities++];
    *x = (reference_modality){
        .name = m->name, .kind = modality_guess_kind(m), .features = &m->var.index};
    if (like) {
        TRY(align_to(&as, like, m));
        *x = (reference_modality){.name = like->name, .kind = like->kind, .features = &like->features};
    }
    TRY(mem_new(&rows, r->n));
    TRY(mem_new(&x->present, r->n));
    for (int64_t i = 0; i < r->n; i++) {
        rows[i] = m->row_of_obs[r->obs[i]];
        x->present[i] = rows[i] >= 0;
    }
    if (m->store) {
        TRY(pack_rows(x, m, rows, r->n, like ? &as : NULL, allow_fractional, hooks));
    } else {
        TRY(take_rows(&x->counts, m, rows, r->n, like ? &as : NULL));
        TRY(transform_check_counts(&x->counts, m->name, allow_fractional));
    }
    for (int64_t i = 0; i < r->n; i++)
        n_empty += x->present[i] && x->counts.indptr[i] == x->counts.indptr[i + 1];
    if (n_empty > 0)
        log_warning(hooks,
                    "modality '%s': %lld cells have no counts at all; they are treated as "
                    "lacking it",
                    m->name, (long long)n_empty);
done:
    alignment_clear(&as);
    mem_free(rows);
    return st;
}

#define LEAST_OF_CLASS 50 /* cells of a class that a sample keeps where there are so many */

typedef struct ticket {
    double score;
    int64_t cell;
} ticket;

static int by_score(const void *a, const void *b)
{
    const ticket *x = a, *y = b;

    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

/* Marks the cells of one class that a sample keeps: those with the lowest tickets. */
static void draw_class(uint8_t *keep, ticket *tickets, const reference *r, int32_t class,
                       int64_t n_cells, uint64_t seed)
{
    const rng_key key = rng_make_key(seed, RNG_SAMPLE, 1);
    int64_t n = 0;

    for (int64_t i = 0; i < r->n; i++)
        if (r->labels[i] == class)
            tickets[n++] = (ticket){rng_uniform(key, 0, (uint64_t)r->obs[i]), i};
    qsort(tickets, (size_t)n, sizeof *tickets, by_score);
    int64_t share = (int64_t)((double)n_cells * (double)n / (double)r->n + 0.5);
    if (share < LEAST_OF_CLASS) share = LEAST_OF_CLASS;
    for (int64_t k = 0; k < n && k < share; k++) keep[tickets[k].cell] = 1;
}

static scw_status sample_cells(reference *r, int64_t n_cells, uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    uint8_t *keep = NULL;
    ticket *tickets = NULL;
    int64_t n = 0;

    if (n_cells <= 0 || n_cells >= r->n) return SCW_OK;
    TRY(mem_new(&keep, r->n));
    TRY(mem_new(&tickets, r->n));
    for (int64_t c = -1; c < r->classes.n; c++)
        draw_class(keep, tickets, r, (int32_t)c, n_cells, seed);
    for (int64_t i = 0; i < r->n; i++) {
        if (!keep[i]) continue;
        r->obs[n] = r->obs[i];
        r->labels[n++] = r->labels[i];
    }
    log_info(hooks, "training on a sample of %lld of %lld cells", (long long)n, (long long)r->n);
    r->n = n;
done:
    mem_free(keep);
    mem_free(tickets);
    return st;
}

scw_status reference_build(reference *out, const scw_dataset *d, const char *label_key,
                           const char *modalities, bool allow_fractional, const scw_hooks *hooks)
{
    return reference_build_sample(out, d, label_key, modalities, allow_fractional, 0, 0, hooks);
}

/* The counts of the chosen cells. */
static scw_status take_cells(reference *r, const scw_dataset *d, const char *modalities,
                             bool allow_fractional, int64_t n_cells, uint64_t seed,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    TRY(sample_cells(r, n_cells, seed, hooks));
    for (int k = 0; k < d->n_modalities; k++)
        if (!modalities || listed(modalities, d->modalities[k].name))
            TRY(add_modality(r, &d->modalities[k], NULL, allow_fractional, hooks));
done:
    return st;
}

scw_status reference_build_sample(reference *out, const scw_dataset *d, const char *label_key,
                                  const char *modalities, bool allow_fractional, int64_t n_cells,
                                  uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    *out = (reference){0};
    if (!label_key || !*label_key)
        FAIL(SCW_EINVAL,
             "no label column given: name the obs column with the cell types (--label)");
    if (modalities) TRY(check_list(d, modalities));
    TRY(choose_labelled(out, d, label_key, modalities, hooks));
    TRY(take_cells(out, d, modalities, allow_fractional, n_cells, seed, hooks));
done:
    if (st != SCW_OK) reference_clear(out);
    return st;
}

scw_status reference_build_cells(reference *out, const scw_dataset *d, const char *label_key,
                                 const char *modalities, bool allow_fractional, int64_t n_cells,
                                 uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    *out = (reference){0};
    if (modalities) TRY(check_list(d, modalities));
    TRY(choose_any(out, d, label_key, modalities));
    TRY(take_cells(out, d, modalities, allow_fractional, n_cells, seed, hooks));
done:
    if (st != SCW_OK) reference_clear(out);
    return st;
}

scw_status reference_set_batches(reference *r, const scw_dataset *d, const char *key)
{
    scw_status st = SCW_OK;
    const column *c = NULL;
    int32_t *codes = NULL;
    int64_t n_missing = 0;

    TRY(dataset_obs_column(&c, d, key));
    TRY(column_classes(c, &codes, &r->batch_names));
    TRY(mem_new(&r->batches, r->n));
    for (int64_t i = 0; i < r->n; i++) {
        r->batches[i] = codes[r->obs[i]];
        n_missing += r->batches[i] < 0;
    }
    if (n_missing > 0)
        FAIL(SCW_EDATA, "obs['%s']: %lld of %lld cells have no batch; each must name one", key,
             (long long)n_missing, (long long)r->n);
done:
    mem_free(codes);
    return st;
}

/* ------------------------------------------------------------------------------ like a model */

/* Every modality of the model, and no other. */
static scw_status add_like(reference *r, const scw_dataset *d, const scw_model *m, bool allow_fractional,
                           const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const modality *found[MODEL_MAX_MODALITIES];

    for (int k = 0; k < m->n_modalities; k++) {
        found[k] = model_find_modality(m, k, d);
        if (!found[k])
            FAIL(SCW_EDATA, "the data have no modality '%s', which the model to start from has",
                 m->modality[k].name);
    }
    for (int q = 0; q < d->n_modalities; q++) {
        bool known = false;
        for (int k = 0; k < m->n_modalities; k++) known = known || found[k] == &d->modalities[q];
        if (!known)
            FAIL(SCW_EDATA,
                 "the data have a modality '%s' that the model to start from does not know; leave it out, "
                 "or fit a new model",
                 d->modalities[q].name);
    }
    for (int k = 0; k < m->n_modalities; k++)
        TRY(add_modality(r, found[k], &m->modality[k], allow_fractional, hooks));
done:
    return st;
}

/* `first` before all other names; codes follow. */
static scw_status put_first(strings *names, int32_t *codes, int64_t n, const strings *first)
{
    scw_status st = SCW_OK;
    strings all = {0};
    name_index index = {0};
    int32_t *now = NULL;

    TRY(strings_copy(&all, first));
    TRY(name_index_build(&index, (const char *const *)first->at, first->n, NULL));
    TRY(mem_new(&now, names->n));
    for (int64_t k = 0; k < names->n; k++) {
        const int64_t at = name_index_find(&index, names->at[k]);
        now[k] = (int32_t)(at >= 0 ? at : all.n);
        if (at < 0) TRY(strings_add(&all, names->at[k]));
    }
    for (int64_t i = 0; i < n; i++)
        if (codes[i] >= 0) codes[i] = now[codes[i]];
    strings_clear(names);
    *names = all;
    all = (strings){0};
done:
    strings_clear(&all);
    name_index_clear(&index);
    mem_free(now);
    return st;
}

scw_status reference_build_like(reference *out, const scw_dataset *d, const scw_model *m,
                                const char *label_key, const char *batch_key, bool allow_fractional,
                                int64_t n_cells, uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    *out = (reference){0};
    TRY(choose_any(out, d, label_key, NULL));
    TRY(sample_cells(out, n_cells, seed, hooks));
    TRY(add_like(out, d, m, allow_fractional, hooks));
    TRY(put_first(&out->classes, out->labels, out->n, &m->classes));
    if (!batch_key) goto done;
    TRY(reference_set_batches(out, d, batch_key));
    TRY(put_first(&out->batch_names, out->batches, out->n, &m->batches));
done:
    if (st != SCW_OK) reference_clear(out);
    return st;
}
