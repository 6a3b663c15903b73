/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/paired_cells.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "train/fit.h"

#define LEAST_CELLS 10 /* of a modality, to learn from */
#define SCORE_ROWS 512 /* cells of one block */

static scw_status add_modality(paired_cells *j, int k)
{
    scw_status st = SCW_OK;
    const reference_modality *x = &j->fit->ref->modality[k];
    model_modality *to = &j->model->modality[k];
    uint8_t *present;
    int64_t n = 0;

    j->model->n_modalities = j->cells.n_modalities = k + 1;
    to->kind = x->kind;
    TRY(mem_strdup(&to->name, x->name));
    TRY(strings_copy(&to->features, x->features));
    TRY(mem_new(&j->cells.present[k], j->fit->ref->n));
    present = j->cells.present[k];
    for (int64_t i = 0; i < j->fit->ref->n; i++) {
        present[i] = x->present[i] && x->counts.indptr[i] < x->counts.indptr[i + 1];
        n += present[i];
    }
    if (n < LEAST_CELLS)
        FAIL(SCW_EDATA, "modality '%s': %lld cells have counts of it; %s needs at least %d", x->name,
             (long long)n, j->model->kind->name, LEAST_CELLS);
    j->cells.counts[k] = reference_rows(x, j->all, j->fit->ref->n);
    log_info(j->fit->hooks, "  %s: %lld features, %lld cells", x->name, (long long)x->features->n,
             (long long)n);
done:
    return st;
}

/* The validation share is taken from cells alike: those that have the same modalities. */
static scw_status split(paired_cells *j)
{
    scw_status st = SCW_OK;
    const int64_t n = j->fit->ref->n;
    int32_t *mask = NULL;

    TRY(mem_new(&mask, n));
    TRY(mem_new(&j->train, n));
    TRY(mem_new(&j->validation, n));
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < j->cells.n_modalities; k++)
            mask[i] |= j->cells.present[k][i] << k;
    TRY(fit_split(j->train, &j->n_train, j->validation, &j->n_validation, mask, j->all, n,
                  (int64_t)1 << j->cells.n_modalities, j->options.validation, j->fit->seed));
    /* A cell without counts of anything teaches nothing. */
    int64_t kept = 0;
    for (int64_t i = 0; i < j->n_train; i++)
        if (mask[j->train[i]]) j->train[kept++] = j->train[i];
    j->n_train = kept;
    kept = 0;
    for (int64_t i = 0; i < j->n_validation; i++)
        if (mask[j->validation[i]]) j->validation[kept++] = j->validation[i];
    j->n_validation = kept;
done:
    mem_free(mask);
    return st;
}

static transform_kind transform_for(modality_kind kind)
{
    return kind == MODALITY_ADT    ? TRANSFORM_CLR
           : kind == MODALITY_ATAC ? TRANSFORM_TFIDF
                                   : TRANSFORM_LOG;
}

/* Scores of all cells of a modality from its prepared rows. */
static scw_status score(paired_cells *j, int k, const cells *ready)
{
    scw_status st = SCW_OK;
    const modality_input *in = &j->input[k];
    const int64_t n = j->fit->ref->n;
    tape *t = NULL;

    mem_free(j->cells.input[k]);
    j->cells.input[k] = NULL;
    TRY(mem_new(&j->cells.input[k], n * in->width));
    j->cells.width[k] = in->width;
    TRY(tape_new(&t));
    for (int64_t from = 0; from < n; from += SCORE_ROWS) {
        const int64_t size = n - from < SCORE_ROWS ? n - from : SCORE_ROWS;
        model_batch b;
        tape_reset(t, TAPE_EVAL);
        cells_gather(t, ready, j->all + from, size, &b);
        real *scores = tape_alloc(t, size * in->width, sizeof *scores);
        TRY(tape_status(t));
        if (b.n != size || !scores) FAIL(SCW_ENOMEM, "out of memory while preparing cells");
        modality_input_apply(scores, in, &b.x[0]);
        for (int64_t e = 0; e < size * in->width; e++)
            j->cells.input[k][from * in->width + e] = (float)scores[e];
    }
done:
    tape_free(t);
    return st;
}

/* Transform and scores of modality k, fitted on the training cells. */
static scw_status learn(paired_cells *j, int k, cells *ready)
{
    scw_status st = SCW_OK;
    const reference_modality *x = &j->fit->ref->modality[k];
    model_modality *to = &j->model->modality[k];
    const transform_options options = {.kind = transform_for(x->kind), .target = j->options.library};
    int64_t *rows = NULL, n = 0;
    block_reader *training = NULL;

    TRY(mem_new(&rows, j->n_train));
    for (int64_t i = 0; i < j->n_train; i++)
        if (j->cells.present[k][j->train[i]]) rows[n++] = j->train[i];
    if (n < 2) FAIL(SCW_EDATA, "modality '%s': fewer than two training cells have it", x->name);
    const row_list listed = reference_rows(x, rows, n);
    TRY(row_list_reader(&training, &listed));
    st = transform_fit_rows(&to->prep, training, &options, j->fit->hooks);
    if (st != SCW_OK) {
        st = status_prefix(st, "modality '%s'", x->name);
        goto done;
    }
    TRY(reference_prepare(&ready->x[0], &to->prep, x, j->all, j->fit->ref->n, false));
    TRY(modality_input_fit(&j->input[k], x->kind, &ready->x[0], &to->prep, rows, n,
                       &j->options.input));
done:
    block_reader_free(training);
    mem_free(rows);
    return st;
}

