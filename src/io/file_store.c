/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/file_store.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/log.h"
#include "io/element.h"
#include "io/file_blocks.h"
#include "io/h5_array.h"

typedef struct file_store {
    row_store base; /* first: what the data set sees */
    char *path, *element, *folder;
    int64_t n_rows, n_cols;
    bool bare; /* csr vectors without an encoding */
} file_store;

static scw_status open_rows(block_reader **out, const row_store *s, bool exact)
{
    const file_store *f = (const file_store *)(const void *)s;
    int64_t half = s->memory_bytes / 2;
    const block_options options = {
        .memory_bytes = half < BLOCKS_DEFAULT_MEMORY ? half : BLOCKS_DEFAULT_MEMORY,
        .folder = f->folder,
        .exact = exact,
        .bare = f->bare};

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

/* What a matrix would take, and how its values are stored. */
typedef struct measure {
    int64_t shape[2], bytes;
    number_type stored;
    bool dense;
} measure;

/* `bare`: the shape is set, of csr vectors. */
static scw_status take_measure(measure *m, hid_t element, int64_t n_cols, bool bare)
{
    scw_status st = SCW_OK;
    const encoding *row = NULL;
    hid_t data = 0;
    h5_info info;
    const bool sparse = h5_kind_of(element) == H5_GROUP;
    int64_t *shape = m->shape, *bytes = &m->bytes;

    if (!bare) TRY(registry_find(&row, element));
    if (row && !row->read_matrix)
        FAIL(SCW_EFORMAT, "%s: is a %s, expected a matrix", h5_where(element), row->type);
    if (sparse) {
        if (!bare) TRY(element_sparse_shape(shape, element));
        TRY(h5_open(&data, element, "data"));
    }
    TRY(h5_describe(&info, sparse ? data : element));
    if (!sparse) TRY(element_dense_shape(shape, element, &info, n_cols));
    m->stored = h5_number_type(&info, info.is_signed && info.class != H5_CLASS_BOOL);
    m->dense = !sparse;
    /* A csc matrix is in memory twice while it is being turned. */
    int64_t each = !sparse ? 4 : row && row->read_matrix == element_csc ? 16 : 8, pointers;
    if (!checked_mul(bytes, info.n, each) || !checked_mul(&pointers, shape[0], 8) ||
        !checked_add(bytes, *bytes, sparse ? pointers : 0))
        FAIL(SCW_EFORMAT, "%s: the declared size overflows", h5_where(element));
done:
    h5_close(&data);
    return st;
}

scw_status element_measure(int64_t shape[2], int64_t *bytes, hid_t element, int64_t n_cols)
{
    measure m = {0};
    scw_status st = take_measure(&m, element, n_cols, false);

    shape[0] = m.shape[0];
    shape[1] = m.shape[1];
    *bytes = m.bytes;
    return st;
}

static scw_status leave_in_file(modality *m, hid_t element, const measure *size, bool bare,
                                const scw_read_options *options)
{
    scw_status st = SCW_OK;
    file_store *f = NULL;

    TRY(mem_new(&f, 1));
    f->base = (row_store){.open = open_rows,
                          .close = close_store,
                          .dense = size->dense,
                          .bytes = size->bytes,
                          .memory_bytes = options->memory_bytes};
    if (f->base.memory_bytes <= 0) f->base.memory_bytes = INT64_MAX;
    f->bare = bare;
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

static scw_status read_bare(matrix *out, hid_t group, int64_t n_rows, int64_t n_cols, bool exact)
{
    scw_status st = SCW_OK;

    TRY(element_compressed(out, group, n_rows, n_cols, exact));
    st = matrix_canonical(out);
    if (st == SCW_EFORMAT) st = status_prefix(st, "%s", h5_where(group));
done:
    return st;
}

static scw_status read_or_leave(modality *m, hid_t element, int64_t n_rows, int64_t n_cols, bool bare,
                                const read_request *q)
{
    scw_status st = SCW_OK;
    const scw_read_options *o = q->options;
    const bool whole = q->depth == READ_WHOLE, free_choice = !whole && o->leave_matrices;
    measure size = {.shape = {n_rows, n_cols}};
    bool leave = free_choice;

    if (free_choice || o->memory_bytes > 0) {
        TRY(take_measure(&size, element, n_cols, bare));
        if (!bare) TRY(element_check_shape(element, size.shape, n_rows, n_cols));
        if (whole) size.bytes += size.bytes / (size.dense ? 1 : 2); /* values are doubles */
        leave = leave || size.bytes > o->memory_bytes;
    }
    if (!leave) {
        if (bare) return read_bare(&m->x, element, n_rows, n_cols, whole);
        return registry_read_matrix(&m->x, element, n_rows, n_cols, whole);
    }
    m->x = (matrix){
        .n_rows = size.shape[0], .n_cols = size.shape[1], .sparse = true, .stored = size.stored};
    TRY(leave_in_file(m, element, &size, bare, o));
    if (!free_choice)
        log_info(q->hooks, "%s: %lld MB in memory, its share is %lld MB: it is read in blocks",
                 h5_where(element), (long long)(size.bytes / 1000000),
                 (long long)(o->memory_bytes / 1000000));
done:
    return st;
}

scw_status file_store_read(modality *m, hid_t element, int64_t n_rows, int64_t n_cols,
                           const read_request *q)
{
    return read_or_leave(m, element, n_rows, n_cols, false, q);
}

scw_status file_store_read_vectors(modality *m, hid_t group, int64_t n_rows, int64_t n_cols,
                                   const read_request *q)
{
    return read_or_leave(m, group, n_rows, n_cols, true, q);
}
