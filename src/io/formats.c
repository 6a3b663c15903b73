/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/formats.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "io/assemble.h"

static const file_format formats[] = {
    {"h5mu", ".h5mu", is_h5mu, read_h5mu, true, true},
    {"h5ad", ".h5ad", is_h5ad, read_h5ad, false, true},
    {"10x HDF5", "10x .h5", is_tenx, read_tenx, false, false},
    {"10x HDF5, version 2", NULL, is_tenx_old, read_tenx_old, false, false},
    {"molecule_info", NULL, is_molecules, read_molecules, false, false},
    {"10x folder", "a folder or .tar.gz with matrix.mtx, features.tsv and barcodes.tsv", is_triplet,
     read_triplet, false, false},
    {"MatrixMarket", ".mtx", is_mtx, read_mtx_file, false, false},
    {"loom", ".loom", is_loom, read_loom, false, false},
    {"Matilda HDF5", "Matilda's .h5", is_matilda, read_matilda, false, false},
    {"fragments", NULL, is_places, read_places, false, false},
    {"table", ".csv, .tsv, .txt with names and numbers; text also with .gz", is_table, read_table,
     false, false},
};

/* How the formats look, for messages. */
static scw_status list_formats(textbuf *out)
{
    scw_status st = SCW_OK;

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].looks) TRY(text_add(out, "%s%s", out->length ? "; " : "", formats[i].looks));
done:
    return st;
}

scw_status format_find(const file_format **out, const input *in)
{
    static const char *const what[] = {
        "an HDF5 file of an unknown layout (neither obs nor X, mod, matrix)", "a folder without data",
        "an archive without data", "text, but no matrix", "not a file of a known format"};
    scw_status st = SCW_OK;
    textbuf list = {0};

    *out = NULL;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!formats[i].recognises(in)) continue;
        *out = &formats[i];
        return SCW_OK;
    }
    TRY(list_formats(&list));
    BREAK(RULE_FILE_KNOWN, SCW_EFORMAT, "%s: %s; what can be read: %s", in->path, what[in->kind],
          text_get(&list));
done:
    text_clear(&list);
    return st;
}

/* ------------------------------------------------------------------ several files into one set */

static scw_status note_file(dataset_file *f, const file_format *format, const file_parts *parts,
                            const input *in, const scw_source *source)
{
    scw_status st = SCW_OK;

    f->native = format->native;
    f->n_parts = parts->n_parts;
    TRY(mem_strdup(&f->path, in->path));
    TRY(mem_strdup(&f->wanted, source->modality));
    TRY(mem_strdup(&f->layer, source->layer));
    TRY(mem_strdup(&f->batch, source->batch));
    if (!format->holds_all) TRY(mem_strdup(&f->modality, parts->parts[parts->n_parts - 1].m.name));
done:
    return st;
}

static scw_status read_one(file_parts *out, scw_dataset *d, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    const file_format *format;

    TRY(log_check_cancel(q->hooks));
    TRY(format_find(&format, in));
    TRY(format->read(out, in, q));
    TRY(note_file(&d->files[d->n_files++], format, out, in, q->source));
done:
    return st;
}

static scw_status check_present(const scw_dataset *d, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const char *path = d->files[0].path;

    for (int k = 0; k < d->n_modalities; k++) {
        const modality *m = &d->modalities[k];
        if (m->n_present == 0)
            FAIL(SCW_EDATA, "%s: no cell of modality '%s' is in the set's obs; are the cell names "
                 "written differently?", path, m->name);
        if (m->n_present < m->x.n_rows && d->n_files == 1)
            log_warning(hooks, "%s: %lld cells of modality '%s' are not in the set's obs and are "
                        "left out", path, (long long)(m->x.n_rows - m->n_present), m->name);
    }
done:
    return st;
}

#define MOST_COPIES 4           /* a dense matrix whose rows are taken in another order: 8 bytes a value, twice */
#define SHARE_LEAST (1 << 20)

void read_shares(int64_t *share, const int64_t *size, int64_t n, int64_t memory)
{
    int64_t left = n, rest = memory;
    bool settled = false;

    for (int64_t k = 0; k < n; k++) share[k] = 0;
    while (left > 0 && !settled) {
        const int64_t equal = rest / left;
        settled = true;
        for (int64_t k = 0; k < n; k++) {
            if (share[k] > 0 || size[k] > equal / MOST_COPIES) continue;
            const int64_t asked = MOST_COPIES * size[k] + SHARE_LEAST;
            share[k] = asked < equal ? asked : equal;
            if (share[k] < 1) share[k] = 1;
            rest -= share[k];
            left--;
            settled = false;
            break; /* what the others may take has grown */
        }
    }
    for (int64_t k = 0; k < n; k++)
        if (share[k] == 0) share[k] = rest / left > 0 ? rest / left : 1;
}

#define UNPACKED 8 /* times as large as its file is a matrix in memory, at most as a rule */

