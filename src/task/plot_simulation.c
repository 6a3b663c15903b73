/* SPDX-License-Identifier: BSD-3-Clause */
/* Simulated cells against real ones. For each modality both files have, on the features both have:
 * mean count and share of zeros of each feature, and the two first principal components of the real
 * cells, on which the simulated ones are placed by the same transform. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "data/dataset.h"
#include "models/model.h"
#include "plot/compare.h"
#include "prep/pca.h"
#include "task/drawing.h"
#include "task/obs.h"

enum { REAL = 0, SIMULATED, SIDES };

/* One modality of both files, with the same columns. */
typedef struct pair {
    matrix counts[SIDES]; /* CSR */
    double *mean[SIDES], *zeros[SIDES];
    float *components;
    char *name;
} pair;

static void pair_clear(pair *p)
{
    for (int s = 0; s < SIDES; s++) {
        matrix_clear(&p->counts[s]);
        mem_free(p->mean[s]);
        mem_free(p->zeros[s]);
    }
    mem_free(p->components);
    mem_free(p->name);
    *p = (pair){0};
}

/* Which cells of the second file are simulated: those that obs['simulated'] marks. */
static scw_status keep_simulated(bool *keep, const scw_dataset *data, const char *path,
                                 const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int32_t *codes = NULL;
    strings names = {0};
    int64_t n = 0;

    for (int64_t i = 0; i < data->n_obs; i++)
        keep[i] = true;
    if (!frame_find(&data->obs, "simulated")) {
        log_warning(
            hooks, "%s: has no obs column 'simulated'; all its cells are taken as simulated", path);
        return SCW_OK;
    }
    TRY(obs_classes(&codes, &names, data, path, "simulated"));
    for (int64_t i = 0; i < data->n_obs; i++) {
        const char *word = codes[i] < 0 ? "" : names.at[codes[i]];
        keep[i] = strcmp(word, "True") == 0 || strcmp(word, "1") == 0 || strcmp(word, "true") == 0;
        n += keep[i];
    }
    if (n == 0) FAIL(SCW_EDATA, "%s: obs column 'simulated' marks no cell", path);
done:
    mem_free(codes);
    strings_clear(&names);
    return st;
}

/* Columns of both that have the same name, in the order of the first. */
static scw_status common_features(int64_t **of_real, int64_t **of_simulated, int64_t *n,
                                  const modality *a, const modality *b)
{
    scw_status st = SCW_OK;
    const strings *names = &a->var.index, *others = &b->var.index;
    name_index index = {0};

    *n = 0;
    TRY(mem_new(of_real, names->n));
    TRY(mem_new(of_simulated, names->n));
    TRY(name_index_build(&index, (const char *const *)others->at, others->n, NULL));
    for (int64_t j = 0; j < names->n; j++) {
        int64_t other = name_index_find(&index, names->at[j]);
        if (other < 0) continue;
        (*of_real)[*n] = j;
        (*of_simulated)[(*n)++] = other;
    }
done:
    name_index_clear(&index);
    return st;
}

static scw_status take_counts(matrix *out, const scw_dataset *data, const modality *m,
                              const bool *keep, const int64_t *columns, int64_t n_columns)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL, n = 0;
    matrix all = {0};

    TRY(mem_new(&rows, data->n_obs));
    for (int64_t i = 0; i < data->n_obs; i++)
        if ((!keep || keep[i]) && m->row_of_obs[i] >= 0) rows[n++] = m->row_of_obs[i];
    if (n < 2) FAIL(SCW_EDATA, "modality '%s' has fewer than two cells", m->name);
    TRY(modality_take(&all, m, rows, n));
    TRY(matrix_select_columns(out, &all, columns, n_columns));
    TRY(transform_check_counts(out, m->name, true));
done:
    mem_free(rows);
    matrix_clear(&all);
    return st;
}

static scw_status measure(pair *p, int side)
{
    scw_status st = SCW_OK;
    const matrix *m = &p->counts[side];
    const double n = (double)m->n_rows;

    TRY(mem_new(&p->mean[side], m->n_cols));
    TRY(mem_new(&p->zeros[side], m->n_cols));
    for (int64_t e = 0; e < m->indptr[m->n_rows]; e++) {
        p->mean[side][m->indices[e]] += (double)m->values[e];
        p->zeros[side][m->indices[e]] += m->values[e] != 0.0f;
    }
    for (int64_t j = 0; j < m->n_cols; j++) {
        p->mean[side][j] /= n;
        p->zeros[side][j] = 1.0 - p->zeros[side][j] / n;
    }
done:
    return st;
}

