/* SPDX-License-Identifier: BSD-3-Clause */
/* Pictures of other files: a model's training record, a table of markers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "models/model.h"
#include "plot/bars.h"
#include "plot/lines.h"
#include "task/drawing.h"
#include "task/table.h"

/* --------------------------------------------------------------------------------- training */

/* Entries of an epoch that are no figures of their own. */
static bool is_figure(const char *key)
{
    return strcmp(key, "epoch") != 0 && strcmp(key, "phase") != 0;
}

static scw_status add_once(strings *s, const char *name)
{
    for (int64_t k = 0; k < s->n; k++)
        if (strcmp(s->at[k], name) == 0) return SCW_OK;
    return strings_add(s, name);
}

/* The loss first, the score and the rate last, the loss's parts between them. */
static scw_status list_series(strings *out, const json_t *history)
{
    scw_status st = SCW_OK;
    static const char *const last[] = {"validation", "lr"};
    size_t i;
    json_t *row, *value;
    const char *key;

    TRY(strings_add(out, "loss"));
    json_array_foreach((json_t *)(uintptr_t)history, i, row)
    {
        json_object_foreach(row, key, value)
        {
            if (is_figure(key) && strcmp(key, last[0]) != 0 && strcmp(key, last[1]) != 0)
                TRY(add_once(out, key));
        }
    }
    for (int k = 0; k < 2; k++) {
        bool there = false;
        json_array_foreach((json_t *)(uintptr_t)history, i, row) there |=
            json_is_number(json_object_get(row, last[k]));
        if (there) TRY(strings_add(out, last[k]));
    }
done:
    return st;
}

typedef struct curves {
    training t;
    strings series, phases;
    double *values;
    int32_t *phase;
} curves;

static void curves_clear(curves *c)
{
    strings_clear(&c->series);
    strings_clear(&c->phases);
    mem_free(c->values);
    mem_free(c->phase);
}

