/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/shared_features.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "models/model.h"
#include "prep/transform.h"
#include "task/table.h"

/* Columns of the two sides that are one feature. */
typedef struct links {
    int64_t n;
    int64_t *a, *b; /* [n] */
} links;

static void links_clear(links *l)
{
    mem_free(l->a);
    mem_free(l->b);
    *l = (links){0};
}

static scw_status find_modality(const modality **out, const shared_side *s)
{
    scw_status st = SCW_OK;

    *out = s->modality ? dataset_find_modality(s->data, s->modality) : &s->data->modalities[0];
    if (!*out) FAIL(SCW_ENOTFOUND, "the data have no modality '%s'", s->modality);
    if (!s->modality && s->data->n_modalities > 1)
        FAIL(SCW_EINVAL, "the data have %d modalities: name the one to match by",
             s->data->n_modalities);
done:
    return st;
}

static scw_status links_by_name(links *l, const name_index *a, const strings *b)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&l->a, b->n));
    TRY(mem_new(&l->b, b->n));
    for (int64_t j = 0; j < b->n; j++) {
        int64_t i = name_index_find(a, b->at[j]);
        if (i < 0) continue;
        l->a[l->n] = i;
        l->b[l->n++] = j;
    }
done:
    return st;
}

/* Lines whose features one of the sides lacks are passed over: a table may serve many panels. */
static scw_status links_by_table(links *l, const name_index *a, const name_index *b,
                                 const char *path)
{
    scw_status st = SCW_OK;
    table t = {0};

    TRY(table_read(&t, path));
    if (t.n_columns < 2)
        FAIL(SCW_EFORMAT, "%s: one column; a table of shared features has two", path);
    TRY(mem_new(&l->a, t.n_rows));
    TRY(mem_new(&l->b, t.n_rows));
    for (int64_t k = 0; k < t.n_rows; k++) {
        int64_t i = name_index_find(a, table_cell(&t, k, 0));
        int64_t j = name_index_find(b, table_cell(&t, k, 1));
        if (i < 0 || j < 0) continue;
        l->a[l->n] = i;
        l->b[l->n++] = j;
    }
done:
    table_clear(&t);
    return st;
}

static scw_status find_links(links *l, const modality *a, const modality *b, const char *map)
{
    scw_status st = SCW_OK;
    name_index of_a = {0}, of_b = {0};

    TRY(name_index_build(&of_a, (const char *const *)a->var.index.at, a->var.n_rows, NULL));
    TRY(name_index_build(&of_b, (const char *const *)b->var.index.at, b->var.n_rows, NULL));
    TRY(map ? links_by_table(l, &of_a, &of_b, map) : links_by_name(l, &of_a, &b->var.index));
    if (l->n < 2)
        FAIL(SCW_EDATA,
             "%s and %s share %lld features, at least 2 are needed; a table can say which belong together "
             "(--map)", a->name, b->name, (long long)l->n);
done:
    name_index_clear(&of_a);
    name_index_clear(&of_b);
    return st;
}

/* *out [rows of m, n]: the listed columns of the normalised counts. */
static scw_status read_columns(float **out, const modality *m, const int64_t *columns, int64_t n)
{
    scw_status st = SCW_OK;
    static const transform_kind kinds[] = {[MODALITY_RNA] = TRANSFORM_LOG,
                                           [MODALITY_ADT] = TRANSFORM_CLR,
                                           [MODALITY_ATAC] = TRANSFORM_TFIDF};
    transform_options how = {.kind = kinds[modality_guess_kind(m)], .target = 1e4};
    int64_t *rows = NULL, n_rows = m->x.n_rows;
    matrix counts = {0}, picked = {0};
    transform t = {0};
    prepared p = {0};

    TRY(mem_new(&rows, n_rows));
    for (int64_t i = 0; i < n_rows; i++) rows[i] = i;
    TRY(modality_take(&counts, m, rows, n_rows));
    TRY(transform_check_counts(&counts, m->name, true));
    TRY(transform_fit(&t, &counts, &how));
    TRY(transform_apply(&p, &t, &counts, NULL, NULL, false));
    TRY(matrix_select_columns(&picked, &p.y, columns, n));
    TRY(mem_new(out, n_rows * n));
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t e = picked.indptr[i]; e < picked.indptr[i + 1]; e++)
            (*out)[i * n + picked.indices[e]] = picked.values[e];
done:
    mem_free(rows);
    matrix_clear(&counts);
    matrix_clear(&picked);
    transform_clear(&t);
    prepared_clear(&p);
    return st;
}

/* Mean 0 and variance 1 for each column; varies[j] is 0 where there is none. */
static scw_status standardise(float *x, uint8_t *varies, int64_t n, int64_t d)
{
    scw_status st = SCW_OK;
    double *mean = NULL, *square = NULL;

    TRY(mem_new(&mean, d));
    TRY(mem_new(&square, d));
    for (int64_t e = 0; e < n * d; e++) mean[e % d] += (double)x[e] / (double)n;
    for (int64_t e = 0; e < n * d; e++)
        square[e % d] += ((double)x[e] - mean[e % d]) * ((double)x[e] - mean[e % d]) / (double)n;
    for (int64_t j = 0; j < d; j++)
        if (!(square[j] > 1e-12 * (1.0 + mean[j] * mean[j]))) varies[j] = 0;
    for (int64_t e = 0; e < n * d; e++)
        if (varies[e % d]) x[e] = (float)(((double)x[e] - mean[e % d]) / sqrt(square[e % d]));
done:
    mem_free(mean);
    mem_free(square);
    return st;
}

/* *out [cells of the set, kept columns] of x [rows of m, d]. */
static scw_status spread(float **out, const scw_dataset *data, const modality *m, const float *x,
                         int64_t d, const uint8_t *varies, int64_t n_kept)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, data->n_obs * n_kept));
    for (int64_t i = 0; i < data->n_obs; i++) {
        int64_t row = m->row_of_obs[i], at = i * n_kept;
        for (int64_t j = 0; j < d; j++)
            if (varies[j]) (*out)[at++] = row < 0 ? NAN : x[row * d + j];
    }
done:
    return st;
}

scw_status shared_features_read(float **x, float **y, int64_t *d, const shared_side *a,
                                const shared_side *b, const char *map)
{
    scw_status st = SCW_OK;
    const modality *ma, *mb;
    links l = {0};
    float *all_x = NULL, *all_y = NULL;
    uint8_t *varies = NULL;

    *d = 0;
    TRY(find_modality(&ma, a));
    TRY(find_modality(&mb, b));
    TRY(find_links(&l, ma, mb, map));
    TRY(read_columns(&all_x, ma, l.a, l.n));
    TRY(read_columns(&all_y, mb, l.b, l.n));
    TRY(mem_new(&varies, l.n));
    memset(varies, 1, (size_t)l.n);
    TRY(standardise(all_x, varies, ma->x.n_rows, l.n));
    TRY(standardise(all_y, varies, mb->x.n_rows, l.n));
    for (int64_t j = 0; j < l.n; j++) *d += varies[j];
    if (*d < 2)
        FAIL(SCW_EDATA, "of the %lld features that %s and %s share, %lld vary on both sides",
             (long long)l.n, ma->name, mb->name, (long long)*d);
    TRY(spread(x, a->data, ma, all_x, l.n, varies, *d));
    TRY(spread(y, b->data, mb, all_y, l.n, varies, *d));
done:
    links_clear(&l);
    mem_free(all_x);
    mem_free(all_y);
    mem_free(varies);
    return st;
}