static scw_status place_cells(pair *p, modality_kind kind)
{
    scw_status st = SCW_OK;
    transform t = {0};
    prepared ready = {0};
    pca fit = {0};
    float *at = NULL;
    const transform_options options = {.kind = kind == MODALITY_ADT    ? TRANSFORM_CLR
                                               : kind == MODALITY_ATAC ? TRANSFORM_TFIDF
                                                                       : TRANSFORM_LOG};

    TRY(mem_new(&p->components, 2 * (p->counts[REAL].n_rows + p->counts[SIMULATED].n_rows)));
    TRY(transform_fit(&t, &p->counts[REAL], &options));
    at = p->components;
    for (int side = 0; side < SIDES; side++) {
        TRY(transform_apply(&ready, &t, &p->counts[side], NULL, NULL, false));
        if (side == REAL) TRY(pca_fit(&fit, &ready.y, &(pca_options){.k = 2}));
        if (fit.k < 2) { /* a single feature: nothing to place them by */
            mem_free(p->components);
            p->components = NULL;
            goto done;
        }
        TRY(pca_scores(at, &fit, &ready.y));
        at += 2 * p->counts[side].n_rows;
        prepared_clear(&ready);
    }
done:
    transform_clear(&t);
    prepared_clear(&ready);
    pca_clear(&fit);
    return st;
}

/* *n grows by one when both files have the modality and features of it in common. */
static scw_status add_pair(pair *pairs, int64_t *n, scw_dataset *const data[SIDES],
                           const modality *m, const bool *keep, const drawing *d)
{
    scw_status st = SCW_OK;
    const modality *other = dataset_find_modality(data[SIMULATED], m->name);
    int64_t *columns[SIDES] = {NULL, NULL}, n_common = 0;
    pair *p = &pairs[*n];

    if (!other) return SCW_OK;
    TRY(common_features(&columns[REAL], &columns[SIMULATED], &n_common, m, other));
    if (n_common == 0) {
        log_warning(d->hooks, "modality '%s': the files have no feature in common", m->name);
        goto done;
    }
    ++*n; /* owned by the list from here on */
    TRY(mem_strdup(&p->name, m->name));
    for (int side = 0; side < SIDES; side++) {
        st = take_counts(&p->counts[side], data[side], side == REAL ? m : other,
                         side == REAL ? NULL : keep, columns[side], n_common);
        if (st != SCW_OK) {
            status_prefix(st, "%s", d->paths[side]);
            goto done;
        }
        TRY(measure(p, side));
    }
    TRY(place_cells(p, modality_guess_kind(m)));
done:
    mem_free(columns[REAL]);
    mem_free(columns[SIMULATED]);
    return st;
}

static scw_status draw_pairs(const drawing *d, const pair *pairs, int64_t n)
{
    scw_status st = SCW_OK;
    comparison *all = NULL;

    TRY(mem_new(&all, n));
    for (int64_t k = 0; k < n; k++) {
        const pair *p = &pairs[k];
        all[k] = (comparison){p->name,
                              p->counts[REAL].n_cols,
                              {p->mean[REAL], p->mean[SIMULATED]},
                              {p->zeros[REAL], p->zeros[SIMULATED]},
                              {p->counts[REAL].n_rows, p->counts[SIMULATED].n_rows},
                              p->components};
    }
    TRY(comparison_draw(d->c, &d->figure, all, n));
done:
    mem_free(all);
    return st;
}

scw_status draw_simulation(const drawing *d)
{
    scw_status st = SCW_OK;
    scw_dataset *data[SIDES] = {NULL, NULL};
    bool *keep = NULL;
    pair *pairs = NULL;
    int64_t n = 0;

    for (int side = 0; side < SIDES; side++) {
        const scw_source source = {.path = d->paths[side]};
        TRY(scw_dataset_open(&data[side], &source, 1, NULL, d->hooks));
    }
    TRY(mem_new(&keep, data[SIMULATED]->n_obs));
    TRY(keep_simulated(keep, data[SIMULATED], d->paths[SIMULATED], d->hooks));
    TRY(mem_new(&pairs, data[REAL]->n_modalities));
    for (int k = 0; k < data[REAL]->n_modalities; k++)
        TRY(add_pair(pairs, &n, data, &data[REAL]->modalities[k], keep, d));
    if (n == 0)
        FAIL(SCW_EDATA, "%s and %s have no modality with common features", d->paths[REAL],
             d->paths[SIMULATED]);
    TRY(draw_pairs(d, pairs, n));
done:
    for (int64_t k = 0; k < n; k++)
        pair_clear(&pairs[k]);
    mem_free(pairs);
    mem_free(keep);
    scw_dataset_free(data[REAL]);
    scw_dataset_free(data[SIMULATED]);
    return st;
}
