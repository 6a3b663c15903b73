/* SPDX-License-Identifier: BSD-3-Clause */
/* What a matrix holds. A large one is never read whole: of more than MOST_ENTRIES a few runs of rows (of
 * columns, if it is stored so) are looked at, evenly spread, and the report says how many. */
#include <math.h>

#include "base/alloc.h"
#include "io/element.h"
#include "io/file_blocks.h"
#include "io/file_store.h"
#include "io/inspect.h"

#define MOST_ENTRIES 20000000 /* read in full up to here: about half a second */
#define SAMPLE_ENTRIES 2000000
#define SAMPLE_RUNS 16

typedef struct look {
    block_reader *rows;
    bool by_columns; /* "rows" are the columns of the matrix */
    bool sparse;     /* as stored */
    bool sampled;
    int64_t n_rows, n_cols; /* of the matrix */
    int64_t n_read, n_values; /* rows (or columns) and values that were looked at */
    int64_t n_unsorted, n_repeated;
    matrix_summary s;
    uint8_t *seen; /* [rows->n_cols] */
    bool any;
} look;

static scw_status take_run(look *l, row_block *b, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;

    for (int64_t at = from; at < from + n; at += b->x.n_rows) {
        int64_t left = from + n - at;
        TRY(block_reader_read(b, l->rows, at, left < l->rows->block_rows ? left
                                                                         : l->rows->block_rows));
        int64_t next = at + b->x.n_rows, more = from + n - next;
        block_reader_ahead(l->rows, next, more < l->rows->block_rows ? more : l->rows->block_rows);
        matrix_summarise_part(&l->s, l->seen, &l->any, &b->x);
        l->n_read += b->x.n_rows;
        l->n_values += l->sparse ? b->x.indptr[b->x.n_rows] : b->x.n_rows * b->x.n_cols;
        l->n_unsorted += b->n_unsorted;
        l->n_repeated += b->n_repeated;
    }
done:
    return st;
}

static scw_status take_all_or_some(look *l)
{
    scw_status st = SCW_OK;
    row_block b = {0};
    const int64_t n = l->rows->n_rows;
    double entries = l->rows->nnz >= 0 ? (double)l->rows->nnz : (double)n * (double)l->rows->n_cols;

    TRY(mem_new(&l->seen, l->rows->n_cols));
    /* What can only be read through is read through. */
    const bool known = l->rows->nnz >= 0 || !l->sparse;
    l->sampled = known && entries > MOST_ENTRIES && n > SAMPLE_RUNS;
    if (!l->sampled) {
        TRY(take_run(l, &b, 0, n));
        goto done;
    }
    int64_t run = (int64_t)((double)n / entries * (SAMPLE_ENTRIES / SAMPLE_RUNS));
    if (run < 1) run = 1;
    if (run > n / SAMPLE_RUNS) run = n / SAMPLE_RUNS;
    for (int64_t k = 0; k < SAMPLE_RUNS; k++) /* the first rows and the last are among them */
        TRY(take_run(l, &b, (int64_t)((double)(n - run) * (double)k / (SAMPLE_RUNS - 1)), run));
done:
    row_block_clear(&b);
    return st;
}

/* ------------------------------------------------------------------ the report */

/* " in a sample of 1000 cells", or nothing. */
static const char *of_sample(char text[64], const look *l)
{
    text[0] = '\0';
    if (l->sampled)
        (void)snprintf(text, 64, " in a sample of %lld %s", (long long)l->n_read,
                       l->by_columns ? "features" : "cells");
    return text;
}

static scw_status judge_values(json_t *problems, const look *l, const char *where)
{
    scw_status st = SCW_OK;
    const matrix_summary *s = &l->s;
    char text[64];
    const char *sample = of_sample(text, l);

    if (s->n_nan)
        TRY(inspect_problem(problems, "error", where, "%lld values are NaN%s", (long long)s->n_nan,
                            sample));
    if (s->n_infinite)
        TRY(inspect_problem(problems, "error", where, "%lld values are infinite%s",
                            (long long)s->n_infinite, sample));
    if (s->n_negative)
        TRY(inspect_problem(problems, "warning", where, "%lld values are negative%s: these are not "
                            "counts; look for the counts in raw or a layer",
                            (long long)s->n_negative, sample));
    else if (s->n_fractional)
        TRY(inspect_problem(problems, "warning", where, "%lld values are not whole numbers%s: these "
                            "are not counts; look for the counts in raw or a layer",
                            (long long)s->n_fractional, sample));
    if (l->n_unsorted)
        TRY(inspect_problem(problems, "note", where, "the indices of %lld %s are not sorted%s; "
                            "they are sorted when read", (long long)l->n_unsorted,
                            l->by_columns ? "columns" : "rows", sample));
    if (l->n_repeated)
        TRY(inspect_problem(problems, "warning", where, "%lld %s hold an index twice%s; such "
                            "entries are added up", (long long)l->n_repeated,
                            l->by_columns ? "columns" : "rows", sample));
done:
    return st;
}

