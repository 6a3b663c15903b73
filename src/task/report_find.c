/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/report_find.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/h5.h"
#include "task/table.h"

#define LARGEST_JSON ((int64_t)64 << 20)
#define HEAD 4096 /* bytes at the beginning of a file that say what it is */

void run_files_clear(run_files *f)
{
    mem_free(f->model);
    mem_free(f->cells);
    mem_free(f->folds);
    mem_free(f->evaluation);
    mem_free(f->markers);
    json_decref(f->folds_json);
    json_decref(f->evaluation_json);
    strings_clear(&f->others);
    *f = (run_files){0};
}

typedef enum content {
    CONTENT_OTHER = 0,
    CONTENT_HDF5,
    CONTENT_SAFETENSORS,
    CONTENT_JSON,
    CONTENT_TABLE
} content;

static content look(const unsigned char *head, size_t n)
{
    static const unsigned char hdf5[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

    if (n >= 8 && (memcmp(head, hdf5, 8) == 0 || memcmp(head, "MuData", 6) == 0))
        return CONTENT_HDF5; /* MuData: text stands before the HDF5 signature */
    if (n > 9 && head[8] == '{' && head[5] == 0 && head[6] == 0 && head[7] == 0)
        return CONTENT_SAFETENSORS;
    if (memchr(head, '\0', n)) return CONTENT_OTHER;
    size_t at = 0;
    while (at < n && strchr(" \t\r\n", head[at]))
        at++;
    if (at < n && head[at] == '{') return CONTENT_JSON;
    return memchr(head, '\t', n) ? CONTENT_TABLE : CONTENT_OTHER;
}

static scw_status add_other(run_files *f, const char *name, const char *what)
{
    scw_status st = SCW_OK;
    textbuf line = {0};

    TRY(text_add(&line, "%s: %s", name, what));
    TRY(strings_add(&f->others, text_get(&line)));
done:
    text_clear(&line);
    return st;
}

/* The first of a kind is taken. */
static scw_status take(run_files *f, char **slot, const char *path, const char *name,
                       const char *what)
{
    return *slot ? add_other(f, name, what) : mem_strdup(slot, path);
}

/* How much of a result a file of cells is; -1: no such file. */
static int score_cells(const char *path)
{
    h5_session session;
    hid_t file = 0;
    int score = -1;

    h5_session_begin(&session);
    if (h5_file_open(&file, path) == SCW_OK && h5_find(file, "obs") != H5_ABSENT)
        score = 2 * (h5_find(file, "uns/scweave") != H5_ABSENT) +
                (h5_find(file, "obsm/X_umap") != H5_ABSENT);
    h5_close(&file);
    h5_session_end(&session);
    status_clear();
    return score;
}

static scw_status take_cells(run_files *f, int *best, const char *path, const char *name)
{
    scw_status st = SCW_OK;
    int score = score_cells(path);

    if (score < 0) return add_other(f, name, "an HDF5 file without cells");
    if (score > *best) {
        if (f->cells)
            TRY(add_other(f, strrchr(f->cells, '/') + 1, "cells; another file has more results"));
        mem_free(f->cells);
        f->cells = NULL;
        *best = score;
        return mem_strdup(&f->cells, path);
    }
    TRY(add_other(f, name, "cells; another file has as many results or more"));
done:
    return st;
}

static scw_status take_json(run_files *f, const char *path, const char *name)
{
    scw_status st = SCW_OK;
    char *text = NULL;
    int64_t n;

    st = text_file_read(&text, &n, path, LARGEST_JSON);
    if (st == SCW_ENOMEM) goto done;
    json_t *root = st == SCW_OK ? json_loads(text, 0, NULL) : NULL;
    status_clear();
    st = SCW_OK;
    bool folds = json_is_object(json_object_get(root, "summary")) &&
                 json_is_array(json_object_get(root, "folds"));
    bool evaluation = json_is_object(json_object_get(root, "annotation")) ||
                      json_is_object(json_object_get(root, "clustering"));
    char **slot = folds ? &f->folds : &f->evaluation;
    json_t **value = folds ? &f->folds_json : &f->evaluation_json;
    if ((folds || evaluation) && !*slot) *value = json_incref(root);
    if (folds || evaluation)
        st = take(f, slot, path, name, "a second file of scores of this kind");
    else
        st = add_other(f, name, root ? "JSON of another kind" : "not valid JSON");
    json_decref(root);
done:
    mem_free(text);
    return st;
}

static scw_status take_table(run_files *f, const char *path, const char *name)
{
    scw_status st = SCW_OK;
    static const char *const needed[] = {"class", "rank", "modality", "feature", "score"};
    table t = {0};
    bool markers = true;

    st = table_read(&t, path);
    if (st == SCW_ENOMEM) goto done;
    for (size_t k = 0; k < sizeof needed / sizeof *needed; k++)
        markers &= st == SCW_OK && table_column(&t, needed[k]) >= 0;
    status_clear();
    st = markers ? take(f, &f->markers, path, name, "a second table of markers")
                 : add_other(f, name, "a table of another kind");
done:
    table_clear(&t);
    return st;
}

static scw_status take_file(run_files *f, int *best, const char *path, const char *name)
{
    unsigned char head[HEAD];
    FILE *file = fopen(path, "rb");

    if (!file) return add_other(f, name, "cannot be opened");
    size_t n = fread(head, 1, sizeof head, file);
    (void)fclose(file);
    switch (look(head, n)) {
    case CONTENT_HDF5:
        return take_cells(f, best, path, name);
    case CONTENT_SAFETENSORS:
        return take(f, &f->model, path, name, "a second model");
    case CONTENT_JSON:
        return take_json(f, path, name);
    case CONTENT_TABLE:
        return take_table(f, path, name);
    case CONTENT_OTHER:
        break;
    }
    return SCW_OK; /* pictures, pages, logs: nothing to say about */
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static scw_status list_names(strings *out, const char *folder)
{
    scw_status st = SCW_OK;
    const struct dirent *entry;
    DIR *dir = opendir(folder);

    if (!dir) FAIL(SCW_EIO, "%s: cannot read the folder: %s", folder, strerror(errno));
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.') TRY(strings_add(out, entry->d_name));
    if (out->n) qsort(out->at, (size_t)out->n, sizeof *out->at, by_bytes);
done:
    if (dir) (void)closedir(dir);
    return st;
}

scw_status run_files_find(run_files *out, const char *folder, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    strings names = {0};
    textbuf path = {0};
    struct stat info;
    int best = -1;

    *out = (run_files){0};
    TRY(list_names(&names, folder));
    for (int64_t k = 0; k < names.n; k++) {
        TRY(log_check_cancel(hooks));
        text_clear(&path);
        TRY(text_add(&path, "%s/%s", folder, names.at[k]));
        if (stat(text_get(&path), &info) != 0 || !S_ISREG(info.st_mode)) continue;
        TRY(take_file(out, &best, text_get(&path), names.at[k]));
    }
done:
    strings_clear(&names);
    text_clear(&path);
    if (st != SCW_OK) run_files_clear(out);
    return st;
}
