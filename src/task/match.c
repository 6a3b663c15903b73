/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave match: two embeddings in, a sparse matrix of matches out, as a file and as a table. */
#include "scweave/match.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/threads.h"
#include "embed/match.h"
#include "io/write_h5mu.h"
#include "metric/pairing.h"
#include "scweave/version.h"
#include "task/pairs.h"
#include "task/record.h"
#include "task/streaming.h"

struct scw_match {
    matrix weights;    /* [cells of a, cells of b] */
    double *distance;  /* [entries] */
    strings a, b;      /* names */
    int32_t *batch;    /* [cells of a] codes, or NULL */
    strings batches;
    int64_t *partner;  /* [cells of a] */
    int64_t n_partners;
    uint8_t *has_a, *has_b; /* which cells have an embedding */
    char *record;      /* JSON */
};

void scw_match_free(scw_match *m)
{
    if (!m) return;
    matrix_clear(&m->weights);
    mem_free(m->distance);
    strings_clear(&m->a);
    strings_clear(&m->b);
    mem_free(m->batch);
    strings_clear(&m->batches);
    mem_free(m->partner);
    mem_free(m->has_a);
    mem_free(m->has_b);
    mem_free(m->record);
    mem_free(m);
}

static scw_status make_record(char **out, const scw_match_request *request,
                              const scw_match_options *options)
{
    scw_status st = SCW_OK;
    json_t *record = json_pack("{s:s, s:s*, s:s*, s:b}", "version", scw_version(), "use",
                               request->a.use, "with", request->b.use, "features",
                               request->features != 0);
    int failed = record == NULL;

    if (!failed && request->batch_key)
        failed |= json_object_set_new(record, "batch_key", json_string(request->batch_key));
    if (!failed && request->command)
        failed |= json_object_set_new(record, "command", json_string(request->command));
    TRY(record_add_options(record, &failed, scw_match_option_table(), options));
    if (failed) FAIL(SCW_EDATA, "the name of an array or the command is not valid UTF-8");
    TRY(record_text(out, record));
done:
    json_decref(record);
    return st;
}

/* What the file and the table need of the sides, which are given back. */
static scw_status take_sides(scw_match *m, pair_sides *p)
{
    scw_status st = SCW_OK;

    TRY(strings_copy(&m->a, &p->a->obs.index));
    TRY(strings_copy(&m->b, &p->b->obs.index));
    m->batch = p->batch_x;
    m->batches = p->batches;
    m->partner = p->partner;
    p->batch_x = NULL;
    p->batches = (strings){0};
    p->partner = NULL;
done:
    return st;
}

static scw_status check_request(const scw_match_request *r)
{
    if (!r->a.data || !r->b.data || (!r->features && (!r->a.use || !r->b.use)))
        return status_fail(SCW_EINVAL, "matching needs two data sets and an array of obsm of each");
    if (r->map && !r->features)
        return status_fail(SCW_EINVAL, "a table of features is for matching by features");
    if (r->a.data != r->b.data) return SCW_OK;
    if (!r->a.use || !r->b.use)
        return status_fail(SCW_EINVAL, "matching within one data set needs two modalities");
    if (strcmp(r->a.use, r->b.use) == 0)
        return status_fail(SCW_EINVAL, "matching needs two sides: '%s' was named for both",
                           r->a.use);
    return SCW_OK;
}

static scw_status read_sides(pair_sides *out, const scw_match_request *r)
{
    const shared_side a = {r->a.data, r->a.use}, b = {r->b.data, r->b.use};

    return r->features ? pair_sides_share(out, &a, &b, r->map, r->batch_key)
                       : pair_sides_read(out, r->a.data, r->a.use, r->b.data, r->b.use,
                                         r->batch_key);
}

scw_status scw_match_cells(scw_match **out, const scw_match_request *request,
                           const scw_match_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_match_options o;
    scw_match *m = NULL;
    pair_sides sides = {0};

    *out = NULL;
    TRY(check_request(request));
    TRY(scw_options_init(scw_match_option_table(), &o));
    if (options) o = *options;
    threads_set(request->threads);
    TRY(mem_new(&m, 1));
    TRY(read_sides(&sides, request));
    match_input in = {.x = sides.x, .y = sides.y, .n_x = sides.a->n_obs, .n_y = sides.b->n_obs,
                      .d = sides.d, .batch_x = sides.batch_x, .batch_y = sides.batch_y,
                      .n_batches = (int32_t)sides.batches.n};
    log_info(hooks, "%lld and %lld cells, %lld %s", (long long)in.n_x, (long long)in.n_y,
             (long long)in.d, request->features ? "shared features" : "columns");
    TRY(match_rows(&m->weights, &in, &o, hooks));
    TRY(mem_new(&m->distance, matrix_nnz(&m->weights)));
    match_distances(m->distance, &m->weights, &in, o.metric);
    TRY(pairing_finite(&m->has_a, sides.x, in.n_x, in.d));
    TRY(pairing_finite(&m->has_b, sides.y, in.n_y, in.d));
    m->n_partners = 0;
    for (int64_t i = 0; i < in.n_x; i++) {
        int64_t j = sides.partner[i];
        m->n_partners += j >= 0 && m->has_a[i] && m->has_b[j];
    }
    TRY(make_record(&m->record, request, &o));
    TRY(take_sides(m, &sides));
    *out = m;
    m = NULL;
done:
    pair_sides_clear(&sides);
    scw_match_free(m);
    return st;
}

/* ------------------------------------------------------------------------------- facts */

