/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/balance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* ------------------------------------------------------------------------------------- plan */

void balance_plan_clear(balance_plan *p)
{
    mem_free(p->entries);
    *p = (balance_plan){0};
}

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Lower median of the sizes of classes that have cells. */
static scw_status median_size(int64_t *out, const int64_t *counts, int n_classes)
{
    scw_status st = SCW_OK;
    int64_t *sorted = NULL, n = 0;

    TRY(mem_new(&sorted, n_classes));
    for (int c = 0; c < n_classes; c++)
        if (counts[c] > 0) sorted[n++] = counts[c];
    if (n == 0) FAIL(SCW_EDATA, "balancing: no labelled cells");
    qsort(sorted, (size_t)n, sizeof *sorted, compare_int64);
    *out = sorted[(n - 1) / 2];
done:
    mem_free(sorted);
    return st;
}

static void take(balance_plan *p, int64_t row, bool simulated)
{
    p->entries[p->n++] = (balance_entry){row, simulated};
}

/* `n` of the class's cells drawn without replacement, added as they are or as simulations. */
static scw_status take_random(balance_plan *p, const int64_t *members, int64_t n_members, int64_t n,
                              bool simulated, rng_key key)
{
    scw_status st = SCW_OK;
    int64_t *order = NULL;

    TRY(mem_new(&order, n_members));
    rng_permutation(order, n_members, key, 0);
    for (int64_t i = 0; i < n; i++)
        take(p, members[order[i]], simulated);
done:
    mem_free(order);
    return st;
}

/* Cells of one class of `n` members. */
static scw_status take_class(balance_plan *p, const int64_t *members, int64_t n, rng_key key,
                             bool replace_real)
{
    scw_status st = SCW_OK;
    int64_t missing = p->median;

    if (n > p->median) {
        TRY(take_random(p, members, n, p->median, false, key));
        goto done;
    }
    if (n == p->median || !replace_real) {
        for (int64_t i = 0; i < n; i++)
            take(p, members[i], false);
        missing -= n;
    }
    for (; missing >= n; missing -= n)
        for (int64_t i = 0; i < n; i++)
            take(p, members[i], true);
    if (missing > 0) TRY(take_random(p, members, n, missing, true, key));
done:
    return st;
}

scw_status balance_plan_build(balance_plan *out, const int32_t *labels, const int64_t *rows,
                              int64_t n_rows, int n_classes, const balance_options *options)
{
    scw_status st = SCW_OK;
    int64_t *counts = NULL, *members = NULL;
    bool anchored = false;

    *out = (balance_plan){0};
    TRY(mem_new(&counts, n_classes));
    TRY(mem_new(&members, n_rows));
    for (int64_t i = 0; i < n_rows; i++)
        counts[labels[rows[i]]]++;
    TRY(median_size(&out->median, counts, n_classes));
    TRY(mem_new(&out->entries, out->median * n_classes));
    for (int c = 0; c < n_classes; c++) {
        int64_t n = 0;
        if (counts[c] == 0) continue;
        if (counts[c] == out->median) {
            if (anchored && options->drop_ties) continue;
            anchored = true;
        }
        for (int64_t i = 0; i < n_rows; i++)
            if (labels[rows[i]] == c) members[n++] = rows[i];
        TRY(take_class(out, members, n, rng_make_key(options->seed, RNG_BALANCE, (uint32_t)c),
                       options->replace_real));
    }
done:
    mem_free(counts);
    mem_free(members);
    if (st != SCW_OK) balance_plan_clear(out);
    return st;
}

/* ----------------------------------------------------------------------------------- source */

void balance_source_clear(balance_source *s)
{
    mem_free(s->values);
    mem_free(s->low);
    mem_free(s->high);
    tape_free(s->tape);
    *s = (balance_source){0};
}

static scw_status class_ranges(balance_source *s, int n_classes)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL;

    TRY(mem_new(&s->low, n_classes));
    TRY(mem_new(&s->high, n_classes));
    TRY(mem_new(&rows, s->plan->n));
    for (int c = 0; c < n_classes; c++) {
        int64_t n = 0;
        for (int64_t e = 0; e < s->plan->n; e++)
            if (s->plan->entries[e].simulated && s->cells->labels[s->plan->entries[e].row] == c)
                rows[n++] = s->plan->entries[e].row;
        if (n > 0) TRY(cells_range(s->cells, rows, n, &s->low[c], &s->high[c]));
    }
done:
    mem_free(rows);
    return st;
}

scw_status balance_source_init(balance_source *s, const balance_plan *plan, const cells *c,
                               const network *net, int n_classes, uint64_t seed)
{
    scw_status st = SCW_OK;

    *s =
        (balance_source){.plan = plan, .cells = c, .frozen = *net, .params = *net->p, .seed = seed};
    TRY(mem_new(&s->values, net->p->n_values));
    memcpy(s->values, net->p->value, (size_t)net->p->n_values * sizeof *s->values);
    s->params.value = s->values;
    TRY(tape_new(&s->tape));
    TRY(class_ranges(s, n_classes));
done:
    if (st != SCW_OK) balance_source_clear(s);
    return st;
}

/* Noise of each simulated entry, addressed by the entry. */
static real *entry_noise(const balance_source *s, const int64_t *entries, int64_t n, int64_t width)
{
    real *eps = tape_alloc(s->tape, n * width, sizeof *eps);
    rng_key key = rng_make_key(s->seed, RNG_SIMULATE, 0);

    for (int64_t i = 0; eps && i < n; i++)
        for (int64_t k = 0; k < width; k++)
            eps[i * width + k] = (real)rng_normal(key, (uint32_t)k, (uint64_t)entries[i]);
    return eps;
}

