/* SPDX-License-Identifier: BSD-3-Clause */
/* Datasets that grow row by row, for what is written while it is computed.
 *
 *   rows ──convert──> pending ──whole chunks──> shuffle, gzip ──> H5Dwrite_chunk
 *                                               (all cores)       (this thread)
 *
 * What is no number, and LZF, goes through HDF5's own filters. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/threads.h"
#include "io/h5.h"
#include "io/h5_encode.h"

#define CHUNK_BYTES (256 * 1024)
#define BATCH_BYTES (16 << 20) /* of chunks that are compressed together */
#define GZIP_LEVEL 1 /* of values in long matrices: twice the speed of level 4 for a few per cent  \
                      */

/* ------------------------------------------------------------------ opening */

static bool is_number(hid_t type)
{
    H5T_class_t class = H5Tget_class(type);
    return class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM;
}

scw_status h5_growing_open(h5_growing *g, hid_t parent, const char *name, hid_t type, int rank,
                           const int64_t *dim)
{
    scw_status st = SCW_OK;
    hid_t space = 0, dcpl = 0;
    hsize_t dims[H5_MAX_RANK], most[H5_MAX_RANK], chunk[H5_MAX_RANK];
    hsize_t row = H5Tget_size(type);
    const h5_compression how = h5_compressed_with();

    *g = (h5_growing){.rank = rank, .size = H5Tget_size(type)};
    for (int i = 0; i < rank; i++) {
        g->dim[i] = i ? dim[i] : 0;
        dims[i] = most[i] = chunk[i] = (hsize_t)g->dim[i];
        if (i) row *= dims[i];
        if (i && chunk[i] == 0) chunk[i] = 1;
    }
    most[0] = H5S_UNLIMITED;
    chunk[0] = row && row < CHUNK_BYTES ? CHUNK_BYTES / row : 1;
    if (dim[0] > 0 && (hsize_t)dim[0] < chunk[0]) chunk[0] = (hsize_t)dim[0];
    space = H5Screate_simple(rank, dims, most);
    dcpl = H5Pcreate(H5P_DATASET_CREATE);
    bool filtered = H5Tget_class(type) != H5T_STRING && how != H5_PLAIN;
    if (space < 0 || dcpl < 0 || H5Pset_obj_track_times(dcpl, 0) < 0 ||
        H5Pset_chunk(dcpl, rank, chunk) < 0 ||
        (filtered && how == H5_GZIP &&
         (H5Pset_shuffle(dcpl) < 0 || H5Pset_deflate(dcpl, GZIP_LEVEL) < 0)) ||
        (filtered && how == H5_LZF && h5_set_filters(dcpl, how, (size_t)(chunk[0] * row)) < 0))
        FAIL(SCW_EIO, "%s: cannot write '%s': %s", h5_where(parent), name, h5_reason());
    g->type = H5Tcopy(type);
    if (is_number(type) && row > 0 && how != H5_LZF) g->stored = H5Tcopy(type);
    g->gzip = how == H5_GZIP;
    g->row = row;
    g->chunk_rows = (int64_t)chunk[0];
    hid_t d = H5Dcreate2(parent, name, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (d < 0) FAIL(SCW_EIO, "%s: cannot write '%s': %s", h5_where(parent), name, h5_reason());
    g->dataset = d;
done:
    h5_close(&space);
    h5_close(&dcpl);
    if (st != SCW_OK) h5_growing_clear(g);
    return st;
}

static scw_status extend(h5_growing *g, int64_t n)
{
    hsize_t dims[H5_MAX_RANK];

    for (int i = 0; i < g->rank; i++) dims[i] = (hsize_t)g->dim[i];
    dims[0] = (hsize_t)(g->dim[0] + n);
    if (H5Dset_extent(g->dataset, dims) < 0)
        return status_fail(SCW_EIO, "%s: cannot write: %s", h5_where(g->dataset), h5_reason());
    g->dim[0] += n;
    return SCW_OK;
}

/* ------------------------------------------------------------------ by HDF5 */

static scw_status add_plainly(h5_growing *g, const void *rows, int64_t n)
{
    scw_status st = SCW_OK;
    hid_t space = 0, memory = 0;
    hsize_t from[H5_MAX_RANK] = {0}, count[H5_MAX_RANK];

    from[0] = (hsize_t)g->dim[0];
    for (int i = 0; i < g->rank; i++) count[i] = (hsize_t)g->dim[i];
    count[0] = (hsize_t)n;
    TRY(extend(g, n));
    space = H5Dget_space(g->dataset);
    memory = H5Screate_simple(g->rank, count, NULL);
    if (space < 0 || memory < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, count, NULL) < 0 ||
        H5Dwrite(g->dataset, g->type, memory, space, H5P_DEFAULT, rows) < 0)
        FAIL(SCW_EIO, "%s: cannot write: %s", h5_where(g->dataset), h5_reason());
done:
    h5_close(&space);
    h5_close(&memory);
    return st;
}

/* ------------------------------------------------------------------ chunks made here */

/* Chunks on their way out: `out` has `each` bytes of room for every one. */
typedef struct chunk_batch {
    uint8_t *out, *shuffled;
    size_t each, *used;
} chunk_batch;

static void batch_clear(chunk_batch *b)
{
    mem_free(b->out);
    mem_free(b->shuffled);
    mem_free(b->used);
}

