/* SPDX-License-Identifier: BSD-3-Clause */
/* Cell Ranger's HDF5 files: a matrix of features x cells compressed by cells, so its vectors are those
 * of a CSR matrix of cells x features.
 *
 *   version 3 and later            before: one group for each genome
 *   /matrix/data,indices,indptr    /hg19/data,indices,indptr
 *   /matrix/shape                  /hg19/shape
 *   /matrix/barcodes               /hg19/barcodes
 *   /matrix/features/id,name,      /hg19/genes,gene_names
 *     feature_type,genome,...
 *
 * Source: "Feature-Barcode Matrices in the HDF5 Format", support pages of 10x Genomics; CellBender
 * writes both layouts. Files of probes and of Visium have more columns of features, all of which are read. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/element.h"
#include "io/file_store.h"
#include "io/formats.h"

bool is_tenx(const input *in)
{
    return in->kind == INPUT_HDF5 && h5_find(in->hdf5, "matrix/barcodes") == H5_DATASET &&
           h5_find(in->hdf5, "matrix/features") == H5_GROUP;
}

bool is_molecules(const input *in)
{
    return in->kind == INPUT_HDF5 && h5_find(in->hdf5, "gem_group") == H5_DATASET &&
           (h5_find(in->hdf5, "barcode_idx") == H5_DATASET ||
            h5_find(in->hdf5, "barcode") == H5_DATASET);
}

scw_status read_molecules(file_parts *out, const input *in, const read_request *q)
{
    (void)out, (void)q;
    return status_fail(SCW_EUNSUPPORTED, "%s: lists molecules, it is no matrix of cells; name "
                       "filtered_feature_bc_matrix.h5 of the same run", in->path);
}

/* ------------------------------------------------------------------ pieces */

static scw_status read_names(strings *out, hid_t group, const char *name)
{
    scw_status st = SCW_OK;
    hid_t element = 0;

    st = h5_open(&element, group, name);
    if (st == SCW_ENOTFOUND) st = SCW_EFORMAT;
    TRY(st);
    TRY(h5_read_strings(out, element));
done:
    h5_close(&element);
    return st;
}

/* The matrix of a group whose shape must be that of the names. */
static scw_status read_counts(modality *m, hid_t group, int64_t n_cells, int64_t n_features,
                              const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    int64_t shape[2];

    st = h5_open(&element, group, "shape");
    if (st == SCW_ENOTFOUND) st = SCW_EFORMAT;
    TRY(st);
    TRY(h5_read_i64(shape, element, 2));
    if (shape[0] != n_features || shape[1] != n_cells)
        FAIL(SCW_EFORMAT, "%s: is %lld x %lld, expected %lld features x %lld barcodes",
             h5_where(element), (long long)shape[0], (long long)shape[1], (long long)n_features,
             (long long)n_cells);
    TRY(file_store_read_vectors(m, group, n_cells, n_features, q));
done:
    h5_close(&element);
    return st;
}

/* A dataset of features as a column, unless it has another length (lists of keys, sets of targets). */
static scw_status add_feature_column(frame *var, hid_t features, const char *stored,
                                     const char *name, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    h5_info info;
    column c = {0};

    if (h5_find(features, stored) != H5_DATASET) goto done;
    TRY(h5_open(&element, features, stored));
    TRY(h5_describe(&info, element));
    if (info.rank != 1 || info.n != var->n_rows || stored[0] == '_') goto done;
    st = element_array_column(&c, element, name, features);
    if (st == SCW_EUNSUPPORTED || st == SCW_EFORMAT) {
        log_warning(hooks, "column left out: %s", scw_error_message());
        st = SCW_OK;
        goto done;
    }
    TRY(st);
    TRY(frame_add(var, &c));
done:
    column_clear(&c);
    h5_close(&element);
    return st;
}

