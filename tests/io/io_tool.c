/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of reading and writing need from the library, as a program:
 *
 *   io_tool dump DIR [--layer L] FILE...   set.json and <modality>.{indptr,indices,values} in DIR
 *   io_tool write OUT FILE...              the fixed results below added to a copy
 *   io_tool h5mu OUT FILE...               the set written as a new .h5mu
 *   io_tool inspect FILE                   the report
 *
 * Exit code 0, or 10 + the status, with "status: message" on stderr. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "data/dataset.h"
#include "data/results.h"
#include "io/write_h5mu.h"
#include "scweave/scweave.h"

static void print_log(void *user, scw_log_level level, const char *message)
{
    (void)user;
    if (level != SCW_LOG_DETAIL) (void)fprintf(stderr, "log: %s\n", message);
}

static const scw_hooks hooks = {.log = print_log};

static int report_status(scw_status st)
{
    if (st == SCW_OK) return 0;
    (void)fprintf(stderr, "%s: %s\n", scw_status_name(st), scw_error_message());
    return 10 + (int)st;
}

/* ------------------------------------------------------------------ dump */

/* Peak memory of this program alone: what getrusage says includes the program that started it. */
static int64_t peak_bytes(void)
{
    char line[256];
    long long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lld", &kb) == 1) break;
    if (f) (void)fclose(f);
    return (int64_t)kb * 1024;
}

static scw_status write_raw(const char *dir, const char *modality_name, const char *what,
                            const void *data, size_t size, int64_t n)
{
    scw_status st = SCW_OK;
    textbuf path = {0};
    FILE *f = NULL;

    TRY(text_add(&path, "%s/%s.%s", dir, modality_name, what));
    f = fopen(text_get(&path), "wb");
    if (!f || fwrite(data, size, (size_t)n, f) != (size_t)n)
        FAIL(SCW_EIO, "%s: cannot write", text_get(&path));
done:
    if (f) (void)fclose(f);
    text_clear(&path);
    return st;
}

static json_t *list_of(const strings *s)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < s->n; i++) (void)json_array_append_new(list, json_string(s->at[i]));
    return list;
}

static json_t *value_at(const column *c, int64_t i)
{
    if (column_is_missing(c, i)) return json_null();
    switch (c->kind) {
    case COLUMN_FLOAT: return c->f64[i] == c->f64[i] ? json_real(c->f64[i]) : json_null();
    case COLUMN_INT: return json_integer(c->i64[i]);
    case COLUMN_BOOL: return json_boolean(c->boolean[i]);
    case COLUMN_STRING: return json_string(c->text.at[i]);
    case COLUMN_CATEGORICAL: return json_string(c->categories.at[c->codes[i]]);
    }
    return json_null();
}

static json_t *frame_json(const frame *f)
{
    json_t *out = json_object(), *columns = json_object();

    (void)json_object_set_new(out, "index", list_of(&f->index));
    (void)json_object_set_new(out, "columns", columns);
    for (int64_t k = 0; k < f->n_columns; k++) {
        const column *c = &f->columns[k];
        json_t *one = json_object(), *values = json_array();
        (void)json_object_set_new(columns, c->name, one);
        (void)json_object_set_new(one, "kind", json_integer(c->kind));
        (void)json_object_set_new(one, "ordered", json_boolean(c->ordered));
        (void)json_object_set_new(one, "categories", list_of(&c->categories));
        (void)json_object_set_new(one, "values", values);
        for (int64_t i = 0; i < c->n; i++) (void)json_array_append_new(values, value_at(c, i));
    }
    return out;
}

static scw_status dump(const scw_dataset *d, const char *dir)
{
    scw_status st = SCW_OK;
    matrix csr = {0};
    json_t *root = json_object(), *mods = json_array();
    textbuf path = {0};

    (void)json_object_set_new(root, "obs", frame_json(&d->obs));
    (void)json_object_set_new(root, "peak_rss", json_integer(peak_bytes()));
    (void)json_object_set_new(root, "modalities", mods);
    for (int k = 0; k < d->n_modalities; k++) {
        const modality *m = &d->modalities[k];
        json_t *one = json_object(), *rows = json_array();
        (void)json_array_append_new(mods, one);
        (void)json_object_set_new(one, "name", json_string(m->name));
        (void)json_object_set_new(one, "sparse", json_boolean(m->x.sparse));
        (void)json_object_set_new(one, "n_rows", json_integer(m->x.n_rows));
        (void)json_object_set_new(one, "n_cols", json_integer(m->x.n_cols));
        (void)json_object_set_new(one, "var", frame_json(&m->var));
        (void)json_object_set_new(one, "row_of_obs", rows);
        for (int64_t i = 0; i < d->n_obs; i++)
            (void)json_array_append_new(rows, json_integer(m->row_of_obs[i]));
        matrix_clear(&csr);
        TRY(matrix_rows_csr(&csr, &m->x, NULL, 0));
        TRY(write_raw(dir, m->name, "indptr", csr.indptr, sizeof *csr.indptr, csr.n_rows + 1));
        TRY(write_raw(dir, m->name, "indices", csr.indices, sizeof *csr.indices, matrix_nnz(&csr)));
        TRY(write_raw(dir, m->name, "values", csr.values, sizeof *csr.values, matrix_nnz(&csr)));
    }
    TRY(text_add(&path, "%s/set.json", dir));
    if (json_dump_file(root, text_get(&path), JSON_REAL_PRECISION(17)) != 0)
        FAIL(SCW_EIO, "%s: cannot write", text_get(&path));
done:
    text_clear(&path);
    matrix_clear(&csr);
    json_decref(root);
    return st;
}

