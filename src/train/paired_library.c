/* SPDX-License-Identifier: BSD-3-Clause */
/* The library size that RNA counts are scaled to before the logarithm, chosen by how well the linear path
 * finds the partners of cells that it was not fitted on. The scale on which a logarithm bends depends on
 * depth and on how many genes a set has kept, so no constant serves all sets (docs/models/clip.md). */
#include <math.h>

#include "base/alloc.h"
#include "base/log.h"
#include "metric/pairing.h"
#include "train/paired_cells.h"

#define CHOICE_FOLDS 5    /* of the training cells */
#define CHOICE_CELLS 5000 /* at most */

static const double libraries[] = {100.0, 300.0, 1000.0, 3000.0, 10000.0};

/* Scores [n, d] of the listed cells' modality k under a path; NaN where it is absent. */
static scw_status apply_path(float **out, const paired_cells *in, const linear_path *path, int k,
                             const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t p = in->cells.width[k];

    TRY(mem_new(out, n * path->k));
    for (int64_t i = 0; i < n; i++)
        for (int64_t e = 0; e < path->k; e++) {
            const float *x = in->cells.input[k] + rows[i] * p;
            double sum = in->cells.present[k][rows[i]] ? 0.0 : NAN;
            for (int64_t j = 0; j < p; j++)
                sum += ((double)x[j] - path->mean[k][j]) * path->map[k][j * path->k + e];
            (*out)[i * path->k + e] = (float)sum;
        }
done:
    return st;
}

/* Sum over the pairs of modalities of FOSCTTM among held-out cells, added to *sum; pairs that no held-out
 * cell has do not count. */
static scw_status judge_path(double *sum, int64_t *n_judged, const paired_cells *in,
                             const linear_path *path, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const int K = in->cells.n_modalities;
    float *scores[MODEL_MAX_MODALITIES] = {0};
    int64_t *own = NULL;
    pairing figures;

    TRY(mem_new(&own, n));
    for (int64_t i = 0; i < n; i++) own[i] = i;
    for (int k = 0; k < K; k++) TRY(apply_path(&scores[k], in, path, k, rows, n));
    for (int k = 0; k < K; k++)
        for (int l = k + 1; l < K; l++) {
            int64_t n_pairs = 0;
            for (int64_t i = 0; i < n; i++)
                n_pairs += in->cells.present[k][rows[i]] && in->cells.present[l][rows[i]];
            if (n_pairs == 0) continue;
            TRY(pairing_measure(&figures, &(pairing_input){.x = scores[k], .y = scores[l], .n_x = n,
                                                           .n_y = n, .d = path->k, .partner = own,
                                                           .cosine = true}));
            *sum += figures.foscttm;
            ++*n_judged;
        }
done:
    mem_free(own);
    for (int k = 0; k < K; k++) mem_free(scores[k]);
    return st;
}

/* Mean FOSCTTM of the path over folds of the training cells, under the scores as they are. */
static scw_status try_path(double *out, const paired_cells *in, const linear_path_options *options)
{
    scw_status st = SCW_OK;
    const int64_t n = in->n_train < CHOICE_CELLS ? in->n_train : CHOICE_CELLS;
    int64_t *known = NULL, *held = NULL, n_judged = 0;
    linear_path path = {0};
    double sum = 0.0;

    TRY(mem_new(&known, n));
    TRY(mem_new(&held, n));
    for (int64_t fold = 0; fold < CHOICE_FOLDS; fold++) {
        int64_t n_known = 0, n_held = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t row = in->train[i * in->n_train / n];
            if (i % CHOICE_FOLDS == fold)
                held[n_held++] = row;
            else
                known[n_known++] = row;
        }
        linear_path_clear(&path);
        TRY(paired_cells_path(&path, in, known, n_known, options));
        TRY(judge_path(&sum, &n_judged, in, &path, held, n_held));
    }
    *out = n_judged > 0 ? sum / (double)n_judged : NAN;
done:
    mem_free(known);
    mem_free(held);
    linear_path_clear(&path);
    return st;
}

static bool has_kind(const scw_model *m, modality_kind kind)
{
    for (int k = 0; k < m->n_modalities; k++)
        if (m->modality[k].kind == kind) return true;
    return false;
}

/* The best of the library sizes; 10,000 where they cannot be told apart. */
static scw_status choose(double *out, paired_cells *p, const linear_path_options *options)
{
    scw_status st = SCW_OK;
    double best = INFINITY, now;

    *out = 1e4;
    for (size_t q = 0; q < sizeof libraries / sizeof *libraries; q++) {
        p->options.library = libraries[q];
        TRY(paired_cells_score(p));
        st = try_path(&now, p, options);
        if (st == SCW_EDATA) { /* folds that no cell ties together: too few cells to choose with */
            status_clear();
            st = SCW_OK;
            now = NAN;
        }
        if (st != SCW_OK) goto done;
        log_detail(p->hooks, "library %g: FOSCTTM %.4f of held-out training cells", libraries[q], now);
        if (!(now < best)) continue;
        best = now;
        *out = libraries[q];
    }
done:
    return st;
}

scw_status paired_cells_library(paired_cells *p, double *library, const linear_path_options *options)
{
    scw_status st = SCW_OK;

    if (p->from) goto done; /* counts are scaled as that model scales them */
    if (*library == 0.0 && !has_kind(p->model, MODALITY_RNA)) *library = 1e4;
    if (*library == 0.0) {
        TRY(choose(library, p, options));
        log_info(p->hooks, "RNA is scaled to %g counts a cell", *library);
    }
    p->options.library = *library;
done:
    return st;
}
