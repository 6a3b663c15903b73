/* SPDX-License-Identifier: BSD-3-Clause */
/* Pictures of annotated cells: positions, confusion, composition. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "data/dataset.h"
#include "plot/bars.h"
#include "plot/heatmap.h"
#include "plot/palette.h"
#include "plot/scatter.h"
#include "prep/pca.h"
#include "task/drawing.h"
#include "task/embedding.h"
#include "task/obs.h"

#define DEFAULT_BASIS "X_umap"
#define MAX_WHOLE_CLASSES 30 /* a column of whole numbers with more of them is a scale */

/* --------------------------------------------------------------------------------- classes */

typedef struct classes {
    int32_t *codes;
    strings names;
} classes;

static void classes_clear(classes *c)
{
    mem_free(c->codes);
    strings_clear(&c->names);
}

static int by_natural_order(const void *a, const void *b)
{
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of an ordered column keep its order; others are sorted as people count: 2 before 10. */
static scw_status set_order(classes *c, int64_t n, const column *from)
{
    scw_status st = SCW_OK;
    strings sorted = {0};
    name_index index = {0};

    if (from->kind == COLUMN_CATEGORICAL && from->ordered) {
        TRY(name_index_build(&index, (const char *const *)c->names.at, c->names.n, NULL));
        for (int64_t k = 0; k < from->categories.n; k++)
            if (name_index_find(&index, from->categories.at[k]) >= 0)
                TRY(strings_add(&sorted, from->categories.at[k]));
        name_index_clear(&index);
    } else {
        TRY(strings_copy(&sorted, &c->names));
        if (sorted.n) qsort(sorted.at, (size_t)sorted.n, sizeof *sorted.at, by_natural_order);
    }
    TRY(name_index_build(&index, (const char *const *)sorted.at, sorted.n, NULL));
    for (int64_t i = 0; i < n; i++)
        if (c->codes[i] >= 0)
            c->codes[i] = (int32_t)name_index_find(&index, c->names.at[c->codes[i]]);
    strings_clear(&c->names);
    c->names = sorted;
    sorted = (strings){0};
done:
    name_index_clear(&index);
    strings_clear(&sorted);
    return st;
}

static scw_status read_classes(classes *out, const scw_dataset *data, const char *path,
                               const char *key)
{
    scw_status st = SCW_OK;
    const column *c;

    TRY(obs_classes(&out->codes, &out->names, data, path, key));
    TRY(dataset_obs_column(&c, data, key));
    TRY(set_order(out, data->n_obs, c));
    if (out->names.n == 0) FAIL(SCW_EDATA, "%s: obs column '%s' has no values", path, key);
done:
    return st;
}

static scw_status open_cells(scw_dataset **out, const drawing *d)
{
    const scw_source source = {.path = d->paths[0]};
    return scw_dataset_open(out, &source, 1, &(scw_read_options){.leave_matrices = 1}, d->hooks);
}

static scw_status need_option(const char *value, const char *option, const char *what)
{
    if (value) return SCW_OK;
    return status_fail(SCW_EINVAL, "--%s is missing: %s", option, what);
}

/* ------------------------------------------------------------------------------------- umap */

typedef struct positions {
    float *at; /* [n, stride] */
    int64_t stride;
    char x_label[96], y_label[96];
} positions;

static void name_axes(positions *p, const char *key, bool components)
{
    const char *name = strcmp(key, "X_umap") == 0   ? "UMAP"
                       : strcmp(key, "X_tsne") == 0 ? "t-SNE"
                                                    : key;

    if (components) {
        (void)snprintf(p->x_label, sizeof p->x_label, "PC 1 of %s", name);
        (void)snprintf(p->y_label, sizeof p->y_label, "PC 2 of %s", name);
    } else {
        (void)snprintf(p->x_label, sizeof p->x_label, "%s 1", name);
        (void)snprintf(p->y_label, sizeof p->y_label, "%s 2", name);
    }
}

/* The first two principal components of the finite rows of p->at [n, d] take its place. */
static scw_status reduce(positions *p, int64_t n, int64_t d)
{
    scw_status st = SCW_OK;
    matrix dense = {.n_rows = n, .n_cols = d, .values = p->at}, y = {0}; /* borrows */
    pca fit = {0};
    int64_t *rows = NULL, n_rows = 0;
    float *scores = NULL, *out = NULL;

    TRY(mem_new(&rows, n));
    for (int64_t i = 0; i < n; i++) {
        bool finite = true;
        for (int64_t j = 0; j < d; j++)
            finite &= isfinite(p->at[i * d + j]) != 0;
        if (finite) rows[n_rows++] = i;
    }
    TRY(matrix_rows_csr(&y, &dense, rows, n_rows));
    TRY(pca_fit(&fit, &y, &(pca_options){.k = 2}));
    TRY(mem_new(&scores, n_rows * fit.k));
    TRY(pca_scores(scores, &fit, &y));
    TRY(mem_new(&out, 2 * n));
    for (int64_t i = 0; i < 2 * n; i++)
        out[i] = NAN;
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t k = 0; k < 2; k++)
            out[2 * rows[i] + k] = k < fit.k ? scores[i * fit.k + k] : 0.0f;
    mem_free(p->at);
    p->at = out;
    out = NULL;
    p->stride = 2;
done:
    matrix_clear(&y);
    pca_clear(&fit);
    mem_free(rows);
    mem_free(scores);
    mem_free(out);
    return st;
}

