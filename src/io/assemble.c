/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/assemble.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "data/stack.h"

/* ------------------------------------------------------------------ names of batches */

/* "runs/a/filtered_feature_bc_matrix.h5" with depth 0: the name without its endings; with depth 1 the
 * folder that holds it, and so on. */
static scw_status stem(char **out, const char *path, int depth)
{
    static const char *const endings[] = {".gz",  ".tar",  ".tgz", ".h5ad", ".h5mu", ".h5",
                                          ".mtx", ".loom", ".csv", ".tsv",  ".txt"};
    scw_status st = SCW_OK;
    textbuf name = {0};
    size_t n = strlen(path), from;

    for (;; depth--) {
        while (n && path[n - 1] == '/') n--;
        from = n;
        while (from && path[from - 1] != '/') from--;
        if (depth == 0 || from == 0) break;
        n = from;
    }
    for (size_t i = 0; depth == 0 && i < sizeof endings / sizeof *endings; i++) {
        size_t e = strlen(endings[i]);
        if (n - from <= e || strncmp(path + n - e, endings[i], e) != 0) continue;
        n -= e;
        i = (size_t)-1; /* from the start again: .tar.gz */
    }
    TRY(text_add_bytes(&name, path + from, (int64_t)(n - from)));
    *out = text_take(&name);
done:
    text_clear(&name);
    return st;
}

static bool all_differ(char *const *names, int n)
{
    for (int a = 0; a < n; a++)
        for (int b = 0; b < a; b++)
            if (strcmp(names[a], names[b]) == 0) return false;
    return true;
}

/* Names for all files that differ: by their own names, or by those of the folders they lie in, or numbers. */
static scw_status name_files(char **names, const dataset_file *files, int n)
{
    scw_status st = SCW_OK;
    textbuf number = {0};

    for (int depth = 0; depth < 4; depth++) {
        for (int k = 0; k < n; k++) {
            mem_free(names[k]);
            names[k] = NULL;
            TRY(stem(&names[k], files[k].path, depth));
        }
        bool empty = false;
        for (int k = 0; k < n; k++) empty |= names[k][0] == '\0';
        if (!empty && all_differ(names, n)) return SCW_OK;
    }
    for (int k = 0; k < n; k++) {
        mem_free(names[k]);
        names[k] = NULL;
        text_clear(&number);
        TRY(text_add(&number, "%d", k));
        names[k] = text_take(&number);
    }
done:
    text_clear(&number);
    return st;
}

/* ------------------------------------------------------------------ cells */

typedef struct assembly {
    file_parts *files;
    int n;
    char **names; /* of the files as batches */
    bool stacked; /* a modality comes from several batches */
    strings modalities;
    strings batches; /* those of all parts, in order */
    const scw_read_options *options;
    const scw_hooks *hooks;
} assembly;

static const char *batch_of(const assembly *a, int file, const dataset_part *p)
{
    return p->batch ? p->batch : a->names[file];
}

static int64_t position(const strings *s, const char *name)
{
    for (int64_t i = 0; i < s->n; i++)
        if (strcmp(s->at[i], name) == 0) return i;
    return -1;
}

static scw_status list_modalities(assembly *a)
{
    scw_status st = SCW_OK;

    for (int f = 0; f < a->n; f++)
        for (int k = 0; k < a->files[f].n_parts; k++) {
            const dataset_part *p = &a->files[f].parts[k];
            if (position(&a->modalities, p->m.name) >= 0) a->stacked = true;
            else TRY(strings_add(&a->modalities, p->m.name));
            const char *batch = batch_of(a, f, p);
            if (position(&a->batches, batch) < 0) TRY(strings_add(&a->batches, batch));
        }
done:
    return st;
}

/* Does a modality have a cell of one name in two of its parts? */
static scw_status cells_repeat(bool *out, const assembly *a, const char *name)
{
    scw_status st = SCW_OK;
    strings all = {0};
    name_index index = {0};
    int64_t second;

    for (int f = 0; f < a->n; f++)
        for (int k = 0; k < a->files[f].n_parts; k++) {
            const dataset_part *p = &a->files[f].parts[k];
            if (strcmp(p->m.name, name) != 0) continue;
            for (int64_t i = 0; i < p->obs.n_rows; i++) TRY(strings_add(&all, p->obs.index.at[i]));
        }
    TRY(name_index_build(&index, (const char *const *)all.at, all.n, &second));
    *out |= second >= 0;
done:
    name_index_clear(&index);
    strings_clear(&all);
    return st;
}

