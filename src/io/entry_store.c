/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/entry_store.h"

#include "base/alloc.h"
#include "base/log.h"

typedef struct entry_store {
    row_store base; /* first */
    entry_origin origin;
    char *folder;
    int64_t n_rows, n_cols;
} entry_store;

static scw_status open_rows(block_reader **out, const row_store *s, bool exact)
{
    scw_status st = SCW_OK;
    const entry_store *e = (const entry_store *)(const void *)s;
    const int64_t half = s->memory_bytes / 2;
    const block_options options = {
        .memory_bytes = half < BLOCKS_DEFAULT_MEMORY ? half : BLOCKS_DEFAULT_MEMORY,
        .folder = e->folder,
        .exact = exact};
    entry_source source = {0};

    *out = NULL;
    TRY(e->origin.open(&source, e->origin.self));
    TRY(block_reader_of_entries(out, e->n_rows, e->n_cols, e->origin.n_entries, &source, &options));
    (*out)->nnz = -1; /* so many were expected */
done:
    return st;
}

static void close_store(row_store *s)
{
    entry_store *e = (entry_store *)(void *)s;

    e->origin.close(e->origin.self);
    mem_free(e->folder);
    mem_free(e);
}

static int64_t bytes_of(int64_t n_entries, int64_t n_rows, bool exact)
{
    return n_entries * (exact ? 12 : 8) + 8 * n_rows;
}

bool entry_store_wanted(int64_t n_entries, int64_t n_rows, const input *in, const read_request *q)
{
    const scw_read_options *o = q->options;

    if (in->bytes || o->memory_bytes <= 0 || n_entries > INT64_MAX / 16) return false;
    return bytes_of(n_entries, n_rows, q->depth == READ_WHOLE) > o->memory_bytes;
}

scw_status entry_store_leave(modality *m, const entry_origin *origin, const char *where,
                             const read_request *q)
{
    scw_status st = SCW_OK;
    const scw_read_options *o = q->options;
    entry_store *e = NULL;

    TRY(mem_new(&e, 1));
    e->base = (row_store){
        .open = open_rows,
        .close = close_store,
        .bytes = bytes_of(origin->n_entries, m->x.n_rows, q->depth == READ_WHOLE),
        .memory_bytes = o->memory_bytes};
    e->n_rows = m->x.n_rows;
    e->n_cols = m->x.n_cols;
    TRY(mem_strdup(&e->folder, o->spill_folder));
    e->base.folder = e->folder;
    e->origin = *origin;
    m->store = &e->base;
    e = NULL;
    log_info(q->hooks, "%s: %lld MB in memory, its share is %lld MB: it is read in blocks", where,
             (long long)(m->store->bytes / 1000000), (long long)(o->memory_bytes / 1000000));
done:
    if (st != SCW_OK) origin->close(origin->self);
    if (e) mem_free(e->folder);
    mem_free(e);
    return st;
}