/* Of a sample only the axis that was sampled can be judged. */
static scw_status judge_empty(json_t *object, json_t *problems, const look *l, const char *where)
{
    scw_status st = SCW_OK;
    int64_t across = 0;
    char text[64];

    for (int64_t j = 0; j < l->rows->n_cols; j++) across += !l->seen[j];
    int64_t cells = l->by_columns ? across : l->s.n_empty_rows;
    int64_t features = l->by_columns ? l->s.n_empty_rows : across;
    bool know_cells = !l->sampled || !l->by_columns, know_features = !l->sampled || l->by_columns;
    int64_t of_cells = l->sampled ? l->n_read : l->n_rows;
    int64_t of_features = l->sampled ? l->n_read : l->n_cols;
    const char *sample = of_sample(text, l);
    if (know_cells) TRY(inspect_set(object, "n_empty_cells", json_integer(cells)));
    if (know_features) TRY(inspect_set(object, "n_empty_features", json_integer(features)));
    if (know_cells && cells)
        TRY(inspect_problem(problems, "warning", where, "%lld of %lld cells are empty%s",
                            (long long)cells, (long long)of_cells, sample));
    if (know_features && features)
        TRY(inspect_problem(problems, "note", where, "%lld of %lld features are empty%s",
                            (long long)features, (long long)of_features, sample));
done:
    return st;
}

static scw_status report(json_t *object, json_t *problems, const look *l, const char *where)
{
    scw_status st = SCW_OK;
    const matrix_summary *s = &l->s;
    const double all = (double)l->n_rows * (double)l->n_cols;
    const bool counts = !s->n_nan && !s->n_infinite && !s->n_negative && !s->n_fractional;
    /* Of a sample: what is stored, without the zeros among it as far as the sample shows them. */
    double filled = (double)s->nnz;
    if (l->sampled)
        filled = l->n_values ? filled / (double)l->n_values * (l->sparse ? (double)l->rows->nnz : all)
                             : 0.0;

    TRY(inspect_set(object, "sparse", json_boolean(l->sparse)));
    TRY(inspect_set(object, "sampled", json_boolean(l->sampled)));
    TRY(inspect_set(object, l->by_columns ? "n_read_features" : "n_read_cells",
                    json_integer(l->n_read)));
    if (l->sparse)
        TRY(inspect_set(object, "n_stored", json_integer(l->sampled ? l->rows->nnz : l->n_values)));
    TRY(inspect_set(object, "n_nonzero", json_integer((json_int_t)llround(filled))));
    TRY(inspect_set(object, "density", json_real(all > 0 ? filled / all : 0)));
    if (isfinite(s->minimum)) TRY(inspect_set(object, "minimum", json_real(s->minimum)));
    if (isfinite(s->maximum)) TRY(inspect_set(object, "maximum", json_real(s->maximum)));
    if (isfinite(s->sum)) TRY(inspect_set(object, "sum", json_real(s->sum)));
    TRY(inspect_set(object, "counts", json_boolean(counts)));
    TRY(inspect_set(object, "n_negative", json_integer(s->n_negative)));
    TRY(inspect_set(object, "n_nan", json_integer(s->n_nan)));
    TRY(inspect_set(object, "n_infinite", json_integer(s->n_infinite)));
    TRY(inspect_set(object, "n_fractional", json_integer(s->n_fractional)));
    TRY(judge_values(problems, l, where));
    TRY(judge_empty(object, problems, l, where));
    if (l->sampled)
        TRY(inspect_problem(problems, "note", where, "large: %lld of %lld %s were looked at, evenly "
                            "spread; shapes and numbers of entries are those of the whole",
                            (long long)l->n_read, (long long)l->rows->n_rows,
                            l->by_columns ? "features" : "cells"));
done:
    return st;
}

scw_status inspect_values(json_t *object, json_t *problems, const modality *m, const char *where)
{
    scw_status st = SCW_OK;
    look l = {.sparse = m->x.sparse, .n_rows = m->x.n_rows, .n_cols = m->x.n_cols};

    TRY(modality_rows(&l.rows, m));
    TRY(take_all_or_some(&l));
    TRY(report(object, problems, &l, where));
done:
    block_reader_free(l.rows);
    mem_free(l.seen);
    return st;
}

scw_status inspect_matrix(json_t *object, json_t *problems, hid_t element, int64_t n_obs,
                          int64_t n_vars, const char *where, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    look l = {.sparse = h5_kind_of(element) == H5_GROUP};
    const block_options options = {.hooks = hooks};
    int64_t shape[2], bytes;

    TRY(element_measure(shape, &bytes, element, n_vars));
    TRY(element_check_shape(element, shape, n_obs, n_vars));
    l.n_rows = shape[0];
    l.n_cols = shape[1];
    TRY(block_reader_as_stored(&l.rows, &l.by_columns, element, &options));
    TRY(take_all_or_some(&l));
    TRY(report(object, problems, &l, where));
done:
    block_reader_free(l.rows);
    mem_free(l.seen);
    return st;
}