static scw_status add_suffix(strings *names, const char *batch)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    for (int64_t i = 0; i < names->n; i++) {
        text_clear(&name);
        TRY(text_add(&name, "%s-%s", names->at[i], batch));
        mem_free(names->at[i]);
        names->at[i] = text_take(&name);
    }
done:
    text_clear(&name);
    return st;
}

/* The batch of all cells as a column. */
static scw_status add_batch(frame *obs, const assembly *a, const char *batch)
{
    scw_status st = SCW_OK;
    column c = {0};
    int32_t code = (int32_t)position(&a->batches, batch);

    if (frame_find(obs, a->options->batch_key)) goto done;
    TRY(column_init(&c, a->options->batch_key, COLUMN_CATEGORICAL, obs->n_rows));
    TRY(strings_copy(&c.categories, &a->batches));
    for (int64_t i = 0; i < c.n; i++) c.codes[i] = code;
    TRY(frame_add(obs, &c));
done:
    column_clear(&c);
    return st;
}

/* Names that tell the cells of batches apart, and the column of the batch. */
static scw_status mark_batches(assembly *a)
{
    scw_status st = SCW_OK;
    bool repeat = false, taken = false;

    for (int64_t m = 0; m < a->modalities.n; m++)
        TRY(cells_repeat(&repeat, a, a->modalities.at[m]));
    for (int f = 0; f < a->n; f++) {
        file_parts *file = &a->files[f];
        for (int k = 0; k < file->n_parts; k++) {
            dataset_part *p = &file->parts[k];
            const char *batch = batch_of(a, f, p);
            mem_free(p->row_of_obs); /* the names decide from here on */
            p->row_of_obs = NULL;
            taken |= frame_find(&p->obs, a->options->batch_key) != NULL;
            if (repeat) TRY(add_suffix(&p->obs.index, batch));
            TRY(add_batch(&p->obs, a, batch));
        }
        if (file->has_global) {
            if (repeat) TRY(add_suffix(&file->global.index, a->names[f]));
            TRY(add_batch(&file->global, a, a->names[f]));
        }
    }
    if (repeat)
        log_info(a->hooks, "batches have cells of the same name: each name gets its batch behind it, "
                 "e.g. CELL-%s", a->batches.at[0]);
    if (taken)
        log_warning(a->hooks, "the files have a column '%s', which is kept; --batch-column gives the "
                    "files' own another name", a->options->batch_key);
done:
    return st;
}

/* ------------------------------------------------------------------ putting together */

static scw_status stack_modality(dataset_part *out, assembly *a, const char *name)
{
    scw_status st = SCW_OK;
    dataset_part *parts = NULL;
    int n = 0;
    textbuf list = {0};

    *out = (dataset_part){0};
    for (int f = 0; f < a->n; f++) {
        for (int k = 0; k < a->files[f].n_parts; k++) {
            dataset_part *p = &a->files[f].parts[k];
            if (!p->m.name || strcmp(p->m.name, name) != 0) continue;
            TRY(mem_resize(&parts, n + 1));
            parts[n++] = *p;
            *p = (dataset_part){0};
        }
    }
    if (n == 1) {
        *out = parts[0];
        parts[0] = (dataset_part){0};
        goto done;
    }
    TRY(parts_stack(out, parts, n, a->options->join, a->hooks));
    TRY(check_unique(&out->obs.index, "cell", name, "give each file a batch of its own"));
    for (int64_t i = 0; i < out->unread.n; i++)
        TRY(text_add(&list, "%s%s", i ? ", " : "", out->unread.at[i]));
    if (list.length)
        log_info(a->hooks, "modality '%s': left out, as %d files cannot be joined there: %s", name, n,
                 text_get(&list));
done:
    text_clear(&list);
    for (int k = 0; k < n; k++) dataset_part_clear(&parts[k]);
    mem_free(parts);
    return st;
}