static int64_t count_columns(const matrix *m, uint8_t *seen)
{
    int64_t n = 0;

    for (int64_t e = 0; e < matrix_nnz(m); e++) {
        n += !seen[m->indices[e]];
        seen[m->indices[e]] = 1;
    }
    return n;
}

/* null where the matches have no curve. */
static json_t *real_or_null(double v)
{
    return isnan(v) ? json_null() : json_real(v);
}

scw_status scw_match_describe(char **out_json, const scw_match *m)
{
    scw_status st = SCW_OK;
    const matrix *w = &m->weights;
    int64_t n_rows = 0;
    uint8_t *seen = NULL;
    json_t *root = NULL;
    pairing_match f;

    *out_json = NULL;
    TRY(mem_new(&seen, w->n_cols));
    for (int64_t i = 0; i < w->n_rows; i++) n_rows += w->indptr[i + 1] > w->indptr[i];
    root = json_pack("{s:I, s:I, s:I, s:I, s:I}", "n_a", (json_int_t)w->n_rows, "n_b",
                     (json_int_t)w->n_cols, "n_matched_a", (json_int_t)n_rows, "n_matched_b",
                     (json_int_t)count_columns(w, seen), "n_entries", (json_int_t)matrix_nnz(w));
    if (m->n_partners > 0) {
        TRY(pairing_measure_match(&f, w, m->partner, (pairing_cells){m->has_a, m->has_b}));
        if (json_object_set_new(root, "by_name",
                                json_pack("{s:I, s:f, s:f, s:o, s:o}", "n_pairs",
                                          (json_int_t)f.n_pairs, "match_probability",
                                          f.probability, "top1", f.top1, "auroc",
                                          real_or_null(f.auroc), "aupr", real_or_null(f.aupr))) != 0)
            FAIL(SCW_ENOMEM, "out of memory in the report");
    }
    if (!root) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(streaming_report(out_json, root));
done:
    json_decref(root);
    mem_free(seen);
    return st;
}

/* -------------------------------------------------------------------------------- file */

/* obs['batch'], where batches are told apart. */
static scw_status add_batches(frame *obs, const scw_match *m)
{
    scw_status st = SCW_OK;
    column c = {0};

    if (!m->batch) return SCW_OK;
    TRY(column_init(&c, "batch", COLUMN_CATEGORICAL, obs->n_rows));
    TRY(strings_copy(&c.categories, &m->batches));
    memcpy(c.codes, m->batch, (size_t)obs->n_rows * sizeof *c.codes);
    TRY(frame_add(obs, &c));
done:
    column_clear(&c);
    return st;
}

scw_status scw_match_write(const scw_match *m, const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    modality *only;

    TRY(log_check_cancel(hooks));
    TRY(mem_new(&d, 1));
    TRY(mem_new(&d->modalities, 1));
    d->n_modalities = 1;
    d->n_obs = d->obs.n_rows = m->a.n;
    only = d->modalities;
    only->var.n_rows = m->b.n;
    only->n_present = m->a.n;
    TRY(mem_strdup(&only->name, "match"));
    TRY(strings_copy(&d->obs.index, &m->a));
    TRY(strings_copy(&only->var.index, &m->b));
    TRY(add_batches(&d->obs, m));
    TRY(matrix_rows_csr(&only->x, &m->weights, NULL, m->a.n));
    TRY(mem_new(&only->row_of_obs, m->a.n));
    for (int64_t i = 0; i < m->a.n; i++) only->row_of_obs[i] = i;
    TRY(dataset_write_h5ad(d, m->record, path));
done:
    scw_dataset_free(d);
    return st;
}

/* ------------------------------------------------------------------------------- table */

typedef struct entry {
    float weight;
    int64_t at;
} entry;

static int by_weight(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

static scw_status add_line(textbuf *t, const scw_match *m, int64_t row, int64_t at, char separator)
{
    scw_status st = SCW_OK;

    TRY(text_add_field(t, m->a.at[row], separator));
    TRY(text_add_bytes(t, &separator, 1));
    TRY(text_add_field(t, m->b.at[m->weights.indices[at]], separator));
    TRY(text_add(t, "%c%.6g%c%.6g", separator, (double)m->weights.values[at], separator,
                 m->distance[at]));
    if (m->batch) {
        TRY(text_add_bytes(t, &separator, 1));
        TRY(text_add_field(t, m->batches.at[m->batch[row]], separator));
    }
    TRY(text_add_bytes(t, "\n", 1));
done:
    return st;
}

scw_status scw_match_write_pairs(const scw_match *m, const char *path)
{
    scw_status st = SCW_OK;
    const int64_t *indptr = m->weights.indptr;
    size_t length = strlen(path);
    char separator = length > 4 && strcmp(path + length - 4, ".csv") == 0 ? ',' : '\t';
    textbuf t = {0};
    entry *row = NULL;

    TRY(text_add(&t, "cell_a%ccell_b%cweight%cdistance", separator, separator, separator));
    if (m->batch) TRY(text_add(&t, "%cbatch", separator));
    TRY(text_add(&t, "\n"));
    TRY(mem_new(&row, m->b.n));
    for (int64_t i = 0; i < m->a.n; i++) {
        int64_t n = indptr[i + 1] - indptr[i];
        for (int64_t e = 0; e < n; e++)
            row[e] = (entry){m->weights.values[indptr[i] + e], indptr[i] + e};
        if (n > 1) qsort(row, (size_t)n, sizeof *row, by_weight);
        for (int64_t e = 0; e < n; e++) TRY(add_line(&t, m, i, row[e].at, separator));
    }
    TRY(atomic_file_write(path, t.data, t.length));
done:
    mem_free(row);
    text_clear(&t);
    return st;
}