/* ------------------------------------------------------------------ results that tests know */

static scw_status add_columns(scw_results *r)
{
    scw_status st = SCW_OK;
    column c = {0};
    int64_t n = r->n_obs;

    TRY(column_init(&c, "test_label", COLUMN_CATEGORICAL, n));
    TRY(strings_add(&c.categories, "B/x cell"));
    TRY(strings_add(&c.categories, "T \xce\xb1"));
    for (int64_t i = 0; i < n; i++) c.codes[i] = (int32_t)(i % 3) - 1;
    TRY(results_add_column(r, &c));
    TRY(column_init(&c, "test_confidence", COLUMN_FLOAT, n));
    for (int64_t i = 0; i < n; i++) c.f64[i] = (double)i / 8;
    TRY(results_add_column(r, &c));
    TRY(column_init(&c, "test_note", COLUMN_STRING, n));
    for (int64_t i = 0; i < n; i++) TRY(strings_add(&c.text, i % 2 ? "odd" : "even"));
    TRY(results_add_column(r, &c));
    TRY(column_init(&c, "test_number", COLUMN_INT, n));
    for (int64_t i = 0; i < n; i++) c.i64[i] = i - 5;
    TRY(results_add_column(r, &c));
    TRY(column_init(&c, "test_flag", COLUMN_BOOL, n));
    for (int64_t i = 0; i < n; i++) c.boolean[i] = i % 2 != 0;
    TRY(results_add_column(r, &c));
    TRY(column_init(&c, "test_nullable", COLUMN_INT, n));
    TRY(mem_new(&c.missing, n));
    for (int64_t i = 0; i < n; i++) {
        c.i64[i] = i;
        c.missing[i] = i % 4 == 0;
    }
    TRY(results_add_column(r, &c));
done:
    column_clear(&c);
    return st;
}

static scw_status add_arrays(scw_results *r)
{
    scw_status st = SCW_OK;
    results_array a = {0};

    TRY(mem_strdup(&a.name, "X_test"));
    a.n_rows = r->n_obs;
    a.n_cols = 5;
    TRY(mem_new(&a.values, a.n_rows * a.n_cols));
    for (int64_t i = 0; i < a.n_rows * a.n_cols; i++) a.values[i] = (float)i / 4;
    TRY(results_add_array(r, &a));
    TRY(mem_strdup(&a.name, "test_probabilities"));
    a.n_rows = r->n_obs;
    a.n_cols = 3;
    TRY(mem_new(&a.values, a.n_rows * a.n_cols));
    for (int64_t i = 0; i < a.n_rows * a.n_cols; i++) a.values[i] = (float)i;
    TRY(strings_add(&a.col_names, "B/x cell"));
    TRY(strings_add(&a.col_names, "T \xce\xb1"));
    TRY(strings_add(&a.col_names, "B_x cell")); /* would be stored under the name of the first */
    TRY(results_add_array(r, &a));
done:
    results_array_clear(&a);
    return st;
}

static scw_status make_results(scw_results **out, int64_t n_obs)
{
    scw_status st = SCW_OK;

    TRY(results_new(out, n_obs));
    TRY(add_columns(*out));
    TRY(add_arrays(*out));
    TRY(mem_strdup(&(*out)->record_json, "{\"version\": \"0.1.0\", \"seed\": 7, \"share\": 0.5, "
                                         "\"options\": {\"epochs\": 3}}"));
done:
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}

/* ------------------------------------------------------------------ commands */

static scw_status write_copy(const char *path, const scw_source *sources, int n)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    scw_results *r = NULL;

    TRY(scw_dataset_open(&d, sources, n, NULL, &hooks));
    TRY(make_results(&r, scw_dataset_n_obs(d)));
    TRY(scw_results_write(r, d, path, &hooks));
done:
    scw_results_free(r);
    scw_dataset_free(d);
    return st;
}

static scw_status write_new(const char *path, const scw_source *sources, int n)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;

    TRY(scw_dataset_open(&d, sources, n, NULL, &hooks));
    TRY(dataset_write_h5mu(d, NULL, path));
done:
    scw_dataset_free(d);
    return st;
}

static scw_status dump_set(const char *dir, const scw_source *sources, int n)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;

    TRY(scw_dataset_open(&d, sources, n, NULL, &hooks));
    TRY(dump(d, dir));
done:
    scw_dataset_free(d);
    return st;
}

static scw_status inspect(const char *path)
{
    scw_status st = SCW_OK;
    char *text = NULL;

    TRY(scw_inspect(&text, path, &hooks));
    (void)puts(text);
done:
    scw_free(text);
    return st;
}

int main(int argc, char **argv)
{
    scw_source sources[8] = {0};
    static const char *const names[] = {"first", "second", "third", "fourth"};
    const char *layer = NULL;
    int n = 0;

    if (argc < 3) return 2;
    if (strcmp(argv[1], "inspect") == 0) return report_status(inspect(argv[2]));
    for (int i = 3; i < argc && n < 4; i++) {
        if (strcmp(argv[i], "--layer") == 0 && i + 1 < argc) layer = argv[++i];
        else sources[n++].path = argv[i];
    }
    for (int k = 0; k < n; k++) {
        sources[k].layer = layer;
        if (n > 1) sources[k].modality = names[k];
    }
    if (strcmp(argv[1], "dump") == 0) return report_status(dump_set(argv[2], sources, n));
    if (strcmp(argv[1], "write") == 0) return report_status(write_copy(argv[2], sources, n));
    if (strcmp(argv[1], "h5mu") == 0) return report_status(write_new(argv[2], sources, n));
    return 2;
}