/* A frame over the cells of a file that has none of its own: those of its parts. */
static scw_status bare_frame(frame *out, const assembly *a, int file)
{
    scw_status st = SCW_OK;
    const file_parts *f = &a->files[file];
    strings all = {0};
    name_index index = {0};

    if (f->n_parts == 1) {
        const frame *only[1] = {&f->parts[0].obs};
        return frame_stack(out, only, 1);
    }
    TRY(mem_strdup(&out->index_name, "_index"));
    for (int k = 0; k < f->n_parts; k++)
        for (int64_t i = 0; i < f->parts[k].obs.n_rows; i++)
            TRY(strings_add(&all, f->parts[k].obs.index.at[i]));
    TRY(name_index_build(&index, (const char *const *)all.at, all.n, NULL));
    for (int64_t i = 0; i < all.n; i++)
        if (name_index_find(&index, all.at[i]) == i) TRY(strings_add(&out->index, all.at[i]));
    out->n_rows = out->index.n;
    if (a->stacked) TRY(add_batch(out, a, a->names[file]));
done:
    name_index_clear(&index);
    strings_clear(&all);
    return st;
}

/* Only the first of rows with one name. */
static scw_status first_rows(frame *out, const frame *f)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    int64_t *rows = NULL, n = 0;

    TRY(mem_new(&rows, f->n_rows));
    TRY(name_index_build(&index, (const char *const *)f->index.at, f->n_rows, NULL));
    for (int64_t i = 0; i < f->n_rows; i++)
        if (name_index_find(&index, f->index.at[i]) == i) rows[n++] = i;
    TRY(frame_gather(out, f, rows, n));
done:
    name_index_clear(&index);
    mem_free(rows);
    return st;
}

/* When a file has a frame over its whole set: such frames of all files, below each other. */
static scw_status stack_globals(frame *out, bool *has, const assembly *a)
{
    scw_status st = SCW_OK;
    const frame **all = NULL;
    frame *bare = NULL, stacked = {0};

    *out = (frame){0};
    *has = false;
    for (int f = 0; f < a->n; f++) *has |= a->files[f].has_global;
    if (!*has) goto done;
    TRY(mem_new(&all, a->n));
    TRY(mem_new(&bare, a->n));
    for (int f = 0; f < a->n; f++) {
        if (!a->files[f].has_global) TRY(bare_frame(&bare[f], a, f));
        all[f] = a->files[f].has_global ? &a->files[f].global : &bare[f];
    }
    TRY(frame_stack(&stacked, all, a->n));
    TRY(first_rows(out, &stacked));
done:
    for (int f = 0; bare && f < a->n; f++) frame_clear(&bare[f]);
    mem_free(bare);
    mem_free(all);
    frame_clear(&stacked);
    return st;
}

static scw_status put_together(scw_dataset *d, assembly *a)
{
    scw_status st = SCW_OK;
    dataset_part *parts = NULL;
    frame global = {0};
    bool has_global;
    int n = (int)a->modalities.n;

    TRY(mem_new(&parts, n));
    TRY(stack_globals(&global, &has_global, a));
    for (int k = 0; k < n; k++) TRY(stack_modality(&parts[k], a, a->modalities.at[k]));
    TRY(dataset_join(d, parts, n, has_global ? &global : NULL));
done:
    for (int k = 0; parts && k < n; k++) dataset_part_clear(&parts[k]);
    mem_free(parts);
    frame_clear(&global);
    return st;
}

scw_status assemble(scw_dataset *d, file_parts *files, int n, const scw_read_options *options,
                    const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_read_options with_key = *options;
    assembly a = {.files = files, .n = n, .options = &with_key, .hooks = hooks};

    if (!with_key.batch_key) with_key.batch_key = "batch";
    TRY(mem_new(&a.names, n));
    TRY(name_files(a.names, d->files, n));
    for (int f = 0; f < n; f++) {
        if (!d->files[f].batch) continue;
        mem_free(a.names[f]);
        a.names[f] = NULL;
        TRY(mem_strdup(&a.names[f], d->files[f].batch));
    }
    TRY(list_modalities(&a));
    d->stacked = a.stacked;
    if (a.stacked) TRY(mark_batches(&a));
    if (n == 1 && !a.stacked)
        TRY(dataset_join(d, files[0].parts, files[0].n_parts,
                         files[0].has_global ? &files[0].global : NULL));
    else
        TRY(put_together(d, &a));
done:
    for (int f = 0; a.names && f < n; f++) mem_free(a.names[f]);
    mem_free(a.names);
    strings_clear(&a.modalities);
    strings_clear(&a.batches);
    return st;
}