static scw_status read_positions(positions *p, const scw_dataset *data, const drawing *d)
{
    scw_status st = SCW_OK;
    const char *key = d->options->basis ? d->options->basis : DEFAULT_BASIS;
    char why[512];

    st = embedding_read(&p->at, &p->stride, data, key);
    if (st == SCW_ENOTFOUND && !d->options->basis) {
        (void)snprintf(why, sizeof why, "%s", scw_error_message());
        FAIL(SCW_ENOTFOUND,
             "%s; 'scweave umap FILE --use KEY' makes it, or name another with "
             "--basis",
             why);
    }
    TRY(st);
    if (p->stride < 2)
        FAIL(SCW_EDATA, "%s: obsm '%s' has %lld columns, a picture needs two", d->paths[0], key,
             (long long)p->stride);
    if (p->stride > 2 && !d->options->basis)
        FAIL(SCW_EDATA,
             "%s: obsm '%s' has %lld columns, expected two; --basis %s shows its first "
             "two principal components",
             d->paths[0], key, (long long)p->stride, key);
    name_axes(p, key, p->stride > 2);
    if (p->stride > 2) TRY(reduce(p, data->n_obs, p->stride));
done:
    return st;
}

/* In the vocabulary of another column, so that equal classes have equal colours. */
static scw_status adopt_vocabulary(classes *c, const scw_dataset *data, const drawing *d)
{
    scw_status st = SCW_OK;
    classes first = {0};

    if (!d->options->label || !c->codes) return SCW_OK;
    TRY(read_classes(&first, data, d->paths[0], d->options->label));
    TRY(obs_join_codes(c->codes, &first.names, data->n_obs, &c->names));
    strings_clear(&c->names);
    c->names = first.names;
    first.names = (strings){0};
done:
    classes_clear(&first);
    return st;
}

/* The column as classes or, where it holds a scale, as numbers. */
static scw_status read_color(classes *as_classes, double **as_values, const scw_dataset *data,
                             const drawing *d)
{
    scw_status st = SCW_OK;
    const char *key = d->options->color;
    const column *c;

    if (!key) return SCW_OK;
    st = dataset_obs_column(&c, data, key);
    if (st != SCW_OK) return status_prefix(st, "%s", d->paths[0]);
    if (c->kind != COLUMN_FLOAT) TRY(read_classes(as_classes, data, d->paths[0], key));
    if (c->kind != COLUMN_FLOAT &&
        (c->kind != COLUMN_INT || as_classes->names.n <= MAX_WHOLE_CLASSES)) {
        TRY(adopt_vocabulary(as_classes, data, d));
        if (as_classes->names.n > PALETTE_CLASSES)
            log_warning(d->hooks,
                        "obs column '%s' has %lld classes; there are %d colours, so some "
                        "stand for more than one",
                        key, (long long)as_classes->names.n, PALETTE_CLASSES);
        return SCW_OK;
    }
    TRY(mem_new(as_values, c->n));
    for (int64_t i = 0; i < c->n; i++) {
        double v = c->kind == COLUMN_FLOAT ? c->f64[i] : (double)c->i64[i];
        (*as_values)[i] = column_is_missing(c, i) ? (double)NAN : v;
    }
done:
    return st;
}