/* Latent width of the network, from its posterior mean. */
static int64_t latent_width(const balance_source *s, const nn_pass *pass, const model_batch *batch)
{
    model_outputs out;
    s->frozen.forward(s->frozen.self, pass, batch, false, &out);
    return out.mu ? out.mu->dim[1] : 0;
}

/* Reconstructions of the listed entries from a posterior sample. */
static bool simulate(const balance_source *s, const int64_t *entries, int64_t n, model_outputs *out)
{
    model_batch batch;
    nn_pass pass = {.t = s->tape, .p = &s->params, .seed = s->seed};

    tape_reset(s->tape, TAPE_EVAL);
    int64_t *rows = tape_alloc(s->tape, n, sizeof *rows);
    if (!rows) return false;
    for (int64_t i = 0; i < n; i++)
        rows[i] = s->plan->entries[entries[i]].row;
    cells_gather(s->tape, s->cells, rows, n, &batch);
    if (batch.n != n) return false;
    real *eps = entry_noise(s, entries, n, latent_width(s, &pass, &batch));
    if (!eps) return false;
    batch.eps = eps;
    s->frozen.forward(s->frozen.self, &pass, &batch, true, out);
    return out->recon[0] != NULL;
}

/* A simulated row as the y that the affine form turns back into it: y = (x - t) / c, clipped to the
 * class's range as the authors do; NaN becomes the largest value. */
static void store_row(affine_sparse *x, int64_t i, const real *value, double low, double high)
{
    int64_t at = x->indptr[i];
    int32_t *indices = (int32_t *)(uintptr_t)x->indices;
    real *values = (real *)(uintptr_t)x->values;

    for (int64_t j = 0; j < x->n_cols; j++, at++) {
        double v = (double)value[j];
        v = isnan(v) || v > high ? high : v < low ? low : v;
        if (x->col_shift) v -= (double)x->col_shift[j];
        if (x->col_scale) v = x->col_scale[j] != 0 ? v / (double)x->col_scale[j] : 0.0;
        indices[at] = (int32_t)j;
        values[at] = (real)v;
    }
    if (x->row_scale) ((real *)(uintptr_t)x->row_scale)[i] = 1;
    if (x->row_shift) ((real *)(uintptr_t)x->row_shift)[i] = 0;
    if (x->row_weight) ((real *)(uintptr_t)x->row_weight)[i] = 1;
}

/* Room for the batch with full rows where entries are simulated, real rows copied in. */
static bool widen(tape *t, affine_sparse *x, const bool *simulated)
{
    int64_t nnz = 0;
    const affine_sparse from = *x;

    int64_t *indptr = tape_alloc(t, x->n_rows + 1, sizeof *indptr);
    if (!indptr) return false;
    for (int64_t i = 0; i < x->n_rows; i++) {
        indptr[i] = nnz;
        nnz += simulated[i] ? x->n_cols : from.indptr[i + 1] - from.indptr[i];
    }
    indptr[x->n_rows] = nnz;
    int32_t *indices = tape_alloc(t, nnz, sizeof *indices);
    real *values = tape_alloc(t, nnz, sizeof *values);
    if (!indices || !values) return false;
    for (int64_t i = 0; i < x->n_rows; i++) {
        if (simulated[i]) continue;
        size_t n = (size_t)(from.indptr[i + 1] - from.indptr[i]);
        memcpy(indices + indptr[i], from.indices + from.indptr[i], n * sizeof *indices);
        memcpy(values + indptr[i], from.values + from.indptr[i], n * sizeof *values);
    }
    x->indptr = indptr;
    x->indices = indices;
    x->values = values;
    return true;
}

static void gather(const void *self, tape *t, const int64_t *entries, int64_t n, model_batch *batch)
{
    const balance_source *s = self;
    model_outputs out;
    int64_t n_simulated = 0;

    *batch = (model_batch){0};
    int64_t *rows = tape_alloc(t, n, sizeof *rows), *chosen = tape_alloc(t, n, sizeof *chosen);
    bool *simulated = tape_alloc(t, n, sizeof *simulated);
    if (!rows || !chosen || !simulated) return;
    for (int64_t i = 0; i < n; i++) {
        const balance_entry *e = &s->plan->entries[entries[i]];
        rows[i] = e->row;
        simulated[i] = e->simulated;
        if (e->simulated) chosen[n_simulated++] = entries[i];
    }
    cells_gather(t, s->cells, rows, n, batch);
    if (batch->n != n || n_simulated == 0) return;
    if (!simulate(s, chosen, n_simulated, &out)) {
        batch->n = 0;
        return;
    }
    for (int m = 0; m < batch->n_modalities; m++) {
        affine_sparse *x = &batch->x[m];
        if (!widen(t, x, simulated)) {
            batch->n = 0;
            return;
        }
        for (int64_t i = 0, k = 0; i < n; i++) {
            if (!simulated[i]) continue;
            int32_t c = s->cells->labels[rows[i]];
            store_row(x, i, out.recon[m]->value + k++ * x->n_cols, s->low[c], s->high[c]);
        }
    }
}

train_source balance_source_as_source(const balance_source *s)
{
    return (train_source){.n = s->plan->n, .self = s, .gather = gather};
}
