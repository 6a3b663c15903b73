/* SPDX-License-Identifier: BSD-3-Clause */
/* Dense matrices of features x cells in HDF5: loom files, and the .h5 of Matilda.
 *
 *   loom (linnarssonlab.org/loompy/format)          Matilda
 *   /matrix        features x cells                 /matrix/data       features x cells
 *   /layers/<name> the same shape                   /matrix/features   names
 *   /row_attrs/<name>, /col_attrs/<name>            /matrix/barcodes   names
 *   /row_graphs/<name>/a,b,w, /col_graphs/...
 */
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/element.h"
#include "io/entry_store.h"
#include "io/h5_array.h"

#define BLOCK_VALUES (1 << 20)

static int64_t rows_a_block(const h5_array *a)
{
    int64_t step = a->width < BLOCK_VALUES ? BLOCK_VALUES / (a->width ? a->width : 1) : 1;

    return a->chunked && step > a->chunk_rows ? step - step % a->chunk_rows : step;
}

/* The matrix turned to cells x features, zeros dropped. `turned`: it is cells x features already. */
static scw_status read_turned(matrix *out, hid_t dataset, bool turned, bool exact,
                              const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_array a = {0};
    matrix_builder b = {0};
    matrix rows = {0};
    double *block = NULL;

    *out = (matrix){0};
    TRY(h5_array_open(&a, dataset, 2));
    if (a.n > INT32_MAX || a.width > INT32_MAX)
        FAIL(SCW_EFORMAT, "%s: a matrix of %lld x %lld is out of range", h5_where(dataset),
             (long long)a.n, (long long)a.width);
    const int64_t step = rows_a_block(&a);
    TRY(matrix_builder_init(&b, a.n, a.width, exact));
    TRY(mem_new(&block, step * a.width));
    for (int64_t from = 0; from < a.n; from += step) {
        int64_t n = a.n - from < step ? a.n - from : step;
        TRY(log_check_cancel(hooks));
        TRY(h5_array_read(block, NUMBER_F64, &a, from, n));
        for (int64_t k = 0; k < n * a.width; k++)
            if (block[k] != 0)
                TRY(matrix_builder_add(&b, from + k / a.width, k % a.width, block[k]));
    }
    b.m.stored = a.type;
    TRY(matrix_builder_finish(&rows, &b));
    if (turned) {
        *out = rows;
        rows = (matrix){0};
    } else {
        TRY(matrix_transpose(out, &rows));
    }
done:
    mem_free(block);
    matrix_clear(&rows);
    matrix_builder_clear(&b);
    h5_array_close(&a);
    return st;
}

/* The dataset once more, from its beginning, for readers of a matrix that stays there. */
typedef struct dense_origin {
    char *path, *element;
    bool turned;
} dense_origin;

typedef struct dense_source {
    hid_t file;
    h5_array a;
    bool turned;
    double *block;
    int64_t step, from, n, at; /* rows of the block in the file, values taken of it */
} dense_source;

static scw_status next_values(void *self, int64_t *n, int32_t *rows, int32_t *cols, double *values,
                              int64_t room)
{
    scw_status st = SCW_OK;
    dense_source *s = self;

    *n = 0;
    while (*n < room) {
        if (s->at == s->n * s->a.width) {
            s->from += s->n;
            s->n = s->a.n - s->from < s->step ? s->a.n - s->from : s->step;
            s->at = 0;
            if (s->n <= 0) break;
            TRY(h5_array_read(s->block, NUMBER_F64, &s->a, s->from, s->n));
        }
        for (; s->at < s->n * s->a.width && *n < room; s->at++) {
            if (s->block[s->at] == 0) continue;
            const int32_t line = (int32_t)(s->from + s->at / s->a.width);
            const int32_t place = (int32_t)(s->at % s->a.width);
            rows[*n] = s->turned ? line : place;
            cols[*n] = s->turned ? place : line;
            values[(*n)++] = s->block[s->at];
        }
    }
done:
    return st;
}

static void close_source(void *self)
{
    dense_source *s = self;

    h5_array_close(&s->a);
    mem_free(s->block);
    h5_close(&s->file);
    mem_free(s);
}

static scw_status open_origin(entry_source *out, const void *self)
{
    scw_status st = SCW_OK;
    const dense_origin *o = self;
    h5_session session;
    hid_t element = 0;
    dense_source *s = NULL;

    h5_session_begin(&session);
    TRY(mem_new(&s, 1));
    s->turned = o->turned;
    TRY(h5_file_open(&s->file, o->path));
    TRY(h5_open(&element, s->file, o->element));
    TRY(h5_array_open(&s->a, element, 2));
    s->step = rows_a_block(&s->a);
    TRY(mem_new(&s->block, s->step * s->a.width));
    *out = (entry_source){s, next_values, close_source};
    s = NULL;
done:
    h5_close(&element);
    if (s) close_source(s);
    h5_session_end(&session);
    return st;
}