/* Columns under the names that scanpy gives them. */
static scw_status read_features(frame *var, hid_t group, const scw_hooks *hooks)
{
    static const char *const renamed[][2] = {
        {"id", "gene_ids"}, {"feature_type", "feature_types"}, {"genome", "genome"}};
    scw_status st = SCW_OK;
    hid_t features = 0;
    strings names = {0};

    TRY(h5_open_group(&features, group, "features"));
    TRY(mem_strdup(&var->index_name, "_index"));
    TRY(read_names(&var->index, features, h5_find(features, "name") == H5_DATASET ? "name" : "id"));
    var->n_rows = var->index.n;
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        TRY(add_feature_column(var, features, renamed[i][0], renamed[i][1], hooks));
    TRY(h5_list(&names, features));
    for (int64_t i = 0; i < names.n; i++) {
        bool known = strcmp(names.at[i], "name") == 0;
        for (size_t k = 0; k < sizeof renamed / sizeof *renamed; k++)
            known |= strcmp(names.at[i], renamed[k][0]) == 0;
        if (!known && !frame_find(var, names.at[i]))
            TRY(add_feature_column(var, features, names.at[i], names.at[i], hooks));
    }
done:
    strings_clear(&names);
    h5_close(&features);
    return st;
}

scw_status read_tenx(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    dataset_part part = {0};

    TRY(h5_open_group(&group, in->hdf5, "matrix"));
    TRY(read_features(&part.m.var, group, q->hooks));
    TRY(mem_strdup(&part.obs.index_name, "_index"));
    TRY(read_names(&part.obs.index, group, "barcodes"));
    part.obs.n_rows = part.obs.index.n;
    TRY(read_counts(&part.m, group, part.obs.n_rows, part.m.var.n_rows, q));
    TRY(parts_add(out, &part, in->path, q));
done:
    dataset_part_clear(&part);
    h5_close(&group);
    return st;
}

/* ------------------------------------------------------------------ before version 3 */

static bool is_genome(hid_t file, const char *name)
{
    static const char *const needed[] = {"barcodes", "data", "indices", "indptr", "shape", "genes"};
    char path[300];

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        (void)snprintf(path, sizeof path, "%.200s/%s", name, needed[i]);
        if (h5_find(file, path) != H5_DATASET) return false;
    }
    return true;
}

scw_status tenx_genomes(strings *out, hid_t file)
{
    scw_status st = SCW_OK;
    strings names = {0};

    *out = (strings){0};
    TRY(h5_list(&names, file));
    for (int64_t i = 0; i < names.n; i++)
        if (is_genome(file, names.at[i])) TRY(strings_add(out, names.at[i]));
done:
    strings_clear(&names);
    return st;
}

bool is_tenx_old(const input *in)
{
    strings genomes = {0};

    if (in->kind != INPUT_HDF5) return false;
    bool yes = tenx_genomes(&genomes, in->hdf5) == SCW_OK && genomes.n > 0;
    strings_clear(&genomes);
    return yes;
}

typedef struct genome {
    strings cells, ids, names;
    modality m; /* the matrix alone */
} genome;

static scw_status read_genome(genome *out, hid_t file, const char *name, const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    bool named;

    TRY(h5_open_group(&group, file, name));
    named = h5_find(group, "gene_names") == H5_DATASET;
    TRY(read_names(&out->cells, group, "barcodes"));
    TRY(read_names(&out->ids, group, "genes"));
    TRY(read_names(&out->names, group, named ? "gene_names" : "genes"));
    if (out->names.n != out->ids.n)
        FAIL(SCW_EFORMAT, "%s: has %lld genes and %lld gene_names", h5_where(group),
             (long long)out->ids.n, (long long)out->names.n);
    TRY(check_unique(&out->cells, "cell", h5_where(group), "barcodes must differ"));
    TRY(read_counts(&out->m, group, out->cells.n, out->ids.n, q));
done:
    h5_close(&group);
    return st;
}

