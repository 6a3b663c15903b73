/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/file_store.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/log.h"
#include "io/element.h"
#include "io/file_blocks.h"

typedef struct file_store {
    row_store base; /* first: what the data set sees */
    char *path, *element, *folder;
    int64_t n_rows, n_cols;
} file_store;

static scw_status open_rows(block_reader **out, const row_store *s)
{
    const file_store *f = (const file_store *)(const void *)s;
    int64_t half = s->memory_bytes / 2;
    const block_options options = {
        .memory_bytes = half < BLOCKS_DEFAULT_MEMORY ? half : BLOCKS_DEFAULT_MEMORY,
        .folder = f->folder};

    return block_reader_open(out, f->path, f->element, f->n_rows, f->n_cols, &options);
}

static void close_store(row_store *s)
{
    file_store *f = (file_store *)(void *)s;

    if (!f) return;
    mem_free(f->path);
    mem_free(f->element);
    mem_free(f->folder);
    mem_free(f);
}

/* A name that HDF5 gives in two steps. */
static scw_status take_name(char **out, hid_t id, ssize_t (*get)(hid_t, char *, size_t))
{
    scw_status st = SCW_OK;
    ssize_t n = get(id, NULL, 0);

    if (n <= 0) FAIL(SCW_EINTERNAL, "%s: has no name", h5_where(id));
    TRY(mem_new(out, n + 1));
    if (get(id, *out, (size_t)n + 1) != n) FAIL(SCW_EINTERNAL, "%s: has no name", h5_where(id));
done:
    return st;
}

scw_status element_measure(int64_t shape[2], int64_t *bytes, hid_t element, int64_t n_cols)
{
    scw_status st = SCW_OK;
    const encoding *row;
    hid_t data = 0;
    h5_info info;
    const bool sparse = h5_kind_of(element) == H5_GROUP;

    TRY(registry_find(&row, element));
    if (!row->read_matrix)
        FAIL(SCW_EFORMAT, "%s: is a %s, expected a matrix", h5_where(element), row->type);
    if (sparse) {
        TRY(element_sparse_shape(shape, element));
        TRY(h5_open(&data, element, "data"));
    }
    TRY(h5_describe(&info, sparse ? data : element));
    if (!sparse) TRY(element_dense_shape(shape, element, &info, n_cols));
    /* A csc matrix is in memory twice while it is being turned. */
    int64_t each = !sparse ? 4 : row->read_matrix == element_csc ? 16 : 8, pointers;
    if (!checked_mul(bytes, info.n, each) || !checked_mul(&pointers, shape[0], 8) ||
        !checked_add(bytes, *bytes, sparse ? pointers : 0))
        FAIL(SCW_EFORMAT, "%s: the declared size overflows", h5_where(element));
done:
    h5_close(&data);
    return st;
}

static scw_status leave_in_file(modality *m, hid_t element, int64_t bytes,
                                const scw_read_options *options)
{
    scw_status st = SCW_OK;
    file_store *f = NULL;

    TRY(mem_new(&f, 1));
    f->base = (row_store){open_rows, close_store, bytes, options->memory_bytes, NULL, NULL};
    if (f->base.memory_bytes <= 0) f->base.memory_bytes = INT64_MAX;
    f->n_rows = m->x.n_rows;
    f->n_cols = m->x.n_cols;
    TRY(take_name(&f->path, element, H5Fget_name));
    TRY(take_name(&f->element, element, H5Iget_name));
    TRY(mem_strdup(&f->folder, options->spill_folder));
    f->base.folder = f->folder;
    m->store = &f->base;
    f = NULL;
done:
    close_store(f ? &f->base : NULL);
    return st;
}

scw_status file_store_read(modality *m, hid_t element, int64_t n_rows, int64_t n_cols,
                           const read_request *q)
{
    scw_status st = SCW_OK;
    const scw_read_options *o = q->options;
    const bool whole = q->depth == READ_WHOLE;
    int64_t shape[2], bytes;

    if (whole || (!o->leave_matrices && o->memory_bytes <= 0))
        return registry_read_matrix(&m->x, element, n_rows, n_cols, whole);
    TRY(element_measure(shape, &bytes, element, n_cols));
    TRY(element_check_shape(element, shape, n_rows, n_cols));
    if (!o->leave_matrices && bytes <= o->memory_bytes)
        return registry_read_matrix(&m->x, element, n_rows, n_cols, false);
    m->x = (matrix){.n_rows = shape[0], .n_cols = shape[1], .sparse = true};
    TRY(leave_in_file(m, element, bytes, o));
    if (!o->leave_matrices)
        log_info(q->hooks, "%s: %lld MB in memory, its share is %lld MB: it is read in blocks",
                 h5_where(element), (long long)(bytes / 1000000),
                 (long long)(o->memory_bytes / 1000000));
done:
    return st;
}

scw_status file_store_load(modality *m)
{
    scw_status st = SCW_OK;
    const matrix *x;
    matrix room = {0};

    if (!m->store) return SCW_OK;
    TRY(modality_load(&x, &room, m));
    modality_close_store(m);
    m->x = room;
done:
    return st;
}