static void close_origin(void *self)
{
    dense_origin *o = self;

    mem_free(o->path);
    mem_free(o->element);
    mem_free(o);
}

static scw_status leave_matrix(modality *m, const input *in, const char *element, const h5_info *info,
                               bool turned, const read_request *q)
{
    scw_status st = SCW_OK;
    dense_origin *o = NULL;

    m->x = (matrix){.n_rows = info->dim[!turned],
                    .n_cols = info->dim[turned],
                    .sparse = true,
                    .stored = h5_number_type(info, info->is_signed && info->class != H5_CLASS_BOOL)};
    TRY(mem_new(&o, 1));
    o->turned = turned;
    TRY(mem_strdup(&o->path, in->path));
    TRY(mem_strdup(&o->element, element));
    const entry_origin origin = {o, open_origin, close_origin, info->n};
    o = NULL;
    TRY(entry_store_leave(m, &origin, in->path, q));
done:
    if (o) close_origin(o);
    return st;
}

/* The matrix of a file, in memory or left there. */
static scw_status read_or_leave(modality *m, const input *in, hid_t dataset, const char *element,
                                bool turned, const read_request *q)
{
    scw_status st = SCW_OK;
    h5_info info;

    TRY(h5_describe(&info, dataset));
    const bool numbers = info.rank == 2 && info.dim[0] <= INT32_MAX && info.dim[1] <= INT32_MAX;
    if (numbers && entry_store_wanted(info.n, info.dim[!turned], in, q))
        TRY(leave_matrix(m, in, element, &info, turned, q));
    else
        TRY(read_turned(&m->x, dataset, turned, q->depth == READ_WHOLE, q->hooks));
done:
    return st;
}

static scw_status shape_of(int64_t shape[2], hid_t dataset)
{
    scw_status st = SCW_OK;
    h5_info info;

    TRY(h5_describe(&info, dataset));
    if (info.rank != 2)
        FAIL(SCW_EFORMAT, "%s: has %d dimensions, expected features x cells", h5_where(dataset),
             info.rank);
    shape[0] = info.dim[0];
    shape[1] = info.dim[1];
done:
    return st;
}

/* ------------------------------------------------------------------ loom: attributes */

bool is_loom(const input *in)
{
    return in->kind == INPUT_HDF5 && h5_find(in->hdf5, "matrix") == H5_DATASET &&
           (h5_find(in->hdf5, "row_attrs") == H5_GROUP || h5_find(in->hdf5, "col_attrs") == H5_GROUP);
}

/* The attribute that names the rows of the frame; other names than loom's own are in use. */
const char *loom_names(const strings *attrs, bool cells)
{
    static const char *const of_cells[] = {"CellID",  "cell_id",  "cell_names", "obs_names", "cellid",
                                           "Barcode", "barcodes", "barcode",    "index", NULL};
    static const char *const of_features[] = {"Gene",     "gene_names", "GeneName", "gene_name",
                                              "var_names", "gene_symbol", "Symbol",
                                              "Accession", "index", NULL};

    for (const char *const *name = cells ? of_cells : of_features; *name; name++)
        for (int64_t i = 0; i < attrs->n; i++)
            if (strcasecmp(attrs->at[i], *name) == 0) return attrs->at[i];
    return NULL;
}

static scw_status number_rows(strings *out, int64_t n, const char *word)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    for (int64_t i = 0; i < n; i++) {
        text_clear(&name);
        TRY(text_add(&name, "%s%lld", word, (long long)i));
        TRY(strings_add(out, text_get(&name)));
    }
done:
    text_clear(&name);
    return st;
}

/* One attribute: a column, or, of two dimensions, an array over the rows. */
static scw_status take_attr(frame *f, modality *m, hid_t element, const char *name, hid_t group,
                            bool cells, const read_request *q)
{
    scw_status st = SCW_OK;
    h5_info info;
    column c = {0};
    matrix x = {0};

    TRY(h5_describe(&info, element));
    if (info.rank == 2 && info.dim[1] != 1) {
        if (q->depth != READ_WHOLE || info.class == H5_CLASS_STRING) goto done;
        TRY(element_dense(&x, element, f->n_rows, -1, true));
        TRY(modality_add_array(m, cells ? "obsm" : "varm", name, &x));
        goto done;
    }
    st = element_array_column(&c, element, name, group);
    if (st == SCW_EUNSUPPORTED) {
        log_warning(q->hooks, "column left out: %s", scw_error_message());
        st = SCW_OK;
        goto done;
    }
    TRY(st);
    if (c.n != f->n_rows)
        FAIL(SCW_EFORMAT, "%s: has %lld values, the matrix %lld", h5_where(element), (long long)c.n,
             (long long)f->n_rows);
    TRY(frame_add(f, &c));
done:
    column_clear(&c);
    matrix_clear(&x);
    return st;
}