static scw_status read_curves(curves *c, const json_t *history)
{
    scw_status st = SCW_OK;
    const int64_t n = (int64_t)json_array_size(history);
    size_t i;
    json_t *row;

    TRY(list_series(&c->series, history));
    TRY(mem_new(&c->values, c->series.n * n));
    TRY(mem_new(&c->phase, n));
    json_array_foreach((json_t *)(uintptr_t)history, i, row)
    {
        const char *phase = json_string_value(json_object_get(row, "phase"));
        TRY(add_once(&c->phases, phase ? phase : "training"));
        while (strcmp(c->phases.at[c->phase[i]], phase ? phase : "training") != 0)
            c->phase[i]++;
        for (int64_t k = 0; k < c->series.n; k++) {
            const json_t *v = json_object_get(row, c->series.at[k]);
            c->values[k * n + (int64_t)i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
        }
    }
    c->t = (training){n, &c->series, c->values, &c->phases, c->phase, -1};
done:
    return st;
}

/* Names as people read them. */
static scw_status name_series(strings *series)
{
    static const char *const names[][2] = {
        {"rec", "reconstruction"},          {"kl", "KL divergence"},
        {"cls", "classification"},          {"lr", "learning rate"},
        {"validation", "validation score"},
    };
    scw_status st = SCW_OK;
    strings out = {0};

    for (int64_t k = 0; k < series->n; k++) {
        const char *name = series->at[k];
        for (size_t q = 0; q < sizeof names / sizeof *names; q++)
            if (strcmp(name, names[q][0]) == 0) name = names[q][1];
        TRY(strings_add(&out, name));
    }
    strings_clear(series);
    *series = out;
    out = (strings){0};
done:
    strings_clear(&out);
    return st;
}

scw_status draw_training(const drawing *d)
{
    scw_status st = SCW_OK;
    scw_model *m = NULL;
    curves c = {0};

    TRY(scw_model_load(&m, d->paths[0]));
    const json_t *history = json_object_get(m->record, "history");
    if (json_array_size(history) == 0)
        FAIL(SCW_EDATA, "%s: the model file has no record of its training", d->paths[0]);
    TRY(read_curves(&c, history));
    TRY(name_series(&c.series));
    c.t.best = json_integer_value(json_object_get(m->record, "best_epoch")) - 1;
    TRY(training_draw(d->c, &d->figure, &c.t));
done:
    curves_clear(&c);
    scw_model_free(m);
    return st;
}

/* ---------------------------------------------------------------------------------- markers */

/* A line of the table that is shown. */
typedef struct candidate {
    marker m;
    double rank;
    int64_t line;
} candidate;

static int by_class_and_rank(const void *a, const void *b)
{
    const candidate *x = a, *y = b;

    if (x->m.class != y->m.class) return x->m.class < y->m.class ? -1 : 1;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return x->line < y->line ? -1 : 1;
}

typedef struct marker_table {
    table t;
    strings classes, modalities;
    candidate *found;
    int64_t n_found;
    marker *shown;
} marker_table;

static void marker_table_clear(marker_table *m)
{
    table_clear(&m->t);
    strings_clear(&m->classes);
    strings_clear(&m->modalities);
    mem_free(m->found);
    mem_free(m->shown);
}

static scw_status code_of(int32_t *out, strings *names, const char *name)
{
    scw_status st = SCW_OK;

    for (*out = 0; *out < names->n; ++*out)
        if (strcmp(names->at[*out], name) == 0) return SCW_OK;
    TRY(strings_add(names, name));
done:
    return st;
}

/* The usual ones have the same colours in every picture. */
static scw_status order_modalities(marker_table *m, int64_t at)
{
    static const char *const usual[] = {"rna", "adt", "atac"};
    scw_status st = SCW_OK;
    int32_t code;

    for (size_t k = 0; k < sizeof usual / sizeof *usual; k++)
        for (int64_t i = 0; i < m->t.n_rows; i++) {
            if (strcmp(table_cell(&m->t, i, at), usual[k]) != 0) continue;
            TRY(code_of(&code, &m->modalities, usual[k]));
            break;
        }
done:
    return st;
}

static scw_status read_line(marker_table *m, int64_t line, const int64_t at[5], const char *path)
{
    scw_status st = SCW_OK;
    candidate *x = &m->found[m->n_found++];
    double se;

    *x = (candidate){.line = line};
    TRY(code_of(&x->m.class, &m->classes, table_cell(&m->t, line, at[0])));
    TRY(code_of(&x->m.modality, &m->modalities, table_cell(&m->t, line, at[2])));
    x->m.feature = table_cell(&m->t, line, at[3]);
    if (!text_to_real(&x->rank, table_cell(&m->t, line, at[1])))
        FAIL(SCW_EFORMAT, "%s, line %lld: rank '%s' is not a number", path,
             (long long)m->t.line[line], table_cell(&m->t, line, at[1]));
    const char *score = table_cell(&m->t, line, at[4]);
    bool unknown = strcmp(score, "NA") == 0; /* named, without a bar */
    if (unknown) x->m.score = NAN;
    if (!unknown && !text_to_real(&x->m.score, score))
        FAIL(SCW_EFORMAT, "%s, line %lld: score '%s' is not a number", path,
             (long long)m->t.line[line], score);
    int64_t se_column = table_column(&m->t, "se");
    bool known = se_column >= 0 && text_to_real(&se, table_cell(&m->t, line, se_column));
    x->m.se = known ? se : (double)NAN;
done:
    return st;
}

static scw_status read_markers(marker_table *m, const char **method, const drawing *d)
{
    static const char *const names[5] = {"class", "rank", "modality", "feature", "score"};
    scw_status st = SCW_OK;
    int64_t at[5];
    const char *path = d->paths[0];

    TRY(table_read(&m->t, path));
    for (int k = 0; k < 5; k++)
        TRY(table_need_column(&at[k], &m->t, names[k], path));
    int64_t method_column = table_column(&m->t, "method");
    *method = d->options->method;
    if (*method && method_column < 0)
        FAIL(SCW_ENOTFOUND, "%s: has no column 'method' to choose '%s' from", path, *method);
    if (!*method && method_column >= 0 && m->t.n_rows)
        *method = table_cell(&m->t, 0, method_column);
    TRY(mem_new(&m->found, m->t.n_rows));
    TRY(order_modalities(m, at[2]));
    for (int64_t i = 0; i < m->t.n_rows; i++)
        if (method_column < 0 || strcmp(table_cell(&m->t, i, method_column), *method) == 0)
            TRY(read_line(m, i, at, path));
    if (m->n_found == 0)
        FAIL(SCW_EDATA, "%s: holds no markers%s%s", path, *method ? " of the method " : "",
             *method ? *method : "");
done:
    return st;
}

scw_status draw_markers(const drawing *d)
{
    scw_status st = SCW_OK;
    marker_table m = {0};
    const char *method;
    char score[128];

    TRY(read_markers(&m, &method, d));
    (void)snprintf(score, sizeof score, "score%s%s; whiskers: 1 standard error", method ? ": " : "",
                   method ? method : "");
    qsort(m.found, (size_t)m.n_found, sizeof *m.found, by_class_and_rank);
    TRY(mem_new(&m.shown, m.n_found));
    markers shown = {&m.classes, &m.modalities, 0, m.shown, score};
    for (int64_t i = 0, first = 0; i < m.n_found; i++) {
        if (m.found[i].m.class != m.found[first].m.class) first = i;
        if (i - first < d->options->top) m.shown[shown.n++] = m.found[i].m;
    }
    TRY(markers_draw(d->c, &d->figure, &shown));
done:
    marker_table_clear(&m);
    return st;
}