/* What the matrices of an input may take in memory, by the bytes of its files. */
static int64_t size_of(const input *in)
{
    struct stat info;
    textbuf path = {0};
    int64_t sum = 0;

    if (in->kind != INPUT_FOLDER) return stat(in->path, &info) == 0 ? UNPACKED * info.st_size : 0;
    for (int64_t i = 0; i < in->members.n; i++) {
        text_clear(&path);
        if (text_add(&path, "%s/%s", in->path, in->members.at[i]) == SCW_OK &&
            stat(text_get(&path), &info) == 0)
            sum += UNPACKED * info.st_size;
    }
    text_clear(&path);
    status_clear();
    return sum;
}

static scw_status share_memory(int64_t **out, const input *inputs, int n, int64_t memory)
{
    scw_status st = SCW_OK;
    int64_t *size = NULL;

    TRY(mem_new(out, n));
    if (memory <= 0) goto done;
    TRY(mem_new(&size, n));
    for (int k = 0; k < n; k++) size[k] = size_of(&inputs[k]);
    if (n == 1) (*out)[0] = memory;
    else read_shares(*out, size, n, memory);
done:
    mem_free(size);
    return st;
}

scw_status dataset_read_as(scw_dataset **out, const input *inputs, const scw_source *sources,
                           int n_sources, const scw_read_options *options, read_depth depth,
                           const scw_hooks *hooks)
{
    static const scw_read_options defaults = {0};
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    file_parts *files = NULL;
    int64_t *share = NULL;

    *out = NULL;
    if (!options) options = &defaults;
    TRY(mem_new(&d, 1));
    TRY(mem_new(&d->files, n_sources));
    TRY(mem_new(&files, n_sources));
    TRY(share_memory(&share, inputs, n_sources, options->memory_bytes));
    for (int k = 0; k < n_sources; k++) {
        scw_read_options own = *options;
        own.memory_bytes = share[k];
        TRY(read_one(&files[k], d, &inputs[k],
                     &(read_request){&sources[k], &own, depth, hooks, NULL}));
    }
    d->join = options->join;
    d->rows = options->rows;
    TRY(mem_strdup(&d->var_names, options->var_names));
    TRY(mem_strdup(&d->batch_key, options->batch_key));
    TRY(mem_strdup(&d->spill_folder, options->spill_folder));
    d->memory_bytes = options->memory_bytes;
    TRY(assemble(d, files, n_sources, options, hooks));
    TRY(check_present(d, hooks));
    *out = d;
    d = NULL;
done:
    scw_dataset_free(d);
    for (int k = 0; files && k < n_sources; k++) file_parts_clear(&files[k]);
    mem_free(files);
    mem_free(share);
    return st;
}

scw_status dataset_read(scw_dataset **out, const input *inputs, const scw_source *sources,
                        int n_sources, const scw_read_options *options, const scw_hooks *hooks)
{
    return dataset_read_as(out, inputs, sources, n_sources, options, READ_VALUES, hooks);
}

scw_status dataset_read_again(scw_dataset **out, const scw_dataset *d, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    input *inputs = NULL;
    scw_source *sources = NULL;
    const scw_read_options options = {.var_names = d->var_names,
                                      .join = d->join,
                                      .rows = d->rows,
                                      .batch_key = d->batch_key,
                                      .memory_bytes = d->memory_bytes,
                                      .spill_folder = d->spill_folder};
    scw_hooks quiet = hooks ? *hooks : (scw_hooks){0};

    *out = NULL;
    quiet.log = NULL; /* what there is to say was said the first time */
    TRY(mem_new(&inputs, d->n_files));
    TRY(mem_new(&sources, d->n_files));
    for (int k = 0; k < d->n_files; k++) {
        const dataset_file *f = &d->files[k];
        sources[k] = (scw_source){f->path, f->wanted, f->layer, f->batch};
        TRY(input_open(&inputs[k], f->path));
    }
    TRY(dataset_read_as(out, inputs, sources, d->n_files, &options, READ_WHOLE, &quiet));
done:
    for (int k = 0; inputs && k < d->n_files; k++) input_close(&inputs[k]);
    mem_free(inputs);
    mem_free(sources);
    return st;
}

scw_read_options read_budget(const scw_read_options *options)
{
    scw_read_options all = options ? *options : (scw_read_options){0};

    if (all.memory_bytes <= 0) all.memory_bytes = memory_available_bytes() / 2;
    if (all.matrices > 1) all.memory_bytes /= all.matrices;
    if (all.memory_bytes < 1) all.memory_bytes = 1;
    return all;
}

scw_status scw_dataset_open(scw_dataset **out, const scw_source *sources, int n_sources,
                            const scw_read_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_session session;
    input *inputs = NULL;

    if (!out) return status_fail(SCW_EINVAL, "no place for the data set");
    *out = NULL;
    h5_session_begin(&session);
    if (n_sources < 1 || !sources) FAIL(SCW_EINVAL, "no input file given");
    TRY(mem_new(&inputs, n_sources));
    for (int k = 0; k < n_sources; k++) TRY(input_open(&inputs[k], sources[k].path));
    const scw_read_options budget = read_budget(options);
    TRY(dataset_read(out, inputs, sources, n_sources, &budget, hooks));
    log_detail(hooks, "%s: %lld cells, %d modalities", sources[0].path, (long long)(*out)->n_obs,
               (*out)->n_modalities);
done:
    for (int k = 0; inputs && k < n_sources; k++) input_close(&inputs[k]);
    mem_free(inputs);
    h5_session_end(&session);
    return st;
}