static scw_status read_attrs(frame *f, modality *m, const input *in, bool cells, int64_t n,
                             const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t group = 0, element = 0;
    strings attrs = {0};
    const char *path = cells ? "col_attrs" : "row_attrs", *names = NULL;
    column c = {0};

    f->n_rows = n;
    TRY(mem_strdup(&f->index_name, "_index"));
    if (h5_find(in->hdf5, path) == H5_GROUP) {
        TRY(h5_open_group(&group, in->hdf5, path));
        TRY(h5_list(&attrs, group));
        names = loom_names(&attrs, cells);
    }
    if (names) {
        TRY(h5_open(&element, group, names));
        TRY(element_array_column(&c, element, names, group));
        TRY(column_texts(&f->index, &c));
        if (f->index.n != n)
            FAIL(SCW_EFORMAT, "%s: names %lld, the matrix has %lld", h5_where(element),
                 (long long)f->index.n, (long long)n);
    } else {
        log_info(q->hooks, "%s: no names of %s; they are numbered", in->path,
                 cells ? "cells" : "features");
        TRY(number_rows(&f->index, n, cells ? "cell_" : "feature_"));
    }
    for (int64_t i = 0; i < attrs.n; i++) {
        if (names && strcmp(attrs.at[i], names) == 0) continue;
        h5_close(&element);
        TRY(h5_open(&element, group, attrs.at[i]));
        if (h5_kind_of(element) == H5_DATASET)
            TRY(take_attr(f, m, element, attrs.at[i], group, cells, q));
    }
done:
    column_clear(&c);
    strings_clear(&attrs);
    h5_close(&element);
    h5_close(&group);
    return st;
}

/* ------------------------------------------------------------------ loom: layers and graphs */

static scw_status open_layer(hid_t *out, textbuf *path, const input *in, const char *layer)
{
    scw_status st = SCW_OK;

    if (!layer || strcmp(layer, "X") == 0) TRY(text_add(path, "matrix"));
    else TRY(text_add(path, "layers/%s", layer));
    TRY(h5_open(out, in->hdf5, text_get(path)));
done:
    return st;
}

static scw_status read_loom_layers(modality *m, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t group = 0, element = 0;
    strings names = {0};
    matrix x = {0};

    if (h5_find(in->hdf5, "layers") != H5_GROUP) goto done;
    TRY(h5_open_group(&group, in->hdf5, "layers"));
    TRY(h5_list(&names, group));
    for (int64_t i = 0; i < names.n; i++) {
        if (q->source->layer && strcmp(names.at[i], q->source->layer) == 0) continue;
        h5_close(&element);
        TRY(h5_open(&element, group, names.at[i]));
        TRY(read_turned(&x, element, false, true, q->hooks));
        if (x.n_rows != m->x.n_rows || x.n_cols != m->x.n_cols)
            FAIL(SCW_EFORMAT, "%s: is %lld x %lld, the matrix %lld x %lld", h5_where(element),
                 (long long)x.n_cols, (long long)x.n_rows, (long long)m->x.n_cols,
                 (long long)m->x.n_rows);
        TRY(modality_add_array(m, "layers", names.at[i], &x));
    }
done:
    matrix_clear(&x);
    strings_clear(&names);
    h5_close(&element);
    h5_close(&group);
    return st;
}