/* Those of the model that the fit starts from. */
static scw_status take_over(paired_cells *j, int k, cells *ready)
{
    scw_status st = SCW_OK;
    model_modality *to = &j->model->modality[k];

    TRY(transform_copy(&to->prep, &j->fit->from->modality[k].prep));
    TRY(modality_input_copy(&j->input[k], &j->from_input[k]));
    TRY(reference_prepare(&ready->x[0], &to->prep, &j->fit->ref->modality[k], j->all,
                          j->fit->ref->n, false));
done:
    return st;
}

/* Transform and scores of modality k, applied to all cells. */
static scw_status prepare(paired_cells *j, int k)
{
    scw_status st = SCW_OK;
    cells ready = {.n = j->fit->ref->n, .n_modalities = 1};

    transform_clear(&j->model->modality[k].prep);
    modality_input_clear(&j->input[k]);
    TRY(j->fit->from ? take_over(j, k, &ready) : learn(j, k, &ready));
    TRY(score(j, k, &ready));
done:
    cells_clear(&ready);
    return st;
}

/* Do cells tie all modalities together? */
static scw_status check_pairs(const paired_cells *j)
{
    int32_t group[MODEL_MAX_MODALITIES];
    const int K = j->cells.n_modalities;

    for (int k = 0; k < K; k++) group[k] = k;
    for (int64_t i = 0; i < j->fit->ref->n; i++)
        for (int k = 0; k < K; k++)
            for (int l = k + 1; l < K; l++) {
                if (!j->cells.present[k][i] || !j->cells.present[l][i] || group[k] == group[l])
                    continue;
                const int32_t old = group[l];
                for (int m = 0; m < K; m++)
                    if (group[m] == old) group[m] = group[k];
            }
    for (int k = 1; k < K; k++)
        if (group[k] != group[0])
            return status_fail(
                SCW_EDATA,
                "no cell has '%s' together with '%s' or what goes with it: nothing says which of "
                "their cells are alike. Add cells measured in both, as a bridge, or see that the "
                "files name the same cells alike",
                j->model->modality[k].name, j->model->modality[0].name);
    return SCW_OK;
}

scw_status paired_cells_init(paired_cells *j)
{
    scw_status st = SCW_OK;
    const reference *r = j->fit->ref;

    if (r->n_modalities < 2)
        FAIL(SCW_EDATA, "%s puts modalities into one space and needs at least two; the data have "
             "one, '%s'", j->model->kind->name, r->n_modalities ? r->modality[0].name : "");
    if (r->batches) TRY(strings_copy(&j->model->batches, &r->batch_names));
    j->cells.n = r->n;
    j->cells.batch = r->batches;
    TRY(mem_new(&j->all, r->n));
    for (int64_t i = 0; i < r->n; i++) j->all[i] = i;
    for (int k = 0; k < r->n_modalities; k++) TRY(add_modality(j, k));
    TRY(check_pairs(j));
    TRY(split(j));
    TRY(paired_cells_choose(j));
done:
    return st;
}

/* Only a logarithm depends on the library size, only chromatin on how its rows are read. */
static bool is_scored(const paired_cells *j, int k)
{
    const paired_scored *s = &j->scored[k];

    const transform_kind by = transform_for(j->fit->ref->modality[k].kind);

    return s->n_train == j->n_train && (by != TRANSFORM_LOG || s->library == j->options.library) &&
           (by != TRANSFORM_TFIDF || s->unit_rows == j->options.input.unit_rows);
}

scw_status paired_cells_score(paired_cells *j)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < j->fit->ref->n_modalities; k++) {
        TRY(log_check_cancel(j->fit->hooks));
        if (is_scored(j, k)) continue;
        TRY(prepare(j, k));
        j->scored[k] = (paired_scored){j->n_train, j->options.library, j->options.input.unit_rows};
    }
done:
    return st;
}

void paired_cells_join(paired_cells *j)
{
    memcpy(j->train + j->n_train, j->validation, (size_t)j->n_validation * sizeof *j->train);
    j->n_train += j->n_validation;
    j->n_validation = 0;
}

void paired_cells_clear(paired_cells *j)
{
    paired_set_clear(&j->cells);
    mem_free(j->all);
    mem_free(j->train);
    mem_free(j->validation);
    *j = (paired_cells){0};
}

void paired_cells_view(linear_path_cells *out, const paired_cells *j, const int64_t *rows, int64_t n)
{
    *out = (linear_path_cells){.n = n, .rows = rows, .n_sets = j->cells.n_modalities};
    for (int k = 0; k < out->n_sets; k++) {
        out->name[k] = j->model->modality[k].name;
        out->width[k] = j->cells.width[k];
        out->input[k] = j->cells.input[k];
        out->present[k] = j->cells.present[k];
    }
}

scw_status paired_cells_path(linear_path *out, const paired_cells *j)
{
    scw_status st = SCW_OK;
    linear_path_cells c;

    paired_cells_view(&c, j, j->train, j->n_train);
    TRY(linear_path_fit(out, &c, &j->options.path));
    log_detail(j->fit->hooks, "linear path: first correlation %.3f", out->correlation[0]);
done:
    return st;
}
