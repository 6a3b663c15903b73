/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/path_choice.h"

#include <math.h>

#include "base/alloc.h"
#include "base/log.h"
#include "metric/pairing.h"

#define CHOICE_FOLDS 5    /* of the cells */
#define CHOICE_CELLS 5000 /* at most */

/* Mean over the pairs of sets of FOSCTTM among held-out cells; pairs that no held-out cell has do not
 * count, NaN without any. */
static scw_status judge(double *out, const linear_path *path, const linear_path_cells *held)
{
    scw_status st = SCW_OK;
    const int64_t n = held->n;
    float *scores[MODEL_MAX_MODALITIES] = {0};
    int64_t *own = NULL, n_judged = 0;
    double sum = 0.0;
    pairing figures;

    TRY(mem_new(&own, n));
    for (int64_t i = 0; i < n; i++) own[i] = i;
    for (int k = 0; k < held->n_sets; k++) {
        TRY(mem_new(&scores[k], n * path->k));
        linear_path_apply(scores[k], path, held, k);
    }
    for (int k = 0; k < held->n_sets; k++)
        for (int l = k + 1; l < held->n_sets; l++) {
            int64_t n_pairs = 0;
            for (int64_t i = 0; i < n; i++)
                n_pairs += linear_path_has(held, k, i) && linear_path_has(held, l, i);
            if (n_pairs == 0) continue;
            TRY(pairing_measure(&figures, &(pairing_input){.x = scores[k], .y = scores[l], .n_x = n,
                                                           .n_y = n, .d = path->k, .partner = own,
                                                           .cosine = true}));
            sum += figures.foscttm;
            n_judged++;
        }
    *out = n_judged > 0 ? sum / (double)n_judged : NAN;
done:
    mem_free(own);
    for (int k = 0; k < held->n_sets; k++) mem_free(scores[k]);
    return st;
}

/* FOSCTTM of the path in folds of the cells: out [CHOICE_FOLDS]. */
static scw_status try_scores(double *out, const linear_path_cells *cells,
                             const linear_path_options *options)
{
    scw_status st = SCW_OK;
    const int64_t n = cells->n < CHOICE_CELLS ? cells->n : CHOICE_CELLS;
    int64_t *known = NULL, *held = NULL;
    linear_path_cells some = *cells;
    linear_path path = {0};

    TRY(mem_new(&known, n));
    TRY(mem_new(&held, n));
    for (int64_t fold = 0; fold < CHOICE_FOLDS; fold++) {
        int64_t n_known = 0, n_held = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = i * cells->n / n, row = cells->rows ? cells->rows[at] : at;
            if (i % CHOICE_FOLDS == fold)
                held[n_held++] = row;
            else
                known[n_known++] = row;
        }
        linear_path_clear(&path);
        some.rows = known;
        some.n = n_known;
        TRY(linear_path_fit(&path, &some, options));
        some.rows = held;
        some.n = n_held;
        TRY(judge(&out[fold], &path, &some));
    }
done:
    mem_free(known);
    mem_free(held);
    linear_path_clear(&path);
    return st;
}

static double mean_of(const double *folds)
{
    double sum = 0.0;

    for (int f = 0; f < CHOICE_FOLDS; f++) sum += folds[f];
    return sum / CHOICE_FOLDS;
}

/* Is a less than b by more than twice the standard error of their difference? NaN: no. */
static bool is_less(const double *a, const double *b)
{
    const double gain = mean_of(b) - mean_of(a);
    double square = 0.0;

    for (int f = 0; f < CHOICE_FOLDS; f++) square += (b[f] - a[f] - gain) * (b[f] - a[f] - gain);
    return gain > 2.0 * sqrt(square / (CHOICE_FOLDS - 1) / CHOICE_FOLDS);
}

scw_status path_choose(int *way, const path_ways *ways, const linear_path_options *options,
                       const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double found[PATH_WAYS][CHOICE_FOLDS];
    int best = 0;

    *way = 0;
    for (int q = 0; q < ways->n; q++) {
        linear_path_cells cells = {0};
        for (int f = 0; f < CHOICE_FOLDS; f++) found[q][f] = NAN;
        TRY(log_check_cancel(hooks));
        TRY(ways->score(ways->self, q, &cells));
        st = try_scores(found[q], &cells, options);
        if (st == SCW_EDATA) { /* folds that no cell ties together: too few cells to choose with */
            status_clear();
            st = SCW_OK;
        }
        if (st != SCW_OK) goto done;
        log_detail(hooks, "%s: FOSCTTM %.4f of held-out training cells", ways->names[q],
                   mean_of(found[q]));
        if (mean_of(found[q]) < mean_of(found[best])) best = q;
    }
    if (is_less(found[best], found[0])) *way = best;
done:
    return st;
}

/* ------------------------------------------------------------------------------ library size */

static const double libraries[PATH_WAYS] = {10000.0, 3000.0, 1000.0, 300.0, 100.0};
static const char *const library_names[PATH_WAYS] = {"library 10000", "library 3000", "library 1000",
                                                     "library 300", "library 100"};

static scw_status score_library(void *self, int way, linear_path_cells *out)
{
    const library_scores *s = self;

    return s->score(s->self, libraries[way], out);
}

scw_status library_choose(double *library, const library_scores *scores,
                          const linear_path_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    library_scores all = *scores;
    const path_ways ways = {&all, PATH_WAYS, library_names, score_library};
    int way = 0;

    if (*library != 0.0) return SCW_OK;
    if (scores->has_rna) TRY(path_choose(&way, &ways, options, hooks));
    *library = libraries[way];
    if (scores->has_rna) log_info(hooks, "RNA is scaled to %g counts a cell", *library);
done:
    return st;
}