/* Edges a[k] -> b[k] of weight w[k] as a matrix of n x n. */
static scw_status read_graph(matrix *out, hid_t group, int64_t n)
{
    static const char *const names[3] = {"a", "b", "w"};
    scw_status st = SCW_OK;
    double *v[3] = {NULL, NULL, NULL};
    hid_t element = 0;
    h5_info info = {0};
    int64_t n_edges = 0;
    matrix_builder b = {0};

    for (int k = 0; k < 3; k++) {
        h5_close(&element);
        TRY(h5_open(&element, group, names[k]));
        TRY(h5_describe(&info, element));
        if (k == 0) n_edges = info.n;
        if (info.n != n_edges)
            FAIL(SCW_EFORMAT, "%s: has %lld values, expected %lld", h5_where(element),
                 (long long)info.n, (long long)n_edges);
        TRY(mem_new(&v[k], n_edges));
        TRY(h5_read_f64(v[k], element, n_edges));
    }
    TRY(matrix_builder_init(&b, n, n, true));
    b.m.stored = NUMBER_F64;
    for (int64_t e = 0; e < n_edges; e++) {
        if (!(v[0][e] >= 0 && v[0][e] < (double)n && v[1][e] >= 0 && v[1][e] < (double)n))
            FAIL(SCW_EFORMAT, "%s: edge %lld leads out of the matrix", h5_where(group), (long long)e);
        TRY(matrix_builder_add(&b, (int64_t)v[0][e], (int64_t)v[1][e], v[2][e]));
    }
    TRY(matrix_builder_finish(out, &b));
done:
    for (int k = 0; k < 3; k++) mem_free(v[k]);
    matrix_builder_clear(&b);
    h5_close(&element);
    return st;
}

static scw_status read_graphs(modality *m, const input *in, bool cells, int64_t n)
{
    scw_status st = SCW_OK;
    const char *path = cells ? "col_graphs" : "row_graphs";
    hid_t group = 0, one = 0;
    strings names = {0};
    matrix x = {0};

    if (h5_find(in->hdf5, path) != H5_GROUP) goto done;
    TRY(h5_open_group(&group, in->hdf5, path));
    TRY(h5_list(&names, group));
    for (int64_t i = 0; i < names.n; i++) {
        h5_close(&one);
        TRY(h5_open_group(&one, group, names.at[i]));
        TRY(read_graph(&x, one, n));
        TRY(modality_add_array(m, cells ? "obsp" : "varp", names.at[i], &x));
    }
done:
    matrix_clear(&x);
    strings_clear(&names);
    h5_close(&one);
    h5_close(&group);
    return st;
}

scw_status read_loom(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    dataset_part part = {0};
    int64_t shape[2] = {0, 0};
    textbuf path = {0};

    TRY(open_layer(&element, &path, in, q->source->layer));
    TRY(shape_of(shape, element));
    TRY(read_attrs(&part.m.var, &part.m, in, false, shape[0], q));
    TRY(read_attrs(&part.obs, &part.m, in, true, shape[1], q));
    TRY(read_or_leave(&part.m, in, element, text_get(&path), false, q));
    if (q->depth == READ_WHOLE) {
        TRY(read_loom_layers(&part.m, in, q));
        TRY(read_graphs(&part.m, in, false, shape[0]));
        TRY(read_graphs(&part.m, in, true, shape[1]));
    }
    TRY(parts_add(out, &part, in->path, q));
done:
    text_clear(&path);
    dataset_part_clear(&part);
    h5_close(&element);
    return st;
}

/* ------------------------------------------------------------------ Matilda */

bool is_matilda(const input *in)
{
    return in->kind == INPUT_HDF5 && h5_find(in->hdf5, "matrix/data") == H5_DATASET &&
           h5_find(in->hdf5, "matrix/features") == H5_DATASET &&
           h5_find(in->hdf5, "matrix/barcodes") == H5_DATASET;
}

static scw_status read_list(frame *f, hid_t group, const char *name)
{
    scw_status st = SCW_OK;
    hid_t element = 0;

    TRY(mem_strdup(&f->index_name, "_index"));
    TRY(h5_open(&element, group, name));
    TRY(h5_read_strings(&f->index, element));
    f->n_rows = f->index.n;
done:
    h5_close(&element);
    return st;
}

scw_status read_matilda(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t group = 0, element = 0;
    dataset_part part = {0};
    int64_t shape[2] = {0, 0};

    TRY(h5_open_group(&group, in->hdf5, "matrix"));
    TRY(read_list(&part.m.var, group, "features"));
    TRY(read_list(&part.obs, group, "barcodes"));
    TRY(h5_open(&element, group, "data"));
    TRY(shape_of(shape, element));
    int64_t n = part.obs.n_rows, p = part.m.var.n_rows;
    bool turned = shape[0] == n && shape[1] == p && n != p; /* as R's dimensions may come out */
    if (!turned && (shape[0] != p || shape[1] != n))
        FAIL(SCW_EFORMAT, "%s: is %lld x %lld, expected %lld features x %lld barcodes",
             h5_where(element), (long long)shape[0], (long long)shape[1], (long long)p, (long long)n);
    TRY(read_or_leave(&part.m, in, element, "matrix/data", turned, q));
    TRY(parts_add(out, &part, in->path, q));
done:
    dataset_part_clear(&part);
    h5_close(&element);
    h5_close(&group);
    return st;
}