static scw_status compress_chunks(chunk_batch *b, const h5_growing *g, const uint8_t *in, int64_t n)
{
    scw_status st = SCW_OK;
    const size_t bytes = g->row * (size_t)g->chunk_rows;
    int64_t room;

    b->each = deflate_room(bytes);
    if (!checked_mul(&room, n, (int64_t)(b->each + bytes))) FAIL(SCW_ENOMEM, "a chunk is too large");
    TRY(mem_new(&b->out, n * (int64_t)b->each));
    TRY(mem_new(&b->shuffled, n * (int64_t)bytes));
    TRY(mem_new(&b->used, n));
    PARALLEL_FOR
    for (int64_t k = 0; k < n; k++) {
        uint8_t *place = b->shuffled + (size_t)k * bytes;
        shuffle(place, in + (size_t)k * bytes, bytes, g->size);
        b->used[k] = deflate_bytes(b->out + (size_t)k * b->each, b->each, place, bytes, GZIP_LEVEL);
    }
    for (int64_t k = 0; k < n; k++)
        if (b->used[k] == 0) FAIL(SCW_ENOMEM, "out of memory while compressing");
done:
    return st;
}

/* n whole chunks of pending bytes, of which `rows` rows count. */
static scw_status write_chunks(h5_growing *g, const uint8_t *in, int64_t n, int64_t rows)
{
    scw_status st = SCW_OK;
    const size_t bytes = g->row * (size_t)g->chunk_rows;
    chunk_batch b = {0};
    hsize_t at[H5_MAX_RANK] = {(hsize_t)g->dim[0]};

    if (g->gzip) TRY(compress_chunks(&b, g, in, n));
    TRY(extend(g, rows));
    for (int64_t k = 0; k < n; k++, at[0] += (hsize_t)g->chunk_rows) {
        const uint8_t *from = g->gzip ? b.out + (size_t)k * b.each : in + (size_t)k * bytes;
        if (H5Dwrite_chunk(g->dataset, H5P_DEFAULT, 0, at, g->gzip ? b.used[k] : bytes, from) < 0)
            FAIL(SCW_EIO, "%s: cannot write: %s", h5_where(g->dataset), h5_reason());
    }
done:
    batch_clear(&b);
    return st;
}

/* What is pending, as far as it fills chunks; at the end the rest too. */
static scw_status flush(h5_growing *g, bool end)
{
    scw_status st = SCW_OK;
    const int64_t whole = g->n_pending / g->chunk_rows;

    if (whole > 0) TRY(write_chunks(g, g->pending, whole, whole * g->chunk_rows));
    g->n_pending -= whole * g->chunk_rows;
    memmove(g->pending, g->pending + (size_t)(whole * g->chunk_rows) * g->row,
            (size_t)g->n_pending * g->row);
    if (!end || g->n_pending == 0) goto done;
    memset(g->pending + (size_t)g->n_pending * g->row, 0,
           (size_t)(g->chunk_rows - g->n_pending) * g->row); /* the chunk's own end */
    TRY(write_chunks(g, g->pending, 1, g->n_pending));
    g->n_pending = 0;
done:
    return st;
}

/* Copy rows behind those that are pending, as the file holds them. */
static scw_status append(h5_growing *g, const uint8_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    uint8_t *to = g->pending + (size_t)g->n_pending * g->row;
    const size_t n_values = (size_t)n * (g->row / g->size), size = H5Tget_size(g->type);
    uint8_t *room = NULL;

    if (H5Tequal(g->type, g->stored) > 0) {
        memcpy(to, rows, (size_t)n * g->row);
        goto done;
    }
    TRY(mem_new(&room, (int64_t)(n_values * (size > g->size ? size : g->size))));
    memcpy(room, rows, n_values * size);
    if (H5Tconvert(g->type, g->stored, n_values, room, NULL, H5P_DEFAULT) < 0)
        FAIL(SCW_EIO, "%s: cannot write: %s", h5_where(g->dataset), h5_reason());
    memcpy(to, room, n_values * g->size);
done:
    mem_free(room);
    if (st == SCW_OK) g->n_pending += n;
    return st;
}

scw_status h5_growing_add(h5_growing *g, const void *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t chunk = (int64_t)g->row * g->chunk_rows;
    const int64_t most = g->chunk_rows * (chunk > 0 && chunk < BATCH_BYTES ? BATCH_BYTES / chunk : 1);
    const size_t row = g->row / g->size * H5Tget_size(g->type); /* in memory */

    if (n == 0) goto done;
    if (!g->stored) return add_plainly(g, rows, n);
    for (int64_t at = 0, take; at < n; at += take) {
        take = n - at < most - g->n_pending ? n - at : most - g->n_pending;
        if (g->n_pending + take > g->room) {
            int64_t room = g->n_pending + take + g->chunk_rows;
            if (room < 2 * g->room) room = 2 * g->room;
            if (room > most) room = most;
            TRY(mem_resize(&g->pending, room * (int64_t)g->row));
            g->room = room;
        }
        TRY(append(g, (const uint8_t *)rows + (size_t)at * row, take));
        if (g->n_pending == most) TRY(flush(g, false));
    }
done:
    return st;
}

scw_status h5_growing_finish(h5_growing *g)
{
    scw_status st = SCW_OK;
    hid_t d = 0;

    if (g->stored && g->n_pending > 0) {
        int64_t least = (g->n_pending / g->chunk_rows + 1) * g->chunk_rows;
        if (g->room < least) {
            TRY(mem_resize(&g->pending, least * (int64_t)g->row));
            g->room = least;
        }
        TRY(flush(g, true));
    }
    d = g->dataset;
    g->dataset = 0;
    if (d > 0 && H5Dclose(d) < 0) FAIL(SCW_EIO, "cannot write: %s", h5_reason());
done:
    return st;
}

void h5_growing_clear(h5_growing *g)
{
    h5_close(&g->dataset);
    h5_close(&g->type);
    h5_close(&g->stored);
    mem_free(g->pending);
    *g = (h5_growing){0};
}