scw_status draw_umap(const drawing *d)
{
    scw_status st = SCW_OK;
    scw_dataset *data = NULL;
    positions p = {0};
    classes c = {0};
    double *values = NULL;
    int64_t n_left_out = 0;

    TRY(open_cells(&data, d));
    TRY(read_color(&c, &values, data, d));
    TRY(read_positions(&p, data, d));
    const scatter s = {.n = data->n_obs,
                       .x = p.at,
                       .y = p.at + 1,
                       .stride = p.stride,
                       .x_label = p.x_label,
                       .y_label = p.y_label,
                       .color_name = d->options->color,
                       .codes = values ? NULL : c.codes,
                       .classes = &c.names,
                       .values = values,
                       .legend = (legend_place)d->options->legend,
                       .point_size = d->options->point_size};
    TRY(scatter_draw(d->c, &d->figure, &s, &n_left_out));
    if (n_left_out == data->n_obs)
        FAIL(SCW_EDATA, "%s: no cell has a position in obsm '%s'", d->paths[0],
             d->options->basis ? d->options->basis : DEFAULT_BASIS);
    if (n_left_out)
        log_warning(d->hooks, "%lld cells have no position and are not shown",
                    (long long)n_left_out);
done:
    scw_dataset_free(data);
    mem_free(p.at);
    classes_clear(&c);
    mem_free(values);
    return st;
}

/* -------------------------------------------------------------------------------- confusion */

scw_status draw_confusion(const drawing *d)
{
    scw_status st = SCW_OK;
    const scw_plot_options *o = d->options;
    scw_dataset *data = NULL;
    classes truth = {0}, predicted = {0};
    int64_t *counts = NULL, *rest = NULL, n_labelled = 0, n_rest = 0;

    TRY(need_option(o->label, "label", "the obs column with the true labels"));
    TRY(need_option(o->prediction, "prediction", "the obs column with the predicted labels"));
    TRY(open_cells(&data, d));
    TRY(read_classes(&truth, data, d->paths[0], o->label));
    TRY(read_classes(&predicted, data, d->paths[0], o->prediction));
    TRY(obs_join_codes(predicted.codes, &truth.names, data->n_obs, &predicted.names));
    const int64_t n = truth.names.n;
    TRY(mem_new(&counts, n * n));
    TRY(mem_new(&rest, n));
    for (int64_t i = 0; i < data->n_obs; i++) {
        if (truth.codes[i] < 0) continue;
        n_labelled++;
        n_rest += predicted.codes[i] < 0;
        if (predicted.codes[i] < 0)
            rest[truth.codes[i]]++;
        else
            counts[truth.codes[i] * n + predicted.codes[i]]++;
    }
    if (n_labelled < data->n_obs)
        log_info(d->hooks, "%lld cells have no label and are left out",
                 (long long)(data->n_obs - n_labelled));
    if (n_rest)
        log_warning(d->hooks,
                    "%lld labelled cells have no prediction: their rows do not add up to "
                    "100 %%",
                    (long long)n_rest);
    const confusion m = {
        n, &truth.names, counts, rest, o->label, o->prediction, (confusion_values)o->values};
    TRY(confusion_draw(d->c, &d->figure, &m));
done:
    scw_dataset_free(data);
    classes_clear(&truth);
    classes_clear(&predicted);
    mem_free(counts);
    mem_free(rest);
    return st;
}

/* ------------------------------------------------------------------------------ composition */

scw_status draw_composition(const drawing *d)
{
    scw_status st = SCW_OK;
    const scw_plot_options *o = d->options;
    scw_dataset *data = NULL;
    classes group = {0}, label = {0};
    int64_t *counts = NULL, n_counted = 0;

    TRY(need_option(o->group, "group", "the obs column that divides the cells"));
    TRY(need_option(o->label, "label", "the obs column with the classes"));
    TRY(open_cells(&data, d));
    TRY(read_classes(&group, data, d->paths[0], o->group));
    TRY(read_classes(&label, data, d->paths[0], o->label));
    TRY(mem_new(&counts, group.names.n * label.names.n));
    for (int64_t i = 0; i < data->n_obs; i++) {
        if (group.codes[i] < 0 || label.codes[i] < 0) continue;
        counts[group.codes[i] * label.names.n + label.codes[i]]++;
        n_counted++;
    }
    if (n_counted < data->n_obs)
        log_info(d->hooks, "%lld cells lack a group or a class and are left out",
                 (long long)(data->n_obs - n_counted));
    const composition m = {&group.names, &label.names, counts, o->group, o->label};
    TRY(composition_draw(d->c, &d->figure, &m));
done:
    scw_dataset_free(data);
    classes_clear(&group);
    classes_clear(&label);
    mem_free(counts);
    return st;
}