/* The features of all genomes, one after the other. */
static scw_status list_features(frame *var, const genome *g, const strings *names)
{
    scw_status st = SCW_OK;
    column ids = {0}, from = {0};

    TRY(mem_strdup(&var->index_name, "_index"));
    for (int64_t k = 0; k < names->n; k++)
        for (int64_t j = 0; j < g[k].names.n; j++) TRY(strings_add(&var->index, g[k].names.at[j]));
    var->n_rows = var->index.n;
    TRY(column_init(&ids, "gene_ids", COLUMN_STRING, var->n_rows));
    TRY(column_init(&from, "genome", COLUMN_CATEGORICAL, var->n_rows));
    for (int64_t k = 0, at = 0; k < names->n; k++) {
        TRY(strings_add(&from.categories, names->at[k]));
        for (int64_t j = 0; j < g[k].ids.n; j++) {
            TRY(strings_add(&ids.text, g[k].ids.at[j]));
            from.codes[at++] = (int32_t)k;
        }
    }
    TRY(frame_add(var, &ids));
    TRY(frame_add(var, &from));
done:
    column_clear(&ids);
    column_clear(&from);
    return st;
}

/* The cells of all genomes: a cell may be in several of them. */
static scw_status list_cells(strings *out, int64_t **row, const genome *g, int64_t n)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    strings all = {0};
    int64_t *place = NULL;

    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < g[k].cells.n; i++) TRY(strings_add(&all, g[k].cells.at[i]));
    TRY(name_index_build(&index, (const char *const *)all.at, all.n, NULL));
    TRY(mem_new(row, all.n));
    TRY(mem_new(&place, all.n));
    for (int64_t i = 0; i < all.n; i++) {
        int64_t first = name_index_find(&index, all.at[i]);
        if (first == i) {
            place[i] = out->n;
            TRY(strings_add(out, all.at[i]));
        }
        (*row)[i] = place[first];
    }
done:
    mem_free(place);
    name_index_clear(&index);
    strings_clear(&all);
    return st;
}

static scw_status join_genomes(dataset_part *part, genome *g, int64_t n, bool exact)
{
    scw_status st = SCW_OK;
    matrix_builder b = {0};
    int64_t *row = NULL, first_cell = 0, first_feature = 0;

    TRY(list_cells(&part->obs.index, &row, g, n));
    part->obs.n_rows = part->obs.index.n;
    if (n == 1) {
        part->m.x = g[0].m.x;
        part->m.store = g[0].m.store;
        g[0].m = (modality){0};
        goto done;
    }
    TRY(matrix_builder_init(&b, part->obs.n_rows, part->m.var.n_rows, exact));
    b.m.stored = g[0].m.x.stored;
    for (int64_t k = 0; k < n; k++) {
        const matrix *m = &g[k].m.x;
        b.m.stored = number_type_join(b.m.stored, m->stored);
        for (int64_t i = 0; i < m->n_rows; i++)
            for (int64_t e = m->indptr[i]; e < m->indptr[i + 1]; e++)
                TRY(matrix_builder_add(&b, row[first_cell + i], first_feature + m->indices[e],
                                       matrix_value(m, e)));
        first_cell += g[k].cells.n;
        first_feature += g[k].ids.n;
    }
    TRY(matrix_builder_finish(&part->m.x, &b));
done:
    mem_free(row);
    matrix_builder_clear(&b);
    return st;
}

scw_status read_tenx_old(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    strings names = {0};
    genome *g = NULL;
    dataset_part part = {0};

    TRY(tenx_genomes(&names, in->hdf5));
    TRY(mem_new(&g, names.n));
    scw_read_options whole = *q->options;
    if (names.n > 1) { /* several genomes are put together in memory */
        whole.memory_bytes = 0;
        whole.leave_matrices = false;
    }
    const read_request each = {q->source, &whole, q->depth, q->hooks, q->faults};
    for (int64_t k = 0; k < names.n; k++) TRY(read_genome(&g[k], in->hdf5, names.at[k], &each));
    TRY(list_features(&part.m.var, g, &names));
    TRY(mem_strdup(&part.obs.index_name, "_index"));
    TRY(join_genomes(&part, g, names.n, q->depth == READ_WHOLE));
    TRY(parts_add(out, &part, in->path, q));
done:
    for (int64_t k = 0; g && k < names.n; k++) {
        strings_clear(&g[k].cells);
        strings_clear(&g[k].ids);
        strings_clear(&g[k].names);
        modality_clear(&g[k].m);
    }
    mem_free(g);
    strings_clear(&names);
    dataset_part_clear(&part);
    return st;
}
